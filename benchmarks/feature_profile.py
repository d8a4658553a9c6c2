"""Time of the parts of the feature sets `paper` and `extended`, on one thread, and its limit.

The compiled parts are run alone, many times over, on one random causal pattern of each length: the
gathering of the triangles, the products of rows, the counting of their histogram, logarithms and
sums along rows, the statistics. Beside them stand what the machine does at best: dense float32
products by BLAS, and copying in memory. Prints tables and writes JSON.

    python benchmarks/feature_profile.py
    python benchmarks/feature_profile.py --lengths 64 128
"""
# ruff: noqa: ARG001 (numba reads the arguments of an intrinsic from its signature)

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic
from threadpoolctl import threadpool_limits

from attention_motifs.features import extended_kernels, kernels
from attention_motifs.features.extended_scan import scan, scan_work
from attention_motifs.features.gram_kernels import count_gram, gram_work, log_panels, pack
from attention_motifs.features.simd.builder import INDEX, WIDTH, emitted
from attention_motifs.features.simd.tiles import panel_count, panel_offset, products_of_block
from attention_motifs.features.similarity_kernels import ALIKE_FEATURES, alike_features, alike_work
from attention_motifs.features.statistic_kernels import (
    histogram_statistics,
    vector_statistics,
    vector_work,
)
from features import blas, random_patterns

LAYOUTS, GRAMS, VECTORS = 3, 6, 2
LARGE = 1 << 26  # bytes that no cache holds


def main() -> None:
    """Parse the arguments, measure, print tables and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lengths", type=int, nargs="+", default=[64, 128, 256, 512])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "feature_profile.json"
    )
    arguments = parser.parse_args()
    with threadpool_limits(1, "blas"):
        result: dict[str, Any] = {"blas": blas(), "gigabytes_per_second_copied": copying()}
        print(
            f"copying in memory: {result['gigabytes_per_second_copied']:.1f} GB/s read and written"
        )
        result["lengths"] = [one_length(n, arguments.rounds) for n in arguments.lengths]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def best(run: Callable[[], object], rounds: int) -> float:
    """Seconds of the fastest of some rounds, after one that compiles and warms up."""
    seconds = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:])


def copying() -> float:
    """Gigabytes read and written per second, on one thread."""
    source = np.ones(LARGE // 4, np.float32)
    target = np.empty_like(source)
    return 2 * LARGE / best(lambda: np.copyto(target, source), 9) / 1e9


@intrinsic  # type: ignore[untyped-decorator]
def block_of_products(
    typingctx: Any, panels: Any, i_panel: Any, j: Any, j_panel: Any, out: Any
) -> Any:
    """The products of one block of a Gram matrix, added up so that none can be left out."""

    def emit(code: Any, M: Any, i_panel: Any, j: Any, j_panel: Any, out: Any) -> None:
        depth = code.b.add(j, INDEX(WIDTH))
        sums = products_of_block(code, code.b.gep(M, [i_panel]), code.b.gep(M, [j_panel]), depth)
        total = sums[0]
        for value in sums[1:]:
            total = code.b.fadd(total, value)
        code.store(total, out, INDEX(0))

    return emitted(emit, panels, types.intp, types.intp, types.intp, out)


@numba.njit  # type: ignore[untyped-decorator]
def products(n: int, gram: Any, times: int) -> None:
    """All blocks of one Gram matrix, without their histogram."""
    for _ in range(times):
        for p in range(panel_count(n)):
            for q in range(p + 1):
                block_of_products(
                    gram.panels, panel_offset(p), q * WIDTH, panel_offset(q), gram.start
                )


@numba.njit  # type: ignore[untyped-decorator]
def gathering(A: np.ndarray, gram: Any, times: int) -> None:
    """The triangle in each of its layouts."""
    for _ in range(times):
        for layout in range(LAYOUTS):
            pack(A, layout, gram)


@numba.njit  # type: ignore[untyped-decorator]
def logarithms(A: np.ndarray, gram: Any, times: int) -> None:
    """The triangle's logarithms in each layout; packed before, or it would be logs of logs."""
    for _ in range(times):
        for layout in range(LAYOUTS):
            pack(A, layout, gram)
            log_panels(len(A), gram)


@numba.njit  # type: ignore[untyped-decorator]
def grams(n: int, gram: Any, times: int) -> None:
    """Sums along rows, products and histogram of a Gram matrix."""
    for _ in range(times):
        count_gram(n, True, np.float32(-20.0), gram)


