from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from attention_motifs.errors import InputError
from attention_motifs.evaluation import ALL_MODELS, HeadPositions, split_half

ONE = HeadPositions.of(["a"] * 20, [0] * 20)
TWO = HeadPositions.of(["a"] * 12 + ["b"] * 6 + ["c"] * 2, [0] * 20)


class CentroidDistances:
    """Distances between the means of the clouds, keeping the prompts it was asked for."""

    def __init__(self, clouds: np.ndarray) -> None:
        self.clouds = clouds
        self.asked: list[np.ndarray] = []

    def __call__(self, prompts: np.ndarray) -> np.ndarray:
        self.asked.append(prompts)
        mean = self.clouds[prompts].mean(axis=0)
        return np.linalg.norm(mean[:, None] - mean[None], axis=-1)


def noisy_clouds(noise: float, n_prompts: int = 11) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(1, 20, 3)) + noise * rng.normal(size=(n_prompts, 20, 3))


def test_the_halves_are_disjoint_equal_and_differ_from_split_to_split() -> None:
    distances = CentroidDistances(noisy_clouds(1.0))
    (result,) = split_half(distances, 11, ONE, n_splits=4)
    assert len(distances.asked) == 8
    for first, second in zip(distances.asked[::2], distances.asked[1::2], strict=True):
        assert len(first) == len(second) == result.n_prompts == 5
        assert not set(first) & set(second)
        assert (np.diff(first) > 0).all()
    assert len({tuple(prompts) for prompts in distances.asked}) > 4


def test_the_correlation_is_spearmans_over_pairs_of_heads() -> None:
    distances = CentroidDistances(noisy_clouds(1.0))
    (result,) = split_half(distances, 11, ONE, n_splits=3)
    above = np.triu_indices(20, k=1)
    halves = [distances(prompts)[above] for prompts in distances.asked[:2]]
    assert result.correlations[0] == pytest.approx(spearmanr(*halves).statistic)
    assert result.mean == pytest.approx(np.mean(result.correlations))
    assert result.spread == pytest.approx(np.std(result.correlations, ddof=1))


def test_less_noise_is_more_reliable() -> None:
    means = []
    for noise in (0.0, 0.5, 3.0):
        (result,) = split_half(CentroidDistances(noisy_clouds(noise)), 11, ONE)
        means.append(result.mean)
    assert means[0] == pytest.approx(1)
    assert means[0] > means[1] > means[2] > -0.2
    assert means[2] < 0.6


def test_it_is_seeded() -> None:
    clouds = noisy_clouds(1.0)
    runs = [split_half(CentroidDistances(clouds), 11, ONE, seed=seed) for seed in (3, 3, 4)]
    assert runs[0] == runs[1] != runs[2]


def test_each_model_of_three_heads_and_all_of_them() -> None:
    results = split_half(CentroidDistances(noisy_clouds(0.5)), 11, TWO, n_splits=1)
    assert [(r.model, r.n_heads) for r in results] == [("a", 12), ("b", 6), (ALL_MODELS, 20)]
    assert results[0].spread == 0.0


def test_equal_distances_correlate_with_nothing() -> None:
    (result,) = split_half(lambda _: 1 - np.eye(20), 4, ONE, n_splits=2)
    assert np.isnan(result.mean)


def test_wrong_input_is_refused() -> None:
    with pytest.raises(InputError):
        split_half(CentroidDistances(noisy_clouds(1.0)), 1, ONE)
    with pytest.raises(InputError):
        split_half(CentroidDistances(noisy_clouds(1.0)), 11, ONE, n_splits=0)
    with pytest.raises(InputError):
        split_half(lambda _: np.zeros((3, 3)), 4, ONE)


def test_the_nearest_head_is_compared_between_halves() -> None:
    distances = CentroidDistances(noisy_clouds(1.0))
    (result,) = split_half(distances, 11, ONE, n_splits=1)
    nearest = [
        (distances(prompts) + np.diag(np.full(20, np.inf))).argmin(axis=1)
        for prompts in distances.asked[:2]
    ]
    assert result.same_nearest == (pytest.approx((nearest[0] == nearest[1]).mean()),)


def test_far_pairs_hide_that_nearest_heads_change() -> None:
    """Tight pairs of groups: all distances agree in rank, and no nearest head is stable."""
    groups = np.repeat(np.arange(4) * 100.0, 5)

    def distances_on(prompts: np.ndarray) -> np.ndarray:
        noise = np.random.default_rng(prompts.tolist()).normal(size=20)
        return np.abs((groups + noise)[:, None] - (groups + noise)[None])

    (result,) = split_half(distances_on, 12, ONE, n_splits=3)
    assert result.mean > 0.85
    assert max(result.same_nearest) < 0.85
