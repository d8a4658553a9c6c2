"""Short vectors of head clouds, whose Euclidean distances select candidates for a metric.

A cloud of P prompts and C components is a vector of P C numbers. Its projection on the leading
principal directions of all heads keeps the largest differences between heads. The exact metric then
compares the candidates (`distances.neighbours`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.distances.registry import metric_names
from attention_motifs.errors import InputError
from attention_motifs.store.presets import PRESETS

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    HeadClouds = Float[np.ndarray, "heads prompts components"]
    """Heads first, so that the cloud of a head is contiguous in a file."""

N_AXES = 64
"""Largest number of principal directions; benchmarks/README.md has the recall with others."""

_FITTED_ON = 8192
"""Number of evenly chosen heads from which the principal directions are computed."""


@dataclass(frozen=True)
class Sketch:
    """A map from head clouds to short vectors, fitted on the heads of one atlas.

    Attributes:
        metric: name of the metric that the vectors approximate.
        centre: (V,) mean of the fitted heads' vectors.
        axes: (V, A) orthonormal directions, largest variance first.
    """

    metric: str
    centre: Float[np.ndarray, " values"]
    axes: Float[np.ndarray, "values axes"]

    @classmethod
    def fit(
        cls,
        clouds: HeadClouds,
        metric: str,
        *,
        n_axes: int = N_AXES,
        fitted_on: int = _FITTED_ON,
        seed: int = 0,
    ) -> Sketch:
        """Compute the principal directions of the heads.

        Args:
            clouds: clouds of all heads, such as a file; only the chosen heads are read.
            metric: a name in `SKETCHED`, or of a preset.
            n_axes: number of directions, 1 or more; fewer if there are fewer.
            fitted_on: number of heads used.
            seed: seed for the randomised decomposition of a large matrix.

        Raises:
            InputError: if the metric has no sketch, or numbers are missing or infinite.
        """
        chosen = np.unique(np.linspace(0, len(clouds) - 1, fitted_on).astype(np.int64))
        rows = finite_vectors(cloud_vectors(np.asarray(clouds[chosen]), metric), chosen)
        centre = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
        rows = rows - centre
        n_axes = min(n_axes, *rows.shape)
        if min(rows.shape) > 4 * n_axes:
            from sklearn.utils.extmath import randomized_svd

            directions = randomized_svd(rows, n_axes, random_state=seed)[2]
        else:
            directions = np.linalg.svd(rows, full_matrices=False)[2][:n_axes]
        axes = np.ascontiguousarray(directions.T, dtype=np.float32)
        return cls(metric, centre, axes)

    def vectors(self, clouds: HeadClouds) -> Float[np.ndarray, "heads axes"]:
        """Return the vectors of heads, in float32."""
        placed: np.ndarray = (cloud_vectors(clouds, self.metric) - self.centre) @ self.axes
        return np.ascontiguousarray(placed, dtype=np.float32)


def cloud_vectors(clouds: HeadClouds, metric: str) -> Float[np.ndarray, "heads values"]:
    """Return vectors of heads whose Euclidean distances rank heads as the metric does.

    The ranks are exact for cosine, centroid and the presets. Eq. 3 is the mean of the distances
    per prompt; its vectors give their root mean square, which is never smaller.

    Raises:
        InputError: if the metric has no sketch.
    """
    if not is_sketched(metric):
        raise InputError(
            f"metric {metric!r} cannot be approximated by an index. Choose {', '.join(SKETCHED)}."
        )
    vectors = _VECTORS.get(metric, _whole)
    return np.asarray(vectors(np.asarray(clouds)), dtype=np.float32)


def is_sketched(metric: str) -> bool:
    """Return whether an index can approximate the metric."""
    return metric in _VECTORS or metric in metric_names(space=metric)


def finite_vectors(
    vectors: Float[np.ndarray, "some values"], heads: Int[np.ndarray, " some"]
) -> Float[np.ndarray, "some values"]:
    """Return the vectors of these heads unchanged, after a check for finite numbers.

    Raises:
        InputError: naming the head, if a number is not finite.
    """
    bad = ~np.isfinite(vectors).all(axis=1)
    if bad.any():
        raise InputError(
            f"the cloud of head {heads[int(bad.argmax())]} holds NaN, infinity or numbers too "
            "large for float32. Impute the features before embedding them."
        )
    return vectors


def _flat(clouds: np.ndarray) -> np.ndarray:
    return clouds.reshape(len(clouds), -1)


def _means(clouds: np.ndarray) -> np.ndarray:
    return np.asarray(clouds.mean(axis=1, dtype=np.float64))


def _unit(rows: np.ndarray) -> np.ndarray:
    """Scale rows to length 1; the zero vector stays zero."""
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths == 0, 1.0, lengths))


def _whole(clouds: np.ndarray) -> np.ndarray:
    """Return whole clouds at length 1: the vectors of the presets."""
    return _unit(_flat(clouds))


_VECTORS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean": _flat,
    "cosine": lambda clouds: _unit(_means(clouds)),
    "centroid": _means,
}

SKETCHED = (*_VECTORS, *PRESETS)
"""Metrics of the package that have a sketch; presets of a user have one too."""
