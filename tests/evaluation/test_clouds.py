from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from attention_motifs.errors import InputError
from attention_motifs.evaluation import (
    ALL_MODELS,
    HeadPositions,
    identification,
    variance_shares,
)


def positions(**counts: int) -> HeadPositions:
    model = [name for name, n in counts.items() for _ in range(n)]
    return HeadPositions.of(model, [0] * len(model))


def slow_identification(clouds: np.ndarray, k: int) -> float:
    hits = []
    for p in range(len(clouds)):
        centroids = np.delete(clouds, p, axis=0).mean(axis=0)
        for h in range(clouds.shape[1]):
            away = np.linalg.norm(centroids - clouds[p, h], axis=1)
            hits.append(h in np.argsort(away)[:k])
    return float(np.mean(hits))


def test_identification_is_that_of_the_definition() -> None:
    rng = np.random.default_rng(0)
    clouds = rng.normal(size=(9, 12, 3)) + 1.5 * rng.normal(size=(1, 12, 3))
    (result,) = identification(clouds, positions(a=12))
    assert result.top_1 == pytest.approx(slow_identification(clouds, 1))
    assert result.top_5 == pytest.approx(slow_identification(clouds, 5))
    assert 0.2 < result.top_1 < result.top_5 < 1
    assert (result.n_heads, result.n_patterns) == (12, 108)


def test_separated_clouds_are_always_identified_and_noise_at_chance() -> None:
    rng = np.random.default_rng(1)
    centres = 100 * rng.normal(size=(1, 30, 4))
    (apart,) = identification(centres + rng.normal(size=(8, 30, 4)), positions(a=30))
    assert (apart.top_1, apart.top_5) == (1.0, 1.0)
    (noise,) = identification(rng.normal(size=(60, 30, 4)), positions(a=30))
    assert noise.top_1 == pytest.approx(1 / 30, abs=0.02)
    assert noise.top_5 == pytest.approx(5 / 30, abs=0.04)


def test_the_held_out_pattern_does_not_name_itself() -> None:
    # One prompt's patterns are wild; with them in the centroids the heads would be found.
    clouds = np.zeros((2, 4, 4))
    clouds[1] = 100 * np.eye(4)
    (result,) = identification(clouds, positions(a=4))
    assert result.top_1 == pytest.approx(1 / 4)


def test_each_model_is_sought_alone_and_all_together() -> None:
    rng = np.random.default_rng(2)
    centres = 50 * rng.normal(size=(1, 10, 3))
    both = np.concatenate([centres, centres], axis=1)  # the second model copies the first
    clouds = both + rng.normal(size=(20, 20, 3))
    a, b, together = identification(clouds, positions(a=10, b=10))
    assert (a.model, b.model, together.model) == ("a", "b", ALL_MODELS)
    assert a.top_1 == b.top_1 == 1.0
    assert together.top_1 == pytest.approx(0.5, abs=0.15)
    assert together.top_5 == 1.0
    assert together.n_patterns == 400


def test_equal_heads_share_the_place() -> None:
    (result,) = identification(np.ones((3, 8, 2), dtype=np.float32), positions(a=8))
    assert result.top_1 == pytest.approx(1 / 8)
    assert result.top_5 == pytest.approx(5 / 8)
    rng = np.random.default_rng(3)
    clouds = np.repeat(1e3 * rng.normal(size=(1, 5, 7)) + rng.normal(size=(6, 5, 7)), 2, axis=1)
    (twins,) = identification(clouds, positions(a=10))
    assert twins.top_1 == pytest.approx(0.5)


def test_prompts_to_hold_out_are_chosen_by_the_seed() -> None:
    clouds = np.random.default_rng(4).normal(size=(30, 6, 2)).cumsum(axis=1)
    some = [identification(clouds, positions(a=6), n_held_out=4, seed=s)[0] for s in (0, 0, 1, 2)]
    assert some[0] == some[1]
    assert some[0].n_patterns == 24
    assert len({result.top_1 for result in some}) > 1
    (every,) = identification(clouds, positions(a=6), n_held_out=30, seed=5)
    assert every == identification(clouds, positions(a=6))[0]


def test_a_model_of_one_head_is_always_right() -> None:
    (result,) = identification(np.random.default_rng(0).normal(size=(2, 1, 1)), positions(a=1))
    assert (result.top_1, result.top_5) == (1.0, 1.0)


def test_variance_shares_of_constructed_clouds() -> None:
    rng = np.random.default_rng(5)
    of_head, of_prompt = rng.normal(size=(1, 7, 3)), rng.normal(size=(9, 1, 3))
    of_head -= of_head.mean(axis=1, keepdims=True)
    of_prompt -= of_prompt.mean(axis=0, keepdims=True)
    (only_head,) = variance_shares(100 + of_head + np.zeros((9, 1, 1)), positions(a=7))
    assert (only_head.head, only_head.prompt) == pytest.approx((1, 0), abs=1e-12)
    (only_prompt,) = variance_shares(of_prompt + np.zeros((1, 7, 1)), positions(a=7))
    assert only_prompt.prompt == pytest.approx(1, abs=1e-12)
    (both,) = variance_shares(of_head + of_prompt, positions(a=7))
    by_head, by_prompt = 9 * (of_head**2).sum(), 7 * (of_prompt**2).sum()
    assert both.head == pytest.approx(by_head / (by_head + by_prompt))
    assert both.residual == pytest.approx(0, abs=1e-12)
    sign = np.where((np.arange(9)[:, None] + np.arange(8)) % 2, 1.0, -1.0)[1:, :, None]
    (only_rest,) = variance_shares(sign, positions(a=8))
    assert only_rest.residual == pytest.approx(1)


@given(arrays(np.float32, (4, 5, 2), elements=st.floats(-100, 100, width=32)))
def test_shares_sum_to_one_and_are_those_of_the_total(clouds: np.ndarray) -> None:
    (result,) = variance_shares(clouds, positions(a=5))
    wide = clouds.astype(np.float64)
    total = ((wide - wide.mean(axis=(0, 1))) ** 2).sum()
    if np.ptp(clouds, axis=(0, 1)).max() < 1e-3:
        return
    assert result.head + result.prompt + result.residual == pytest.approx(1)
    by_head = 4 * ((wide.mean(axis=0) - wide.mean(axis=(0, 1))) ** 2).sum()
    assert result.head == pytest.approx(by_head / total, abs=1e-6)


def test_noise_has_the_shares_of_its_degrees_of_freedom() -> None:
    a, b, together = variance_shares(
        np.random.default_rng(6).normal(size=(20, 50, 16)), positions(a=20, b=30)
    )
    for result in (a, b, together):
        shares = (result.head, result.prompt, result.residual)
        assert shares == pytest.approx(result.by_chance(), abs=0.01)
        assert sum(result.by_chance()) == pytest.approx(1)


def test_clouds_that_do_not_vary_have_no_shares() -> None:
    (result,) = variance_shares(np.full((3, 4, 2), 0.1, dtype=np.float32), positions(a=4))
    assert np.isnan([result.head, result.prompt, result.residual]).all()


def test_wrong_clouds_are_refused() -> None:
    heads = positions(a=4)
    bad = np.zeros((3, 4, 2))
    bad[0, 0, 0] = np.inf
    for clouds in (np.zeros((3, 5, 2)), np.zeros((3, 4)), np.zeros((1, 4, 2)), bad, None, "x"):
        for measure in (identification, variance_shares):
            with pytest.raises(InputError):
                measure(clouds, heads)
    with pytest.raises(InputError):
        identification(np.zeros((3, 4, 2)), heads, n_held_out=4)
