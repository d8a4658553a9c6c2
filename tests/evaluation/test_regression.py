from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.neighbors import KNeighborsRegressor

from attention_motifs.errors import InputError
from attention_motifs.evaluation import HeadPositions, neighbour_regression
from attention_motifs.evaluation.regression import spearman_rows

LAYER = np.repeat(np.arange(10), 6)
ONE = HeadPositions.of(["a"] * 60, LAYER.tolist())
TWO = HeadPositions.of(["a"] * 60 + ["b"] * 60, LAYER.tolist() * 2)


def between(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[:, None] - points[None], axis=-1)


def test_the_prediction_is_the_mean_of_the_five_nearest_others() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(60, 2))
    score = points[:, 0] + rng.normal(size=60)
    expected = []
    for head in range(60):
        others = np.delete(np.arange(60), head)
        model = KNeighborsRegressor(5).fit(points[others], score[others])
        expected.append(model.predict(points[[head]])[0])
    (result,), _ = neighbour_regression(between(points), {"s": score}, ONE, n_permutations=9)
    assert result.spearman.value == pytest.approx(spearmanr(expected, score).statistic)


def test_a_score_that_follows_position_is_predicted_within_and_across_models() -> None:
    points = np.random.default_rng(1).normal(size=(120, 2))
    results, too_few = neighbour_regression(
        between(points), {"s": points[:, 0]}, TWO, n_permutations=199
    )
    assert too_few == ()
    assert [r.model for r in results] == ["a", "b", "a -> b", "b -> a"]
    for result in results:
        assert result.spearman.value > 0.8
        assert result.spearman.p == pytest.approx(1 / 200)
        assert (result.n_queries, result.n_heads) == (60, 60)


def test_a_score_that_is_the_layer_is_no_evidence() -> None:
    rng = np.random.default_rng(2)
    points = LAYER[:, None] + 0.2 * rng.normal(size=(60, 1))
    noisy = LAYER + 0.5 * rng.normal(size=60)
    results, _ = neighbour_regression(
        between(points), {"layer": LAYER.astype(float), "noisy": noisy}, ONE, n_permutations=200
    )
    for result in results:
        assert result.spearman.value > 0.7
        assert result.spearman.null_mean > 0.7
        assert result.spearman.p > 0.05
    assert results[0].spearman.p == 1.0


def test_a_random_score_is_at_chance() -> None:
    rng = np.random.default_rng(3)
    scores = {f"s{i}": rng.normal(size=60) for i in range(30)}
    results, _ = neighbour_regression(
        between(rng.normal(size=(60, 3))), scores, ONE, n_permutations=99
    )
    assert abs(np.mean([r.spearman.value for r in results])) < 0.12
    assert 0.3 < np.mean([r.spearman.p for r in results]) < 0.7


def test_heads_without_a_score_are_left_out() -> None:
    rng = np.random.default_rng(4)
    points = rng.normal(size=(60, 2))
    score = points[:, 0] + rng.normal(size=60)
    score[::7] = np.nan
    kept = np.flatnonzero(np.isfinite(score))
    (result,), _ = neighbour_regression(between(points), {"s": score}, ONE, n_permutations=20)
    fewer = HeadPositions.of(["a"] * len(kept), LAYER[kept].tolist())
    (expected,), _ = neighbour_regression(
        between(points[kept]), {"s": score[kept]}, fewer, n_permutations=20
    )
    assert result == expected
    assert result.n_heads == len(kept)


def test_constant_scores_have_no_correlation() -> None:
    points = np.random.default_rng(5).normal(size=(60, 2))
    (result,), _ = neighbour_regression(between(points), {"s": np.full(60, 0.3)}, ONE)
    assert np.isnan(result.spearman.value)
    assert np.isnan(result.spearman.p)


def test_models_with_too_few_heads_are_listed() -> None:
    heads = HeadPositions.of(["a"] * 6 + ["b"] * 9, [0] * 15)
    distances = between(np.random.default_rng(6).normal(size=(15, 2)))
    score = np.random.default_rng(7).random(15)
    missing = np.where(np.array(heads.model) == "a", np.nan, score)
    results, too_few = neighbour_regression(
        distances, {"s": score, "t": missing}, heads, n_permutations=5
    )
    assert [(r.model, r.name) for r in results] == [
        ("b", "s"), ("a -> b", "s"), ("b -> a", "s"), ("b", "t"),
    ]  # fmt: skip
    assert [(t.model, t.name, t.n_heads, t.needed) for t in too_few] == [
        ("a", "s", 6, 7),
        ("a", "t", 0, 7),
    ]


def test_wrong_input_is_refused() -> None:
    distances = between(np.random.default_rng(6).normal(size=(60, 2)))
    with pytest.raises(InputError, match="score 's' has shape"):
        neighbour_regression(distances, {"s": np.zeros(3)}, ONE)
    with pytest.raises(InputError):
        neighbour_regression(distances, {}, ONE, n_neighbours=0)


def test_rowwise_spearman_is_that_of_scipy_with_ties() -> None:
    rng = np.random.default_rng(8)
    x, y = rng.integers(0, 5, size=(2, 4, 20)).astype(float)
    expected = [spearmanr(a, b).statistic for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(spearman_rows(x, y), expected)
    assert np.isnan(spearman_rows(np.ones((1, 4)), np.arange(4.0)[None])[0])
