"""Updates of the manifest within a batch are written together, also when the block fails."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from attention_motifs.atlas import Atlas, opened
from synthetic_atlas import make_synthetic_atlas


def recorded(path: Path) -> dict[str, str]:
    return Atlas.open(path).manifest.stages


def test_updates_in_a_batch_reach_the_disk_at_its_end(tmp_path: Path) -> None:
    atlas = make_synthetic_atlas(tmp_path / "atlas")
    with atlas.locked(), atlas.batched_updates():
        atlas.finish("one", "1")
        with atlas.batched_updates():
            atlas.finish("two", "2")
        assert atlas.is_finished("two", "2")
        assert "one" not in recorded(atlas.path)
    assert {"one", "two"} <= recorded(atlas.path).keys()


def test_a_batch_that_fails_keeps_what_was_finished(tmp_path: Path) -> None:
    atlas = make_synthetic_atlas(tmp_path / "atlas")
    with contextlib.suppress(ZeroDivisionError), atlas.locked(), atlas.batched_updates():
        atlas.finish("one", "1")
        raise ZeroDivisionError
    assert "one" in recorded(atlas.path)


def test_a_long_batch_is_written_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    atlas = make_synthetic_atlas(tmp_path / "atlas")
    monkeypatch.setattr(opened, "SECONDS_BETWEEN_WRITES", 0.0)
    with atlas.locked(), atlas.batched_updates():
        atlas.finish("one", "1")
        assert "one" in recorded(atlas.path)
