"""Projections for atlases with too many heads to store the distances of all pairs.

They use the nearest heads of each head and the exact distances from a few hundred landmarks to
all heads: classical scaling places the landmarks, and triangulation the other heads (de Silva and
Tenenbaum, 2004). If every head is a landmark, isomap and pca equal those of `project`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.distances.neighbour_graph import (
    NeighbourGraph,
    Neighbours,
    Rows,
    geodesics,
    graph_of,
    join_by_rows,
    sampled_rank_preservation,
)
from attention_motifs.errors import InputError
from attention_motifs.projection import methods as m

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from attention_motifs.projection.methods import Coordinates

N_LANDMARKS = 256
"""Default number of landmarks."""


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Exact distances from some heads to all heads.

    Attributes:
        heads: (L,) numbers of the landmarks, increasing.
        rows: (L, H) float32.
    """

    heads: Int[np.ndarray, " landmarks"]
    rows: Float[np.ndarray, "landmarks heads"]

    @classmethod
    def choose(cls, n_heads: int, rows: Rows, n: int = N_LANDMARKS, seed: int = 0) -> Landmarks:
        """Draw `n` landmarks at random, or all heads if there are fewer."""
        heads = np.sort(np.random.default_rng(seed).permutation(n_heads)[:n])
        return cls(heads, np.asarray(rows(heads), dtype=np.float32))


def project_neighbours(
    neighbours: Neighbours,
    landmarks: Landmarks,
    rows: Rows,
    *,
    method: str = "isomap",
    n_neighbors: int = 16,
    n_components: int = 2,
    seed: int = 0,
) -> m.Projection:
    """Project heads to two or three dimensions from the nearest heads of each.

    `isomap` uses the shortest paths from the landmarks, `pca` is landmark scaling; `umap` and
    `tsne` take the lists of neighbours and start at landmark scaling. Trustworthiness and
    continuity are computed over the landmarks.

    Args:
        neighbours: nearest heads of all heads; at most the listed ones are used.
        landmarks: landmarks of the same heads and metric.
        rows: function that returns exact distances from some heads to all; joins a graph in pieces.
        method: a name in `PROJECTIONS`.
        n_neighbors: as for `project`; for tsne the perplexity, at most a third of the listed heads.
        n_components: 2 or 3.
        seed: seed for umap and tsne, at least 0.

    Returns:
        As `project`.

    Raises:
        InputError: as `project`.
    """
    chosen = m.checked_method(method, n_neighbors, n_components, seed)
    n = len(neighbours.heads)
    listed = neighbours.heads.shape[1]
    used = min(n_neighbors, listed) if chosen.uses_neighbors else 0
    graph = graph_of(neighbours, used) if chosen.uses_neighbors else None
    trivial = n < m.FEWEST_HEADS or not landmarks.rows.any()
    notes = [f"by {len(landmarks.heads)} landmarks"] if method in ("isomap", "pca") else []
    if chosen.uses_neighbors and n_neighbors > used:
        notes.append(f"n_neighbors cut from {n_neighbors} to {used}, the number stored")
    with m.one_thread():
        if trivial or method == "pca":
            coordinates = landmark_scaling(landmarks.rows, landmarks.heads, n_components)
        elif method == "isomap":
            assert graph is not None  # noqa: S101 - the registry entry asks for a graph
            paths = geodesics(join_by_rows(graph, rows), landmarks.heads)
            coordinates = landmark_scaling(paths, landmarks.heads, n_components)
        else:
            start = m.with_noise(
                landmark_scaling(landmarks.rows, landmarks.heads, n_components), seed
            )
            if method == "umap":
                coordinates = _umap(neighbours, used, start, seed)
            else:
                perplexity = max(1.0, min(float(n_neighbors), (listed - 1) / 3))
                if perplexity < used:
                    notes.append(f"perplexity cut to {perplexity:.3g}, a third of those stored")
                coordinates = _tsne(neighbours, perplexity, start, seed)
        quality = sampled_rank_preservation(coordinates, landmarks.heads, landmarks.rows)
    note = "; ".join([*notes, *_pieces_note(graph, method)])
    return m.projected(chosen, n_neighbors, coordinates, quality, graph, note)


def _pieces_note(graph: NeighbourGraph | None, method: str) -> list[str]:
    if graph is None or graph.n_pieces == 1:
        return []
    end = "joined by near links" if method == "isomap" else "the distances between them mean little"
    return [f"neighbour graph in {graph.n_pieces} pieces: {end}"]


