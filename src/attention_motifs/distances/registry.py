"""The registry of metrics: what each one computes, costs, ignores and guarantees.

A metric takes head clouds, an array (prompts, heads, components) whose heads share the
prompts in the same order, and gives one distance to each pair of heads. `docs/metrics.md`
describes every entry; a test keeps the two together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from attention_motifs.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from jaxtyping import Float, Int

# Heads per tile of `Metric.block`.
TILE = 128

Space = Literal["embedding", "recommended"]
# What `Metric.prepare` makes of the clouds once, before any pair is looked at.
Prepared = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Metric:
    """A distance between heads.

    Attributes:
        name: as given to `metric=` and `--metric`.
        formula: LaTeX; x_s and y_s are the points of the two heads for prompt s.
        cost: operations for all pairs, in P prompts, H heads, C components (and L directions).
        invariances: changes of the input that leave the distances as they are.
        triangle: whether D[i, k] <= D[i, j] + D[j, k] always holds.
        blind: what the metric cannot see.
        source: where the definition comes from.
        prepare: clouds -> arrays that the other two functions read.
        pairwise: (prepared, left, right) -> (pairs,) float64, for listed pairs of heads.
        block: (prepared, rows, start) -> (rows, TILE) float64, from some heads to the TILE
            heads from `start` on (columns past the last head are not read); None where listed
            pairs are as fast.
        space: the feature space whose clouds it expects.
        threaded: whether its functions release the interpreter lock.
        products: whether they are matrix products of numpy, which are then held to one thread
            each: several that share small products wait for one another.
    """

    name: str
    formula: str
    cost: str
    invariances: tuple[str, ...]
    triangle: bool
    blind: str
    source: str
    prepare: Callable[[Float[np.ndarray, "prompts heads components"]], Prepared]
    pairwise: Callable[
        [Prepared, Int[np.ndarray, " pairs"], Int[np.ndarray, " pairs"]],
        Float[np.ndarray, " pairs"],
    ]
    block: (
        Callable[[Prepared, Int[np.ndarray, " rows"], int], Float[np.ndarray, "rows tile"]] | None
    ) = None
    space: Space = "embedding"
    threaded: bool = True
    products: bool = False


_METRICS: dict[str, Metric] = {}


def register_metric(metric: Metric) -> Metric:
    """Add a metric to the registry and return it.

    Raises:
        InputError: if the name is taken.
    """
    if metric.name in _METRICS:
        raise InputError(f"metric {metric.name!r} exists already: choose another name")
    _METRICS[metric.name] = metric
    return metric


def metric_names(space: Space | None = None) -> list[str]:
    """Names of the registered metrics in their documented order, of one space or of all."""
    return [name for name, m in _METRICS.items() if space is None or m.space == space]


def get_metric(metric: str | Metric) -> Metric:
    """The metric of this name; a `Metric` is returned as it is.

    Raises:
        InputError: if no metric has that name; the message offers the nearest names.
    """
    if isinstance(metric, Metric):
        return metric
    if metric not in _METRICS:
        raise InputError(f"metric {metric!r} is not known; {did_you_mean(metric, _METRICS)}")
    return _METRICS[metric]
