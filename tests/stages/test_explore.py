"""A finished atlas gets what it is looked at with, once, and by what is installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.stages import explore as stage
from attention_motifs.stages.explore import explore
from synthetic_atlas import make_synthetic_atlas


@pytest.fixture
def atlas(tmp_path: Path) -> Atlas:
    return make_synthetic_atlas(tmp_path / "atlas", n_layers=4, n_heads=3, n_prompts=6)


def manifest(atlas: Atlas) -> dict[str, Any]:
    return json.loads((atlas.path / "site" / "data" / "manifest.json").read_text("utf-8"))


def test_everything_is_made_and_made_once(atlas: Atlas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "_NEEDS", {"umap": "no_such_module", "leiden": "no_such_module"})
    assert explore(atlas).written
    listed = manifest(atlas)
    assert {p["method"] for p in listed["projections"]} == {"isomap", "tsne", "pca"}
    assert {c["method"] for c in listed["clusterings"]} == {"average", "hdbscan"}
    assert listed["evaluation"]
    assert set(listed["missing"]) == {"scores", "ablations"}
    before = (
        atlas.file("projections").path.stat().st_ino,
        atlas.file("evaluation").path.stat().st_ino,
    )
    assert not explore(atlas).written
    assert (
        atlas.file("projections").path.stat().st_ino,
        atlas.file("evaluation").path.stat().st_ino,
    ) == before
    atlas.file("evaluation").path.unlink()
    assert not explore(atlas).written  # the same evaluation again, and so the same site
    assert atlas.file("evaluation").path.is_file()


def test_a_large_atlas_gets_the_site_alone(atlas: Atlas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "MOST_HEADS", 10)
    explore(atlas)
    assert {"projections", "clusterings", "evaluation"} <= set(manifest(atlas)["missing"])


def test_projections_of_fewer_heads_are_left_out(atlas: Atlas) -> None:
    from attention_motifs.stages.project import project
    from attention_motifs.store import files

    project(atlas, methods=["pca"], dimensions=[2])
    files.write_parquet(atlas.file("projections").path, atlas.projections.tail(-1))
    from attention_motifs.site.export import export_site

    export_site(atlas)
    assert {p["scope"] for p in manifest(atlas)["projections"]} == {
        "synthetic-0",
        "org/synthetic-1",
    }
