"""Motif shares: made at extraction, or later for an atlas without them; removed with a model."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.check import check_atlas
from attention_motifs.atlas.motif_shares import SHARE, SPREAD, motif_shares_of
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.features.motif_definitions import MOTIFS
from attention_motifs.stages.remove import remove
from attention_motifs.stages.shares import shares
from attention_motifs.store import files
from synthetic_atlas import make_synthetic_atlas

COLUMNS = [column for name in MOTIFS for column in (name + SHARE, name + SHARE + SPREAD)]


@pytest.fixture
def copy(built: Atlas, tmp_path: Path) -> Atlas:
    shutil.copytree(built.path, tmp_path / "atlas")
    return Atlas.open(tmp_path / "atlas")


def without_shares(atlas: Atlas) -> Atlas:
    """The atlas as earlier versions made it."""
    shutil.rmtree(atlas.path / "motif_shares")
    atlas.write_heads(atlas.heads.drop(COLUMNS))
    atlas.file("digests").path.unlink()
    return Atlas.open(atlas.path)


def test_extraction_stores_shares_of_every_pattern_and_their_means(built: Atlas) -> None:
    means = []
    for model in built.models:
        table = motif_shares_of(built, model)
        n_heads = built.manifest.models[model].n_all_heads
        assert table.shape == (len(built.prompts), n_heads, len(MOTIFS))
        assert np.allclose(table.sum(axis=2), 1.0, atol=1e-5)
        means.append(table.mean(axis=0))
    stored = built.heads.select(name + SHARE for name in MOTIFS).to_numpy()
    assert stored == pytest.approx(np.concatenate(means), abs=1e-6)
    assert built.heads.select(COLUMNS).null_count().sum_horizontal().item() == 0


def test_an_atlas_of_an_earlier_version_gets_the_same_shares(copy: Atlas, built: Atlas) -> None:
    old = without_shares(copy)
    assert check_atlas(old) == []
    with pytest.raises(AtlasError, match=r"holds no motif shares.*motifs shares --atlas"):
        motif_shares_of(old, old.models[0])
    shares(old)
    for model in old.models:
        assert motif_shares_of(old, model) == pytest.approx(motif_shares_of(built, model), abs=1e-5)
    assert old.heads.select(COLUMNS).to_numpy() == pytest.approx(
        built.heads.select(COLUMNS).to_numpy(), abs=1e-5
    )
    before = {p: p.stat().st_mtime_ns for p in old.path.rglob("*") if p.is_file()}
    shares(old)
    assert before == {p: p.stat().st_mtime_ns for p in old.path.rglob("*") if p.is_file()}


def test_a_model_that_is_not_there_is_named(copy: Atlas) -> None:
    with pytest.raises(InputError, match="model 'c' is not in this atlas; it has a, b"):
        shares(copy, models=["c"])


def test_a_removed_model_leaves_no_shares(copy: Atlas) -> None:
    with pytest.warns(UserWarning, match="is fitted again"):
        remove(copy.path, "b")
    reopened = Atlas.open(copy.path)
    files_left = (reopened.path / "motif_shares").rglob("*.parquet")
    assert {path.parent.name for path in files_left} == {"a"}
    assert reopened.heads.select(COLUMNS).null_count().sum_horizontal().item() == 0


def test_planted_heads_have_the_shares_of_their_motif(tmp_path: Path) -> None:
    atlas = make_synthetic_atlas(tmp_path / "atlas", n_tokens=40, n_prompts=6)
    heads = atlas.heads.filter(pl.col("layer") == 0)
    assert heads["previous token" + SHARE].to_list()[::2] == pytest.approx([0.9, 0.9], abs=0.1)
    assert heads["first token" + SHARE].to_list()[1::2] == pytest.approx([0.85, 0.85], abs=0.15)
    assert check_atlas(atlas) == []


def test_a_damaged_part_is_found(tmp_path: Path) -> None:
    atlas = make_synthetic_atlas(tmp_path / "atlas", n_prompts=4)
    file = atlas.file("motif_shares", model=atlas.models[0], block=0)
    table = files.read_parquet(file)
    files.write_parquet(file, table.with_columns(pl.col("self") + 0.5))
    assert "do not sum to 1" in " ".join(check_atlas(atlas))
