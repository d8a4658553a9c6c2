"""Distances between the heads of an atlas by one metric, in the form that the atlas holds.

Up to the dense limit an atlas stores the distances of all pairs of heads, above it the nearest
heads of each; a metric that it does not store is computed from the head clouds when asked for.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas.blocks import clouds_of, described, preset_of
from attention_motifs.distances.neighbour_files import read_nearest
from attention_motifs.errors import AtlasError
from attention_motifs.memory import in_gigabytes, memory_limit, raised

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from attention_motifs.atlas.folder import AtlasFolder
    from attention_motifs.distances.neighbour_graph import Neighbours, Rows

_MORE_CANDIDATES, _MORE_NEAREST = 4096, 1024
"""Heads taken from the index where the stored neighbours are too few, and how many are ranked."""

_SHORTLIST = 50
"""Nearest heads by Eq. 3 that are ranked by a metric too slow for all heads."""

_HEADS_AT_A_TIME = 1024
_ROWS_AT_A_TIME = 256

_Ranking = tuple["Int[np.ndarray, ' some']", "Float[np.ndarray, ' some']"]
"""Heads, nearest first, and their distances."""


@dataclass(frozen=True)
class Nearest:
    """Heads nearest to one head (or farthest from it), in that order.

    Attributes:
        heads: (n,) rows in `Atlas.heads`.
        distances: (n,) float32.
        ranks: (n,) ranks among all other heads, 1 for the nearest.
    """

    heads: Int[np.ndarray, " n"]
    distances: Float[np.ndarray, " n"]
    ranks: Int[np.ndarray, " n"]


class HeadDistances(ABC):
    """Distances between the heads of an atlas by one metric."""

    def __init__(self, atlas: AtlasFolder, metric: str) -> None:
        """Use `head_distances_of`."""
        self.atlas = atlas
        self.metric = metric

    @abstractmethod
    def rows(self, heads: Any) -> Float[np.ndarray, "some heads"]:
        """Return the exact distances from some heads to all heads, float32.

        Args:
            heads: rows of `Atlas.heads`.

        Raises:
            AtlasError: if a file is missing or damaged.
        """

    @abstractmethod
    def among(self, heads: Int[np.ndarray, " some"]) -> Float[np.ndarray, "some some"]:
        """Return the exact distances between some heads, float32.

        Args:
            heads: rows of `Atlas.heads`.

        Raises:
            AtlasError: if a file is missing or damaged.
        """

    def between(
        self, heads: Int[np.ndarray, " some"], others: Int[np.ndarray, " others"]
    ) -> Float[np.ndarray, "some others"]:
        """Return the exact distances from some heads to other heads, float32.

        Args:
            heads: rows of `Atlas.heads`.
            others: rows of `Atlas.heads`.

        Raises:
            AtlasError: if a file is missing or damaged.
        """
        return self.rows(heads)[:, others]

    def row(self, head: int) -> Float[np.ndarray, " heads"]:
        """Return the exact distances from one head to all heads, see `rows`."""
        row: Float[np.ndarray, " heads"] = self.rows(np.array([head]))[0]
        return row

    def nearest(
        self, head: int, n: int, mask: Bool[np.ndarray, " heads"], *, farthest: bool = False
    ) -> Nearest:
        """Return the nearest heads of one head; the head itself is never among them.

        Args:
            head: row of `Atlas.heads`.
            n: at most this many.
            mask: heads to choose from.
            farthest: return the most distant heads instead, most distant first.

        Raises:
            AtlasError: if a file is missing or damaged.
        """
        places = np.empty(0, dtype=np.int64)
        for order, distances in self._rankings(head, farthest=farthest):
            places = np.flatnonzero(mask[order] & np.isfinite(distances))
            if len(places) >= n:
                break
        chosen = places[::-1][:n] if farthest else places[:n]
        return Nearest(order[chosen], distances[chosen], chosen + 1)

    def nearest_of_each(
        self, heads: Int[np.ndarray, " some"], n: int, mask: Bool[np.ndarray, " heads"]
    ) -> Iterator[Nearest]:
        """Yield the nearest heads of each of some heads, see `nearest`.

        Args:
            heads: rows of `Atlas.heads`.
            n: at most this many each.
            mask: heads to choose from.

        Raises:
            AtlasError: if a file is missing or damaged.
        """
        candidates = np.flatnonzero(mask)
        for start in range(0, len(heads), _ROWS_AT_A_TIME):
            some = heads[start : start + _ROWS_AT_A_TIME]
            for head, row in zip(some.tolist(), self.rows(some), strict=True):
                kept = candidates[(candidates != head) & np.isfinite(row[candidates])]
                chosen = kept[_first(row[kept], n)]
                nearer = [((row < row[i]).sum() + (row[:i] == row[i]).sum()) for i in chosen]
                before = [(row[head], head) < (row[i], i) for i in chosen.tolist()]
                ranks = np.array(nearer, dtype=np.int64) - np.array(before, dtype=np.int64) + 1
                yield Nearest(chosen, row[chosen], ranks)

    def nearest_to_all(
        self, heads: Sequence[int], n: int, mask: Bool[np.ndarray, " heads"], *, farthest: bool
    ) -> Nearest:
        """Return the heads with the smallest mean distance to several heads, which are left out.

        Args:
            heads: rows of `Atlas.heads`.
            n: at most this many.
            mask: heads to choose from.
            farthest: return those with the largest mean distance instead, largest first.

        Raises:
            AtlasError: if a file is missing or damaged.
        """
        mean = self.rows(np.array(heads)).mean(axis=0)
        order = np.argsort(mean, kind="stable")
        order = order[~np.isin(order, heads)]
        places = np.flatnonzero(mask[order] & np.isfinite(mean[order]))
        chosen = places[::-1][:n] if farthest else places[:n]
        return Nearest(order[chosen], mean[order[chosen]], chosen + 1)

    def _rankings(self, head: int, *, farthest: bool) -> Iterator[_Ranking]:  # noqa: ARG002
        """Yield rankings of other heads, each longer than the one before; the last is of all."""
        row = self.row(head)
        order = np.lexsort((np.arange(len(row)), row))
        order = order[order != head]
        yield order, row[order]


def _first(values: Float[np.ndarray, " values"], n: int) -> Int[np.ndarray, " n"]:
    """Return the first n places of a stable sort of the values, without sorting all of them."""
    if len(values) <= n:
        return np.argsort(values, kind="stable")
    few = np.flatnonzero(values <= np.partition(values, n - 1)[n - 1])
    return few[np.argsort(values[few], kind="stable")[:n]]


class AllPairs(HeadDistances):
    """The stored distances of all pairs."""

    @cached_property
    def matrix(self) -> Float[np.ndarray, "heads heads"]:
        """Distance matrix in the order of `Atlas.heads`, float32, read from the disk as it is used.

        Raises:
            AtlasError: if the file is damaged or of another size.
        """
        return self.atlas.distances(self.metric)

    def among(self, heads: Int[np.ndarray, " some"]) -> Float[np.ndarray, "some some"]:
        """Return a part of the matrix, see `HeadDistances.among`; all heads are not copied."""
        matrix = np.asarray(self.matrix)
        if np.array_equal(heads, np.arange(len(matrix))):
            return matrix
        chosen: Float[np.ndarray, "some some"] = matrix[np.ix_(heads, heads)]
        return chosen

    def rows(self, heads: Any) -> Float[np.ndarray, "some heads"]:
        """Return rows of the matrix, see `HeadDistances.rows`."""
        if "matrix" not in self.__dict__:  # `among` needs all of it, and rows do not
            return self.atlas.distance_rows(self.metric, np.asarray(heads))
        return np.asarray(self.matrix[heads], dtype=np.float32)

    def between(
        self, heads: Int[np.ndarray, " some"], others: Int[np.ndarray, " others"]
    ) -> Float[np.ndarray, "some others"]:
        """Return a part of rows, see `HeadDistances.between`; the rest of them is not copied."""
        return self.atlas.distance_rows(self.metric, heads, others)


class NearestHeads(HeadDistances):
    """The stored nearest heads of every head (docs/scale.md)."""

    @cached_property
    def neighbours(self) -> Neighbours:
        """Nearest heads of every head.

        Raises:
            AtlasError: if a file is missing or damaged.
        """
        return self.atlas.neighbours(self.metric)

    @cached_property
    def clouds(self) -> Float[np.ndarray, "heads prompts columns"]:
        """Head clouds, heads first, read from the disk as they are used.

        Raises:
            AtlasError: if the file is missing or damaged.
        """
        from attention_motifs.distances import get_metric

        return self.atlas.head_clouds(get_metric(self.metric).space)

    def rows(
        self, heads: Any, done: Callable[[int], None] = lambda _heads: None
    ) -> Float[np.ndarray, "some heads"]:
        """Compute rows from the clouds, see `HeadDistances.rows`.

        Args:
            heads: rows of `Atlas.heads`.
            done: called with the number of heads to which the distances are computed.
        """
        from attention_motifs.distances.neighbours import rows_from

        return rows_from(self.clouds, np.asarray(heads), self.metric, done=done)

    def among(self, heads: Int[np.ndarray, " some"]) -> Float[np.ndarray, "some some"]:
        """Compute the distances between some heads, see `HeadDistances.among`."""
        from attention_motifs.distances import head_distances

        clouds = np.ascontiguousarray(self.clouds[heads].transpose(1, 0, 2))
        return np.asarray(head_distances(clouds, self.metric, budget_seconds=float("inf")))

    def nearest_of_each(
        self, heads: Int[np.ndarray, " some"], n: int, mask: Bool[np.ndarray, " heads"]
    ) -> Iterator[Nearest]:
        """Yield the nearest heads among the stored ones, see `HeadDistances.nearest_of_each`."""
        for head in heads.tolist():
            order, distances = self.neighbours.heads[head], self.neighbours.distances[head]
            places = np.flatnonzero(mask[order] & np.isfinite(distances))[:n]
            yield Nearest(order[places], distances[places], places + 1)

    def on(self, prompts: np.ndarray[Any, Any]) -> tuple[Neighbours, Rows]:
        """Return the stored neighbours, ranked anew on some prompts, and rows on these prompts.

        A head that is near on these prompts alone, and is not among the stored neighbours, is
        missed.
        """
        from attention_motifs.distances.neighbour_graph import Neighbours
        from attention_motifs.distances.neighbours import nearest_among, rows_from

        preset = preset_of(self.atlas, self.metric)
        every = described(self.atlas, preset, self.clouds.transpose(1, 0, 2))
        clouds = np.ascontiguousarray(every.on(prompts).transpose(1, 0, 2))
        stored = self.neighbours.heads
        heads, distances = np.empty_like(stored), np.empty_like(self.neighbours.distances)
        for start in range(0, len(stored), _HEADS_AT_A_TIME):
            some = np.arange(start, min(start + _HEADS_AT_A_TIME, len(stored)))
            heads[some], distances[some] = nearest_among(
                clouds, some, stored[some], self.metric, stored.shape[1]
            )
        return (
            Neighbours(heads, distances),
            lambda some: rows_from(clouds, np.asarray(some), self.metric),
        )

    def _rankings(self, head: int, *, farthest: bool) -> Iterator[_Ranking]:
        if not farthest:
            yield read_nearest(self.atlas.paths, self.metric, head, len(self.atlas.heads))
            yield self._from_index(head)
        yield from super()._rankings(head, farthest=farthest)

    def _from_index(self, head: int) -> _Ranking:
        from attention_motifs.distances.index import HeadIndex
        from attention_motifs.distances.neighbours import nearest_neighbours

        file = self.atlas.file("neighbour_index", metric=self.metric)
        index = HeadIndex.load(file)
        if index.n_heads != len(self.clouds):
            raise AtlasError(
                f"{file}: holds {index.n_heads} heads, not {len(self.clouds)}; {file.fix_damaged}"
            )
        heads, distances = nearest_neighbours(
            self.clouds, index, np.array([head]), _MORE_NEAREST, n_candidates=_MORE_CANDIDATES
        )
        return heads[0], distances[0]


class NearestOfAllPairs(NearestHeads):
    """The nearest heads of every head, taken from the stored distances of all pairs.

    For computations on all pairs that would use too much memory.
    """

    def __init__(self, all_pairs: AllPairs) -> None:
        """Read nothing yet."""
        super().__init__(all_pairs.atlas, all_pairs.metric)
        self._all_pairs = all_pairs

    @cached_property
    def neighbours(self) -> Neighbours:
        """Nearest heads of every head, as many as an atlas of more heads stores."""
        from attention_motifs.distances.neighbour_graph import nearest_in
        from attention_motifs.distances.neighbours import N_NEAREST

        return nearest_in(self._all_pairs.matrix, N_NEAREST)

    @cached_property
    def clouds(self) -> Float[np.ndarray, "heads prompts columns"]:
        """Head clouds, heads first."""
        return np.ascontiguousarray(clouds_of(self.atlas, self.metric).array.transpose(1, 0, 2))

    def rows(
        self, heads: Any, done: Callable[[int], None] = lambda _heads: None
    ) -> Float[np.ndarray, "some heads"]:
        """Return rows of the matrix, see `HeadDistances.rows`."""
        rows = self._all_pairs.rows(heads)
        done(rows.shape[1])
        return rows

    def among(self, heads: Int[np.ndarray, " some"]) -> Float[np.ndarray, "some some"]:
        """Return a part of the matrix, see `HeadDistances.among`."""
        return self._all_pairs.among(heads)


class ComputedNow(HeadDistances):
    """Distances that the atlas does not store, computed from the head clouds."""

    def rows(self, heads: Any) -> Float[np.ndarray, "some heads"]:
        """Compute rows, see `HeadDistances.rows`.

        Gromov-Wasserstein is computed to the nearest 50 heads by Eq. 3; others are infinite.
        """
        from attention_motifs.distances import distances_from

        clouds = clouds_of(self.atlas, self.metric).array
        if self.metric != "gromov-wasserstein":
            return np.asarray(distances_from(clouds, heads, self.metric))
        return np.stack([self._shortlisted(clouds, int(head)) for head in heads])

    def among(self, heads: Int[np.ndarray, " some"]) -> Float[np.ndarray, "some some"]:
        """Return columns of `rows`, see `HeadDistances.among`."""
        return np.asarray(self.rows(heads)[:, heads])

    def _shortlisted(
        self, clouds: Float[np.ndarray, "prompts heads components"], head: int
    ) -> Float[np.ndarray, " heads"]:
        from attention_motifs.distances import candidate_distances, distances_from

        order = np.argsort(distances_from(clouds, head, "mean")[0], kind="stable")
        others = order[order != head][:_SHORTLIST]
        pairs = np.stack([np.full_like(others, head), others], axis=1)
        row = np.full(clouds.shape[1], np.inf, dtype=np.float32)
        row[head] = 0.0
        row[others] = candidate_distances(clouds, pairs, self.metric)
        return row


def head_distances_of(atlas: AtlasFolder, metric: str) -> HeadDistances:
    """Return the distances by one metric, in the form that the atlas holds.

    Raises:
        InputError: if the metric is not known.
    """
    from attention_motifs.distances import get_metric

    stored = stored_distances(atlas).get(metric) if isinstance(metric, str) else None
    if stored is not None:
        return stored
    get_metric(metric)
    return ComputedNow(atlas, metric)


def all_pairs_of(atlas: AtlasFolder, metric: str = "mean") -> AllPairs:
    """Return the distances of all pairs of heads by one metric.

    Raises:
        InputError: if the metric is not known.
        AtlasError: if the distances were not computed, or of the nearest heads only, or the file is
            damaged.
    """
    distances = AllPairs(atlas, metric)
    _ = distances.matrix  # raises before any work is done with them
    return distances


def stored_distances_of(atlas: AtlasFolder, metric: str) -> AllPairs | NearestHeads:
    """Return the distances by one metric that the atlas stores.

    Raises:
        InputError: if the metric is not known.
        AtlasError: if the distances were not computed, or the file is damaged.
    """
    stored = stored_distances(atlas).get(metric) if isinstance(metric, str) else None
    return stored if isinstance(stored, NearestHeads) else all_pairs_of(atlas, metric)


def all_pairs_or_nearest(
    atlas: AtlasFolder, metric: str, needed: int, what: str
) -> AllPairs | NearestHeads:
    """Return stored distances for a computation: all pairs, or the nearest heads if they must do.

    Where the atlas stores all pairs and the computation on them would use more than the limit of
    memory, the nearest heads of each are taken from them, with a warning.

    Args:
        atlas: the atlas.
        metric: name of the metric.
        needed: estimated bytes that the computation uses on all pairs.
        what: the computation, for the warning, such as `project`.

    Raises:
        InputError: if the metric is not known.
        AtlasError: if the distances were not computed, or a file is damaged.
    """
    stored = stored_distances_of(atlas, metric)
    if isinstance(stored, NearestHeads) or needed <= memory_limit():
        return stored
    warnings.warn(
        f"{what}: uses the nearest heads of each head, since all pairs of {len(atlas.heads)} heads "
        f"would use about {in_gigabytes(needed)} of memory. The limit is "
        f"{in_gigabytes(memory_limit())}; raise it with {raised(needed)}",
        stacklevel=3,
    )
    return NearestOfAllPairs(stored)


def stored_distances(atlas: AtlasFolder) -> dict[str, AllPairs | NearestHeads]:
    """Return the distances that the atlas stores, by metric; those of all pairs first."""
    stored: dict[str, AllPairs | NearestHeads] = {
        metric: NearestHeads(atlas, metric) for metric in atlas.neighbour_metrics()
    }
    all_pairs = {metric: AllPairs(atlas, metric) for metric in atlas.metrics()}
    return {**all_pairs, **{m: d for m, d in stored.items() if m not in all_pairs}}
