"""The set `paper2`: kernels against the definitions, on random, degenerate and known patterns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from attention_motifs.features import compute_features, feature_names, features_of
from attention_motifs.features.paper2_definitions import paper2_features
from features.patterns import degenerate_patterns, pattern_batches

NEW = feature_names("paper2")[94:]


def new_columns(patterns: np.ndarray) -> np.ndarray:
    """Compute the features that `paper` lacks, and compare the two kernels."""
    narrow = compute_features(patterns.astype(np.float32), "paper2")[:, 94:]
    wide = compute_features(torch.from_numpy(patterns.astype(np.float32)).double(), "paper2")
    expected = np.array([paper2_features(p)[94:] for p in patterns.astype(np.float32)])
    assert wide.numpy()[:, 94:] == pytest.approx(expected, rel=1e-6, abs=1e-8)
    assert narrow == pytest.approx(expected, rel=2e-5, abs=1e-6)
    return expected


@given(pattern_batches())
@settings(max_examples=40, deadline=None)
def test_kernels_agree_with_the_definitions(patterns: np.ndarray) -> None:
    rows = new_columns(patterns)
    for entry, column in zip(features_of("paper2")[94:], rows.T, strict=True):
        low, high = entry.range
        assert (column >= low - 1e-5 - 1e-6 * abs(low)).all(), entry.name
        assert (column <= high + 1e-5 + 1e-6 * abs(high)).all(), entry.name


@pytest.mark.parametrize("n", [1, 2, 3, 4, 17])
def test_degenerate_patterns(n: int) -> None:
    patterns = np.stack(list(degenerate_patterns(n).values()))
    rows = new_columns(patterns[patterns.sum(axis=2).max(axis=1) <= 1.0])
    assert len(rows)
    assert np.isfinite(rows).all()


def test_known_values() -> None:
    n = 8
    previous = np.eye(n, k=-1)
    previous[0, 0] = 1.0
    values = dict(zip(NEW, new_columns(previous[None])[0], strict=True))
    assert values["prev_tok.mean"] == 1.0
    assert values["prev_tok.variance"] == 0.0
    assert values["mean_distance.mean"] == pytest.approx((n - 1) / n)
    assert values["row_entropy.mean"] == pytest.approx(0, abs=1e-9)
    assert values["row_max.median"] == 1.0
    assert values["last_tok.mean"] == 0.0
    assert values["near_diag.share"] == 1.0
    uniform = np.tril(np.ones((n, n))) / np.arange(1, n + 1)[:, None]
    values = dict(zip(NEW, new_columns(uniform[None])[0], strict=True))
    assert values["row_entropy.mean"] == pytest.approx(np.log(np.arange(1, n + 1)).mean())
    assert values["col_sum.mean"] == pytest.approx(1.0)
    assert values["mean_distance.linreg.slope"] == pytest.approx(0.5)


def test_the_first_columns_are_those_of_the_paper() -> None:
    patterns = np.tril(np.random.default_rng(0).random((3, 12, 12))).astype(np.float32)
    patterns /= patterns.sum(axis=2, keepdims=True)
    assert feature_names("paper2")[:94] == feature_names("paper")
    assert len(NEW) == 6 * 14 + 1
    assert (
        compute_features(patterns, "paper2")[:, :94] == compute_features(patterns, "paper")
    ).all()
