from __future__ import annotations

import importlib.util
import random

import numpy as np
import pytest

from attention_motifs.clustering import CLUSTERINGS, Clustering, adjusted_rand, cluster
from attention_motifs.errors import InputError

METHODS = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            name == "leiden" and importlib.util.find_spec("igraph") is None, reason="no igraph"
        ),
    )
    for name in CLUSTERINGS
]


def planted(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points, distances and labels of three blobs of 20, 15 and 10 heads, shuffled."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat([0, 1, 2], [20, 15, 10]))
    points = 10 * np.eye(5)[labels] + rng.normal(size=(45, 5))
    return points, np.linalg.norm(points[:, None] - points[None], axis=-1), labels


def run(method: str, D: np.ndarray, points: np.ndarray, **more: object) -> Clustering:
    cut = {} if method in ("hdbscan", "leiden") else {"n_clusters": 3}
    # A density estimate sees blobs of ten in five dimensions with 5 as its least size.
    size = {"min_size": 5} if method == "hdbscan" else {}
    arguments = {"n_neighbors": 6, "embeddings": points, **cut, **size, **more}
    return cluster(D, method=method, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", METHODS)
def test_three_blobs_are_found_and_numbered_by_size(method: str) -> None:
    points, D, labels = planted()
    result = run(method, D, points)
    again = run(method, D, points)
    assert np.array_equal(result.labels, again.labels)
    assert result.labels.dtype == np.int32
    if method == "hdbscan":  # it leaves heads at the rims out
        assert result.n_clusters == 3
        kept = result.labels >= 0
        assert kept.mean() > 0.6
        assert np.array_equal(result.labels[kept], labels[kept])
    else:
        assert np.array_equal(result.labels, labels)
        assert result.sizes.tolist() == [20, 15, 10]
    assert (result.linkage is None) == (method in ("hdbscan", "leiden"))


@pytest.mark.parametrize("method", METHODS)
def test_the_parameters_repeat_the_clustering(method: str) -> None:
    points, D, _ = planted(1)
    result = run(method, D, points, min_size=12)
    again = cluster(D, method=method, embeddings=points, **result.parameters)  # type: ignore[arg-type]
    assert np.array_equal(result.labels, again.labels)
    assert result.parameters["min_size"] == 12
    assert (result.sizes >= 12).all()


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_the_heads_changes_only_the_order(method: str) -> None:
    points, D, _ = planted(2)
    order = np.random.default_rng(0).permutation(len(D))
    here = run(method, D, points).labels
    reordered = run(method, D[np.ix_(order, order)], points[order]).labels
    assert adjusted_rand(here[order], reordered) == pytest.approx(1.0)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_few_heads_and_equal_heads(method: str, n: int) -> None:
    cut = {} if method in ("hdbscan", "leiden") else {"n_clusters": 1}
    points = np.arange(3.0 * n).reshape(n, 3)
    D = np.linalg.norm(points[:, None] - points[None], axis=-1)
    for matrix, embeddings in ((D, points), (np.zeros((n, n)), np.zeros((n, 2)))):
        labels = cluster(matrix, method=method, embeddings=embeddings, **cut).labels  # type: ignore[arg-type]
        assert labels.shape == (n,)
        assert labels.min() >= -1
        if method != "hdbscan":
            assert set(labels.tolist()) == {0}


def test_more_resolution_makes_more_communities() -> None:
    pytest.importorskip("igraph")
    _, D, _ = planted()
    few = cluster(D, method="leiden", n_neighbors=6, resolution=0.1)
    many = cluster(D, method="leiden", n_neighbors=6, resolution=4.0)
    assert few.n_clusters <= 3 < many.n_clusters


def test_leiden_leaves_the_random_numbers_of_others_alone() -> None:
    igraph = pytest.importorskip("igraph")
    _, D, _ = planted()
    random.seed(7)
    expected = igraph.Graph.Erdos_Renyi(20, 0.3).get_edgelist()
    random.seed(7)
    cluster(D, method="leiden")
    assert igraph.Graph.Erdos_Renyi(20, 0.3).get_edgelist() == expected


def test_leiden_that_is_not_installed_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "igraph", None)
    with pytest.raises(InputError, match=r"\.\[leiden\]"):
        cluster(np.zeros((3, 3)), method="leiden")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"method": "kmeans"}, "choose from average"),
        ({"method": "average"}, "either n_clusters or height"),
        ({"method": "ward", "n_clusters": 2}, "give the head embeddings"),
        ({"method": "hdbscan", "min_samples": 0}, "min_samples 0"),
        ({"method": "leiden", "n_neighbors": 0}, "n_neighbors 0"),
        ({"method": "leiden", "resolution": 0.0}, "resolution 0"),
        ({"method": "leiden", "min_size": 0}, "min_size 0"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(arguments: dict[str, object], word: str) -> None:
    _, D, _ = planted()
    with pytest.raises(InputError, match=word) as raised:
        cluster(D, **arguments)  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("method", ["hdbscan", "leiden", "average"])
def test_distances_are_needed(method: str) -> None:
    with pytest.raises(InputError, match="give D"):
        cluster(None, method=method, n_clusters=2)
