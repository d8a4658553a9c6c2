from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from attention_motifs.features.definitions import (
    GRAM_MATRICES,
    density_histogram,
    is_constant,
    log_pattern,
    paper_features,
    pattern_status,
    row_cosines,
    skewed,
    vector_statistics,
)
from attention_motifs.features.registry import feature_names
from features.patterns import (
    degenerate_patterns,
    needs_reference,
    pattern_batches,
    reference_patterns,
    relative_error,
)

NAMES = feature_names("paper")


def by_name(pattern: list[list[float]]) -> dict[str, float]:
    return dict(zip(NAMES, paper_features(np.array(pattern)), strict=True))


@needs_reference
def test_matches_the_reference_features() -> None:
    for prompt, patterns, expected in reference_patterns():
        got = np.array([paper_features(pattern) for pattern in patterns[::3]])
        assert relative_error(got, expected[::3], floor=1e-6).max() < 1e-9, prompt


def test_one_token() -> None:
    values = by_name([[1.0]])
    assert values["diag.mean"] == values["diag.median"] == values["first_tok.rms"] == 1
    assert values["diag.linreg.intercept"] == 1
    for name in ("variance", "skewness", "kurtosis", "entropy", "psd_total_power"):
        assert values[f"diag.{name}"] == 0
    # The only entry of A A^T is 1: a density of 32 in the last of 32 bins.
    assert values["gram.row.hist.rms"] == pytest.approx(math.sqrt(32))
    assert values["gram.row.hist.median"] == 0
    assert values["gram.row.hist.variance"] == pytest.approx(32)


def test_two_tokens_by_hand() -> None:
    values = by_name([[1.0, 0.0], [0.5, 0.5]])
    # The diagonal is (1, 1/2): deviations 1/4 and -1/4, Hann window (0, 1).
    expected = {
        "mean": 0.75,
        "median": 0.75,
        "variance": 0.125,
        "skewness": 0.0,
        "kurtosis": -2.0,
        "entropy": 1.0,
        "rms": math.sqrt(1.25 / 2),
        "energy": 1.25,
        "l2_norm": math.sqrt(1.25) / 2,
        "autocorr_lag1": 0.0,
        "psd_total_power": 2 * (1 / 4) ** 2,
        "linreg.slope": -0.5,
        "linreg.intercept": 1.0,
        "linreg.r2": 1.0,
    }
    for name, value in expected.items():
        assert values[f"diag.{name}"] == pytest.approx(value, abs=1e-12), name
    # A A^T = [[1, 1/2], [1/2, 1/2]]: a quarter of the mass in bin 31, the rest in bin 16.
    for context in ("gram.row", "gram.skew"):
        assert values[f"{context}.hist.rms"] == pytest.approx(math.sqrt(8**2 + 24**2) / 32**0.5)
    # A^T A = [[5/4, 1/4], [1/4, 1/4]]: 5/4 is clipped into bin 31, the rest in bin 8.
    slope = (8 * (31 - 15.5) + 24 * (8 - 15.5)) / (32 * (32**2 - 1) / 12)
    assert values["gram.col.hist.linreg.slope"] == pytest.approx(slope)


def test_three_tokens_by_hand() -> None:
    A = np.array([[1, 0, 0], [0.25, 0.75, 0], [0.1, 0.2, 0.7]])
    assert np.array_equal(skewed(A), [[0, 0, 1], [0, 0.25, 0.75], [0.1, 0.2, 0.7]])
    assert GRAM_MATRICES["gram.skew"](A)[0, 1] == pytest.approx(0.75)
    assert GRAM_MATRICES["gram.skew_col"](A)[0, 1] == pytest.approx(0.02)
    assert GRAM_MATRICES["gram.col"](A)[1, 2] == pytest.approx(0.14)
    low = math.log(1e-9)
    L = log_pattern(A)
    assert L[0] == pytest.approx([math.log1p(-1e-6), low, low])
    a, b = np.array([low, low]), np.array([math.log(0.75), low])
    cosine = (L[0, 0] * math.log(0.25) + a @ b) / np.linalg.norm(L[0]) / np.linalg.norm(L[1])
    assert GRAM_MATRICES["log.gram.row"](A)[0, 1] == pytest.approx(cosine, abs=1e-12)
    # Aligned at the query, row 0 has one entry and row 1 two.
    aligned = -math.log(0.75) / math.hypot(math.log(0.25), math.log(0.75))
    assert GRAM_MATRICES["log.gram.skew"](A)[0, 1] == pytest.approx(aligned)


