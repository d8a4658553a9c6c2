"""The cost of probes: `motifs build` on 96 prompts with and without 16 probes.

Each build runs in a fresh process and a fresh folder, in interleaved rounds, and ends with the
distances; the explorer is not written. The ratios of the medians of wall and processor seconds
are printed.

    python benchmarks/probes.py
    python benchmarks/probes.py --rounds 1 --n-prompts 16 --model smollm2-135m-instruct
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


def main() -> None:
    """Parse the arguments, measure, print the ratios and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--n-prompts", type=int, default=96)
    parser.add_argument("--n-probes", type=int, default=16)
    parser.add_argument("--model", action="append", help="repeatable; default: both packaged ones")
    arguments = parser.parse_args()
    models = arguments.model or list(MODELS)
    seconds: dict[int, list[tuple[float, float]]] = {0: [], arguments.n_probes: []}
    for _ in range(arguments.rounds):
        for n_probes, measured in seconds.items():
            measured.append(build_seconds(models, arguments.n_prompts, n_probes))
            wall, processor = measured[-1]
            print(f"{n_probes:3d} probes: {wall:6.1f} s wall, {processor:6.1f} s processor")
    medians = {
        n: [statistics.median(column) for column in zip(*measured, strict=True)]
        for n, measured in seconds.items()
    }
    without, with_probes = medians[0], medians[arguments.n_probes]
    ratios = [b / a for a, b in zip(without, with_probes, strict=True)]
    print(f"with over without: {ratios[0]:.3f} wall, {ratios[1]:.3f} processor")
    RESULTS.parent.mkdir(exist_ok=True)
    text = {"models": models, "n_prompts": arguments.n_prompts, "seconds": seconds}
    RESULTS.write_text(json.dumps({**text, "ratios": ratios}, indent=1))


def build_seconds(models: list[str], n_prompts: int, n_probes: int) -> tuple[float, float]:
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
