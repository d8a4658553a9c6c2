"""Ablating every head alone, as a sweep does it, over one full forward pass per head and sequence.

The full pass is the model with the logits of all tokens, through transformers' fused attention or
the tap, in the batch that is fastest here; it is timed after every part of the sweep. The sweep
takes every head of every layer and everything that a sweep does: clean runs, the check, replays,
losses, divergences and prefix matching, in parts of 128 heads. Of the full pass the least time
counts, of the sweep all.

    python benchmarks/ablation.py
    python benchmarks/ablation.py --model gemma-3-270m --layers 4
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Seconds = tuple[float, float]
PART = 128
"""Heads that share a clean run, as in the stage."""


def main() -> None:
    """Parse the arguments, measure, print ratios and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--sequences", type=int, default=4)
    parser.add_argument("--layers", type=int, default=1, help="take every n-th layer")
    parser.add_argument("--method", default="zero", choices=["zero", "pattern-preserving"])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/ablation.json"))
    arguments = parser.parse_args()
    result = measure(arguments.model, arguments.sequences, arguments.layers, arguments.method)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")


def measure(name: str, n: int, every: int, method: str) -> dict[str, Any]:
    """Time both, part by part, and hold some of the sweep's losses against plain runs."""
    import numpy as np
    import torch

    from attention_motifs import behaviour as b
    from attention_motifs.extraction import first_token, load_model

    loaded = load_model(name, language_head=True)
    n_layers, n_heads = loaded.info.n_layers, loaded.info.n_heads
    words = b.common_tokens(loaded)
    design = b.repeated_design(words, first_token(loaded), n, np.random.default_rng(0))
    tokens = torch.from_numpy(design.token_ids)
    start = (every - 1) // 2  # so that the layers taken lie in the middle of those left out
    heads = [(layer, i) for layer in range(start, n_layers, every) for i in range(n_heads)]
    watched = tuple((layer, 0) for layer in range(0, n_layers, 3))
    ablations = tuple(b.Ablation((head,)) for head in heads)
    parts = [
        b.SweepPlan(design, ablations[s : s + PART], method, watched)
        for s in range(0, len(heads), PART)
    ]
    passes = full_passes(loaded, tokens)
    full: dict[str, list[Seconds]] = {key: [] for key in passes}
    sweep: list[Seconds] = []
    losses, peaks = [], []
    next(iter(passes.values()))()  # warms up
    peaks.append(peak_mebibytes())
    for i, plan in enumerate(parts):
        started = now()
        values = b.measure_block(loaded, plan, range(n), check=i == 0)
        sweep.append(since(started))
        losses.append(values["loss"][1])
        peaks.append(peak_mebibytes())
        time_all(passes, full)
    least = {key: [min(column) / n for column in zip(*t, strict=True)] for key, t in full.items()}
    fastest = [min(least, key=lambda key: least[key][i]) for i in range(2)]
    part = [sum(column) / n / len(heads) for column in zip(*sweep, strict=True)]
    result = {
        "model": name, "sequences": n, "tokens": tokens.shape[1],
        "positions": len(design.positions),
        "heads": len(heads), "method": method, "threads": torch.get_num_threads(),
        "full": least, "fastest": fastest, "sweep": part,
        "ratio": [part[i] / least[fastest[i]][i] for i in range(2)],
        "worst difference": worst_difference(loaded, parts, losses, n),
        "said MiB": max(b.memory_needed(loaded, plan) for plan in parts) / 2**20,
        "risen MiB": peaks[1] - peaks[0],
    }  # fmt: skip
    show(result)
    return result


def full_passes(loaded: Any, tokens: Any) -> dict[str, Callable[[], None]]:
    """Full passes over all sequences, by way and batch."""
    import torch

    from attention_motifs.extraction import run_tapped

    def fused(batch: int) -> None:
        own = loaded.model.config._attn_implementation
        loaded.model.set_attn_implementation("sdpa")
        with torch.inference_mode():
            for start in range(0, len(tokens), batch):
                rows = tokens[start : start + batch]
                loaded.head(loaded.model(input_ids=rows, use_cache=False)[0])
        loaded.model.set_attn_implementation(own)

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


def now() -> Seconds:
    """The clock, and the processor time of all threads; the latter does not mind other work."""
    return time.perf_counter(), time.process_time()


def since(started: Seconds) -> Seconds:
    """Seconds by both."""
    clock, processor = now()
    return clock - started[0], processor - started[1]


def time_all(runs: dict[str, Callable[[], None]], seconds: dict[str, list[Seconds]]) -> None:
    """Time every run, in turn."""
    for key, run in runs.items():
        started = now()
        run()
        seconds[key].append(since(started))


def worst_difference(loaded: Any, parts: Any, losses: Any, n: int) -> float:
    """Largest difference of some heads' losses to those of whole runs with the head ablated."""
    import torch

    from attention_motifs.behaviour import run_ablated
    from attention_motifs.extraction.replay import clean_run

    worst = 0.0
    for plan, found in zip(parts, losses, strict=True):
        tokens = torch.from_numpy(plan.design.token_ids[:n])
        clean = clean_run(loaded, tokens, keep_patterns=plan.method == "pattern-preserving")
        for row in (0, len(plan.ablations) // 2):
            hidden = run_ablated(loaded, tokens, plan.ablations[row], plan.method, clean=clean)
            with torch.inference_mode():
                log_q = loaded.head(hidden[:, plan.design.positions]).double().log_softmax(-1)
            targets = torch.from_numpy(plan.design.targets[:n])
            wanted = -log_q.gather(-1, targets[..., None])[..., 0].mean(-1).numpy()
            worst = max(worst, float(abs(found[row] - wanted).max()))
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
    for key, (clock, processor) in result["full"].items():
        print(f"  full pass, {key:24} {clock:.4f}  {processor:.4f}  a sequence, least")
    clock, processor = result["sweep"]
    print(f"  sweep, everything included{'':9} {clock:.4f}  {processor:.4f}  a head and sequence")
    clock, processor = result["ratio"]
    print(f"  sweep over the fastest full pass    {clock:.3f}   {processor:.3f}")
    print(
        f"  largest difference of a loss to that of a whole run: {result['worst difference']:.1e}"
    )
    print(f"  memory said {result['said MiB']:.0f} MiB, risen {result['risen MiB']:.0f} MiB")


if __name__ == "__main__":
    main()
