"""Disk space of a model, stated and checked before it runs."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.errors import ResourceError
from attention_motifs.stages import disk
from attention_motifs.stages.disk import bytes_of_patterns, require_disk
from attention_motifs.store.manifest import ModelRecord
from synthetic_atlas import make_synthetic_atlas

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def atlas(tmp_path: Path) -> Atlas:
    return make_synthetic_atlas(tmp_path / "a", n_models=1, n_prompts=6, n_tokens=8)


def test_the_bytes_of_patterns_are_those_on_the_disk(atlas: Atlas) -> None:
    packed = [atlas.triangles("synthetic-0", prompt) for prompt in atlas.view_prompts()]
    assert bytes_of_patterns([8] * len(packed), 6) == sum(values.nbytes for values in packed)
    assert bytes_of_patterns([8192] * 8, 270) == pytest.approx(72.5e9, rel=0.01)


def test_a_model_that_does_not_fit_is_refused_before_it_runs(
    atlas: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = ModelRecord("big", "synthetic", 40, 40, "0")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(10**12, 0, 10**9))
    with pytest.raises(ResourceError, match=r"big: .* 1 GB free.*--n-view-prompts"):
        require_disk(atlas, "big", big, [8192] * 6)


def test_much_space_is_stated_and_little_is_not(
    atlas: Atlas, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    new = ModelRecord("new", "synthetic", 3, 2, "0")
    require_disk(atlas, "new", new, [8] * 6)
    assert not recwarn.list
    monkeypatch.setattr(disk, "STATED", 100)
    with pytest.warns(UserWarning, match="new: will take about .* for viewing"):
        require_disk(atlas, "new", new, [8] * 6)
    recwarn.clear()
    require_disk(atlas, "synthetic-0", atlas.manifest.models["synthetic-0"], [8] * 6)
    assert not recwarn.list, "what is there is not counted"
