"""The properties that docs/method.md claims, verified in numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import get_window

import attention_motifs as am
from attention_motifs.embedding.moments import FeatureMoments
from attention_motifs.features.definitions import (
    GRAM_MATRICES,
    HISTOGRAM_CONTEXTS,
    density_histogram,
    skewed,
    total_power,
    vector_statistics,
)


def softmax_patterns(n_patterns: int, n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n_patterns, n, n)) * rng.uniform(0.1, 4, (n_patterns, 1, 1))
    logits[..., 0] += rng.uniform(-2, 4, (n_patterns, 1))
    weights = np.tril(np.exp(logits))
    return weights / weights.sum(axis=2, keepdims=True)


def test_gram_entries_of_rows_are_at_most_one_and_of_columns_up_to_n() -> None:
    for pattern in softmax_patterns(20, 30):
        for name in ("gram.row", "gram.skew"):
            assert GRAM_MATRICES[name](pattern).max() <= 1 + 1e-12
    sink = np.zeros((30, 30))
    sink[:, 0] = 1
    assert GRAM_MATRICES["gram.col"](sink)[0, 0] == 30


def test_both_skew_grams_have_trace_and_eigenvalues_in_common() -> None:
    (pattern,) = softmax_patterns(1, 25)
    moved = skewed(pattern)
    rows, columns = moved @ moved.T, moved.T @ moved
    assert np.trace(rows) == pytest.approx((pattern**2).sum())
    assert np.allclose(np.linalg.eigvalsh(rows), np.linalg.eigvalsh(columns), atol=1e-10)
    # Entry (n-1-d, n-1-e) is the sum over queries of the weights at distances d and e.
    d, e, n = 3, 7, len(pattern)
    expected = sum(pattern[i, i - d] * pattern[i, i - e] for i in range(e, n))
    assert columns[n - 1 - d, n - 1 - e] == pytest.approx(expected)


def test_a_previous_token_head_fills_one_and_empties_the_other() -> None:
    n = 40
    previous = np.eye(n, k=-1)
    previous[0, 0] = 1
    assert (GRAM_MATRICES["gram.skew"](previous) == 1).sum() == (n - 1) ** 2 + 1
    assert np.count_nonzero(GRAM_MATRICES["gram.skew_col"](previous)) == 2


def test_a_density_has_mean_one_and_its_line_one_free_number() -> None:
    for pattern in softmax_patterns(10, 20):
        density = density_histogram(pattern @ pattern.T)
        result = vector_statistics(density)
        assert result["mean"] == pytest.approx(1)
        assert result["linreg.intercept"] == pytest.approx(1 - 15.5 * result["linreg.slope"])
        assert result["rms"] ** 2 == pytest.approx(1 + 31 / 32 * result["variance"])


def test_at_one_length_the_columns_have_at_most_78_dimensions() -> None:
    columns = am.compute_features(softmax_patterns(400, 40), "paper")
    names = am.feature_names("paper")
    centred = columns - columns.mean(axis=0)
    scale = centred.std(axis=0)
    assert all(scale[names.index(f"{c}.hist.mean")] < 1e-9 for c in HISTOGRAM_CONTEXTS)
    kept = centred[:, scale > 1e-9] / scale[scale > 1e-9]
    values = np.linalg.eigvalsh(kept.T @ kept / len(kept))
    assert (values > 1e-10).sum() <= 78
    assert (values > 1e-10).sum() >= 70, "and nearly as many"


@pytest.mark.parametrize("n", [3, 4, 31, 32, 128])
def test_welch_of_one_segment_is_a_weighted_variance(n: int) -> None:
    x = np.random.default_rng(n).normal(size=n)
    squares = get_window("hann", n) ** 2
    deviations = (x - x.mean()) ** 2
    assert squares.sum() == pytest.approx(3 / 8 * n)
    assert total_power(x) == pytest.approx(n * (squares * deviations).sum() / squares.sum())


def test_what_eq_3_sees_and_does_not_see() -> None:
    rng = np.random.default_rng(0)
    clouds = rng.normal(size=(15, 6, 5))
    moved = clouds + rng.normal(size=(15, 1, 5)) * 9
    distances = am.head_distances(clouds)
    assert np.allclose(am.head_distances(moved), distances, atol=1e-5)
    for i, j, k in np.ndindex(6, 6, 6):
        assert distances[i, j] <= distances[i, k] + distances[k, j] + 1e-6
    assert (am.head_distances(clouds, metric="centroid") <= distances + 1e-6).all()
    assert (am.head_distances(clouds[..., :3].copy()) <= distances + 1e-6).all()
    rotation = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    assert np.allclose(am.head_distances(clouds @ rotation), distances, atol=1e-5)
    best = am.head_distances(clouds, metric="wasserstein")
    assert (best <= distances + 1e-6).all()


def test_the_whitened_distance_is_mahalanobis() -> None:
    rng = np.random.default_rng(1)
    within = np.cov(rng.normal(size=(3, 40)) * [[1], [3], [0.2]])
    values, vectors = np.linalg.eigh(within)
    root = (vectors * values**-0.5) @ vectors.T
    a, b = rng.normal(size=(2, 3))
    expected = (a - b) @ np.linalg.inv(within) @ (a - b)
    assert np.sum((root @ a - root @ b) ** 2) == pytest.approx(expected)


def test_moments_of_parts_are_those_of_the_whole_with_missing_values_imputed() -> None:
    rng = np.random.default_rng(2)
    rows = rng.normal(loc=1e6, size=(50, 4))
    rows[rng.random(rows.shape) < 0.2] = np.nan
    rows[:, 3] = 7.0
    moments = FeatureMoments(4)
    for part in np.array_split(rows, 7):
        of_feature = FeatureMoments(4)
        of_feature.update(part)
        moments.merge(of_feature)
    imputed = np.where(np.isnan(rows), np.nanmean(rows, axis=0), rows)
    assert np.allclose(moments.means(), imputed.mean(axis=0))
    assert np.allclose(moments.covariance(), np.cov(imputed.T, ddof=0), rtol=1e-6, atol=1e-9)
    assert moments.covariance()[3, 3] == 0
