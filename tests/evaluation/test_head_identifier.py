from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_motifs.errors import InputError
from attention_motifs.evaluation import HeadIdentifier
from attention_motifs.evaluation.identify import SMALL_RIDGE

N_PROMPTS, N_HEADS, N_FEATURES = 12, 7, 5
NAMES = [f"toy:L0:H{i}" for i in range(N_HEADS)]
TOKENS = np.full(N_PROMPTS, 64)


def drawn(noise: float = 0.5, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(1, N_HEADS, N_FEATURES))
    return centres + noise * rng.normal(size=(N_PROMPTS, N_HEADS, N_FEATURES))


def fit(features: np.ndarray, names: list[str] = NAMES) -> HeadIdentifier:
    return HeadIdentifier.fit([features], [TOKENS[: len(features)]], names)


def white(identifier: HeadIdentifier, features: np.ndarray) -> np.ndarray:
    ranked = identifier.ranks.ranked(features, TOKENS[: len(features)])
    return np.asarray(ranked @ identifier.whitening)


def test_the_whitening_is_that_of_the_definition() -> None:
    features = drawn()
    identifier = fit(features)
    ranked = identifier.ranks.ranked(features, TOKENS)
    apart = (ranked - ranked.mean(axis=0)).reshape(-1, N_FEATURES)
    within = apart.T @ apart / len(apart) + SMALL_RIDGE * np.eye(N_FEATURES)
    product = identifier.whitening @ within @ identifier.whitening
    assert np.allclose(product, np.eye(N_FEATURES), atol=1e-8)


def test_accuracy_on_known_patterns_is_that_of_leaving_each_out() -> None:
    features = drawn(noise=1.2)
    identifier = fit(features)
    points = white(identifier, features)
    hits = {1: 0, 5: 0}
    distances = []
    for p in range(N_PROMPTS):
        for h in range(N_HEADS):
            means = points.mean(axis=0)
            means[h] = np.delete(points[:, h], p, axis=0).mean(axis=0)
            squared = ((means - points[p, h]) ** 2).sum(axis=1)
            distances.append(squared[h])
            for k in hits:
                hits[k] += h in np.argsort(squared)[:k]
    n = N_PROMPTS * N_HEADS
    assert 0.2 < identifier.top_1 < 1
    assert (identifier.top_1, identifier.top_5) == pytest.approx((hits[1] / n, hits[5] / n))
    assert np.allclose(identifier.known_distances, np.sort(distances))


def test_distance_and_order_are_those_of_the_definition() -> None:
    features = drawn(noise=1.0)
    identifier = fit(features[1:])
    answer = identifier.identify(features[0, 2], 64, n=N_HEADS)
    point = white(identifier, features[:1, 2:3])[0, 0]
    away = np.sqrt(((identifier.centroids - point) ** 2).mean(axis=1))
    assert [h.distance for h in answer.heads] == pytest.approx(np.sort(away))
    assert [h.head for h in answer.heads] == [NAMES[i] for i in np.argsort(away)]
    assert sum(h.probability for h in answer.heads) == pytest.approx(1)


def test_probabilities_are_those_of_patterns_that_the_fit_does_not_know() -> None:
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(1, 40, 4))
    known = centres + 0.7 * rng.normal(size=(60, 40, 4))
    asked = centres + 0.7 * rng.normal(size=(30, 40, 4))
    names = [f"toy:L0:H{i}" for i in range(40)]
    identifier = HeadIdentifier.fit([known], [np.full(60, 64)], names)
    answers = [
        (identifier.identify(asked[p, h], 64, n=1), names[h]) for p in range(30) for h in range(40)
    ]
    right = np.mean([answer.heads[0].head == name for answer, name in answers])
    confident = np.mean([answer.heads[0].probability for answer, _ in answers])
    assert 0.2 < right < 0.9
    assert confident == pytest.approx(right, abs=0.05)
    assert right == pytest.approx(identifier.top_1, abs=0.05)
    farther = np.array([answer.share_farther for answer, _ in answers])
    # Distances are to the nearest mean, hence the test errs on the side of known heads.
    assert (farther < 0.05).mean() < 0.07


