"""Stage 6a: heads as points in two or three dimensions, from their distance matrix.

Isomap, UMAP, t-SNE and PCA behind one interface (paper, section 3: "project to a viewable low
dimensional space"). Every projection says how far it can be believed: how many of a head's
neighbours in the picture are neighbours in D (trustworthiness) and the reverse (continuity).
The same matrix and seed give the same coordinates, to the last bit on one machine.
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

# The neighbourhood sizes of the paper's appendix A.4 lie in this range.
NEIGHBOURHOODS = (2, 4, 8, 16, 32, 64)
DIMENSIONS = (2, 3)

# Up to three heads, classical scaling is exact and the iterative methods have nothing to do.
FEWEST_HEADS = 4
# From more heads on, only the eigenvectors that are needed are computed.
_LANCZOS_HEADS = 1000
_JITTER = 1e-4


@dataclass(frozen=True, slots=True)
class Projection:
    """Heads as points, and what the picture is worth.

    Attributes:
        method: a name in `PROJECTIONS`.
        n_neighbors: the neighbours asked for; 0 for a method that uses none. What was cut is in
            `note`.
        n_components: 2 or 3.
        coordinates: (H, n_components) float32, in the units of D for isomap and pca, in units
            without meaning for umap and tsne.
        trustworthiness: 0 to 1; 1 when each head's nearest in the picture are its nearest in D.
        continuity: 0 to 1; 1 when each head's nearest in D are its nearest in the picture.
        n_pieces: connected components of the neighbour graph (1 for a method without one).
        note: what a reader must know (neighbours cut, graph in pieces), or "".
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
    """What a method gets to work on: checked distances of at least four heads, not all 0.

    Attributes:
        D: (H, H) float64.
        graph: neighbour graph of D, perhaps in pieces; None for a method that uses none.
        n_neighbors: neighbours, at most H - 1.
        n_components: 2 or 3.
        seed: of whatever is random.
    """

    D: Distances
    graph: NeighbourGraph | None
    n_neighbors: int
    n_components: int
    seed: int


@dataclass(frozen=True, slots=True)
class ProjectionMethod:
    """A registry entry; the documentation is made from it."""

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
    """Place heads in a plane or in space so that near heads stay near.

    A neighbour graph in pieces never fails: isomap joins the pieces by their shortest links, the
    others keep them apart, and the note says so. One to three heads, or heads that are all at
    distance 0, are placed by classical scaling whatever the method.

    Args:
        D: (H, H) distances, symmetric, zero diagonal; H >= 1.
        method: a name in `PROJECTIONS`: isomap, umap, tsne or pca.
        n_neighbors: neighbours of each head, itself not counted; cut to H - 1. For tsne it is
            the perplexity.
        n_components: 2 or 3.
        seed: of umap and tsne, at least 0; isomap and pca use no randomness.

    Raises:
        InputError: if D is no distance matrix, the method is unknown or not installed, or a
            number is out of its range.
    """
    chosen = checked_method(method, n_neighbors, n_components, seed)
    matrix = check_distances(D)
    used = min(n_neighbors, len(matrix) - 1) if chosen.uses_neighbors else 0
    graph = neighbour_graph(matrix, used) if chosen.uses_neighbors else None
    task = Task(matrix, graph, used, n_components, seed)
    trivial = len(matrix) < FEWEST_HEADS or not matrix.any()
    with one_thread():
        coordinates = _classical(task) if trivial else chosen.compute(task)
    trustworthiness, continuity = rank_preservation(matrix, coordinates)
    return Projection(
        method=method,
        n_neighbors=n_neighbors if chosen.uses_neighbors else 0,
        n_components=n_components,
        coordinates=coordinates.astype(np.float32),
        trustworthiness=trustworthiness,
        continuity=continuity,
        n_pieces=graph.n_pieces if graph else 1,
        note=_note(task, chosen, n_neighbors, trivial),
    )


