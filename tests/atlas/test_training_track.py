"""Heads followed through training: runs, appearances, matches between runs, the page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import attention_motifs as am
from attention_motifs.atlas import Atlas
from attention_motifs.atlas.training_track import Run, _appearances, runs_of
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.figures.training import training_table
from attention_motifs.reports.track_page import track_page
from attention_motifs.stages.score import score
from attention_motifs.stages.versions import build_versions, checkpoints
from conftest import Tiny
from tiny_models import make_tiny_model


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for run, seeds in (("one", (1, 2, 3)), ("two", (4, 5))):
        for step, seed in zip((0, 20, 100), seeds, strict=False):
            make_tiny_model(folder / run / f"step-{step}", seed=seed)
    return folder


@pytest.fixture(scope="module")
def tracked(
    folders: Path, tiny: Tiny, own_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Atlas:
    models = [m for run in ("one", "two") for m in checkpoints(str(folders / run))]
    settings = {"prompts": str(tiny.prompts), "max_tokens": 24, "n_probes": 2, "probe_tokens": 40}
    path = tmp_path_factory.mktemp("tracked") / "atlas"
    build_versions(path, models[:-1], settings)
    first = Atlas.open(path).embedded(["one-step-100"])
    atlas = build_versions(path, models, {})
    assert (atlas.embedded(["one-step-100"]) == first).all()
    with Atlas.lock(path):
        score(Atlas.open(path))
    return Atlas.open(path)


def test_checkpoints_of_a_folder_come_in_the_order_of_their_steps(
    folders: Path, tmp_path: Path
) -> None:
    assert [m.partition("=")[0] for m in checkpoints(str(folders / "one"))] == [
        "one-step-0", "one-step-20", "one-step-100"
    ]  # fmt: skip
    assert checkpoints("org/name@step1000") == ["org/name@step1000"]
    single = str(folders / "one" / "step-20")
    assert checkpoints(single) == [single]
    with pytest.raises(InputError, match="holds no checkpoint"):
        checkpoints(str(tmp_path))


def test_models_with_steps_form_runs() -> None:
    names = ["a-step20", "b/c@step2", "a-step3", "gpt2-small", "b/c@step11", "x-step1"]
    assert runs_of(names) == [
        Run("a", (3, 20), ("a-step3", "a-step20")),
        Run("b/c", (2, 11), ("b/c@step2", "b/c@step11")),
    ]


def test_every_head_is_followed_through_every_version(tracked: Atlas) -> None:
    result = am.track(tracked)
    assert [(run.name, run.steps) for run in result.runs] == [
        ("one", (0, 20, 100)), ("two", (0, 20))
    ]  # fmt: skip
    heads = tracked.heads
    for path in result.paths:
        run = next(run for run in result.runs if run.name == path.run)
        assert len(path.positions) == len(path.to_final) == len(run.steps)
        assert path.to_final[-1] == pytest.approx(0, abs=1e-6)
        for k, model in enumerate(run.models):
            row = heads.filter(pl.col("head") == f"{model}:{path.head}").to_dicts()[0]
            assert {name: scores[k] for name, scores in path.scores.items()} == pytest.approx(
                {name: row[name] for name in path.scores}
            )
    assert len(result.paths) == 8
    assert [(m.first, m.second) for m in result.matches] == [("one", "two")]
    assert all(m.n_right <= m.n_labelled and 0 < m.p <= 1 for m in result.matches)
    json.dumps(result.to_json(), allow_nan=False)


def test_versions_of_two_runs_can_be_named(tracked: Atlas) -> None:
    result = am.track(tracked, {"mine": {5: "two-step-20", 1: "one-step-0"}}, metric="mean")
    assert result.runs == (Run("mine", (1, 5), ("one-step-0", "two-step-20")),)
    assert not result.matches


@given(
    st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=2, max_size=6),
    st.floats(0, 0.5),
)
def test_a_class_has_appeared_from_its_step_on(values: list[list[float]], spread: float) -> None:
    scores = np.array(values)
    steps = tuple(range(0, 10 * len(scores), 10))
    run = Run("run", steps, tuple(f"run-step{s}" for s in steps))
    (row,) = _appearances(
        run, ["L0:H0", "L0:H1", "L0:H2"], {"induction": (scores, np.full_like(scores, spread))}
    )
    present = (scores >= row.threshold).any(axis=1)
    if row.step is None:
        assert not present[-1]
    else:
        first = steps.index(row.step)
        assert present[first:].all()
        assert first == 0 or not present[first - 1]
    order = [np.inf if s is None else s for s in (row.earliest, row.step, row.latest)]
    assert order == sorted(order)


def test_the_page_escapes_names_and_requests_nothing(tracked: Atlas) -> None:
    text = track_page(am.track(tracked, {"</script><b>": {1: "one-step-0", 2: "one-step-20"}}))
    assert "<b>L" not in text
    assert "</script><b>" not in text
    assert re.findall(r"https?://[^'\" ]*", text) == ["http://www.w3.org/2000/svg"]  # SVG's name


def test_the_figure_shows_every_head_of_every_version(tracked: Atlas, built: Atlas) -> None:
    table = training_table(tracked)
    versions = [m for run in am.track(tracked).runs for m in run.models]
    heads = tracked.heads.filter(pl.col("model").is_in(versions))["head"].to_list()
    assert set(table["head"]) == set(heads)
    assert set(table["run"]) == {"one", "two"}
    assert table["score"].is_between(0, 1).all()
    row = table.row(0, named=True)
    kept = tracked.heads.filter(pl.col("head") == row["head"])[row["class"]][0]
    assert row["score"] == pytest.approx(kept)
    figure = tracked.plot("training", width=3.35)
    assert figure.get_figwidth() == 3.35
    shown = {axes.get_title() for axes in figure.axes}
    assert shown <= set(table["class"])
    with pytest.raises(AtlasError, match="motifs track"):
        built.plot("training")


def test_versions_without_scores_are_followed_too(built: Atlas) -> None:
    result = am.track(built, {"run": {1: "a", 2: "a"}})
    assert not result.appearances
    assert "no scores" in result.sentence
    assert len(result.paths) == 4


def test_mistakes_are_named(tracked: Atlas, built: Atlas, folders: Path, tiny: Tiny) -> None:
    with pytest.raises(InputError, match="no run of two versions"):
        am.track(built)
    with pytest.raises(InputError, match="model 'none' is not in this atlas"):
        am.track(tracked, {"run": {1: "one-step-0", 2: "none"}})
    with pytest.raises(InputError, match="no versions of one model"):
        am.track(built, {"run": {1: "a", 2: "b"}})
    with pytest.raises(InputError, match="name no versions"):
        am.track(tracked, ["one-step-0", "one-step-20"])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="has max_tokens 24, not 50"):
        build_versions(tracked.path, checkpoints(str(folders / "one")), {"max_tokens": 50})
