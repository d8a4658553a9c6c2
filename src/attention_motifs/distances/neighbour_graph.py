"""Distance matrices and their neighbour graphs, for projections and clusterings.

Pure functions on arrays. The neighbours of a head never include the head itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.errors import InputError
from attention_motifs.features.arguments import number_array

if TYPE_CHECKING:
    from jaxtyping import Float, Int

DENSE_LIMIT = 20_000
"""Number of heads up to which the distances of all pairs are computed and kept (1.6 GB)."""

# Rounding error allowed in float32 distances, relative to the largest distance.
_TOLERANCE = 1e-4
_MOST_RANKED = 10


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The nearest heads of every head, for atlases with too many heads for all pairs.

    Attributes:
        heads: (H, k) int32 numbers of the k nearest other heads, nearest first.
        distances: (H, k) float32 distances to them.
    """

    heads: Int[np.ndarray, "heads nearest"]
    distances: Float[np.ndarray, "heads nearest"]


Rows = Callable[[Any], Any]
"""A function from numbers of some heads to their distances to all heads: (some, H)."""


@dataclass(frozen=True, slots=True)
class NeighbourGraph:
    """An undirected graph whose edges carry distances.

    Attributes:
        edges: (E, 2) heads at the ends of each edge, the smaller number first, sorted, unique.
        lengths: (E,) distance along each edge; zero between heads with equal clouds.
        n_heads: number of heads H.
        n_pieces: number of connected components before any were joined.
        n_joined: number of edges (at the end of the list) added to join the components.
    """

    edges: Int[np.ndarray, "edges 2"]
    lengths: Float[np.ndarray, " edges"]
    n_heads: int
    n_pieces: int
    n_joined: int = 0


def check_distances(D: Float[np.ndarray, "heads heads"]) -> Float[np.ndarray, "heads heads"]:
    """Return a float64 copy of a distance matrix, made exactly symmetric with a zero diagonal.

    Corrects rounding errors (asymmetry and negative entries up to 1e-4 of the largest distance)
    and refuses larger ones.

    Raises:
        InputError: if D is not a square matrix of numbers, is empty, or holds a NaN, an infinite
            or negative distance, a diagonal that is not zero, or two values for one pair.
    """
    values = number_array(D, "distances", ("heads", "heads"))
    if values.shape[0] != values.shape[1] or values.shape[0] == 0:
        raise InputError(
            f"distances have shape {values.shape}. Give a square matrix, heads x heads."
        )
    largest = 0.0
    for start, rows in _in_blocks(values):
        _refuse(~np.isfinite(rows), rows, start, "is not finite. Recompute the distances.")
        largest = max(largest, float(np.abs(rows).max()))
    slack = _TOLERANCE * largest
    for start, rows in _in_blocks(values):
        negative = "is negative. Give distances, not similarities."
        _refuse(rows < -slack, rows, start, negative)
    matrix = np.empty(values.shape)
    for start, rows in _in_blocks(values):
        mirror = np.asarray(values[:, start : start + len(rows)].T, dtype=np.float64)
        unlike = "differs from its mirror image. Symmetrise the matrix."
        _refuse(np.abs(rows - mirror) > slack, rows, start, unlike)
        matrix[start : start + len(rows)] = np.maximum((rows + mirror) / 2, 0.0)
    diagonal = np.diagonal(values).astype(np.float64)
    for head in np.flatnonzero(np.abs(diagonal) > slack)[:1].tolist():
        raise InputError(
            f"distance matrix: entry [{head}, {head}] = {diagonal[head]:.6g} is a head's distance "
            "from itself and must be 0. Give distances, not similarities."
        )
    np.fill_diagonal(matrix, 0.0)
    return matrix


_ROWS_AT_A_TIME = 256
"""Rows of a matrix of all pairs that are copied at a time: it may be larger than the memory."""


def _in_blocks(
    values: np.ndarray[Any, Any],
) -> Iterator[tuple[int, Float[np.ndarray, "some heads"]]]:
    """Yield the first row and a float64 copy of a few rows of a matrix at a time."""
    for start in range(0, len(values), _ROWS_AT_A_TIME):
        yield start, np.array(values[start : start + _ROWS_AT_A_TIME], dtype=np.float64)


def _refuse(
    bad: np.ndarray[Any, Any], rows: np.ndarray[Any, Any], first_row: int, why: str
) -> None:
    if bad.any():
        i, j = np.unravel_index(int(np.argmax(bad)), bad.shape)
        raise InputError(f"distance matrix: entry [{first_row + i}, {j}] = {rows[i, j]:.6g} {why}")


