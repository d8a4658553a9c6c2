"""Features of patterns: the public function beside matrix products and plain numpy, in one run.

For each length n, random causal patterns go through

- `compute_features(patterns, SET)` for every built-in set, on all cores and (`paper`) on one,
- six dense float32 n x n x n products per pattern, on all cores: by torch, by numpy, and by numpy
  with a thread of Python for each core and one thread of BLAS in each, and
- the definitions in plain numpy and scipy (the float64 oracle), in two processes.

Rounds are interleaved, so that other load meets all of them alike; a ratio is the median over the
rounds of the ratio within a round, and of the products the fastest kind counts. On a busy machine
threads of BLAS wait for one another: the ratio with one thread each, and the ratios of the fastest
rounds, say more there. Prints tables, names the BLAS, and writes JSON. For patterns on a GPU see
`features_gpu.py`.

Where OPENBLAS_CORETYPE or OPENBLAS_L2_SIZE is set, BLAS may run kernels for another processor:
unset them for a fair comparison (`env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE python ...`).

    python benchmarks/features.py
    python benchmarks/features.py --lengths 64 128 --rounds 3      # a quick look
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

PRODUCTS = 6
PLAIN_PROCESSES = 2
# The bars that were set for the ratios: features over products, plain over features.
MOST_OF_PRODUCTS = {128: 1.0, 256: 1.0, 512: 1.0}
MOST_OF_PAPER = {128: 1.5, 256: 1.5, 512: 1.5}  # extended over paper
MOST_OF_PAPER2 = 1.3  # paper2 over paper, at every length
KINDS_OF_PRODUCTS = ("torch", "numpy", "numpy, threads")
LEAST_OF_PLAIN = {64: 30.0, 128: 30.0, 512: 7.0}

Runs = dict[str, Callable[[], object]]


def main() -> None:
    """Parse the arguments, measure, print tables and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lengths", type=int, nargs="+", default=[64, 128, 256, 512])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--entries", type=int, default=1 << 22, help="entries of all patterns of a length"
    )
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "features.json"
    )
    arguments = parser.parse_args()
    if min(arguments.lengths) < 1 or arguments.rounds < 1:
        parser.error("--lengths and --rounds must be at least 1")
    result = {
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "rounds": arguments.rounds,
        "blas": blas(),
        "cpu": on_cpu(arguments),
        "agreement": agreement(),
        "first_call_seconds": first_calls(),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"written to {arguments.out}")


def blas() -> list[str]:
    """The linear algebra libraries of numpy and torch, with the kernels that they chose."""
    import torch
    from threadpoolctl import threadpool_info

    versions = [
        f"{library['internal_api']} {library['version']} ({library.get('architecture', 'unknown')})"
        for library in threadpool_info()
        if library["user_api"] == "blas"
    ]
    kind = "MKL" if torch.backends.mkl.is_available() else "not MKL"
    versions.append(f"torch {torch.__version__}: {kind}, {torch.backends.cpu.get_cpu_capability()}")
    versions += [
        f"{name}={os.environ[name]} is set: unset it for a fair comparison"
        for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
        if name in os.environ
    ]
    print("; ".join(versions))
    return versions


def random_patterns(count: int, n: int) -> np.ndarray:
    """Causal softmax patterns of normal scores, as float32."""
    scores = np.random.default_rng(0).normal(scale=2.0, size=(count, n, n)).astype(np.float32)
    scores[:, np.tri(n) == 0] = -np.inf
    weights: np.ndarray = np.exp(scores - scores.max(axis=2, keepdims=True))
    weights /= weights.sum(axis=2, keepdims=True)
    return weights


def token_texts(n: int) -> tuple[str, ...]:
    """Texts of n tokens: words and marks of the built-in prompts, for the set `tokens`."""
    from attention_motifs.prompts import load_prompts

    words: list[str] = []
    for prompt in load_prompts():
        words += re.findall(r" ?\w+|\W", prompt.text)
        if len(words) >= n:
            break
    return tuple(words[:n])


def interleaved(runs: Runs, rounds: int) -> list[dict[str, float]]:
    """Seconds of each run in each round, after a round of warming up."""
    table = []
    for _ in range(rounds + 1):
        row = {}
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            row[name] = time.perf_counter() - started
        table.append(row)
    return table[1:]


def plain(patterns: np.ndarray) -> np.ndarray:
    """The definitions, pattern by pattern."""
    from attention_motifs.features.definitions import paper_features

    return np.array([paper_features(pattern) for pattern in patterns])


