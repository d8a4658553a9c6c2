from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from attention_motifs.errors import InputError
from attention_motifs.evaluation.effects import (
    bootstrap_interval,
    compare_group,
    compare_with_controls,
    control_sets,
    distance_against_effect,
    expected_control,
    sign_flip_p,
)

LAYER = np.repeat(np.arange(4), 5)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_sign_flips_are_counted_exactly() -> None:
    values = np.array([1.0, 2.0, 4.0])
    assert sign_flip_p(values, rng()) == (2 / 8, 2 / 8)
    assert sign_flip_p(np.array([1.0, -1.0]), rng())[0] == 1.0
    assert sign_flip_p(np.ones(20), rng())[0] <= 2 / 10_000
    assert np.isnan(sign_flip_p(np.array([1.0, np.nan]), rng())[0])


def test_intervals_hold_the_mean_and_are_undefined_for_one() -> None:
    values = rng().normal(3, 1, 16)
    low, high = bootstrap_interval(values, rng())
    assert low < values.mean() < high
    assert np.isnan(bootstrap_interval(values[:1], rng())).all()


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
    found = compare_with_controls(1.5, controls, 1)
    assert found.excess == pytest.approx(1.5)
    assert found.standardised == pytest.approx(1.5 / controls.std(ddof=1))
    assert np.isnan(compare_with_controls(1.0, np.empty(0), 1).p)


def test_a_group_is_held_against_its_layers() -> None:
    effects = LAYER.astype(float)  # the layer is all there is
    found = compare_group(effects, np.array([15, 16]), LAYER, 1, rng(), n=99)
    assert found.p == 1.0
    assert found.excess == pytest.approx(0)
    effects[[15, 16]] += 1
    found = compare_group(effects, np.array([15, 16]), LAYER, 1, rng(), n=999)
    assert found.p == pytest.approx(0.1, abs=0.03)
    assert found.p_floor == pytest.approx(0.1)
    draws = [effects[list(c)].mean() for c in itertools.combinations(range(15, 20), 2)]
    assert expected_control(effects, np.array([15, 16]), LAYER) == pytest.approx(np.mean(draws))
    with pytest.raises(InputError):
        compare_group(effects, np.array([], dtype=int), LAYER, 1, rng())


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_rho_is_spearmans(seed: int) -> None:
    generator = np.random.default_rng(seed)
    distances, effects = generator.normal(size=(2, 20)).round(1)
    found = distance_against_effect(distances, effects, LAYER, 1, rng(), n=19)
    assert found.effect == pytest.approx(spearmanr(distances, effects)[0])
    assert 1 / 20 <= found.p <= 1


def test_what_layers_explain_is_no_finding() -> None:
    generator = np.random.default_rng(3)
    effects = -LAYER + 0.0
    found = distance_against_effect(LAYER + 0.0, effects, LAYER, 1, rng(), n=199)
    assert found.effect == pytest.approx(-1)
    assert found.p == 1.0
    within = generator.normal(size=20)
    found = distance_against_effect(LAYER + within, -within, LAYER, 1, rng(), n=199)
    assert found.p == pytest.approx(1 / 200)
    assert distance_against_effect(LAYER + within, within, LAYER, 1, rng(), n=199).p > 0.9
    constant = distance_against_effect(np.ones(20), within, LAYER, 1, rng())
    assert np.isnan(constant.p)
