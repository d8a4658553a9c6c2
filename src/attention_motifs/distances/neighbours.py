"""The nearest heads of every head, from candidates of an index compared by the exact metric."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.distances.compute import distances_from
from attention_motifs.distances.engine import run_tasks, thread_count
from attention_motifs.distances.registry import Metric, get_metric
from attention_motifs.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from attention_motifs.distances.head_vectors import HeadClouds
    from attention_motifs.distances.index import HeadIndex

N_NEAREST = 64
"""Neighbours kept per head: the largest neighbourhood of the projections."""

N_CANDIDATES = 256
"""Candidates per head, among which the metric chooses."""

HEADS_AT_A_TIME = 1024
"""Heads whose candidates are read together, so that shared candidates are read once."""


def nearest_among(
    clouds: HeadClouds,
    heads: Int[np.ndarray, " some"],
    candidates: Int[np.ndarray, "some offered"],
    metric: str | Metric,
    n: int,
) -> tuple[Int[np.ndarray, "some nearest"], Float[np.ndarray, "some nearest"]]:
    """Return the n nearest candidates of each head by the exact metric, nearest first.

    Args:
        clouds: clouds of all heads, such as a file; only the heads needed are read.
        heads: the heads whose neighbours are computed.
        candidates: candidates of each head; the head itself and numbers below 0 are skipped.
        metric: a name or a `Metric`.
        n: number of neighbours, at most the number of candidates.

    Returns:
        Heads (int32) and distances (float32); equal distances in the order of the heads, and -1
        at infinite distance where a head has fewer candidates than n.
    """
    offered = np.where(candidates == heads[:, None], -1, candidates)
    distances = distances_among(clouds, heads, offered, metric)
    # A repeated candidate counts once.
    by_head = np.sort(offered, axis=1, kind="stable")
    order = np.argsort(offered, axis=1, kind="stable")
    again = np.zeros_like(by_head, dtype=bool)
    again[:, 1:] = by_head[:, 1:] == by_head[:, :-1]
    distances = np.where(again, np.inf, np.take_along_axis(distances, order, axis=1))
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :n]
    distances = np.take_along_axis(distances, nearest, axis=1)
    neighbours = np.take_along_axis(by_head, nearest, axis=1)
    return np.where(np.isfinite(distances), neighbours, -1).astype(np.int32), distances


def distances_among(
    clouds: HeadClouds,
    heads: Int[np.ndarray, " some"],
    others: Int[np.ndarray, "some offered"],
    metric: str | Metric,
) -> Float[np.ndarray, "some offered"]:
    """Compute exact distances from each head to its list, in float32; infinite for -1."""
    entry = get_metric(metric)
    listed = others >= 0
    left = np.broadcast_to(heads[:, None], others.shape)[listed]
    right = others[listed]
    distances = np.full(others.shape, np.inf, dtype=np.float32)
    if len(left):
        named, position = np.unique(np.concatenate([left, right]), return_inverse=True)
        part = np.ascontiguousarray(np.asarray(clouds[named]).transpose(1, 0, 2), np.float32)
        prepared = entry.prepare(part)
        values = np.empty(len(left))

        def work(pairs: slice) -> None:
            values[pairs] = entry.pairwise(
                prepared, position[: len(left)][pairs], position[len(left) :][pairs]
            )

        step = _PAIRS_PER_TASK
        parts = (slice(a, min(a + step, len(left))) for a in range(0, len(left), step))
        run_tasks(parts, work, 1 if len(left) <= step else thread_count(None, entry), _nothing)
        distances[listed] = values
    return distances


_PAIRS_PER_TASK = 32_768


def _nothing(_: None) -> None:
    """Accept the result of a task that returns nothing."""


def nearest_neighbours(
    clouds: HeadClouds,
    index: HeadIndex,
    heads: Int[np.ndarray, " some"],
    n: int = N_NEAREST,
    *,
    n_candidates: int = N_CANDIDATES,
    done: Callable[[int], None] = lambda _heads: None,
) -> tuple[Int[np.ndarray, "some nearest"], Float[np.ndarray, "some nearest"]]:
    """Return the nearest of some heads among all, by the metric of the index.

    See `nearest_among` for the result.

    Args:
        clouds: clouds of all heads.
        index: index of the same heads.
        heads: the heads whose neighbours are computed.
        n: neighbours per head; at most all other heads.
        n_candidates: candidates from the index, at least n + 1, since a head finds itself.
        done: called with the number of heads finished.
    """
    n = min(n, len(clouds) - 1)
    n_offered = min(max(n_candidates, n + 1), len(clouds))
    neighbours = np.empty((len(heads), n), np.int32)
    distances = np.empty((len(heads), n), np.float32)
    steps = range(0, len(heads), HEADS_AT_A_TIME)
    vectors = np.concatenate(
        [index.sketch.vectors(np.asarray(clouds[heads[a : a + HEADS_AT_A_TIME]])) for a in steps]
    )
    # Heads of one cell share candidates, whose clouds are then read once.
    order = np.argsort(index.cells_of(vectors), kind="stable")
    for start in steps:
        some = order[start : start + HEADS_AT_A_TIME]
        offered = index.search(vectors[some], n_offered)
        neighbours[some], distances[some] = nearest_among(
            clouds, heads[some], offered, index.sketch.metric, n
        )
        done(len(some))
    return neighbours, distances


def rows_from(
    clouds: HeadClouds,
    heads: Int[np.ndarray, " some"],
    metric: str | Metric,
    done: Callable[[int], None] = lambda _heads: None,
) -> Float[np.ndarray, "some heads"]:
    """Compute exact distances from some heads to all, reading the clouds piece by piece.

    Args:
        clouds: clouds of all heads.
        heads: the heads from which distances are computed.
        metric: a name or a `Metric`.
        done: called with the number of heads to which distances were computed.

    Returns:
        (some, heads) float32.
    """
    entry = get_metric(metric)
    queries = np.asarray(clouds[heads])
    rows = np.empty((len(heads), len(clouds)), np.float32)
    step = max(1, _NUMBERS_AT_A_TIME // max(1, int(np.prod(clouds.shape[1:]))))
    for start in range(0, len(clouds), step):
        part = np.concatenate([queries, clouds[start : start + step]]).transpose(1, 0, 2)
        some = distances_from(part, np.arange(len(heads)), entry)
        rows[:, start : start + step] = some[:, len(heads) :]
        done(some.shape[1] - len(heads))
    rows[np.arange(len(heads)), heads] = 0.0
    return rows


_NUMBERS_AT_A_TIME = 2**25
"""Components of clouds held in memory at a time (128 MiB)."""


def check_sketched(metric: str, n_heads: int) -> None:
    """Refuse a metric that an index cannot approximate.

    Raises:
        InputError: naming the metrics that it can.
    """
    from attention_motifs.distances.head_vectors import SKETCHED, is_sketched

    if not is_sketched(get_metric(metric).name):
        raise InputError(
            f"metric {metric!r} needs all pairs, and {n_heads} heads are too many for that. "
            f"Choose {', '.join(SKETCHED)}, or query one head with "
            f"`motifs near HEAD --metric {metric}`."
        )
