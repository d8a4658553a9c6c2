"""Shares of variance per model and jointly, and how far two halves of the prompts agree.

Reads an atlas that is there; nothing is timed.

    motifs demo && python benchmarks/embedding.py --atlas demo-atlas
    python benchmarks/embedding.py --atlas demo-atlas --half 32 --splits 10
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

COMPONENTS = (3, 10, 16)


def main() -> None:
    """Parse the arguments, measure, print a table and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--atlas", type=Path, default=Path("demo-atlas"))
    parser.add_argument("--half", type=int, default=32, help="prompts in each half")
    parser.add_argument("--splits", type=int, default=10, help="random splits, seeded")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    arguments = parser.parse_args()

    from attention_motifs import Atlas, PatternEmbedding, head_distances
    from attention_motifs.evaluation import HeadPositions, split_half
    from attention_motifs.features import feature_names

    atlas = Atlas.open(arguments.atlas)
    names = feature_names("paper")
    rows = {
        model: np.concatenate(
            [part.select(names).to_numpy() for part in atlas.feature_parts(model, names)]
        )
        for model in atlas.models
    }
    rows["all models"] = np.concatenate(list(rows.values()))
    shares = {}
    print(f"{'model':24}" + "".join(f"{k:>4} PCs" for k in COMPONENTS))
    for model, features in rows.items():
        cumulative = PatternEmbedding.fit(features).explained_variance_ratio.cumsum()
        shares[model] = {k: float(cumulative[k - 1]) for k in COMPONENTS}
        print(f"{model:24}" + "".join(f"{share:8.3f}" for share in shares[model].values()))

    heads = atlas.heads
    positions = HeadPositions.of(heads["model"].to_list(), heads["layer"].to_list())
    clouds = atlas.embedded()
    chosen = np.random.default_rng(0).permutation(len(clouds))[: 2 * arguments.half]
    reliability = split_half(
        lambda prompts: head_distances(clouds[chosen][prompts], metric="mean"),
        len(chosen),
        positions,
        n_splits=arguments.splits,
        seed=0,
    )
    print(f"Spearman of the distances by two halves of {arguments.half} prompts:")
    halves = {}
    for result in reliability:
        halves[result.model] = {"mean": result.mean, "spread": result.spread}
        print(f"  {result.model:22} {result.mean:.4f} (spread {result.spread:.4f})")
    if arguments.out:
        value = {"variance": shares, "split_half": halves}
        arguments.out.write_text(json.dumps(value, indent=1) + "\n")


if __name__ == "__main__":
    main()
