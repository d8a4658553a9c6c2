"""S5 and MAP of one set of distances: how well near heads agree in degree, and in class.

S5 is Spearman's correlation of a head's score with the mean over its five nearest heads. MAP is the
mean average precision of the class of the 5 % of heads with the largest scores.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.evaluation.label_scores import MIN_CLASS, class_size, top_heads
from attention_motifs.evaluation.null import (
    NullTest,
    compare,
    generator,
    group_permutations,
    layer_permutations,
)
from attention_motifs.evaluation.query_sets import HeadPositions, Scope
from attention_motifs.evaluation.ranking import RankStatistics, rank_heads
from attention_motifs.evaluation.regression import spearman_rows

if TYPE_CHECKING:
    from jaxtyping import Float, Int

N_NEIGHBOURS = 5

FEWEST_HEADS = 4 * MIN_CLASS
"""Smallest model whose top heads make a class."""


@dataclass(frozen=True)
class DegreeTest:
    """S5, MAP and AUROC of one label, compared with permutations of the scores."""

    s5: NullTest
    average_precision: NullTest
    auroc: NullTest
    s5_groups_p: float
    """p of S5 compared with permutations that keep key groups too; NaN without key groups."""
    average_precision_groups_p: float
    auroc_groups_p: float


class ScopedDistances:
    """The distances of one scope, ranked once for all labels."""

    def __init__(
        self, distances: Float[np.ndarray, "heads heads"], scope: Scope, n_neighbours: int
    ) -> None:
        """Rank the candidates of every query of the scope."""
        self.scope = scope
        self._block = distances[np.ix_(scope.queries, scope.candidates)]
        self._n_neighbours = n_neighbours

    @cached_property
    def statistics(self) -> RankStatistics:
        """AUROC, average precision and purity of sets of heads."""
        return RankStatistics(
            self._block, within=self.scope.within, n_neighbours=self._n_neighbours
        )

    @cached_property
    def weights(self) -> Float[np.ndarray, "queries candidates"]:
        """Weights that average over the nearest candidates of every query."""
        return rank_heads(self._block, within=self.scope.within).neighbour_weights(
            self._n_neighbours
        )


@dataclass(frozen=True)
class Permutations:
    """Permutations of the heads of a scope: rows of queries and of candidates, the identity first.

    Within a model both are the same array.
    """

    queries: Int[np.ndarray, "sets queries"]
    candidates: Int[np.ndarray, "sets candidates"]


def permutations_of(
    scope: Scope,
    heads: HeadPositions,
    n: int,
    seed: int,
    key_groups: Int[np.ndarray, " heads"] | None = None,
) -> Permutations:
    """Draw permutations within layers, or within layers and key groups if those are given."""

    def drawn(rows: Int[np.ndarray, " rows"], side: str) -> Int[np.ndarray, "sets rows"]:
        rng = generator(seed, scope.label, "permutations", side, str(key_groups is not None))
        layer = heads.layers[rows]
        draws = (
            layer_permutations(layer, n, rng)
            if key_groups is None
            else group_permutations(layer, key_groups[rows], n, rng)
        )
        return np.concatenate([np.arange(len(rows))[None, :], draws])

    candidates = drawn(scope.candidates, "candidates")
    queries = candidates if scope.within else drawn(scope.queries, "queries")
    return Permutations(queries, candidates)


def degree_test(
    ranked: ScopedDistances,
    of_queries: Float[np.ndarray, " queries"],
    of_candidates: Float[np.ndarray, " candidates"],
    by_layer: Permutations,
    by_group: Permutations | None = None,
) -> DegreeTest:
    """Compute S5, MAP and AUROC of one label and compare them with permuted scores.

    Args:
        ranked: the distances of a scope.
        of_queries: scores of the queries.
        of_candidates: scores of the candidates; within a model the same.
        by_layer: permutations within layers.
        by_group: permutations that keep key groups too (default: none).

    Returns:
        The tests. A constant score has NaN throughout.
    """
    s5, precision, auroc = _tests(ranked, of_queries, of_candidates, by_layer)
    if by_group is None:
        return DegreeTest(s5, precision, auroc, math.nan, math.nan, math.nan)
    of_groups = _tests(ranked, of_queries, of_candidates, by_group)
    return DegreeTest(s5, precision, auroc, *(test.p for test in of_groups))


def _tests(
    ranked: ScopedDistances,
    of_queries: Float[np.ndarray, " queries"],
    of_candidates: Float[np.ndarray, " candidates"],
    permutations: Permutations,
) -> tuple[NullTest, NullTest, NullTest]:
    """Compare S5, MAP and AUROC with those of permuted scores."""
    s5 = correlations(ranked, of_queries, of_candidates, permutations)
    auroc, precision = _recoveries(ranked, of_queries, of_candidates, permutations)
    first, second, third = (
        compare(float(values[0]), np.nan_to_num(values[1:])) for values in (s5, precision, auroc)
    )
    return first, second, third


def statistics_of(
    ranked: ScopedDistances,
    of_queries: Float[np.ndarray, " queries"],
    of_candidates: Float[np.ndarray, " candidates"],
) -> tuple[float, float, float]:
    """Return S5, MAP and AUROC without a test."""
    identity = Permutations(
        np.arange(len(of_queries))[None, :], np.arange(len(of_candidates))[None, :]
    )
    s5 = correlations(ranked, of_queries, of_candidates, identity)
    auroc, precision = _recoveries(ranked, of_queries, of_candidates, identity)
    return float(s5[0]), float(precision[0]), float(auroc[0])


def correlations(
    ranked: ScopedDistances,
    of_queries: Float[np.ndarray, " queries"],
    of_candidates: Float[np.ndarray, " candidates"],
    permutations: Permutations,
) -> Float[np.ndarray, " sets"]:
    """Return S5 of the scores under each permutation; NaN if the candidates' are constant."""
    spread = float(np.ptp(of_candidates))
    if spread == 0 or not math.isfinite(spread):
        return np.full(len(permutations.queries), np.nan)
    # Scaled to 0 to 1, so that means that differ by the order of summing only become equal when
    # rounded.
    scaled = (of_candidates - of_candidates.min()) / spread
    predicted = np.round(scaled[permutations.candidates] @ ranked.weights.T, 12)
    return spearman_rows(of_queries[permutations.queries], predicted)


