"""The stage `project`: distances between heads to points in two and three dimensions."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.head_distances import (
    AllPairs,
    NearestHeads,
    NearestOfAllPairs,
    all_pairs_or_nearest,
)
from attention_motifs.atlas.opened import SECONDS_BETWEEN_WRITES
from attention_motifs.errors import AtlasError
from attention_motifs.memory import memory_limit
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
    each_model: bool = True,
    force: bool = False,
    report: Report = silent,
) -> None:
    """Write `projections.parquet`: every method x neighbours x dimension, per model and for all.

    An atlas of the nearest heads only, or whose pairs would use too much memory, is projected for
    all models together by exact distances to landmarks (docs/scale.md). What an earlier run
    finished from the same inputs is kept.

    Args:
        atlas: with the distances of the metric.
        metric: whose distances are projected.
        methods: names in `projection.PROJECTIONS`; default: all.
        n_neighbors: sizes of the neighbourhoods; default: those of the paper and others.
        dimensions: 2, 3 or both; default: both.
        seed: of methods that draw numbers.
        each_model: project the heads of each model alone, too.
        force: project again although nothing changed.
        report: shows progress.

    Raises:
        InputError: if a method is unknown or not installed.
        AtlasError: if there are no distances.
    """
    from attention_motifs.projection import (
        DIMENSIONS,
        NEIGHBOURHOODS,
        PROJECTIONS,
        bytes_of_all_pairs,
        projection_plan,
    )

    plan = projection_plan(
        methods or list(PROJECTIONS), n_neighbors or NEIGHBOURHOODS, dimensions or DIMENSIONS
    )
    journal = atlas.manifest.stages
    model_of = atlas.heads["model"].to_numpy()
    stored = all_pairs_or_nearest(atlas, metric, bytes_of_all_pairs(len(atlas.heads)), "project")
    each = each_model and len(atlas.models) > 1
    scopes = [ALL_MODELS, *(_small_models(atlas, stored) if each else ())]
    made_from = [journal.get(f"distances:{metric}"), metric, plan, seed, scopes, atlas.models]
    if isinstance(stored, NearestOfAllPairs):
        made_from.append("by landmarks")
    stage, kept = Stage("project", made_from, "projections"), _stored_tables(atlas)
    digests = {m: d for m, d in kept.digests.items() if m != metric} | {metric: stage.digest}
    others = kept.of_other_metrics(metric)
    tables = {} if force else kept.scopes(metric, stage.digest)
    placing = _placing(stored, seed, report) if set(scopes) - tables.keys() else None
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
                _write(atlas, [*others, *tables.values()], digests)
                write_after = time.monotonic() + SECONDS_BETWEEN_WRITES
    stage.record(atlas)


Place = Callable[..., "Projection"]


def _small_models(atlas: Atlas, stored: AllPairs | NearestHeads) -> list[str]:
    """Return the models whose heads alone can be projected from the distances of all pairs."""
    from attention_motifs.projection import bytes_of_all_pairs

    # Stored neighbours are among the heads of all models: too few are of the same model.
    if isinstance(stored, NearestHeads) and not isinstance(stored, NearestOfAllPairs):
        return []
    limit, records = memory_limit(), atlas.manifest.models
    return [m for m in atlas.models if bytes_of_all_pairs(records[m].n_all_heads) <= limit]


def _placing(
    stored: AllPairs | NearestHeads, seed: int, report: Report
) -> Callable[[np.ndarray[Any, Any]], Place]:
    """Return the function that projects some heads: from all pairs, or all heads from landmarks."""
    from attention_motifs.projection import project, project_neighbours

    if not isinstance(stored, NearestHeads):
        return lambda rows: partial(project, stored.among(rows))
    landmarks = _landmarks(stored, seed, report)

    def place(rows: np.ndarray[Any, Any]) -> Place:
        if len(rows) < len(stored.atlas.heads):  # one model of several
            return partial(project, stored.among(rows))
        return partial(project_neighbours, stored.neighbours, landmarks, stored.rows)

    return place


def _landmarks(stored: NearestHeads, seed: int, report: Report) -> Landmarks:
    from attention_motifs.projection import Landmarks

    n_heads = len(stored.atlas.heads)
    with report("distances from landmarks", n_heads) as advance:
        return Landmarks.choose(n_heads, partial(stored.rows, done=advance), seed=seed)


@dataclass(frozen=True)
class _Stored:
    """The projections that an atlas holds, and what those of each metric were made from."""

    table: pl.DataFrame | None
    digests: dict[str, str]
    """By metric, the digest of the inputs of its last run."""

    def scopes(self, metric: str, inputs: str) -> dict[str, pl.DataFrame]:
        """Return the tables of a metric's finished scopes, if they have the same inputs."""
        if self.table is None or self.digests.get(metric) != inputs:
            return {}
        groups = self._of(metric).group_by("scope", maintain_order=True)
        return {str(key[0]): part for key, part in groups}

    def of_other_metrics(self, metric: str) -> list[pl.DataFrame]:
        return [self._of(other) for other in self.digests if other != metric]

    def _of(self, metric: str) -> pl.DataFrame:
        import polars as pl

        assert self.table is not None  # noqa: S101 - digests are of a table
        return self.table.filter(pl.col("metric") == metric)


def _stored_tables(atlas: Atlas) -> _Stored:
    """Read the stored projections; those of distances that changed since are left out."""
    path, journal = atlas.file("projections"), atlas.manifest.stages
    try:
        if not path.is_file():
            return _Stored(None, {})
        metadata = files.parquet_metadata(path, "")
        digests = {
            metric: metadata[f"inputs of {metric}"]
            for metric in atlas.metrics()
            if metadata.get(f"distances of {metric}", "-") == journal.get(f"distances:{metric}")
            and f"inputs of {metric}" in metadata
        }
        return _Stored(files.read_parquet(path, ""), digests)
    except AtlasError:
        return _Stored(None, {})


def _write(atlas: Atlas, tables: Sequence[pl.DataFrame], digests: Mapping[str, str]) -> None:
    journal = atlas.manifest.stages
    metadata = {f"inputs of {metric}": digest for metric, digest in digests.items()}
    for metric in digests:
        metadata[f"distances of {metric}"] = journal.get(f"distances:{metric}", "")
    files.write_parquet(atlas.file("projections"), _concat(tables), metadata)


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
