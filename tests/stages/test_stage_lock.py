"""Tests of the lock that a stage holds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.errors import AtlasError
from attention_motifs.stages.distances import distances
from attention_motifs.stages.stage import Stage, under_lock, writing
from synthetic_atlas import make_synthetic_atlas


@pytest.fixture
def atlas(tmp_path: Path) -> Atlas:
    return make_synthetic_atlas(tmp_path / "atlas", n_prompts=2, n_tokens=8, n_components=2)


def is_locked(atlas: Atlas) -> bool:
    """Try to lock the atlas from another thread."""

    def lock() -> None:
        with atlas.locked():
            pass

    with ThreadPoolExecutor(1) as threads:
        error = threads.submit(lock).exception()
    assert error is None or "another run is working on this atlas" in str(error)
    return error is not None


def step(atlas: Atlas, locked: list[bool]) -> bool:
    return Stage("step", 1, "step").run(atlas, lambda _: locked.append(is_locked(atlas)))


def test_a_step_runs_once_and_under_the_lock(atlas: Atlas) -> None:
    locked: list[bool] = []
    assert step(atlas, locked)
    assert not step(atlas, locked)
    assert locked == [True]
    assert not is_locked(atlas)


def test_stages_in_a_row_share_one_lock(atlas: Atlas) -> None:
    locked: list[bool] = []

    @under_lock
    def outer(atlas: Atlas) -> None:
        step(atlas, locked)
        locked.append(is_locked(atlas))

    outer(atlas)
    with writing(atlas.path) as opened:
        outer(opened)
        distances(opened, "cosine")
        locked.append(is_locked(opened))
    assert locked == [True, True, True, True]
    assert not is_locked(atlas)


def test_a_stage_that_fails_frees_the_lock(atlas: Atlas) -> None:
    @under_lock
    def failing(_atlas: Atlas) -> None:
        raise KeyError("why")

    with pytest.raises(KeyError):
        failing(atlas)
    assert not is_locked(atlas)


def test_a_stage_keeps_what_another_run_recorded_after_the_atlas_was_opened(atlas: Atlas) -> None:
    assert "other" not in atlas.heads.columns
    other = Atlas.open(atlas.path)
    other.write_heads(other.heads.with_columns(pl.lit(1).alias("other")))
    assert Stage("other", 1, "other").run(other, lambda _: None)
    assert step(atlas, [])
    assert {"other", "step"} <= set(Atlas.open(atlas.path).manifest.stages)
    assert "other" in atlas.heads.columns
    assert not Stage("other", 1, "other").run(atlas, lambda _: None)


def test_a_stage_of_an_atlas_that_was_deleted_reports_it(atlas: Atlas) -> None:
    atlas.file("manifest").path.unlink()
    with pytest.raises(AtlasError, match="holds no atlas"):
        step(atlas, [])
