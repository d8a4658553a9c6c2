from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_motifs.errors import InputError
from attention_motifs.evaluation import PlantedHeads, blend, score_planted
from attention_motifs.evaluation.planted import (
    RULES,
    agreement,
    chance_average_precision,
    mean_average_precision,
)

TOKENS = ["A", " b", ",", " c", ".", " D", "\n", " b", ",", " e", " b"]
IDS = [0, 1, 2, 3, 4, 5, 6, 1, 2, 7, 1]
LATEST = {
    # For each query, the key by hand; 0 where there is none.
    "self": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    "previous token": [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    "two back": [0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8],
    "four back": [0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6],
    "duplicate token": [0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 7],
    "induction": [0, 0, 0, 0, 0, 0, 0, 2, 3, 0, 8],
    "delimiter": [0, 0, 2, 2, 4, 4, 4, 4, 8, 8, 8],
    "line start": [0, 0, 0, 0, 0, 0, 0, 7, 7, 7, 7],
    "sentence start": [0, 0, 0, 0, 0, 5, 5, 5, 5, 5, 5],
    "capital": [0, 0, 0, 0, 0, 5, 5, 5, 5, 5, 5],
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_rules_attend_where_their_description_says(rule) -> None:  # type: ignore[no-untyped-def]
    pattern = rule.pattern(IDS, TOKENS)
    n = len(IDS)
    if rule.name == "window":
        expected = [
            [1 / min(q + 1, 8) * (max(0, q - 7) <= k <= q) for k in range(n)] for q in range(n)
        ]
    elif rule.name == "all earlier":
        expected = [[(k <= q) / (q + 1) for k in range(n)] for q in range(n)]
    else:
        expected = np.eye(n)[LATEST[rule.name]].tolist()
    assert np.allclose(pattern, expected)


@settings(max_examples=60)
@given(
    st.sampled_from(RULES),
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([*TOKENS, "", "<s>"])), min_size=1, max_size=9
    ),
)
def test_patterns_of_rules_are_attention(rule, tokens) -> None:  # type: ignore[no-untyped-def]
    pattern = rule.pattern([i for i, _ in tokens], [text for _, text in tokens])
    assert np.allclose(pattern.sum(axis=1), 1)
    assert (pattern >= 0).all()
    assert not np.triu(pattern, 1).any()


def test_only_hosts_are_blended() -> None:
    n = len(IDS)
    real = np.tril(np.ones((3, n, n))) / np.arange(1, n + 1)[:, None]
    blended = blend(real, [-1, 0, 7], IDS, TOKENS, 0.25)
    assert np.array_equal(blended[0], real[0])
    assert np.allclose(blended[1], 0.75 * real[1] + 0.25 * np.eye(n))
    assert np.allclose(blended.sum(axis=2), 1)
    assert np.array_equal(blend(real, [-1, 0, 7], IDS, TOKENS, 0.0), real)
    assert np.allclose(blend(real, [0, 0, 0], IDS, TOKENS, 1.0), np.eye(n))
    with pytest.raises(InputError, match="from 0 to 1"):
        blend(real, [0, 0, 0], IDS, TOKENS, 1.5)


def test_hosts_are_drawn_at_random_and_named() -> None:
    planted = PlantedHeads.draw(342)
    counts = np.bincount(planted.rule + 1)
    assert (counts[1:] == 9).all()
    assert np.array_equal(planted.rule, PlantedHeads.draw(342).rule)
    assert not np.array_equal(planted.rule, PlantedHeads.draw(342, seed=1).rule)
    again = PlantedHeads.of_names(planted.names, planted.seed)
    assert np.array_equal(again.rule, planted.rule)
    layer = np.arange(342) // 9
    means = [layer[planted.rule == i].mean() for i in range(-1, len(RULES))]
    assert np.ptp(means) < 30, "hosts of a rule are spread over the layers"
    with pytest.raises(InputError, match="36 heads: there are 30"):
        PlantedHeads.draw(30, n_hosts=3)
    with pytest.raises(InputError, match="24 heads: there are 5"):
        PlantedHeads.draw(5)


