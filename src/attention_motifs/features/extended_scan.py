"""One pass over the rows of a pattern for the set `extended`: sums of each row and key."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attention_motifs.features.compiled import compiled, reordered
from attention_motifs.features.extended_definitions import BANDS, NEAR, NO_WEIGHT
from attention_motifs.features.simd.builder import WIDTH
from attention_motifs.features.simd.rows import (
    COLUMN,
    DIAGONAL,
    KEPT,
    ROOT_ANTI,
    ROOT_COLUMN,
    ROOT_DIAGONAL,
    ROOT_ROW,
    ROW_SUMS,
    SQUARES,
    WEIGHT,
    far_products,
    row_similarities,
    sum_of_logs,
)
from attention_motifs.features.simd.tiles import panel_count

if TYPE_CHECKING:
    from jaxtyping import Float, Int

FIRST = np.array([first for first, _ in BANDS])
LAST = np.array([np.iinfo(np.int32).max if last is None else last for _, last in BANDS])

FLUSH = 16  # rows of float32 sums before they are added up in float64


class Scan(NamedTuple):
    """Sums over one pattern of n tokens; entries of `B` above its diagonal stay 0."""

    B: Float[np.ndarray, "n n"]  # the pattern without its first column and negative entries
    root: Float[np.ndarray, "8 n"]  # square roots of the last rows, row i at i % KEPT
    bands: Float[np.ndarray, "9 n"]
    sink: Float[np.ndarray, " n"]
    itself: Float[np.ndarray, " n"]
    previous: Float[np.ndarray, " n"]
    peak: Float[np.ndarray, " n"]
    far_peak: Float[np.ndarray, " n"]
    place: Float[np.ndarray, " n"]  # distance of the peak; -1 without weight
    entropy: Float[np.ndarray, " n"]
    entropy_inner: Float[np.ndarray, " n"]
    received: Float[np.ndarray, " rows"]  # weight of a key
    squares: Float[np.ndarray, " rows"]  # of a column without its diagonal
    looks: Float[np.ndarray, " rows"]  # sum over queries of rows of `root` of length 1
    row_scale: Float[np.ndarray, " rows"]  # 1 over the length of a row of `root`, or 0
    far: Float[np.ndarray, " rows"]  # the largest far weight of a row, and its last column
    far_column: Int[np.ndarray, " rows"]
    far_sums: Float[np.ndarray, " lanes"]
    lanes: Float[np.ndarray, " width"]
    beside: Float[np.ndarray, " width"]  # products of rows of `root` up to `NEAR` apart
    sums: Float[np.ndarray, "8 2"]


def scan_work(n: int) -> Scan:
    """Return a workspace for patterns of n tokens."""
    rows = panel_count(n) * WIDTH
    return Scan._make(
        (
            np.zeros((n, n), np.float32),
            np.zeros((KEPT, n), np.float32),
            np.empty((len(BANDS), n)),
            *np.zeros((8, n)),
            *np.zeros((5, rows + WIDTH), np.float32),
            np.zeros(rows, np.int32),
            np.empty(ROW_SUMS * WIDTH, np.float32),
            *np.empty((2, WIDTH), np.float32),
            np.empty((ROW_SUMS, 2)),
        )
    )


@reordered
def sum_of(x: Float[np.ndarray, " m"], start: int, end: int) -> float:
    """Return the sum of x[start:end]."""
    total = np.float32(0.0)
    for j in range(start, end):
        total += x[j]
    return float(total)


@reordered
def _clean_row(A: Float[np.ndarray, "n n"], i: int, work: Scan) -> None:
    """Write row i of `B` and `root`, and add it to the sums of the keys."""
    row, root = work.B[i], work.root[i % KEPT]
    zero = np.float32(0.0)
    for j in range(1, i + 1):
        w = max(A[i, j], zero)
        row[j] = w
        root[j] = np.sqrt(w)
        work.received[j] += w
    for j in range(1, i):
        work.squares[j] += row[j] * row[j]


@compiled
def _near_products(i: int, work: Scan) -> None:
    """Add over the near entries of row i what `far_products` adds over the far ones."""
    now, before = work.B[i], work.B[i - 1]
    root, root_before = work.root[i % KEPT], work.root[(i - 1) % KEPT]
    sums = work.sums
    start = max(1, i - NEAR)
    for j in range(start, i + 1):
        w, r = np.float64(now[j]), np.float64(root[j])
        sums[WEIGHT, 0] += w
        sums[SQUARES, 0] += w * w
        sums[DIAGONAL, 0] += before[j - 1] * w
        sums[ROOT_DIAGONAL, 0] += root_before[j - 1] * r
        if j < i:
            sums[COLUMN, 0] += before[j] * w
            sums[ROOT_COLUMN, 0] += root_before[j] * r
            sums[ROOT_ROW, 0] += r * root[j + 1]
            if j > start:
                sums[ROOT_ANTI, 0] += root_before[j] * np.float64(root[j - 1])


@compiled
def _entropy(total: float, logs: float, keys: int) -> float:
    """Return the entropy over `keys` keys from the sums of w and of w ln w: 0 to 1."""
    if keys < 2 or total <= NO_WEIGHT:
        return 0.0
    return float(max(0.0, (np.log(total) - logs / total) / np.log(keys)))


@compiled
def _peak(i: int, work: Scan) -> None:
    """Write the largest weight of row i, its distance, and the largest far weight."""
    row = work.B[i]
    far = np.float64(work.far[i]) if i > NEAR + 1 else 0.0
    peak, place = 0.0, -1
    for d in range(min(NEAR, i - 1) + 1):
        if row[i - d] > peak:
            peak, place = np.float64(row[i - d]), d
    if far > peak:
        peak, place = far, i - work.far_column[i]
    work.far_peak[i] = far
    work.peak[i] = peak
    work.place[i] = place if peak > NO_WEIGHT else -1


@compiled
def _masses(i: int, work: Scan) -> float:
    """Write the weights of row i by band, and return their sum."""
    row = work.B[i]
    total = 0.0
    for band in range(len(FIRST)):
        mass = sum_of(row, max(1, i - LAST[band]), i - FIRST[band] + 1)
        work.bands[band, i] = mass
        total += mass
    return total


@compiled
def _flush(work: Scan) -> None:
    """Add the float32 sums of the lanes to the float64 sums over far entries, and clear them."""
    for s in range(ROW_SUMS):
        for lane in range(WIDTH):
            work.sums[s, 1] += work.far_sums[s * WIDTH + lane]
    work.far_sums[:] = np.float32(0.0)


@compiled
def scan(A: Float[np.ndarray, "n n"], work: Scan) -> float:
    """Fill the workspace from a pattern, and return its weight without the first key."""
    n = len(A)
    work.sums[:] = 0.0
    work.received[:] = work.squares[:] = work.looks[:] = work.row_scale[:] = np.float32(0.0)
    work.beside[:] = work.far_sums[:] = np.float32(0.0)
    whole = 0.0
    for i in range(1, n):
        _clean_row(A, i, work)
        row = work.B[i]
        total = _masses(i, work)
        whole += total
        if i > NEAR + 1:
            far_products(work.B, work.root, i, n, work.far_sums, work.far, work.far_column)
            if i % FLUSH == 0:
                _flush(work)
        _near_products(i, work)
        _peak(i, work)
        sink = max(0.0, np.float64(A[i, 0]))
        work.sink[i], work.itself[i], work.previous[i] = sink, row[i], row[i - 1]
        sum_of_logs(work.B, i * n + 1, i, work.lanes)
        logs = 0.0
        for lane in range(WIDTH):
            logs += work.lanes[lane]
        work.entropy_inner[i] = _entropy(total, logs, i)
        if sink > 0.0:
            logs += sink * np.log(sink)
        work.entropy[i] = _entropy(total + sink, logs, i + 1)
        if i > 1:
            others = 0.0
            for band in range(1, len(FIRST)):
                others += work.bands[band, i]
            work.row_scale[i] = 1.0 / np.sqrt(others) if others > NO_WEIGHT else 0.0
            row_similarities(work.root, i, n, work.row_scale, work.looks, work.beside)
    _flush(work)
    return whole
