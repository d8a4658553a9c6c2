"""Distances between heads: all pairs, one to all, or listed pairs, by any metric."""

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

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

Progress = Callable[[int, int], None]

# Listed pairs, and heads in one-to-all, that one task takes on at most.
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
    """Distances between all pairs of heads.

    The default metric is the paper's Eq. 3. Besides the result (4 H^2 bytes) little memory is
    needed: the pairs are worked on in tiles. The result does not depend on `threads`.

    Args:
        embedded: head clouds; all heads share the prompts, in the same order. Computed in
            float32; components are best between 1e-15 and 1e15 in size.
        metric: a name of `metric_names()` or a `Metric`.
        budget_seconds: refuse a run estimated to take longer; None means 600 seconds,
            `math.inf` no limit.
        threads: None means one per processor.
        progress: called with pairs done and pairs in all, from the calling thread.
        out: where to put the result, such as a file mapped into memory; float32.

    Returns:
        float32, symmetric, with an exactly zero diagonal; `out` if it was given.

    Raises:
        InputError: if the metric is unknown, the clouds are misshapen or hold NaN, `out` is of
            another shape or type, or the run would exceed the budget.
    """
    entry = get_metric(metric)
    clouds = check_clouds(embedded)
    n_heads = clouds.shape[1]
    if out is not None and (out.shape != (n_heads, n_heads) or out.dtype != np.float32):
        raise InputError(
            f"out has shape {out.shape} and type {out.dtype}: give float32 of shape "
            f"({n_heads}, {n_heads})"
        )
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
    """Distances from some heads to all heads, without the whole matrix.

    Gives the rows that `head_distances` would give.

    Raises:
        InputError: if the metric is unknown, a head is not there, or the clouds are misshapen
            or hold NaN.
    """
    entry = get_metric(metric)
    n_threads = thread_count(threads, entry)
    # A metric that works by blocks hands NaN on to its result, which is quicker to look at.
    clouds = check_clouds(embedded) if entry.block is None else check_shape(embedded)
    n_heads = clouds.shape[1]
    queries = _head_indices(heads, n_heads)
    # Bad numbers are reported below, with their count: numpy need not warn of them.
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
    """Distances of listed pairs of heads, in float64: the way to use a slow metric.

    The pairs are usually the nearest by a fast metric.

    Args:
        embedded: head clouds.
        pairs: (pairs, 2) head indices; a head with itself has distance 0.
        metric: a name or a `Metric`.
        threads: None means one per processor.
        progress: called with pairs done and pairs in all.

    Raises:
        InputError: as `distances_from`; or if `pairs` is not of shape (pairs, 2).
    """
    entry = get_metric(metric)
    n_threads = thread_count(threads, entry)
    clouds = check_clouds(embedded)
    listed = np.asarray(pairs).reshape(-1, 2) if len(pairs) == 0 else np.asarray(pairs)
    if listed.ndim != 2 or listed.shape[1] != 2:
        raise InputError(f"pairs have shape {listed.shape}: give two head indices for each pair")
    flat = _head_indices(listed.ravel(), clouds.shape[1])
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


def _head_indices(
    heads: int | Sequence[int] | Int[np.ndarray, " queries"], n_heads: int
) -> Int[np.ndarray, " queries"]:
    indices = np.atleast_1d(np.asarray(heads))
    if indices.size == 0:
        return np.empty(0, np.int64)
    if indices.ndim != 1 or indices.dtype.kind not in "iu":
        raise InputError(f"head indices {heads!r} are not whole numbers in a flat list")
    wrong = indices[(indices < 0) | (indices >= n_heads)]
    if wrong.size:
        raise InputError(f"head index {wrong[0]} is outside 0..{n_heads - 1}")
    return indices.astype(np.int64)


def nearest(
    distance_row: Float[np.ndarray, " heads"],
    *,
    n: int = 10,
    exclude: int | Iterable[int] = (),
    mask: Bool[np.ndarray, " heads"] | None = None,
) -> Int[np.ndarray, " nearest"]:
    """Indices of the n nearest heads, nearest first; equal distances in order of index.

    Args:
        distance_row: distances from one head to all heads.
        n: how many; fewer are returned where fewer are left.
        exclude: heads to leave out, the head itself usually.
        mask: True for heads that may be returned (those of one model, say); None means all.

    Raises:
        InputError: if the row is not flat or holds NaN, `n` is negative, the mask has another
            length, or an excluded head is not there.
    """
    row = np.asarray(distance_row)
    if row.ndim != 1 or np.isnan(row).any():
        raise InputError(f"a row of distances of shape {row.shape} must be flat and free of NaN")
    if n < 0:
        raise InputError(f"n is {n}: ask for 0 or more nearest heads")
    allowed = np.ones(row.size, bool) if mask is None else np.array(mask, dtype=bool)
    if allowed.shape != row.shape:
        raise InputError(f"the mask has shape {allowed.shape}, the distances {row.shape}")
    left_out = [int(exclude)] if isinstance(exclude, (int, np.integer)) else list(exclude)
    for index in left_out:
        if not 0 <= index < row.size:
            raise InputError(f"excluded head {index} is outside 0..{row.size - 1}")
        allowed[index] = False
    candidates = np.flatnonzero(allowed)
    # A stable sort keeps equal distances in order of index.
    return candidates[np.argsort(row[candidates], kind="stable")[:n]]
