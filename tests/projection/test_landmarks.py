"""Projections from landmarks: those of all pairs where every head is one."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from attention_motifs.distances.neighbour_graph import Neighbours, ranked_neighbours
from attention_motifs.errors import InputError
from attention_motifs.projection import (
    Landmarks,
    Projection,
    classical_scaling,
    landmark_scaling,
    project,
    project_neighbours,
)


def distances(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[:, None] - points[None], axis=-1)


def groups(n: int = 120, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 5)) + 6 * np.eye(5)[np.arange(n) % 4]


def on_graph(D: np.ndarray, k: int, n_landmarks: int = 10_000, **settings: object) -> Projection:
    heads = ranked_neighbours(D)[:, :k]
    neighbours = Neighbours(
        heads.astype(np.int32), np.take_along_axis(D, heads, axis=1).astype(np.float32)
    )

    def rows(some: np.ndarray) -> np.ndarray:
        return D[some]

    landmarks = Landmarks.choose(len(D), rows, n_landmarks)
    return project_neighbours(neighbours, landmarks, rows, **settings)  # type: ignore[arg-type]


@given(
    st.integers(1, 12).flatmap(
        lambda n: arrays(np.float64, (n, 3), elements=st.integers(-4, 4).map(float))
    ),
    st.sampled_from([2, 3]),
)
def test_with_every_head_a_landmark_it_is_classical_scaling(
    points: np.ndarray, n_components: int
) -> None:
    D, everyone = distances(points), np.arange(len(points))
    result = landmark_scaling(D, everyone, n_components)
    expected = classical_scaling(D, n_components)
    # Axes of equal spread may be turned: distances in the picture are not.
    np.testing.assert_allclose(distances(result), distances(expected), atol=1e-6)


@given(st.integers(0, 2**32 - 1))
def test_points_of_as_many_dimensions_come_back_from_a_few_landmarks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.standard_normal((40, 2))
    D = distances(points)
    some = np.sort(rng.permutation(40)[:6])
    result = landmark_scaling(D[some], some, 2)
    np.testing.assert_allclose(distances(result), D, atol=1e-4)


@pytest.mark.parametrize("method", ["isomap", "pca"])
def test_every_head_a_landmark_gives_the_projection_of_all_pairs(method: str) -> None:
    D = distances(groups())
    result = on_graph(D, 20, method=method, n_neighbors=8)
    expected = project(D, method=method, n_neighbors=8)
    np.testing.assert_allclose(result.coordinates, expected.coordinates, atol=1e-3)
    assert result.trustworthiness == pytest.approx(expected.trustworthiness, abs=1e-3)
    assert result.continuity == pytest.approx(expected.continuity, abs=1e-3)
    assert result.n_pieces == expected.n_pieces


NEEDS_UMAP = pytest.mark.skipif(importlib.util.find_spec("umap") is None, reason="no umap-learn")
METHODS = [
    "isomap",
    "pca",
    "tsne",
    # Its numba code takes ten seconds to compile in each process.
    pytest.param("umap", marks=[pytest.mark.slow, NEEDS_UMAP]),
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_components", [2, 3])
def test_groups_stay_together_from_few_landmarks_and_twice_the_same(
    method: str, n_components: int
) -> None:
    D = distances(groups())
    settings = {"method": method, "n_neighbors": 6, "n_components": n_components}
    result = on_graph(D, 30, n_landmarks=40, **settings)
    assert result.coordinates.shape == (120, n_components)
    apart = distances(result.coordinates.astype(float))
    np.fill_diagonal(apart, np.inf)
    assert (np.arange(120) % 4 == apart.argmin(axis=1) % 4).mean() > 0.8
    again = on_graph(D, 30, n_landmarks=40, **settings)
    np.testing.assert_array_equal(again.coordinates, result.coordinates)


@pytest.mark.parametrize("method", METHODS)
def test_few_and_equal_heads_are_placed(method: str) -> None:
    for n in (1, 2, 3, 6):
        result = on_graph(np.zeros((n, n)), n - 1, method=method, n_neighbors=2)
        assert np.isfinite(result.coordinates).all()
        assert not result.coordinates.any()


def test_what_was_cut_and_joined_is_in_the_note() -> None:
    points = groups(40)
    points[20:] += 1000
    result = on_graph(distances(points), 5, n_landmarks=12, method="isomap", n_neighbors=64)
    assert "by 12 landmarks" in result.note
    assert "n_neighbors cut from 64 to 5, the number stored" in result.note
    assert "pieces: joined by near links" in result.note
    assert result.n_neighbors == 64
    tsne = on_graph(distances(points), 16, method="tsne", n_neighbors=8)
    assert "perplexity cut to 5" in tsne.note


def test_settings_out_of_range_are_refused() -> None:
    D = distances(groups(12))
    with pytest.raises(InputError, match=r"projection 'mds' is not known"):
        on_graph(D, 4, method="mds")
    with pytest.raises(InputError, match=r"n_components 4"):
        on_graph(D, 4, n_components=4)
    with pytest.raises(InputError, match=r"3 rows for 2 landmarks"):
        landmark_scaling(D[:3], np.arange(2), 2)
