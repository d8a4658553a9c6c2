"""S5 and MAP against plain definitions, and the nulls where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from attention_motifs.errors import InputError
from attention_motifs.evaluation import HeadPositions, group_permutations, top_heads
from attention_motifs.evaluation.degrees import (
    ScopedDistances,
    degree_test,
    permutations_of,
    replicate,
    statistics_of,
)
from attention_motifs.evaluation.query_sets import Scope
from attention_motifs.evaluation.ranking import average_precision

N_LAYERS, PER_LAYER, N_GROUPS = 10, 6, 2
N = N_LAYERS * PER_LAYER
LAYER = np.repeat(np.arange(N_LAYERS), PER_LAYER)
GROUP = np.tile(np.repeat(np.arange(N_GROUPS), PER_LAYER // N_GROUPS), N_LAYERS)
HEADS = HeadPositions.of(["a"] * N, LAYER.tolist())


def scope_of(n: int) -> Scope:
    rows = np.arange(n)
    return Scope("a", rows, rows)


def plain_s5(distances: np.ndarray, scores: np.ndarray) -> float:
    predicted = []
    for i, row in enumerate(distances):
        order = [j for j in np.argsort(row, kind="stable") if j != i][:5]
        predicted.append(scores[order].mean())
    return float(spearmanr(scores, np.round(predicted, 10)).statistic)  # equal sets of heads tie


def plain_map(distances: np.ndarray, members: np.ndarray) -> float:
    values = []
    for i in np.flatnonzero(members):
        order = [j for j in np.argsort(distances[i], kind="stable") if j != i]
        hits = np.flatnonzero(members[order]) + 1
        values.append(np.mean([(k + 1) / rank for k, rank in enumerate(hits)]))
    return float(np.mean(values))


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), n=st.integers(12, 40))
def test_both_are_their_definition(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    distances = rng.random((n, n))
    scores = rng.normal(size=n)
    s5, precision, _ = statistics_of(ScopedDistances(distances, scope_of(n), 5), scores, scores)
    assert s5 == pytest.approx(plain_s5(distances, scores))
    assert precision == pytest.approx(plain_map(distances, top_heads(scores)))
    # A replicate that draws every head once is the statistic itself.
    once = (np.arange(n) + 0.5) / n
    drawn = replicate(distances, scores[None], scores[None], once, within=True)[0]
    assert drawn[0] == pytest.approx(s5)


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), n=st.integers(3, 30))
def test_average_precision_is_its_definition(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    order_by, members = rng.permutation(n), np.zeros(n, bool)
    members[rng.permutation(n)[: 1 + seed % (n - 1)]] = True
    hits = np.flatnonzero(members[np.argsort(order_by)]) + 1
    expected = np.mean([(k + 1) / rank for k, rank in enumerate(hits)])
    assert average_precision(order_by, members) == pytest.approx(expected)
    tied = average_precision(np.zeros(n), members)
    assert members.mean() - 1e-9 <= tied <= 1


def test_the_class_is_five_per_cent_and_at_least_three() -> None:
    assert top_heads(np.arange(12.0)).nonzero()[0].tolist() == [9, 10, 11]
    assert top_heads(np.arange(100.0)).sum() == 5
    assert top_heads(np.zeros(20)).nonzero()[0].tolist() == [0, 1, 2]


def test_permutations_keep_layers_and_key_groups() -> None:
    drawn = group_permutations(LAYER, GROUP, 50, np.random.default_rng(0))
    assert (np.sort(drawn, axis=1) == np.arange(N)).all()
    assert (LAYER[drawn] == LAYER).all()
    together = GROUP[drawn].reshape(50, -1, PER_LAYER // N_GROUPS)
    assert (together == together[:, :, :1]).all()
    assert len({tuple(row) for row in drawn}) == 50
    one_group = group_permutations(LAYER, LAYER, 50, np.random.default_rng(0))
    assert (LAYER[one_group] == LAYER).all()
    with pytest.raises(InputError, match="layer 0"):
        group_permutations(np.zeros(3, int), np.array([0, 0, 1]), 1, np.random.default_rng(0))


def test_a_constant_score_is_undefined() -> None:
    ranked = ScopedDistances(np.random.default_rng(0).random((N, N)), scope_of(N), 5)
    permutations = permutations_of(scope_of(N), HEADS, 20, 0)
    test = degree_test(ranked, np.ones(N), np.ones(N), permutations)
    assert np.isnan([test.s5.value, test.average_precision.value, test.auroc.p]).all()


def rejections(n_runs: int, *, group_effect: float) -> dict[str, float]:
    """Share of p <= 0.05 for scores that only layer and key group explain."""
    rng = np.random.default_rng(5)
    hits = dict.fromkeys(("layer S5", "layer MAP", "group S5", "group MAP"), 0)
    for run in range(n_runs):
        key = LAYER * N_GROUPS + GROUP
        points = (
            LAYER[:, None] / 3
            + rng.normal(size=(N_LAYERS * N_GROUPS, 3))[key]
            + 0.3 * rng.normal(size=(N, 3))
        )
        distances = np.linalg.norm(points[:, None] - points[None], axis=2)
        scores = (
            LAYER / 3
            + group_effect * rng.normal(size=N_LAYERS * N_GROUPS)[key]
            + 0.3 * rng.normal(size=N)
        )
        ranked = ScopedDistances(distances, scope_of(N), 5)
        by_layer = permutations_of(scope_of(N), HEADS, 99, run)
        by_group = permutations_of(scope_of(N), HEADS, 99, run, key_groups=GROUP)
        test = degree_test(ranked, scores, scores, by_layer, by_group)
        hits["layer S5"] += test.s5.p <= 0.05
        hits["layer MAP"] += test.average_precision.p <= 0.05
        hits["group S5"] += test.s5_groups_p <= 0.05
        hits["group MAP"] += test.average_precision_groups_p <= 0.05
    return {name: count / n_runs for name, count in hits.items()}


@pytest.mark.slow
def test_the_nulls_keep_their_level_and_only_the_group_null_survives_shared_keys() -> None:
    by_layer = rejections(300, group_effect=0.0)
    assert all(share <= 0.09 for share in by_layer.values()), by_layer
    by_group = rejections(300, group_effect=1.0)
    assert by_group["layer S5"] > 0.5
    assert by_group["group S5"] <= 0.09
    assert by_group["group MAP"] <= 0.09
