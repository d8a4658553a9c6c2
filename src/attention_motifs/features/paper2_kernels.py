"""CPU kernel of the set `paper2`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attention_motifs.features.compiled import compiled
from attention_motifs.features.definitions import CONSTANT_SPREAD, HISTOGRAM_BINS
from attention_motifs.features.gram_kernels import gram_work
from attention_motifs.features.kernels import SIZE as PAPER_SIZE
from attention_motifs.features.kernels import paper_rows
from attention_motifs.features.paper2_definitions import (
    CONTEXTS,
    DECIMALS,
    ENTROPY_DECIMALS,
    band_reach,
)
from attention_motifs.features.simd.builder import WIDTH
from attention_motifs.features.simd.rows import sums_of_row
from attention_motifs.features.statistic_kernels import (
    COUNT,
    ENERGY,
    INTERCEPT,
    L2_NORM,
    MEAN,
    MEDIAN,
    POWER,
    RMS,
    SLOPE,
    VARIANCE,
    VectorWork,
    vector_statistics,
    vector_work,
)

if TYPE_CHECKING:
    from jaxtyping import Float

N_CONTEXTS = len(CONTEXTS)
LAST_TOK, PREV_TOK, ROW_ENTROPY, ATTN_DISTANCE, ROW_MAX, COL_SUM = range(N_CONTEXTS)
SIZE = PAPER_SIZE + N_CONTEXTS * COUNT + 1
SCALE, ENTROPY_SCALE = 10.0**DECIMALS, 10.0**ENTROPY_DECIMALS
LINEAR = np.array([MEAN, MEDIAN, RMS, L2_NORM, SLOPE, INTERCEPT])
QUADRATIC = np.array([VARIANCE, ENERGY, POWER])
"""Statistics that grow as a vector does, and as its square; the others do not grow."""


class _Memory(NamedTuple):
    """Sums over the rows of a pattern, with as many places as whole vectors need."""

    received: Float[np.ndarray, " places"]
    near: Float[np.ndarray, " width"]


def _memory(n: int) -> _Memory:
    return _Memory(np.zeros(-(-n // WIDTH) * WIDTH), np.zeros(WIDTH))


@compiled
def _fill(
    A: Float[np.ndarray, "n n"], reach: int, memory: _Memory, vectors: Float[np.ndarray, "6 n"]
) -> float:
    """Write the vectors of a pattern, and return the share of its weight near the diagonal.

    Args:
        A: the pattern.
        reach: largest distance from the diagonal that counts as near it.
        memory: for patterns of n tokens.
        vectors: a row per context; the last entry of `prev_tok` is not used.
    """
    n = len(A)
    received = memory.received
    received[:] = 0.0
    memory.near[:] = 0.0
    entropy, distance = vectors[ROW_ENTROPY], vectors[ATTN_DISTANCE]
    for i in range(n):
        sums_of_row(A, i, n, reach, received, memory.near, entropy, distance, vectors[ROW_MAX])
    total = 0.0
    for i in range(n):
        total += received[i]
        vectors[COL_SUM, i] = np.rint(received[i] * SCALE) / SCALE
        entropy[i] = np.rint(entropy[i] * ENTROPY_SCALE) / ENTROPY_SCALE
        distance[i] = np.rint(distance[i] * SCALE) / SCALE
        vectors[LAST_TOK, i] = 0.0
        vectors[PREV_TOK, i] = A[i + 1, i] if i < n - 1 else np.float32(0.0)
    vectors[LAST_TOK, n - 1] = A[n - 1, n - 1]
    return memory.near.sum() / total if total > 0.0 else 0.0


@compiled
def _scaled(unit: Float[np.ndarray, "14"], last: float, out: Float[np.ndarray, "14"]) -> None:
    """Write the statistics of a vector that is zero but for its last entry.

    Args:
        unit: statistics of the vector whose last entry is 1.
        last: the entry.
        out: the statistics.
    """
    constant = abs(last) <= CONSTANT_SPREAD
    for s in range(COUNT):
        out[s] = 0.0 if constant else unit[s]
    for s in LINEAR:
        out[s] = unit[s] * last
    for s in QUADRATIC:
        out[s] = unit[s] * last * last
    if constant:
        out[VARIANCE] = out[POWER] = out[SLOPE] = 0.0
        out[INTERCEPT] = out[MEAN]


@compiled
def _new_rows(
    patterns: Float[np.ndarray, "b n n"],
    reach: int,
    memory: _Memory,
    vectors: Float[np.ndarray, "6 n"],
    work: VectorWork,
    shorter: VectorWork,
    out: Float[np.ndarray, "b 179"],
) -> None:
    n = patterns.shape[1]
    last = np.zeros(COUNT)
    unit = np.zeros(COUNT)
    work.vector[:] = 0.0
    work.vector[n - 1] = 1.0
    vector_statistics(work)
    unit[:] = work.statistics
    for p in range(len(patterns)):
        share = _fill(patterns[p], reach, memory, vectors)
        _scaled(unit, vectors[LAST_TOK, n - 1], last)
        for s in range(COUNT):
            out[p, PAPER_SIZE + s] = last[s]
        for context in range(PREV_TOK, N_CONTEXTS):
            used = shorter if context == PREV_TOK else work
            for i in range(len(used.vector)):
                used.vector[i] = vectors[context, i]
            vector_statistics(used)
            for s in range(COUNT):
                out[p, PAPER_SIZE + context * COUNT + s] = used.statistics[s]
        out[p, SIZE - 1] = share


def paper2_features(patterns: Float[np.ndarray, "b n n"]) -> Float[np.ndarray, "b 179"]:
    """Compute the `paper2` set of contiguous, finite float32 patterns."""
    n = patterns.shape[1]
    out = np.empty((len(patterns), SIZE), np.float32)
    work = vector_work(n)
    paper_rows(patterns, gram_work(n), work, vector_work(HISTOGRAM_BINS), out)
    vectors, shorter = np.zeros((N_CONTEXTS, n)), vector_work(max(1, n - 1))
    _new_rows(patterns, band_reach(n), _memory(n), vectors, work, shorter, out)
    return out
