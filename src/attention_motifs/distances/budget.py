"""Estimates of the time of an all-pairs run, from a short measurement on a few heads."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.distances.engine import (
    check_clouds,
    single_products,
    thread_count,
    tile_side,
    tile_values,
    upper_tiles,
)
from attention_motifs.distances.registry import TILE, Metric, get_metric
from attention_motifs.errors import InputError
from attention_motifs.features.arguments import whole_number

if TYPE_CHECKING:
    from jaxtyping import Float

DEFAULT_BUDGET_SECONDS = 600.0
# A sample that ran this long gives a good estimate.
_LONG_ENOUGH_SECONDS = 0.005


def estimate_seconds(
    metric: str | Metric,
    n_prompts: int,
    n_heads: int,
    n_components: int = 16,
    *,
    sample: Float[np.ndarray, "prompts some components"] | None = None,
    threads: int | None = None,
) -> float:
    """Estimate the time of `head_distances` from a run on a few heads.

    Args:
        metric: a name of `metric_names()` or a `Metric`.
        n_prompts: number of prompts.
        n_heads: number of heads.
        n_components: components per point.
        sample: clouds to measure on, with the same prompts and components; some metrics take
            longer on some data. The default is random normal numbers.
        threads: number of threads (default: one per processor).

    Returns:
        Seconds.

    Raises:
        InputError: if the metric is unknown, a size is below 1, or the sample has other sizes.
    """
    entry = get_metric(metric)
    sizes = (("n_prompts", n_prompts), ("n_heads", n_heads), ("n_components", n_components))
    for name, size in sizes:
        whole_number(size, name, least=1)
    if sample is None:
        shape = (n_prompts, min(n_heads, TILE), n_components)
        sample = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    clouds = check_clouds(sample)
    if clouds.shape[0] != n_prompts or clouds.shape[2] != n_components:
        raise InputError(
            f"the sample has {clouds.shape[0]} prompts and {clouds.shape[2]} components. Give "
            f"{n_prompts} and {n_components}, as in the run to be estimated."
        )
    if n_heads == 1 or clouds.shape[1] == 1:
        return 0.0
    return _extrapolate(entry, clouds, n_heads, thread_count(threads, entry))


def refuse_over_budget(
    metric: Metric,
    clouds: Float[np.ndarray, "prompts heads components"],
    budget_seconds: float,
    threads: int,
) -> None:
    """Refuse an all-pairs run with an estimated time above the budget.

    Raises:
        InputError: naming the estimate and the fix; or if the budget is not above 0.
    """
    if not isinstance(budget_seconds, int | float) or not budget_seconds > 0:
        raise InputError(f"budget_seconds is {budget_seconds}. Give more than 0.")
    if math.isinf(budget_seconds):
        return
    n_prompts, n_heads, n_components = clouds.shape
    # Spread over the heads: neighbours often come from the same model and layer.
    chosen = np.unique(np.linspace(0, n_heads - 1, TILE).astype(int))
    seconds = estimate_seconds(
        metric, n_prompts, n_heads, n_components, sample=clouds[:, chosen], threads=threads
    )
    if seconds > budget_seconds:
        raise InputError(
            f"metric {metric.name!r} on all pairs of {n_heads} heads would take about "
            f"{_readable(seconds)}, more than the budget of {_readable(budget_seconds)}. Compare "
            f"candidate pairs only, or raise the budget above {math.ceil(seconds)} seconds."
        )


def _extrapolate(
    metric: Metric,
    clouds: Float[np.ndarray, "prompts heads components"],
    n_heads: int,
    threads: int,
) -> float:
    """Estimate the time of a run on `n_heads` from larger and larger samples of the clouds."""
    # The first call compiles or loads the kernels, which takes no time in a long run.
    _measure(metric, clouds[:, :2])
    n_sample = 2
    while True:
        prepare, compare = _measure(metric, clouds[:, :n_sample])
        if compare > _LONG_ENOUGH_SECONDS or n_sample == clouds.shape[1]:
            break
        n_sample = min(4 * n_sample, clouds.shape[1])
    n_tile_rows = -(-n_heads // tile_side(metric))
    at_once = min(threads, n_tile_rows * (n_tile_rows + 1) // 2)
    growth = _work(metric, n_heads) / _work(metric, n_sample)
    return prepare * n_heads / n_sample + compare * growth / at_once


def _measure(
    metric: Metric, clouds: Float[np.ndarray, "prompts heads components"]
) -> tuple[float, float]:
    """Return the seconds to prepare the clouds and to compare them on one thread."""
    clouds = np.ascontiguousarray(clouds)
    started = time.perf_counter()
    prepared = metric.prepare(clouds)
    ready = time.perf_counter()
    with single_products(metric):
        for tile in upper_tiles(clouds.shape[1], tile_side(metric)):
            tile_values(metric, prepared, tile)
    return ready - started, time.perf_counter() - ready


def _work(metric: Metric, n_heads: int) -> int:
    """Return the number of comparisons, including those that pad the tiles."""
    if metric.block is None:
        return n_heads * (n_heads - 1) // 2
    n_tiles = -(-n_heads // TILE)
    return sum(min(TILE, n_heads - a * TILE) * TILE * (n_tiles - a) for a in range(n_tiles))


def _readable(seconds: float) -> str:
    for unit, size in (("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} seconds"
