from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from attention_motifs.errors import InputError
from attention_motifs.evaluation.null import (
    compare,
    false_discovery_rates,
    generator,
    layer_matched_draws,
    layer_permutations,
    n_arrangements,
    null_sets,
)

LAYER = np.repeat([0, 1, 2], [4, 5, 3])


def members_of(*heads: int) -> np.ndarray:
    members = np.zeros(len(LAYER), dtype=bool)
    members[list(heads)] = True
    return members


def test_every_draw_has_as_many_heads_in_every_layer_and_all_sets_occur() -> None:
    members = members_of(0, 1, 4)
    draws = layer_matched_draws(members, LAYER, 600, np.random.default_rng(0))
    sets = {tuple(sorted(draw)) for draw in draws.tolist()}
    for drawn in sets:
        assert sorted(LAYER[list(drawn)]) == [0, 0, 1]
        assert len(set(drawn)) == 3
    assert len(sets) == n_arrangements(members, LAYER) == 6 * 5


def test_heads_of_a_layer_are_drawn_equally_often() -> None:
    draws = layer_matched_draws(members_of(4, 5), LAYER, 5000, np.random.default_rng(1))
    counts = np.bincount(draws.ravel(), minlength=len(LAYER))
    assert counts[LAYER != 1].sum() == 0
    np.testing.assert_allclose(counts[LAYER == 1] / 5000, 2 / 5, atol=0.04)


def test_a_layer_of_members_only_leaves_no_freedom() -> None:
    members = members_of(9, 10, 11)
    draws = layer_matched_draws(members, LAYER, 20, np.random.default_rng(2))
    np.testing.assert_array_equal(np.sort(draws, axis=1), np.tile([9, 10, 11], (20, 1)))
    assert n_arrangements(members, LAYER) == 1


def test_a_class_without_heads_draws_nothing() -> None:
    assert layer_matched_draws(members_of(), LAYER, 7, np.random.default_rng(0)).shape == (7, 0)


def test_few_arrangements_are_enumerated_and_many_are_drawn() -> None:
    members = members_of(0, 1, 4)
    sets = {
        tuple(sorted(row))
        for row in null_sets(members, LAYER, 7, np.random.default_rng(0)).tolist()
    }
    drawn = layer_matched_draws(members, LAYER, 2000, np.random.default_rng(1)).tolist()
    assert sets == {tuple(sorted(row)) for row in drawn} - {(0, 1, 4)}
    assert len(sets) == n_arrangements(members, LAYER) - 1
    layer = np.zeros(20, dtype=int)
    large = np.arange(20) < 10
    assert null_sets(large, layer, 7, np.random.default_rng(0)).shape == (7, 10)
    assert (null_sets(members_of(9, 10, 11), LAYER, 7, np.random.default_rng(0)) >= 9).all()


def test_permutations_keep_every_head_in_its_layer() -> None:
    permutations = layer_permutations(LAYER, 50, np.random.default_rng(3))
    np.testing.assert_array_equal(LAYER[permutations], np.tile(LAYER, (50, 1)))
    np.testing.assert_array_equal(np.sort(permutations), np.tile(np.arange(len(LAYER)), (50, 1)))
    assert len(np.unique(permutations, axis=0)) > 40


def test_p_counts_draws_at_least_as_large_and_forgives_rounding() -> None:
    null = np.array([0.1, 0.3, 0.3 - 1e-14, 0.7])
    test = compare(0.3, null)
    assert test.p == pytest.approx((1 + 3) / (1 + 4))
    assert test.null_mean == pytest.approx(0.35)
    assert test.null_95 == 0.7
    assert compare(0.9, null).p == pytest.approx(1 / 5)


def test_beyond_the_95_percent_bound_p_is_at_most_005() -> None:
    null = np.random.default_rng(0).integers(0, 40, size=1000) / 40
    bound = compare(0.0, null).null_95
    assert (null <= bound).mean() >= 0.95
    assert compare(np.nextafter(bound, 2) + 1e-6, null).p <= 0.05 + 1e-3


def test_an_undefined_value_has_an_undefined_test() -> None:
    assert all(math.isnan(x) for x in vars(compare(math.nan, np.zeros(5))).values())


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_q_is_that_of_scipy(p: list[float]) -> None:
    np.testing.assert_allclose(false_discovery_rates(p), false_discovery_control(p), atol=1e-12)


def test_an_undefined_p_is_not_counted_among_the_tests() -> None:
    q = false_discovery_rates([math.nan, 0.01, 0.04])
    assert math.isnan(q[0])
    assert q[1:] == pytest.approx([0.02, 0.04])
    assert false_discovery_rates([]) == []
    with pytest.raises(InputError):
        false_discovery_rates([1.5])


def test_each_row_has_its_own_random_numbers() -> None:
    first = generator(0, "m", "induction").random(3)
    np.testing.assert_array_equal(first, generator(0, "m", "induction").random(3))
    assert not np.array_equal(first, generator(0, "m", "sink").random(3))
    assert not np.array_equal(first, generator(1, "m", "induction").random(3))
    with pytest.raises(InputError):
        generator(-1)
