"""The clusterings behind one interface, and their registry."""

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
    """Heads in clusters.

    Attributes:
        method: a name in `CLUSTERINGS`.
        parameters: what `cluster` must be given to do the same again, besides its input.
        labels: (H,) int32, from 0 (the largest cluster); -1 for heads in none.
        linkage: (H - 1, 4) merges of a hierarchical method, else None.
    """

    method: str
    parameters: Mapping[str, int | float | None]
    labels: Int[np.ndarray, " heads"]
    linkage: Float[np.ndarray, "merges 4"] | None = None

    @property
    def n_clusters(self) -> int:
        """Number of clusters, the unclustered not counted."""
        return int(self.labels.max(initial=UNCLUSTERED)) + 1

    @property
    def sizes(self) -> Int[np.ndarray, " clusters"]:
        """Heads per cluster."""
        clustered = self.labels[self.labels != UNCLUSTERED]
        return np.bincount(clustered, minlength=self.n_clusters)


@dataclass(frozen=True, slots=True)
class ClusteringMethod:
    """A registry entry; the documentation is made from it."""

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
    """Put heads into clusters. The same input and parameters give the same labels.

    Args:
        D: (H, H) distances; for ward it may be None.
        method: a name in `CLUSTERINGS`.
        n_clusters: for a hierarchical method, instead of `height`; before `min_size` is applied.
        height: for a hierarchical method, in the units of D; for ward, of the embeddings.
        min_size: heads in smaller clusters become -1. hdbscan needs at least 2 and takes 2 for 1.
        min_samples: for hdbscan, the head itself counted; by default its min_size. At most H.
        n_neighbors: for leiden, the head itself not counted; cut to H - 1.
        resolution: for leiden, above 0: more makes more and smaller clusters.
        seed: for leiden.
        embeddings: (H, c) one point per head, for ward.

    Raises:
        InputError: if the method is unknown or not installed, its input is missing or malformed,
            a hierarchical method gets both or neither of number and height, or a number is out of
            its range.
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
    asked = {"n_clusters": n_clusters, "height": height, "min_size": min_size}
    return Clustering(method, asked, labels, merges)


def _known(method: str) -> None:
    if method not in CLUSTERINGS:
        raise InputError(
            f"clustering {method!r} is not known; choose from {', '.join(CLUSTERINGS)}"
        )


def _at_least_one(n_neighbors: int) -> int:
    if n_neighbors < 1:
        raise InputError(f"n_neighbors {n_neighbors}: at least 1 is needed")
    return n_neighbors


def _by_leiden(
    labels: Int[np.ndarray, " heads"], n_neighbors: int, resolution: float, seed: int, min_size: int
) -> Clustering:
    found = {"n_neighbors": n_neighbors, "resolution": resolution, "seed": seed}
    return Clustering("leiden", {**found, "min_size": min_size}, number_by_size(labels, min_size))


def _needed(D: np.ndarray[Any, Any] | None, method: str) -> np.ndarray[Any, Any]:
    if D is None:
        raise InputError(f"clustering {method!r} works on a distance matrix: give D")
    return check_distances(D)


def _hdbscan(D: Any, n: int, min_size: int, min_samples: int | None) -> Int[np.ndarray, " heads"]:
    """Cluster by density; all heads are unclustered where there are fewer than `min_size`."""
    from sklearn.cluster import HDBSCAN

    if min_samples is not None and min_samples < 1:
        raise InputError(f"min_samples {min_samples}: at least 1 is needed")
    if n < min_size:
        return np.full(n, UNCLUSTERED)
    samples = None if min_samples is None else min(min_samples, n)
    model = HDBSCAN(min_cluster_size=min_size, min_samples=samples, metric="precomputed", copy=True)
    return np.asarray(model.fit(D).labels_)


def _leiden(graph: NeighbourGraph, resolution: float, seed: int) -> Int[np.ndarray, " heads"]:
    """Communities of largest modularity in the unweighted neighbour graph."""
    if not resolution > 0:
        raise InputError(f"resolution {resolution}: give a number above 0")
    igraph = require("igraph", "clustering 'leiden'")
    network = igraph.Graph(n=graph.n_heads, edges=graph.edges.tolist())
    # igraph draws from one generator for the whole process: lend it ours, then give it back.
    igraph.set_random_number_generator(random.Random(seed))  # noqa: S311 - not for secrets
    try:
        found = network.community_leiden("modularity", resolution=resolution, n_iterations=-1)
    finally:
        igraph.set_random_number_generator(random)
    return np.asarray(found.membership)


ON_NEIGHBOURS = ("leiden", "hdbscan", "single")
"""Clusterings that need no more than the nearest heads of each head."""


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
    """`cluster` for more heads than all-pairs distances can be kept of.

    leiden sees the graph that `cluster` would give it. single and hdbscan take their minimum
    spanning tree from the graph of all neighbours listed, its pieces joined; merges farther than
    the listed neighbours reach may come out higher than they are. The other linkages need all
    pairs.

    Args:
        neighbours: of all heads.
        rows: exact distances from some heads to all, to join a graph that is in pieces.
        method: a name in `ON_NEIGHBOURS`.
        n_clusters: as for `cluster`.
        height: as for `cluster`.
        min_size: as for `cluster`.
        min_samples: as for `cluster`, at most as many as are listed.
        n_neighbors: as for `cluster`, cut to as many as are listed.
        resolution: as for `cluster`.
        seed: as for `cluster`.

    Raises:
        InputError: as `cluster`, or if the method needs all pairs.
    """
    if method in CLUSTERINGS and method not in ON_NEIGHBOURS:
        raise InputError(
            f"clustering {method!r} needs the distances of all pairs, which are not kept of "
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
                f"min_samples {samples}: {neighbours.heads.shape[1]} neighbours are kept of each "
                "head; give at most so many"
            )
        labels = _hdbscan(_positive(adjacency(whole)), whole.n_heads, max(min_size, 2), min_samples)
        parameters = {"min_size": max(min_size, 2), "min_samples": min_samples}
        return Clustering(method, parameters, number_by_size(labels, min_size))
    merges = single_of_graph(whole)
    labels = cut(merges, n_clusters=n_clusters, height=height, min_size=min_size)
    asked = {"n_clusters": n_clusters, "height": height, "min_size": min_size}
    return Clustering(method, asked, labels, merges)


def _positive(lengths: Any) -> Any:
    """Lengths of 0 raised to the smallest that is one: sparse matrices read 0 as "no edge"."""
    lengths.data = np.maximum(lengths.data, np.finfo(np.float32).tiny)
    return lengths
