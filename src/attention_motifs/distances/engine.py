"""Work on pairs of heads in square tiles on threads, without a list of all pairs.

Tiles are independent of each other, so the result does not depend on the number of threads.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from attention_motifs.distances.registry import TILE, Metric, Prepared
from attention_motifs.errors import InputError
from attention_motifs.features.arguments import number_array, whole_number
from attention_motifs.features.compute import available_cores, one_blas_thread

if TYPE_CHECKING:
    from jaxtyping import Float, Int

# Heads per side of a tile of a metric that computes pairs one by one. Small, so that slow metrics
# report progress and share the threads evenly.
_LISTED_TILE = 16
# Squares of larger float32 values overflow.
_LARGEST = 1e18

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Tile:
    """Heads rows.start..rows.stop against heads columns.start..columns.stop."""

    rows: range
    columns: range

    @property
    def n_pairs(self) -> int:
        """Pairs of different heads, each counted once."""
        n = len(self.rows)
        return n * (n - 1) // 2 if self.rows == self.columns else n * len(self.columns)


def check_clouds(embedded: np.ndarray) -> Float[np.ndarray, "prompts heads components"]:
    """Return the clouds as a contiguous float32 array after checking every number.

    Raises:
        InputError: if the shape is wrong or empty, or numbers are missing or too large.
    """
    clouds = check_shape(embedded)
    # min and max pass NaN on and need no copy of the array.
    if not (clouds.max() < _LARGEST and clouds.min() > -_LARGEST):
        explain_bad_values(clouds)
    return clouds


def check_shape(embedded: np.ndarray) -> Float[np.ndarray, "prompts heads components"]:
    """Return the clouds as a contiguous float32 array after checking their shape only.

    Raises:
        InputError: if the shape is wrong or empty, or the values are not numbers.
    """
    array = number_array(embedded, "head clouds", ("prompts", "heads", "components"))
    if array.size == 0:
        raise InputError(
            f"head clouds have shape {array.shape}. Give 1 or more prompts, heads and components."
        )
    return np.ascontiguousarray(array, dtype=np.float32)


def explain_bad_values(clouds: Float[np.ndarray, "prompts heads components"]) -> None:
    """Raise the error for clouds with numbers that are not finite or are too large."""
    n_bad = int((~np.isfinite(clouds)).any(axis=2).sum())
    if n_bad:
        raise InputError(
            f"{n_bad} of {clouds.shape[0] * clouds.shape[1]} embedded patterns (prompts times "
            "heads) hold NaN or infinity. Impute the features before embedding them."
        )
    raise InputError(
        f"an embedded component is {float(np.abs(clouds).max()):.3g}, above {_LARGEST:g}, where "
        "float32 distances overflow. Rescale the embedding."
    )


def thread_count(threads: int | None, metric: Metric) -> int:
    """Return the number of threads: as given, else one per processor of this process.

    Raises:
        InputError: if `threads` is below 1.
    """
    if threads is not None:
        whole_number(threads, "threads", least=1)
    if not metric.threaded:
        return 1
    if threads is not None:
        return threads
    return available_cores()


@contextlib.contextmanager
def single_products(metric: Metric) -> Iterator[None]:
    """Limit matrix products to one thread each while threads work on a metric made of them."""
    if not metric.products:
        yield
        return
    with one_blas_thread():
        yield


def tile_side(metric: Metric) -> int:
    """Return the heads per side of the tiles of this metric."""
    return _LISTED_TILE if metric.block is None else TILE


def upper_tiles(n_heads: int, side: int) -> Iterator[Tile]:
    """Yield tiles that cover every pair (i, j) with i <= j, without the mirrored ones."""
    parts = [range(a, min(a + side, n_heads)) for a in range(0, n_heads, side)]
    for a, rows in enumerate(parts):
        for columns in parts[a:]:
            yield Tile(rows, columns)


def tile_values(
    metric: Metric, prepared: Prepared, tile: Tile
) -> Float[np.ndarray, "rows columns"]:
    """Return the distances of a tile in float64; diagonal tiles are symmetric with diagonal 0."""
    rows = np.arange(tile.rows.start, tile.rows.stop)
    if tile.rows != tile.columns:
        return row_values(metric, prepared, rows, tile.columns)
    upper = np.triu_indices(len(rows), 1)
    values = np.zeros((len(rows), len(rows)))
    if metric.block is None:
        values[upper] = metric.pairwise(prepared, rows[upper[0]], rows[upper[1]])
    else:
        values[upper] = metric.block(prepared, rows, tile.rows.start)[:, : len(rows)][upper]
    return values + values.T


def row_values(
    metric: Metric, prepared: Prepared, rows: Int[np.ndarray, " rows"], columns: range
) -> Float[np.ndarray, "rows columns"]:
    """Return the distances from some heads to a range of heads, in float64."""
    if metric.block is None:
        left = np.repeat(rows, len(columns))
        right = np.tile(np.arange(columns.start, columns.stop), rows.size)
        return metric.pairwise(prepared, left, right).reshape(rows.size, len(columns))
    parts = [metric.block(prepared, rows, a) for a in range(columns.start, columns.stop, TILE)]
    return np.hstack(parts)[:, : len(columns)]


def run_tasks(
    tasks: Iterator[_Task],
    work: Callable[[_Task], _Result],
    threads: int,
    done: Callable[[_Result], None],
) -> None:
    """Call `work` on each task on threads, and `done` on each result on this thread.

    Results come in any order. Few tasks wait at a time, so an interrupt ends the run soon.
    """
    if threads == 1:
        for task in tasks:
            done(work(task))
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: set[Future[_Result]] = set()
        for task in tasks:
            waiting.add(pool.submit(work, task))
            if len(waiting) >= 8 * threads:
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in finished:
                    done(future.result())
        for future in waiting:
            done(future.result())
