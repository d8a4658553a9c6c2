"""Heads of a model before and after its weights are rounded to 8 and to 4 bits.

    python benchmarks/rounding.py smollm2-135m-instruct --folder rounding --prompts 16

Writes both rounded models and an atlas of them to the folder, and prints `motifs diff` between them
in numbers. Weights are rounded in groups of 32 of a row, to the nearest of equal steps that are
symmetric about 0; embeddings and norms stay exact.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import attention_motifs as am
from attention_motifs.models.packaged import converted_folder

GROUP = 32


def rounded(weight: torch.Tensor, bits: int) -> torch.Tensor:
    """Round a matrix in groups of 32 weights of a row."""
    groups = weight.reshape(-1, GROUP)
    largest = 2 ** (bits - 1) - 1
    step = (groups.abs().amax(dim=1, keepdim=True) / largest).clamp(min=1e-12)
    return ((groups / step).round().clamp(-largest, largest) * step).reshape(weight.shape)


def write_rounded(source: Path, target: Path, bits: int) -> None:
    """Write a model whose linear layers are rounded."""
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and "lm_head" not in name:
            module.weight.data = rounded(module.weight.data, bits)
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(source).save_pretrained(target)


def main() -> None:
    """Print how many heads keep their place, and how far they move."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a packaged model")
    parser.add_argument("--folder", type=Path, default=Path("rounding"))
    parser.add_argument("--prompts", type=int, default=16)
    options = parser.parse_args()
    source = converted_folder(options.model)
    for bits in (8, 4):
        if not (options.folder / f"bits{bits}").exists():
            write_rounded(source, options.folder / f"bits{bits}", bits)
    configuration = am.Configuration(
        models=tuple(f"bits{bits}={options.folder / f'bits{bits}'}" for bits in (8, 4)),
        prompts="builtin",
        n_prompts=options.prompts,
    )
    atlas = am.build(options.folder / "atlas", configuration)
    for metric in (atlas.best_metric, "mean"):
        result = am.diff(atlas, "bits8", "bits4", metric=metric)
        ratios = [h.distance / h.noise for h in result.heads if h.distance is not None and h.noise]
        at_place = sum(h.place is not None and h.match == h.place for h in result.heads)
        print(f"{metric}: {result.sentence}")
        print(
            f"  at their place {at_place} of {len(result.heads)}; distance over noise: median "
            f"{np.median(ratios):.3f}, 95 % below {np.quantile(ratios, 0.95):.3f}"
        )


if __name__ == "__main__":
    main()
