"""Class recovery: are the heads of a class one another's nearest?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.errors import InputError
from attention_motifs.evaluation.null import (
    NullTest,
    compare,
    generator,
    layer_matched_draws,
    n_arrangements,
)
from attention_motifs.evaluation.query_sets import HeadPositions, Scope, scopes
from attention_motifs.evaluation.ranking import RankStatistics

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

MIN_HEADS = 3
"""Heads a class needs in the model that is ranked, else it is listed as too small."""
N_NEIGHBOURS = 5
N_PERMUTATIONS = 1000


@dataclass(frozen=True)
class HeadClass:
    """A named set of heads, from the literature or computed from behaviour scores."""

    name: str
    kind: str
    """`literature` or `computed`; the two are never mixed."""
    members: Bool[np.ndarray, " heads"]


@dataclass(frozen=True)
class ClassRecovery:
    """How near the heads of one class are to one another, beside the layer-matched null."""

    model: str
    """A model, or `A -> B`: queries are the class's heads in A, ranked are the heads of B."""
    name: str
    kind: str
    n_queries: int
    n_heads: int
    """Heads of the class in the model that is ranked."""
    auroc: NullTest
    average_precision: NullTest
    purity: NullTest
    p_floor: float
    """No p below this can be expected: one over the number of draws, or of arrangements."""


@dataclass(frozen=True)
class TooFew:
    """A class or a score that is not scored, and why."""

    model: str
    name: str
    kind: str
    n_queries: int
    n_heads: int
    needed: int
    """How many heads the model that is ranked would have to have."""


def class_recovery(
    distances: Float[np.ndarray, "heads heads"],
    classes: Sequence[HeadClass],
    heads: HeadPositions,
    *,
    n_permutations: int = N_PERMUTATIONS,
    n_neighbours: int = N_NEIGHBOURS,
    min_heads: int = MIN_HEADS,
    seed: int = 0,
) -> tuple[tuple[ClassRecovery, ...], tuple[TooFew, ...]]:
    """Score every class within every model and from model to model.

    Each head of the class in turn ranks all other heads of the model (or all heads of the other
    model) by distance; AUROC, average precision and the share of the class among the
    `n_neighbours` nearest are averaged over these queries. The null draws, for every layer, as
    many heads as the class has there (`layer_matched_draws`), from model to model on both sides.
    Ties count by expectation (module `ranking`). Where a class is all of a model, AUROC is NaN.

    Args:
        distances: finite, row = query; the diagonal is not read.
        classes: members in the order of the rows.
        heads: model and layer of every row.
        n_permutations: draws of the null.
        n_neighbours: for the purity.
        min_heads: what a class needs in the model that is ranked.
        seed: at least 0; a row does not depend on which other rows there are.

    Returns:
        What was scored, and what was not for want of heads. Within a model every class is in one
        of the two; a pair of models is left out if one of them has no head of the class.

    Raises:
        InputError: if shapes disagree, distances are not finite, or a number is out of range.
    """
    heads.check(distances)
    if n_permutations < 1 or n_neighbours < 1 or min_heads < 2:
        raise InputError(
            f"n_permutations = {n_permutations}, n_neighbours = {n_neighbours}, min_heads = "
            f"{min_heads}: at least 1, 1 and 2 are needed"
        )
    for head_class in classes:
        _check_members(head_class, len(heads))
    scored, too_few = [], []
    for scope in scopes(heads):
        block = distances[np.ix_(scope.queries, scope.candidates)]
        statistics = RankStatistics(block, within=scope.within, n_neighbours=n_neighbours)
        for head_class in classes:
            n_queries = int(head_class.members[scope.queries].sum())
            n_heads = int(head_class.members[scope.candidates].sum())
            if not scope.within and not (n_queries and n_heads):
                continue
            names = (scope.label, head_class.name, head_class.kind)
            if n_heads < min_heads:
                too_few.append(TooFew(*names, n_queries, n_heads, min_heads))
                continue
            rng = generator(seed, *names)
            tests, p_floor = _test(statistics, scope, head_class, heads, n_permutations, rng)
            scored.append(
                ClassRecovery(
                    *names,
                    n_queries=n_queries,
                    n_heads=n_heads,
                    auroc=tests[0],
                    average_precision=tests[1],
                    purity=tests[2],
                    p_floor=p_floor,
                )
            )
    return tuple(scored), tuple(too_few)


def _test(
    statistics: RankStatistics,
    scope: Scope,
    head_class: HeadClass,
    heads: HeadPositions,
    n_permutations: int,
    rng: np.random.Generator,
) -> tuple[list[NullTest], float]:
    """Set the three statistics of one class in one scope beside their null."""
    relevant, arrangements = _sets(head_class, heads, scope.candidates, n_permutations, rng)
    queries = relevant
    if not scope.within:
        queries, of_queries = _sets(head_class, heads, scope.queries, n_permutations, rng)
        arrangements *= of_queries
    values = statistics(queries, relevant)
    tests = [compare(values[0, i], values[1:, i]) for i in range(values.shape[1])]
    return tests, max(1 / (1 + n_permutations), 1 / arrangements)


def _sets(
    head_class: HeadClass,
    heads: HeadPositions,
    rows: Int[np.ndarray, " rows"],
    n_permutations: int,
    rng: np.random.Generator,
) -> tuple[Int[np.ndarray, "sets members"], int]:
    """The class within one model's rows, then its draws; and how many draws there can be."""
    members, layer = head_class.members[rows], heads.layers[rows]
    draws = layer_matched_draws(members, layer, n_permutations, rng)
    sets = np.concatenate([np.flatnonzero(members)[None, :], draws])
    return sets, n_arrangements(members, layer)


def _check_members(head_class: HeadClass, n_heads: int) -> None:
    members = head_class.members
    if members.shape != (n_heads,) or members.dtype != np.bool_:
        raise InputError(
            f"class {head_class.name!r}: members are {members.dtype} of shape {members.shape}, "
            f"bool of shape ({n_heads},) is expected"
        )
