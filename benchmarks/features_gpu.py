"""Features of patterns on a GPU, against the time to move the patterns once through its memory.

For each length n, random causal patterns that lie on the CUDA device go through
`compute_features(patterns, SET)` for every built-in set, and through one copy within the device's
memory: what a kernel that reads each entry once, and writes as much, would take. Rounds are
interleaved; a ratio is the median over the rounds. It also checks that rows stay on the device and
agree with those of the CPU, and counts the copies to main memory while features are computed
(by torch's profiler; one per call is meant, of a flag). Prints a table and
writes JSON. Without a CUDA device it says so and exits with status 1, having measured nothing;
`--device cpu` runs the same torch kernels on the CPU, to try the script.

    python benchmarks/features_gpu.py
    python benchmarks/features_gpu.py --lengths 128 --rounds 3
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from attention_motifs.features import compute_features
from attention_motifs.features.registry import BUILT_IN_SETS, selected
from attention_motifs.features.torch_rows import rows_by_torch
from features import random_patterns, token_texts


def main() -> int:
    """Parse the arguments, measure, print a table and write JSON; 1 without a device."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lengths", type=int, nargs="+", default=[64, 128, 256, 512])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--entries", type=int, default=1 << 25, help="entries of all patterns")
    parser.add_argument("--device", default="cuda", help="cuda, or cpu to try the script")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "features_gpu.json"
    )
    arguments = parser.parse_args()
    if arguments.device != "cpu" and not torch.cuda.is_available():
        print("no CUDA device here: nothing was measured")
        return 1
    name = (
        "the CPU (this only tries the script)"
        if arguments.device == "cpu"
        else torch.cuda.get_device_name()
    )
    print(f"{name}: microseconds per pattern; in brackets, times moving the patterns once")
    lengths = [one_length(n, arguments) for n in arguments.lengths]
    result = {"device": name, "torch": torch.__version__, "lengths": lengths}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"written to {arguments.out}")
    return 0


def one_length(n: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Times, ratios, agreement and copies for one length."""
    count = max(8, arguments.entries // n**2)
    few = random_patterns(min(64, count), n)
    patterns = torch.from_numpy(few).to(arguments.device)
    patterns = patterns.repeat(-(-count // len(few)), 1, 1)[:count]
    texts = [token_texts(n)] * count
    moved = torch.empty_like(patterns)
    runs: dict[str, Callable[[], object]] = {
        name: lambda s=name: rows_by_torch(patterns, selected(s), texts) for name in BUILT_IN_SETS
    }
    runs["moved once"] = lambda: moved.copy_(patterns)
    rounds = []
    for _ in range(arguments.rounds + 1):
        row = {}
        for name, run in runs.items():
            synchronize(arguments.device)
            started = time.perf_counter()
            run()
            synchronize(arguments.device)
            row[name] = time.perf_counter() - started
        rounds.append(row)
    rounds = rounds[1:]
    micros = {k: statistics.median(r[k] for r in rounds) / count * 1e6 for k in runs}
    ratios = {k: statistics.median(r[k] / r["moved once"] for r in rounds) for k in BUILT_IN_SETS}
    print(f"n = {n}, {count} patterns: moved once {micros['moved once']:.3f}")
    for name in BUILT_IN_SETS:
        print(f"  {name:14} {micros[name]:10.3f} ({ratios[name]:.1f})")
    return {
        "n": n,
        "patterns": count,
        "microseconds_per_pattern": micros,
        "ratios_to_moving_once": ratios,
        "copies_to_host": copies_to_host(patterns, arguments.device),
        "share_that_agrees_with_the_cpu": agreement(few, arguments.device),
    }


def synchronize(device: str) -> None:
    """Wait for the device."""
    if device != "cpu":
        torch.cuda.synchronize()


def agreement(patterns: np.ndarray, device: str) -> dict[str, float]:
    """Of each set, the share of values within 1e-4 of those of the CPU (bins may flip)."""
    shares, texts = {}, token_texts(patterns.shape[1])
    for name in BUILT_IN_SETS:
        on_device = torch.from_numpy(patterns).to(device)
        got = rows_by_torch(on_device, selected(name), [texts] * len(patterns)).cpu().numpy()
        expected = compute_features(patterns, name, tokens=texts)
        close = np.abs(got - expected) <= 1e-4 * np.maximum(np.abs(expected), 0.1)
        shares[name] = float(close.mean())
    print(f"  agree with the CPU: {', '.join(f'{k} {v:.4f}' for k, v in shares.items())}")
    return shares


def copies_to_host(patterns: torch.Tensor, device: str) -> int | None:
    """Copies from the device to main memory in one call; None on the CPU."""
    if device == "cpu":
        return None
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        rows_by_torch(patterns, selected(["paper", "extended"]))
        torch.cuda.synchronize()
    copies = [e for e in profile.events() if "Memcpy DtoH" in e.name]
    print(f"  copies to main memory: {len(copies)}")
    return len(copies)


if __name__ == "__main__":
    sys.exit(main())
