"""Builds and added models are scored by default; a model that cannot be scored is left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from attention_motifs import behaviour
from attention_motifs.stages import run
from conftest import Tiny

SCORE_MODELS = run.score_models  # before the fixture of all tests replaces it


@pytest.fixture
def _scoring(own_cache: Path) -> Iterator[None]:
    """Score after builds, on few short sequences."""
    with pytest.MonkeyPatch.context() as patch:
        defaults = {**behaviour.behaviour_scores.__kwdefaults__, "n_sequences": 2}
        patch.setattr(
            behaviour.behaviour_scores, "__kwdefaults__", {**defaults, "designs": ((12, 2),)}
        )
        patch.setattr(run, "score_models", SCORE_MODELS)
        yield


@pytest.mark.usefixtures("_scoring")
def test_builds_and_added_models_are_scored(tiny: Tiny, tmp_path: Path) -> None:
    settings = tiny.configuration(n_prompts=4, models=(tiny.model("a"),))
    atlas = run.build(tmp_path / "atlas", settings, metrics=["mean"])
    assert atlas.heads["induction"].null_count() == 0
    added = run.add(tmp_path / "atlas", tiny.model("b"))
    assert added.heads["induction"].null_count() == 0
    again = run.add(tmp_path / "atlas", tiny.model("c"), score=False)
    assert again.heads["induction"].null_count() == 4
    unscored = run.build(tmp_path / "other", settings, metrics=["mean"], score=False)
    assert "induction" not in unscored.heads.columns


@pytest.mark.usefixtures("own_cache")
def test_a_model_with_a_short_context_is_named_and_left_out(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "score_models", SCORE_MODELS)
    defaults = {**behaviour.behaviour_scores.__kwdefaults__, "designs": ((500, 2),)}
    monkeypatch.setattr(behaviour.behaviour_scores, "__kwdefaults__", defaults)
    settings = tiny.configuration(n_prompts=4, models=(tiny.model("a"),))
    with pytest.warns(UserWarning, match="a: its heads are not scored: "):
        atlas = run.build(tmp_path / "atlas", settings, metrics=["mean"])
    assert "induction" not in atlas.heads.columns
