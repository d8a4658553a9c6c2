from __future__ import annotations

import importlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_motifs.errors import InputError
from attention_motifs.projection import (
    NEIGHBOURHOODS,
    PROJECTIONS,
    classical_scaling,
    project,
    projection_plan,
)

NEEDS_UMAP = pytest.mark.skipif(importlib.util.find_spec("umap") is None, reason="no umap-learn")
METHODS = [
    # umap compiles its numba code in each process, which takes 15 seconds.
    pytest.param(name, marks=[pytest.mark.slow, NEEDS_UMAP] if name == "umap" else [])
    for name in PROJECTIONS
]


def distances(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[:, None] - points[None], axis=-1)


def blobs(n: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three clouds of n points in six dimensions, far from each other."""
    rng = np.random.default_rng(seed)
    centres = 10 * np.eye(6)[:3]
    labels = np.repeat(np.arange(3), n)
    return distances(centres[labels] + rng.normal(size=(3 * n, 6))), labels


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_components", [2, 3])
def test_three_blobs_stay_apart_and_runs_are_equal(method: str, n_components: int) -> None:
    D, labels = blobs()
    first = project(D, method=method, n_neighbors=8, n_components=n_components, seed=3)
    again = project(
        D.astype(np.float64), method=method, n_neighbors=8, n_components=n_components, seed=3
    )
    assert np.array_equal(first.coordinates, again.coordinates)
    assert first.coordinates.shape == (36, n_components)
    assert first.coordinates.dtype == np.float32
    nearest = np.argsort(distances(first.coordinates) + np.diag([np.inf] * 36), axis=1)[:, :5]
    assert (labels[nearest] == labels[:, None]).mean() > 0.95
    # Of ten neighbours, ten are in the blob; only their order within it can be lost in 2-D.
    assert first.trustworthiness > 0.85
    assert first.continuity > 0.85


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_a_few_heads_are_placed(method: str, n: int) -> None:
    D = distances(np.random.default_rng(n).normal(size=(n, 4)))
    result = project(D, method=method, n_neighbors=64, n_components=3)
    assert result.coordinates.shape == (n, 3)
    assert np.isfinite(result.coordinates).all()
    assert result.n_pieces == 1
    if method != "pca":
        assert f"n_neighbors cut from 64 to {n - 1}" in result.note
    if n <= 3:
        assert np.allclose(distances(result.coordinates), D, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_equal_heads_are_no_trouble(method: str) -> None:
    points = np.repeat(np.random.default_rng(0).normal(size=(4, 3)), 5, axis=0)
    result = project(distances(points), method=method, n_neighbors=2)
    assert np.isfinite(result.coordinates).all()
    nothing = project(np.zeros((6, 6)), method=method, n_neighbors=2)
    assert not nothing.coordinates.any()
    assert method == "pca" or "all heads at distance 0" in nothing.note


@pytest.mark.parametrize("method", ["isomap", "tsne"])
def test_pieces_are_reported(method: str) -> None:
    D, _ = blobs()
    result = project(D, method=method, n_neighbors=2)
    assert result.n_pieces >= 3
    assert f"neighbour graph in {result.n_pieces} pieces" in result.note
    assert np.isfinite(result.coordinates).all()


def test_two_pieces_need_one_link() -> None:
    points = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    result = project(distances(points), method="isomap", n_neighbors=1)
    assert result.note == "neighbour graph in 2 pieces: joined by the shortest link between them"
    assert np.allclose(distances(result.coordinates), distances(points), atol=1e-4)


def test_isomap_unrolls_a_spiral_that_pca_cannot() -> None:
    # A spiral in the plane times a width: the arc length is the coordinate to be found.
    rng = np.random.default_rng(0)
    angle = 1.5 * np.pi * (1 + 2 * rng.random(400))
    roll = np.stack([angle * np.cos(angle), 8 * rng.random(400), angle * np.sin(angle)], axis=1)
    arc = (angle * np.sqrt(1 + angle**2) + np.arcsinh(angle)) / 2
    D = distances(roll)
    isomap = project(D, method="isomap", n_neighbors=8).coordinates[:, 0]
    pca = project(D, method="pca").coordinates[:, 0]
    assert abs(np.corrcoef(isomap, arc)[0, 1]) > 0.99
    assert abs(np.corrcoef(pca, arc)[0, 1]) < 0.9


def test_isomap_agrees_with_scikit_learn() -> None:
    from sklearn.manifold import Isomap

    rng = np.random.default_rng(1)
    D = distances(rng.normal(size=(60, 3)))
    ours = project(D, method="isomap", n_neighbors=8).coordinates
    theirs = Isomap(n_neighbors=8, metric="precomputed").fit_transform(D)
    assert np.allclose(np.abs(ours), np.abs(theirs), atol=1e-3)


def test_pca_of_euclidean_distances_is_pca_of_the_points() -> None:
    points = np.random.default_rng(2).normal(size=(40, 5)) * [5, 3, 2, 1, 1]
    centred = points - points.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    result = project(distances(points), method="pca", n_components=3).coordinates
    assert np.allclose(np.abs(result), np.abs(centred @ axes[:3].T), atol=1e-3)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 3))
def test_classical_scaling_finds_points_with_these_distances(seed: int, n: int, c: int) -> None:
    points = np.random.default_rng(seed).normal(size=(n, c))
    D = distances(points)
    result = classical_scaling(D, 3)
    assert np.allclose(distances(result), D, atol=1e-6)
    largest = np.take_along_axis(result, np.abs(result).argmax(axis=0)[None], axis=0)
    assert (largest >= 0).all()


@pytest.mark.parametrize("method", ["isomap", "tsne", "pca"])
def test_the_unit_of_the_distances_does_not_matter(method: str) -> None:
    D, _ = blobs()
    ours = project(D, method=method, n_neighbors=4)
    scaled = project(1024 * D, method=method, n_neighbors=4)
    factor = 1 if method == "tsne" else 1024
    assert np.array_equal(scaled.coordinates, factor * ours.coordinates)


def test_tsne_says_when_the_perplexity_is_cut() -> None:
    D, _ = blobs(4)
    assert "perplexity cut to 3.67" in project(D, method="tsne", n_neighbors=8).note
    assert project(D, method="isomap", n_neighbors=8).note == ""


def test_the_plan_takes_pca_once_per_dimension() -> None:
    plan = projection_plan()
    assert len(plan) == 3 * 2 * len(NEIGHBOURHOODS) + 2
    assert [p for p in plan if p[0] == "pca"] == [("pca", 0, 2), ("pca", 0, 3)]
    with pytest.raises(InputError, match="choose from isomap"):
        projection_plan(["mds"])


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"method": "lle"}, "choose from isomap, umap, tsne, pca"),
        ({"n_components": 4}, "2 or 3"),
        ({"n_neighbors": 0}, "at least 1"),
        ({"seed": -1}, "whole number"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(arguments: dict[str, object], word: str) -> None:
    D, _ = blobs(3)
    with pytest.raises(InputError, match=word) as raised:
        project(D, **arguments)  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)


def test_umap_that_is_not_installed_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "umap", None)
    D, _ = blobs(3)
    with pytest.raises(InputError, match=r"\.\[umap\]"):
        project(D, method="umap", n_neighbors=2)


@pytest.mark.parametrize("n_components", [2, 3])
def test_many_heads_are_placed_as_few_are(
    monkeypatch: pytest.MonkeyPatch, n_components: int
) -> None:
    rng = np.random.default_rng(0)
    clusters = np.repeat(rng.normal(size=(4, 5)), 30, axis=0)  # heads at distance 0 too
    for points in (rng.normal(size=(150, 5)) * np.arange(1, 6), clusters):
        D = np.linalg.norm(points[:, None] - points[None], axis=2)
        dense = classical_scaling(D, n_components)
        monkeypatch.setattr("attention_motifs.projection.methods._LANCZOS_HEADS", 10)
        np.testing.assert_allclose(classical_scaling(D, n_components), dense, atol=1e-6)
        monkeypatch.undo()


@pytest.mark.parametrize("most_by_lapack", [10, 1000])
@pytest.mark.parametrize("n", [12, 30, 60])
def test_many_heads_without_a_direction_are_placed_too(
    monkeypatch: pytest.MonkeyPatch, n: int, most_by_lapack: int
) -> None:
    """All at the same distance: the eigenvalues are equal, and any directions will do."""
    D = 1.0 - np.eye(n)
    monkeypatch.setattr("attention_motifs.projection.methods._LANCZOS_HEADS", most_by_lapack)
    placed = classical_scaling(D, 3)
    assert np.isfinite(placed).all()
    np.testing.assert_allclose(placed.T @ placed, 0.5 * np.eye(3), atol=1e-8)
