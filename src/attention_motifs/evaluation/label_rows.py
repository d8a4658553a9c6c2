"""Rows of one metric for continuous labels: S5, MAP and AUROC, nulls, ceilings, intervals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.evaluation.degrees import (
    FEWEST_HEADS,
    N_NEIGHBOURS,
    DegreeTest,
    ScopedDistances,
    degree_test,
    permutations_of,
    replicate,
    statistics_of,
)
from attention_motifs.evaluation.key_groups import group_numbers
from attention_motifs.evaluation.label_scores import LabelTable, class_size, top_heads
from attention_motifs.evaluation.null import generator, n_arrangements
from attention_motifs.evaluation.query_sets import HeadPositions, Scope, scopes
from attention_motifs.evaluation.ranking import average_precision
from attention_motifs.evaluation.recovery import TooFew
from attention_motifs.evaluation.regression import spearman_rows
from attention_motifs.evaluation.resampling import ResampledDistances, source_counts
from attention_motifs.evaluation.table import (
    AUROC,
    MAP,
    S5,
    TRANSFER,
    Row,
    number,
    setting_of,
    with_test,
)

if TYPE_CHECKING:
    from jaxtyping import Float

    from attention_motifs.evaluation.metric_comparison import Evidence, MetricDistances, Settings

LabelKey = tuple[str, str, str, str]
"""Label of the scope, kind, behaviour, statistic."""


@dataclass(frozen=True)
class LabelRows:
    """Rows of one metric, and the bootstrap replicates of those that have an interval."""

    rows: tuple[Row, ...]
    replicates: dict[LabelKey, Float[np.ndarray, " replicates"]]
    too_few: tuple[TooFew, ...]


@dataclass(frozen=True)
class _Case:
    """The distances of one scope, and where they come from."""

    scope: Scope
    """Rows of the heads table."""
    label: str
    setting: str
    distances: Float[np.ndarray, "some some"]
    resampled: ResampledDistances | None
    local: Scope
    """The same scope as rows of `distances`."""


def key_of(row: Row) -> LabelKey:
    """Return the key of a row in `LabelRows.replicates`."""
    return row.model, row.kind, row.name, row.statistic


def label_rows(
    metric: str,
    given: MetricDistances,
    heads: HeadPositions,
    table: LabelTable,
    evidence: Evidence,
    settings: Settings,
) -> LabelRows:
    """Measure a metric with every label: within models, between models, and by transfer.

    Args:
        metric: its name.
        given: its distances.
        heads: model and layer of every head.
        table: the label scores.
        evidence: detectors and key groups.
        settings: numbers of permutations and replicates, and the seed.

    Returns:
        Rows with intervals, and the replicates that differences are computed from.
    """
    values = table.values()
    cases, too_few = [], []
    for case in _cases(given, heads):
        sizes = len(case.scope.queries), len(case.scope.candidates)
        usable = _usable(case, values)
        if not usable.any():
            continue
        if min(sizes) < max(FEWEST_HEADS, N_NEIGHBOURS + 2):
            too_few += [
                TooFew(case.label, name, kind, *sizes, FEWEST_HEADS)
                for (kind, name), use in zip(table.columns, usable, strict=True)
                if use and case.setting != TRANSFER
            ]
            continue
        cases.append(case)
    rows = [
        row
        for case in cases
        for row in _rows_of(metric, case, heads, table, values, evidence, settings)
    ]
    replicates = _replicates(cases, heads, table, values, settings)
    return LabelRows(
        tuple(with_interval(row, replicates.get(key_of(row))) for row in rows),
        replicates,
        tuple(too_few),
    )


def _cases(given: MetricDistances, heads: HeadPositions) -> Iterator[_Case]:
    for scope in scopes(heads):
        yield _Case(
            scope,
            scope.label,
            setting_of(scope.label),
            given.distances,
            given.resampled,
            scope,
        )
    for moved in given.transferred:
        rows = heads.heads_of(moved.model)
        local = np.arange(len(rows))
        yield _Case(
            Scope(moved.model, rows, rows),
            f"{moved.model} (fitted on {moved.fitted_on})",
            TRANSFER,
            moved.distances,
            moved.resampled,
            Scope(moved.model, local, local),
        )


def _usable(case: _Case, values: Float[np.ndarray, "labels heads"]) -> np.ndarray:
    """Return which labels have a score for every head of the scope."""
    both = np.concatenate([case.scope.queries, case.scope.candidates])
    return np.asarray(np.isfinite(values[:, both]).all(axis=1))


def _rows_of(
    metric: str,
    case: _Case,
    heads: HeadPositions,
    table: LabelTable,
    values: Float[np.ndarray, "labels heads"],
    evidence: Evidence,
    settings: Settings,
) -> Iterator[Row]:
    ranked = ScopedDistances(case.distances, case.local, N_NEIGHBOURS)
    n, seed = settings.n_permutations, settings.seed
    by_layer = permutations_of(case.scope, heads, n, seed)
    groups = group_numbers(heads, case.scope, evidence.key_groups)
    by_group = (
        None if groups is None else permutations_of(case.scope, heads, n, seed, key_groups=groups)
    )
    for (kind, name), column, use in zip(table.columns, values, _usable(case, values), strict=True):
        if not use:
            continue
        asking, offered = column[case.scope.queries], column[case.scope.candidates]
        test = degree_test(ranked, asking, offered, by_layer, by_group)
        detector = _detector(case, table, evidence, kind, name, asking)
        exact = _exact(case, asking, offered, N_NEIGHBOURS)
        floors = _floors(case, heads, asking, offered, n)
        yield from _three_rows(metric, case, kind, name, test, floors, detector, exact)


def _three_rows(
    metric: str,
    case: _Case,
    kind: str,
    name: str,
    test: DegreeTest,
    floors: tuple[float, float],
    detector: tuple[float, float],
    exact: tuple[float, float, float],
) -> Iterator[Row]:
    n_queries, n_heads = len(case.scope.queries), len(case.scope.candidates)
    nan = float("nan")
    parts = (
        (S5, test.s5, test.s5_groups_p, n_queries, n_heads, detector[0], exact[0]),
        (
            MAP,
            test.average_precision,
            test.average_precision_groups_p,
            class_size(n_queries),
            class_size(n_heads),
            detector[1],
            exact[1],
        ),
        (
            AUROC,
            test.auroc,
            test.auroc_groups_p,
            class_size(n_queries),
            class_size(n_heads),
            nan,
            exact[2],
        ),
    )
    for statistic, tested, p_groups, asking, offered, of_detector, of_exact in parts:
        row = Row(metric, case.label, case.setting, name, kind, statistic, asking, offered)
        yield replace(
            with_test(row, tested, floors[statistic != S5]),
            p_groups=number(p_groups),
            detector=number(of_detector),
            exact=number(of_exact),
        )


def _floors(
    case: _Case,
    heads: HeadPositions,
    of_queries: Float[np.ndarray, " queries"],
    of_candidates: Float[np.ndarray, " candidates"],
    n_permutations: int,
) -> tuple[float, float]:
    """Return the smallest p to be expected of S5, and of the class's MAP and AUROC.

    A class in few layers has few other arrangements, some of which are the class itself.
    """
    arrangements = n_arrangements(top_heads(of_candidates), heads.layers[case.scope.candidates])
    if not case.scope.within:
        arrangements *= n_arrangements(top_heads(of_queries), heads.layers[case.scope.queries])
    floor = 1 / (1 + n_permutations)
    return floor, max(floor, 1 / arrangements)


def _detector(
    case: _Case,
    table: LabelTable,
    evidence: Evidence,
    kind: str,
    name: str,
    label: Float[np.ndarray, " heads"],
) -> tuple[float, float]:
    """Return S5 and AP of a detector that reads the tokens of the atlas's own prompts.

    Its S5 is the rank correlation of its score with the label, and its AP that of the ranking of
    all heads by its score.
    """
    names = table.names_of(kind)
    scores = evidence.detectors.get(case.scope.label)
    if scores is None or not case.scope.within:
        return float("nan"), float("nan")
    detected = np.asarray(scores, np.float64)[:, names.index(name)]
    correlation = float(spearman_rows(label[None, :], detected[None, :])[0])
    if np.ptp(label) == 0:
        return correlation, float("nan")
    return correlation, average_precision(-detected, top_heads(label))


def _exact(
    case: _Case,
    of_queries: Float[np.ndarray, " queries"],
    of_candidates: Float[np.ndarray, " candidates"],
    n_neighbours: int,
) -> tuple[float, float, float]:
    """Return S5, MAP and AUROC of the differences of the exact score."""
    differences = np.abs(of_queries[:, None] - of_candidates[None, :])
    rows, columns = (np.arange(n) for n in differences.shape)
    scope = Scope(case.label, rows, rows if case.scope.within else columns)
    ranked = ScopedDistances(differences, scope, n_neighbours)
    return statistics_of(ranked, of_queries, of_candidates)


def _replicates(
    cases: list[_Case],
    heads: HeadPositions,
    table: LabelTable,
    values: Float[np.ndarray, "labels heads"],
    settings: Settings,
) -> dict[LabelKey, Float[np.ndarray, " replicates"]]:
    """Return bootstrap replicates of S5 and MAP.

    In each replicate the sources of stimuli, the label sequences and the query heads are drawn with
    replacement. Draws depend on the seed and the replicate only, so metrics share them.
    """
    n = settings.n_bootstraps
    usable = [_usable(case, values) for case in cases]
    drawn = [np.empty((n, int(use.sum()), 2)) for use in usable]
    for r in range(n):
        counts = source_counts(settings.seed, r)
        resampled = table.values(counts)
        uniform = generator(settings.seed, "bootstrap heads", str(r)).random(len(heads))
        matrices: dict[int, np.ndarray] = {}
        for i, case in enumerate(cases):
            key = id(case.resampled)
            if case.resampled is not None and key not in matrices:
                matrices[key] = case.resampled(counts)
            matrix = case.distances if case.resampled is None else matrices[key]
            drawn[i][r] = replicate(
                matrix[np.ix_(case.local.queries, case.local.candidates)],
                resampled[usable[i]][:, case.scope.queries],
                resampled[usable[i]][:, case.scope.candidates],
                uniform[case.scope.queries],
                within=case.scope.within,
            )
    replicates: dict[LabelKey, np.ndarray] = {}
    for case, use, of_case in zip(cases, usable, drawn, strict=True):
        columns = [table.columns[i] for i in np.flatnonzero(use)]
        for k, (kind, name) in enumerate(columns):
            for j, statistic in enumerate((S5, MAP)):
                replicates[case.label, kind, name, statistic] = of_case[:, k, j]
    return replicates if n else {}


def interval(
    value: float, replicates: Float[np.ndarray, " replicates"]
) -> tuple[float, float] | None:
    """Return a 95 % interval of a value; None where a replicate is undefined.

    Resampled labels are noisier than the label itself, which lowers the mean of the replicates;
    their quantiles are shifted by the difference of that mean and the value.
    """
    if not len(replicates) or not np.isfinite(replicates).all() or not np.isfinite(value):
        return None
    low, high = np.quantile(replicates, [0.025, 0.975]) - replicates.mean() + value
    return float(low), float(high)


def with_interval(row: Row, replicates: Float[np.ndarray, " replicates"] | None) -> Row:
    """Return the row with the interval of its value, within the range of the statistic."""
    if row.value is None or replicates is None:
        return row
    both = interval(row.value, replicates)
    if both is None:
        return row
    least = -1.0 if row.statistic == S5 else 0.0
    return replace(row, low=max(least, both[0]), high=min(1.0, both[1]))
