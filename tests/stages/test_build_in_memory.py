"""Atlases of models in memory: made, continued, scored, ablated, and compared with folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import attention_motifs as am
from attention_motifs.atlas import Atlas
from attention_motifs.errors import InputError, MotifsError
from attention_motifs.stages import run
from attention_motifs.stages.score import score as score_stage
from attention_motifs.stages.stage import writing
from conftest import Tiny


def load(tiny: Tiny, name: str) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = tiny.folder / name
    return AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def models(tiny: Tiny) -> dict[str, Any]:
    return {"a": load(tiny, "a"), "b": load(tiny, "b")}


@pytest.fixture(scope="module")
def of_memory(
    tiny: Tiny, models: Any, own_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Atlas:
    folder = tmp_path_factory.mktemp("memory") / "atlas"
    return am.build(folder, tiny.configuration(), models=models)


def test_an_atlas_of_objects_is_that_of_their_folders(of_memory: Atlas, built: Atlas) -> None:
    assert of_memory.models == built.models
    assert of_memory.metrics() == built.metrics()
    for metric in of_memory.metrics():
        np.testing.assert_allclose(
            of_memory.distances(metric), built.distances(metric), atol=1e-5, rtol=1e-5
        )
    assert {info.kind for info in of_memory.manifest.models.values()} == {"memory"}


def test_a_finished_atlas_is_not_made_again(of_memory: Atlas, models: Any) -> None:
    before = (of_memory.path / "atlas.json").read_bytes()
    again = am.build(of_memory.path, models=models)
    assert (again.path / "atlas.json").read_bytes() == before


def test_without_the_model_the_error_says_how_to_give_it(copy_of_memory: Atlas) -> None:
    path = copy_of_memory.path
    calls = [
        lambda: am.build(path),
        lambda: am.build(path, copy_of_memory.manifest.configuration),
        lambda: am.score(path, force=True),
        lambda: am.ablate(path, "a:L0:H0", designs="repeated", n_sequences=2, n_controls=1),
    ]
    for call in calls:
        with pytest.raises(InputError, match=r"am\.build\(.*'a': \(model, tokenizer\)") as caught:
            call()
        assert "\n" not in str(caught.value)


def test_changed_weights_under_the_same_name_are_noticed(
    copy_of_memory: Atlas, models: Any
) -> None:
    weight = next(models["a"][0].parameters()).data
    kept = weight.clone()
    weight += 0.5
    try:
        for call in (am.build, am.score):  # `score` goes on with the other model
            with pytest.raises(am.MotifsError, match="weights changed"):
                call(copy_of_memory.path, models=models)
        with pytest.raises(InputError, match="weights changed"):
            am.add(copy_of_memory.path, {"a": models["a"]})
        with pytest.raises(InputError, match="weights changed"):
            am.label_heads({"a": models["a"]}, copy_of_memory)
        before = np.array(copy_of_memory.distances("mean")[:4])
        with pytest.warns(UserWarning, match="fitted again"):
            replaced = am.add(copy_of_memory.path, {"a": models["a"]}, replace=True)
        assert not np.array_equal(replaced.distances("mean")[:4], before)
    finally:
        weight.copy_(kept)


def test_a_model_in_memory_is_added(copy_of_memory: Atlas, tiny: Tiny) -> None:
    model, tokenizer = load(tiny, "c")
    atlas = am.add(copy_of_memory.path, {"new": (model, tokenizer)})
    assert atlas.models == ("a", "b", "new")
    assert np.isfinite(atlas.distances("mean")).all()
    # A later build, which has nothing left to do for it, needs it no more than the others.
    with pytest.raises(InputError, match=r"'a': \(model, tokenizer\)"):
        am.build(copy_of_memory.path)


def test_scores_and_ablations_are_those_of_the_folder(
    copy_of_memory: Atlas, copy: Atlas, models: Any, tiny: Tiny
) -> None:
    scored = am.score(copy_of_memory.path, models={"a": models["a"]})
    with writing(copy.path) as atlas:
        score_stage(atlas, models=["a"])
    columns = ["head", "induction", "previous token"]
    own = scored.heads.filter(pl.col("model") == "a").select(columns)
    theirs = Atlas.open(copy.path).heads.filter(pl.col("model") == "a").select(columns)
    for column in columns[1:]:
        np.testing.assert_allclose(own[column], theirs[column], atol=1e-5)
    settings: dict[str, Any] = {"designs": "repeated", "n_sequences": 2, "n_controls": 1}
    first = am.ablate(copy_of_memory.path, "a:L0:H0", model=models["a"], **settings)
    second = am.ablate(copy.path, "a:L0:H0", model=tiny.model("a"), **settings)
    np.testing.assert_allclose(first["effect"], second["effect"], atol=1e-4)
    whole = am.ablate(copy_of_memory.path, "a", model=models["a"], **settings)
    assert whole["name"].n_unique() >= 4


def test_labels_are_given_for_the_object(copy_of_memory: Atlas, models: Any, tiny: Tiny) -> None:
    labels = am.label_heads({"a": models["a"]}, copy_of_memory)
    assert labels["head"].to_list() == ["a:L0:H0", "a:L0:H1", "a:L1:H0", "a:L1:H1"]
    with pytest.raises(InputError, match=r"am\.add"):
        am.label_heads({"other": load(tiny, "c")}, copy_of_memory)


def test_a_build_that_was_stopped_goes_on(
    tiny: Tiny, models: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_arguments: Any, **_named: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, "embed", stop)
        with pytest.raises(KeyboardInterrupt):
            am.build(tmp_path / "atlas", tiny.configuration(), models=models, metrics=["mean"])
    assert not models["a"][0].model._forward_hooks
    atlas = am.build(tmp_path / "atlas", models=models, metrics=["mean"])
    assert atlas.metrics()


def test_two_objects_need_two_names(tiny: Tiny, models: Any, tmp_path: Path) -> None:
    model = models["a"][0]
    with pytest.raises(InputError, match="Give each a name"):
        am.build(tmp_path / "atlas", models=[models["a"], (model, models["a"][1])])
    with pytest.raises(MotifsError):
        am.build(tmp_path / "atlas")


def test_gradients_are_off_for_nobody_else(models: Any) -> None:
    assert torch.is_grad_enabled()
    assert all(p.requires_grad for p in models["a"][0].parameters())


@pytest.fixture
def copy_of_memory(of_memory: Atlas, tmp_path: Path) -> Atlas:
    import shutil

    shutil.copytree(of_memory.path, tmp_path / "memory")
    return Atlas.open(tmp_path / "memory")
