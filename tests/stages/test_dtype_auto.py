"""An atlas made with `--dtype auto` holds what each model ran in, and goes on with that."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.check import check_atlas
from attention_motifs.errors import AtlasError
from attention_motifs.extraction import loading
from attention_motifs.progress import silent
from attention_motifs.stages import extract as stage
from attention_motifs.stages.create import create_or_resume
from attention_motifs.stages.extract import extract
from attention_motifs.stages.run import add, build
from attention_motifs.stages.score import load_scored_model
from conftest import Tiny, contents
from stored_weights import copy_stored_as

STORED = {"full": torch.float32, "brain": torch.bfloat16, "half": torch.float16}
RUN_IN = {"full": "float32", "brain": "bfloat16", "half": "float32"}


@pytest.fixture(scope="module")
def stored(tiny: Tiny, own_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One model in three dtypes on disk, as given to --model."""
    folder = tmp_path_factory.mktemp("stored")
    for name, dtype in STORED.items():
        copy_stored_as(tiny.folder / "a", folder / name, dtype)
    return {name: str(folder / name) for name in STORED}


def built(path: Path, tiny: Tiny, models: Sequence[str], dtype: str) -> Atlas:
    return build(
        path, tiny.configuration(models=tuple(models), dtype=dtype, n_prompts=18), device="cpu"
    )


@pytest.fixture(scope="module")
def by_auto(tiny: Tiny, stored: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    path = tmp_path_factory.mktemp("auto") / "atlas"
    return built(path, tiny, list(stored.values()), "auto")


def features(atlas: Atlas, model: str) -> dict[str, bytes]:
    """Of the parts, all that is in the files."""
    folder = atlas.file("features", model=model, block=0).path.parent
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_atlas_tells_what_each_model_ran_in(by_auto: Atlas) -> None:
    assert {m: info.dtype for m, info in by_auto.manifest.models.items()} == RUN_IN
    assert by_auto.manifest.configuration.dtype == "auto"
    assert check_atlas(by_auto) == []


@pytest.mark.parametrize("model", list(RUN_IN))
def test_its_parts_are_those_of_the_dtype_by_its_name(
    by_auto: Atlas, tiny: Tiny, stored: dict[str, str], tmp_path: Path, model: str
) -> None:
    named = built(tmp_path / "named", tiny, [stored[model]], RUN_IN[model])
    assert features(named, model) == features(by_auto, model)
    assert len(features(named, model)) == 2


def test_dtypes_give_different_parts(by_auto: Atlas) -> None:
    assert features(by_auto, "full") != features(by_auto, "brain")


def test_a_second_run_changes_nothing_and_a_lost_part_comes_back(
    by_auto: Atlas, tiny: Tiny, stored: dict[str, str], tmp_path: Path
) -> None:
    shutil.copytree(by_auto.path, tmp_path / "atlas")
    before = contents(tmp_path / "atlas")
    built(tmp_path / "atlas", tiny, list(stored.values()), "auto")
    assert contents(tmp_path / "atlas") == before
    Atlas.open(tmp_path / "atlas").file("features", model="brain", block=1).path.unlink()
    built(tmp_path / "atlas", tiny, list(stored.values()), "auto")
    assert contents(tmp_path / "atlas") == before
    with pytest.raises(AtlasError, match="dtype 'auto', not 'float32'"):
        built(tmp_path / "atlas", tiny, list(stored.values()), "float32")


def test_a_model_keeps_its_dtype_where_auto_would_now_be_another(
    by_auto: Atlas, stored: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(by_auto.path, tmp_path / "atlas")
    atlas = Atlas.open(tmp_path / "atlas")
    before = features(atlas, "half")
    atlas.file("features", model="half", block=0).path.unlink()
    # As on a GPU, where float16 weights stay float16.
    monkeypatch.setattr(loading, "dtype_as_stored", lambda _folder, _device: "float16")
    with Atlas.lock(atlas.path):
        extract(atlas, device="cpu")
    assert features(atlas, "half") == before
    assert load_scored_model(atlas, "half", stored["half"], "cpu", silent).info.dtype == "float32"


def test_an_added_model_is_placed_in_its_own_dtype(
    by_auto: Atlas, tiny: Tiny, stored: dict[str, str], tmp_path: Path
) -> None:
    built(tmp_path / "atlas", tiny, [stored["full"]], "auto")
    grown = add(tmp_path / "atlas", stored["brain"], device="cpu")
    assert grown.manifest.models["brain"].dtype == "bfloat16"
    assert features(grown, "brain") == features(by_auto, "brain")


def test_workers_load_a_model_once_and_all_in_the_dtype_it_was_begun_in(
    by_auto: Atlas,
    tiny: Tiny,
    stored: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loads: list[str] = []
    load = stage.load_for

    def counted(*arguments: Any, **named: Any) -> Any:
        loads.append(named["dtype"])
        return load(*arguments, **named)

    monkeypatch.setattr(stage, "load_for", counted)
    configuration = replace(by_auto.manifest.configuration, models=(stored["half"],))
    with Atlas.lock(tmp_path / "atlas", new=True):
        atlas = create_or_resume(tmp_path / "atlas", configuration)
        extract(atlas, device="cpu")
    assert features(atlas, "half") == features(by_auto, "half")
    assert loads == ["float32"]
    # A worker that has a GPU makes its part in what the model was begun in, not in float16.
    atlas.file("features", model="half", block=1).path.unlink()
    monkeypatch.setattr(loading, "dtype_as_stored", lambda _folder, _device: "float16")
    identity = stage.identify(atlas, stored["half"], "cpu")
    stage.extract_part(atlas.path, stored["half"], 1, "cpu", identity)
    assert features(atlas, "half") == features(by_auto, "half")
