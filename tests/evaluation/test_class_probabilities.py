"""Class probabilities: the regression is scikit-learn's, and small classes are not sure."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from attention_motifs.evaluation.class_probabilities import (
    MOST_NEARNESS,
    N_CLOSEST,
    N_VOTERS,
    RIDGE,
    TINY,
    class_nearness,
    fit_classes,
    with_unknown,
)


@given(st.integers(0, 1000), st.integers(6, 60), st.integers(1, 6))
@settings(max_examples=25)
def test_the_regression_is_that_of_scikit_learn(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(n, m))
    y = numbers[:, 0] + rng.normal(size=n) > 0
    y[:2] = [True, False]
    fitted = fit_classes(numbers, y[:, None], ["a"])
    x = (numbers - numbers.mean(axis=0)) / numbers.std(axis=0)
    other = LogisticRegression(C=1 / RIDGE, tol=1e-10, max_iter=10_000).fit(x, y)
    assert fitted.weights[0] == pytest.approx(other.coef_[0], abs=1e-5)
    assert fitted.intercepts[0] == pytest.approx(other.intercept_[0], abs=1e-5)


def test_a_small_class_is_less_sure_and_an_absent_one_has_no_probability() -> None:
    numbers = np.concatenate([np.full((3, 1), 5.0), np.zeros((30, 1))])
    members = np.zeros((33, 3), dtype=bool)
    members[:3, 0] = members[0, 1] = True
    p = fit_classes(numbers, members, ["three", "one", "none"]).probabilities(numbers[:1])[0]
    assert p[0] > p[1] > p[2] == 0.0
    assert p[0] < 3 / 4 + 1 / 4 * 3 / 33
    everyone = fit_classes(numbers, np.ones((33, 1), dtype=bool), ["all"])
    assert everyone.probabilities(numbers)[0, 0] == pytest.approx(1.0)


def test_numbers_that_do_not_vary_are_harmless() -> None:
    members = np.array([[True], [False], [True], [False]])
    p = fit_classes(np.ones((4, 2)), members, ["a"]).probabilities(np.ones((1, 2)))
    assert p == pytest.approx(0.5)


def test_nearness_compares_the_nearest_inside_and_outside_of_a_class() -> None:
    n = N_CLOSEST + N_VOTERS + 2
    distances = np.full((1, n), 4.0)
    distances[0, :N_CLOSEST] = 1.0
    members = np.zeros((n, 2), dtype=bool)
    members[: N_CLOSEST + 1, 0] = True
    allowed = np.ones((1, n), dtype=bool)
    assert class_nearness(distances, members, allowed)[0] == pytest.approx([-np.log(4), 0.0])
    allowed[0, :N_CLOSEST] = False
    assert class_nearness(distances, members, allowed)[0] == pytest.approx([0.0, 0.0])
    assert class_nearness(distances, members, ~np.ones((1, n), dtype=bool)).tolist() == [[0, 0]]
    assert class_nearness(distances + np.inf, members, allowed).tolist() == [[0, 0]]
    distances[0, :] = 0.0
    distances[0, -3:] = 1.0
    assert np.isfinite(class_nearness(distances, members, ~allowed | allowed)).all()


def plain_nearness(row: np.ndarray, members: np.ndarray) -> float:
    """Return the nearness of one class to one head, from sorted lists."""
    usable = np.isfinite(row)
    inside, outside = np.sort(row[usable & members]), np.sort(row[usable & ~members])
    if not len(inside) or not len(outside):
        return 0.0
    nearest = [max(float(x.mean()), TINY) for x in (inside[:N_CLOSEST], outside[:N_VOTERS])]
    return float(np.clip(np.log(nearest[0] / nearest[1]), -MOST_NEARNESS, MOST_NEARNESS))


@given(
    seed=st.integers(0, 2**32 - 1),
    n_heads=st.sampled_from([1, 2, 8, 63, 64, 65, 200]),
    share=st.sampled_from([0.0, 0.01, 0.3, 0.99, 1.0]),
    missing=st.sampled_from([0.0, 0.5, 0.98]),
)
@settings(max_examples=40, deadline=None)
def test_nearness_is_that_of_sorted_lists(
    seed: int, n_heads: int, share: float, missing: float
) -> None:
    rng = np.random.default_rng(seed)
    distances = np.round(rng.random((6, n_heads)), 2)
    distances[rng.random(distances.shape) < missing / 2] = np.nan
    members = rng.random((n_heads, 3)) < share
    allowed = rng.random(distances.shape) >= missing
    expected = [
        [plain_nearness(np.where(usable, row, np.inf), of_class) for of_class in members.T]
        for row, usable in zip(distances, allowed, strict=True)
    ]
    assert class_nearness(distances, members, allowed) == pytest.approx(np.array(expected))


def test_unknown_is_the_probability_of_no_class() -> None:
    assert with_unknown(np.array([[0.5, 0.5], [1.0, 0.2]])) == pytest.approx(
        np.array([[0.5, 0.5, 0.25], [1.0, 0.2, 0.0]])
    )
