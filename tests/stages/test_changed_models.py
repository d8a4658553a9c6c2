"""A model whose files changed is noticed; models are removed and replaced."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.check import check_atlas
from attention_motifs.errors import InputError
from attention_motifs.models.packaged import PACKAGED
from attention_motifs.stages import remove as stage
from attention_motifs.stages.extract import extract
from attention_motifs.stages.model_source import wanted_model
from attention_motifs.stages.remove import remove
from attention_motifs.stages.run import add, build
from attention_motifs.stages.score import score
from attention_motifs.store import files
from conftest import Tiny, contents
from tiny_models import make_tiny_model


@pytest.fixture(scope="module")
def grown(tiny: Tiny, built: Atlas, tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    """The finished atlas of `a` and `b` with `c` added."""
    path = tmp_path_factory.mktemp("grown") / "atlas"
    shutil.copytree(built.path, path)
    return add(path, tiny.model("c"))


@pytest.fixture
def atlas(grown: Atlas, tmp_path: Path) -> Atlas:
    shutil.copytree(grown.path, tmp_path / "atlas")
    return Atlas.open(tmp_path / "atlas")


@pytest.fixture
def trained(tiny: Tiny) -> Iterator[None]:
    """`a` and `c` trained in place: other weights under the same paths."""
    kept = {name: (tiny.folder / name / "model.safetensors").read_bytes() for name in "ac"}
    make_tiny_model(tiny.folder / "a", seed=7)
    make_tiny_model(tiny.folder / "c", architecture="qwen2", n_layers=1, n_heads=4, seed=8)
    yield
    for name, data in kept.items():
        (tiny.folder / name / "model.safetensors").write_bytes(data)


@pytest.mark.usefixtures("trained")
def test_other_weights_under_a_known_name_are_refused(atlas: Atlas, tiny: Tiny) -> None:
    before = contents(atlas.path)

    def extract_again() -> None:
        with Atlas.lock(atlas.path):
            extract(Atlas.open(atlas.path))

    runs = {
        "a": [
            lambda: build(atlas.path, tiny.configuration()),
            lambda: add(atlas.path, tiny.model("a")),
            lambda: score(atlas, models=["a"]),
            extract_again,
        ],
        "c": [lambda: add(atlas.path, tiny.model("c"))],
    }
    for name, calls in runs.items():
        for call in calls:
            with pytest.raises(InputError) as caught:
                call()
            message = str(caught.value)
            assert "\n" not in message
            assert "its weights changed" in message
            assert f"`motifs add {tiny.model(name)} --atlas {atlas.path} --replace`" in message
            assert f"`motifs remove {name} --atlas {atlas.path}`" in message
    assert contents(atlas.path) == before


def test_another_tokenizer_under_a_known_name_is_refused(atlas: Atlas, tiny: Tiny) -> None:
    file = tiny.folder / "a" / "tokenizer_config.json"
    kept = file.read_text()
    file.write_text(kept.replace("{", '{"note": 1, ', 1))
    try:
        with pytest.raises(InputError, match="its tokenizer changed"):
            build(atlas.path, tiny.configuration())
    finally:
        file.write_text(kept)


def test_scores_notice_another_configuration_or_tokenizer(atlas: Atlas, tiny: Tiny) -> None:
    for name, key, part in (
        ("config.json", '"rms_norm_eps": 0.5', "configuration"),
        ("tokenizer_config.json", '"note": 1', "tokenizer"),
    ):
        file = tiny.folder / "a" / name
        kept = file.read_text()
        values = json.loads(kept) | json.loads(f"{{{key}}}")
        file.write_text(json.dumps(values))
        try:
            with pytest.raises(InputError, match=f"its {part} changed"):
                score(atlas, models=["a"])
        finally:
            file.write_text(kept)


def test_removing_an_added_model_undoes_the_adding(atlas: Atlas, built: Atlas) -> None:
    remove(atlas.path, "c")
    assert contents(atlas.path) == contents(built.path)


def test_removing_a_fitted_model_gives_the_atlas_of_the_others(
    atlas: Atlas, tiny: Tiny, tmp_path: Path
) -> None:
    with pytest.warns(UserWarning, match="b: the embedding was fitted on this model"):
        remove(atlas.path, "b")
    remove(atlas.path, tiny.model("c"))
    alone = build(tmp_path / "alone", tiny.configuration(models=(tiny.model("a"),)))
    assert contents(atlas.path) == contents(alone.path)
    with pytest.raises(InputError, match="fitted on this model alone"):
        remove(atlas.path, "a")
    with pytest.raises(InputError, match="model 'zzz' is not in this atlas; it has a"):
        remove(atlas.path, "zzz")
    assert contents(atlas.path) == contents(alone.path)


@pytest.mark.usefixtures("trained")
def test_a_replaced_model_is_as_if_it_had_been_added_first(
    atlas: Atlas, built: Atlas, tiny: Tiny, tmp_path: Path
) -> None:
    add(atlas.path, tiny.model("c"), replace=True)
    shutil.copytree(built.path, tmp_path / "fresh")
    assert contents(atlas.path) == contents(add(tmp_path / "fresh", tiny.model("c")).path)


@pytest.mark.slow
@pytest.mark.usefixtures("trained")
def test_replacing_a_fitted_model_fits_again(atlas: Atlas, tiny: Tiny, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="a: the embedding was fitted on this model"):
        add(atlas.path, tiny.model("a"), replace=True)
    remove(atlas.path, "c")
    configuration = tiny.configuration(models=(tiny.model("a"), tiny.model("b")))
    fresh = build(tmp_path / "fresh", configuration)
    assert contents(atlas.path) == contents(fresh.path)
    assert check_atlas(Atlas.open(atlas.path)) == []


@pytest.mark.usefixtures("trained")
def test_a_model_that_does_not_load_is_not_replaced(atlas: Atlas, tiny: Tiny) -> None:
    (tiny.folder / "c" / "model.safetensors").write_bytes(b"not weights")
    before = contents(atlas.path)
    with pytest.raises(Exception, match="c"):
        add(atlas.path, tiny.model("c"), replace=True)
    assert contents(atlas.path) == before


@pytest.mark.parametrize("n_steps", [0, 2, 6])
def test_a_removal_that_was_stopped_continues(
    atlas: Atlas, built: Atlas, tiny: Tiny, monkeypatch: pytest.MonkeyPatch, n_steps: int
) -> None:
    steps = 0
    original = files.remove

    def stop(path: Path) -> None:
        nonlocal steps
        steps += 1
        if steps > n_steps:
            raise KeyboardInterrupt
        original(path)

    monkeypatch.setattr(stage.files, "remove", stop)
    with pytest.raises(KeyboardInterrupt):
        remove(atlas.path, "c")
    monkeypatch.undo()
    if n_steps:
        remove(atlas.path, "c")
    else:
        build(atlas.path, tiny.configuration())
    assert contents(atlas.path) == contents(built.path)


def test_a_path_written_otherwise_names_the_same_model(
    atlas: Atlas, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(atlas.path)
    monkeypatch.chdir(tiny.folder)
    build(
        atlas.path,
        tiny.configuration(models=("./a", "b"), prompts=os.path.relpath(tiny.prompts)),
    )
    assert contents(atlas.path) == before


def test_an_atlas_that_moved_finds_its_local_models(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny.folder, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    (tmp_path / "project/models").mkdir()
    for name in "ac":
        Path(name).rename(f"models/{name}")
    build("atlas", tiny.configuration(models=("models/a",)))
    add("atlas", "models/c")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "project").rename("moved")

    def extract_again() -> None:
        with Atlas.lock("moved/atlas"):
            extract(Atlas.open("moved/atlas"))

    extract_again()
    score(Atlas.open("moved/atlas"), models=["c"])
    shutil.rmtree("moved/models")
    for call in (extract_again, lambda: score(Atlas.open("moved/atlas"), models=["a"])):
        with pytest.raises(InputError) as caught:
            call()
        for place in ("models/a", "moved/models/a", "moved/a", "moved/atlas/models/a"):
            assert str(tmp_path / place) in str(caught.value)
    assert remove("moved/atlas", "c").models == ("a",)


def test_a_model_added_under_another_name_is_loaded_again(copy: Atlas) -> None:
    record = replace(
        copy.manifest.models["b"],
        kind="packaged",
        location=", ".join(PACKAGED["smollm2-135m-instruct"].requirements),
        added=True,
    )
    copy.update(
        configuration=replace(copy.manifest.configuration, models=copy.models[:1]),
        models={**copy.manifest.models, "b": record},
    )
    assert wanted_model(copy, "b", "") == "b=smollm2-135m-instruct"
    again = replace(record, wanted="b=gemma-3-270m")
    copy.update(models={**copy.manifest.models, "b": again})
    assert wanted_model(copy, "b", "") == "b=gemma-3-270m"
