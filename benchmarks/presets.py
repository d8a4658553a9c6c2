"""Presets on both packaged models: do heads of one behaviour have each other as nearest heads?

Classes are heads whose behaviour score reaches that of `behaviour.CLASS_THRESHOLDS`, scored
on repeated random tokens in blocks of 23, 27, 35 and 43 tokens, lengths that no probe and no stored
score uses. From an atlas of both models with the features `extended` and with probes:

1. mean average precision of every class within each model, by `natural`, `probes`, and both blocks
   with the ridges of `recommended` at weights of 1:1, 2:1 and 1:2;
2. the same for the second model, with the ranks and the whitening of the blocks fitted on the first
   model alone;
3. the gain over `natural`, with a 95 % interval: query heads, label sequences and prompts are drawn
   with replacement at once.

    motifs demo && python benchmarks/presets.py --atlas demo-atlas
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

BLOCK_LENGTHS = ((23, 5), (27, 4), (35, 3), (43, 2))
"""Length of the block and number of repetitions of the sequences that label heads."""
CLASSES = ("induction", "previous token", "duplicate token", "first-token sink", "self")
BLOCKS = ("natural", "probes")
WEIGHTS = {
    "natural": {"natural": 1.0},
    "probes": {"probes": 1.0},
    "1:1": {"natural, together": 1.0, "probes, together": 1.0},
    "2:1": {"natural, together": 2.0, "probes, together": 1.0},
    "1:2": {"natural, together": 1.0, "probes, together": 2.0},
}
"""Weights of the blocks: those of the presets of one block, and those of `recommended`."""
DRAWS = 200


def main() -> None:
    """Parse the arguments, measure, print tables and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--atlas", type=Path, default=Path("demo-atlas"))
    parser.add_argument("--seed", type=int, default=7, help="seed for the tokens of the labels")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    given = parser.parse_args()
    from attention_motifs import Atlas

    atlas = Atlas.open(given.atlas)
    first, *others = atlas.models
    scores = {model: labels(atlas, model, given.seed) for model in atlas.models}
    results = []
    for fitted, models in ((list(atlas.models), list(atlas.models)), ([first], others)):
        spaces = placed(atlas, fitted)
        for model in models:
            blocks = {name: space[model] for name, space in spaces.items()}
            results += measured(blocks, scores[model], model, " and ".join(fitted))
    if given.out:
        given.out.write_text(json.dumps(results, indent=1) + "\n")


def labels(atlas: Any, model: str, seed: int) -> dict[str, np.ndarray]:
    """Scores (sequences, heads) of every behaviour, on the blocks of random tokens."""
    from attention_motifs import behaviour
    from attention_motifs.extraction import load_model
    from attention_motifs.models.tokenizing import prefix_tokens

    loaded = load_model(atlas.manifest.models[model].wanted or model)
    prefix = prefix_tokens(loaded, atlas.manifest.configuration.bos)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a single sequence has no spread
        drawn = [
            behaviour.behaviour_scores(
                loaded, prefix=prefix, seed=1000 * seed + i, n_sequences=1, designs=(design,)
            )
            for i, design in enumerate(4 * BLOCK_LENGTHS)
        ]
    index = {name: i for i, name in enumerate(behaviour.BEHAVIOURS)}
    return {name: np.stack([s.mean[..., index[name]].ravel() for s in drawn]) for name in CLASSES}


def placed(atlas: Any, fitted: list[str]) -> dict[str, dict[str, np.ndarray]]:
    """Clouds (stimuli, heads, features) per block and model, fitted on some models."""
    from attention_motifs import RecommendedEmbedding
    from attention_motifs.atlas.queries import by_prompt
    from attention_motifs.embedding.presets import get_preset
    from attention_motifs.features import feature_names

    names, spaces = feature_names("extended"), {}
    for block in get_preset("recommended").blocks:
        taken = {}
        for model in atlas.models:
            parts = [by_prompt(atlas, model, part, names)
                     for part in atlas.feature_parts(model, names, block.stimuli)]  # fmt: skip
            taken[model] = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
        together = np.concatenate([taken[model][0] for model in fitted], axis=1)
        embedding = RecommendedEmbedding.fit(together, taken[fitted[0]][1], names)
        alone = {model: embedding.place(*values) for model, values in taken.items()}
        spaces[block.name] = alone
        spaces[f"{block.name}, together"] = {
            model: embedding.with_ridge(clouds, block.ridge) for model, clouds in alone.items()
        }
    return spaces


