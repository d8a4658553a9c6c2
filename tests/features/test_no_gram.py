"""The set `no_gram`: columns of `paper` and `extended`, without their products of patterns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from attention_motifs.features import compute_features, feature_names, features_of
from features.patterns import degenerate_patterns, pattern_batches

NAMES = feature_names("no_gram")


def test_it_holds_every_feature_that_costs_less_than_a_product() -> None:
    known = [entry for name in ("paper", "extended") for entry in features_of(name)]
    assert [entry.name for entry in known if entry.cost != "O(n^3)"] == NAMES
    assert len(NAMES) == 104


@given(pattern_batches())
@settings(max_examples=20, deadline=None)
def test_values_equal_those_of_the_default_sets(patterns: np.ndarray) -> None:
    assert np.array_equal(
        compute_features(patterns, "no_gram"),
        compute_features(patterns, ["paper", "extended"])[:, columns_of_default()],
    )
    wide = torch.from_numpy(patterns).double()
    torch.testing.assert_close(
        compute_features(wide, "no_gram"),
        compute_features(wide, ["paper", "extended"])[:, columns_of_default()],
    )


@pytest.mark.parametrize("n", [1, 2, 3, 17])
def test_degenerate_patterns_are_finite(n: int) -> None:
    patterns = np.stack(list(degenerate_patterns(n).values()))
    rows = compute_features(patterns, "no_gram", validate=False)
    assert np.isfinite(rows).all()
    expected = compute_features(patterns, ["paper", "extended"], validate=False)
    assert np.array_equal(rows, expected[:, columns_of_default()])


def columns_of_default() -> list[int]:
    """Places of the columns among those of `paper` and `extended`."""
    names = feature_names(["paper", "extended"])
    return [names.index(name) for name in NAMES]