def landmark_scaling(
    rows: Float[np.ndarray, "landmarks heads"],
    landmarks: Int[np.ndarray, " landmarks"],
    n_components: int,
) -> Coordinates:
    """Place the landmarks by classical scaling, and all heads by their distances to them.

    With S the squares of the distances of the landmarks, s their means by landmark, and V, L the
    leading eigenvectors and values of -J S J / 2, a head whose squared distances to the landmarks
    are d is placed at -L^(-1/2) V^T (d - s) / 2. The signs of the axes are
    those of `classical_scaling`.

    Args:
        rows: (L, H) distances from the landmarks to all heads.
        landmarks: (L,) numbers of the landmarks.
        n_components: number of axes.

    Returns:
        (H, n_components) coordinates.

    Raises:
        InputError: if rows and landmarks differ in number.
    """
    if len(rows) != len(landmarks):
        raise InputError(
            f"{len(rows)} rows for {len(landmarks)} landmarks: give one row per landmark"
        )
    squares = np.asarray(rows[:, landmarks], dtype=np.float64) ** 2
    means = squares.mean(axis=1)
    B = -0.5 * (squares - means[None, :] - means[:, None] + means.mean())
    values, vectors = np.linalg.eigh((B + B.T) / 2)
    n_axes = min(len(landmarks), n_components)
    values, vectors = values[::-1][:n_axes], vectors[:, ::-1][:, :n_axes]
    largest = vectors[np.argmax(np.abs(vectors), axis=0), np.arange(n_axes)]
    vectors = vectors * np.where(largest < 0, -1.0, 1.0)
    usable = values > max(float(values.max(initial=0.0)), 0.0) * 1e-12
    scale = np.where(usable, 1.0 / np.sqrt(np.where(usable, values, 1.0)), 0.0)
    coordinates = np.zeros((rows.shape[1], n_components))
    step = max(1, _NUMBERS_AT_A_TIME // len(landmarks))
    for start in range(0, rows.shape[1], step):
        part = np.asarray(rows[:, start : start + step], dtype=np.float64) ** 2
        coordinates[start : start + step, :n_axes] = (
            -0.5 * (part - means[:, None]).T @ (vectors * scale)
        )
    return coordinates


_NUMBERS_AT_A_TIME = 2**24
"""Number of distances in float64 in memory at a time."""


def _umap(neighbours: Neighbours, k: int, start: Coordinates, seed: int) -> Coordinates:
    umap = m.load_umap()
    # umap-learn counts each head as its own first neighbour.
    heads = np.column_stack([np.arange(len(start)), neighbours.heads[:, :k]])
    distances = np.column_stack([np.zeros(len(start)), neighbours.distances[:, :k]])
    model = umap.UMAP(
        n_neighbors=k + 1,
        n_components=start.shape[1],
        init=start.astype(np.float32),
        precomputed_knn=(heads.astype(np.int64), distances / _unit(distances), None),
        force_approximation_algorithm=True,  # else few heads are measured again
        random_state=seed,
        n_jobs=1,
    )
    with warnings.catch_warnings():  # about an index for new points, which is not needed
        warnings.simplefilter("ignore")
        coordinates: Coordinates = model.fit_transform(start.astype(np.float32))
    return coordinates


def _tsne(neighbours: Neighbours, perplexity: float, start: Coordinates, seed: int) -> Coordinates:
    from scipy.sparse import csr_array
    from sklearn.manifold import TSNE

    n, k = neighbours.heads.shape
    # scikit-learn expects each head in its own list, and removes it.
    heads = np.column_stack([np.arange(n), neighbours.heads])
    distances = np.column_stack([np.zeros(n), neighbours.distances]).astype(np.float64)
    indptr = np.arange(0, n * (k + 1) + 1, k + 1)
    graph = csr_array(
        (distances.reshape(-1) / _unit(distances), heads.reshape(-1), indptr), shape=(n, n)
    )
    model: Any = TSNE(
        n_components=start.shape[1],
        perplexity=perplexity,
        learning_rate=m.learning_rate(n),
        metric="precomputed",
        init=(1e-4 * start).astype(np.float32),
        random_state=seed,
        n_jobs=1,
    )
    with warnings.catch_warnings():  # about unsorted rows, where distances are equal
        warnings.simplefilter("ignore")
        coordinates: Coordinates = model.fit_transform(graph)
    return coordinates


def _unit(distances: np.ndarray[Any, Any]) -> float:
    """Return the mean distance to the neighbours, or 1 if all are 0, as the unit of length."""
    return float(distances[:, 1:].mean()) or 1.0
