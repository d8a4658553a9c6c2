"""A sweep's values, held against whole runs and the measures' definitions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attention_motifs.behaviour import (
    METHODS,
    Ablation,
    SweepPlan,
    calibrate,
    measure_block,
    memory_needed,
    prompts_design,
    repeated_design,
    run_ablated,
    sweep,
)
from attention_motifs.behaviour.designs import Design
from attention_motifs.behaviour.replay import clean_run
from attention_motifs.behaviour.sweep import donors_for
from attention_motifs.errors import InputError, ModelError
from attention_motifs.extraction import load_model
from attention_motifs.models.model import LoadedModel
from tiny_models import save_family

ABLATIONS = (
    Ablation(((2, 0),)),
    Ablation(((0, 1),)),
    Ablation(((1, 3), (0, 2))),
    Ablation(((0, 0),)),
    Ablation(((1, 2),)),
)
"""Not in the order of their layers."""
WATCHED = ((1, 1), (2, 0), (2, 3))


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory, own_cache: Path) -> LoadedModel:
    folder = save_family(tmp_path_factory.mktemp("m"), "gemma3_text")
    return load_model(f"m={folder}", language_head=True)


@pytest.fixture
def _in_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "PASS_TOKENS", 90)  # two ablations side by side
    monkeypatch.setattr(sweep, "PREDICTED_TOGETHER", 2)


def a_design(block: int = 7) -> Design:
    return repeated_design(np.arange(2, 64), (0,), 5, np.random.default_rng(0), block=block)


def a_plan(loaded: LoadedModel, method: str, design: Design | None = None) -> SweepPlan:
    others = torch.randint(2, 64, (4, 20), generator=torch.Generator().manual_seed(1))
    return SweepPlan(
        design or a_design(), ABLATIONS, method, WATCHED, calibrate(loaded, others),
        np.array([3, 4, 0, 1, 2]),
    )  # fmt: skip


def by_hand(
    loaded: LoadedModel, plan: SweepPlan, ablation: Ablation | None, row: int
) -> dict[str, float]:
    """One ablation on one sequence by itself, through the whole model."""
    assert loaded.head is not None
    design = plan.design
    tokens = torch.from_numpy(design.token_ids[[row]])
    clean = clean_run(loaded, tokens, keep_patterns=True)
    assert plan.donors is not None
    donors = clean_run(loaded, torch.from_numpy(design.token_ids[[plan.donors[row]]])).outputs
    patterns: dict[int, np.ndarray] = {}
    hidden = run_ablated(
        loaded,
        tokens,
        ablation or Ablation(()),
        plan.method,
        clean=clean,
        calibration=plan.calibration,
        donors=donors,
        sink=lambda layer, weights: patterns.update({layer: weights[0].double().numpy()}),
    )
    losses, divergences = [], []
    for position in design.positions:
        with torch.inference_mode():
            q, p = (
                loaded.head(states[:, [position]])[0, 0].double().log_softmax(-1).numpy()
                for states in (hidden, clean.hidden)
            )
        losses.append(-q[design.token_ids[row, position + 1]])
        divergences.append((np.exp(p) * (p - q)).sum())
    result = {"loss": np.mean(losses), "kl": np.mean(divergences)}
    if not len(design.pairs[0]):
        return result
    start = ablation.first_layer if ablation else -1
    later = [head for head in WATCHED if head[0] > start]
    # Attention to the first token is a sink, and no match.
    for name, step, first in (("prefix matching", 1, 0), ("prefix matching (literal)", -1, 1)):
        pairs = [(i, j + step) for i, j in design.pairs.T if first <= j + step < i]
        masses = [np.mean([patterns[la][h, query, key] for query, key in pairs]) for la, h in later]
        is_held = plan.method == "pattern-preserving"
        result[name] = np.nan if is_held or not later else np.mean(masses)
    return result


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.usefixtures("_in_small_pieces")
def test_a_sweep_measures_what_whole_runs_do(loaded: LoadedModel, method: str) -> None:
    plan = a_plan(loaded, method)
    sequences = [4, 0, 1]
    done: list[int] = []
    result = measure_block(loaded, plan, sequences, check=True, advance=done.append)
    assert sum(done) == len(ABLATIONS)
    for a, ablation in enumerate(ABLATIONS):
        for s, row in enumerate(sequences):
            expected = by_hand(loaded, plan, ablation, row)
            assert set(result) == set(expected)
            for name, value in expected.items():
                assert result[name][1][a, s] == pytest.approx(value, abs=1e-5, nan_ok=True), (
                    name,
                    ablation,
                )


@pytest.mark.usefixtures("_in_small_pieces")
def test_values_without_ablation_are_the_models_own(loaded: LoadedModel) -> None:
    plan = a_plan(loaded, "zero")
    result = measure_block(loaded, plan, [1, 3])
    for s, row in enumerate([1, 3]):
        expected = by_hand(loaded, plan, None, row)
        assert result["loss"][0][:, s] == pytest.approx(expected["loss"], abs=1e-5)
        assert (result["kl"][0] == 0).all()
        # Of an ablation in layer 0 all watched heads are later ones.
        for name in ("prefix matching", "prefix matching (literal)"):
            assert result[name][0][1, s] == pytest.approx(expected[name], abs=1e-5)


def test_how_the_work_is_cut_changes_nothing(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = a_plan(loaded, "mean")
    whole = measure_block(loaded, plan, range(5))
    monkeypatch.setattr(sweep, "PASS_TOKENS", 1)
    monkeypatch.setattr(sweep, "PREDICTED_TOGETHER", 1)
    for span in (slice(0, 2), slice(2, 5)):
        some = replace(plan, ablations=plan.ablations[span])
        for row in range(5):
            part = measure_block(loaded, some, [row])
            for name, both in part.items():
                for i in range(2):
                    expected = whole[name][i][span, row]
                    np.testing.assert_allclose(both[i][:, 0], expected, atol=1e-5)


def test_prompts_have_losses_and_divergences_alone(loaded: LoadedModel) -> None:
    rows = np.random.default_rng(0).integers(2, 64, (5, 9)).tolist()
    plan = a_plan(loaded, "resample", prompts_design(rows))
    result = measure_block(loaded, plan, [2])
    assert set(result) == {"loss", "kl"}
    for a, ablation in enumerate(ABLATIONS):
        for name, value in by_hand(loaded, plan, ablation, 2).items():
            assert result[name][1][a, 0] == pytest.approx(value, abs=1e-5)


@given(st.integers(2, 40), st.integers(0, 2**32 - 1))
def test_every_sequence_has_another_for_its_donor(n: int, seed: int) -> None:
    donors = donors_for(n, np.random.default_rng(seed))
    assert sorted(donors) == list(range(n))
    assert (donors != np.arange(n)).all()


def test_what_cannot_be_swept_is_told(loaded: LoadedModel) -> None:
    plan = a_plan(loaded, "zero")
    with pytest.raises(ModelError):
        measure_block(replace(loaded, head=None), plan, [0])
    with pytest.raises(InputError, match=r"m:L3:H0.*layers 0 to 2"):
        measure_block(loaded, replace(plan, ablations=(Ablation(((3, 0),)),)), [0])
    with pytest.raises(InputError):
        donors_for(1, np.random.default_rng(0))


def test_memory_said_grows_with_what_is_kept(loaded: LoadedModel) -> None:
    plan = a_plan(loaded, "zero")
    least = memory_needed(loaded, plan)
    assert least > 0
    assert memory_needed(loaded, replace(plan, method="pattern-preserving")) > least
    assert memory_needed(loaded, replace(plan, method="resample")) > least
    assert memory_needed(loaded, replace(plan, design=a_design(30))) > least
    many = replace(plan, ablations=ABLATIONS * 50)
    assert memory_needed(loaded, many) == least, "bounded: ablations are taken a few at a time"
