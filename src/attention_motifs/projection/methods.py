"""Projections of heads to two or three dimensions from their distance matrix.

Isomap, UMAP, t-SNE and PCA have one interface (paper, section 3: "project to a viewable low
dimensional space"). Every projection reports its faithfulness: trustworthiness (neighbours in the
projection are neighbours in D) and continuity (the reverse). The same matrix and seed give
bit-identical coordinates on one machine.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.distances.neighbour_graph import (
    NeighbourGraph,
    check_distances,
    geodesics,
    join_pieces,
    neighbour_graph,
    rank_preservation,
)
from attention_motifs.errors import InputError, require

if TYPE_CHECKING:
    from jaxtyping import Float

    Distances = Float[np.ndarray, "heads heads"]
    Coordinates = Float[np.ndarray, "heads components"]

# The neighbourhood sizes of the paper's appendix A.4 are in this range.
NEIGHBOURHOODS = (2, 4, 8, 16, 32, 64)
DIMENSIONS = (2, 3)

# Classical scaling is exact for up to three heads, so the iterative methods are not needed.
FEWEST_HEADS = 4
# Above this number of heads, only the leading eigenvectors are computed.
_LANCZOS_HEADS = 1000
_JITTER = 1e-4


@dataclass(frozen=True, slots=True)
class Projection:
    """Coordinates of heads, and how faithful they are.

    Attributes:
        method: a name in `PROJECTIONS`.
        n_neighbors: the requested neighbours; 0 for a method that uses none. `note` reports a
            reduction.
        n_components: 2 or 3.
        coordinates: (H, n_components) float32, in the units of D for isomap and pca, in
            arbitrary units for umap and tsne.
        trustworthiness: 0 to 1; 1 if each head's nearest in the projection are its nearest in D.
        continuity: 0 to 1; 1 if each head's nearest in D are its nearest in the projection.
        n_pieces: connected components of the neighbour graph (1 for a method without one).
        note: warnings for the reader (fewer neighbours used, graph in pieces), or "".
    """

    method: str
    n_neighbors: int
    n_components: int
    coordinates: Coordinates
    trustworthiness: float
    continuity: float
    n_pieces: int
    note: str


@dataclass(frozen=True, slots=True)
class Task:
    """Input of a method: checked distances of at least four heads, not all 0.

    Attributes:
        D: (H, H) float64.
        graph: neighbour graph of D, perhaps in pieces; None for a method that uses none.
        n_neighbors: neighbours, at most H - 1.
        n_components: 2 or 3.
        seed: seed for the random parts of the method.
    """

    D: Distances
    graph: NeighbourGraph | None
    n_neighbors: int
    n_components: int
    seed: int


@dataclass(frozen=True, slots=True)
class ProjectionMethod:
    """A registry entry, from which the documentation is generated."""

    name: str
    title: str
    uses_neighbors: bool
    formula: str
    source: str
    compute: Callable[[Task], Coordinates]


def project(
    D: Distances,
    *,
    method: str = "isomap",
    n_neighbors: int = 16,
    n_components: int = 2,
    seed: int = 0,
) -> Projection:
    """Project heads to two or three dimensions so that near heads stay near.

    A neighbour graph in pieces is accepted: isomap joins the pieces by their shortest links, the
    other methods keep them apart, and `note` reports it. One to three heads, or heads that are all
    at distance 0, are placed by classical scaling with every method.

    Args:
        D: (H, H) distances, symmetric, zero diagonal; H >= 1.
        method: a name in `PROJECTIONS`: isomap, umap, tsne or pca.
        n_neighbors: neighbours of each head, not counting itself; at most H - 1 are used. The
            perplexity for tsne.
        n_components: 2 or 3.
        seed: seed for umap and tsne, at least 0; isomap and pca are deterministic.

    Returns:
        The coordinates with their trustworthiness, continuity and note.

    Raises:
        InputError: if D is not a distance matrix, the method is unknown or not installed, or a
            number is out of range.
    """
    chosen = checked_method(method, n_neighbors, n_components, seed)
    matrix = check_distances(D)
    used = min(n_neighbors, len(matrix) - 1) if chosen.uses_neighbors else 0
    graph = neighbour_graph(matrix, used) if chosen.uses_neighbors else None
    task = Task(matrix, graph, used, n_components, seed)
    trivial = len(matrix) < FEWEST_HEADS or not matrix.any()
    with one_thread():
        coordinates = _classical(task) if trivial else chosen.compute(task)
    quality = rank_preservation(matrix, coordinates)
    note = _note(task, chosen, n_neighbors, trivial)
    return projected(chosen, n_neighbors, coordinates, quality, graph, note)


def bytes_of_all_pairs(n_heads: int) -> int:
    """Return the bytes of memory that `project` uses at most on some heads."""
    return _BYTES_PER_PAIR * n_heads**2


_BYTES_PER_PAIR = 28
"""Per entry of the matrix: the stored distances (4), and three matrices of float64."""


def projected(
    method: ProjectionMethod,
    n_neighbors: int,
    coordinates: Coordinates,
    quality: tuple[float, float],
    graph: NeighbourGraph | None,
    note: str,
) -> Projection:
    """Return the projection of these coordinates, with its trustworthiness and continuity."""
    trustworthiness, continuity = quality
    return Projection(
        method=method.name,
        n_neighbors=n_neighbors if method.uses_neighbors else 0,
        n_components=coordinates.shape[1],
        coordinates=coordinates.astype(np.float32),
        trustworthiness=trustworthiness,
        continuity=continuity,
        n_pieces=graph.n_pieces if graph else 1,
        note=note,
    )


def projection_plan(
    methods: Sequence[str] = ("isomap", "umap", "tsne", "pca"),
    n_neighbors: Sequence[int] = NEIGHBOURHOODS,
    n_components: Sequence[int] = DIMENSIONS,
) -> list[tuple[str, int, int]]:
    """List (method, n_neighbors, n_components) to compute; a method without neighbours has 0.

    Raises:
        InputError: if a method is unknown.
    """
    return [
        (method, k, dimension)
        for method in methods
        for k in (n_neighbors if _method(method).uses_neighbors else (0,))
        for dimension in n_components
    ]


def classical_scaling(D: Distances, n_components: int) -> Coordinates:
    """Compute Torgerson's scaling: principal components of points with the distances D.

    With J = I - 11^T/n and B = -J D^2 J / 2 (squares by entry), the coordinates are the leading
    eigenvectors of B times the square roots of their eigenvalues, negative ones set to 0. For
    Euclidean distances these are the principal component scores. The sign of each axis makes its
    largest coordinate positive.
    """
    return _scaled(D**2, n_components)


def _scaled(squares: Distances, n_components: int) -> Coordinates:
    """Compute `classical_scaling` from the squares of the distances, which are overwritten."""
    n, B = len(squares), squares
    means = squares.mean(axis=0)
    centre = means.mean()
    B -= means[None, :]
    B -= means[:, None]
    B += centre
    B *= -0.5
    coordinates = np.zeros((n, n_components))
    n_axes = min(n, n_components)
    values, vectors = _leading(B, n_axes)
    largest = vectors[np.argmax(np.abs(vectors), axis=0), np.arange(n_axes)]
    signs = np.where(largest < 0, -1.0, 1.0)
    coordinates[:, :n_axes] = vectors * signs * np.sqrt(np.maximum(values, 0.0))
    return coordinates


def _leading(
    B: Float[np.ndarray, "heads heads"], k: int
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, "heads k"]]:
    """Return the k largest eigenvalues of a symmetric matrix, descending, and their vectors.

    Lanczos' method is used for many heads, at full precision: the cost of LAPACK's solver grows
    with the cube of the heads, the cost of one Lanczos step with the square.
    """
    from scipy.linalg import eigh
    from scipy.sparse.linalg import ArpackError, eigsh

    n = len(B)
    if n > _LANCZOS_HEADS:
        start = np.random.default_rng(0).standard_normal(n)
        with contextlib.suppress(ArpackError):  # no convergence, or no direction at all
            values, vectors = eigsh(B, k=k, which="LA", v0=start, tol=0)
            order = np.argsort(-values)
            return values[order], vectors[:, order]
    values, vectors = eigh(B, subset_by_index=[n - k, n - 1])
    if len(values) < k:  # LAPACK may return none of many equal eigenvalues, and no error
        values, vectors = eigh(B)
    return values[: -k - 1 : -1], vectors[:, : -k - 1 : -1]


def _classical(task: Task) -> Coordinates:
    return classical_scaling(task.D, task.n_components)


def _isomap(task: Task) -> Coordinates:
    """Classical scaling of the lengths of shortest paths (Tenenbaum et al., 2000)."""
    assert task.graph is not None  # noqa: S101 - the registry entry asks for a graph
    paths = geodesics(join_pieces(task.graph, task.D))
    return _scaled(np.square(paths, out=paths), task.n_components)


def _start(task: Task) -> Coordinates:
    """Return the initial coordinates of umap and tsne: scaled classical scaling with noise.

    Compared with a random start, it keeps distant heads apart; the noise separates heads at
    distance 0 and spreads an axis without variance.
    """
    return with_noise(_classical(task), task.seed)


def with_noise(start: Coordinates, seed: int) -> Coordinates:
    """Scale points to unit spread along their widest axis, and add a little noise."""
    noise = np.random.default_rng(seed).normal(size=start.shape)
    scaled: Coordinates = start / start.std(axis=0).max() + _JITTER * noise
    return scaled


def _unit_mean(D: Distances) -> Distances:
    """Scale the distances to a mean of 1, where the optimisers converge best."""
    scaled: Distances = D / D.mean()
    return scaled


def _umap(task: Task) -> Coordinates:
    umap = load_umap()
    # umap-learn counts the head as its own neighbour, and accepts at most H - 1.
    model = umap.UMAP(
        n_neighbors=min(task.n_neighbors + 1, len(task.D) - 1),
        n_components=task.n_components,
        metric="precomputed",
        init=_start(task).astype(np.float32),
        random_state=task.seed,
        n_jobs=1,
    )
    with warnings.catch_warnings():  # about transforms that a precomputed metric does not support
        warnings.simplefilter("ignore")
        coordinates: Coordinates = model.fit_transform(_unit_mean(task.D))
    return coordinates


def _tsne(task: Task) -> Coordinates:
    from sklearn.manifold import TSNE

    model = TSNE(
        n_components=task.n_components,
        perplexity=_perplexity(task),
        learning_rate=learning_rate(len(task.D)),
        metric="precomputed",
        # A small initial spread, as is usual, lets heads pass each other.
        init=(1e-4 * _start(task)).astype(np.float32),
        random_state=task.seed,
        n_jobs=1,
    )
    coordinates: Coordinates = model.fit_transform(_unit_mean(task.D))
    return coordinates


def _perplexity(task: Task) -> float:
    """Limit the perplexity to a third of the other heads; above, all heads are neighbours."""
    return max(min(float(task.n_neighbors), (len(task.D) - 1) / 3), 1.0)


def learning_rate(n: int) -> float:
    """Return the learning rate of t-SNE: scikit-learn's max(n / 48, 50), but at most n / 12.

    A rate of 50 is too large for a few dozen heads: with 72 heads in three dimensions the final
    divergence was 1.08, with n / 12 it was 0.07. (n / 48 in scikit-learn's units is the n / 12 of
    Belkina et al., 2019.)
    """
    return min(max(n / 48, 50.0), n / 12)


def load_umap() -> Any:
    """Import umap-learn, without the warnings of its import.

    Raises:
        InputError: if it is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return require("umap", "projection 'umap'")


