"""The registry of metrics: formula, cost, invariances and source of each.

A metric takes head clouds, an array (prompts, heads, components) whose heads share the
prompts in the same order, and gives one distance to each pair of heads. `docs/distances.md`
describes every entry; a test keeps the two together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.errors import InputError, did_you_mean
from attention_motifs.features.arguments import short

if TYPE_CHECKING:
    from jaxtyping import Float, Int

# Heads per tile of `Metric.block`.
TILE = 128

Space = str
"""The space of the clouds: `embedding`, or the name of a preset."""
# The result of `Metric.prepare`, which is called once per run.
Prepared = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Metric:
    """A distance between heads.

    Attributes:
        name: the name for `metric=` and `--metric`.
        formula: LaTeX; x_s and y_s are the points of the two heads for prompt s.
        cost: operations for all pairs, in P prompts, H heads, C components (and L directions).
        invariances: changes of the input that do not change the distances.
        triangle: whether D[i, k] <= D[i, j] + D[j, k] always holds.
        blind: differences that the metric ignores.
        source: source of the definition.
        prepare: clouds -> arrays that the other two functions read.
        pairwise: (prepared, left, right) -> (pairs,) float64, for listed pairs of heads.
        block: (prepared, rows, start) -> (rows, TILE) float64, from some heads to the TILE
            heads from `start` on (columns past the last head are not read); None where listed
            pairs are as fast.
        description: in a few words, in what heads at a small distance are similar.
        space: the space of the clouds that it expects: `embedding`, or the name of a preset.
        threaded: whether its functions release the interpreter lock.
        products: whether they are matrix products of numpy, which are then limited to one thread
            each, since threads that share small products wait for each other.
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
    description: str = ""
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
        raise InputError(f"metric {metric.name!r} already exists. Choose another name.")
    _METRICS[metric.name] = metric
    return metric


def metric_names(space: Space | None = None) -> list[str]:
    """Return the names of the registered metrics in their documented order.

    Args:
        space: list the metrics of this space only: `embedding`, or the name of a preset.

    Examples:
        >>> from attention_motifs import metric_names
        >>> metric_names()[:4]
        ['mean', 'cosine', 'natural', 'recommended']
    """
    if space is not None and not isinstance(space, str):
        raise InputError(f"space is {short(space)}. Give the name of a space, or None.")
    return [name for name, m in _METRICS.items() if space is None or m.space == space]


def get_metric(metric: str | Metric) -> Metric:
    """Return the metric of this name; a `Metric` is returned unchanged.

    Raises:
        InputError: if no metric has this name; the message suggests similar names.
    """
    if isinstance(metric, Metric):
        return metric
    if not isinstance(metric, str):
        raise InputError(f"metric is {short(metric)}. Give a name, such as 'mean', or a Metric.")
    if metric not in _METRICS:
        raise InputError(f"metric {metric!r} is not known; {did_you_mean(metric, _METRICS)}")
    return _METRICS[metric]
