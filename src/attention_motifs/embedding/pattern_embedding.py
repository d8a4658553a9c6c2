"""Stage 4: the pattern embedding, the paper's E (section 2.3): standardise, then PCA.

The embedding needs only the features' count, means and covariance, which are summed part by
part and merged (`moments`), so that memory does not grow with the number of patterns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.embedding.moments import LengthBinnedMoments, bin_of
from attention_motifs.errors import InputError
from attention_motifs.store.fitted_files import FittedFormat, integers, strings

if TYPE_CHECKING:
    from jaxtyping import Float, Int

N_COMPONENTS = 16
"""Principal components kept by the paper (section 2.3)."""

_CONSTANT = 1e-9
"""A column is constant when its standard deviation is at most this times max(1, |mean|)."""

_FORMAT = FittedFormat(
    name="pattern embedding",
    version=1,
    arrays=("kept", "mean", "scale", "components", "explained_variance"),
    values={
        "feature_names": strings,
        "length_bins": integers,
        "n_rows": int,
        "n_imputed": integers,
    },
)

_MEND = "run `motifs embed --force` to make it anew"


@dataclass(frozen=True)
class PatternEmbedding:
    """The fitted embedding: which columns, how standardised, and the principal components.

    A new model is transformed by the saved embedding, never refitted.
    """

    feature_names: tuple[str, ...]
    """All F columns it takes, in order."""
    kept: Int[np.ndarray, " kept"]
    """Indices of the columns that are not constant."""
    mean: Float[np.ndarray, "bins features"]
    """Per bin of prompt lengths; one bin unless `length_bins` are given."""
    scale: Float[np.ndarray, "bins kept"]
    components: Float[np.ndarray, "components kept"]
    """Orthonormal rows, largest variance first; the largest loading of each is positive."""
    explained_variance: Float[np.ndarray, " kept"]
    """All eigenvalues of the correlation matrix, descending, also of components not kept."""
    length_bins: tuple[int, ...]
    """Edges of the bins of lengths in tokens; empty where lengths are not told apart."""
    n_rows: int
    n_imputed: tuple[int, ...]
    """Values that were not finite, per column, when it was fitted."""

    @property
    def n_components(self) -> int:
        """Number of principal components, 16 as in the paper unless there are fewer columns."""
        return len(self.components)

    @property
    def explained_variance_ratio(self) -> Float[np.ndarray, " kept"]:
        """Share of the standardised features' variance per component; sums to 1."""
        return np.asarray(self.explained_variance / self.explained_variance.sum())

    @classmethod
    def fit(
        cls,
        features: Float[np.ndarray, "rows features"],
        n_components: int = N_COMPONENTS,
        feature_names: Sequence[str] | None = None,
        *,
        n_tokens: Int[np.ndarray, " rows"] | None = None,
        length_bins: Sequence[int] = (),
    ) -> PatternEmbedding:
        """Standardise the features and find their principal components (paper, section 2.3).

        Args:
            features: one row per pattern.
            n_components: how many to keep; fewer are kept if fewer columns vary.
            feature_names: of the columns; by default those of the set `paper` if the number
                agrees, else `feature0`...
            n_tokens: the length of each row's prompt; needed with `length_bins` only.
            length_bins: edges of bins of lengths within which to standardise, such as
                `LENGTH_BINS`; by default all lengths are standardised together.

        Raises:
            InputError: if there are fewer than two rows, no column varies, or names and columns
                disagree in number.
        """
        if features.ndim != 2:
            raise InputError(f"features have shape {features.shape}: (rows, features) is expected")
        moments = LengthBinnedMoments(features.shape[1], length_bins)
        moments.update(features, n_tokens)
        return cls.from_moments(moments, n_components, feature_names)

    @classmethod
    def from_moments(
        cls,
        moments: LengthBinnedMoments,
        n_components: int = N_COMPONENTS,
        feature_names: Sequence[str] | None = None,
    ) -> PatternEmbedding:
        """Fit from sums taken part by part before; see `fit`."""
        if n_components < 1:
            raise InputError(f"n_components = {n_components}: at least 1 is needed")
        if moments.n_rows < 2:
            raise InputError(f"an embedding needs at least 2 patterns, not {moments.n_rows}")
        filled = [b.n_rows for b in moments.bins]
        mean = _fill_empty(np.stack([b.means() for b in moments.bins]), filled)
        covariances = np.stack([b.covariance() for b in moments.bins])
        names = _check_names(feature_names, mean.shape[1])
        deviation = np.sqrt(np.maximum(np.diagonal(covariances, axis1=1, axis2=2), 0.0))
        varies = deviation > _CONSTANT * np.maximum(1.0, np.abs(mean))
        kept = np.flatnonzero(varies[np.array(filled) > 0].any(axis=0))
        if not len(kept):
            raise InputError("no feature varies over these patterns: use more heads or prompts")
        # Where a column varies in some bins only, its deviations in the others are all zero.
        scale = _fill_empty(np.where(varies, deviation, 1.0)[:, kept], filled)
        weights = np.array(filled) / moments.n_rows
        correlation = np.einsum(
            "b,bij->ij",
            weights,
            covariances[:, kept][:, :, kept] / (scale[:, :, None] * scale[:, None, :]),
        )
        eigenvalues, vectors = np.linalg.eigh(correlation)
        components = vectors.T[::-1][:n_components]
        largest = np.abs(components).argmax(axis=1)
        signs = np.sign(components[np.arange(len(components)), largest])
        return cls(
            feature_names=names,
            kept=kept,
            mean=mean,
            scale=scale,
            components=np.ascontiguousarray(components * signs[:, None]),
            explained_variance=np.maximum(eigenvalues[::-1], 0.0),
            length_bins=moments.length_bins,
            n_rows=moments.n_rows,
            n_imputed=tuple(np.sum([b.n_imputed for b in moments.bins], axis=0).tolist()),
        )

    def standardise(
        self,
        features: Float[np.ndarray, "rows features"],
        n_tokens: Int[np.ndarray, " rows"] | None = None,
    ) -> Float[np.ndarray, "rows kept"]:
        """Z-scores of the kept columns in float64; values not finite become 0, the mean.

        Raises:
            InputError: if the number of columns is not the fitted one, or lengths are missing.
        """
        if features.ndim != 2 or features.shape[1] != len(self.feature_names):
            raise InputError(
                f"features have shape {features.shape}: (rows, {len(self.feature_names)}) is "
                "what this embedding was fitted on"
            )
        bins = bin_of(n_tokens, self.length_bins, len(features))
        deviations = features[:, self.kept].astype(np.float64) - self.mean[:, self.kept][bins]
        deviations[~np.isfinite(deviations)] = 0.0
        return np.asarray(deviations / self.scale[bins])

    def transform(
        self,
        features: Float[np.ndarray, "rows features"],
        n_tokens: Int[np.ndarray, " rows"] | None = None,
    ) -> Float[np.ndarray, "rows components"]:
        """Place patterns in the embedding: float32 rows; values not finite become the mean.

        Raises:
            InputError: if the number of columns is not the fitted one, or lengths are missing.
        """
        embedded = self.standardise(features, n_tokens) @ self.components.T
        return np.asarray(embedded.astype(np.float32))

    def importance(self) -> Float[np.ndarray, "components features"]:
        """Squared loading of every feature on every component times the component's share.

        Rows are components, columns all features (0 for constant ones); a row sums to the
        component's share of the variance.
        """
        table = np.zeros((self.n_components, len(self.feature_names)))
        shares = self.explained_variance_ratio[: self.n_components, None]
        table[:, self.kept] = self.components**2 * shares
        return table

    def save(self, path: str | Path) -> None:
        """Write `<path>.safetensors` and `<path>.json`, without pickle."""
        _FORMAT.write(path, self)

    @classmethod
    def load(cls, path: str | Path, mend: str = _MEND) -> PatternEmbedding:
        """Read what `save` wrote, equal bit for bit.

        Args:
            path: as given to `save`.
            mend: what errors tell the user to do.

        Raises:
            AtlasError: if a file is missing, damaged or of another format.
        """
        return _FORMAT.read(path, cls, _fits_together, mend)


