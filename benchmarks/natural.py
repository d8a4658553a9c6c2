"""Both presets on both packaged models: are class mates nearest, and do lengths find each other?

From an atlas that `motifs demo` made (paper and extended features, behaviour scores, distances):

1. mean average precision and AUROC of every computed class by `mean`, `cosine`, `natural`, with
   the mean of the layer-matched null in brackets;
2. mean average precision for several thresholds of the behaviour scores;
3. with `--lengths`: patterns of 64 tokens on one half of the prompts look for their head among the
   centroids of patterns of 128 tokens on the other half, and the reverse (takes the patterns anew).

    motifs demo && python benchmarks/natural.py --atlas demo-atlas --lengths
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

METRICS = ("mean", "cosine", "natural")
THRESHOLDS = (0.2, 0.3, 0.4, 0.5)
SCORES = ("induction", "previous token", "duplicate token")
TOKENS = (64, 128)


def main() -> None:
    """Parse the arguments, measure, print tables and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--atlas", type=Path, default=Path("demo-atlas"))
    parser.add_argument("--lengths", action="store_true", help="also measure part 3")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    given = parser.parse_args()
    from attention_motifs.atlas import Atlas

    atlas = Atlas.open(given.atlas)
    figures: dict[str, Any] = {"evaluation": evaluated(atlas), "thresholds": thresholds(atlas)}
    if given.lengths:
        figures["lengths"] = {model: lengths(atlas, model) for model in atlas.models}
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(json.dumps(figures, indent=1) + "\n")


def evaluated(atlas: Any) -> list[dict[str, Any]]:
    """Rows of the computed classes, one per class and model, metrics side by side."""
    from attention_motifs.evaluation import HeadPositions, class_recovery
    from attention_motifs.stages.evaluate import computed_head_classes

    heads = HeadPositions.of(atlas.heads["model"].to_list(), atlas.heads["layer"].to_list())
    classes = computed_head_classes(atlas.heads)
    table: dict[tuple[str, str, str], dict[str, Any]] = {}
    for metric in METRICS:
        matrix = np.asarray(atlas.distances(metric), dtype=np.float64)
        for row in class_recovery(matrix, classes, heads)[0]:
            for statistic, test in (("MAP", row.average_precision), ("AUROC", row.auroc)):
                cells = table.setdefault((statistic, row.model, row.name), {"heads": row.n_heads})
                cells[metric] = test
    rows = []
    for (statistic, model, name), cells in sorted(table.items()):
        print(f"{statistic:6s} {model:40s} {name:30s} {cells['heads']:3d} heads ", end="")
        for metric in METRICS:
            print(f"  {metric} {cells[metric].value:.2f} ({cells[metric].null_mean:.2f})", end="")
        print()
        values = {metric: cells[metric].value for metric in METRICS}
        rows.append({"statistic": statistic, "model": model, "class": name, **values})
    return rows


def average_precision(order: np.ndarray, members: np.ndarray) -> float:
    """Mean precision at each class mate, in the order of distance."""
    ranks = np.flatnonzero(members[order]) + 1
    return float(np.mean(np.arange(1, len(ranks) + 1) / ranks))


def thresholds(atlas: Any) -> list[dict[str, Any]]:
    """Mean average precision within each model, for classes cut at several scores."""
    rows = []
    model_of = atlas.heads["model"].to_numpy()
    for model in atlas.models:
        of_model = np.flatnonzero(model_of == model)
        for score in SCORES:
            values = atlas.heads[score].to_numpy()[of_model]
            for threshold in THRESHOLDS:
                members = values >= threshold
                if members.sum() < 3:
                    continue
                row = {"model": model, "score": score, "threshold": threshold}
                row["heads"] = int(members.sum())
                for metric in METRICS:
                    matrix = np.asarray(atlas.distances(metric))[np.ix_(of_model, of_model)]
                    precisions = []
                    for query in np.flatnonzero(members):
                        order = np.argsort(matrix[query], kind="stable")
                        precisions.append(average_precision(order[order != query], members))
                    row[metric] = float(np.mean(precisions))
                rows.append(row)
                print("  ".join(f"{v:.2f}" if isinstance(v, float) else str(v)
                                for v in row.values()))  # fmt: skip
    return rows


def lengths(atlas: Any, model: str) -> dict[str, float]:
    """Top-1 share of single patterns given to their own head, across two lengths."""
    from attention_motifs.embedding.recommended import RecommendedEmbedding

    taken = {n: features_at(atlas, model, n) for n in TOKENS}
    n_prompts = len(taken[TOKENS[0]])
    preset = RecommendedEmbedding.fit(
        np.concatenate([taken[n] for n in TOKENS]), np.repeat(TOKENS, n_prompts)
    )
    placed = {n: preset.place(taken[n], np.full(n_prompts, n)) for n in TOKENS}
    first, second = slice(0, None, 2), slice(1, None, 2)
    figures = {}
    for asks in TOKENS:
        for answers in TOKENS:
            share = top_1(placed[asks][first], placed[answers][second].mean(axis=0))
            figures[f"{asks} to {answers}"] = share
    print(model, {key: round(value, 3) for key, value in figures.items()})
    return figures


def top_1(patterns: np.ndarray, centroids: np.ndarray) -> float:
    """Share of patterns (prompts, heads, features) whose nearest centroid is their own head's."""
    squares = (centroids**2).sum(axis=1)
    indices = np.arange(len(centroids))
    hits = [(squares - 2 * rows @ centroids.T).argmin(axis=1) == indices for rows in patterns]
    return float(np.mean(hits))


def features_at(atlas: Any, model: str, n: int) -> np.ndarray:
    """Extended features (prompts, heads, F) of the prompts that have n tokens, cut to n."""
    from attention_motifs import compute_features, extract_patterns
    from attention_motifs.prompts import Prompt

    prompts = [Prompt(text) for text in atlas.prompts["text"]]
    rows: dict[str, list[np.ndarray]] = {}
    for batch in extract_patterns(model, prompts, max_tokens=n):
        if batch.patterns.shape[1] == n:
            rows.setdefault(batch.prompt_id, []).append(
                compute_features(batch.patterns, "extended").cpu().numpy()
            )
    whole = [p.prompt_id for p in prompts if p.prompt_id in rows]
    return np.stack([np.concatenate(rows[one]) for one in whole])


if __name__ == "__main__":
    main()
