"""Neighbour regression: whether near heads have similar behaviour scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.errors import InputError
from attention_motifs.evaluation.null import NullTest, compare, generator, layer_permutations
from attention_motifs.evaluation.query_sets import HeadPositions, Scope, scopes
from attention_motifs.evaluation.ranking import rank_heads
from attention_motifs.evaluation.recovery import N_NEIGHBOURS, N_PERMUTATIONS, TooFew
from attention_motifs.features.arguments import number_array, whole_number

if TYPE_CHECKING:
    from jaxtyping import Float, Int

SCORE = "score"
"""Kind of a row about a behaviour score."""

_MIN_QUERIES = 3
"""Spearman's correlation of two heads is always 1 or -1."""


@dataclass(frozen=True)
class NeighbourRegression:
    """Correlation of scores with the mean over the nearest heads, and its layer-matched null."""

    model: str
    """A model, or `A -> B`: scores of A's heads are predicted from their nearest heads in B."""
    name: str
    n_queries: int
    """Heads whose score is predicted."""
    n_heads: int
    """Heads among which the nearest are searched."""
    spearman: NullTest


def neighbour_regression(
    distances: Float[np.ndarray, "heads heads"],
    scores: Mapping[str, Float[np.ndarray, " heads"]],
    heads: HeadPositions,
    *,
    n_permutations: int = N_PERMUTATIONS,
    n_neighbours: int = N_NEIGHBOURS,
    seed: int = 0,
) -> tuple[tuple[NeighbourRegression, ...], tuple[TooFew, ...]]:
    """Predict every head's score by the mean over its nearest heads.

    The head itself is not among its neighbours; heads tied at the last place share it. The null
    permutes the scores within layers, of queries and candidates alike. Chance is a little below
    zero within a model, since a head's score is missing from its own prediction: the mean of the
    null shows by how much. Heads whose score is not finite are left out of that score.

    Args:
        distances: (heads, heads) finite distances; rows are queries, the diagonal is not read.
        scores: by name, (heads,) scores in the order of the rows.
        heads: model and layer of every row.
        n_permutations: number of draws of the null.
        n_neighbours: number of neighbours k; a model needs k + 2 heads, or k + 1 if it is ranked
            for another model only.
        seed: seed for the draws, 0 or more; each row has its own generator.

    Returns:
        Spearman's correlation of scores and predictions (NaN if either is constant), and the scores
        with too few heads.

    Raises:
        InputError: if shapes disagree, distances are not finite, or a number is out of range.
    """
    heads.check(distances)
    whole_number(n_permutations, "n_permutations", least=1)
    whole_number(n_neighbours, "n_neighbours", least=1)
    results, too_few = [], []
    for name, column in scores.items():
        values = number_array(column, f"values of score {name!r}", ("heads",)).astype(np.float64)
        if values.shape != (len(heads),):
            raise InputError(f"score {name!r} has shape {values.shape}. Give ({len(heads)},).")
        for scope in scopes(heads):
            scope = _finite(scope, values)
            n_queries, n_heads = len(scope.queries), len(scope.candidates)
            needed = n_neighbours + 1 + scope.within
            if not scope.within and not (n_queries and n_heads):
                continue
            if n_heads < needed or n_queries < _MIN_QUERIES:
                too_few.append(TooFew(scope.label, name, SCORE, n_queries, n_heads, needed))
                continue
            rng = generator(seed, scope.label, name, SCORE)
            draws = _draws(scope, heads.layers, n_permutations, rng)
            correlations = _correlations(distances, values, scope, draws, n_neighbours)
            test = compare(correlations[0], np.nan_to_num(correlations[1:]))
            results.append(NeighbourRegression(scope.label, name, n_queries, n_heads, test))
    return tuple(results), tuple(too_few)


def _finite(scope: Scope, values: Float[np.ndarray, " heads"]) -> Scope:
    """Return the scope without the heads that have no score."""
    queries = scope.queries[np.isfinite(values[scope.queries])]
    candidates = queries
    if not scope.within:
        candidates = scope.candidates[np.isfinite(values[scope.candidates])]
    return Scope(scope.label, queries, candidates)


def _draws(
    scope: Scope, layer: Int[np.ndarray, " heads"], n: int, rng: np.random.Generator
) -> tuple[Int[np.ndarray, "sets queries"], Int[np.ndarray, "sets candidates"]]:
    """Return rows whose scores queries and candidates take: the identity, then permutations."""
    candidates = _permuted(scope.candidates, layer, n, rng)
    queries = candidates if scope.within else _permuted(scope.queries, layer, n, rng)
    return queries, candidates


def _permuted(
    rows: Int[np.ndarray, " rows"],
    layer: Int[np.ndarray, " heads"],
    n: int,
    rng: np.random.Generator,
) -> Int[np.ndarray, "sets rows"]:
    return np.concatenate([rows[None, :], rows[layer_permutations(layer[rows], n, rng)]])


def _correlations(
    distances: Float[np.ndarray, "heads heads"],
    values: Float[np.ndarray, " heads"],
    scope: Scope,
    draws: tuple[Int[np.ndarray, "sets queries"], Int[np.ndarray, "sets candidates"]],
    n_neighbours: int,
) -> Float[np.ndarray, " sets"]:
    """Return Spearman's correlation of score and prediction for every set of scores."""
    block = distances[np.ix_(scope.queries, scope.candidates)]
    weights = rank_heads(block, within=scope.within).neighbour_weights(n_neighbours)
    of_candidates = values[scope.candidates]
    spread = float(np.ptp(of_candidates))
    if spread == 0 or not math.isfinite(spread):
        return np.full(len(draws[0]), np.nan)
    # Scaled to 0 to 1, so that means that differ by the order of summing only become equal when
    # rounded.
    scaled = (values - of_candidates.min()) / spread
    predicted = np.round(scaled[draws[1]] @ weights.T, 12)
    return spearman_rows(values[draws[0]], predicted)


def spearman_rows(
    x: Float[np.ndarray, "rows values"], y: Float[np.ndarray, "rows values"]
) -> Float[np.ndarray, " rows"]:
    """Return Spearman's correlation of each row of x with that row of y; NaN if constant."""
    from scipy.stats import rankdata

    a, b = rankdata(x, axis=1), rankdata(y, axis=1)
    a -= a.mean(axis=1, keepdims=True)
    b -= b.mean(axis=1, keepdims=True)
    scale = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    product = (a * b).sum(axis=1)
    return np.asarray(np.divide(product, scale, out=np.full(len(a), np.nan), where=scale > 0))
