from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import linear_sum_assignment

from attention_motifs.distances.assignment import count_larger_pairings, optimal_columns


def total(cost: np.ndarray) -> float:
    columns = optimal_columns(cost)
    assert sorted(columns.tolist()) == list(range(len(cost)))
    return float(cost[np.arange(len(cost)), columns].sum())


@settings(max_examples=50)
@given(n=st.integers(1, 12), data=st.data())
def test_the_pairing_is_optimal_with_many_ties(n: int, data: st.DataObject) -> None:
    numbers = st.integers(0, 4).map(float)
    cost = data.draw(hnp.arrays(np.float64, (n, n), elements=numbers))
    assert total(cost) == cost[linear_sum_assignment(cost)].sum()


@pytest.mark.parametrize("n", [1, 2, 3, 40, 130])
@pytest.mark.parametrize("offset", [0.0, 3.0])
def test_the_pairing_of_two_clouds_is_optimal(n: int, offset: float) -> None:
    rng = np.random.default_rng(n)
    x, y = rng.standard_normal((n, 6)), rng.standard_normal((n, 6)) + offset
    cost = np.linalg.norm(x[:, None] - y[None], axis=2)
    assert total(cost) == pytest.approx(cost[linear_sum_assignment(cost)].sum(), rel=1e-12)


def test_the_pairing_of_equal_points_costs_nothing() -> None:
    assert total(np.zeros((7, 7))) == 0


def test_shuffles_are_counted_against_the_paired_distance() -> None:
    # Points on a line; head 1 is head 0 mirrored, so that the pairing by prompt is the worst.
    points = np.zeros((4, 2, 1), np.float32)
    points[:, 0, 0] = [0, 1, 2, 3]
    points[:, 1, 0] = [3, 2, 1, 0]
    orders = np.array([[0, 1, 2, 3], [3, 2, 1, 0], [1, 0, 2, 3]])
    out = np.empty(1, np.int64)
    left, right = np.array([0]), np.array([1])
    count_larger_pairings(points, left, right, np.arange(4), orders, out)
    # |0-3| + |1-2| + |2-1| + |3-0| = 8; mirrored 0; |0-2| + |1-3| + |2-1| + |3-0| = 8.
    assert out[0] == 2
    count_larger_pairings(points, left, right, np.array([0, 3]), np.array([[0, 1], [1, 0]]), out)
    assert out[0] == 1
