"""Files of a site are small, so that a page fetches what it shows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention_motifs.site.export_patterns import FILE_BYTES, file_shape
from attention_motifs.site.export_points import compare_heads


@pytest.mark.parametrize(
    ("sizes", "n_heads", "expected"),
    [
        ([], 4, (4, 1)),
        ([78] * 5, 12, (12, 5)),
        ([8256] * 2, 9, (1, 2)),  # two heads on both prompts would be a file too large; 9 = 3 x 3
        ([8256] * 8, 9, (1, 3)),
        ([5000, 100], 12, (6, 2)),
        ([130_000, 10], 8, (1, 1)),
    ],
)
def test_a_file_of_patterns_is_small(
    sizes: list[int], n_heads: int, expected: tuple[int, int]
) -> None:
    each, n_prompts = expected
    assert file_shape(sizes, n_heads) == expected
    assert n_heads % each == 0
    assert max(sizes, default=0) > FILE_BYTES or each * sum(sizes[:n_prompts]) <= FILE_BYTES


@given(
    st.integers(1, 12).flatmap(
        lambda n: st.lists(
            st.sampled_from([0.0, 1.0, 1.0 + 1e-12, -3.5, float("nan"), float("inf")]),
            min_size=n,
            max_size=n,
        )
    )
)
def test_heads_are_compared_as_the_definition_says(column: list[float]) -> None:
    mean, z, percentile = compare_heads(np.array(column)[:, None])[:, :, 0].T
    finite = [x for x in column if np.isfinite(x)]
    varies = bool(finite) and np.std(np.float32(finite).astype(float)) > 1e-9
    for i, x in enumerate(column):
        assert np.array_equal(mean[i], np.float32(x), equal_nan=True)
        if not (varies and np.isfinite(x)):
            assert not np.isfinite(z[i])
            assert np.isnan(percentile[i]) or varies
            continue
        assert z[i] == pytest.approx((np.float32(x) - np.mean(finite)) / np.std(finite), rel=1e-6)
        below = sum(np.float32(y) < np.float32(x) for y in finite)
        assert percentile[i] == pytest.approx(100 * below / len(finite))
