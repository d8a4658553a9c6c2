from __future__ import annotations

import numpy as np
import pytest

from attention_motifs.distances import complementary, head_distances
from attention_motifs.errors import InputError
from distances.clouds import gaussian

N_PROMPTS = 80


def two_states(seed: int) -> np.ndarray:
    """A head that is in one of two states on each prompt, each state on half of them."""
    rng = np.random.default_rng(seed)
    signs = rng.permuted(np.repeat([-1.0, 1.0], N_PROMPTS // 2))
    axis = np.array([4.0, 0, 0, 0])
    return signs[:, None] * axis + 0.3 * rng.standard_normal((N_PROMPTS, 4))


@pytest.fixture(scope="module")
def planted() -> np.ndarray:
    """Heads 3 and 11 swap their states; 5 and 14 have such states independently."""
    embedded = gaussian(N_PROMPTS, 20, 4, seed=7)
    first, independent = two_states(1), two_states(2)
    embedded[:, 3] = first
    embedded[:, 11] = -first
    embedded[:, 5] = two_states(3)
    embedded[:, 14] = independent
    return embedded


def test_a_planted_pair_is_found(planted: np.ndarray) -> None:
    result = complementary(planted, candidates=60, permutations=999)
    assert (result.left[0], result.right[0]) == (3, 11)
    assert result.p_value[0] == result.p_floor[0] == pytest.approx(1 / 19981)
    assert result.q_value[0] == pytest.approx(60 / 19981)
    assert (result.p_value >= result.p_floor).all()
    rest = result.p_value > 0.01
    assert result.p_floor[rest] == pytest.approx(1 / 1000), "only leaders are tested again"
    assert result.ratio[0] > 5
    assert result.mean[0] > 1.5 * result.random_pairing[0]
    matrix = head_distances(planted)
    transport = head_distances(planted, "wasserstein")
    np.testing.assert_allclose(result.mean, matrix[result.left, result.right], rtol=1e-5)
    np.testing.assert_allclose(result.wasserstein, transport[result.left, result.right], rtol=1e-5)
    np.testing.assert_allclose(result.ratio, result.mean / result.wasserstein)


def test_independent_heads_with_equal_clouds_are_not_significant(planted: np.ndarray) -> None:
    result = complementary(planted, candidates=60, permutations=999)
    independent = np.flatnonzero((result.left == 5) & (result.right == 14))
    assert independent.size == 1
    # Its ratio is large all the same: that is what the test is for.
    assert result.ratio[independent[0]] > 2.5
    assert result.p_value[independent[0]] > 0.05


def test_only_significant_pairs_are_listed_when_asked(planted: np.ndarray) -> None:
    result = complementary(planted, candidates=60, permutations=9999, max_q=0.01)
    assert list(zip(result.left.tolist(), result.right.tolist(), strict=True)) == [(3, 11)]
    assert result.n_tested == 60


@pytest.mark.slow
def test_one_perfect_pair_among_a_thousand_candidates_is_significant() -> None:
    embedded = gaussian(96, 50, 4, seed=3)
    state = np.repeat([-1.0, 1.0], 48)[:, None] * np.full(4, 2.0)
    embedded[:, 4] = embedded[:, 4] * 0.3 + state
    embedded[:, 9] = embedded[:, 9] * 0.3 - state
    result = complementary(embedded, min_mean_quantile=0.0)
    assert result.n_tested == 1000
    assert (result.left[0], result.right[0]) == (4, 9)
    assert result.q_value[0] < 0.01
    assert (result.q_value[1:] > 0.05).all()


def test_p_values_keep_their_level_although_leaders_are_tested_again() -> None:
    # Pairs share heads within one draw, so the rates are taken over several draws.
    p = np.concatenate(
        [
            complementary(
                gaussian(16, 24, 3, seed=seed), n=300, permutations=99, min_mean_quantile=0.0
            ).p_value
            for seed in range(8)
        ]
    )
    assert len(p) > 2000
    for level in (0.02, 0.05, 0.1):
        # A leader's second p can leave the level, so the rate is at most nominal.
        assert 0.4 * level < (p <= level).mean() < 1.3 * level


def test_p_values_are_uniform_where_prompts_have_no_effect() -> None:
    embedded = gaussian(40, 40, 3, seed=5)
    result = complementary(embedded, n=200, candidates=200, permutations=199, seed=1)
    # Choosing by Eq. 3 on all prompts would push these down; their mean would be 1/2.
    assert 0.42 < result.p_value.mean() < 0.58
    assert result.q_value.min() > 0.05


def test_heads_that_follow_the_prompt_together_are_not_complementary() -> None:
    shared = gaussian(40, 1, 3, seed=5) * 5
    result = complementary(shared + gaussian(40, 12, 3), candidates=66, permutations=99)
    assert result.p_value.min() > 0.9


def test_same_seed_same_pairs_whatever_the_threads(planted: np.ndarray) -> None:
    options = {"candidates": 30, "permutations": 99, "seed": 3}
    one = complementary(planted, threads=1, **options)
    three = complementary(planted, threads=3, **options)
    for name in ("left", "right", "ratio", "p_value", "q_value"):
        assert np.array_equal(getattr(one, name), getattr(three, name))


def test_the_list_is_as_long_as_asked_and_in_order(planted: np.ndarray) -> None:
    result = complementary(planted, n=7, candidates=50, permutations=19)
    assert len(result.left) == 7
    assert (np.diff(result.ratio) <= 0).all()
    assert (result.left < result.right).all()
    assert (result.ratio >= 1 - 1e-6).all()


def test_equal_clouds_have_an_infinite_ratio() -> None:
    embedded = gaussian(20, 4, 3)
    embedded[:, 2] = embedded[::-1, 0]
    result = complementary(embedded, candidates=6, permutations=19, min_mean_quantile=0.0)
    assert (result.left[0], result.right[0]) == (0, 2)
    assert np.isinf(result.ratio[0])


def test_equal_heads_are_never_candidates() -> None:
    embedded = np.repeat(gaussian(20, 1, 3), 3, axis=1)
    result = complementary(embedded, permutations=19)
    assert result.n_tested == len(result.left) == len(result.q_value) == 0


@pytest.mark.parametrize("shape", [(4, 2, 1), (5, 3, 2)])
def test_few_prompts_and_heads(shape: tuple[int, int, int]) -> None:
    result = complementary(gaussian(*shape), permutations=19, min_mean_quantile=0.0)
    assert result.n_tested == shape[1] * (shape[1] - 1) // 2
    assert ((result.p_value > 0) & (result.p_value <= 1)).all()


def test_progress_ends_at_all_pairs() -> None:
    calls: list[tuple[int, int]] = []
    complementary(gaussian(6, 30, 2), permutations=9, progress=lambda *call: calls.append(call))
    assert calls[-1] == (435, 435)


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((3, 5, 2), {}),
        ((8, 1, 2), {}),
        ((8, 5, 2), {"n": 0}),
        ((8, 5, 2), {"candidates": 0}),
        ((8, 5, 2), {"permutations": 0}),
        ((8, 5, 2), {"min_mean_quantile": 1.5}),
        ((8, 5, 2), {"max_q": -0.1}),
        ((8, 5, 2), {"seed": -1}),
    ],
)
def test_what_makes_no_sense_is_refused(
    shape: tuple[int, int, int], options: dict[str, float]
) -> None:
    with pytest.raises(InputError):
        complementary(gaussian(*shape), **options)  # type: ignore[arg-type]
