"""Distance matrices and their neighbour graphs, as projections and clusterings both need them.

Pure functions on arrays. A neighbour never means the head itself: k neighbours are k other heads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

DENSE_LIMIT = 20_000
"""Heads up to which the distances of all pairs are computed and kept (1.6 GB)."""

# Rounding in float32 distances: relative to the largest distance.
_TOLERANCE = 1e-4
_MOST_RANKED = 10


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The nearest heads of every head, where the distances of all pairs are too many to keep.

    Attributes:
        heads: (H, k) int32 numbers of the k nearest other heads, nearest first.
        distances: (H, k) float32 distances to them.
    """

    heads: Int[np.ndarray, "heads nearest"]
    distances: Float[np.ndarray, "heads nearest"]


Rows = Callable[[Any], Any]
"""From numbers of some heads to their distances to all heads: (some, H)."""


@dataclass(frozen=True, slots=True)
class NeighbourGraph:
    """An undirected graph whose edges carry distances.

    Attributes:
        edges: (E, 2) heads at the ends of each edge, the smaller number first, sorted, no repeats.
        lengths: (E,) distance along each edge; zero between heads that cannot be told apart.
        n_heads: number of heads H.
        n_pieces: connected components before any were joined.
        n_joined: edges (at the end of the list) that were added to join the pieces.
    """

    edges: Int[np.ndarray, "edges 2"]
    lengths: Float[np.ndarray, " edges"]
    n_heads: int
    n_pieces: int
    n_joined: int = 0