@numba.njit  # type: ignore[untyped-decorator]
def of_vectors(work: Any, times: int) -> None:
    """The statistics of a vector."""
    for _ in range(times):
        vector_statistics(work)


@numba.njit  # type: ignore[untyped-decorator]
def of_histograms(counts: np.ndarray, total: float, work: Any, out: np.ndarray, times: int) -> None:
    """The statistics of a histogram."""
    for _ in range(times):
        histogram_statistics(counts, total, work, out)


@numba.njit  # type: ignore[untyped-decorator]
def scans(A: np.ndarray, work: Any, times: int) -> None:
    """The pass over the triangle that most of `extended` needs."""
    for _ in range(times):
        scan(A, work)


@numba.njit  # type: ignore[untyped-decorator]
def alikes(A: np.ndarray, work: Any, alike: Any, out: np.ndarray, times: int) -> None:
    """The same pass, then the similarities of keys and of queries: two triangular products."""
    for _ in range(times):
        scan(A, work)
        alike_features(work, alike, out)


def one_length(n: int, rounds: int) -> dict[str, Any]:
    """Microseconds per pattern of every part, and the rates that they reach."""
    patterns = random_patterns(max(2, (1 << 18) // n**2), n)
    A, times = patterns[0], max(2, (1 << 21) // n**2)
    gram, tokens, bins = gram_work(n), vector_work(n), vector_work(32)
    pack(A, 0, gram)
    tokens.vector[:] = A[:, 0]
    count_gram(n, False, np.float32(0), gram)
    scanned, alike, row = scan_work(n), alike_work(n), np.empty(32)

    def micros(run: Callable[[int], object]) -> float:
        return best(lambda: run(times), rounds) / times * 1e6

    packed = micros(lambda k: gathering(A, gram, k))
    logs = micros(lambda k: logarithms(A, gram, k)) - packed
    pack(A, 0, gram)
    product = GRAMS * micros(lambda k: products(n, gram, k))
    counted = GRAMS * micros(lambda k: grams(n, gram, k))
    total = n * float(n)
    parts = {
        "gathering triangles": packed,
        "logarithms": logs,
        "products": product,
        "sums along rows, histograms": counted - product,
        "statistics of two vectors": VECTORS * micros(lambda k: of_vectors(tokens, k)),
        "statistics of six histograms": GRAMS
        * micros(lambda k: of_histograms(gram.counts, total, bins, row, k)),
    }
    count = len(patterns)
    paper = best(lambda: kernels.paper_features(patterns), rounds) / count * 1e6
    extended = best(lambda: extended_kernels.extended_features(patterns), rounds) / count * 1e6
    out = np.empty((n, n), np.float32)
    dense = best(lambda: [np.matmul(x, x, out=out) for x in patterns], rounds) / count * 1e6
    passed = micros(lambda k: scans(A, scanned, k))
    alike_too = micros(lambda k: alikes(A, scanned, alike, np.empty(ALIKE_FEATURES), k))
    in_extended = {"pass over the triangle": passed, "similarities": alike_too - passed}
    rates = {
        "products of `paper`, GFLOP/s": GRAMS * flops(n) / product / 1e3,
        "dense products by BLAS, GFLOP/s": 2 * n**3 / dense / 1e3,
        "patterns read, GB/s": 4 * n**2 / paper / 1e3,
    }
    print(f"n = {n}: paper {paper:.1f} us, extended {extended:.1f} us, one thread")
    for name, value in parts.items():
        print(f"  {name:32} {value:10.2f} us {value / paper:6.0%}")
    for name, value in in_extended.items():
        print(f"  extended: {name:22} {value:10.2f} us {value / extended:6.0%}")
    for name, value in rates.items():
        print(f"  {name:32} {value:10.1f}")
    return {
        "n": n,
        "paper": paper,
        "extended": extended,
        "parts_of_paper": parts,
        "parts_of_extended": in_extended,
        "rates": rates,
    }


def flops(n: int) -> int:
    """Additions and multiplications of one triangular product, in whole blocks."""
    panels = -(-n // WIDTH)
    return sum(2 * WIDTH**2 * WIDTH * (q + 1) for p in range(panels) for q in range(p + 1))


if __name__ == "__main__":
    main()
