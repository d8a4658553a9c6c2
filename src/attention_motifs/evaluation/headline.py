"""The headline of an evaluation: one small table, and the answer in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.evaluation.label_rows import LabelRows, interval, key_of
from attention_motifs.evaluation.label_scores import LABEL_KINDS, LabelReliability
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

NULL, DETECTOR, EXACT = "layers alone", "perfect detector", "exact score"

_SHOWN = 6
"""Failures listed in the answer; the table has all."""
_UNRELIABLE = 0.5
"""Overlap of the classes of two draws below which a label is called unreliable."""

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


def answer(
    rows: Sequence[Row],
    lines: Sequence[HeadlineRow],
    labels: Sequence[LabelReliability],
    reference: str,
) -> tuple[str, ...]:
    """Say in sentences what does not work, which metric to use, and by how much it is better."""
    if not lines:
        return ()
    return tuple(
        sentence
        for sentence in (
            _failures(rows, reference),
            _unreliable(labels),
            _choice(lines, reference),
            *_gains(lines, reference),
        )
        if sentence
    )


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


def _failures(rows: Sequence[Row], reference: str) -> str:
    """Name the labels that the reference does not recover beyond the layers."""
    tested = [
        row
        for row in rows
        if row.metric == reference
        and row.setting == WITHIN
        and row.statistic == S5
        and row.kind in LABEL_KINDS
    ]
    failed = [row for row in tested if row.q is None or row.q > 0.05]
    if not tested:
        return ""
    if not failed:
        return (
            f"No failure: by `{reference}` near heads agree in every behaviour more than heads of "
            "the same layers do (S5, q <= 0.05)."
        )
    names = [f"{row.name} on {row.kind} in {row.model}" for row in failed]
    return (
        f"Does not work: `{reference}` is no better than the layers alone (S5, q > 0.05) in "
        f"{len(failed)} of {len(tested)} cases: {_list(names)}."
    )


def _unreliable(labels: Sequence[LabelReliability]) -> str:
    weak = [row for row in labels if not row.jaccard >= _UNRELIABLE]
    names = [f"{row.name} on {row.kind} in {row.model} ({row.jaccard:.2f})" for row in weak]
    if not names:
        return ""
    return (
        "Cannot be judged by class, since two draws of the label share less than half of their "
        f"heads: {_list(names)}."
    )


def _choice(lines: Sequence[HeadlineRow], reference: str) -> str:
    """Recommend the reference, unless another metric is better with its interval above 0."""
    better = [
        (line.name, column, statistic)
        for line in lines
        if line.is_metric and line.name != reference
        for column, cell in line.cells.items()
        for statistic, gain in ((S5, cell.s5_gain), (MAP, cell.map_gain))
        if gain is not None and gain[2] < 0
    ]
    of_reference = next(line for line in lines if line.name == reference)
    means = "; ".join(
        f"{column} S5 {_figure(cell.s5)}, MAP {_figure(cell.map)}"
        for column, cell in of_reference.cells.items()
    )
    if not better:
        return f"Use `{reference}`: no other metric is better here ({means})."
    names = [f"`{name}` on {column} ({statistic})" for name, column, statistic in better]
    return f"Use `{reference}` ({means}), but compare: better are {_list(names)}."


def _gains(lines: Sequence[HeadlineRow], reference: str) -> list[str]:
    sentences = []
    for line in lines:
        if not line.is_metric or line.name == reference:
            continue
        parts = []
        for column, cell in line.cells.items():
            both = [
                f"{statistic} {_gain(gain)}"
                for statistic, gain in ((S5, cell.s5_gain), (MAP, cell.map_gain))
                if gain is not None
            ]
            if both:
                parts.append(f"{column} {', '.join(both)}")
        if parts:
            sentences.append(f"Gain of `{reference}` over `{line.name}`: {'; '.join(parts)}.")
    return sentences


def _gain(gain: tuple[float, float, float]) -> str:
    return f"{gain[0]:+.2f} ({gain[1]:+.2f} to {gain[2]:+.2f})"


def _figure(value: float | None) -> str:
    return "undefined" if value is None or not math.isfinite(value) else f"{value:.2f}"


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
