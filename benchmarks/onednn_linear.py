"""Products of linear layers: PyTorch's own way against oneDNN, which some processors use.

Shapes are those of the packaged models on 512 and 128 tokens. Rounds are interleaved; the ratio is
of the fastest rounds, and the error is the largest against float64, over the sum of magnitudes.

    python benchmarks/onednn_linear.py
    python benchmarks/onednn_linear.py --threads 1 --out onednn_linear.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from attention_motifs.extraction import onednn_linear

SHAPES = (
    # rows, columns of the rows, outputs
    (512, 576, 576),
    (512, 576, 1536),
    (512, 1536, 576),
    (128, 576, 1536),
    (512, 640, 1024),
    (512, 640, 2048),
    (512, 2048, 640),
    (384, 64, 512),
)


def main() -> None:
    """Parse the arguments, measure, print a table and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    used = "uses" if onednn_linear.onednn_is_faster() else "does NOT use"
    print(f"{arguments.threads} threads; extraction {used} oneDNN on this processor")
    print(f"{'rows x columns x outputs':26} {'PyTorch':>10} {'oneDNN':>8}  GFLOP/s {'ratio':>7} "
          f"{'error':>18}")  # fmt: skip
    rows = [measured(*shape, arguments.rounds) for shape in SHAPES]
    for row in rows:
        shape = " x ".join(str(n) for n in row["shape"])
        speeds = f"{row['pytorch']:10.0f} {row['onednn']:8.0f}"
        errors = f"{row['pytorch_error']:9.1e} {row['onednn_error']:8.1e}"
        print(f"{shape:26} {speeds}          {row['ratio']:7.2f} {errors}")
    if arguments.out:
        arguments.out.write_text(json.dumps(rows, indent=1) + "\n")


def measured(n: int, k: int, m: int, rounds: int) -> dict[str, Any]:
    """Speed of both ways on one shape, and their errors."""
    generator = torch.Generator().manual_seed(0)
    x, weight = torch.randn(n, k, generator=generator), torch.randn(m, k, generator=generator)
    ways: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "pytorch": functional.linear,
        "onednn": onednn_linear.product,
    }
    exact = x.double() @ weight.double().t()
    scale = x.double().abs() @ weight.double().abs().t()
    figures: dict[str, Any] = {"shape": (n, k, m)}
    best = dict.fromkeys(ways, float("inf"))
    with torch.inference_mode():
        for _ in range(rounds):
            for name, run in ways.items():
                run(x, weight)  # the other way has emptied the cache
                started = time.perf_counter()
                run(x, weight)
                best[name] = min(best[name], time.perf_counter() - started)
        for name, run in ways.items():
            figures[name] = 2e-9 * n * k * m / best[name]
            figures[f"{name}_error"] = float(
                ((run(x, weight).double() - exact).abs() / scale).max()
            )
    return figures | {"ratio": best["pytorch"] / best["onednn"]}


if __name__ == "__main__":
    main()