def _fits_together(embedding: PatternEmbedding) -> bool:
    """Whether the shapes and values of an embedding are such as `fit` makes them."""
    e = embedding
    n_bins, n_features, n_kept = len(e.length_bins) + 1, len(e.feature_names), e.kept.size
    shapes = {
        "kept": (n_kept,),
        "mean": (n_bins, n_features),
        "scale": (n_bins, n_kept),
        "components": (e.components.shape[0] if e.components.ndim else 0, n_kept),
        "explained_variance": (n_kept,),
    }
    numbers = [getattr(e, name) for name in _FORMAT.arrays if name != "kept"]
    return bool(
        all(getattr(e, name).shape == shape for name, shape in shapes.items())
        and len(e.n_imputed) == n_features
        and list(e.length_bins) == sorted(set(e.length_bins))
        and e.kept.dtype.kind == "i"
        and np.isin(e.kept, np.arange(n_features)).all()
        and all(array.dtype == np.float64 and np.isfinite(array).all() for array in numbers)
        and (e.scale > 0).all()
        and (e.explained_variance >= 0).all()
    )


def _fill_empty(
    table: Float[np.ndarray, "bins columns"], filled: Sequence[int]
) -> Float[np.ndarray, "bins columns"]:
    """Give bins of lengths that saw no row the values of the nearest bin that did."""
    seen = np.flatnonzero(filled)
    nearest = [seen[np.abs(seen - b).argmin()] for b in range(len(filled))]
    return np.asarray(table[nearest])


def _check_names(names: Sequence[str] | None, n_features: int) -> tuple[str, ...]:
    if names is None:
        from attention_motifs.features import feature_names

        paper = feature_names("paper")
        names = paper if len(paper) == n_features else [f"feature{i}" for i in range(n_features)]
    if len(names) != n_features:
        raise InputError(f"{len(names)} feature names for {n_features} columns")
    return tuple(names)
