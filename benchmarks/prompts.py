"""Time of reading the prompts of an atlas: kept after the first read, and read for every block.

    python benchmarks/prompts.py --n 10000

`extract` asks for the prompts three times per block of 16. Before, every question read the whole
table, which is quadratic in the number of prompts; now an open atlas keeps it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from attention_motifs.atlas import BLOCK_SIZE, Atlas
from attention_motifs.prompts import Prompt, prompts_digest
from attention_motifs.stages.create import prompts_table
from attention_motifs.store.settings import Configuration

PER_BLOCK = 3
"""Reads of the prompts per block of `extract`."""


def seconds(atlas: Atlas, *, kept: bool) -> float:
    """Return the time of all reads of one pass over the blocks."""
    start = time.perf_counter()
    for _ in range(atlas.n_blocks * PER_BLOCK):
        if not kept:
            atlas = Atlas(atlas.paths, atlas.manifest)
        _ = atlas.prompts["prompt_id"]
    return time.perf_counter() - start


def main() -> None:
    """Measure both ways, side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, nargs="+", default=[1_000, 10_000], help="prompts")
    print(f"blocks of {BLOCK_SIZE} prompts, {PER_BLOCK} reads per block")
    print("prompts  read for every block  kept after the first read")
    for n in parser.parse_args().n:
        prompts = [Prompt(f"Prompt {i}: " + "some words of a text. " * 20) for i in range(n)]
        with tempfile.TemporaryDirectory() as folder:
            atlas = Atlas.create(
                Path(folder), Configuration(models=("m",)), prompts_table(prompts),
                prompts_digest(prompts),
            )  # fmt: skip
            before, after = seconds(atlas, kept=False), seconds(atlas, kept=True)
        print(f"{n:7,d}  {before:18.2f} s  {after:23.4f} s")


if __name__ == "__main__":
    main()
