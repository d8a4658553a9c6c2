"""Ablating one head on one sequence, as a sweep does it, over one full forward pass, in one run.

The full pass is the model with all its logits, the faster of one sequence at a time and all
together. The sweep's part takes replays, losses and divergences, and its share of the clean run.
Layers are every third, which have the same mean as all; rounds are interleaved.

    python benchmarks/ablation.py
    python benchmarks/ablation.py --model gemma-3-270m --rounds 3
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path


def main() -> None:
    """Parse the arguments, measure, print ratios and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--sequences", type=int, default=4)
    parser.add_argument("--heads", type=int, default=4, help="ablated per layer, side by side")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    arguments = parser.parse_args()
    result = ratios(arguments.model, arguments.sequences, arguments.heads, arguments.rounds)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")


def ratios(name: str, n: int, copies: int, rounds: int) -> dict[str, float]:
    """Time both, round by round."""
    import numpy as np
    import torch

    from attention_motifs.behaviour import (
        Ablation,
        SweepPlan,
        common_tokens,
        measure_block,
        repeated_design,
    )
    from attention_motifs.extraction import first_token, load_model, run_tapped

    loaded = load_model(name, language_head=True)
    design = repeated_design(
        common_tokens(loaded), first_token(loaded), n, np.random.default_rng(0)
    )
    tokens = torch.from_numpy(design.token_ids)
    n_layers = loaded.info.n_layers
    copies = min(loaded.info.n_heads, copies)
    ablations = tuple(
        Ablation(((layer, head),)) for layer in range(1, n_layers, 3) for head in range(copies)
    )
    plan = SweepPlan(design, ablations, "zero")

    def full(batch: int) -> None:
        for start in range(0, n, batch):
            hidden = run_tapped(loaded, tokens[start : start + batch], lambda *_: None)
            with torch.inference_mode():
                loaded.head(hidden)

    def base() -> None:
        run_tapped(loaded, tokens, lambda *_: None)

    # A sweep of the whole model shares its clean run among all heads, and this one too few.
    runs: dict[str, Callable[[], object]] = {
        "full, one by one": lambda: full(1),
        "full, together": lambda: full(n),
        "without logits": base,
        "sweep": lambda: measure_block(loaded, plan, range(n)),
    }
    seconds: dict[str, list[float]] = {key: [] for key in runs}
    full(1)  # warms up
    for _ in range(rounds):
        for key, run in runs.items():
            started = time.perf_counter()
            run()
            seconds[key].append(time.perf_counter() - started)
    medians = {key: statistics.median(values) for key, values in seconds.items()}
    whole = min(medians["full, one by one"], medians["full, together"]) / n
    part = medians["sweep"] / n / len(ablations)
    print(f"{name}: {n} sequences of {tokens.shape[1]} tokens, {len(ablations)} heads")
    bare = medians["without logits"] / n
    print(f"  full pass       {whole:.4f} s a sequence; without logits {bare:.4f}")
    print(f"  sweep           {part:.4f} s a head and sequence, clean run included")
    print(f"  sweep over full pass: {part / whole:.3f}")
    return {"full": whole, "sweep": part, "ratio": part / whole, **medians}


if __name__ == "__main__":
    main()
