"""Patterns that this project took from a packaged model: the kernels against the oracle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from attention_motifs.features import compute_features, feature_names
from attention_motifs.features.definitions import paper_features

DATA = Path(__file__).parent.parent / "data" / "real_patterns.npz"


@pytest.mark.parametrize("name", ["n24", "n48"])
def test_kernels_agree_with_the_oracle_on_real_patterns(name: str) -> None:
    with np.load(DATA, allow_pickle=False) as file:
        patterns = file[name]
    assert patterns.dtype == np.float32
    np.testing.assert_allclose(patterns.sum(-1), 1.0, atol=1e-5)
    expected = np.stack([paper_features(pattern) for pattern in patterns])
    result = compute_features(patterns, "paper")
    assert result.shape == expected.shape == (15, len(feature_names("paper")))
    error = np.abs(result - expected) / (1e-6 + np.abs(expected))
    # A value near the edge of a histogram's bin may fall on either side of it.
    assert np.median(error) < 1e-6
    assert np.quantile(error, 0.99) < 1e-3
    assert expected.std(axis=0).max() > 0.1
