"""Histograms of Gram matrices on the CPU: triangles packed into panels, products, counting.

All Gram matrices here are M M^T of a lower triangular M: the rows of the pattern; its columns,
read backwards; or its rows with columns counted back from the query. So a sixth of the
multiplications of a dense product is enough, and half of the result: the other half is its
mirror. A cosine matrix of logarithms has the constant ln 1e-9 instead of zeros beyond the
triangle; what that adds to a product depends on sums along one row only, and has the sign of
the rest, so that nothing cancels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attention_motifs.features.compiled import compiled
from attention_motifs.features.definitions import HISTOGRAM_BINS, LOG_CLIP
from attention_motifs.features.simd.builder import WIDTH
from attention_motifs.features.simd.tiles import (
    FLUSH,
    PLANES,
    count_block,
    gather_panel,
    log_panel,
    panel_count,
    panel_offset,
    scan_panel,
)

if TYPE_CHECKING:
    from jaxtyping import Float, Int

ROWS, COLUMNS, OFFSETS, OFFSET_COLUMNS = range(4)
LOG_LOW = np.float32(np.log(LOG_CLIP[0]))


class GramWork(NamedTuple):
    """Memory for one pattern at a time: n^2 floats in all, plus what grows with n."""

    panels: Float[np.ndarray, " size"]
    tail: Float[np.ndarray, " size"]
    start: Float[np.ndarray, " rows"]
    scale: Float[np.ndarray, " rows"]
    squares: Float[np.ndarray, " rows"]
    masks: Int[np.ndarray, "2 2 block"]
    planes: Int[np.ndarray, " words"]
    sums: Int[np.ndarray, "32"]
    counts: Int[np.ndarray, "32"]


def gram_work(n: int) -> GramWork:
    """Return a workspace for patterns of n tokens."""
    panels = panel_count(n)
    size = panel_offset(panels)
    rows = panels * WIDTH
    return GramWork(
        panels=np.empty(size, np.float32),
        tail=np.empty(size, np.float32),
        start=np.empty(rows, np.float32),
        scale=np.empty(rows, np.float32),
        squares=np.empty(rows, np.float32),
        masks=block_masks(n),
        planes=np.zeros(PLANES * WIDTH, np.int32),
        sums=np.empty(HISTOGRAM_BINS, np.int32),
        counts=np.empty(HISTOGRAM_BINS, np.int64),
    )


def block_masks(n: int) -> Int[np.ndarray, "2 2 block"]:
    """Return the entries of a block to count: [last panel][on the diagonal][c * WIDTH + lane].

    Lanes beyond row n - 1 do not count, nor do entries on or above the diagonal.
    """
    lane, c = np.arange(WIDTH)[None, :], np.arange(WIDTH)[:, None]
    rows_in_last = n - (panel_count(n) - 1) * WIDTH
    masks = [
        [(lane < rows) & (lane > c if diagonal else lane >= 0) for diagonal in (False, True)]
        for rows in (WIDTH, rows_in_last)
    ]
    blocks = np.array([[mask + np.zeros((WIDTH, 1), bool) for mask in row] for row in masks])
    return -blocks.reshape(2, 2, WIDTH * WIDTH).astype(np.int32)


@compiled
def pack(A: Float[np.ndarray, "n n"], layout: int, work: GramWork) -> None:
    """Write the panels of the triangle M of a pattern, of which M M^T is a Gram matrix.

    ROWS: M[i, k] = A[i, k], for A A^T. COLUMNS: M[i, k] = A[n-1-k, n-1-i], for A^T A read from
    its end. OFFSETS: M[i, k] = A[i, i-k], for S(A) S(A)^T. OFFSET_COLUMNS: M[i, k] =
    A[n-1-k, i-k], for S(A)^T S(A).
    """
    n = A.shape[0]
    if layout == ROWS:
        first, row_step, column_step = 0, n, 1
    elif layout == COLUMNS:
        first, row_step, column_step = n * n - 1, -1, -n
    elif layout == OFFSETS:
        first, row_step, column_step = 0, n + 1, -1
    else:
        first, row_step, column_step = n * (n - 1), 1, -(n + 1)
    for p in range(panel_count(n)):
        panel = panel_offset(p)
        gather_panel(A, first, row_step, column_step, p * WIDTH, n, work.panels, panel)


@compiled
def log_panels(n: int, work: GramWork) -> None:
    """Replace the entries of the triangle by ln(clip(x, 1e-9, 1 - 1e-6))."""
    for p in range(panel_count(n)):
        log_panel(work.panels, panel_offset(p), p * WIDTH, n)


@compiled
def _unload_planes(work: GramWork) -> None:
    """Add the bit planes to the counts, twice (for the mirrored half), and clear them."""
    one = np.int32(1)
    work.sums[:] = 0
    for level in range(PLANES):
        shift = np.int32(level + 1)
        for lane in range(WIDTH):
            word = work.planes[level * WIDTH + lane]
            for b in range(HISTOGRAM_BINS):
                work.sums[b] += ((word >> np.int32(b)) & one) << shift
    for b in range(HISTOGRAM_BINS):
        work.counts[b] += work.sums[b]
    work.planes[:] = 0


@compiled
def _start_counts(n: int, cosine: bool, fill: np.float32, work: GramWork) -> None:
    """Write the sums along the rows, the scale of each row, and the counts of the diagonal."""
    rows = panel_count(n) * WIDTH
    beyond = fill * fill
    for i in range(rows):
        work.start[i] = beyond * np.float32(max(n - 1 - i, 0))
    for p in range(panel_count(n)):
        scan_panel(
            work.panels, panel_offset(p), p * WIDTH, fill, work.start, work.tail, work.squares
        )
    work.counts[:] = 0
    if cosine:
        for i in range(rows):
            square = work.squares[i] + work.start[i]
            inverse = np.float32(1.0) / np.sqrt(square)
            work.scale[i] = inverse if square > np.float32(0.0) else np.float32(0.0)
    else:
        work.scale[:] = np.float32(1.0)
    for i in range(n):
        value = work.squares[i]
        if cosine:
            value = np.float32(1.0) if work.scale[i] > 0 else np.float32(0.0)
        if value < 1.0:
            work.counts[int(value * np.float32(HISTOGRAM_BINS))] += 1
        else:
            work.counts[HISTOGRAM_BINS - 1] += 1


@compiled
def count_gram(n: int, cosine: bool, fill: np.float32, work: GramWork) -> None:
    """Count all n^2 entries of M M^T, clipped to [0, 1], in 32 bins, into `work.counts`.

    Args:
        n: rows of the triangle in `work.panels`.
        cosine: divide each entry by the norms of its two rows.
        fill: the value of the n - 1 - i entries that follow row i; 0 unless `cosine`.
        work: panels from `pack`; the rest is overwritten.
    """
    _start_counts(n, cosine, fill, work)
    panels = panel_count(n)
    waiting = 0
    for p in range(panels):
        last = 1 if p == panels - 1 else 0
        for q in range(p + 1):
            count_block(
                work.panels,
                p * WIDTH,
                panel_offset(p),
                q * WIDTH,
                panel_offset(q),
                work.tail,
                work.scale,
                work.masks[last, 1 if p == q else 0],
                work.planes,
            )
            waiting += 1
            if waiting == FLUSH:
                _unload_planes(work)
                waiting = 0
    _unload_planes(work)
