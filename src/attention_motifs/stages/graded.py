"""Comparison of an atlas with published scores of every head."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.head_distances import stored_distances, stored_distances_of
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.evaluation.graded import (
    GradedRow,
    PublishedScores,
    compare_graded,
    read_graded,
)
from attention_motifs.progress import Report, silent
from attention_motifs.stages.evaluate import behaviour_columns

PACKAGED = "packaged"
"""Name of the published scores that are in the package."""


def graded(
    atlas: Atlas,
    path: str | Path = PACKAGED,
    *,
    metrics: Sequence[str] | None = None,
    report: Report = silent,
) -> list[GradedRow]:
    """Compare the distances and scores of an atlas with published scores of its models.

    Models are matched by their name, their id on the hub, or a name that the literature uses.

    Args:
        atlas: with distances; behaviour scores of the stage `score` are compared too.
        path: .npz file of published scores, with its .json file (see `read_graded`), or `packaged`
            (default) for those of the package, and those fetched by `motifs classes`.
        metrics: metrics to compare; default: those whose distances the atlas stores.
        report: shows progress.

    Returns:
        The rows of every published array of a model of the atlas.

    Raises:
        InputError: if a file cannot be read, no model of the atlas is in it, or an array has
            another shape than the model.
        AtlasError: if the atlas has no distances.
    """
    published = _packaged() if str(path) == PACKAGED else read_graded(path)
    chosen = list(metrics or stored_distances(atlas))
    if not chosen:
        raise AtlasError(
            f"{atlas.place}: has no distances yet; run {atlas.paths.command('distances')}"
        )
    matched = _matched(atlas, published)
    if not matched:
        names = sorted({p.model for p in published})
        raise InputError(
            f"{path}: has scores of {len(names)} models ({', '.join(names[:6])}...), and none of "
            f"{', '.join(atlas.models)}. Build an atlas of one of them"
        )
    heads = atlas.heads
    of_model = heads["model"].to_numpy()
    scores = behaviour_columns(heads)
    rows = []
    with report("published scores", len(matched)) as advance:
        for model, scored in matched:
            rows_of_model = np.flatnonzero(of_model == model)
            record = atlas.manifest.models[model]
            shape = len(record.layers), record.n_heads
            if scored.values.shape != shape:
                raise InputError(
                    f"{path}: {scored.source} scores {scored.values.shape} layers and heads of "
                    f"{scored.model}; {model} has {shape}. Correct the file"
                )
            matrices = {
                name: stored_distances_of(atlas, name).among(rows_of_model) for name in chosen
            }
            of_heads = {name: values[rows_of_model] for name, values in scores.items()}
            rows += compare_graded(scored, matrices, of_heads, published)
            advance(1)
    return rows


def _packaged() -> list[PublishedScores]:
    from attention_motifs.literature import graded_scores

    return [
        PublishedScores(table.source, table.model, table.head_class, table.kind, table.scores)
        for table in graded_scores()
    ]


def _matched(
    atlas: Atlas, published: Sequence[PublishedScores]
) -> list[tuple[str, PublishedScores]]:
    """Return the arrays of the models of an atlas, with the model's name there."""
    from attention_motifs.literature import load_known_heads

    literature = load_known_heads()

    def key(name: str) -> str:
        return literature.model_name(name).casefold()

    known: dict[str, str] = {}
    for model, record in atlas.manifest.models.items():
        for name in (model, record.location):
            if name:
                known.setdefault(key(name), model)
    return [(known[key(p.model)], p) for p in published if key(p.model) in known]
