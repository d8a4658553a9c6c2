"""Neighbour regression: do near heads have like behaviour scores?"""

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

if TYPE_CHECKING:
    from jaxtyping import Float, Int

SCORE = "score"
"""Kind of a row about a behaviour score."""

_MIN_QUERIES = 3
"""Spearman's correlation of two heads is 1 or -1 whatever they do."""


@dataclass(frozen=True)
class NeighbourRegression:
    """How well a score is predicted from the nearest heads, beside the layer-matched null."""

    model: str
    """A model, or `A -> B`: scores of A's heads predicted from their nearest heads in B."""
    name: str
    n_queries: int
    """Heads whose score is predicted."""
    n_heads: int
    """Heads among which the nearest are sought."""
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
    """Predict every head's scores as the mean over its nearest heads; Spearman with the truth.

    The head itself is not among its neighbours; a distance tied at the last place shares it. The
    null permutes the scores within layers, of queries and candidates alike. Chance is a little
    below zero within a model, since a high score is missing from its own prediction: the null's
    mean shows by how much. Heads whose score is not finite are left out of that score.

    Args:
        distances: finite, row = query; the diagonal is not read.
        scores: by name, in the order of the rows.
        heads: model and layer of every row.
        n_permutations: draws of the null.
        n_neighbours: k; a model needs k + 2 heads, or k + 1 if only ranked for another's.
        seed: at least 0; a row does not depend on which other rows there are.

    Returns:
        What was predicted (NaN where a score or its prediction is constant), and what was not
        for want of heads.

    Raises:
        InputError: if shapes disagree, distances are not finite, or a number is out of range.
    """
    heads.check(distances)
    if n_permutations < 1 or n_neighbours < 1:
        raise InputError(
            f"n_permutations = {n_permutations}, n_neighbours = {n_neighbours}: at least 1 is "
            "needed"
        )
    results, too_few = [], []
    for name, column in scores.items():
        values = np.asarray(column, dtype=np.float64)
        if values.shape != (len(heads),):
            raise InputError(f"score {name!r} has shape {values.shape}: ({len(heads)},) expected")
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
    """The scope without the heads that have no score."""
    queries = scope.queries[np.isfinite(values[scope.queries])]
    candidates = queries
    if not scope.within:
        candidates = scope.candidates[np.isfinite(values[scope.candidates])]
    return Scope(scope.label, queries, candidates)


def _draws(
    scope: Scope, layer: Int[np.ndarray, " heads"], n: int, rng: np.random.Generator
) -> tuple[Int[np.ndarray, "sets queries"], Int[np.ndarray, "sets candidates"]]:
    """Rows whose scores the queries and the candidates take: their own, then n permutations."""
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
    """Spearman's correlation of truth and prediction for every set of scores."""
    block = distances[np.ix_(scope.queries, scope.candidates)]
    weights = rank_heads(block, within=scope.within).neighbour_weights(n_neighbours)
    of_candidates = values[scope.candidates]
    spread = float(np.ptp(of_candidates))
    if spread == 0 or not math.isfinite(spread):
        return np.full(len(draws[0]), np.nan)
    # On a scale of 0 to 1, so that rounding makes equal those means that only the order of
    # summing tells apart.
    scaled = (values - of_candidates.min()) / spread
    predicted = np.round(scaled[draws[1]] @ weights.T, 12)
    return spearman_rows(values[draws[0]], predicted)


def spearman_rows(
    x: Float[np.ndarray, "rows values"], y: Float[np.ndarray, "rows values"]
) -> Float[np.ndarray, " rows"]:
    """Spearman's rank correlation of each row of x with the same row of y; NaN if constant."""
    from scipy.stats import rankdata

    a, b = rankdata(x, axis=1), rankdata(y, axis=1)
    a -= a.mean(axis=1, keepdims=True)
    b -= b.mean(axis=1, keepdims=True)
    scale = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    product = (a * b).sum(axis=1)
    return np.asarray(np.divide(product, scale, out=np.full(len(a), np.nan), where=scale > 0))