def test_a_pattern_from_elsewhere_is_called_unlike_all() -> None:
    rng = np.random.default_rng(4)
    # Every head has its own value in all features; the stranger mixes them.
    features = np.linspace(-1, 1, N_HEADS)[None, :, None] + 0.02 * rng.normal(
        size=(40, N_HEADS, N_FEATURES)
    )
    identifier = HeadIdentifier.fit([features], [np.full(40, 64)], NAMES)
    assert not identifier.identify(features[0, 3], 64).is_unlike_all
    stranger = np.array([-1.0, 1.0, -1.0, 1.0, -1.0])
    assert identifier.identify(stranger, 64).is_unlike_all


def test_what_a_prompt_does_to_all_heads_is_subtracted_for_whole_models() -> None:
    rng = np.random.default_rng(5)
    centres = rng.normal(size=(1, 20, 6))
    moved = 2.0 * rng.normal(size=(40, 1, 6))
    features = centres + moved + 0.3 * rng.normal(size=(40, 20, 6))
    names = [f"toy:L0:H{i}" for i in range(20)]
    known, asked = features[:30], features[30:]
    shares = {}
    for centred in (False, True):
        identifier = HeadIdentifier.fit([known], [np.full(30, 64)], names, centred=centred)
        answers = [a for p in asked for a in identifier.identify_all(p, 64, n=1)]
        right = [a.heads[0].head == name for a, name in zip(answers, names * 10, strict=True)]
        shares[centred] = np.mean(right)
        assert shares[centred] == pytest.approx(identifier.top_1, abs=0.12)
    assert shares[True] > shares[False] + 0.1


def test_candidates_restrict_the_answer() -> None:
    identifier = fit(drawn())
    only = np.isin(np.arange(N_HEADS), [1, 4])
    answer = identifier.identify(drawn()[0, 3], 64, candidates=only)
    assert {h.head for h in answer.heads} == {NAMES[1], NAMES[4]}
    assert sum(h.probability for h in answer.heads) == pytest.approx(1)
    with pytest.raises(InputError, match="no candidates"):
        identifier.identify(drawn()[0, 3], 64, candidates=np.zeros(N_HEADS, dtype=bool))


def test_models_of_different_sizes_are_fitted_together() -> None:
    features = drawn()
    both = HeadIdentifier.fit([features[:, :3], features[:, 3:]], [TOKENS, TOKENS + 1], NAMES)
    assert both.heads == tuple(NAMES)
    assert both.longest == 65
    assert both.identify(features[0, 5], 65).heads[0].head == NAMES[5]


@settings(max_examples=20)
@given(st.integers(0, 100), st.sampled_from([0.0, 1.0, np.nan, np.inf, -np.inf, 1e30]))
def test_degenerate_features_give_finite_answers(seed: int, value: float) -> None:
    features = drawn(seed=seed)
    features[:, :, 0] = value
    features[0, 0] = np.nan
    identifier = fit(features)
    answer = identifier.identify(features[0, 0], 64, n=N_HEADS)
    assert np.isfinite([h.probability for h in answer.heads]).all()
    assert np.isfinite([h.distance for h in answer.heads]).all()
    assert 0 < answer.share_farther <= 1


def test_one_head_and_equal_heads_have_an_answer() -> None:
    alone = HeadIdentifier.fit([drawn()[:, :1]], [TOKENS], NAMES[:1])
    assert alone.identify(drawn()[0, 0], 64).heads[0].probability == 1.0
    equal = fit(np.zeros((N_PROMPTS, N_HEADS, N_FEATURES)))
    shares = [h.probability for h in equal.identify(np.zeros(N_FEATURES), 64, n=N_HEADS).heads]
    assert shares == pytest.approx([1 / N_HEADS] * N_HEADS)


def test_shapes_that_do_not_fit_are_refused() -> None:
    features = drawn()
    with pytest.raises(InputError, match="for 2 heads"):
        fit(features, NAMES[:2])
    with pytest.raises(InputError, match="2 prompts"):
        fit(features[:2])
    with pytest.raises(InputError, match="same prompts"):
        HeadIdentifier.fit([features[:, :3], features[1:, 3:]], [TOKENS, TOKENS[1:]], NAMES)
    with pytest.raises(InputError, match="fitted on 5 columns"):
        fit(features).identify(np.zeros(4), 64)
