"""Distances between heads by any metric: all pairs, some heads to all, or listed pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.distances.budget import DEFAULT_BUDGET_SECONDS, refuse_over_budget
from attention_motifs.distances.engine import (
    Tile,
    check_clouds,
    check_shape,
    explain_bad_values,
    row_values,
    run_tasks,
    single_products,
    thread_count,
    tile_side,
    tile_values,
    upper_tiles,
)
from attention_motifs.distances.metrics import DEFAULT_METRIC
from attention_motifs.distances.registry import Metric, get_metric
from attention_motifs.errors import InputError
from attention_motifs.features.arguments import number_array, short, whole_number

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

Progress = Callable[[int, int], None]

# Largest number of listed pairs, and of heads in one-to-all, per task.
_PAIRS_PER_TASK = 4096
_COLUMNS_PER_TASK = 1024


def head_distances(
    embedded: Float[np.ndarray, "prompts heads components"],
    metric: str | Metric = DEFAULT_METRIC,
    *,
    budget_seconds: float | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
    out: Float[np.ndarray, "heads heads"] | None = None,
) -> Float[np.ndarray, "heads heads"]:
    """Compute the distances of all pairs of heads.

    The default metric is the paper's Eq. 3. Besides the result (4 H^2 bytes) little memory is
    used, since pairs are computed in tiles. The result does not depend on `threads`.

    Args:
        embedded: (prompts, heads, components) head clouds; all heads share the prompts in the same
            order. Computed in float32; components should be between 1e-15 and 1e15 in size.
        metric: a name of `metric_names()` or a `Metric`.
        budget_seconds: largest estimated time in seconds (default 600; `math.inf`: no limit).
        threads: number of threads (default: one per processor).
        progress: called with the number of pairs done and of all pairs, from the calling thread.
        out: array for the result, such as a memory-mapped file; float32 of shape (heads, heads).

    Returns:
        (heads, heads) float32, symmetric, with a diagonal of exactly zero; `out` if it was given.

    Raises:
        InputError: if the metric is unknown, the clouds are malformed or hold NaN, `out` has
            another shape or type, or the estimated time is above the budget.

    Examples:
        >>> import numpy as np
        >>> from attention_motifs import head_distances
        >>> clouds = np.zeros((4, 3, 2))  # 4 prompts, 3 heads, 2 components
        >>> clouds[:, 2] = [3, 4]
        >>> head_distances(clouds)
        array([[0., 0., 5.],
               [0., 0., 5.],
               [5., 5., 0.]], dtype=float32)
    """
    entry = get_metric(metric)
    clouds = check_clouds(embedded)
    n_heads = clouds.shape[1]
    if out is not None and not (
        isinstance(out, np.ndarray) and out.shape == (n_heads, n_heads) and out.dtype == np.float32
    ):
        raise InputError(f"out does not fit: give a float32 array of shape ({n_heads}, {n_heads}).")
    if progress is not None and not callable(progress):
        raise InputError(f"progress is {short(progress)}. Give a function, or None.")
    n_threads = thread_count(threads, entry)
    budget = DEFAULT_BUDGET_SECONDS if budget_seconds is None else budget_seconds
    refuse_over_budget(entry, clouds, budget, n_threads)

    prepared = entry.prepare(clouds)
    result = np.empty((n_heads, n_heads), np.float32) if out is None else out
    total = n_heads * (n_heads - 1) // 2
    n_done = 0

    def work(tile: Tile) -> int:
        values = tile_values(entry, prepared, tile).astype(np.float32)
        rows = slice(tile.rows.start, tile.rows.stop)
        columns = slice(tile.columns.start, tile.columns.stop)
        result[rows, columns] = values
        result[columns, rows] = values.T
        return tile.n_pairs

    def done(n_pairs: int) -> None:
        nonlocal n_done
        n_done += n_pairs
        if progress is not None:
            progress(n_done, total)

    with single_products(entry):
        run_tasks(upper_tiles(n_heads, tile_side(entry)), work, n_threads, done)
    return result


def distances_from(
    embedded: Float[np.ndarray, "prompts heads components"],
    heads: int | Sequence[int] | Int[np.ndarray, " queries"],
    metric: str | Metric = DEFAULT_METRIC,
    *,
    threads: int | None = None,
) -> Float[np.ndarray, "queries heads"]:
    """Compute the distances from some heads to all heads, without the whole matrix.

    Args:
        embedded: (prompts, heads, components) head clouds.
        heads: index of a head, or indices of several.
        metric: a name of `metric_names()` or a `Metric`.
        threads: number of threads (default: one per processor).

    Returns:
        (queries, heads) float32: the rows that `head_distances` would return.

    Raises:
        InputError: if the metric or a head is unknown, or the clouds are malformed or hold NaN.
    """
    entry = get_metric(metric)
    n_threads = thread_count(threads, entry)
    # A metric that works by blocks passes NaN on to its result, which is faster to check.
    clouds = check_clouds(embedded) if entry.block is None else check_shape(embedded)
    n_heads = clouds.shape[1]
    queries = _head_indices(heads, n_heads)
    # Bad numbers are counted and reported below, so numpy need not warn of them.
    with np.errstate(invalid="ignore", over="ignore"):
        prepared = entry.prepare(clouds)
    result = np.empty((queries.size, n_heads), np.float32)

    def work(columns: range) -> None:
        with np.errstate(invalid="ignore", over="ignore"):
            values = row_values(entry, prepared, queries, columns)
            result[:, columns.start : columns.stop] = values

    parts = (
        range(a, min(a + _COLUMNS_PER_TASK, n_heads)) for a in range(0, n_heads, _COLUMNS_PER_TASK)
    )
    with single_products(entry):
        run_tasks(parts, work, n_threads, lambda _: None)
    result[np.arange(queries.size), queries] = 0.0
    if not np.isfinite(result).all():
        explain_bad_values(clouds)
    return result


def candidate_distances(
    embedded: Float[np.ndarray, "prompts heads components"],
    pairs: Sequence[tuple[int, int]] | Int[np.ndarray, "pairs 2"],
    metric: str | Metric = DEFAULT_METRIC,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Float[np.ndarray, " pairs"]:
    """Compute the distances of listed pairs of heads, such as the nearest by a faster metric.

    Args:
        embedded: (prompts, heads, components) head clouds.
        pairs: (pairs, 2) head indices; a head has distance 0 from itself.
        metric: a name of `metric_names()` or a `Metric`.
        threads: number of threads (default: one per processor).
        progress: called with the number of pairs done and of all pairs.

    Returns:
        (pairs,) float64.

    Raises:
        InputError: if the metric or a head is unknown, the clouds are malformed or hold NaN, or
            `pairs` has another shape.
    """
    entry = get_metric(metric)
    n_threads = thread_count(threads, entry)
    clouds = check_clouds(embedded)
    flat = _pair_indices(pairs, clouds.shape[1])
    left, right = np.ascontiguousarray(flat[0::2]), np.ascontiguousarray(flat[1::2])
    prepared = entry.prepare(clouds)
    result = np.empty(left.size)
    n_done = 0

    def work(part: slice) -> int:
        result[part] = entry.pairwise(prepared, left[part], right[part])
        return len(left[part])

    def done(n_pairs: int) -> None:
        nonlocal n_done
        n_done += n_pairs
        if progress is not None:
            progress(n_done, left.size)

    # Several tasks per thread, so that slow pairs are shared evenly.
    step = min(max(left.size // (8 * n_threads), 1), _PAIRS_PER_TASK)
    parts = (slice(a, a + step) for a in range(0, left.size, step))
    run_tasks(parts, work, n_threads, done)
    result[left == right] = 0.0
    return result


def _pair_indices(pairs: object, n_heads: int) -> Int[np.ndarray, " two_pairs"]:
    if isinstance(pairs, Sequence) and not pairs:
        return np.empty(0, np.int64)
    listed = number_array(pairs, "pairs", ("pairs", "two head indices"))
    if listed.shape[1] != 2:
        raise InputError(f"pairs have shape {listed.shape}. Give two head indices for each pair.")
    return _head_indices(listed.ravel(), n_heads)


def _head_indices(heads: object, n_heads: int) -> Int[np.ndarray, " queries"]:
    if isinstance(heads, int | np.integer) and not isinstance(heads, bool):
        heads = [heads]
    if isinstance(heads, Sequence) and not heads:
        return np.empty(0, np.int64)
    indices = number_array(heads, "head indices", ("heads",))
    if indices.size and indices.dtype.kind not in "iu":
        raise InputError(f"head indices are {short(heads)}. Give whole numbers.")
    wrong = indices[(indices < 0) | (indices >= n_heads)]
    if wrong.size:
        raise InputError(f"head index {wrong[0]} is outside 0..{n_heads - 1}.")
    return indices.astype(np.int64)


def nearest(
    distance_row: Float[np.ndarray, " heads"],
    *,
    n: int = 10,
    exclude: int | Iterable[int] = (),
    mask: Bool[np.ndarray, " heads"] | None = None,
) -> Int[np.ndarray, " nearest"]:
    """Return the indices of the n nearest heads, nearest first; ties in order of the index.

    Args:
        distance_row: (heads,) distances from one head to all heads.
        n: number of heads; fewer are returned if fewer are allowed.
        exclude: index or indices of heads to leave out, usually the head itself.
        mask: (heads,) True for heads that may be returned; None allows all.

    Raises:
        InputError: if the row is not flat or holds NaN, `n` is negative, the mask has another
            length, or an excluded head does not exist.
    """
    row = number_array(distance_row, "distances", ("heads",))
    if np.isnan(row).any():
        raise InputError("the distances hold NaN. Give finite distances.")
    whole_number(n, "n")
    allowed = np.ones(row.size, bool) if mask is None else np.array(mask, dtype=bool)
    if allowed.shape != row.shape:
        raise InputError(f"the mask has shape {allowed.shape}, but the distances {row.shape}.")
    excluded = [int(exclude)] if isinstance(exclude, (int, np.integer)) else list(exclude)
    for index in excluded:
        if not 0 <= index < row.size:
            raise InputError(f"excluded head {index} is outside 0..{row.size - 1}.")
        allowed[index] = False
    candidates = np.flatnonzero(allowed)
    # A stable sort keeps equal distances in order of index.
    return candidates[np.argsort(row[candidates], kind="stable")[:n]]
