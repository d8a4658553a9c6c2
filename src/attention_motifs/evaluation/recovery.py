"""Class recovery: whether the heads of a class are nearest to each other."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.errors import InputError
from attention_motifs.evaluation.null import (
    ENUMERATED,
    NullTest,
    compare,
    generator,
    n_arrangements,
    null_sets,
)
from attention_motifs.evaluation.query_sets import HeadPositions, Scope, scopes
from attention_motifs.evaluation.ranking import RankStatistics
from attention_motifs.features.arguments import short, whole_number

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

MIN_HEADS = 3
"""Smallest number of heads of a class in the model that is ranked."""
N_NEIGHBOURS = 5
N_PERMUTATIONS = 1000


@dataclass(frozen=True)
class HeadClass:
    """A named set of heads, from the literature or computed from behaviour scores."""

    name: str
    kind: str
    """`literature` or `computed`."""
    members: Bool[np.ndarray, " heads"]


@dataclass(frozen=True)
class ClassRecovery:
    """Ranks of the heads of a class among all heads, compared with the layer-matched null."""

    model: str
    """A model, or `A -> B`: the class's heads in A rank the heads of B."""
    name: str
    kind: str
    n_queries: int
    n_heads: int
    """Heads of the class in the model that is ranked."""
    auroc: NullTest
    average_precision: NullTest
    purity: NullTest
    p_floor: float
    """The smallest p to be expected: one over the number of draws, or of arrangements."""


@dataclass(frozen=True)
class TooFew:
    """A class or a score with too few heads."""

    model: str
    name: str
    kind: str
    n_queries: int
    n_heads: int
    needed: int
    """Number of heads needed in the model that is ranked."""


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
    """Measure the recovery of every class within every model and between models.

    Each head of the class ranks all other heads of the model (or all heads of another model) by
    distance. AUROC, average precision and the share of the class among the `n_neighbours` nearest
    are averaged over these queries. The null draws as many heads in every layer as the class has
    (`layer_matched_draws`); between models it does so on both sides. Ties are counted by
    expectation (module `ranking`). AUROC is NaN if all heads of a model are in the class.

    Args:
        distances: (heads, heads) finite distances; rows are queries, the diagonal is not read.
        classes: classes with members in the order of the rows.
        heads: model and layer of every row.
        n_permutations: number of draws of the null; a class with at most 1,000 arrangements is
            tested against all of them.
        n_neighbours: number of neighbours for the purity.
        min_heads: smallest number of heads of a class in the model that is ranked.
        seed: seed for the draws, 0 or more; each row has its own generator.

    Returns:
        The results, and the classes with too few heads. Within a model every class is in one of the
        two; a pair of models is left out if one of them has no head of the class.

    Raises:
        InputError: if shapes disagree, distances are not finite, or a number is out of range.
    """
    heads.check(distances)
    whole_number(n_permutations, "n_permutations", least=1)
    whole_number(n_neighbours, "n_neighbours", least=1)
    whole_number(min_heads, "min_heads", least=2)
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
    """Compare the three statistics of a class in a scope with their null."""
    relevant, of_relevant = _sets(head_class, heads, scope.candidates, n_permutations, rng)
    queries, arrangements = relevant, of_relevant
    if not scope.within:
        queries, of_queries = _sets(head_class, heads, scope.queries, n_permutations, rng)
        arrangements *= of_queries
        if arrangements <= ENUMERATED:
            pairs = list(itertools.product(range(of_queries), range(of_relevant)))
            rows = np.array(pairs, dtype=np.int64)
            queries, relevant = queries[rows[:, 0]], relevant[rows[:, 1]]
        else:
            queries = _resized(queries, n_permutations, rng)
            relevant = _resized(relevant, n_permutations, rng)
    values = statistics(queries, relevant)
    null = values[1:] if len(values) > 1 else values  # without freedom it is the class itself
    tests = [compare(values[0, i], null[:, i]) for i in range(values.shape[1])]
    return tests, max(1 / len(values), 1 / arrangements)


def _sets(
    head_class: HeadClass,
    heads: HeadPositions,
    rows: Int[np.ndarray, " rows"],
    n_permutations: int,
    rng: np.random.Generator,
) -> tuple[Int[np.ndarray, "sets members"], int]:
    """Return the class in a model's rows, then its null; and the number of arrangements."""
    members, layer = head_class.members[rows], heads.layers[rows]
    null = null_sets(members, layer, n_permutations, rng)
    arrangements = n_arrangements(members, layer)
    if arrangements == 1:
        null = null[:0]
    return np.concatenate([np.flatnonzero(members)[None, :], null]), arrangements


def _resized(
    sets: Int[np.ndarray, "sets members"], n_permutations: int, rng: np.random.Generator
) -> Int[np.ndarray, "draws members"]:
    """Return the class, then n draws: the null itself if it has n rows, else rows drawn from it."""
    if len(sets) == 1 + n_permutations:
        return sets
    rows = np.concatenate([[0], rng.integers(len(sets), size=n_permutations)])
    return np.asarray(sets[rows])


def _check_members(head_class: HeadClass, n_heads: int) -> None:
    members = head_class.members
    if not (
        isinstance(members, np.ndarray)
        and members.shape == (n_heads,)
        and members.dtype == np.bool_
    ):
        raise InputError(
            f"class {head_class.name!r}: members are {short(members)}. Give a bool array of shape "
            f"({n_heads},)."
        )