def ranked_neighbours(
    D: Float[np.ndarray, "heads heads"], n: int | None = None
) -> Int[np.ndarray, "heads others"]:
    """Return the other heads of each head, nearest first; ties in the order of the heads.

    Args:
        D: (H, H) distances.
        n: number of heads for each head (default: all others).
    """
    n_heads = len(D)
    n = n_heads - 1 if n is None else min(n, n_heads - 1)
    nearest: Int[np.ndarray, "heads others"] = np.empty((n_heads, n), dtype=np.int64)
    for start in range(0, n_heads, _ROWS_AT_A_TIME):
        rows = np.array(D[start : start + _ROWS_AT_A_TIME])
        heads = np.arange(len(rows)) + start
        few = 0 < n < n_heads // 4 and bool(np.isfinite(rows).all())
        chosen = _few_ranked(rows, heads, n) if few else _ranked(rows, heads)[:, :n]
        nearest[start : start + len(rows)] = chosen
    return nearest


def nearest_in(D: Float[np.ndarray, "heads heads"], n: int) -> Neighbours:
    """Return the `n` nearest heads of each head from a matrix of all pairs, a few rows at a time.

    Args:
        D: (H, H) distances, such as those of a file.
        n: number of heads for each head, at most H - 1.
    """
    heads = ranked_neighbours(D, n)
    distances = np.empty(heads.shape, dtype=np.float32)
    for start in range(0, len(heads), _ROWS_AT_A_TIME):
        of_rows = heads[start : start + _ROWS_AT_A_TIME]
        rows = np.asarray(D[start : start + len(of_rows)])
        distances[start : start + len(of_rows)] = np.take_along_axis(rows, of_rows, axis=1)
    return Neighbours(heads.astype(np.int32), distances)


def _few_ranked(
    rows: Float[np.ndarray, "some heads"], heads: Int[np.ndarray, " some"], n: int
) -> Int[np.ndarray, "some n"]:
    """Return the first n columns of `_ranked`, without sorting whole rows, which are changed."""
    at = np.arange(len(rows))
    rows[at, heads] = np.inf
    farthest = np.partition(rows, n - 1, axis=1)[:, n - 1]
    place, other = np.nonzero(rows <= farthest[:, None])  # n of each row, or more with ties
    order = np.lexsort((other, rows[place, other], place))
    first = np.searchsorted(place, at)
    chosen: Int[np.ndarray, "some n"] = other[order][first[:, None] + np.arange(n)]
    return chosen


def _ranked(
    rows: Float[np.ndarray, "some heads"], heads: Int[np.ndarray, " some"]
) -> Int[np.ndarray, "some others"]:
    """Rank all other heads by distance from some heads, given their rows of distances."""
    order = np.argsort(rows, axis=1, kind="stable")
    # A head is left out by its number, since another head may be at distance 0 too.
    others: Int[np.ndarray, "some others"] = order[order != heads[:, None]].reshape(
        len(rows), rows.shape[1] - 1
    )
    return others


def neighbour_graph(D: Float[np.ndarray, "heads heads"], n_neighbors: int) -> NeighbourGraph:
    """Connect each head to its `n_neighbors` nearest; an edge needs one of its ends only.

    Args:
        D: (H, H) checked distances.
        n_neighbors: 1 or more; at most H - 1 are used.
    """
    n = len(D)
    nearest = ranked_neighbours(D, n_neighbors)
    pairs = np.stack([np.repeat(np.arange(n), nearest.shape[1]), nearest.reshape(-1)], axis=1)
    edges = np.unique(np.sort(pairs, axis=1), axis=0) if len(pairs) else pairs
    lengths = D[edges[:, 0], edges[:, 1]]
    graph = NeighbourGraph(edges, lengths, n, n_pieces=1)
    n_pieces = int(_pieces(graph).max()) + 1
    return NeighbourGraph(edges, lengths, n, n_pieces)