def projection_plan(
    methods: Sequence[str] = ("isomap", "umap", "tsne", "pca"),
    n_neighbors: Sequence[int] = NEIGHBOURHOODS,
    n_components: Sequence[int] = DIMENSIONS,
) -> list[tuple[str, int, int]]:
    """List (method, n_neighbors, n_components) to compute; a method without neighbours once.

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
    """Torgerson's scaling: the principal components of the points that D would come from.

    With J = I - 11^T/n and B = -J D^2 J / 2 (squares by entry), the coordinates are the leading
    eigenvectors of B times the square roots of their eigenvalues, negative ones taken as 0. For
    Euclidean distances these are the principal component scores. Each axis points to where its
    largest coordinate is positive.
    """
    n = len(D)
    squares = D**2
    means = squares.mean(axis=0)
    B = -0.5 * (squares - means[None, :] - means[:, None] + means.mean())
    coordinates = np.zeros((n, n_components))
    taken = min(n, n_components)
    values, vectors = _leading(B, taken)
    largest = vectors[np.argmax(np.abs(vectors), axis=0), np.arange(taken)]
    signs = np.where(largest < 0, -1.0, 1.0)
    coordinates[:, :taken] = vectors * signs * np.sqrt(np.maximum(values, 0.0))
    return coordinates


def _leading(
    B: Float[np.ndarray, "heads heads"], k: int
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, "heads k"]]:
    """The k largest eigenvalues of a symmetric matrix, descending, and their vectors.

    Of many heads by Lanczos' method, to the last digits: all of LAPACK's work grows with the cube
    of the heads, each of its steps with the square.
    """
    from scipy.linalg import eigh
    from scipy.sparse.linalg import ArpackNoConvergence, eigsh

    n = len(B)
    if n > _LANCZOS_HEADS:
        start = np.random.default_rng(0).standard_normal(n)
        with contextlib.suppress(ArpackNoConvergence):
            values, vectors = eigsh(B, k=k, which="LA", v0=start, tol=0)
            order = np.argsort(-values)
            return values[order], vectors[:, order]
    values, vectors = eigh(B, subset_by_index=[n - k, n - 1])
    return values[::-1], vectors[:, ::-1]


def _classical(task: Task) -> Coordinates:
    return classical_scaling(task.D, task.n_components)


def _isomap(task: Task) -> Coordinates:
    """Classical scaling of the lengths of shortest paths (Tenenbaum et al., 2000)."""
    assert task.graph is not None  # noqa: S101 - the registry entry asks for a graph
    paths = geodesics(join_pieces(task.graph, task.D))
    return classical_scaling(paths, task.n_components)


def _start(task: Task) -> Coordinates:
    """Where umap and tsne begin: classical scaling, unit spread, and a trace of noise.

    Beginning there, and not at random, keeps what is far apart far apart; the noise separates
    heads at distance 0 and gives a width to an axis that has none.
    """
    return with_noise(_classical(task), task.seed)


def with_noise(start: Coordinates, seed: int) -> Coordinates:
    """Scale points to unit spread along their widest axis, and add a trace of noise."""
    noise = np.random.default_rng(seed).normal(size=start.shape)
    scaled: Coordinates = start / start.std(axis=0).max() + _JITTER * noise
    return scaled


def _unit_mean(D: Distances) -> Distances:
    """Scale the distances to a mean of 1: the methods search best around there."""
    scaled: Distances = D / D.mean()
    return scaled


def _umap(task: Task) -> Coordinates:
    umap = load_umap()
    # umap-learn counts the head among its own neighbours, and takes no more than H - 1.
    model = umap.UMAP(
        n_neighbors=min(task.n_neighbors + 1, len(task.D) - 1),
        n_components=task.n_components,
        metric="precomputed",
        init=_start(task).astype(np.float32),
        random_state=task.seed,
        n_jobs=1,
    )
    with warnings.catch_warnings():  # of what a precomputed metric cannot do later
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
        # the customary spread of a start: small, so that heads can still pass each other
        init=(1e-4 * _start(task)).astype(np.float32),
        random_state=task.seed,
        n_jobs=1,
    )
    coordinates: Coordinates = model.fit_transform(_unit_mean(task.D))
    return coordinates


def _perplexity(task: Task) -> float:
    """At most a third of the other heads: beyond, all heads count as neighbours of all."""
    return max(min(float(task.n_neighbors), (len(task.D) - 1) / 3), 1.0)


def learning_rate(n: int) -> float:
    """Take n / 48 as scikit-learn does, but below 50 only as n / 12 demands.

    Its floor of 50 throws a few dozen heads about: with 72 in three dimensions the divergence
    ended at 1.08, with n / 12 at 0.07. (n / 48 in its units is the n / 12 of Belkina et al., 2019.)
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
    """One thread in the linear algebra: sums in another order would move the last digits."""
    return import_module("threadpoolctl").threadpool_limits(limits=1)


def _note(task: Task, method: ProjectionMethod, asked: int, trivial: bool) -> str:
    notes = []
    n = len(task.D)
    if method.uses_neighbors and asked > task.n_neighbors:
        notes.append(f"n_neighbors cut from {asked} to {n - 1}, all other heads")
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
            end = "how far apart they are drawn says little"
        notes.append(f"neighbour graph in {pieces} pieces: {end}")
    return "; ".join(notes)


def checked_method(method: str, n_neighbors: int, n_components: int, seed: int) -> ProjectionMethod:
    """Return the registry entry of a method.

    Raises:
        InputError: if it is unknown, or a number is out of its range.
    """
    chosen = _method(method)
    if n_components not in DIMENSIONS:
        raise InputError(f"n_components {n_components}: a projection has 2 or 3")
    if chosen.uses_neighbors and n_neighbors < 1:
        raise InputError(f"n_neighbors {n_neighbors}: at least 1 is needed")
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
