"""The models of a large atlas that an evaluation measures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.errors import InputError, ResourceError
from attention_motifs.evaluation import Evaluation, Row
from attention_motifs.figures.arguments import MAX_DRAWN, regular_sample
from attention_motifs.memory import VARIABLE
from attention_motifs.reports.comparison_page import comparison_page
from attention_motifs.stages.compare import measure
from attention_motifs.stages.evaluate import evaluate
from attention_motifs.stages.evaluation_sample import (
    MAX_MODELS,
    ModelSample,
    draw_models,
    with_sample,
)
from synthetic_atlas import make_synthetic_atlas


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    """30 models of two heads."""
    return make_synthetic_atlas(
        tmp_path_factory.mktemp("many") / "a", 30, n_layers=1, n_heads=2, n_prompts=3
    )


def test_a_small_atlas_is_measured_whole(atlas: Atlas) -> None:
    assert draw_models(atlas, 0) == ModelSample(tuple(atlas.models), 60, 30, 60, 0)
    assert draw_models(atlas, 5, max_heads=60).is_whole


def test_models_are_drawn_up_to_the_number_of_heads(atlas: Atlas) -> None:
    """In the order of the atlas, the same for a seed; one model at least, and not too many."""
    sample = draw_models(atlas, 7, max_heads=11)
    assert (len(sample.models), sample.n_heads) == (5, 10)
    assert list(sample.models) == [m for m in atlas.models if m in sample.models]
    assert draw_models(atlas, 7, max_heads=11) == sample
    assert draw_models(atlas, 8, max_heads=11) != sample
    assert len(draw_models(atlas, 0, max_heads=1).models) == 1
    assert len(draw_models(atlas, 0, max_heads=59).models) == MAX_MODELS
    with pytest.raises(InputError):
        draw_models(atlas, 0, max_heads=0)


def test_every_model_is_drawn_as_often(atlas: Atlas) -> None:
    counts = dict.fromkeys(atlas.models, 0)
    for seed in range(400):
        for model in draw_models(atlas, seed, max_heads=20).models:
            counts[model] += 1
    # 400 draws of 10 from 30: standard deviation below 10
    assert np.abs(np.array(list(counts.values())) - 400 / 3).max() < 45


def test_the_margin_is_that_of_a_mean_without_replacement() -> None:
    values = {"a": (0.1, 0.3), "b": (0.6, 0.4), "c": (0.9, 0.9)}
    rows = tuple(
        Row("mean", model, "within", name, "random tokens", "S5", 9, 9, value=value)
        for model, of_model in values.items()
        for name, value in zip(("x", "y"), of_model, strict=True)
    )
    sample = ModelSample(("a", "b", "c"), 27, 6, 54, 0)
    result = with_sample(Evaluation(("mean",), "mean", {}, rows, answer=("Use it.",)), sample)
    # means .2, .5, .9: s = .3512; t(2) = 4.303; sqrt((1 - 3/6) / 3)
    margin = 4.30265 * 0.351188 * (0.5 / 3) ** 0.5
    assert f"S5 +- {margin:.2f}" in result.answer[0]
    assert result.answer[1] == "Use it."
    assert result.settings["models"] == ["a", "b", "c"]
    whole = replace(sample, n_all_models=3)
    assert with_sample(Evaluation(("mean",), "mean", {}, rows), whole).answer == ()


def test_an_evaluation_that_does_not_fit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = make_synthetic_atlas(tmp_path / "a", n_prompts=4)
    monkeypatch.setenv(VARIABLE, "1KB")
    with pytest.raises(ResourceError, match=r"evaluate 12 heads by 1 metrics.*--max-heads"):
        evaluate(small)


@pytest.mark.parametrize("n", [1, 2, MAX_DRAWN, MAX_DRAWN + 1, 20_000])
def test_a_regular_sample_is_whole_or_small(n: int) -> None:
    rows = regular_sample(n)
    assert len(rows) == n if n <= MAX_DRAWN else MAX_DRAWN / 2 <= len(rows) <= MAX_DRAWN
    assert rows[0] == 0
    assert len(set(np.diff(rows).tolist())) <= 1


def test_the_comparison_of_many_heads_measures_some_models_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = make_synthetic_atlas(tmp_path / "few", 3, n_layers=2, n_heads=3, n_prompts=3)
    whole = measure(few)
    assert whole["settings"]["drawn"] is None
    monkeypatch.setattr("attention_motifs.stages.compare.MAX_HEADS", 12)
    some = measure(few)
    drawn = some["settings"]["drawn"]
    assert drawn == {"models": drawn["models"], "n_heads": 12, "seed": 0}
    assert some["layers"] == [x for x in whole["layers"] if x["model"] in drawn["models"]]
    assert some["settings"]["n_heads"] == 18
    page = comparison_page([some])
    assert "12 of 2 models" in page
    assert "12 of 2 models" not in comparison_page([whole])
