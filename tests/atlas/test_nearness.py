from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_motifs.atlas.nearness import MOST, nearness


def dealt(layer: np.ndarray, rng: np.random.Generator, decimals: int = 6) -> np.ndarray:
    """Return symmetric distances whose level depends on the pair of layers alone."""
    n = len(layer)
    level = rng.random((layer.max() + 1,) * 2)
    matrix = np.round(rng.random((n, n)) + level[layer][:, layer], decimals)
    upper = np.triu(matrix, 1)
    return upper + upper.T


def asked(matrix: np.ndarray, layer: np.ndarray, query: int, n: int, mask=None, **options):
    """Return `nearness` of the n nearest heads of the mask."""
    mask = np.ones(len(layer), dtype=bool) if mask is None else mask
    order = np.argsort(matrix[query], kind="stable")
    order = order[(order != query) & mask[order]]
    listed = order[::-1][:n] if options.get("farthest") else order[:n]
    mates = np.flatnonzero(layer == layer[query])
    return nearness(matrix[mates], query, mates, layer, mask, listed, **options), listed


def by_definition(matrix: np.ndarray, layer: np.ndarray, query: int, k: int) -> float:
    """Return p by listing every deal of the distances to the query, written plainly."""
    others = [j for j in range(len(layer)) if j != query]
    observed = np.sort(matrix[query][others])[k - 1]
    deals = [[]]
    for g in sorted({layer[j] for j in others}):
        heads = [j for j in others if layer[j] == g]
        mates = np.flatnonzero(layer == layer[query])
        pairs = {frozenset((a, b)) for a in mates for b in np.flatnonzero(layer == g) if a != b}
        pool = [matrix[tuple(pair)] for pair in pairs]
        deals = [d + list(c) for d in deals for c in itertools.combinations(pool, len(heads))]
    return float(np.mean([sorted(deal)[k - 1] <= observed for deal in deals]))


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 2), min_size=2, max_size=6),
    st.integers(0, 1000),
    st.integers(1, 2),
)
def test_p_is_the_share_of_all_deals(layers: list[int], seed: int, decimals: int) -> None:
    layer = np.sort(layers)
    rng = np.random.default_rng(seed)
    matrix = dealt(layer, rng, decimals)
    query = int(rng.integers(len(layer)))
    result, listed = asked(matrix, layer, query, len(layer))
    for k in range(1, len(listed) + 1):
        assert result.p[k - 1] == pytest.approx(by_definition(matrix, layer, query, k))


def test_the_percentile_is_a_rank_among_the_other_pairs_of_the_two_layers() -> None:
    layer = np.array([0, 0, 0, 1, 1])
    matrix = np.array(
        [
            [0, 2, 3, 1, 5],
            [2, 0, 4, 1, 6],
            [3, 4, 0, 7, 8],
            [1, 1, 7, 0, 9],
            [5, 6, 8, 9, 0],
        ],
        dtype=float,
    )
    result, listed = asked(matrix, layer, 0, 4)
    assert listed.tolist() == [3, 1, 2, 4]
    assert result.percentile == [10.0, 0.0, 50.0, 40.0], "a tie counts half"
    far, listed = asked(matrix, layer, 0, 4, farthest=True)
    assert listed.tolist() == [4, 2, 1, 3]
    assert far.percentile == [40.0, 50.0, 0.0, 10.0]


def test_a_planted_look_alike_is_near_beyond_chance_and_the_next_head_is_not() -> None:
    layer = np.repeat(np.arange(6), 8)
    matrix = dealt(layer, np.random.default_rng(0))
    matrix[3, 40] = matrix[40, 3] = 1e-3
    result, listed = asked(matrix, layer, 3, 3)
    assert listed[0] == 40
    assert result.p[0] == pytest.approx(8 / 64), "8 of the 64 pairs of these layers are drawn"
    matrix[3, [10, 20, 30]] = matrix[[10, 20, 30], 3] = 1e-3
    result, _ = asked(matrix, layer, 3, 4)
    assert result.p[3] is not None
    assert result.p[3] < 0.001, "four such heads in four layers"


@pytest.mark.parametrize(("k", "level"), [(1, 0.2), (3, 0.05), (10, 0.05)])
@pytest.mark.parametrize("farthest", [False, True])
def test_distances_dealt_at_random_are_near_by_chance_at_the_nominal_rate(
    k: int, level: float, farthest: bool
) -> None:
    layer = np.repeat(np.arange(5), 8)
    p, percentile = [], []
    for seed in range(300):
        matrix = dealt(layer, np.random.default_rng(seed))
        mask = layer != 4
        result, _ = asked(matrix, layer, seed % 40, k, mask, farthest=farthest)
        p.append(result.p[k - 1])
        percentile.append(result.percentile[0])
    assert 0.4 * level < np.mean(np.array(p) <= level) < 1.5 * level
    assert np.mean(np.array(p) <= 0.5) == pytest.approx(0.5, abs=0.07)
    # The percentile of the nearest head is no test: it is small whatever the distances are.
    if not farthest:
        assert np.median(np.array(percentile)) < 5


def test_without_other_pairs_or_with_missing_distances_nothing_is_compared() -> None:
    layer = np.array([0, 1])
    matrix = np.array([[0.0, 1.0], [1.0, 0.0]])
    result, _ = asked(matrix, layer, 0, 1)
    assert result.percentile == [None]
    assert result.p == [1.0]
    layer = np.array([0, 0, 1])
    matrix = np.array([[0, 1, 2], [1, 0, np.inf], [2, np.inf, 0]], dtype=float)
    result, _ = asked(matrix, layer, 0, 2)
    assert result.percentile == result.p == [None, None]
    none, _ = asked(matrix, layer, 0, 2, np.zeros(3, dtype=bool))
    assert none.p == []


def test_only_the_first_hundred_listed_heads_are_compared_with_chance() -> None:
    layer = np.repeat(np.arange(3), 50)
    result, _ = asked(dealt(layer, np.random.default_rng(0)), layer, 0, MOST + 1)
    assert result.p[MOST] is None
    assert result.p[MOST - 1] is not None
    assert result.percentile[MOST] is not None