def slow_average_precision(row: np.ndarray, query: int, members: np.ndarray) -> float:
    order = [i for i in np.argsort(row, kind="stable") if i != query]
    hits = np.cumsum([members[i] for i in order])
    return float(np.mean([hits[r] / (r + 1) for r, i in enumerate(order) if members[i]]))


def test_the_score_is_the_mean_average_precision_of_hosts() -> None:
    planted = PlantedHeads.draw(60, n_hosts=3, seed=2)
    distances = np.random.default_rng(0).random((60, 60))
    by_rule = {}
    for number, rule in enumerate(RULES):
        members = planted.rule == number
        values = [slow_average_precision(distances[q], q, members) for q in np.flatnonzero(members)]
        by_rule[rule.name] = np.mean(values)
    score = score_planted(distances, planted)
    assert score.by_rule == pytest.approx(by_rule)
    assert score.mean_ap == pytest.approx(np.mean(list(by_rule.values())))
    assert score.low < score.mean_ap < score.high


def test_a_random_distance_scores_at_chance_and_a_perfect_distance_scores_one() -> None:
    planted = PlantedHeads.draw(200, n_hosts=5)
    rng = np.random.default_rng(1)
    scores = [score_planted(rng.random((200, 200)), planted) for _ in range(20)]
    assert np.mean([s.mean_ap for s in scores]) == pytest.approx(scores[0].chance, rel=0.1)
    inside = np.mean([s.low <= s.chance <= s.high for s in scores])
    assert inside >= 0.8
    apart = (planted.rule[:, None] != planted.rule[None, :]).astype(float)
    assert score_planted(apart, planted).mean_ap == 1.0


def test_paired_differences_are_narrower_than_those_of_unrelated_draws() -> None:
    planted = PlantedHeads.draw(200, n_hosts=5)
    rng = np.random.default_rng(4)
    apart = (planted.rule[:, None] != planted.rule[None, :]).astype(float)
    noisy = apart + 1.0 * rng.random((200, 200)) * (planted.rule % 3 == 0)[:, None]
    noisier = noisy + 0.3 * rng.random((200, 200))
    one, another = score_planted(noisy, planted), score_planted(noisier, planted)
    value, low, high = one.minus(another)
    assert value == pytest.approx(one.mean_ap - another.mean_ap)
    assert low < value < high
    assert high - low < (one.high - one.low) + (another.high - another.low)
    assert one.minus(one) == (0.0, 0.0, 0.0)


def test_chance_is_the_mean_over_all_orders() -> None:
    for n, m in ((4, 2), (5, 1), (6, 3)):
        orders = itertools.permutations([1] * m + [0] * (n - m))
        values = []
        for order in orders:
            hits = np.cumsum(order)
            values.append(np.mean([hits[r] / (r + 1) for r in range(n) if order[r]]))
        assert chance_average_precision(m, n) == pytest.approx(np.mean(values))


def test_distances_that_cannot_be_scored_are_refused() -> None:
    planted = PlantedHeads.draw(60, n_hosts=3)
    with pytest.raises(InputError, match="shape"):
        score_planted(np.zeros((59, 59)), planted)
    with pytest.raises(InputError, match="NaN"):
        score_planted(np.full((60, 60), np.nan), planted)
    with pytest.raises(InputError, match="numbers"):
        score_planted(np.full((60, 60), "a"), planted)


def test_agreement_is_spearmans_correlation() -> None:
    assert agreement([0.1, 0.2, 0.3, 0.9], [0.2, 0.3, 0.4, 0.5]) == pytest.approx(1)
    assert agreement([0.9, 0.2, 0.3, 0.1], [0.2, 0.3, 0.4, 0.5]) == pytest.approx(-0.8)
    assert agreement([0.1, 0.2, 0.3], [0.2, 0.3, 0.4]) is None
    assert agreement([0.1, 0.1, 0.1, 0.1], [0.2, 0.3, 0.4, 0.5]) is None


def test_real_classes_have_their_mean_average_precision() -> None:
    distances = np.random.default_rng(0).random((30, 30))
    members = np.arange(30) % 7 == 0
    values = [slow_average_precision(distances[q], q, members) for q in np.flatnonzero(members)]
    assert mean_average_precision(distances, members) == pytest.approx(np.mean(values))