def one_thread() -> Any:
    """Limit the linear algebra to one thread, since the order of sums changes the last digits."""
    return import_module("threadpoolctl").threadpool_limits(limits=1)


def _note(task: Task, method: ProjectionMethod, requested: int, trivial: bool) -> str:
    notes = []
    n = len(task.D)
    if method.uses_neighbors and requested > task.n_neighbors:
        notes.append(f"n_neighbors cut from {requested} to {n - 1}, all other heads")
    if method.name == "tsne" and not trivial and _perplexity(task) < task.n_neighbors:
        notes.append(f"perplexity cut to {_perplexity(task):.3g}, a third of the other heads")
    if trivial and method.name != "pca":
        why = "all heads at distance 0" if n >= FEWEST_HEADS else "fewer than 4 heads"
        notes.append(f"{why}: placed by classical scaling")
    elif task.graph is not None and task.graph.n_pieces > 1:
        pieces = task.graph.n_pieces
        if method.name == "isomap":
            links = "link" if pieces == 2 else f"{pieces - 1} links"
            end = f"joined by the shortest {links} between them"
        else:
            end = "the distances between them mean little"
        notes.append(f"neighbour graph in {pieces} pieces: {end}")
    return "; ".join(notes)


def checked_method(method: str, n_neighbors: int, n_components: int, seed: int) -> ProjectionMethod:
    """Return the registry entry of a method.

    Raises:
        InputError: if it is unknown, or a number is out of range.
    """
    chosen = _method(method)
    if n_components not in DIMENSIONS:
        raise InputError(f"n_components {n_components}: give 2 or 3")
    if chosen.uses_neighbors and n_neighbors < 1:
        raise InputError(f"n_neighbors {n_neighbors}: give at least 1")
    if not 0 <= seed < 2**32:
        raise InputError(f"seed {seed}: give a whole number from 0 to 2**32 - 1")
    return chosen


