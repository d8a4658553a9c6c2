"""Clustering methods: their common interface and their registry."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.clustering.linkage import (
    UNCLUSTERED,
    cut,
    link,
    number_by_size,
    single_of_graph,
)
from attention_motifs.distances.neighbour_graph import (
    NeighbourGraph,
    Neighbours,
    Rows,
    adjacency,
    check_distances,
    graph_of,
    join_by_rows,
    neighbour_graph,
)
from attention_motifs.errors import InputError, require

if TYPE_CHECKING:
    from jaxtyping import Float, Int


@dataclass(frozen=True, slots=True)
class Clustering:
    """Cluster labels of heads.

    Attributes:
        method: a name in `CLUSTERINGS`.
        parameters: arguments with which `cluster` gives the same labels for the same input.
        labels: (H,) int32, from 0 (the largest cluster); -1 for heads in none.
        linkage: (H - 1, 4) merges of a hierarchical method, else None.
    """

    method: str
    parameters: Mapping[str, int | float | None]
    labels: Int[np.ndarray, " heads"]
    linkage: Float[np.ndarray, "merges 4"] | None = None

    @property
    def n_clusters(self) -> int:
        """Number of clusters, without the unclustered heads."""
        return int(self.labels.max(initial=UNCLUSTERED)) + 1

    @property
    def sizes(self) -> Int[np.ndarray, " clusters"]:
        """Heads per cluster."""
        clustered = self.labels[self.labels != UNCLUSTERED]
        return np.bincount(clustered, minlength=self.n_clusters)


@dataclass(frozen=True, slots=True)
class ClusteringMethod:
    """A registry entry, from which the documentation is generated."""

    name: str
    title: str
    parameters: tuple[str, ...]
    formula: str
    source: str


_CUT = ("n_clusters", "height", "min_size")
CLUSTERINGS: dict[str, ClusteringMethod] = {
    entry.name: entry
    for entry in (
        ClusteringMethod(
            "average",
            "hierarchical, average linkage",
            _CUT,
            r"d(A, B) = \frac{1}{|A||B|}\sum_{a \in A, b \in B} D_{ab}",
            "Sokal and Michener (1958)",
        ),
        ClusteringMethod(
            "complete",
            "hierarchical, complete linkage",
            _CUT,
            r"d(A, B) = \max_{a \in A, b \in B} D_{ab}",
            "Sorensen (1948)",
        ),
        ClusteringMethod(
            "single",
            "hierarchical, single linkage",
            _CUT,
            r"d(A, B) = \min_{a \in A, b \in B} D_{ab}",
            "Sneath (1957)",
        ),
        ClusteringMethod(
            "ward",
            "hierarchical, Ward's linkage of head embeddings",
            _CUT,
            r"d(A, B)^2 = \frac{2|A||B|}{|A| + |B|}\lVert \bar x_A - \bar x_B \rVert^2",
            "Ward (1963), JASA 58:236",
        ),
        ClusteringMethod(
            "hdbscan",
            "HDBSCAN",
            ("min_size", "min_samples"),
            r"d_{\text{reach}}(a, b) = \max(c_a, c_b, D_{ab}),\ "
            r"c_a = \text{distance to the } m\text{-th neighbour}",
            "Campello, Moulavi and Sander (2013), PAKDD",
        ),
        ClusteringMethod(
            "leiden",
            "Leiden on the neighbour graph",
            ("n_neighbors", "resolution", "seed", "min_size"),
            r"\max \frac{1}{2m}\sum_{ij}\bigl(A_{ij} - \gamma \tfrac{k_i k_j}{2m}\bigr)"
            r"\delta(c_i, c_j)",
            "Traag, Waltman and van Eck (2019), Scientific Reports 9:5233",
        ),
    )
}


def cluster(
    D: Float[np.ndarray, "heads heads"] | None,
    *,
    method: str = "average",
    n_clusters: int | None = None,
    height: float | None = None,
    min_size: int = 1,
    min_samples: int | None = None,
    n_neighbors: int = 16,
    resolution: float = 1.0,
    seed: int = 0,
    embeddings: Float[np.ndarray, "heads components"] | None = None,
) -> Clustering:
    """Cluster heads. The same input and parameters give the same labels.

    Args:
        D: (H, H) distances; for ward it may be None.
        method: a name in `CLUSTERINGS`.
        n_clusters: for a hierarchical method, instead of `height`; before `min_size` is applied.
        height: for a hierarchical method, in the units of D; for ward, of the embeddings.
        min_size: heads in smaller clusters become -1. hdbscan uses at least 2.
        min_samples: for hdbscan, counting the head itself (default: min_size); at most H.
        n_neighbors: for leiden, not counting the head itself; at most H - 1 are used.
        resolution: for leiden, above 0; higher values give more and smaller clusters.
        seed: seed for leiden.
        embeddings: (H, c) one point per head, for ward.

    Raises:
        InputError: if the method is unknown or not installed, its input is missing or malformed,
            a hierarchical method gets both or neither of number and height, or a number is out of
            range.
    """
    _known(method)
    if method == "hdbscan":
        matrix = _needed(D, method)
        labels = _hdbscan(matrix, len(matrix), max(min_size, 2), min_samples)
        parameters = {"min_size": max(min_size, 2), "min_samples": min_samples}
        return Clustering(method, parameters, number_by_size(labels, min_size))
    if method == "leiden":
        graph = neighbour_graph(_needed(D, method), _at_least_one(n_neighbors))
        labels = _leiden(graph, resolution, seed)
        return _by_leiden(labels, n_neighbors, resolution, seed, min_size)
    merges = link(D, method, embeddings)
    labels = cut(merges, n_clusters=n_clusters, height=height, min_size=min_size)
    cut_at = {"n_clusters": n_clusters, "height": height, "min_size": min_size}
    return Clustering(method, cut_at, labels, merges)


def _known(method: str) -> None:
    if method not in CLUSTERINGS:
        raise InputError(
            f"clustering {method!r} is not known; choose from {', '.join(CLUSTERINGS)}"
        )


def _at_least_one(n_neighbors: int) -> int:
    if n_neighbors < 1:
        raise InputError(f"n_neighbors {n_neighbors}: give at least 1")
    return n_neighbors


def bytes_of_all_pairs(method: str, n_heads: int) -> int:
    """Return the bytes of memory that `cluster` uses at most on some heads, with draws of prompts.

    Args:
        method: a name in `CLUSTERINGS`.
        n_heads: number of heads.
    """
    return _BYTES_PER_PAIR.get(method, _BYTES_OF_LINKAGE) * n_heads**2


_BYTES_OF_LINKAGE = 24
_BYTES_PER_PAIR = {"leiden": 16, "hdbscan": 32, "ward": 12}
"""Per entry of the matrix, counted from the arrays that are in memory at the same time: stored and
recomputed distances of 4 bytes each, their checked copy of 8, and what the method copies."""


def _by_leiden(
    labels: Int[np.ndarray, " heads"], n_neighbors: int, resolution: float, seed: int, min_size: int
) -> Clustering:
    parameters = {"n_neighbors": n_neighbors, "resolution": resolution, "seed": seed}
    parameters["min_size"] = min_size
    return Clustering("leiden", parameters, number_by_size(labels, min_size))


def _needed(D: np.ndarray[Any, Any] | None, method: str) -> np.ndarray[Any, Any]:
    if D is None:
        raise InputError(f"clustering {method!r} works on a distance matrix: give D")
    return check_distances(D)


def _hdbscan(D: Any, n: int, min_size: int, min_samples: int | None) -> Int[np.ndarray, " heads"]:
    """Cluster by density; fewer than `min_size` heads are all unclustered. D is overwritten."""
    from sklearn.cluster import HDBSCAN

    if min_samples is not None and min_samples < 1:
        raise InputError(f"min_samples {min_samples}: give at least 1")
    if n < min_size:
        return np.full(n, UNCLUSTERED)
    samples = None if min_samples is None else min(min_samples, n)
    model = HDBSCAN(
        min_cluster_size=min_size, min_samples=samples, metric="precomputed", copy=False
    )
    return np.asarray(model.fit(D).labels_)


def _leiden(graph: NeighbourGraph, resolution: float, seed: int) -> Int[np.ndarray, " heads"]:
    """Return the communities of largest modularity in the unweighted neighbour graph."""
    if not resolution > 0:
        raise InputError(f"resolution {resolution}: give a number above 0")
    igraph = require("igraph", "clustering 'leiden'")
    network = igraph.Graph(n=graph.n_heads, edges=graph.edges.tolist())
    # igraph has one generator for the whole process: set a seeded one, then restore the default.
    igraph.set_random_number_generator(random.Random(seed))  # noqa: S311 - not for secrets
    try:
        communities = network.community_leiden("modularity", resolution=resolution, n_iterations=-1)
    finally:
        igraph.set_random_number_generator(random)
    return np.asarray(communities.membership)


ON_NEIGHBOURS = ("leiden", "hdbscan", "single")
"""Methods that need only the nearest heads of each head."""


def cluster_neighbours(
    neighbours: Neighbours,
    rows: Rows,
    *,
    method: str = "leiden",
    n_clusters: int | None = None,
    height: float | None = None,
    min_size: int = 1,
    min_samples: int | None = None,
    n_neighbors: int = 16,
    resolution: float = 1.0,
    seed: int = 0,
) -> Clustering:
    """Cluster heads from the nearest heads of each, where all pairs are too many to store.

    leiden uses the same graph as in `cluster`. single and hdbscan take the minimum spanning tree
    of the graph of all listed neighbours, with its pieces joined; merges beyond the listed
    neighbours may be too high. The other linkages need all pairs.

    Args:
        neighbours: nearest heads of all heads.
        rows: function that returns exact distances from some heads to all; joins a graph in pieces.
        method: a name in `ON_NEIGHBOURS`.
        n_clusters: as for `cluster`.
        height: as for `cluster`.
        min_size: as for `cluster`.
        min_samples: as for `cluster`, at most the number of listed neighbours.
        n_neighbors: as for `cluster`; at most the listed ones are used.
        resolution: as for `cluster`.
        seed: as for `cluster`.

    Raises:
        InputError: as `cluster`, or if the method needs all pairs.
    """
    if method in CLUSTERINGS and method not in ON_NEIGHBOURS:
        raise InputError(
            f"clustering {method!r} needs the distances of all pairs, which are not stored for "
            f"{len(neighbours.heads)} heads; choose from {', '.join(ON_NEIGHBOURS)}"
        )
    _known(method)
    if method == "leiden":
        graph = graph_of(neighbours, _at_least_one(n_neighbors))
        labels = _leiden(graph, resolution, seed)
        return _by_leiden(labels, n_neighbors, resolution, seed, min_size)
    whole = join_by_rows(graph_of(neighbours, neighbours.heads.shape[1]), rows)
    if method == "hdbscan":
        samples = min_samples if min_samples is not None else max(min_size, 2)
        if samples > neighbours.heads.shape[1]:
            raise InputError(
                f"min_samples {samples}: {neighbours.heads.shape[1]} neighbours are stored per "
                "head; give at most that number"
            )
        labels = _hdbscan(_positive(adjacency(whole)), whole.n_heads, max(min_size, 2), min_samples)
        parameters = {"min_size": max(min_size, 2), "min_samples": min_samples}
        return Clustering(method, parameters, number_by_size(labels, min_size))
    merges = single_of_graph(whole)
    labels = cut(merges, n_clusters=n_clusters, height=height, min_size=min_size)
    cut_at = {"n_clusters": n_clusters, "height": height, "min_size": min_size}
    return Clustering(method, cut_at, labels, merges)


def _positive(lengths: Any) -> Any:
    """Raise lengths of 0 to the smallest positive one, since sparse matrices read 0 as no edge."""
    lengths.data = np.maximum(lengths.data, np.finfo(np.float32).tiny)
    return lengths
