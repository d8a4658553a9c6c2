"""Distances of heads: every metric beside what it replaces, in one run.

Rounds are interleaved and ratios are of medians. The time and peak memory of a larger number of
heads are taken in a fresh process each, the result going to a file that is mapped into memory, as
in the stage. Prints a table and writes JSON.

    python benchmarks/distances.py
    python benchmarks/distances.py --large 20000      # peak memory and time of 20,000 heads
    python benchmarks/distances.py --heads 400 --rounds 2 --large 1000     # a quick look
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

# Heads on which the metrics that need minutes for all pairs are measured.
FEW_HEADS = 128
# Pairs for one-by-one comparisons with scipy.
FEW_PAIRS = 200
# Columns of the space of the block `natural`: the features `extended`.
RECOMMENDED_COMPONENTS = 85


def main() -> None:
    """Parse the arguments, measure, print tables and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--heads", type=int, default=1520)
    parser.add_argument("--prompts", type=int, default=128)
    parser.add_argument("--components", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--large", type=int, default=8000, help="heads of the memory measurement")
    parser.add_argument("--large-metrics", nargs="+", default=["mean"], help="or natural")
    parser.add_argument(
        "--only-large", action="store_true", help="leave out all but the memory measurement"
    )
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "distances.json"
    )
    parser.add_argument("--peak", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        print(json.dumps(peak(arguments)))
        return
    if arguments.only_large:
        large(arguments)
        return
    result: dict[str, Any] = {
        "machine": f"{os.cpu_count()} processors",
        "sizes": {k: getattr(arguments, k) for k in ("heads", "prompts", "components", "rounds")},
        "all_pairs": all_pairs(arguments),
        "exact": exact(arguments),
        "metrics": metrics(arguments),
        "nearest": nearest_of_many(arguments),
        "growth": growth(arguments),
        "large": large(arguments),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def gaussian(arguments: argparse.Namespace, heads: int) -> np.ndarray:
    """Head clouds of independent normal numbers."""
    shape = (arguments.prompts, heads, arguments.components)
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def medians(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each run; the first round warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for round_ in range(rounds + 1):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            if round_:
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def table(title: str, seconds: dict[str, float], base: str) -> dict[str, Any]:
    """Print times and how many times faster than `base` they are."""
    print(title)
    ratios = {name: seconds[base] / value for name, value in seconds.items()}
    for name, value in seconds.items():
        print(f"  {name:34} {value:10.4f} s {ratios[name]:8.1f} x")
    return {"seconds": seconds, f"times_faster_than_{base}": ratios}


def cdist_loop(embedded: np.ndarray) -> np.ndarray:
    """Eq. 3 by scipy, prompt by prompt."""
    from scipy.spatial.distance import cdist

    total = np.zeros((embedded.shape[1],) * 2)
    for points in embedded:
        total += cdist(points, points)
    return total / len(embedded)


def all_pairs(arguments: argparse.Namespace) -> dict[str, Any]:
    """Eq. 3 of all pairs against scipy, with the error."""
    from attention_motifs.distances import head_distances

    embedded = gaussian(arguments, arguments.heads)
    seconds = medians(
        {
            "scipy cdist": lambda: cdist_loop(embedded),
            "mean, one thread": lambda: head_distances(embedded, threads=1),
            "mean": lambda: head_distances(embedded),
        },
        arguments.rounds,
    )
    result = table(f"Eq. 3, all pairs of {embedded.shape[1]} heads", seconds, "scipy cdist")
    expected = cdist_loop(embedded)
    off = ~np.eye(len(expected), dtype=bool)
    error = float((np.abs(head_distances(embedded) - expected)[off] / expected[off]).max())
    print(f"  largest relative error against float64: {error:.1e}")
    return result | {"largest_relative_error": error}


def exact(arguments: argparse.Namespace) -> dict[str, Any]:
    """The exact earth-mover distance of some pairs against scipy's assignment."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    from attention_motifs.distances import candidate_distances

    embedded = gaussian(arguments, FEW_HEADS)
    pairs = np.random.default_rng(1).integers(FEW_HEADS, size=(FEW_PAIRS, 2))

    def by_scipy() -> np.ndarray:
        costs = (cdist(embedded[:, i], embedded[:, j]) for i, j in pairs)
        return np.array([cost[linear_sum_assignment(cost)].mean() for cost in costs])

    def ours(threads: int | None = None) -> np.ndarray:
        return candidate_distances(embedded, pairs, "wasserstein", threads=threads)

    seconds = medians(
        {"scipy": by_scipy, "wasserstein, one thread": lambda: ours(1), "wasserstein": ours},
        arguments.rounds,
    )
    result = table(f"exact 1-Wasserstein, {FEW_PAIRS} pairs", seconds, "scipy")
    error = float(np.abs(ours() - by_scipy()).max())
    print(f"  largest error: {error:.1e}")
    return result | {"largest_error": error}


def metrics(arguments: argparse.Namespace) -> dict[str, Any]:
    """Time and estimate of each metric, for few heads, with the estimate for all."""
    from attention_motifs.distances import estimate_seconds, head_distances, metric_names
    from attention_motifs.errors import InputError

    embedded = gaussian(arguments, FEW_HEADS)
    sizes = arguments.prompts, arguments.heads, arguments.components
    result = {}
    print(f"metrics: {FEW_HEADS} heads measured, {arguments.heads} estimated")
    for name in metric_names("embedding"):
        # All pairs of 128 heads would take minutes by this one.
        few = embedded[:, :8] if name == "gromov-wasserstein" else embedded
        try:
            seconds = medians({name: lambda n=name, e=few: head_distances(e, n)}, 1)[name]  # type: ignore[misc]
        except InputError as error:
            print(f"  {name:20} {error}")
            continue
        estimate = estimate_seconds(name, *sizes, sample=embedded)
        n_pairs = few.shape[1] * (few.shape[1] - 1) // 2
        each = seconds / n_pairs * 1e6
        print(f"  {name:20} {each:12.2f} us a pair {estimate:12.2f} s for all pairs (estimate)")
        result[name] = {"microseconds_per_pair": each, "estimated_seconds": estimate}
    return result


def nearest_of_many(arguments: argparse.Namespace) -> dict[str, Any]:
    """The nearest heads of one head among 20,000, from the clouds and from a stored row."""
    from attention_motifs.distances import distances_from, nearest

    embedded = gaussian(arguments, 20_000)
    row = distances_from(embedded, 7)[0]
    seconds = medians(
        {
            "from the clouds": lambda: nearest(distances_from(embedded, 7)[0], exclude=7),
            "from the clouds, cosine": lambda: nearest(
                distances_from(embedded, 7, "cosine")[0], exclude=7
            ),
            "from a row of the matrix": lambda: nearest(row, exclude=7),
        },
        max(arguments.rounds, 3),
    )
    print("nearest 10 of one head in 20,000")
    for name, value in seconds.items():
        print(f"  {name:34} {value * 1e3:10.2f} ms")
    return seconds


def growth(arguments: argparse.Namespace) -> dict[str, Any]:
    """How the time of all pairs grows with the heads: the slope of log time on log heads."""
    from attention_motifs.distances import head_distances

    sizes = [arguments.heads * factor for factor in (1, 2, 4)]
    largest = gaussian(arguments, sizes[-1])
    seconds = []
    for size in sizes:
        part = np.ascontiguousarray(largest[:, :size])
        seconds.append(medians({"run": lambda p=part: head_distances(p)}, 3)["run"])  # type: ignore[misc]
    slope = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
    print(f"growth of Eq. 3: slope {slope:.2f} (pairs alone would give 2)")
    for size, value in zip(sizes, seconds, strict=True):
        print(f"  {size:6} heads {value:10.3f} s")
    return {"heads": sizes, "seconds": seconds, "slope": slope}


def large(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Time and peak memory of many heads by some metrics, in a fresh process each."""
    results = []
    for metric in arguments.large_metrics:
        command = [sys.executable, __file__, "--peak", "--large-metrics", metric]
        for name in ("large", "prompts", "components"):
            command += [f"--{name}", str(getattr(arguments, name))]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        print(
            f"{arguments.large} heads by {metric} in a fresh process: {result['seconds']:.1f} s, "
            f"peak {result['peak_mib']:.0f} MiB ({result['anonymous_mib']:.0f} not counting "
            f"mapped files), of which clouds {result['clouds_mib']:.0f} and result "
            f"{result['matrix_mib']:.0f}"
        )
        results.append(result)
    return results


def peak(arguments: argparse.Namespace) -> dict[str, Any]:
    """Compute the distances of many heads and return time and this process's peak memory."""
    from attention_motifs.distances import head_distances
    from attention_motifs.store.files import mapped_array

    (metric,) = arguments.large_metrics
    if metric == "natural":  # not on principal components, but on all features
        arguments.components = RECOMMENDED_COMPONENTS
    embedded = gaussian(arguments, arguments.large)
    mib, shape = 2**20, (arguments.large,) * 2
    anonymous = 0.0

    def watch(_done: int, _total: int) -> None:
        nonlocal anonymous
        anonymous = max(anonymous, status_bytes("RssAnon"))

    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        with mapped_array(Path(folder) / "large.npy", shape) as out:
            head_distances(embedded, metric, budget_seconds=math.inf, progress=watch, out=out)
        seconds = time.perf_counter() - started
    return {
        "heads": arguments.large,
        "metric": metric,
        "seconds": seconds,
        "peak_mib": peak_bytes() / mib,
        "anonymous_mib": anonymous / mib,
        "clouds_mib": embedded.nbytes / mib,
        "matrix_mib": out.nbytes / mib,
    }


def peak_bytes() -> float:
    """Peak resident memory of this process alone.

    `ru_maxrss` may include the parent's, so Linux's own count is preferred.
    """
    return status_bytes("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def status_bytes(what: str) -> float:
    """A line of Linux's account of this process, in bytes; 0 elsewhere."""
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith(f"{what}:"):
                return float(line.split()[1]) * 1024
    return 0.0


if __name__ == "__main__":
    main()
