"""The headline of an evaluation: one small table of means over behaviours and models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.evaluation.answer import DETECTOR, EXACT, NULL
from attention_motifs.evaluation.label_rows import LabelRows, interval, key_of
from attention_motifs.evaluation.label_scores import LABEL_KINDS
from attention_motifs.evaluation.table import (
    MAP,
    S5,
    TRANSFER,
    WITHIN,
    HeadlineCell,
    HeadlineRow,
    Row,
    number,
)

if TYPE_CHECKING:
    from jaxtyping import Float

OTHER_MODEL = "another model"
"""Column of the transfer rows: all kinds of labels, in spaces fitted on another model."""

_NOTHING = np.empty(0)


def with_differences(
    rows: Iterable[Row], labelled: Mapping[str, LabelRows], reference: str
) -> list[Row]:
    """Add the difference to the reference metric, with its interval from the same resamples."""
    table = list(rows)
    of_reference = {key_of(row): row for row in table if row.metric == reference}
    for i, row in enumerate(table):
        key = key_of(row)
        base = of_reference.get(key)
        if row.metric == reference or base is None or row.value is None or base.value is None:
            continue
        difference = row.value - base.value
        mine = labelled[row.metric].replicates.get(key, _NOTHING)
        its = labelled[reference].replicates.get(key, _NOTHING)
        both = interval(difference, mine - its) if len(mine) == len(its) else None
        low, high = both or (None, None)
        table[i] = replace(row, difference=difference, difference_low=low, difference_high=high)
    return table


def headline(
    rows: Sequence[Row], labelled: Mapping[str, LabelRows], reference: str
) -> tuple[HeadlineRow, ...]:
    """Average S5 and MAP over behaviours and models, by metric and kind of labels.

    Args:
        rows: all rows.
        labelled: replicates by metric.
        reference: the metric that gains are of.

    Returns:
        The metrics in their order, then the layer-matched null and the two ceilings of the
        reference; empty without labels.
    """
    columns = _columns(rows)
    if not columns:
        return ()
    lines = [
        HeadlineRow(
            metric,
            is_metric=True,
            cells={column: _cell(metric, column, rows, labelled, reference) for column in columns},
        )
        for metric in labelled
    ]
    for name, field in ((NULL, "null_mean"), (DETECTOR, "detector"), (EXACT, "exact")):
        cells = {
            column: HeadlineCell(
                s5=_mean(getattr(row, field) for row in _of(rows, reference, column, S5)),
                map=_mean(getattr(row, field) for row in _of(rows, reference, column, MAP)),
            )
            for column in columns
        }
        lines.append(HeadlineRow(name, is_metric=False, cells=cells))
    return tuple(lines)


def _columns(rows: Sequence[Row]) -> list[str]:
    labelled = [row for row in rows if row.statistic == S5 and row.kind != "score"]
    within = {row.kind for row in labelled if row.setting == WITHIN}
    kinds = [kind for kind in LABEL_KINDS if kind in within]
    kinds += sorted(within - set(kinds))
    moved = any(row.setting == TRANSFER for row in labelled)
    return [*kinds, OTHER_MODEL] if moved else kinds


def _of(rows: Sequence[Row], metric: str, column: str, statistic: str) -> list[Row]:
    """Return the label rows of one metric, column and statistic."""
    setting = TRANSFER if column == OTHER_MODEL else WITHIN
    return [
        row
        for row in rows
        if row.metric == metric
        and row.statistic == statistic
        and row.setting == setting
        and (row.kind == column or column == OTHER_MODEL)
    ]


def _cell(
    metric: str,
    column: str,
    rows: Sequence[Row],
    labelled: Mapping[str, LabelRows],
    reference: str,
) -> HeadlineCell:
    parts: dict[str, tuple[float | None, tuple[float, float] | None]] = {}
    gains: dict[str, tuple[float, float, float] | None] = {}
    for statistic in (S5, MAP):
        of_metric = [row for row in _of(rows, metric, column, statistic) if row.value is not None]
        value = _mean(row.value for row in of_metric)
        drawn = _mean_replicates(of_metric, labelled[metric])
        parts[statistic] = value, None if value is None else interval(value, drawn)
        base = [row for row in _of(rows, reference, column, statistic) if row.value is not None]
        gains[statistic] = None
        if metric != reference and value is not None and len(base) == len(of_metric):
            gain = (_mean(row.value for row in base) or 0.0) - value
            its = _mean_replicates(base, labelled[reference])
            both = interval(gain, its - drawn) if len(its) == len(drawn) else None
            gains[statistic] = None if both is None else (gain, *both)
    return HeadlineCell(
        s5=parts[S5][0],
        map=parts[MAP][0],
        s5_interval=parts[S5][1],
        map_interval=parts[MAP][1],
        s5_gain=gains[S5],
        map_gain=gains[MAP],
    )


def _mean(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return number(float(np.mean(defined))) if defined else None


def _mean_replicates(rows: Sequence[Row], labelled: LabelRows) -> Float[np.ndarray, " replicates"]:
    drawn = [labelled.replicates.get(key_of(row), _NOTHING) for row in rows]
    return np.mean(drawn, axis=0) if drawn and all(len(x) for x in drawn) else _NOTHING