def _recoveries(
    ranked: ScopedDistances,
    of_queries: Float[np.ndarray, " queries"],
    of_candidates: Float[np.ndarray, " candidates"],
    permutations: Permutations,
) -> tuple[Float[np.ndarray, " sets"], Float[np.ndarray, " sets"]]:
    """Return AUROC and MAP of the top heads, and of the sets that permutations make of them."""
    if np.ptp(of_candidates) == 0 or np.ptp(of_queries) == 0:
        undefined = np.full(len(permutations.queries), np.nan)
        return undefined, undefined
    queries = permutations.queries[:, top_heads(of_queries)]
    relevant = permutations.candidates[:, top_heads(of_candidates)]
    values = ranked.statistics(queries, relevant)
    return values[:, 0], values[:, 1]


def replicate(
    block: Float[np.ndarray, "queries candidates"],
    of_queries: Float[np.ndarray, "labels queries"],
    of_candidates: Float[np.ndarray, "labels candidates"],
    uniform: Float[np.ndarray, " queries"],
    *,
    within: bool,
    n_neighbours: int = N_NEIGHBOURS,
) -> Float[np.ndarray, "labels two"]:
    """Compute S5 and MAP of one bootstrap replicate, with query heads drawn with replacement.

    The heads that are ranked stay whole; the class is that of the resampled scores. Ties are taken
    in the order of the heads.

    Args:
        block: distances of the resampled stimuli.
        of_queries: scores from the resampled label sequences.
        of_candidates: the same of the candidates; within a model the same.
        uniform: a number from 0 to 1 per query, which chooses the drawn query.
        within: whether queries and candidates are the same heads.
        n_neighbours: number of neighbours of S5.

    Returns:
        (labels, 2) S5 and MAP; NaN where undefined.
    """
    distances = np.array(block)
    if within:
        np.fill_diagonal(distances, np.inf)
    n_queries, n_candidates = distances.shape
    order = np.argsort(distances, axis=1, kind="stable")
    position = np.empty_like(order)
    np.put_along_axis(position, order, np.arange(n_candidates)[None, :], axis=1)
    nearest = order[:, : min(n_neighbours, n_candidates - within)]
    predicted = of_candidates[:, nearest].mean(axis=2)
    drawn = np.minimum((uniform * n_queries).astype(int), n_queries - 1)
    values = np.empty((len(of_queries), 2))
    values[:, 0] = spearman_rows(of_queries[:, drawn], np.round(predicted[:, drawn], 12))
    m = class_size(n_queries)
    drawn = np.minimum((uniform[:m] * m).astype(int), m - 1)
    for k, (asking, ranked) in enumerate(zip(of_queries, of_candidates, strict=True)):
        members = np.flatnonzero(top_heads(asking))
        relevant = members if within else np.flatnonzero(top_heads(ranked))
        ranks = np.sort(position[np.ix_(members, relevant)], axis=1) + 1.0
        if within:  # the query itself has the last rank
            ranks = ranks[:, :-1]
        precision = (np.arange(1, ranks.shape[1] + 1) / ranks).mean(axis=1)
        values[k, 1] = precision[drawn].mean()
    return values
