"""Hierarchical clustering: the tree of merges and its cuts."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from attention_motifs.distances.neighbour_graph import NeighbourGraph, adjacency, check_distances
from attention_motifs.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

UNCLUSTERED = -1
"""Label of a head in no cluster."""

LINKAGES_OF_DISTANCES = ("average", "complete", "single")


def link(
    D: Float[np.ndarray, "heads heads"] | None,
    method: str = "average",
    embeddings: Float[np.ndarray, "heads components"] | None = None,
) -> Float[np.ndarray, "merges 4"]:
    """Merge the two nearest clusters until one remains.

    The distance of two clusters is the mean (`average`), the largest (`complete`) or the
    smallest (`single`) of the distances of their heads; `ward` takes points, and chooses the
    merge that increases the sum of squares within clusters least (Ward, 1963).

    Args:
        D: (H, H) distances; not needed for ward.
        method: average, complete, single or ward.
        embeddings: (H, c) one point per head, such as the mean of its cloud; for ward only.

    Returns:
        (H - 1, 4) merges in scipy's form, lowest first: the two clusters (below H: a head; from
        H on: the result of merge minus H), the height, the number of heads.

    Raises:
        InputError: if the method is unknown, or its input is missing or malformed.
    """
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import squareform

    if method == "ward":
        points = _check_embeddings(embeddings)
        with warnings.catch_warnings():  # about points that look like a distance matrix
            warnings.simplefilter("ignore")
            merges = linkage(points, "ward") if len(points) > 1 else np.zeros((0, 4))
    elif method in LINKAGES_OF_DISTANCES:
        if D is None:
            raise InputError(f"linkage {method!r} works on a distance matrix: give D")
        matrix = check_distances(D)
        n_heads, condensed = len(matrix), squareform(matrix, checks=False)
        del matrix  # of many heads it is most of the memory, and linkage copies the pairs
        kind = cast("Literal['average', 'complete', 'single']", method)
        merges = linkage(condensed, kind) if n_heads > 1 else np.zeros((0, 4))
    else:
        known = ", ".join((*LINKAGES_OF_DISTANCES, "ward"))
        raise InputError(f"linkage {method!r} is not known; choose from {known}")
    return np.asarray(merges, dtype=np.float64)


def single_of_graph(graph: NeighbourGraph) -> Float[np.ndarray, "merges 4"]:
    """Return the single linkage of a connected graph, from its minimum spanning tree.

    Returns:
        Merges as `link` returns them.
    """
    from scipy.sparse.csgraph import minimum_spanning_tree

    n = graph.n_heads
    lengths = adjacency(graph)
    # A constant added to every edge keeps the tree, and keeps lengths of 0 from reading as no edge.
    lengths.data = lengths.data + 1.0
    tree = minimum_spanning_tree(lengths).tocoo()
    heights = np.maximum(tree.data - 1.0, 0.0)
    order = np.argsort(heights, kind="stable")
    merges = np.zeros((n - 1, 4))
    cluster_of = np.arange(2 * n - 1)  # each points to its parent; roots to themselves
    sizes = np.ones(2 * n - 1)
    for step, edge in enumerate(order.tolist()):
        ends = [_root(cluster_of, int(tree.row[edge])), _root(cluster_of, int(tree.col[edge]))]
        merged = n + step
        cluster_of[ends] = merged
        sizes[merged] = sizes[ends].sum()
        merges[step] = (*sorted(ends), heights[edge], sizes[merged])
    return merges


def _root(parent: np.ndarray[Any, Any], at: int) -> int:
    """Return the root of a node, and link the nodes on the path to it (path compression)."""
    root = at
    while parent[root] != root:
        root = int(parent[root])
    while parent[at] != root:
        parent[at], at = root, int(parent[at])
    return root


def _check_embeddings(embeddings: np.ndarray[Any, Any] | None) -> np.ndarray[Any, Any]:
    if embeddings is None:
        raise InputError("linkage 'ward' works on points: give the head embeddings (H, c)")
    points = np.asarray(embeddings, dtype=np.float64)
    if points.ndim != 2 or points.size == 0:
        raise InputError(f"head embeddings of shape {points.shape}: give heads x components")
    if not np.isfinite(points).all():
        row = int(np.argmax(~np.isfinite(points).all(axis=1)))
        raise InputError(f"head embeddings: row {row} is not finite; recompute the embedding")
    return points


def cut(
    merges: Float[np.ndarray, "merges 4"],
    *,
    n_clusters: int | None = None,
    height: float | None = None,
    min_size: int = 1,
) -> Int[np.ndarray, " heads"]:
    """Cut the tree by number or by height.

    Args:
        merges: (H - 1, 4) merges, returned by `link`.
        n_clusters: number of clusters before `min_size` is applied: all but the last
            n_clusters - 1 merges are applied.
        height: height up to which merges are applied, in the units of the distances.
        min_size: heads in smaller clusters become `UNCLUSTERED`.

    Returns:
        (H,) labels from 0, by descending size; equal sizes by their first head.

    Raises:
        InputError: if not exactly one of number and height is given, or one is out of range.
    """
    n = len(merges) + 1
    if (n_clusters is None) == (height is None):
        raise InputError("cut: give either n_clusters or height")
    if n_clusters is not None:
        if not 1 <= n_clusters <= n:
            raise InputError(f"{n_clusters} clusters cannot be cut of {n} heads; give 1 to {n}")
        n_merges = n - n_clusters
    else:
        if height is None or not height >= 0:
            raise InputError(f"height {height}: give a distance of 0 or more")
        n_merges = int(np.searchsorted(merges[:, 2], height, side="right"))
    return number_by_size(_after(merges, n_merges), min_size)


def _after(merges: Float[np.ndarray, "merges 4"], n_merges: int) -> Int[np.ndarray, " heads"]:
    """Label heads by the cluster they are in after the first `n_merges` merges."""
    n = len(merges) + 1
    label = np.arange(2 * n - 1)
    for step in range(n_merges - 1, -1, -1):  # from the root down: children take their parent's
        children = merges[step, :2].astype(np.int64)
        label[children] = label[n + step]
    return label[:n]


def number_by_size(
    labels: Int[np.ndarray, " heads"], min_size: int = 1
) -> Int[np.ndarray, " heads"]:
    """Renumber clusters from 0 by size, then by first head; negative labels are unclustered.

    Raises:
        InputError: if `min_size` is below 1.
    """
    if min_size < 1:
        raise InputError(f"min_size {min_size}: give at least 1")
    labels = np.asarray(labels)
    numbers, first, place, sizes = np.unique(
        labels, return_index=True, return_inverse=True, return_counts=True
    )
    kept = (numbers >= 0) & (sizes >= min_size)
    order = np.lexsort((first[kept], -sizes[kept]))
    renumbered = np.full(len(numbers), UNCLUSTERED, dtype=np.int32)
    renumbered[np.flatnonzero(kept)[order]] = np.arange(len(order))
    return renumbered[place.reshape(-1)]
