from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr, ttest_1samp

from attention_motifs.errors import InputError
from attention_motifs.evaluation.effects import (
    bootstrap_interval,
    compare_group,
    compare_with_controls,
    control_sets,
    distance_against_effect,
    expected_control,
    mean_p,
    non_member_effect,
)

LAYER = np.repeat(np.arange(4), 5)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_mean_of_zero_is_tested() -> None:
    values = rng().normal(0, 1, 16)
    p, floor = mean_p(values - values.mean(), rng())
    assert p > 0.9
    assert mean_p(values + 10, rng())[0] == floor == 2 / 10_000
    assert mean_p(np.zeros(16), rng())[0] == 1
    assert mean_p(np.ones(16), rng())[0] == floor
    assert mean_p(values[:5], rng())[0] == pytest.approx(ttest_1samp(values[:5], 0).pvalue)
    assert np.isnan(mean_p(np.array([1.0, np.nan]), rng())[0])


@pytest.mark.parametrize("n", [3, 16])
def test_test_and_interval_of_a_mean_agree(n: int) -> None:
    values = rng().normal(3, 1, n)
    low, high = bootstrap_interval(values, rng(), n=4000)
    assert low < values.mean() < high
    for bound in (low, high):
        assert mean_p(values - bound, rng(), n=4000)[0] == pytest.approx(0.05, abs=0.003)
    assert np.isnan(bootstrap_interval(values[:1], rng())).all()


def test_members_are_not_among_the_heads_that_an_effect_is_measured_against() -> None:
    effects = np.where(LAYER == 3, 0.1, 0.0)
    members = np.array([15, 16, 17])
    effects[members] = 1.1
    result = compare_group(effects, members, LAYER, 1, rng())
    assert result.p == pytest.approx(1 / 10), "10 sets of 3 heads of 5"
    assert result.n_controls == 9
    assert result.control_mean == pytest.approx(0.1 + 3 / 5), "draws hold members"
    assert non_member_effect(effects, members, LAYER) == pytest.approx(0.1)
    by_sequence = np.stack([effects, 2 * effects], axis=1)
    assert non_member_effect(by_sequence, members, LAYER) == pytest.approx([0.1, 0.2])
    assert np.isnan(non_member_effect(effects, np.arange(15, 20), LAYER))
    effects[18] = np.nan
    assert non_member_effect(effects, members, LAYER) == pytest.approx(0.1)


def test_controls_are_distinct_layer_matched_and_never_the_set() -> None:
    members = np.array([0, 1, 7])
    sets = control_sets(members, LAYER, 30, rng())
    assert len(set(sets)) == len(sets) == 30
    assert (0, 1, 7) not in sets
    assert all(LAYER[list(one)].tolist() == [0, 0, 1] for one in sets)
    every = control_sets(members, LAYER, 1000, rng())
    assert len(set(every)) == 10 * 5 - 1
    assert control_sets(np.arange(5), LAYER, 9, rng()) == []


@pytest.mark.parametrize("worse", [1, -1])
def test_harm_has_a_side(worse: int) -> None:
    controls = np.linspace(-1, 1, 19)
    assert compare_with_controls(2.0 * worse, controls, worse).p == pytest.approx(1 / 20)
    assert compare_with_controls(-2.0 * worse, controls, worse).p == 1.0
    result = compare_with_controls(1.5, controls, 1)
    assert result.excess == pytest.approx(1.5)
    assert result.standardised == pytest.approx(1.5 / controls.std(ddof=1))
    assert np.isnan(compare_with_controls(1.0, np.empty(0), 1).p)


def test_a_group_is_held_against_its_layers() -> None:
    effects = LAYER.astype(float)  # the layer is all there is
    result = compare_group(effects, np.array([15, 16]), LAYER, 1, rng(), n=99)
    assert result.p == 1.0
    assert result.excess == pytest.approx(0)
    effects[[15, 16]] += 1
    result = compare_group(effects, np.array([15, 16]), LAYER, 1, rng(), n=999)
    assert result.p == pytest.approx(0.1), "one of 10 pairs"
    assert result.p_floor == pytest.approx(0.1)
    draws = [effects[list(c)].mean() for c in itertools.combinations(range(15, 20), 2)]
    assert expected_control(effects, np.array([15, 16]), LAYER) == pytest.approx(np.mean(draws))
    with pytest.raises(InputError):
        compare_group(effects, np.array([], dtype=int), LAYER, 1, rng())


@given(st.integers(0, 2**32 - 1))
def test_rho_is_spearmans(seed: int) -> None:
    generator = np.random.default_rng(seed)
    distances, effects = generator.normal(size=(2, 20)).round(1)
    result = distance_against_effect(distances, effects, LAYER, 1, rng(), n=19)
    assert result.effect == pytest.approx(spearmanr(distances, effects)[0])
    assert 1 / 20 <= result.p <= 1


def test_what_layers_explain_is_no_finding() -> None:
    generator = np.random.default_rng(3)
    effects = -LAYER + 0.0
    result = distance_against_effect(LAYER + 0.0, effects, LAYER, 1, rng(), n=199)
    assert result.effect == pytest.approx(-1)
    assert result.p == 1.0
    within = generator.normal(size=20)
    result = distance_against_effect(LAYER + within, -within, LAYER, 1, rng(), n=199)
    assert result.p == pytest.approx(1 / 200)
    assert distance_against_effect(LAYER + within, within, LAYER, 1, rng(), n=199).p > 0.9
    constant = distance_against_effect(np.ones(20), within, LAYER, 1, rng())
    assert np.isnan(constant.p)
