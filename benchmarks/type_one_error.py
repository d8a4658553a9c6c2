"""Type-I error of the evaluation's nulls on the distances of an atlas, with labels that are noise.

Usage: python benchmarks/type_one_error.py ATLAS [--metric recommended] [--runs 400]
           [--key-groups MODEL=N ...]

A label is drawn at random for every head: noise and an effect of the layer, or also an effect of
the key group that heads share. A null is calibrated if p <= 0.05 in 5 % of the runs.
"""

from __future__ import annotations

import argparse
import json

import numpy as np

import attention_motifs as am
from attention_motifs.evaluation import HeadPositions
from attention_motifs.evaluation.degrees import ScopedDistances, degree_test, permutations_of
from attention_motifs.evaluation.query_sets import Scope

LEVEL = 0.05


def rejections(
    distances: np.ndarray,
    heads: HeadPositions,
    key_groups: np.ndarray,
    *,
    group_effect: float,
    n_runs: int,
    n_permutations: int,
) -> dict[str, float]:
    """Return the share of runs with p <= 0.05, by statistic and null."""
    rows = np.arange(len(heads))
    scope = Scope(heads.models[0], rows, rows)
    ranked = ScopedDistances(distances, scope, 5)
    rng = np.random.default_rng(0)
    hits = dict.fromkeys(("S5, layers", "MAP, layers", "S5, key groups", "MAP, key groups"), 0)
    for run in range(n_runs):
        noise = rng.normal(size=len(heads))
        of_layer = rng.normal(size=int(heads.layers.max()) + 1)[heads.layers]
        of_group = rng.normal(size=int(key_groups.max()) + 1)[key_groups]
        label = noise + of_layer + group_effect * of_group
        test = degree_test(
            ranked,
            label,
            label,
            permutations_of(scope, heads, n_permutations, run),
            permutations_of(scope, heads, n_permutations, run, key_groups=key_groups),
        )
        p = (
            test.s5.p,
            test.average_precision.p,
            test.s5_groups_p,
            test.average_precision_groups_p,
        )
        for name, value in zip(hits, p, strict=True):
            hits[name] += value <= LEVEL
    return {name: count / n_runs for name, count in hits.items()}


def main() -> None:
    """Print one JSON line per model and kind of noise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("atlas")
    parser.add_argument("--metric", default="recommended")
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--permutations", type=int, default=199)
    parser.add_argument("--key-groups", action="append", default=[], metavar="MODEL=N")
    arguments = parser.parse_args()
    n_groups = {name: int(n) for name, n in (text.split("=") for text in arguments.key_groups)}
    atlas = am.Atlas.open(arguments.atlas)
    matrix = np.asarray(atlas.distances(arguments.metric), dtype=np.float64)
    everyone = HeadPositions.of(atlas.heads["model"].to_list(), atlas.heads["layer"].to_list())
    for model in everyone.models:
        rows = everyone.heads_of(model)
        heads = HeadPositions.of([model] * len(rows), everyone.layers[rows].tolist())
        per_layer = atlas.manifest.models[model].n_heads
        size = per_layer // n_groups.get(model, per_layer)
        groups = heads.layers * per_layer + atlas.heads["index"].to_numpy()[rows] // size
        for effect in (0.0, 1.0):
            shares = rejections(
                matrix[np.ix_(rows, rows)],
                heads,
                groups,
                group_effect=effect,
                n_runs=arguments.runs,
                n_permutations=arguments.permutations,
            )
            print(json.dumps({"model": model, "group effect": effect, **shares}), flush=True)


if __name__ == "__main__":
    main()