def graph_of(neighbours: Neighbours, n_neighbors: int) -> NeighbourGraph:
    """Build the graph of `neighbour_graph` from lists of nearest heads.

    Args:
        neighbours: the nearest heads of all heads.
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
"""Rows of distances that `join_by_rows` requests at a time, over all components."""


def join_by_rows(graph: NeighbourGraph, rows: Rows) -> NeighbourGraph:
    """Add edges that connect all components, without the distances of all pairs.

    Connects some evenly chosen heads of each component but the largest to their nearest head
    outside of it, and repeats until one component remains (after Boruvka). With few small
    components the result is that of `join_pieces`.

    Args:
        graph: a graph of one or more components.
        rows: a function that returns exact distances from some heads to all.
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
                continue  # joined to another component in this round
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
    """Add the shortest edges that connect all components: a minimum spanning tree of components.

    The distance of two components is that of their two nearest heads; c components need c - 1.
    """
    if graph.n_pieces == 1:
        return graph
    from scipy.sparse.csgraph import minimum_spanning_tree

    piece = _pieces(graph)
    order = np.argsort(piece, kind="stable")
    starts = np.searchsorted(piece[order], np.arange(graph.n_pieces))
    rows = np.minimum.reduceat(D[order], starts, axis=0)
    gaps = np.minimum.reduceat(rows[:, order], starts, axis=1)
    # A constant added to every gap does not change the tree, and keeps gaps of 0 from being read
    # as missing edges.
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
    """Return the number of the connected component of each head."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(graph.edges))  # not the lengths: 0 would be read as a missing edge
    adjacency = coo_array((ones, graph.edges.T), shape=(graph.n_heads, graph.n_heads))
    labels: Int[np.ndarray, " heads"] = connected_components(adjacency, directed=False)[1]
    return labels


def geodesics(
    graph: NeighbourGraph, sources: Int[np.ndarray, " some"] | None = None
) -> Float[np.ndarray, "some heads"]:
    """Return shortest path lengths from some heads (None: all); infinite between components."""
    from scipy.sparse.csgraph import dijkstra

    paths: Float[np.ndarray, "some heads"] = dijkstra(
        adjacency(graph), directed=True, indices=sources
    )
    return paths


def adjacency(graph: NeighbourGraph) -> Any:
    """Return the lengths of the edges as a sparse symmetric matrix (H, H)."""
    from scipy.sparse import csr_array

    ends = np.concatenate([graph.edges, graph.edges[:, ::-1]])
    order = np.lexsort((ends[:, 1], ends[:, 0]))
    # Built row by row, so that edges of length 0 are kept.
    counts = np.bincount(ends[:, 0], minlength=graph.n_heads)
    indptr = np.concatenate([[0], np.cumsum(counts)])
    lengths = np.concatenate([graph.lengths, graph.lengths])[order]
    return csr_array((lengths, ends[order, 1], indptr), shape=(graph.n_heads, graph.n_heads))


def rank_preservation(
    D: Float[np.ndarray, "heads heads"],
    coordinates: Float[np.ndarray, "heads components"],
    k: int | None = None,
) -> tuple[float, float]:
    """Compute the trustworthiness and continuity of a projection (Venna and Kaski, 2001).

    With r(i, j) the rank of j among the neighbours of i in D and U_k(i) the k nearest of i in
    the projection that are not among its k nearest in D,
    T(k) = 1 - 2 / (n k (2n - 3k - 1)) * sum over i and j in U_k(i) of (r(i, j) - k).
    Continuity is the same with D and the projection exchanged.

    Args:
        D: (H, H) distances.
        coordinates: (H, c) points.
        k: number of neighbours, below H / 2; default 10, or the largest possible number.

    Returns:
        Both, from 0 to 1; for one or two heads 1 and 1.

    Raises:
        InputError: if k is not between 1 and H / 2.
    """
    n = len(D)
    if n <= 2:
        return 1.0, 1.0
    largest = (n - 1) // 2
    k = min(_MOST_RANKED, largest) if k is None else k
    if not 1 <= k <= largest:
        raise InputError(f"k is {k}. With {n} heads give a number from 1 to {largest}.")
    from scipy.spatial.distance import cdist

    points = np.asarray(coordinates, dtype=np.float64)
    penalties = np.zeros(2)
    for start, rows in _in_blocks(D):
        heads = np.arange(len(rows)) + start
        near, shown = (_ranked(x, heads) for x in (rows, cdist(points[heads], points)))
        penalties += [_penalty(near, shown, k), _penalty(shown, near, k)]
    kept = 1.0 - penalties * 2.0 / (n * k * (2 * n - 3 * k - 1))
    return float(kept[0]), float(kept[1])


def sampled_rank_preservation(
    coordinates: Float[np.ndarray, "heads components"],
    some: Int[np.ndarray, " some"],
    rows: Float[np.ndarray, "some heads"],
) -> tuple[float, float]:
    """Estimate `rank_preservation` from sums over some of the heads.

    Args:
        coordinates: (H, c) points.
        some: numbers of the heads summed over; all of them give `rank_preservation`.
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


def _penalty(truth: np.ndarray[Any, Any], shown: np.ndarray[Any, Any], k: int) -> int:
    """Return by how many ranks the k nearest in `shown` are beyond the k nearest in `truth`."""
    rank = np.zeros((len(truth), truth.shape[1] + 1), dtype=np.int32)
    np.put_along_axis(rank, truth, np.arange(1, rank.shape[1], dtype=np.int32)[None, :], axis=1)
    excess = np.take_along_axis(rank, shown[:, :k], axis=1) - k
    return int(np.maximum(excess, 0).sum())
