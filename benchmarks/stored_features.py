"""Effect on distances of features stored in 16 bits instead of as float32.

    python benchmarks/stored_features.py demo-atlas

Rounds the features of an atlas as float16, and to 65,536 equal steps between the extremes of a
column. Fits both embeddings anew, and prints the largest and the median relative change of a
distance, and the share of heads whose nearest head stays.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import numpy as np

import attention_motifs as am
from attention_motifs.atlas.queries import by_prompt
from attention_motifs.distances import head_distances
from attention_motifs.embedding.pattern_embedding import PatternEmbedding
from attention_motifs.embedding.presets import PRESETS
from attention_motifs.embedding.recommended import RecommendedEmbedding

STEPS = 65_536
Column = np.ndarray


def as_float16(column: Column) -> Column:
    """Return the values as float16 stores them."""
    return column.astype(np.float16).astype(np.float32)


def in_equal_steps(column: Column) -> Column:
    """Return the nearest of equal steps between the smallest and the largest value."""
    low, high = column.min(), column.max()
    step = (high - low) / (STEPS - 1) or 1.0
    return (low + np.rint((column - low) / step) * step).astype(np.float32)


WAYS = {"float16": as_float16, "equal steps": in_equal_steps}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("atlas")
    atlas = am.Atlas.open(parser.parse_args().atlas)
    exact = {name: features_of(atlas, name) for name in ("paper", "extended")}
    before = distances_from(exact)
    print("| stored as | metric | largest change | median | nearest head stays |")
    print("|---|---|---|---|---|")
    for way, change in WAYS.items():
        rounded = {name: (changed(parts, change), n) for name, (parts, n) in exact.items()}
        for metric, new in distances_from(rounded).items():
            old = before[metric]
            pairs = np.triu_indices(len(old), k=1)
            relative = np.abs(new - old)[pairs] / np.maximum(old[pairs], 1e-12)
            stays = np.mean(nearest(old) == nearest(new))
            print(
                f"| {way} | `{metric}` | {relative.max():.2g} | {np.median(relative):.2g} | "
                f"{stays:.1%} |"
            )


def features_of(atlas: am.Atlas, name: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the features (prompts, heads, columns) and the prompt lengths of each model."""
    columns = list(am.feature_names(name))
    parts, lengths = [], []
    for model in atlas.models:
        read = [
            by_prompt(atlas, model, part, columns) for part in atlas.feature_parts(model, columns)
        ]
        parts.append(np.concatenate([values for values, _ in read]))
        lengths.append(np.concatenate([n_tokens for _, n_tokens in read]))
    return parts, lengths


def changed(parts: Sequence[np.ndarray], change: Callable[[Column], Column]) -> list[np.ndarray]:
    """Return the parts with every column changed as a whole."""
    flat = np.concatenate([part.reshape(-1, part.shape[2]) for part in parts])
    with np.errstate(over="ignore"):
        rounded = np.stack([change(column) for column in flat.T], axis=1)
    ends = np.cumsum([part.shape[0] * part.shape[1] for part in parts])[:-1]
    pieces = np.split(rounded, ends)
    return [piece.reshape(part.shape) for piece, part in zip(pieces, parts, strict=True)]


def distances_from(features: dict[str, tuple[list[np.ndarray], list[np.ndarray]]]) -> dict:
    """Fit both embeddings; return the distances by each metric, float64."""
    parts, _ = features["paper"]
    rows = np.concatenate([part.reshape(-1, part.shape[2]) for part in parts])
    embedding = PatternEmbedding.fit(rows, feature_names=am.feature_names("paper"))
    clouds = np.concatenate(
        [
            embedding.transform(part.reshape(-1, part.shape[2])).reshape(*part.shape[:2], -1)
            for part in parts
        ],
        axis=1,
    )
    parts, lengths = features["extended"]
    names = list(am.feature_names("extended"))

    def read(columns: Sequence[str]) -> list:
        chosen = [names.index(name) for name in columns]
        each = enumerate(zip(parts, lengths, strict=True))
        return [(values[:, :, chosen], n, str(i)) for i, (values, n) in each]

    ranks = RecommendedEmbedding.fit_parts(lambda columns: iter(read(columns)), names)
    ridge = PRESETS["natural"].blocks[0].ridge
    placed = [
        ranks.with_ridge(ranks.place(part, n), ridge)
        for part, n in zip(parts, lengths, strict=True)
    ]
    natural = head_distances(np.concatenate(placed, axis=1), metric="natural")
    by_metric = {metric: head_distances(clouds, metric=metric) for metric in ("mean", "cosine")}
    return {
        k: np.asarray(v, dtype=np.float64) for k, v in {**by_metric, "natural": natural}.items()
    }


def nearest(distances: np.ndarray) -> np.ndarray:
    """Return the nearest other head of each head."""
    return np.argmin(distances + np.diag(np.full(len(distances), np.inf)), axis=1)


if __name__ == "__main__":
    main()
