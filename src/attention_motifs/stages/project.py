"""The stage `project`: distances between heads to points in two and three dimensions."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.head_distances import (
    HeadDistances,
    NearestHeads,
    all_pairs_of,
    stored_distances,
)
from attention_motifs.atlas.opened import SECONDS_BETWEEN_WRITES
from attention_motifs.errors import AtlasError
from attention_motifs.progress import Report, silent
from attention_motifs.stages.stage import Stage, under_lock
from attention_motifs.store import files

if TYPE_CHECKING:
    import polars as pl

    from attention_motifs.projection import Landmarks, Projection

ALL_MODELS = "all"
"""The scope of a projection of all heads; others are names of models."""


@under_lock
def project(
    atlas: Atlas,
    *,
    metric: str = "mean",
    methods: Sequence[str] | None = None,
    n_neighbors: Sequence[int] | None = None,
    dimensions: Sequence[int] | None = None,
    seed: int = 0,
    force: bool = False,
    report: Report = silent,
) -> None:
    """Write `projections.parquet`: every method x neighbours x dimension, per model and for all.

    An atlas that stores the nearest heads only (docs/scale.md) is projected for all models
    together. A row is one head in one projection, with the quality of the projection. Scopes that
    an earlier run finished from the same inputs are kept.

    Args:
        atlas: with the distances of the metric.
        metric: whose distances are projected.
        methods: names in `projection.PROJECTIONS`; default: all.
        n_neighbors: sizes of the neighbourhoods; default: those of the paper and others.
        dimensions: 2, 3 or both; default: both.
        seed: of methods that draw numbers.
        force: project again although nothing changed.
        report: shows progress.

    Raises:
        InputError: if a method is unknown or not installed.
        AtlasError: if the distances were not computed.
    """
    from attention_motifs.projection import (
        DIMENSIONS,
        NEIGHBOURHOODS,
        PROJECTIONS,
        projection_plan,
    )

    plan = projection_plan(
        methods or list(PROJECTIONS), n_neighbors or NEIGHBOURHOODS, dimensions or DIMENSIONS
    )
    made_from = [atlas.manifest.stages.get(f"distances:{metric}"), metric, plan, seed, atlas.models]
    stage = Stage("project", made_from, "projections")
    tables = {} if force else _finished_scopes(atlas, stage.digest)
    model_of = atlas.heads["model"].to_numpy()
    # Stored neighbours are among the heads of all models: too few are of the same model.
    stored = stored_distances(atlas).get(metric)
    each = len(atlas.models) > 1 and not isinstance(stored, NearestHeads)
    scopes = [ALL_MODELS, *(atlas.models if each else ())]
    placing = _placing(atlas, metric, stored, seed, report) if set(scopes) - tables.keys() else None
    write_after = time.monotonic()
    with report(stage.title, len(scopes) * len(plan)) as advance:
        for scope in scopes:
            if scope in tables or placing is None:
                advance(len(plan))
                continue
            rows = np.flatnonzero((model_of == scope) | (scope == ALL_MODELS))
            place = placing(rows)
            heads = atlas.heads["head"][rows.tolist()].to_list()
            parts = []
            for method, k, n_components in plan:
                projection = place(
                    method=method, n_neighbors=k, n_components=n_components, seed=seed
                )
                parts.append(_table(scope, heads, metric, projection))
                advance(1)
            tables[scope] = _concat(parts)
            # The file holds all scopes: written after each of many, it would cost their square.
            if scope == scopes[-1] or time.monotonic() >= write_after:
                files.write_parquet(
                    atlas.file("projections"),
                    _concat(list(tables.values())),
                    {"inputs": stage.digest},
                )
                write_after = time.monotonic() + SECONDS_BETWEEN_WRITES
    stage.record(atlas)


Place = Callable[..., "Projection"]


def _placing(
    atlas: Atlas, metric: str, stored: HeadDistances | None, seed: int, report: Report
) -> Callable[[np.ndarray[Any, Any]], Place]:
    """Return the function that projects some heads: from all pairs, or all heads from landmarks."""
    from attention_motifs.projection import project, project_neighbours

    if not isinstance(stored, NearestHeads):
        distances = all_pairs_of(atlas, metric)
        return lambda rows: partial(project, distances.among(rows))
    landmarks = _landmarks(stored, seed, report)
    return lambda _rows: partial(project_neighbours, stored.neighbours, landmarks, stored.rows)


def _landmarks(stored: NearestHeads, seed: int, report: Report) -> Landmarks:
    from attention_motifs.projection import Landmarks

    n_heads = len(stored.clouds)
    with report("distances from landmarks", n_heads) as advance:
        return Landmarks.choose(n_heads, partial(stored.rows, done=advance), seed=seed)


def _finished_scopes(atlas: Atlas, inputs: str) -> dict[str, pl.DataFrame]:
    """Return the tables of the scopes that an earlier run finished from the same inputs."""
    path = atlas.file("projections")
    try:
        if not path.is_file() or files.parquet_metadata(path, "").get("inputs") != inputs:
            return {}
        table = files.read_parquet(path, "")
    except AtlasError:
        return {}
    return {str(key[0]): part for key, part in table.group_by("scope", maintain_order=True)}


def _table(scope: str, heads: Sequence[str], metric: str, projection: Projection) -> pl.DataFrame:
    import polars as pl

    n = len(heads)
    axes = np.full((n, 3), np.nan, dtype=np.float32)
    axes[:, : projection.n_components] = projection.coordinates
    return pl.DataFrame(
        {
            "head": list(heads),
            "scope": [scope] * n,
            "metric": [metric] * n,
            "method": [projection.method] * n,
            "n_neighbors": pl.Series([projection.n_neighbors] * n, dtype=pl.Int32),
            "n_components": pl.Series([projection.n_components] * n, dtype=pl.Int32),
            **{
                axis: pl.Series(axes[:, i], dtype=pl.Float32, nan_to_null=True)
                for i, axis in enumerate("xyz")
            },
            "trustworthiness": pl.Series([projection.trustworthiness] * n, dtype=pl.Float32),
            "continuity": pl.Series([projection.continuity] * n, dtype=pl.Float32),
            "n_pieces": pl.Series([projection.n_pieces] * n, dtype=pl.Int32),
            "note": [projection.note] * n,
        }
    )


def _concat(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    import polars as pl

    return pl.concat(tables)