@given(arrays(np.float64, st.integers(3, 40), elements=st.floats(0, 1, width=32)))
def test_statistics_agree_with_scipy(x: np.ndarray) -> None:
    if np.ptp(x) < 1e-3:
        return
    values = vector_statistics(x)
    line = scipy.stats.linregress(np.arange(len(x)), x)
    expected = {
        "skewness": scipy.stats.skew(x),
        "kurtosis": scipy.stats.kurtosis(x),
        "variance": x.var(ddof=1),
        "linreg.slope": line.slope,
        "linreg.intercept": line.intercept,
        "linreg.r2": line.rvalue**2,
    }
    for name, value in expected.items():
        assert values[name] == pytest.approx(value, rel=1e-8, abs=1e-10), name


@pytest.mark.parametrize("n", [1, 2, 3, 10])
@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_a_constant_vector_does_not_vary(n: int, level: float) -> None:
    x = np.full(n, level)
    x[0] += 1e-9
    assert is_constant(x)
    values = vector_statistics(x)
    varying = ("variance", "skewness", "kurtosis", "entropy", "autocorr_lag1", "psd_total_power")
    assert all(values[name] == 0 for name in (*varying, "linreg.slope", "linreg.r2"))
    assert values["linreg.intercept"] == values["mean"] == pytest.approx(level, abs=1e-8)


def test_entropy_counts_bits_of_ten_bins() -> None:
    assert vector_statistics(np.arange(10.0))["entropy"] == pytest.approx(math.log2(10))
    assert vector_statistics(np.array([0.0] * 5 + [1.0] * 5))["entropy"] == pytest.approx(1)


def test_autocorrelation_is_of_neighbours() -> None:
    assert vector_statistics(np.array([0.0, 1] * 8))["autocorr_lag1"] == pytest.approx(-1)
    assert vector_statistics(np.arange(9.0))["autocorr_lag1"] == pytest.approx(1)
    # Only the last differs, so that x[:-1] is constant.
    assert vector_statistics(np.array([0.0, 0, 0, 1]))["autocorr_lag1"] == 0


def test_cosine_with_a_zero_vector_is_zero() -> None:
    cosines = row_cosines(np.array([[0.0, 0.0], [3.0, 4.0]]))
    assert cosines == pytest.approx(np.array([[0, 0], [0, 1]]))


def test_histogram_clips_instead_of_dropping() -> None:
    density = density_histogram(np.array([[-0.1, 1.0 + 1e-7], [1.5, 0.5]]))
    assert density.mean() == pytest.approx(1)
    assert density[[0, 16, 31]] == pytest.approx([8, 8, 16])


@given(pattern_batches())
@settings(max_examples=15)
def test_every_feature_is_finite(patterns: np.ndarray) -> None:
    assert np.isfinite([paper_features(pattern) for pattern in patterns]).all()


@pytest.mark.parametrize("n", [1, 2, 3, 17])
def test_degenerate_patterns_give_finite_features(n: int) -> None:
    for name, pattern in degenerate_patterns(n).items():
        values = paper_features(pattern)
        assert np.isfinite(values).all(), name
        means = [i for i, feature in enumerate(NAMES) if feature.endswith("hist.mean")]
        assert values[means] == pytest.approx(1), name


def test_status_of_patterns() -> None:
    patterns = np.stack([np.tri(3) / 3] * 5)
    patterns[1, 2, 0] = np.nan
    patterns[2, 0, 2] = np.inf
    patterns[3, 0, 1] = 0.1
    patterns[4, 0, 1] = 1e-9
    assert pattern_status(patterns).tolist() == [0, 1, 1, 2, 0]


def test_what_large_values_look_like() -> None:
    """The meanings in the registry hold on the patterns they name."""
    n = 24
    kinds = degenerate_patterns(n)
    bars, band = by_name(kinds["first token"].tolist()), by_name(kinds["previous token"].tolist())
    slope = "hist.linreg.slope"
    assert bars[f"gram.row.{slope}"] > band[f"gram.row.{slope}"]
    assert band[f"gram.skew.{slope}"] > bars[f"gram.skew.{slope}"]
    assert bars["first_tok.mean"] > band["first_tok.mean"]
    assert by_name(kinds["identity"].tolist())["diag.mean"] == 1