def products(clouds: np.ndarray) -> np.ndarray:
    """Inner products of every pair of heads on each stimulus, (stimuli, heads, heads)."""
    return np.asarray(clouds @ clouds.transpose(0, 2, 1), dtype=np.float64)


def cosines(products: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
    """Cosine of whole clouds, of every pair of heads, with each stimulus so many times."""
    times = np.ones(len(products)) if times is None else times
    total = np.tensordot(times, products, axes=1)
    lengths = np.sqrt(np.diag(total))
    return np.asarray(total / np.outer(lengths, lengths))


def average_precisions(similarity: np.ndarray, members: np.ndarray) -> dict[int, float]:
    """Average precision of the class mates of every member."""
    values = {}
    for query in np.flatnonzero(members):
        order = np.argsort(-similarity[query], kind="stable")
        ranks = np.flatnonzero(members[order[order != query]]) + 1
        values[int(query)] = float(np.mean(np.arange(1, len(ranks) + 1) / ranks))
    return values


def measured(
    blocks: Mapping[str, np.ndarray], scores: Mapping[str, np.ndarray], model: str, fitted: str
) -> list[dict[str, Any]]:
    """One row per class, printed as it is measured."""
    from attention_motifs.behaviour import CLASS_THRESHOLDS

    rng, rows = np.random.default_rng(0), []
    of_pairs = {block: products(clouds) for block, clouds in blocks.items()}
    whole = {block: cosines(pairs) for block, pairs in of_pairs.items()}
    for name, drawn in scores.items():
        members = drawn.mean(axis=0) >= CLASS_THRESHOLDS[name]
        if members.sum() < 3:
            continue
        row = {"fitted on": fitted, "model": model, "class": name, "heads": int(members.sum())}
        for label, weights in WEIGHTS.items():
            values = average_precisions(mixed(whole, weights), members)
            row[label] = float(np.mean(list(values.values())))
        gains: dict[str, list[float]] = {label: [] for label in WEIGHTS}
        for _ in range(DRAWS):
            sequences = rng.integers(len(drawn), size=len(drawn))
            again = drawn[sequences].mean(axis=0) >= CLASS_THRESHOLDS[name]
            if again.sum() < 3:
                continue
            sizes = {block: len(blocks[block]) for block in BLOCKS}
            times = {
                block: np.bincount(rng.integers(n, size=n), minlength=n)
                for block, n in sizes.items()
            }
            some = {
                block: cosines(pairs, times[block.partition(",")[0]])
                for block, pairs in of_pairs.items()
            }
            of = {w: average_precisions(mixed(some, weights), again)
                  for w, weights in WEIGHTS.items()}  # fmt: skip
            queries = rng.choice(np.flatnonzero(again), size=int(again.sum()))
            for label, values in of.items():
                gains[label].append(float(np.mean([values[q] - of["natural"][q] for q in queries])))
        for label in ("1:1", "2:1"):
            low, high = np.quantile(gains[label], [0.025, 0.975])
            row[f"gain {label}"] = [float(low), float(high)]
        rows.append(row)
        print("  ".join(_shown(value) for value in row.values()), flush=True)
    return rows


def mixed(whole: Mapping[str, np.ndarray], weights: Mapping[str, float]) -> np.ndarray:
    """Weighted mean of the cosines in some blocks."""
    total = sum(weight * whole[block] for block, weight in weights.items())
    return np.asarray(total / sum(weights.values()))


def _shown(value: object) -> str:
    if isinstance(value, list):
        return f"[{value[0]:+.2f}, {value[1]:+.2f}]"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