def _method(name: str) -> ProjectionMethod:
    if name not in PROJECTIONS:
        raise InputError(f"projection {name!r} is not known; choose from {', '.join(PROJECTIONS)}")
    return PROJECTIONS[name]


PROJECTIONS: dict[str, ProjectionMethod] = {
    entry.name: entry
    for entry in (
        ProjectionMethod(
            "isomap",
            "Isomap",
            True,
            r"\text{classical scaling of } g_{ij} = \text{shortest path in the neighbour graph}",
            "Tenenbaum, de Silva and Langford (2000), Science 290:2319",
            _isomap,
        ),
        ProjectionMethod(
            "umap",
            "UMAP",
            True,
            r"\min \sum_{i<j} -v_{ij}\ln w_{ij} - (1 - v_{ij})\ln(1 - w_{ij})",
            "McInnes, Healy and Melville (2018), arXiv:1802.03426",
            _umap,
        ),
        ProjectionMethod(
            "tsne",
            "t-SNE",
            True,
            r"\min \sum_{i \ne j} p_{ij}\ln(p_{ij} / q_{ij})",
            "van der Maaten and Hinton (2008), JMLR 9:2579",
            _tsne,
        ),
        ProjectionMethod(
            "pca",
            "PCA",
            False,
            r"B = -\tfrac12 J D^{\circ 2} J,\quad X = V_k \Lambda_k^{1/2}",
            "Torgerson (1952), Psychometrika 17:401",
            _classical,
        ),
    )
}
