"""Tests, intervals and corrections of ablation effects against plain definitions and simulation."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom, rankdata, spearmanr

from attention_motifs.evaluation.effects import (
    bootstrap_interval,
    compare_group,
    distance_against_effect,
    mean_p,
    rho_interval,
    tail,
)

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
        expected = np.mean([worse * e >= worse * effects[members].mean() - 1e-12 for e in every])
        result = compare_group(effects, members, LAYER, worse, np.random.default_rng(0), n=20_000)
        assert result.p == pytest.approx(expected)
        assert result.control_mean == pytest.approx(np.mean(every))
        assert result.standardised == pytest.approx(
            (effects[members].mean() - np.mean(every)) / np.std(every), abs=0.05
        )
        assert result.p_floor == pytest.approx(1 / len(every))


def test_rho_is_tested_as_by_counting_every_permutation_within_layers() -> None:
    generator = np.random.default_rng(3)
    layer = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    distances, effects = generator.normal(size=(2, 8))
    observed = spearmanr(distances, effects)[0]
    every = [
        spearmanr(distances, effects[[*a, *b, *c]])[0]
        for a in itertools.permutations([0, 1, 2])
        for b in itertools.permutations([3, 4, 5])
        for c in itertools.permutations([6, 7])
    ]
    expected = np.mean(np.array(every) <= observed + 1e-12)
    result = distance_against_effect(
        distances, effects, layer, 1, np.random.default_rng(0), n=20_000
    )
    assert result.effect == pytest.approx(observed)
    assert result.control_mean == pytest.approx(np.mean(every), abs=0.02)
    assert result.p == pytest.approx(expected, abs=0.015)


def test_without_an_effect_of_a_group_p_is_uniform_whatever_layers_do() -> None:
    generator = np.random.default_rng(4)
    layer = np.repeat(np.arange(5), 9)
    result, plain = [], []
    for _ in range(400):
        effects = 2.0 * layer + generator.normal(size=45)
        members = np.concatenate([generator.choice(np.flatnonzero(layer == k), 2) for k in (3, 4)])
        members = np.unique(members)
        result.append(compare_group(effects, members, layer, 1, generator, n=199).p)
        plain.append(compare_group(effects, members, np.zeros(45, int), 1, generator, n=199).p)
    assert uniform_enough(np.array(result))
    assert not uniform_enough(np.array(plain)), "draws from all layers must find what layers do"


def test_without_a_tie_of_distance_and_effect_p_is_uniform_whatever_layers_do() -> None:
    generator = np.random.default_rng(5)
    layer = np.repeat(np.arange(5), 9)
    result, plain = [], []
    for _ in range(250):
        distances = layer + generator.normal(size=45)
        effects = -layer + generator.normal(size=45)
        result.append(distance_against_effect(distances, effects, layer, 1, generator, n=199).p)
        one = np.zeros(45, dtype=int)
        plain.append(distance_against_effect(distances, effects, one, 1, generator, n=199).p)
    assert uniform_enough(np.array(result))
    assert np.mean(np.array(plain) <= 0.05) > 0.9, "permuting across layers must not do"


def skewed(size: int, generator: np.random.Generator) -> np.ndarray:
    """Effects of mean 0, few large and many small, as those of ablations are."""
    return generator.chisquare(1, size) - 1


def flipped(values: np.ndarray, generator: np.random.Generator) -> float:
    """p of a mean of 0 by flipping signs, which takes effects for symmetric."""
    means = np.abs(generator.choice((1.0, -1.0), size=(499, len(values))) @ values)
    return float((1 + (means >= abs(values.sum()) - 1e-12).sum()) / 500)


def test_a_true_zero_is_seldom_rejected_though_effects_are_skewed() -> None:
    generator = np.random.default_rng(6)
    samples = [skewed(12, generator) for _ in range(400)]
    p = np.array([mean_p(values, generator, n=999)[0] for values in samples])
    signs = np.array([flipped(values, generator) for values in samples])
    assert np.mean(p <= 0.05) <= 0.085
    assert np.mean(signs <= 0.05) >= 0.1, "flipped signs reject too often"
    p = np.array([mean_p(generator.normal(size=12), generator, n=999)[0] for _ in range(400)])
    assert 0.02 <= np.mean(p <= 0.05) <= 0.085
    p = np.array([mean_p(generator.normal(1.5, 1, 12), generator, n=999)[0] for _ in range(100)])
    assert np.mean(p <= 0.05) > 0.95


@pytest.mark.parametrize("n", [4, 8, 12])
def test_intervals_hold_the_mean_as_often_as_they_say(n: int) -> None:
    generator = np.random.default_rng(n)

    def covered(draw: Callable[[], np.ndarray], mean: float) -> float:
        bounds = [bootstrap_interval(draw(), generator, n=500) for _ in range(500)]
        return float(np.mean([low <= mean <= high for low, high in bounds]))

    assert 0.92 <= covered(lambda: generator.normal(3, 2, n), 3) <= 0.985
    if n >= 8:
        assert covered(lambda: skewed(n, generator), 0) >= 0.91


def test_the_tail_is_the_plain_one_for_many_sequences() -> None:
    assert tail(10_000) == pytest.approx(0.025, abs=1e-4)
    assert tail(12) == pytest.approx(0.0108, abs=1e-4)
    assert tail(2) < 1e-10


def test_intervals_of_rho_hold_it_where_draws_alone_lie_too_near_to_zero() -> None:
    generator = np.random.default_rng(8)
    hits, plain, rounds = 0, 0, 60
    for _ in range(rounds):
        distances = generator.normal(size=120)
        true = 0.4 * distances + generator.normal(size=120)
        effects = true[:, None] + generator.normal(size=(120, 12))
        truth = spearmanr(distances, true)[0]
        low, high = rho_interval(distances, effects, generator, n=400)
        hits += low <= truth <= high
        draws = effects[:, generator.integers(12, size=(400, 12))].mean(axis=-1)
        ranks, observed = rankdata(draws, axis=0), rankdata(distances)
        rho = (observed - observed.mean()) @ (ranks - observed.mean()) / 120 / observed.var()
        plain += np.quantile(rho, 0.025) <= truth <= np.quantile(rho, 0.975)
    assert hits / rounds >= 0.8
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
