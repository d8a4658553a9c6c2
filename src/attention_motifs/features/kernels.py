"""CPU kernels of the sets `paper` and `skew_col`, and of the status of patterns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.features import definitions
from attention_motifs.features.compiled import compiled, reordered
from attention_motifs.features.definitions import (
    ABOVE_ONE,
    HISTOGRAM_BINS,
    HISTOGRAM_CONTEXTS,
    HISTOGRAM_STATISTICS,
    NEGATIVE,
    NOT_CAUSAL,
    NOT_FINITE,
    VALID,
    WEIGHT_TOLERANCE,
    row_sum_limit,
)
from attention_motifs.features.gram_kernels import (
    LOG_LOW,
    OFFSET_COLUMNS,
    OFFSETS,
    GramWork,
    count_gram,
    gram_work,
    log_panels,
    pack,
)
from attention_motifs.features.statistic_kernels import (
    COUNT,
    VectorWork,
    histogram_statistics,
    vector_statistics,
    vector_work,
)

if TYPE_CHECKING:
    from jaxtyping import Float, Int, Int8

INFINITE_BITS = 0x7F800000  # the bits of float32 infinity; those of NaN are larger
MAGNITUDE = np.int32(0x7FFFFFFF)
TOLERANCE_BITS = int(np.float32(WEIGHT_TOLERANCE).view(np.int32))
STEP = len(HISTOGRAM_STATISTICS)
SIZE = 2 * COUNT + len(HISTOGRAM_CONTEXTS) * STEP


@reordered
def _status(
    patterns: Float[np.ndarray, "b n n"],
    bits: Int[np.ndarray, "b n n"],
    limit: np.float32,
    out: Int8[np.ndarray, " b"],
) -> None:
    """Write the status of each pattern; NOT_FINITE where the first non-finite entry ends it.

    Magnitudes are compared as integers: the bits of float32 order like the numbers, with
    infinity and then NaN last.
    """
    count, n, _ = patterns.shape
    zero = np.int32(0)
    for p in range(count):
        largest = below = above = zero
        most = np.float32(0.0)
        for i in range(n):
            total = np.float32(0.0)
            for j in range(i + 1):
                word = bits[p, i, j]
                magnitude = np.int32(word & MAGNITUDE)
                largest = max(largest, magnitude)
                below = max(below, magnitude if word < zero else zero)
                total += patterns[p, i, j]
            most = max(most, total)
            for j in range(i + 1, n):
                above = max(above, np.int32(bits[p, i, j] & MAGNITUDE))
        if max(largest, above) >= INFINITE_BITS:
            out[p] = NOT_FINITE
        elif below > TOLERANCE_BITS:
            out[p] = NEGATIVE
        elif above > TOLERANCE_BITS:
            out[p] = NOT_CAUSAL
        else:
            out[p] = ABOVE_ONE if most > limit else VALID


def pattern_status(patterns: Float[np.ndarray, "b n n"]) -> Int8[np.ndarray, " b"]:
    """Return `definitions.pattern_status` of contiguous float32 patterns."""
    out = np.empty(len(patterns), np.int8)
    limit = np.float32(row_sum_limit(patterns.shape[1]))
    _status(patterns, patterns.view(np.int32), limit, out)
    for i in np.flatnonzero(out == NOT_FINITE):  # rare: the finite entries may be refused
        out[i] = definitions.pattern_status(patterns[i : i + 1])[0]
    return out


@compiled
def vector_columns(
    A: Float[np.ndarray, "n n"], tokens: VectorWork, row: Float[np.ndarray, " columns"]
) -> None:
    """Write the statistics of the diagonal, then those of the first column."""
    for column in range(2):
        for i in range(len(A)):
            tokens.vector[i] = A[i, 0] if column else A[i, i]
        vector_statistics(tokens)
        for s in range(COUNT):
            row[column * COUNT + s] = tokens.statistics[s]


@compiled
def paper_rows(
    patterns: Float[np.ndarray, "b n n"],
    gram: GramWork,
    tokens: VectorWork,
    bins: VectorWork,
    out: Float[np.ndarray, "b columns"],
) -> None:
    """Write the `paper` set of each pattern to the first 94 columns of `out`."""
    count, n, _ = patterns.shape
    total = n * float(n)
    for p in range(count):
        A = patterns[p]
        vector_columns(A, tokens, out[p])
        for layout in range(3):
            for logarithm in range(2):
                fill = np.float32(0.0)
                if not logarithm:
                    pack(A, layout, gram)
                else:
                    log_panels(n, gram)
                    if layout != OFFSETS:
                        fill = LOG_LOW
                count_gram(n, logarithm == 1, fill, gram)
                at = 2 * COUNT + (3 * logarithm + layout) * STEP
                histogram_statistics(gram.counts, total, bins, out[p, at : at + STEP])


def paper_features(patterns: Float[np.ndarray, "b n n"]) -> Float[np.ndarray, "b 94"]:
    """Compute the `paper` set of contiguous, finite float32 patterns."""
    out = np.empty((len(patterns), SIZE), np.float32)
    n = patterns.shape[1]
    paper_rows(patterns, gram_work(n), vector_work(n), vector_work(HISTOGRAM_BINS), out)
    return out


@compiled
def _skew_col_rows(
    patterns: Float[np.ndarray, "b n n"],
    gram: GramWork,
    bins: VectorWork,
    out: Float[np.ndarray, "b 11"],
) -> None:
    count, n, _ = patterns.shape
    for p in range(count):
        pack(patterns[p], OFFSET_COLUMNS, gram)
        count_gram(n, False, np.float32(0.0), gram)
        histogram_statistics(gram.counts, n * float(n), bins, out[p])


def skew_col_features(patterns: Float[np.ndarray, "b n n"]) -> Float[np.ndarray, "b 11"]:
    """Compute the `skew_col` set of contiguous, finite float32 patterns."""
    out = np.empty((len(patterns), STEP), np.float32)
    _skew_col_rows(patterns, gram_work(patterns.shape[1]), vector_work(HISTOGRAM_BINS), out)
    return out