def on_cpu(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Times and ratios for each length."""
    # One thread of BLAS in each of the processes: that is the faster way to run them.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    with ProcessPoolExecutor(PLAIN_PROCESSES, mp_context=get_context("spawn")) as pool:
        list(pool.map(plain, [random_patterns(1, 8)] * (2 * PLAIN_PROCESSES)))
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            del os.environ[name]
        print("microseconds per pattern, median of the rounds")
        return [one_length(n, arguments, pool) for n in arguments.lengths]


def one_length(n: int, arguments: argparse.Namespace, pool: ProcessPoolExecutor) -> dict[str, Any]:
    """Times and ratios for one length."""
    import torch
    from threadpoolctl import threadpool_limits

    from attention_motifs.features import compute_features
    from attention_motifs.features.compute import available_cores
    from attention_motifs.features.registry import BUILT_IN_SETS

    count = max(8, arguments.entries // n**2)
    few = max(2 * PLAIN_PROCESSES, min(count, 1 << 14) // max(1, n // 8))
    patterns, texts = random_patterns(count, n), token_texts(n)
    tensor, product = torch.from_numpy(patterns), torch.empty(count, n, n)
    parts = np.array_split(patterns[:few], 2 * PLAIN_PROCESSES)
    per_run = dict.fromkeys(("plain",), few)

    def by_torch() -> None:
        for _ in range(PRODUCTS):
            torch.bmm(tensor, tensor, out=product)

    def by_numpy() -> None:
        for _ in range(PRODUCTS):
            np.matmul(patterns, patterns, out=product.numpy())

    cores = available_cores()
    shares = list(
        zip(np.array_split(patterns, cores), np.array_split(product.numpy(), cores), strict=True)
    )

    def by_threads() -> None:
        def work(share: tuple[np.ndarray, np.ndarray]) -> None:
            for _ in range(PRODUCTS):
                np.matmul(share[0], share[0], out=share[1])

        with threadpool_limits(1, "blas"), ThreadPoolExecutor(cores) as threads:
            list(threads.map(work, shares))

    def by_one_thread() -> None:
        with threadpool_limits(1, "blas"):
            by_numpy()

    runs: Runs = {
        **{
            name: lambda s=name: compute_features(patterns, s, tokens=texts)
            for name in BUILT_IN_SETS
        },
        "paper, one thread": lambda: compute_features(patterns, threads=1),
        "six products, torch": by_torch,
        "six products, numpy": by_numpy,
        "six products, numpy, threads": by_threads,
        "six products, one thread": by_one_thread,
        "plain": lambda: list(pool.map(plain, parts)),
    }
    rounds = [
        {name: seconds / per_run.get(name, count) * 1e6 for name, seconds in row.items()}
        for row in interleaved(runs, arguments.rounds)
    ]
    medians = {name: statistics.median(row[name] for row in rounds) for name in runs}
    ratios = ratios_of(rounds)
    print(f"n = {n}, {count} patterns")
    for name, value in medians.items():
        print(f"  {name:28} {value:12.1f}")
    for name, value in ratios.items():
        print(f"  {name:28} {value:12.2f} {bar_of(name, value, n)}")
    return {"n": n, "patterns": count, "microseconds_per_pattern": medians, "ratios": ratios}


def ratios_of(rounds: list[dict[str, float]]) -> dict[str, float]:
    """The medians of the ratios within each round; of the products the fastest kind counts."""

    def median(over: str, under: str) -> float:
        return statistics.median(row[over] / row[under] for row in rounds)

    def best(name: str) -> float:
        return min(row[name] for row in rounds)

    kinds = [f"six products, {kind}" for kind in KINDS_OF_PRODUCTS]
    products = min(kinds, key=lambda name: statistics.median(row[name] for row in rounds))
    ratios = {
        "paper / six products": median("paper", products),
        "the same, fastest rounds": best("paper") / min(map(best, kinds)),
        "one thread each": median("paper, one thread", "six products, one thread"),
        "one each, fastest rounds": best("paper, one thread") / best("six products, one thread"),
        "plain / paper": median("plain", "paper"),
        "one thread / all": median("paper, one thread", "paper"),
    }
    others = ("extended", "paper2", "skew_col", "experimental", "tokens")
    return ratios | {f"{name} / paper": median(name, "paper") for name in others}


def bar_of(name: str, value: float, n: int) -> str:
    """Whether a ratio is within the bar that was set for it, if there is one."""
    if name == "paper / six products" and n in MOST_OF_PRODUCTS:
        met = value <= MOST_OF_PRODUCTS[n]
        return f"(at most {MOST_OF_PRODUCTS[n]}: {'met' if met else 'NOT MET'})"
    if name == "extended / paper" and n in MOST_OF_PAPER:
        return f"(at most {MOST_OF_PAPER[n]}: {'met' if value <= MOST_OF_PAPER[n] else 'NOT MET'})"
    if name == "paper2 / paper":
        return f"(at most {MOST_OF_PAPER2}: {'met' if value <= MOST_OF_PAPER2 else 'NOT MET'})"
    if name == "plain / paper" and n in LEAST_OF_PLAIN:
        return (
            f"(at least {LEAST_OF_PLAIN[n]}: {'met' if value >= LEAST_OF_PLAIN[n] else 'NOT MET'})"
        )
    return ""


def agreement() -> dict[str, float]:
    """How far the float32 kernel is from the float64 definitions, as a distribution."""
    from attention_motifs.features import compute_features

    patterns = random_patterns(200, 64)
    expected, got = plain(patterns), compute_features(patterns)
    error = np.abs(got - expected) / np.maximum(np.abs(expected), 1e-3)
    result = {
        "median_relative_error": float(np.median(error)),
        "share_below_1e-6": float((error < 1e-6).mean()),
        "rows_where_a_value_changed_its_bin": float((error > 1e-6).any(axis=1).mean()),
        "largest_relative_error": float(error.max()),
    }
    print("float32 against the float64 definitions (200 random patterns, n = 64)")
    for name, value in result.items():
        print(f"  {name:36} {value:10.2g}")
    return result


def first_calls() -> dict[str, float]:
    """Seconds of the first call in a fresh process: without a cache, then with it."""
    code = (
        "import time, numpy as np; from attention_motifs.features import compute_features;"
        "t = time.perf_counter(); compute_features(np.eye(4, dtype=np.float32));"
        "print(time.perf_counter() - t)"
    )
    seconds = {}
    with tempfile.TemporaryDirectory() as cache:
        for name in ("compiled", "from the cache"):
            environment = os.environ | {"NUMBA_CACHE_DIR": cache}
            command = [sys.executable, "-c", code]
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=True
            )
            seconds[name] = float(done.stdout)
    print("first call in a process, seconds (numba's import included)")
    for name, value in seconds.items():
        print(f"  {name:28} {value:12.2f}")
    return seconds


if __name__ == "__main__":
    main()
