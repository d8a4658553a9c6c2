"""How unusual a pattern is: compared with a plain computation, and at the edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention_motifs.atlas.text_difference import difference, moved_share
from attention_motifs.atlas.text_patterns import Reading
from attention_motifs.atlas.unusual import LARGEST, Unusual, Usual


def plainly(points: np.ndarray, clouds: np.ndarray) -> list[tuple[float, float, float, float]]:
    """Return distance, usual distance, deviations and share of each head, one by one."""
    rows = []
    for head in range(len(points)):
        cloud = clouds[:, head].astype(np.float64)
        own = [
            float(np.linalg.norm(cloud[i] - np.delete(cloud, i, axis=0).mean(axis=0)))
            for i in range(len(cloud))
        ]
        distance = float(np.linalg.norm(points[head].astype(np.float64) - cloud.mean(axis=0)))
        deviations = (distance - np.mean(own)) / np.std(own, ddof=1)
        share = (1 + sum(x >= distance for x in own)) / (len(own) + 1)
        rows.append((distance, float(np.mean(own)), float(deviations), share))
    return rows


@given(
    st.integers(3, 9), st.integers(1, 4), st.integers(1, 5), st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_it_is_what_a_plain_computation_gives(p: int, h: int, d: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    clouds = rng.normal(size=(p, h, d)).astype(np.float32)
    points = (3 * rng.normal(size=(h, d))).astype(np.float32)
    got = Usual.of(clouds).compare(points)
    rows = np.array(plainly(points, clouds))
    np.testing.assert_allclose(got.distance, rows[:, 0], rtol=1e-5)
    np.testing.assert_allclose(got.usual, rows[:, 1], rtol=1e-5)
    np.testing.assert_allclose(got.share, rows[:, 3])
    # With nearly equal distances, the smallest spread counts.
    apart = np.abs(got.deviations) < LARGEST / 2
    np.testing.assert_allclose(got.deviations[apart], rows[apart, 2], rtol=1e-3, atol=1e-3)


def test_a_pattern_far_from_its_cloud_is_unusual_and_one_of_the_cloud_is_not() -> None:
    rng = np.random.default_rng(0)
    clouds = rng.normal(size=(50, 2, 8))
    points = np.stack([np.full(8, 10.0), clouds[7, 1]])
    got = Usual.of(clouds).compare(points)
    assert got.deviations[0] > 10
    assert got.share[0] == pytest.approx(1 / 51)
    assert abs(got.deviations[1]) < 4
    assert got.share[1] > 1 / 51


def test_a_head_that_never_changes_is_unusual_only_if_it_does() -> None:
    clouds = np.ones((5, 2, 3))
    got = Usual.of(clouds).compare(np.stack([np.ones(3), np.full(3, 2.0)]))
    np.testing.assert_array_equal(got.deviations, [0, LARGEST])
    np.testing.assert_array_equal(got.share, [1, 1 / 6])
    assert np.isfinite(got.usual).all()


def reading(layers: list[np.ndarray], points: np.ndarray | None = None) -> Reading:
    n = layers[0].shape[-1]
    unusual = None
    if points is not None:
        unusual = Usual.of(np.stack([points, points + 1, points - 1])).compare(points)
    numbers = tuple(range(len(layers)))
    return Reading("m", ("t",) * n, False, False, numbers, tuple(layers), unusual, "")


def causal(n: int, seed: int) -> np.ndarray:
    weights = np.tril(np.random.default_rng(seed).random((2, n, n))) + np.eye(n) * 1e-3
    return (weights / weights.sum(axis=2, keepdims=True)).astype(np.float32)


def test_moved_is_the_share_of_attention_that_goes_elsewhere() -> None:
    first, second = np.zeros((1, 3, 3)), np.zeros((1, 3, 3))
    first[0, :, 0] = second[0, 0, 0] = 1
    second[0, 1, 1] = 1  # all of the second query
    second[0, 2, [0, 2]] = [0.5, 0.5]  # half of the third
    assert moved_share(first, second)[0] == pytest.approx(0.75)
    assert moved_share(first, first)[0] == 0


@given(st.integers(2, 8), st.integers(0, 1000))
def test_moved_is_symmetric_and_a_share(n: int, seed: int) -> None:
    a, b = causal(n, seed), causal(n, seed + 1)
    np.testing.assert_allclose(moved_share(a, b), moved_share(b, a))
    assert (moved_share(a, b) >= 0).all()
    assert (moved_share(a, b) <= 1 + 1e-6).all()


def test_texts_of_other_lengths_are_compared_by_their_points_alone() -> None:
    points = np.arange(6.0).reshape(2, 3)
    got = difference(reading([causal(3, 0)], points), reading([causal(4, 1)], points + 2))
    assert got.moved is None
    assert got.distance is not None
    np.testing.assert_array_equal(got.order, got.distance)
    # In units of the usual distance: 2 in each column, and the cloud has 0 and 1.5 times 1.
    np.testing.assert_allclose(got.distance, np.sqrt(12) / (np.sqrt(3) * np.mean([0, 1.5, 1.5])))
    assert difference(reading([causal(3, 0)]), reading([causal(4, 1)])).distance is None


def test_unusual_holds_one_number_per_head() -> None:
    got = Usual.of(np.zeros((3, 4, 2))).compare(np.zeros((4, 2)))
    assert isinstance(got, Unusual)
    assert {x.shape for x in (got.distance, got.usual, got.deviations, got.share)} == {(4,)}