def check_distances(D: Float[np.ndarray, "heads heads"]) -> Float[np.ndarray, "heads heads"]:
    """Return a float64 copy of a distance matrix, made exactly symmetric with a zero diagonal.

    Rounding is mended (asymmetry and negative entries up to 1e-4 of the largest distance), more
    is refused.

    Raises:
        InputError: if D is not square, is empty, or holds a NaN, an infinite or negative
            distance, a diagonal that is not zero, or two values for one pair.
    """
    matrix = np.array(D, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise InputError(
            f"distance matrix of shape {matrix.shape}: give a square one, heads x heads"
        )
    if matrix.shape[0] == 0:
        raise InputError("distance matrix of no heads: give at least one head")
    _refuse(~np.isfinite(matrix), matrix, "is not finite; recompute the distances")
    slack = _TOLERANCE * float(np.abs(matrix).max())
    _refuse(matrix < -slack, matrix, "is negative; give distances, not similarities")
    _refuse(
        np.abs(matrix - matrix.T) > slack,
        matrix,
        "differs from the one the other way round; symmetrise the matrix",
    )
    _refuse(
        np.diag(np.abs(np.diag(matrix)) > slack),
        matrix,
        "should be 0, a head's distance from itself; give distances, not similarities",
    )
    matrix = np.maximum((matrix + matrix.T) / 2, 0.0)
    np.fill_diagonal(matrix, 0.0)
    return matrix


def _refuse(bad: np.ndarray[Any, Any], matrix: np.ndarray[Any, Any], why: str) -> None:
    if bad.any():
        i, j = np.unravel_index(int(np.argmax(bad)), bad.shape)
        raise InputError(f"distance matrix: entry [{i}, {j}] = {matrix[i, j]:.6g} {why}")


def ranked_neighbours(D: Float[np.ndarray, "heads heads"]) -> Int[np.ndarray, "heads others"]:
    """All other heads of each head, nearest first; ties in the order of the heads."""
    n = len(D)
    order = np.argsort(D, axis=1, kind="stable")
    # A head is left out by its number, not by being nearest: its twin may be at distance 0 too.
    others: Int[np.ndarray, "heads others"] = order[order != np.arange(n)[:, None]].reshape(
        n, n - 1
    )
    return others


def neighbour_graph(D: Float[np.ndarray, "heads heads"], n_neighbors: int) -> NeighbourGraph:
    """Join each head with its `n_neighbors` nearest; an edge counts if either end asks for it.

    Args:
        D: (H, H) checked distances.
        n_neighbors: 1 or more; at most H - 1 are used.
    """
    n = len(D)
    nearest = ranked_neighbours(D)[:, :n_neighbors]
    pairs = np.stack([np.repeat(np.arange(n), nearest.shape[1]), nearest.reshape(-1)], axis=1)
    edges = np.unique(np.sort(pairs, axis=1), axis=0) if len(pairs) else pairs
    lengths = D[edges[:, 0], edges[:, 1]]
    graph = NeighbourGraph(edges, lengths, n, n_pieces=1)
    n_pieces = int(_pieces(graph).max()) + 1
    return NeighbourGraph(edges, lengths, n, n_pieces)


def graph_of(neighbours: Neighbours, n_neighbors: int) -> NeighbourGraph:
    """Return the graph that `neighbour_graph` makes, from lists of nearest heads.

    Args:
        neighbours: of all heads.
        n_neighbors: 1 or more; at most as many as are listed are used.
    """
    nearest = neighbours.heads[:, :n_neighbors].astype(np.int64)
    n, k = nearest.shape
    ends = np.stack([np.repeat(np.arange(n), k), nearest.reshape(-1)], axis=1)
    ends.sort(axis=1)
    # One number per pair, sorted as the pairs are.
    _, first = np.unique(ends[:, 0] * n + ends[:, 1], return_index=True)
    edges = ends[first]
    lengths = neighbours.distances[:, :n_neighbors].reshape(-1)[first].astype(np.float64)
    graph = NeighbourGraph(edges, lengths, n, n_pieces=1)
    return NeighbourGraph(edges, lengths, n, int(_pieces(graph).max()) + 1)


_ROWS_PER_ROUND = 512
"""Rows of distances that `join_by_rows` asks for in one go, over all pieces."""


def join_by_rows(graph: NeighbourGraph, rows: Rows) -> NeighbourGraph:
    """Add links that make the graph one piece, without the distances of all pairs.

    Each piece but the largest is tied to the nearest head outside of it of some of its heads,
    evenly chosen, and so on until one piece is left (after Boruvka). With few small pieces
    these are the links of `join_pieces`.

    Args:
        graph: perhaps in pieces.
        rows: exact distances from some heads to all.
    """
    if graph.n_pieces == 1:
        return graph
    piece = _pieces(graph).copy()
    links: list[tuple[int, int]] = []
    lengths: list[float] = []
    while (numbers := np.unique(piece)).size > 1:
        sizes = np.bincount(piece)[numbers]
        small = np.delete(numbers, int(sizes.argmax()))
        tried = max(1, _ROWS_PER_ROUND // len(small))
        for number in small.tolist():
            members = np.flatnonzero(piece == number)
            outside = piece != number
            if not len(members) or not outside.any():
                continue  # it was joined to another in this round
            some = members[np.unique(np.linspace(0, len(members) - 1, tried).astype(int))]
            away = np.where(outside, np.asarray(rows(some), dtype=np.float64), np.inf)
            i, j = np.unravel_index(int(away.argmin()), away.shape)
            links.append((min(int(some[i]), int(j)), max(int(some[i]), int(j))))
            lengths.append(float(away[i, j]))
            piece[members] = piece[j]
    return NeighbourGraph(
        edges=np.concatenate([graph.edges, np.array(links, dtype=graph.edges.dtype)]),
        lengths=np.concatenate([graph.lengths, lengths]),
        n_heads=graph.n_heads,
        n_pieces=graph.n_pieces,
        n_joined=len(links),
    )


def join_pieces(graph: NeighbourGraph, D: Float[np.ndarray, "heads heads"]) -> NeighbourGraph:
    """Add the shortest links that make the graph one piece: a minimum spanning tree of pieces.

    Two pieces are as far apart as their two nearest heads; with c pieces, c - 1 links are added.
    """
    if graph.n_pieces == 1:
        return graph
    from scipy.sparse.csgraph import minimum_spanning_tree

    piece = _pieces(graph)
    order = np.argsort(piece, kind="stable")
    starts = np.searchsorted(piece[order], np.arange(graph.n_pieces))
    rows = np.minimum.reduceat(D[order], starts, axis=0)
    gaps = np.minimum.reduceat(rows[:, order], starts, axis=1)
    # A constant added to every gap leaves the tree as it is, and keeps gaps of 0 from reading
    # as "no edge".
    tree = minimum_spanning_tree(gaps + float(gaps.max()) + 1.0).tocoo()
    links = []
    for a, b in sorted(zip(tree.row.tolist(), tree.col.tolist(), strict=True)):
        left, right = np.flatnonzero(piece == a), np.flatnonzero(piece == b)
        block = D[np.ix_(left, right)]
        i, j = np.unravel_index(int(block.argmin()), block.shape)
        links.append(sorted((int(left[i]), int(right[j]))))
    added = np.array(links, dtype=graph.edges.dtype)
    return NeighbourGraph(
        edges=np.concatenate([graph.edges, added]),
        lengths=np.concatenate([graph.lengths, D[added[:, 0], added[:, 1]]]),
        n_heads=graph.n_heads,
        n_pieces=graph.n_pieces,
        n_joined=len(links),
    )


def _pieces(graph: NeighbourGraph) -> Int[np.ndarray, " heads"]:
    """Number of the connected component that each head is in."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(graph.edges))  # not the lengths: one of 0 would read as "no edge"
    adjacency = coo_array((ones, graph.edges.T), shape=(graph.n_heads, graph.n_heads))
    labels: Int[np.ndarray, " heads"] = connected_components(adjacency, directed=False)[1]
    return labels


def geodesics(
    graph: NeighbourGraph, sources: Int[np.ndarray, " some"] | None = None
) -> Float[np.ndarray, "some heads"]:
    """Lengths of the shortest paths from some heads (None: from all); infinite between pieces."""
    from scipy.sparse.csgraph import dijkstra

    paths: Float[np.ndarray, "some heads"] = dijkstra(
        adjacency(graph), directed=True, indices=sources
    )
    return paths


def adjacency(graph: NeighbourGraph) -> Any:
    """Return the lengths of the edges, both ways, as a sparse matrix (H, H)."""
    from scipy.sparse import csr_array

    ends = np.concatenate([graph.edges, graph.edges[:, ::-1]])
    order = np.lexsort((ends[:, 1], ends[:, 0]))
    # Built row by row, so that edges of length 0 stay edges.
    counts = np.bincount(ends[:, 0], minlength=graph.n_heads)
    indptr = np.concatenate([[0], np.cumsum(counts)])
    lengths = np.concatenate([graph.lengths, graph.lengths])[order]
    return csr_array((lengths, ends[order, 1], indptr), shape=(graph.n_heads, graph.n_heads))


def rank_preservation(
    D: Float[np.ndarray, "heads heads"],
    coordinates: Float[np.ndarray, "heads components"],
    k: int | None = None,
) -> tuple[float, float]:
    """Trustworthiness and continuity of a picture (Venna and Kaski, 2001).

    With r(i, j) the rank of j among the neighbours of i in D and U_k(i) the k nearest of i in
    the picture that are not among its k nearest in D,
    T(k) = 1 - 2 / (n k (2n - 3k - 1)) * sum over i and j in U_k(i) of (r(i, j) - k).
    Continuity is the same with D and the picture in each other's place.

    Args:
        D: (H, H) distances.
        coordinates: (H, c) points.
        k: neighbours looked at, below H / 2; by default 10, or as many as there can be.

    Returns:
        Both, from 0 to 1; 1 and 1 for two heads or fewer, where nothing can be misplaced.

    Raises:
        InputError: if k is not between 1 and H / 2.
    """
    n = len(D)
    if n <= 2:
        return 1.0, 1.0
    largest = (n - 1) // 2
    k = min(_MOST_RANKED, largest) if k is None else k
    if not 1 <= k <= largest:
        raise InputError(f"k {k}: with {n} heads give a number from 1 to {largest}")
    picture = _euclidean(np.asarray(coordinates, dtype=np.float64))
    in_distances, in_picture = ranked_neighbours(D), ranked_neighbours(picture)
    return _kept(in_distances, in_picture, k), _kept(in_picture, in_distances, k)


def sampled_rank_preservation(
    coordinates: Float[np.ndarray, "heads components"],
    some: Int[np.ndarray, " some"],
    rows: Float[np.ndarray, "some heads"],
) -> tuple[float, float]:
    """`rank_preservation` with its sums taken over some of the heads, and scaled up to all.

    Args:
        coordinates: (H, c) points.
        some: heads to look at; all of them give `rank_preservation`.
        rows: their distances to all heads.
    """
    n = len(coordinates)
    if n <= 2:
        return 1.0, 1.0
    from scipy.spatial.distance import cdist

    k = min(_MOST_RANKED, (n - 1) // 2)
    points = np.asarray(coordinates, dtype=np.float64)
    penalties = np.zeros(2)
    for head, row in zip(some.tolist(), rows, strict=True):
        shown = cdist(points[head][None], points)[0]
        order = [np.argsort(values, kind="stable") for values in (row, shown)]
        order = [o[o != head] for o in order]
        for which in (0, 1):
            rank = np.empty(n, dtype=np.int64)
            rank[order[which]] = np.arange(1, n)
            penalties[which] += np.maximum(rank[order[1 - which][:k]] - k, 0).sum()
    kept = 1.0 - penalties / len(some) * 2.0 / (k * (2 * n - 3 * k - 1))
    return float(kept[0]), float(kept[1])


def _kept(truth: np.ndarray[Any, Any], shown: np.ndarray[Any, Any], k: int) -> float:
    """One less the penalty of the k nearest in `shown` that are further than k in `truth`."""
    n = len(truth)
    rank = np.zeros((n, n), dtype=np.int32)
    np.put_along_axis(rank, truth, np.arange(1, n)[None, :], axis=1)
    excess = np.take_along_axis(rank, shown[:, :k], axis=1) - k
    penalty = float(np.maximum(excess, 0).sum())
    return 1.0 - penalty * 2.0 / (n * k * (2 * n - 3 * k - 1))


def _euclidean(points: Float[np.ndarray, "heads c"]) -> Float[np.ndarray, "heads heads"]:
    from scipy.spatial.distance import pdist, squareform

    distances: Float[np.ndarray, "heads heads"] = squareform(pdist(points), checks=False)
    return distances
