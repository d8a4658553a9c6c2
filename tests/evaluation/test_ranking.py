from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score, roc_auc_score

from attention_motifs.evaluation.ranking import RankStatistics, rank_heads


def one_query(distances: np.ndarray, relevant: np.ndarray, k: int = 5) -> np.ndarray:
    """AUROC, average precision and purity of a single query, ranked in another model."""
    statistics = RankStatistics(distances[None, :], within=False, n_neighbours=k)
    return statistics(np.zeros((1, 1), dtype=int), np.flatnonzero(relevant)[None, :])[0]


@given(st.integers(0, 10_000), st.integers(3, 40), st.integers(1, 6))
def test_without_ties_the_statistics_are_those_of_sklearn(seed: int, n: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    distances = rng.permutation(n) / 7
    relevant = np.zeros(n, dtype=bool)
    relevant[rng.permutation(n)[: rng.integers(1, n)]] = True
    auroc, precision, purity = one_query(distances, relevant, k)
    assert auroc == pytest.approx(roc_auc_score(relevant, -distances), abs=1e-12)
    assert precision == pytest.approx(average_precision_score(relevant, -distances), abs=1e-12)
    assert purity == pytest.approx(relevant[np.argsort(distances)[:k]].sum() / min(k, n))


@settings(max_examples=30)
@given(st.lists(st.integers(0, 2), min_size=2, max_size=6), st.data())
def test_ties_count_as_the_mean_over_all_orders(levels: list[int], data: st.DataObject) -> None:
    n = len(levels)
    relevant = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    if relevant.all() or not relevant.any():
        relevant[0] = not relevant[0]
    distances = np.array(levels, dtype=float)
    untied = distances + np.array(list(permutations(range(n)))) * 1e-3
    hits = relevant[np.argsort(untied, axis=1)]
    at_each = np.cumsum(hits, axis=1) / np.arange(1, n + 1)
    precisions = (at_each * hits).sum(axis=1) / relevant.sum()
    auroc, precision, purity = one_query(distances, relevant, k=2)
    assert auroc == pytest.approx(roc_auc_score(relevant, -distances), abs=1e-12)
    assert precision == pytest.approx(precisions.mean(), abs=1e-12)
    assert purity == pytest.approx(hits[:, :2].mean(), abs=1e-12)


def test_within_a_model_each_member_ranks_all_other_heads_and_queries_are_averaged() -> None:
    rng = np.random.default_rng(3)
    points = rng.normal(size=(20, 2))
    points[7] = points[3]  # a tie with everything else, and a distance of zero that is no self
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    members = np.array([1, 3, 7, 12])
    expected = []
    for query in members:
        others = np.delete(np.arange(20), query)
        relevant = np.isin(others, members)
        expected.append(one_query(distances[query, others], relevant))
    statistics = RankStatistics(distances, within=True, n_neighbours=5)
    result = statistics(members[None, :], members[None, :])[0]
    np.testing.assert_allclose(result, np.mean(expected, axis=0), atol=1e-12)


def test_draws_are_scored_alike_in_small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    distances = rng.integers(0, 6, size=(15, 15)).astype(float)
    draws = np.stack([rng.permutation(15)[:4] for _ in range(11)])
    statistics = RankStatistics(distances, within=True, n_neighbours=5)
    whole = statistics(draws, draws)
    monkeypatch.setattr("attention_motifs.evaluation.ranking._CHUNK", 40)
    np.testing.assert_array_equal(statistics(draws, draws), whole)


def test_the_order_of_the_heads_does_not_matter_even_with_ties() -> None:
    rng = np.random.default_rng(1)
    distances = rng.integers(0, 3, size=(12, 12)).astype(np.float32)
    members = np.array([0, 4, 5, 9])
    order = rng.permutation(12)
    moved = np.argsort(order)[members]
    before = RankStatistics(distances, within=True, n_neighbours=3)
    after = RankStatistics(distances[np.ix_(order, order)], within=True, n_neighbours=3)
    np.testing.assert_allclose(
        after(moved[None], moved[None]), before(members[None], members[None]), atol=1e-12
    )


def test_heads_at_one_distance_are_at_chance() -> None:
    statistics = RankStatistics(np.zeros((9, 9)), within=True, n_neighbours=5)
    auroc, _, purity = statistics(np.array([[0, 1, 2]]), np.array([[0, 1, 2]]))[0]
    assert auroc == pytest.approx(0.5)
    assert purity == pytest.approx(2 / 8)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_where_nothing_or_everything_is_relevant_auroc_is_undefined(n: int) -> None:
    everyone = np.arange(n)[None, :]
    statistics = RankStatistics(np.ones((n, n)), within=True, n_neighbours=5)
    auroc, precision, purity = statistics(everyone, everyone)[0]
    assert np.isnan(auroc)
    if n == 1:
        assert np.isnan(precision)
        assert np.isnan(purity)
    else:
        assert precision == pytest.approx(1)
        assert purity == pytest.approx(1)


def test_midranks_are_those_of_scipy_and_neighbour_weights_average() -> None:
    block = np.random.default_rng(2).integers(0, 4, size=(5, 9)).astype(float)
    table = rank_heads(block, within=False)
    ranks = np.take_along_axis(table.midrank(), table.start, axis=1)
    np.testing.assert_array_equal(ranks, rankdata(block, axis=1))
    weights = table.neighbour_weights(5)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    assert (weights[block == block.max(axis=1, keepdims=True)] <= 1 / 5).all()
    np.testing.assert_allclose(table.neighbour_weights(50), 1 / 9)


def test_a_head_is_never_its_own_neighbour() -> None:
    block = np.abs(np.subtract.outer(np.arange(6.0), np.arange(6.0)))
    weights = rank_heads(block, within=True).neighbour_weights(2)
    np.testing.assert_array_equal(np.diag(weights), 0.0)
    np.testing.assert_array_equal(weights[0], [0, 0.5, 0.5, 0, 0, 0])
