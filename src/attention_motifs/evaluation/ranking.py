"""Ranks of heads by distance, and statistics of the ranks of relevant heads.

Ties are counted by expectation: each statistic is its mean over all orders of the tied heads, so
it depends neither on the order of the heads nor on chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

_CHUNK = 2_000_000
"""Query-candidate pairs processed together, which limits the memory to about 100 MB."""


@dataclass(frozen=True)
class RankTable:
    """Ranks of the candidates of every query, nearest first.

    A candidate is identified by its *start*, the number of candidates strictly nearer. All heads
    tied at a distance share it; it is their position in the tables below.
    """

    start: Int[np.ndarray, "queries candidates"]
    """0 for the nearest; `n_candidates` for the query itself, which is not ranked."""
    tied: Int[np.ndarray, "queries positions"]
    """Number of candidates at the distance that starts at a position; 0 if none does."""
    n_candidates: int
    """Heads ranked for each query, without the query itself."""

    @property
    def n_positions(self) -> int:
        """Columns of the tables by position: one per candidate, and a last one for the query."""
        return self.n_candidates + 1

    def midrank(self) -> Float[np.ndarray, "queries positions"]:
        """Return the mean rank (from 1) of the heads tied at a position; 0 for the query."""
        return np.where(self.tied > 0, np.arange(self.n_positions) + (self.tied + 1) / 2, 0.0)

    def chance_of_top(self, k: int) -> Float[np.ndarray, "queries positions"]:
        """Return the chance that a head at a position is among the k nearest, ties at random."""
        free = k - np.arange(self.n_positions)
        chance = np.clip(free / np.maximum(self.tied, 1), 0.0, 1.0)
        return np.where(self.tied > 0, chance, 0.0)

    def precision(
        self,
    ) -> tuple[Float[np.ndarray, "queries positions"], Float[np.ndarray, "queries positions"]]:
        """Return two weights (v, w) that give the expected precision at a relevant head.

        With t heads tied at position s, R of them relevant, and r relevant heads strictly nearer,
        the mean precision at one of these R over all orders of the t is (r + 1) v + (R - 1) w,
        where v = (1/t) sum_{i=1..t} 1/(s + i) and w = (1/t) sum_i (i - 1) / ((t - 1)(s + i))
        (McSherry and Najork, ECIR 2008). Without ties v = 1/(s + 1) and w = 0.
        """
        n = self.n_candidates
        s = np.arange(self.n_positions)
        t = np.maximum(self.tied, 1)
        harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, n + 1))])
        reciprocals = harmonic[np.minimum(s + t, n)] - harmonic[s]
        reciprocals = np.where(t == 1, 1.0 / (s + 1), reciprocals)
        first = np.where(self.tied > 0, reciprocals / t, 0.0)
        rest = np.where(t > 1, (t - (s + 1) * reciprocals) / (t * np.maximum(t - 1, 1)), 0.0)
        return first, rest

    def neighbour_weights(self, k: int) -> Float[np.ndarray, "queries candidates"]:
        """Return rows of weights, summing to 1, that average over the k nearest candidates."""
        k = min(k, self.n_candidates)
        return np.take_along_axis(self.chance_of_top(k), self.start, axis=1) / k


def rank_heads(block: Float[np.ndarray, "queries candidates"], *, within: bool) -> RankTable:
    """Rank the candidates of every query by distance.

    Args:
        block: finite distances, rows = queries.
        within: whether queries and candidates are the same heads in the same order, in which case
            a query is not ranked for itself.
    """
    distances = np.array(block, dtype=np.float64)
    n_queries, n_columns = distances.shape
    if within:
        np.fill_diagonal(distances, np.inf)
    n = n_columns - within
    order = np.argsort(distances, axis=1, kind="stable")
    ordered = np.take_along_axis(distances, order, axis=1)
    opens = np.ones_like(ordered, dtype=bool)
    opens[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    positions = np.maximum.accumulate(np.where(opens, np.arange(n_columns), 0), axis=1)
    start = np.empty_like(order)
    np.put_along_axis(start, order, positions, axis=1)
    flat = (np.arange(n_queries)[:, None] * (n + 1) + positions).ravel()
    tied = np.bincount(flat, minlength=n_queries * (n + 1)).reshape(n_queries, n + 1)
    tied[:, n] = 0
    return RankTable(start, tied, n)


def average_precision(
    order_by: Float[np.ndarray, " heads"], members: Bool[np.ndarray, " heads"]
) -> float:
    """Return the average precision of a class when heads are ranked by a number, smallest first.

    Ties count by expectation.
    """
    table = rank_heads(np.asarray(order_by)[None, :], within=False)
    first, rest = table.precision()
    start = table.start[0][members]
    nearer = (start[None, :] < start[:, None]).sum(axis=1)
    among = (start[None, :] == start[:, None]).sum(axis=1)
    precision = (nearer + 1) * first[0, start] + (among - 1) * rest[0, start]
    return float(precision.mean())


class RankStatistics:
    """AUROC, average precision and neighbour purity of sets of heads, as means over queries.

    One table of ranks serves all classes and permutations.
    """

    def __init__(
        self, block: Float[np.ndarray, "queries candidates"], *, within: bool, n_neighbours: int
    ) -> None:
        """Rank the candidates; see `rank_heads`."""
        table = rank_heads(block, within=within)
        self._table = table
        self._within = within
        self._midrank = table.midrank().ravel()
        self._n_neighbours = min(n_neighbours, table.n_candidates)
        self._top = table.chance_of_top(self._n_neighbours).ravel()
        self._first, self._rest = (weights.ravel() for weights in table.precision())
        self._has_ties = bool((table.tied > 1).any())

    def __call__(
        self, queries: Int[np.ndarray, "draws queries"], relevant: Int[np.ndarray, "draws relevant"]
    ) -> Float[np.ndarray, "draws 3"]:
        """Compute mean AUROC, average precision and purity for each draw.

        Rows of `queries` and `relevant` are rows and columns of the distance block; within one
        model they are the same heads. AUROC is NaN if every candidate is relevant, all three are
        if none is.
        """
        step = max(1, _CHUNK // max(1, queries.shape[1] * relevant.shape[1]))
        parts = [
            self._chunk(queries[i : i + step], relevant[i : i + step])
            for i in range(0, len(queries), step)
        ]
        return np.concatenate(parts)

    def _chunk(
        self, queries: Int[np.ndarray, "draws queries"], relevant: Int[np.ndarray, "draws relevant"]
    ) -> Float[np.ndarray, "draws 3"]:
        n = self._table.n_candidates
        n_queries = queries.shape[1]
        m = relevant.shape[1] - self._within
        if m < 1 or n_queries < 1:
            return np.full((len(queries), 3), np.nan)
        start = self._table.start[queries[:, :, None], relevant[:, None, :]]
        start.sort(axis=2)
        cells = queries[:, :, None] * self._table.n_positions + start
        rank_sum = self._midrank[cells].sum(axis=(1, 2)) / n_queries
        precision = self._precision(start, cells).sum(axis=(1, 2)) / (n_queries * m)
        purity = self._top[cells].sum(axis=(1, 2)) / (n_queries * self._n_neighbours)
        if m == n:
            auroc = np.full(len(queries), np.nan)
        else:
            # The Mann-Whitney count of irrelevant heads ranked before relevant ones.
            auroc = 1.0 - (rank_sum - m * (m + 1) / 2) / (m * (n - m))
        return np.stack([auroc, precision, purity], axis=1)

    def _precision(
        self,
        start: Int[np.ndarray, "draws queries relevant"],
        cells: Int[np.ndarray, "draws queries relevant"],
    ) -> Float[np.ndarray, "draws queries relevant"]:
        """Return the expected precision at every relevant head; 0 at the query, sorted last."""
        index = np.arange(start.shape[2])
        if not self._has_ties:
            return np.asarray((index + 1) * self._first[cells])
        changes = start[:, :, 1:] != start[:, :, :-1]
        opens = np.ones(start.shape, dtype=bool)
        opens[:, :, 1:] = changes
        closes = np.ones(start.shape, dtype=bool)
        closes[:, :, :-1] = changes
        nearer = np.maximum.accumulate(np.where(opens, index, 0), axis=2)
        last = np.where(closes, index, len(index))[:, :, ::-1]
        last = np.minimum.accumulate(last, axis=2)[:, :, ::-1]
        rest = (last - nearer) * self._rest[cells]
        return np.asarray((nearer + 1) * self._first[cells] + rest)
