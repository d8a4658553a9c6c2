"""Small pictures of heads: the largest weight of each block of tokens."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention_motifs.site.export_pictures import block_starts, class_means, shrunk


def plain_shrunk(packed: np.ndarray, n: int, side: int) -> np.ndarray:
    """Block by block, token by token."""
    starts = block_starts(n, side)
    ends = [max(start + 1, end) for start, end in zip(starts, [*starts[1:], n], strict=True)]
    pattern = np.zeros((n, n))
    pattern[np.tril_indices(n)] = (packed / 255.0) ** 2
    out = [
        pattern[starts[query] : ends[query], starts[key] : ends[key]].max()
        for query in range(side)
        for key in range(query + 1)
    ]
    return np.array(out)


@given(n=st.integers(2, 70), side=st.integers(2, 33), seed=st.integers(0, 99))
def test_a_block_has_its_largest_weight(n: int, side: int, seed: int) -> None:
    packed = np.random.default_rng(seed).integers(0, 256, (2, n * (n + 1) // 2), dtype=np.uint8)
    expected = [plain_shrunk(head, n, side) for head in packed]
    np.testing.assert_allclose(shrunk(packed, n, side), expected)


@given(n=st.integers(2, 200), side=st.integers(2, 40))
def test_blocks_cover_all_tokens_and_the_first_is_alone(n: int, side: int) -> None:
    starts = np.array(block_starts(n, side))
    assert len(starts) == side
    assert starts[:2].tolist() == [0, 1]
    steps = np.diff(starts[1:], append=n)
    assert (steps >= 0).all()
    if n > side:
        assert steps.min() >= 1
        assert np.ptp(steps) <= 1


@pytest.mark.parametrize("n", [2, 3, 5, 64, 300])
def test_attention_to_the_previous_token_stays_next_to_the_diagonal(n: int) -> None:
    pattern = np.zeros((n, n), np.uint8)
    pattern[0, 0] = 255
    pattern[np.arange(1, n), np.arange(n - 1)] = 255
    side = 16
    picture = np.zeros((side, side))
    picture[np.tril_indices(side)] = shrunk(pattern[np.tril_indices(n)][None], n, side)[0]
    if n > 2 * side:
        queries, keys = np.nonzero(picture)
        assert (queries - keys).max() == 1
        assert set(queries) == set(range(side))
    assert picture[0, 0] == 1
    assert picture[1, 0] == 1


@given(seed=st.integers(0, 99), n_heads=st.integers(1, 7), n_classes=st.integers(0, 4))
def test_a_class_has_the_mean_weight_of_its_heads(seed: int, n_heads: int, n_classes: int) -> None:
    rng = np.random.default_rng(seed)
    pictures = rng.integers(0, 256, (n_heads, 6), dtype=np.uint8)
    rows = [np.flatnonzero(rng.random(n_heads) < 0.5).tolist() for _ in range(n_classes)]
    means = class_means(pictures, rows)
    assert means.shape == (n_classes, 6)
    for of_class, mean in zip(rows, means, strict=True):
        weights = [(int(byte) / 255) ** 2 for head in of_class for byte in pictures[head]]
        expected = np.reshape(weights, (-1, 6)).mean(axis=0) if of_class else np.zeros(6)
        np.testing.assert_allclose(mean, 255 * np.sqrt(expected), atol=0.51)
