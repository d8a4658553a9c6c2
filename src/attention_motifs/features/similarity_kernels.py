"""CPU kernels of the similarities of keys and of queries in `extended`.

With B' the pattern without its first column and its diagonal, F its far part, U the columns of B'
and R the rows of sqrt(B') scaled to length 1, the similarities of keys are U^T U and those of
queries R R^T. Only their sums over F, shifted by a token, are needed:

    sum_lk F[l, k] (U^T U)[l + s, k] = sum_ql U[q, l + s] (U F^T)[q, l],
    sum_lk F[l, k] (R R^T)[l, k + s] = sum_lk F[l, k - s] (R R^T)[l, k],

so that two products of triangles are enough, half of each. Means over all far places follow from
sums of rows less the four nearest diagonals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attention_motifs.features.compiled import compiled
from attention_motifs.features.extended_definitions import NEAR, NO_WEIGHT
from attention_motifs.features.extended_scan import Scan
from attention_motifs.features.simd.builder import WIDTH
from attention_motifs.features.simd.rows import (
    WEIGHT,
    alike_panels,
    column_similarities,
    weigh_block,
)
from attention_motifs.features.simd.tiles import panel_count, panel_offset

if TYPE_CHECKING:
    from jaxtyping import Float

ALIKE_FEATURES = 9


class AlikeWork(NamedTuple):
    """Triangles in panels, and factors by key and by query, for one pattern of n tokens."""

    off: Float[np.ndarray, " weights"]  # one panel of B'
    far: Float[np.ndarray, " size"]  # F, its columns scaled as those of U
    root: Float[np.ndarray, " size"]  # sqrt(B')
    by_key: Float[np.ndarray, " weights"]  # one panel of U, a column of zeros on either side
    by_query: Float[np.ndarray, " weights"]  # one panel of F, its rows scaled as those of R
    column_scale: Float[np.ndarray, " rows"]
    ones: Float[np.ndarray, " rows"]
    key_sums: Float[np.ndarray, " lanes"]
    query_sums: Float[np.ndarray, " lanes"]
    row_sums: Float[np.ndarray, " lanes"]
    sums: Float[np.ndarray, "2 3"]


def alike_work(n: int) -> AlikeWork:
    """Return a workspace for patterns of n tokens."""
    panels = panel_count(n)
    rows = panels * WIDTH
    return AlikeWork._make(
        (
            np.empty(rows * WIDTH, np.float32),
            *np.empty((2, panel_offset(panels)), np.float32),
            *np.zeros((2, (rows + 2) * WIDTH), np.float32),
            np.zeros(rows, np.float32),
            np.ones(rows, np.float32),
            *np.empty((3, 3 * WIDTH), np.float32),
            np.empty((2, 3)),
        )
    )


@compiled
def _weigh(scanned: Scan, work: AlikeWork) -> None:
    """Sum similarities, weighted by far weights shifted by -1, 0 and 1, into `work.sums`."""
    n = len(scanned.B)
    work.sums[:] = 0.0
    for p in range(panel_count(n)):
        at = panel_offset(p)
        alike_panels(
            scanned.B, p * WIDTH, n, work.column_scale, scanned.row_scale, at,
            work.off, work.far, work.root, work.by_key, work.by_query,
        )  # fmt: skip
        work.key_sums[:] = work.query_sums[:] = np.float32(0.0)
        for q in range(p + 1):
            from_, of = q * WIDTH, panel_offset(q)
            weigh_block(work.off, 0, work.far, from_, of, work.ones, work.by_key, work.key_sums)
            weigh_block(
                work.root, at, work.root, from_, of, scanned.row_scale, work.by_query,
                work.query_sums,
            )  # fmt: skip
        for s in range(3):
            for lane in range(WIDTH):
                work.sums[0, s] += work.key_sums[s * WIDTH + lane]
                # The key before the attended one is one column before its weight.
                work.sums[1, 2 - s] += work.query_sums[s * WIDTH + lane]


@compiled
def _means(scanned: Scan, work: AlikeWork) -> tuple[float, float]:
    """Return the mean similarity of keys, and of queries, over all far entries."""
    n = len(scanned.B)
    keys = queries = 0.0
    work.row_sums[:] = np.float32(0.0)
    for q in range(2, n):
        column_similarities(scanned.B, q, n, work.column_scale, work.row_sums)
        total = 0.0
        for lane in range(WIDTH):
            total += work.row_sums[lane]
        keys += 0.5 * total * total
        queries -= 0.5 if scanned.row_scale[q] > 0.0 else 0.0
    for lane in range(WIDTH):
        keys -= 0.5 * work.row_sums[WIDTH + lane] + work.row_sums[2 * WIDTH + lane]
        queries -= scanned.beside[lane]
    for j in range(1, n):
        queries += 0.5 * np.float64(scanned.looks[j]) ** 2
    pairs = 0.5 * (n - NEAR) * (n - NEAR - 1)
    return keys / pairs, queries / pairs


@compiled
def alike_features(scanned: Scan, work: AlikeWork, out: Float[np.ndarray, "9"]) -> None:
    """Write `extended_definitions.alike_features` of a scanned pattern."""
    n = len(scanned.B)
    out[:] = 0.0
    weight = scanned.sums[WEIGHT, 1]
    if weight <= NO_WEIGHT:
        return
    for j in range(n):
        square = np.float64(scanned.squares[j])
        scale = 1.0 / np.sqrt(square) if square > NO_WEIGHT * NO_WEIGHT else 0.0
        work.column_scale[j] = scale
    _weigh(scanned, work)
    keys, queries = _means(scanned, work)
    for s in range(3):
        out[s] = work.sums[0, s] / weight
        out[3 + s] = out[s] - keys
        out[6 + s] = work.sums[1, s] / weight - queries
