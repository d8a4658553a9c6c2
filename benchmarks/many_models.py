"""Embedding an atlas of many small models, with `atlas.json` written at each step and in batches.

    python benchmarks/many_models.py --models 100 200 400

makes synthetic atlases (16 heads and 16 prompts a model), embeds each anew in both ways, in turn,
and prints seconds, writes of the manifest, the ratio, and the exponent of the time in models.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from attention_motifs.atlas import Atlas, opened
from attention_motifs.stages.embed import embed
from synthetic_atlas import make_synthetic_atlas

WAYS = {"each step": 0.0, "batches": opened.SECONDS_BETWEEN_WRITES}


def embed_again(atlas: Atlas, seconds_between: float) -> tuple[float, int]:
    """Embed all models anew; return seconds, and how often the manifest was written."""
    writes = 0
    write = opened.OpenedFolder._write_manifest

    def counted(self: opened.OpenedFolder) -> None:
        nonlocal writes
        writes += 1
        write(self)

    opened.SECONDS_BETWEEN_WRITES = seconds_between
    opened.OpenedFolder._write_manifest = counted  # type: ignore[method-assign]
    try:
        start = time.perf_counter()
        embed(atlas, force=True)
        return time.perf_counter() - start, writes
    finally:
        opened.OpenedFolder._write_manifest = write  # type: ignore[method-assign]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, nargs="+", default=[100, 200, 400])
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    fastest: dict[tuple[str, int], float] = {}
    print("models  way        seconds  writes  per step / batches")
    for n in given.models:
        with tempfile.TemporaryDirectory() as folder:
            atlas = make_synthetic_atlas(Path(folder) / "atlas", n, 4, 4, 16, 12)
            runs = [(way, *embed_again(atlas, WAYS[way])) for way in given.rounds * list(WAYS)]
        for way in WAYS:
            seconds, writes = min((s, w) for name, s, w in runs if name == way)
            fastest[way, n] = seconds
            ratio = fastest["each step", n] / seconds
            print(f"{n:6}  {way:9} {seconds:8.2f} {writes:7} {ratio:8.2f}")
    if len(given.models) > 1:
        first, last = given.models[0], given.models[-1]
        for way in WAYS:
            exponent = math.log(fastest[way, last] / fastest[way, first]) / math.log(last / first)
            print(f"{way}: seconds grow as models to the {exponent:.2f}")


if __name__ == "__main__":
    main()
