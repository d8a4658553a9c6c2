"""CPU kernel of the set `paper2`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.features.compiled import compiled, reordered
from attention_motifs.features.kernels import paper_features
from attention_motifs.features.statistic_kernels import (
    COUNT,
    VectorWork,
    vector_statistics,
    vector_work,
)

if TYPE_CHECKING:
    from jaxtyping import Float, Int

N_CONTEXTS = 6
SIZE = N_CONTEXTS * COUNT + 1
LOW_BITS, ONE_BITS = (np.int32(np.float32(x).view(np.int32)) for x in (1e-9, 1.0))
MANTISSA = np.int32(0x7FFFFF)
LN_2 = float(np.log(2.0))
_SCALE = 1e9


@compiled
def _rounded(value: float) -> float:
    return float(np.rint(value * _SCALE) / _SCALE)


@reordered
def _log(bits: np.int32) -> float:
    """Return the natural logarithm of a float32 given by its bits, clipped to [1e-9, 1].

    ln(1 + f) is 2 artanh(f / (2 + f)), whose series has an error below 1e-12 here. Unlike the
    library's, this logarithm is computed for several weights at once.
    """
    clipped = max(LOW_BITS, min(ONE_BITS, bits))
    fraction = (clipped & MANTISSA) * (1.0 / (MANTISSA + 1.0))
    s = fraction / (2.0 + fraction)
    q = s * s
    series = 1.0 / 23.0
    series = series * q + 1.0 / 21.0
    series = series * q + 1.0 / 19.0
    series = series * q + 1.0 / 17.0
    series = series * q + 1.0 / 15.0
    series = series * q + 1.0 / 13.0
    series = series * q + 1.0 / 11.0
    series = series * q + 1.0 / 9.0
    series = series * q + 1.0 / 7.0
    series = series * q + 1.0 / 5.0
    series = series * q + 1.0 / 3.0
    series = series * q + 1.0
    return ((clipped >> 23) - 127) * LN_2 + 2.0 * s * series


@reordered
def _fill(
    A: Float[np.ndarray, "n n"], bits: Int[np.ndarray, "n n"], vectors: Float[np.ndarray, "6 n"]
) -> float:
    """Write the vectors of a pattern; return the share of its weight near the diagonal."""
    n = len(A)
    reach = n // 4
    near = total = 0.0
    vectors[:] = 0.0
    vectors[0, n - 1] = A[n - 1, n - 1]
    for i in range(n):
        entropy = distance = 0.0
        largest = np.float32(0.0)
        if i > 0:
            vectors[1, i - 1] = A[i, i - 1]
        for j in range(i + 1):
            weight = np.float64(A[i, j])
            entropy -= weight * _log(bits[i, j])
            distance += weight * (i - j)
            total += weight
            vectors[5, j] += weight
            largest = max(largest, A[i, j])
        for j in range(max(0, i - reach), i + 1):
            near += A[i, j]
        vectors[2, i] = _rounded(entropy)
        vectors[3, i] = _rounded(distance)
        vectors[4, i] = largest
    for i in range(n):
        vectors[5, i] = _rounded(vectors[5, i])
    return near / total if total > 0.0 else 0.0


@compiled
def _rows(
    patterns: Float[np.ndarray, "b n n"],
    bits: Int[np.ndarray, "b n n"],
    vectors: Float[np.ndarray, "6 n"],
    work: VectorWork,
    shorter: VectorWork,
    out: Float[np.ndarray, "b 85"],
) -> None:
    for p in range(len(patterns)):
        share = _fill(patterns[p], bits[p], vectors)
        for context in range(N_CONTEXTS):
            used = shorter if context == 1 else work
            for i in range(len(used.vector)):
                used.vector[i] = vectors[context, i]
            vector_statistics(used)
            for s in range(COUNT):
                out[p, context * COUNT + s] = used.statistics[s]
        out[p, SIZE - 1] = share


def paper2_features(patterns: Float[np.ndarray, "b n n"]) -> Float[np.ndarray, "b 179"]:
    """Compute the `paper2` set of contiguous, finite float32 patterns."""
    n = patterns.shape[1]
    out = np.empty((len(patterns), SIZE), np.float32)
    vectors, work = np.zeros((N_CONTEXTS, n)), vector_work(n)
    _rows(patterns, patterns.view(np.int32), vectors, work, vector_work(max(1, n - 1)), out)
    return np.concatenate([paper_features(patterns), out], axis=1)
