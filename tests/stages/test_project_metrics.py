"""Projections by several metrics are kept side by side, as long as their distances stay."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.stages.distances import distances
from attention_motifs.stages.project import project
from synthetic_atlas import make_synthetic_atlas

ONE = {"methods": ["pca"], "n_neighbors": [3], "dimensions": [2]}


@pytest.fixture
def atlas(tmp_path: Path) -> Atlas:
    atlas = make_synthetic_atlas(tmp_path / "atlas")
    distances(atlas, "centroid")
    project(atlas, metric="mean", **ONE)
    return atlas


def test_another_metric_joins_the_table(atlas: Atlas) -> None:
    by_mean = atlas.projections
    project(atlas, metric="centroid", each_model=False, **ONE)
    table = atlas.projections
    assert table.filter(pl.col("metric") == "mean").equals(by_mean)
    assert table.filter(pl.col("metric") == "centroid")["scope"].unique().to_list() == ["all"]
    project(atlas, metric="centroid", **ONE)
    assert atlas.projections.filter(pl.col("metric") == "centroid")["scope"].n_unique() == 3
    assert atlas.projections.filter(pl.col("metric") == "mean").equals(by_mean)


def test_projections_of_changed_distances_go(atlas: Atlas) -> None:
    journal = atlas.manifest.stages
    with atlas.locked():
        atlas.update(stages={**journal, "distances:mean": "other"})
    project(atlas, metric="centroid", **ONE)
    assert atlas.projections["metric"].unique().to_list() == ["centroid"]
