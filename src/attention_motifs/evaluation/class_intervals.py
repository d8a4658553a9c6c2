"""Bootstrap replicates of class recovery: stimuli and heads of the class are drawn again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.evaluation.label_rows import LabelKey
from attention_motifs.evaluation.null import generator
from attention_motifs.evaluation.query_sets import HeadPositions, Scope, scopes
from attention_motifs.evaluation.recovery import HeadClass
from attention_motifs.evaluation.resampling import source_counts
from attention_motifs.evaluation.table import AUROC, MAP

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from attention_motifs.evaluation.metric_comparison import MetricDistances, Settings


def class_replicates(
    given: MetricDistances, classes: Sequence[HeadClass], heads: HeadPositions, settings: Settings
) -> dict[LabelKey, Float[np.ndarray, " replicates"]]:
    """Return bootstrap replicates of AUROC and MAP of every class and scope.

    In each replicate the sources of stimuli and the querying heads of the class are drawn with
    replacement; which heads are in the class is taken as known. Draws depend on the seed and the
    replicate only, so metrics share them. A metric that cannot be resampled has fixed distances.

    Args:
        given: the distances of a metric.
        classes: classes with members in the order of the heads.
        heads: model and layer of every head.
        settings: number of replicates, fewest heads of a class, and the seed.
    """
    cases = [
        (scope, head_class)
        for scope in scopes(heads)
        for head_class in classes
        if head_class.members[scope.candidates].sum() >= settings.min_heads
        and head_class.members[scope.queries].any()
    ]
    n = settings.n_bootstraps if cases else 0
    drawn = np.empty((len(cases), n, 2))
    for r in range(n):
        matrix = given.distances
        if given.resampled is not None:
            matrix = given.resampled(source_counts(settings.seed, r))
        uniform = generator(settings.seed, "bootstrap classes", str(r)).random(len(heads))
        for i, (scope, head_class) in enumerate(cases):
            drawn[i, r] = _replicate(matrix, scope, head_class.members, uniform)
    return {
        (scope.label, head_class.kind, head_class.name, statistic): drawn[i, :, column]
        for i, (scope, head_class) in enumerate(cases)
        for column, statistic in enumerate((AUROC, MAP))
        if n
    }


def _replicate(
    distances: Float[np.ndarray, "heads heads"],
    scope: Scope,
    members: Bool[np.ndarray, " heads"],
    uniform: Float[np.ndarray, " heads"],
) -> tuple[float, float]:
    """Return AUROC and MAP over drawn heads of a class; ties are taken in the order of the heads.

    AUROC is NaN if all candidates are in the class.
    """
    queries = scope.queries[members[scope.queries]]
    queries = queries[(uniform[: len(queries)] * len(queries)).astype(int)]
    relevant = members[scope.candidates]
    block = np.array(distances[np.ix_(queries, scope.candidates)])
    if scope.within:
        block[scope.candidates[None, :] == queries[:, None]] = np.inf
    order = np.argsort(block, axis=1, kind="stable")
    m, n = int(relevant.sum()) - scope.within, len(scope.candidates) - scope.within
    # The query itself is ranked last.
    hits = relevant[order][:, :n]
    ranks = np.nonzero(hits)[1].reshape(len(queries), m) + 1
    precision = float((np.arange(1, m + 1) / ranks).mean())
    if m == n:
        return float("nan"), precision
    auroc = 1 - (ranks.sum(axis=1) - m * (m + 1) / 2) / (m * (n - m))
    return float(auroc.mean()), precision
