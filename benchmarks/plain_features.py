"""The set `paper` without hand-written vector code: products by BLAS, histograms by plain numba.

The plain form follows the triangles in blocks of columns (a third of the multiplications of a
dense product) by batched products of torch, and counts their entries in a compiled loop. Both
forms run on the same random patterns on one thread, in interleaved rounds. Seconds are those of
the processor, so that other load on the machine matters little. Prints a table.

    python benchmarks/plain_features.py
    python benchmarks/plain_features.py --lengths 128 --rounds 10
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from typing import Any

import numba
import numpy as np
import torch

from attention_motifs.features import kernels
from attention_motifs.features.definitions import (
    HISTOGRAM_BINS,
    HISTOGRAM_STATISTICS,
    LOG_CLIP,
    VECTOR_STATISTICS,
)
from attention_motifs.features.statistic_kernels import (
    histogram_statistics,
    vector_statistics,
    vector_work,
)
from features import random_patterns

COUNTERS = 8  # of each bin: neighbours rarely wait for one another
TOP, BINS = np.float32(HISTOGRAM_BINS - 1), np.float32(HISTOGRAM_BINS)
VECTORS, GRAMS = 2, 6


@numba.njit(nogil=True)  # type: ignore[untyped-decorator]
def align(A: np.ndarray, out: np.ndarray) -> None:
    """Write S(A) with its columns reversed: out[p, i, d] = A[p, i, i - d]."""
    for p in range(A.shape[0]):
        for i in range(A.shape[1]):
            for d in range(i + 1):
                out[p, i, d] = A[p, i, i - d]


@numba.njit(nogil=True, error_model="numpy", fastmath={"contract", "nsz", "nnan"})  # type: ignore[untyped-decorator]
def count(
    G: np.ndarray, row: int, column: int, scale: np.ndarray, counts: np.ndarray, bins: np.ndarray
) -> None:
    """Count the entries of blocks (b, m, k) of Gram matrices on and below the diagonal.

    The blocks start at `row` and `column`; entries off the diagonal count twice.
    """
    for p in range(G.shape[0]):
        for r in range(G.shape[1]):
            i = row + r
            end = min(G.shape[2], i - column + 1)
            for c in range(end):
                value = G[p, r, c] * scale[p, i] * scale[p, column + c] * BINS
                bins[c] = np.int32(min(max(value, np.float32(0)), TOP))
            for c in range(end):
                counts[p, c & (COUNTERS - 1), np.uint64(bins[c])] += 2
            if column + end == i + 1:
                counts[p, (end - 1) & (COUNTERS - 1), np.uint64(bins[end - 1])] -= 1


@numba.njit(nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def statistics_of(
    A: np.ndarray, counts: np.ndarray, tokens: Any, bins: Any, out: np.ndarray
) -> None:
    """Write the statistics of the two vectors and of the six histograms."""
    one = np.empty(HISTOGRAM_BINS, np.int64)
    width, step = len(VECTOR_STATISTICS), len(HISTOGRAM_STATISTICS)
    n = A.shape[1]
    for p in range(A.shape[0]):
        for v in range(VECTORS):
            for i in range(n):
                tokens.vector[i] = A[p, i, 0] if v else A[p, i, i]
            vector_statistics(tokens)
            out[p, v * width : (v + 1) * width] = tokens.statistics
        for g in range(GRAMS):
            one[:] = counts[g, p].sum(axis=0)
            at = VECTORS * width + g * step
            histogram_statistics(one, n * float(n), bins, out[p, at : at + step])


def plain_features(patterns: np.ndarray) -> np.ndarray:
    """Compute the `paper` set of (b, n, n) float32 patterns."""
    b, n, _ = patterns.shape
    A = torch.from_numpy(patterns)
    L = A.clamp(min=LOG_CLIP[0]).log_().clamp_(max=float(np.log(LOG_CLIP[1])))
    S, LS = torch.zeros_like(A), torch.zeros_like(A)
    align(patterns, S.numpy())
    align(L.numpy(), LS.numpy())
    ones = np.ones((b, n), np.float32)
    counts = np.zeros((GRAMS, b, COUNTERS, HISTOGRAM_BINS), np.int64)
    bins = np.empty(n, np.int32)
    size = min(128, max(16, -(-n // 4)))

    def inverse_norms(X: torch.Tensor, dim: int) -> np.ndarray:
        norm = X.square().sum(dim=dim).sqrt_()
        inverse: np.ndarray = torch.where(norm > 0, 1 / norm, 0.0).numpy()
        return inverse

    # Lower triangles: of a block of columns, the first q + size columns of X hold all.
    for g, X, scale in ((0, A, ones), (2, S, ones), (5, LS, inverse_norms(LS, 2))):
        for q in range(0, n, size):
            block = torch.bmm(X[:, q:, : q + size], X[:, q : q + size, : q + size].mT)
            count(block.numpy(), q, q, scale, counts[g], bins)
    for q in range(0, n, size):  # of A^T A, the rows from q on hold all
        block = torch.bmm(A[:, q:, q : q + size].mT, A[:, q:, : q + size])
        count(block.numpy(), q, 0, ones, counts[1], bins)
    # Not zero above the diagonal.
    for g, X, scale in ((3, L, inverse_norms(L, 2)), (4, L.mT, inverse_norms(L, 1))):
        for q in range(0, n, size):
            block = torch.bmm(X[:, q:], X[:, q : q + size].mT)
            count(block.numpy(), q, q, scale, counts[g], bins)
    out = np.empty((b, len(VECTOR_STATISTICS) * VECTORS + len(HISTOGRAM_STATISTICS) * GRAMS))
    statistics_of(patterns, counts, vector_work(n), vector_work(HISTOGRAM_BINS), out)
    return out


def main() -> None:
    """Parse the arguments, measure, and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lengths", type=int, nargs="+", default=[64, 128, 256, 512])
    parser.add_argument("--rounds", type=int, default=40)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("microseconds of one processor per pattern, fastest round; load", os.getloadavg()[0])
    for n in arguments.lengths:
        patterns = random_patterns(max(1, (1 << 18) // n**2), n)
        forms = {"vector code": kernels.paper_features, "plain": plain_features}
        rows = {name: form(patterns) for name, form in forms.items()}
        error = np.abs(rows["plain"] - rows["vector code"]) / np.maximum(
            np.abs(rows["vector code"]), 1e-3
        )
        seconds: dict[str, list[float]] = {name: [] for name in forms}
        for _ in range(arguments.rounds):
            for name, form in forms.items():
                started = time.process_time()
                form(patterns)
                seconds[name].append(time.process_time() - started)
        ratios = [p / v for v, p in zip(seconds["vector code"], seconds["plain"], strict=True)]
        fastest = {name: min(values) / len(patterns) * 1e6 for name, values in seconds.items()}
        print(
            f"n = {n}: vector code {fastest['vector code']:.0f}, plain {fastest['plain']:.0f}; "
            f"ratio {fastest['plain'] / fastest['vector code']:.2f}, median of the rounds "
            f"{statistics.median(ratios):.2f}; median difference {np.median(error):.1e}"
        )


if __name__ == "__main__":
    main()
