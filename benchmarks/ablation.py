"""Ablating a head on one sequence, as a sweep does it, over one full forward pass.

The full pass is the model with the logits of all tokens, through transformers' fused attention or
the tap, in the batch that is fastest here. It is timed between the replays of the sweep, so that
both see the same machine. The sweep takes heads of every layer and does everything that a sweep
does: clean run, check, replays, losses, divergences and prefix matching. Time of the processor, of
all threads, is less disturbed by other work than that of the clock.

    python benchmarks/ablation.py
    python benchmarks/ablation.py --heads 9         # every head of the 135M model
    python benchmarks/ablation.py --model gemma-3-270m
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

Seconds = tuple[float, float]
BETWEEN = 3
"""Replays between two full passes."""


def main() -> None:
    """Parse the arguments, measure, print ratios and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--sequences", type=int, default=4)
    parser.add_argument("--heads", type=int, default=3, help="of each layer")
    parser.add_argument("--method", default="zero", choices=["zero", "pattern-preserving"])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/ablation.json"))
    arguments = parser.parse_args()
    result = measure(arguments.model, arguments.sequences, arguments.heads, arguments.method)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")


def measure(name: str, n: int, per_layer: int, method: str) -> dict[str, Any]:
    """Time both side by side, and hold some of the sweep's losses against plain runs."""
    import numpy as np
    import torch

    from attention_motifs import behaviour as b
    from attention_motifs.extraction import load_model
    from attention_motifs.models.tokenizing import prefix_tokens

    loaded = load_model(name, language_head=True)
    n_layers, n_heads = loaded.info.n_layers, min(loaded.info.n_heads, per_layer)
    words = b.common_tokens(loaded)
    design = b.repeated_design(words, prefix_tokens(loaded), n, np.random.default_rng(0))
    tokens = torch.from_numpy(design.token_ids)
    ablations = [b.Ablation(((layer, i),)) for layer in range(n_layers) for i in range(n_heads)]
    watched = tuple((layer, 0) for layer in range(0, n_layers, 3))
    plan = b.SweepPlan(design, tuple(ablations), method, watched)
    passes = full_passes(loaded, tokens)
    next(iter(passes.values()))()  # warms up
    peaks = [peak_mebibytes()]
    b.measure_block(loaded, replace(plan, ablations=plan.ablations[-36:]), range(n))
    peaks.append(peak_mebibytes())
    ways = {key: timed(run) for key, run in passes.items()}
    fastest = min(ways, key=lambda key: ways[key])
    full: list[Seconds] = []
    replays = 0

    def between(_done: int) -> None:
        nonlocal replays
        replays += 1
        if replays % BETWEEN == 0:
            full.append(timed(passes[fastest]))

    values: dict[str, Any] = {}

    def sweep() -> None:
        values.update(b.measure_block(loaded, plan, range(n), check=True, advance=between))

    both = timed(sweep)
    whole = [sum(column) / len(full) / n for column in zip(*full, strict=True)]
    part = [
        (all_of_it - sum(column)) / n / len(ablations)
        for all_of_it, column in zip(both, zip(*full, strict=True), strict=True)
    ]
    result = {
        "model": name, "sequences": n, "tokens": tokens.shape[1],
        "positions": len(design.positions), "heads": len(ablations), "method": method,
        "threads": torch.get_num_threads(),
        "ways": {key: [t / n for t in both] for key, both in ways.items()},
        "fastest": fastest, "full": whole, "full passes": len(full), "sweep": part,
        "ratio": [part[i] / whole[i] for i in range(2)],
        "worst difference": worst_difference(loaded, plan, values["loss"][1], n),
        "said MiB": b.memory_needed(loaded, plan) / 2**20, "risen MiB": peaks[1] - peaks[0],
    }  # fmt: skip
    show(result)
    return result


def full_passes(loaded: Any, tokens: Any) -> dict[str, Callable[[], None]]:
    """Full passes over all sequences, by way and batch."""
    import torch

    from attention_motifs.extraction import run_tapped

    def fused(batch: int) -> None:
        implementation = loaded.model.config._attn_implementation
        loaded.model.set_attn_implementation("sdpa")
        with torch.inference_mode():
            for start in range(0, len(tokens), batch):
                rows = tokens[start : start + batch]
                loaded.head(loaded.model(input_ids=rows, use_cache=False)[0])
        loaded.model.set_attn_implementation(implementation)

    def tapped(batch: int) -> None:
        for start in range(0, len(tokens), batch):
            hidden = run_tapped(loaded, tokens[start : start + batch], lambda *_: None)
            with torch.inference_mode():
                loaded.head(hidden)

    batches = sorted({1, 2, len(tokens)})
    return {
        f"{way.__name__}, {batch} together": lambda way=way, batch=batch: way(batch)
        for way in (fused, tapped)
        for batch in batches
    }


def timed(run: Callable[[], None]) -> Seconds:
    """Seconds by the clock, and of processor time of all threads."""
    clock, processor = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - clock, time.process_time() - processor


def worst_difference(loaded: Any, plan: Any, measured: Any, n: int) -> float:
    """Largest difference of some heads' losses to those of whole runs with the head ablated."""
    import torch

    from attention_motifs.behaviour import run_ablated
    from attention_motifs.behaviour.replay import clean_run

    worst = 0.0
    tokens = torch.from_numpy(plan.design.token_ids[:n])
    targets = torch.from_numpy(plan.design.targets[:n])
    clean = clean_run(loaded, tokens, keep_patterns=plan.method == "pattern-preserving")
    for row in range(0, len(plan.ablations), max(1, len(plan.ablations) // 3)):
        hidden = run_ablated(loaded, tokens, plan.ablations[row], plan.method, clean=clean)
        with torch.inference_mode():
            log_q = loaded.head(hidden[:, plan.design.positions]).double().log_softmax(-1)
        expected = -log_q.gather(-1, targets[..., None])[..., 0].mean(-1).numpy()
        worst = max(worst, float(abs(measured[row] - expected).max()))
    return worst


def peak_mebibytes() -> float:
    """Largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def show(result: dict[str, Any]) -> None:
    """Print the figures."""
    print(
        f"{result['model']}: {result['heads']} heads, {result['sequences']} sequences of "
        f"{result['tokens']} tokens, {result['positions']} positions, {result['method']}, "
        f"{result['threads']} threads"
    )
    print("  seconds by the clock, and of processor time")
    for key, (clock, processor) in result["ways"].items():
        print(f"  full pass, {key:24} {clock:.4f}  {processor:.4f}  a sequence, once")
    clock, processor = result["full"]
    print(f"  the fastest, mean of {result['full passes']:3}{'':11} {clock:.4f}  {processor:.4f}")
    clock, processor = result["sweep"]
    print(f"  sweep, everything included{'':9} {clock:.4f}  {processor:.4f}  a head and sequence")
    clock, processor = result["ratio"]
    print(f"  sweep over full pass{'':15} {clock:.3f}   {processor:.3f}")
    print(
        f"  largest difference of a loss to that of a whole run: {result['worst difference']:.1e}"
    )
    print(f"  memory said {result['said MiB']:.0f} MiB, risen {result['risen MiB']:.0f} MiB")


if __name__ == "__main__":
    main()
