"""The set `paper2`: kernels against the definitions, on random, degenerate and known patterns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from attention_motifs.features import compute_features, feature_names, features_of
from attention_motifs.features.paper2_definitions import paper2_features, vectors
from attention_motifs.features.registry import selected
from features.patterns import degenerate_patterns, pattern_batches

NEW = feature_names("paper2")[94:]
# The kernel's logarithms are of single precision.
SLACK = np.array([2e-5 if name.startswith("row_entropy.") else 1e-6 for name in NEW])


def on_an_edge(vector: np.ndarray) -> bool:
    """Whether rounding moves an entry to another bin, and so changes the entropy of a vector."""
    low, high = vector.min(), vector.max()
    bins = min(10, len(vector))
    place = (vector - low) / max(high - low, 1e-300) * bins
    inner = (place > 0.5) & (place < bins - 0.5)
    return bool((np.abs(place - place.round())[inner] < 1e-4).any())


def new_columns(patterns: np.ndarray) -> np.ndarray:
    """Compute the features that `paper` lacks, and compare both kernels with the definitions."""
    narrow = patterns.astype(np.float32)
    rows = compute_features(narrow, "paper2")[:, 94:]
    wide = compute_features(torch.from_numpy(narrow).double(), "paper2").numpy()[:, 94:]
    expected = np.array([paper2_features(pattern)[94:] for pattern in narrow])
    for i, pattern in enumerate(narrow):
        exact = np.ones(len(NEW), bool)
        for context, vector in vectors(pattern.astype(np.float64)).items():
            if len(vector) and on_an_edge(vector):
                exact[NEW.index(f"{context}.entropy")] = False
        assert wide[i][exact] == pytest.approx(expected[i][exact], rel=1e-6, abs=1e-8)
        error = np.abs(rows[i] - expected[i]) - 2e-5 * np.abs(expected[i])
        assert (error[exact] < SLACK[exact]).all(), np.array(NEW)[exact & (error >= SLACK)]
    return expected


@given(pattern_batches())
@settings(max_examples=30, deadline=None)
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
    assert values["attn_distance.mean"] == pytest.approx((n - 1) / n)
    assert values["row_entropy.mean"] == pytest.approx(0, abs=1e-9)
    assert values["row_max.median"] == 1.0
    assert values["last_tok.mean"] == 0.0
    assert values["band_energy"] == 1.0
    uniform = np.tril(np.ones((n, n))) / np.arange(1, n + 1)[:, None]
    values = dict(zip(NEW, new_columns(uniform[None])[0], strict=True))
    assert values["row_entropy.mean"] == pytest.approx(np.log(np.arange(1, n + 1)).mean())
    assert values["col_sum.mean"] == pytest.approx(1.0)
    assert values["attn_distance.linreg.slope"] == pytest.approx(0.5)


def test_the_first_columns_are_those_of_the_paper() -> None:
    patterns = np.tril(np.random.default_rng(0).random((3, 12, 12))).astype(np.float32)
    patterns /= patterns.sum(axis=2, keepdims=True)
    assert feature_names("paper2")[:94] == feature_names("paper")
    assert len(NEW) == 6 * 14 + 1
    assert (
        compute_features(patterns, "paper2")[:, :94] == compute_features(patterns, "paper")
    ).all()
    assert selected("diag.mean") == [("diag.mean", "paper")]
