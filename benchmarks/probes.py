"""The cost of probes: `motifs build` on 96 prompts with 16 probes, compared with none.

Builds run in pairs, one with probes and one without, in alternating order. Each is a fresh process
and a fresh folder, and ends with distances and scores; the explorer is not written. A short build
comes first, so that weights are in the page cache and kernels are compiled. New pairs start while
the time allows. The ratio of each pair and their median are printed, of wall and of processor
seconds, and written as JSON.

    python benchmarks/probes.py
    python benchmarks/probes.py --model smollm2-135m-instruct --seconds 240
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MODELS = ("smollm2-135m-instruct", "gemma-3-270m")
RESULTS = Path(__file__).parent / "results" / "probes.json"
WARM_UP = 2  # prompts

Seconds = tuple[float, float]
"""Wall and processor seconds."""


def main() -> None:
    """Parse the arguments, measure, print the ratios and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=440, help="time for all builds")
    parser.add_argument("--n-prompts", type=int, default=96)
    parser.add_argument("--n-probes", type=int, default=16)
    parser.add_argument("--model", action="append", help="repeatable; default: both packaged ones")
    arguments = parser.parse_args()
    models = arguments.model or list(MODELS)
    start = time.perf_counter()
    build_seconds(models, WARM_UP, 1)
    pairs: list[tuple[Seconds, Seconds]] = []
    longest = 0.0
    while not pairs or time.perf_counter() - start + longest < arguments.seconds:
        before = time.perf_counter()
        order = [0, arguments.n_probes]
        if len(pairs) % 2:
            order.reverse()
        measured = {n: build_seconds(models, arguments.n_prompts, n) for n in order}
        pairs.append((measured[0], measured[arguments.n_probes]))
        longest = max(longest, time.perf_counter() - before)
        (wall, processor), (wall_probes, processor_probes) = pairs[-1]
        print(
            f"pair {len(pairs)}: wall {wall:.1f} and {wall_probes:.1f} s, processor "
            f"{processor:.1f} and {processor_probes:.1f} s",
            flush=True,
        )
    ratios = [[b / a for a, b in zip(*pair, strict=True)] for pair in pairs]
    medians = [statistics.median(column) for column in zip(*ratios, strict=True)]
    for name, median, column in zip(
        ("wall", "processor"), medians, zip(*ratios, strict=True), strict=True
    ):
        print(
            f"with over without, {name}: {median:.3f} ({min(column):.3f} to {max(column):.3f}, "
            f"{len(pairs)} pairs)"
        )
    RESULTS.parent.mkdir(exist_ok=True)
    data = {"models": models, "n_prompts": arguments.n_prompts, "n_probes": arguments.n_probes}
    RESULTS.write_text(json.dumps({**data, "pairs": pairs, "medians": medians}, indent=1))


def build_seconds(models: list[str], n_prompts: int, n_probes: int) -> Seconds:
    """Build an atlas in a process of its own; return wall and processor seconds."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "attention_motifs", "build", "--no-site"]
        command += ["--atlas", f"{folder}/atlas", "--n-prompts", str(n_prompts)]
        command += ["--n-probes", str(n_probes)]
        for model in models:
            command += ["--model", model]
        start, before = time.perf_counter(), os.times()
        subprocess.run(command, check=True, capture_output=True)
        after = os.times()
        processor = (after.children_user - before.children_user) + (
            after.children_system - before.children_system
        )
        return time.perf_counter() - start, processor


if __name__ == "__main__":
    main()
