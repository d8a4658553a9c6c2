"""CPU kernel of the set `paper2`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attention_motifs.features.compiled import compiled, reordered
from attention_motifs.features.definitions import CONSTANT_SPREAD, HISTOGRAM_BINS
from attention_motifs.features.gram_kernels import gram_work
from attention_motifs.features.kernels import SIZE as PAPER_SIZE
from attention_motifs.features.kernels import paper_rows
from attention_motifs.features.paper2_definitions import CONTEXTS, DECIMALS, band_reach
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
    from jaxtyping import Float, Int

N_CONTEXTS = len(CONTEXTS)
LAST_TOK, PREV_TOK, ROW_ENTROPY, ATTN_DISTANCE, ROW_MAX, COL_SUM = range(N_CONTEXTS)
SIZE = PAPER_SIZE + N_CONTEXTS * COUNT + 1
LOW_BITS, ONE_BITS, ROOT_BITS = (
    np.int32(np.float32(x).view(np.int32)) for x in (1e-9, 1.0, 0.5**0.5)
)
MANTISSA = np.int32(0x7FFFFF)
ULP = 2.0**-23
LN_2 = float(np.log(2.0))
SCALE = 10.0**DECIMALS
# Power of its scale by which each statistic of a vector grows.
DEGREES = np.array(
    [
        {VARIANCE: 2, ENERGY: 2, POWER: 2}.get(
            s, int(s in (MEAN, MEDIAN, RMS, L2_NORM, SLOPE, INTERCEPT))
        )
        for s in range(COUNT)
    ]
)
BLOCK = 16
"""Rows are padded with zeros to a multiple of so many weights: the compiler's vector code is slow
for the rest of a row."""


class _Memory(NamedTuple):
    """A padded row and the largest weight of each row, as numbers and as their bits."""

    row: Float[np.ndarray, " padded"]
    words: Int[np.ndarray, " padded"]
    peaks: Float[np.ndarray, " n"]
    peak_bits: Int[np.ndarray, " n"]


def _memory(n: int) -> _Memory:
    row, peaks = np.zeros((n // BLOCK + 1) * BLOCK, np.float32), np.zeros(n, np.float32)
    return _Memory(row, row.view(np.int32), peaks, peaks.view(np.int32))


@reordered
def _log(bits: np.int32) -> float:
    """Return the natural logarithm of a float32 given by its bits, clipped to [1e-9, 1].

    The number is 2^e (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2), and ln(1 + f) is
    2 artanh(f / (2 + f)), whose series has an error below 1e-13 here. Unlike the library's, this
    logarithm is computed for several weights at once.
    """
    shifted = max(LOW_BITS, min(ONE_BITS, bits)) - ROOT_BITS
    units = np.float64((shifted & MANTISSA) + (ROOT_BITS - ONE_BITS))
    f = units * (ULP if units >= 0.0 else 0.5 * ULP)  # below 1 a float32 has finer units
    s = f / (2.0 + f)
    q = s * s
    series = 1.0 / 15.0
    series = series * q + 1.0 / 13.0
    series = series * q + 1.0 / 11.0
    series = series * q + 1.0 / 9.0
    series = series * q + 1.0 / 7.0
    series = series * q + 1.0 / 5.0
    series = series * q + 1.0 / 3.0
    series = series * q + 1.0
    return (shifted >> 23) * LN_2 + 2.0 * s * series


@reordered
def _row_sums(
    row: Float[np.ndarray, " padded"], words: Int[np.ndarray, " padded"], i: int
) -> tuple[float, float, float]:
    """Return entropy, mean distance and weight of query i; `words` are the bits of `row`."""
    padded = (i // BLOCK + 1) * BLOCK
    entropy = distance = weight = 0.0
    for j in range(padded):
        entropy -= np.float64(row[j]) * _log(words[j])
    for j in range(padded):
        distance += np.float64(row[j]) * (i - j)
        weight += np.float64(row[j])
    return entropy, distance, weight


@reordered
def _largest_bits(words: Int[np.ndarray, " padded"], i: int) -> int:
    """Return the bits of the largest weight of query i.

    Bits of numbers that are not negative are ordered as the numbers are, and integers are compared
    several at once.
    """
    largest = np.int32(0)
    for j in range((i // BLOCK + 1) * BLOCK):
        largest = max(largest, words[j])
    return largest


@reordered
def _sum_of(row: Float[np.ndarray, " padded"], start: int, end: int) -> float:
    total = 0.0
    for j in range(start, end):
        total += np.float64(row[j])
    return total


@reordered
def _rounded(x: float) -> float:
    return np.rint(x * SCALE) / SCALE


@reordered
def _fill(
    A: Float[np.ndarray, "n n"],
    reach: int,
    memory: _Memory,
    vectors: Float[np.ndarray, "6 n"],
) -> float:
    """Write the vectors of a pattern, and return the share of its weight near the diagonal.

    Args:
        A: the pattern.
        reach: largest distance from the diagonal that counts as near it.
        memory: for patterns of n tokens.
        vectors: a row per context; the last entry of `prev_tok` is not used.
    """
    n = len(A)
    row, words = memory.row, memory.words
    received = vectors[COL_SUM]
    near = total = 0.0
    for j in range(len(row)):
        row[j] = np.float32(0.0)
    for j in range(n):
        vectors[LAST_TOK, j] = received[j] = 0.0
    vectors[LAST_TOK, n - 1] = A[n - 1, n - 1]
    for i in range(n):
        for j in range(i + 1):
            row[j] = A[i, j]
        for j in range(i + 1):
            received[j] += row[j]
        entropy, distance, weight = _row_sums(row, words, i)
        memory.peak_bits[i] = _largest_bits(words, i)
        total += weight
        near += weight if i <= reach else _sum_of(row, i - reach, i + 1)
        if i > 0:
            vectors[PREV_TOK, i - 1] = row[i - 1]
        vectors[ROW_ENTROPY, i] = _rounded(entropy)
        vectors[ATTN_DISTANCE, i] = _rounded(distance)
    for j in range(n):
        received[j] = _rounded(received[j])
        vectors[ROW_MAX, j] = memory.peaks[j]
    return near / total if total > 0.0 else 0.0


@compiled
def _scaled(unit: Float[np.ndarray, "14"], last: float, out: Float[np.ndarray, "14"]) -> None:
    """Write the statistics of a vector that is zero but for its last entry.

    They are those of the vector with a last entry of 1, times a power of the entry.

    Args:
        unit: statistics of that vector.
        last: the entry.
        out: the statistics.
    """
    constant = abs(last) <= CONSTANT_SPREAD
    for s in range(COUNT):
        degree = DEGREES[s]
        factor = 1.0 if degree == 0 else last if degree == 1 else last * last
        varies = degree == 0 or s in (VARIANCE, POWER, SLOPE)
        out[s] = 0.0 if constant and varies else unit[s] * factor
    if constant:
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
