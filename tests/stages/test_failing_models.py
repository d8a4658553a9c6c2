"""A model that fails does not stop the others, and can be taken out of an unfinished atlas."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.errors import InputError, JobsFailedError, MotifsError
from attention_motifs.stages.remove import remove
from attention_motifs.stages.run import build
from conftest import Tiny, contents


def truncate_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def damage_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def with_broken(tiny: Tiny, folder: Path, damage: Callable[[Path], None]) -> tuple[str, ...]:
    """The models `a`, `broken` and `b`."""
    shutil.copytree(tiny.folder / "a", folder)
    damage(folder)
    return tiny.model("a"), f"broken={folder}", tiny.model("b")


@pytest.mark.parametrize("damage", [truncate_weights, damage_config])
def test_the_others_are_finished_and_the_atlas_too_without_it(
    built: Atlas, tiny: Tiny, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    path = tmp_path / "atlas"
    models = with_broken(tiny, tmp_path / "broken", damage)
    with pytest.raises(JobsFailedError, match=r"broken.*motifs remove MODEL --atlas"):
        build(path, tiny.configuration(models=models))
    unfinished = Atlas.open(path)
    assert unfinished.models == ("a", "b")
    assert unfinished.heads.height == 13
    with pytest.raises(JobsFailedError, match="broken"):
        build(path)
    remove(path, "broken")
    finished = build(path)
    assert np.array_equal(finished.distances("mean"), built.distances("mean"))
    assert contents(path).keys() == contents(built.path).keys()


def test_what_is_complete_of_a_model_is_kept_when_it_fails_later(
    built: Atlas, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from attention_motifs.stages import extract as stage

    write_part = stage.write_part

    def fail_in_the_second_part(atlas: Atlas, source: object, block: int, advance: object) -> None:
        if source.model == "a" and block == 1:  # type: ignore[attr-defined]
            raise InputError("no such block")
        write_part(atlas, source, block, advance)  # type: ignore[arg-type]

    path = tmp_path / "atlas"
    with monkeypatch.context() as patch:
        patch.setattr(stage, "write_part", fail_in_the_second_part)
        with pytest.raises(JobsFailedError, match="a, prompts 16 to 19: no such block"):
            build(path, tiny.configuration())
    assert Atlas.open(path).models == ("b",)
    assert (path / "features" / "a" / "part-00000.parquet").is_file()
    finished = build(path)
    assert np.array_equal(finished.distances("mean"), built.distances("mean"))


def test_an_error_of_all_models_is_their_own(tiny: Tiny, tmp_path: Path) -> None:
    _, broken, _ = with_broken(tiny, tmp_path / "broken", truncate_weights)
    with pytest.raises(MotifsError) as caught:
        build(tmp_path / "atlas", tiny.configuration(models=(broken,)))
    assert not isinstance(caught.value, JobsFailedError)


def test_a_model_that_the_atlas_does_not_name_is_refused(copy: Atlas) -> None:
    with pytest.raises(InputError, match="'broken' is not in this atlas; it has a, b"):
        remove(copy.path, "broken")
