"""Tests, intervals and corrections of ablation effects against plain definitions and simulation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, false_discovery_control, permutation_test, rankdata, spearmanr

from attention_motifs.evaluation.effects import (
    bootstrap_interval,
    compare_group,
    distance_against_effect,
    rho_interval,
    sign_flip_p,
    tail,
)
from attention_motifs.evaluation.null import false_discovery_rates

LAYER = np.repeat(np.arange(4), 4)


def uniform_enough(p: np.ndarray) -> bool:
    """Whether shares of p below 0.1 ... 0.9 are those of a uniform p, up to chance (1 in 10^5)."""
    low, high = (binom.ppf(q, len(p), np.arange(1, 10) / 10) for q in (1e-6, 1 - 1e-6))
    counts = (p[:, None] <= np.arange(1, 10) / 10 + 1e-9).sum(axis=0)
    return bool(((low <= counts) & (counts <= high)).all())


def test_what_is_not_uniform_is_seen() -> None:
    generator = np.random.default_rng(0)
    assert uniform_enough(generator.uniform(size=400))
    assert not uniform_enough(generator.uniform(size=400) ** 1.5)
    assert not uniform_enough(generator.uniform(size=400) ** 0.7)


@pytest.mark.parametrize("n", [2, 3, 5, 8, 12])
def test_signs_are_flipped_as_scipy_flips_them(n: int) -> None:
    values = np.random.default_rng(n).normal(0.4, 1, n)
    found, floor = sign_flip_p(values, np.random.default_rng(0))
    wanted = permutation_test(
        (values,), lambda x, axis: x.mean(axis=axis), permutation_type="samples", vectorized=True
    )
    assert found == pytest.approx(min(1.0, wanted.pvalue))
    assert floor == pytest.approx(2 / 2**n)


def test_a_group_is_tested_as_by_counting_every_draw() -> None:
    generator = np.random.default_rng(2)
    effects = generator.normal(size=16)
    members = np.array([0, 1, 9])
    every = [
        effects[[*first, second]].mean()
        for first in itertools.combinations(range(4), 2)
        for second in range(8, 12)
    ]
    for worse in (1, -1):
        wanted = np.mean([worse * e >= worse * effects[members].mean() - 1e-12 for e in every])
        found = compare_group(effects, members, LAYER, worse, np.random.default_rng(0), n=20_000)
        assert found.p == pytest.approx(wanted, abs=0.015)
        assert found.control_mean == pytest.approx(np.mean(every), abs=0.02)
        assert found.standardised == pytest.approx(
            (effects[members].mean() - np.mean(every)) / np.std(every), abs=0.05
        )
        assert found.p_floor == pytest.approx(1 / len(every))


def test_rho_is_tested_as_by_counting_every_permutation_within_layers() -> None:
    generator = np.random.default_rng(3)
    layer = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    distances, effects = generator.normal(size=(2, 8))
    own = spearmanr(distances, effects)[0]
    every = [
        spearmanr(distances, effects[[*a, *b, *c]])[0]
        for a in itertools.permutations([0, 1, 2])
        for b in itertools.permutations([3, 4, 5])
        for c in itertools.permutations([6, 7])
    ]
    wanted = np.mean(np.array(every) <= own + 1e-12)
    found = distance_against_effect(
        distances, effects, layer, 1, np.random.default_rng(0), n=20_000
    )
    assert found.effect == pytest.approx(own)
    assert found.control_mean == pytest.approx(np.mean(every), abs=0.02)
    assert found.p == pytest.approx(wanted, abs=0.015)


def test_without_an_effect_of_a_group_p_is_uniform_whatever_layers_do() -> None:
    generator = np.random.default_rng(4)
    layer = np.repeat(np.arange(5), 9)
    found, plain = [], []
    for _ in range(400):
        effects = 2.0 * layer + generator.normal(size=45)
        members = np.concatenate([generator.choice(np.flatnonzero(layer == k), 2) for k in (3, 4)])
        members = np.unique(members)
        found.append(compare_group(effects, members, layer, 1, generator, n=199).p)
        plain.append(compare_group(effects, members, np.zeros(45, int), 1, generator, n=199).p)
    assert uniform_enough(np.array(found))
    assert not uniform_enough(np.array(plain)), "draws from all layers must find what layers do"


def test_without_a_tie_of_distance_and_effect_p_is_uniform_whatever_layers_do() -> None:
    generator = np.random.default_rng(5)
    layer = np.repeat(np.arange(5), 9)
    found, plain = [], []
    for _ in range(400):
        distances = layer + generator.normal(size=45)
        effects = -layer + generator.normal(size=45)
        found.append(distance_against_effect(distances, effects, layer, 1, generator, n=199).p)
        one = np.zeros(45, dtype=int)
        plain.append(distance_against_effect(distances, effects, one, 1, generator, n=199).p)
    assert uniform_enough(np.array(found))
    assert np.mean(np.array(plain) <= 0.05) > 0.9, "permuting across layers must not do"


def test_without_an_effect_of_a_head_p_is_uniform_and_with_one_it_is_found() -> None:
    generator = np.random.default_rng(6)
    p = np.array([sign_flip_p(generator.normal(size=12), generator)[0] for _ in range(400)])
    assert uniform_enough(p)
    p = np.array([sign_flip_p(generator.normal(1.5, 1, 12), generator)[0] for _ in range(100)])
    assert np.mean(p <= 0.05) > 0.95


@settings(deadline=None)
@given(st.lists(st.floats(0, 1) | st.just(float("nan")), min_size=1, max_size=40))
def test_corrected_p_are_scipys(p: list[float]) -> None:
    values = np.array(p)
    tested = ~np.isnan(values)
    found = np.array(false_discovery_rates(p))
    assert np.isnan(found[~tested]).all()
    if tested.any():
        assert found[tested] == pytest.approx(false_discovery_control(values[tested]), abs=1e-12)


def covered(interval, n: int, rounds: int, generator: np.random.Generator) -> float:  # type: ignore[no-untyped-def]
    hits = 0
    for _ in range(rounds):
        low, high = interval(generator.normal(3, 2, n))
        hits += low <= 3 <= high
    return hits / rounds


@pytest.mark.parametrize("n", [8, 12])
def test_intervals_hold_the_mean_as_often_as_they_say(n: int) -> None:
    generator = np.random.default_rng(n)

    def plain(values: np.ndarray) -> tuple[float, float]:
        draws = values[generator.integers(n, size=(1000, n))].mean(axis=1)
        low, high = np.quantile(draws, [0.025, 0.975])
        return float(low), float(high)

    share = covered(lambda v: bootstrap_interval(v, generator, n=1000), n, 1500, generator)
    assert 0.93 <= share <= 0.97
    assert covered(plain, n, 1500, generator) < 0.925, "plain percentiles are too narrow"


def test_the_tail_is_the_plain_one_for_many_sequences() -> None:
    assert tail(10_000) == pytest.approx(0.025, abs=1e-4)
    assert tail(12) == pytest.approx(0.0108, abs=1e-4)
    assert tail(2) < 1e-10
    low, high = bootstrap_interval(np.array([1.0, 3.0]), np.random.default_rng(0))
    assert (low, high) == (1.0, 3.0)


def test_intervals_of_rho_hold_it_where_draws_alone_lie_too_near_to_zero() -> None:
    generator = np.random.default_rng(8)
    hits, plain, rounds = 0, 0, 200
    for _ in range(rounds):
        distances = generator.normal(size=120)
        true = 0.4 * distances + generator.normal(size=120)
        effects = true[:, None] + generator.normal(size=(120, 12))
        truth = spearmanr(distances, true)[0]
        low, high = rho_interval(distances, effects, generator, n=400)
        hits += low <= truth <= high
        draws = effects[:, generator.integers(12, size=(400, 12))].mean(axis=-1)
        ranks, own = rankdata(draws, axis=0), rankdata(distances)
        rho = (own - own.mean()) @ (ranks - own.mean()) / 120 / own.var()
        plain += np.quantile(rho, 0.025) <= truth <= np.quantile(rho, 0.975)
    assert hits / rounds >= 0.85
    assert (hits - plain) / rounds >= 0.05, "plain percentiles lie too near to zero"


def test_intervals_of_rho_of_no_use_are_undefined() -> None:
    generator = np.random.default_rng(0)
    effects = generator.normal(size=(9, 4))
    distances = np.arange(9.0)
    for d, e in (
        (distances[:2], effects[:2]),
        (distances, effects[:, :1]),
        (np.ones(9), effects),
        (distances, np.ones((9, 4))),
        (np.full(9, np.nan), effects),
    ):
        assert np.isnan(rho_interval(d, e, generator)).all()
    effects[3] = np.nan
    low, high = rho_interval(distances, effects, generator)
    assert -1 <= low <= high <= 1
    same = np.tile(distances[:, None], (1, 4))
    assert rho_interval(distances, same, generator) == pytest.approx((1.0, 1.0))
