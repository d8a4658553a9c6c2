"""The null that keeps key groups, for classes and scores of the heads table.

Heads that share keys are alike by construction. A class that follows key groups is found by any
metric of patterns, so each test is repeated with permutations that keep groups together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.evaluation.degrees import (
    N_NEIGHBOURS,
    Permutations,
    ScopedDistances,
    correlations,
    permutations_of,
)
from attention_motifs.evaluation.null import compare
from attention_motifs.evaluation.query_sets import HeadPositions, Scope, scopes
from attention_motifs.evaluation.recovery import HeadClass
from attention_motifs.evaluation.regression import SCORE
from attention_motifs.evaluation.table import AUROC, MAP, S5

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

RowKey = tuple[str, str, str, str]
"""Label of the scope, kind, name, statistic."""


def group_numbers(
    heads: HeadPositions, scope: Scope, key_groups: Mapping[str, int]
) -> Int[np.ndarray, " heads"] | None:
    """Return the key group of every head; None if no model of the scope has several per layer.

    Args:
        heads: model and layer of every head.
        scope: its models are looked at.
        key_groups: per model, the number of key groups in a layer.
    """
    groups = np.arange(len(heads))
    grouped = False
    for model in heads.models:
        n_groups = key_groups.get(model)
        rows = heads.heads_of(model)
        if not n_groups or not np.isin(rows, [*scope.queries, *scope.candidates]).any():
            continue
        layers = heads.layers[rows]
        per_layer = int((layers == layers[0]).sum())
        grouped |= 1 < n_groups < per_layer
        index = np.concatenate([np.arange(n) for n in np.unique(layers, return_counts=True)[1]])
        groups[rows] = index // max(1, per_layer // n_groups) if n_groups > 1 else 0
    return groups if grouped else None


def group_tests(
    distances: Float[np.ndarray, "heads heads"],
    classes: Sequence[HeadClass],
    scores: Mapping[str, Float[np.ndarray, " heads"]],
    heads: HeadPositions,
    key_groups: Mapping[str, int],
    *,
    n_permutations: int,
    seed: int,
) -> dict[RowKey, float]:
    """Return p of classes and scores compared with permutations that keep key groups.

    Args:
        distances: (heads, heads) finite distances; rows are queries.
        classes: classes with members in the order of the heads.
        scores: (heads,) scores by name; those with a missing value in a scope are left out.
        heads: model and layer of every head.
        key_groups: per model, the number of key groups in a layer.
        n_permutations: number of permutations.
        seed: seed for the permutations, 0 or more.

    Returns:
        p by label of the scope, kind, name and statistic. Scopes without key groups have none.
    """
    found: dict[RowKey, float] = {}
    for scope in scopes(heads):
        groups = group_numbers(heads, scope, key_groups)
        if groups is None:
            continue
        ranked = ScopedDistances(distances, scope, N_NEIGHBOURS)
        drawn = permutations_of(scope, heads, n_permutations, seed, key_groups=groups)
        for head_class in classes:
            key = scope.label, head_class.kind, head_class.name
            auroc, precision = _of_class(ranked, scope, head_class.members, drawn)
            found[*key, AUROC], found[*key, MAP] = auroc, precision
        for name, column in scores.items():
            asking, offered = column[scope.queries], column[scope.candidates]
            if np.isfinite(asking).all() and np.isfinite(offered).all():
                values = correlations(ranked, asking, offered, drawn)
                key = scope.label, SCORE, name
                found[*key, S5] = compare(float(values[0]), np.nan_to_num(values[1:])).p
    return found


def _of_class(
    ranked: ScopedDistances,
    scope: Scope,
    members: Bool[np.ndarray, " heads"],
    drawn: Permutations,
) -> tuple[float, float]:
    """Return p of AUROC and MAP; NaN if they are undefined."""
    queries, relevant = members[scope.queries], members[scope.candidates]
    if not queries.any() or relevant.sum() <= scope.within:
        return math.nan, math.nan
    values = ranked.statistics(drawn.queries[:, queries], drawn.candidates[:, relevant])
    auroc, precision = (
        compare(float(column[0]), np.nan_to_num(column[1:])).p for column in values.T[:2]
    )
    return auroc, precision
