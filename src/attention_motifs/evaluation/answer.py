"""The answer of an evaluation in sentences: which metric to use, how good, how sure, what fails."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attention_motifs.evaluation.label_scores import LABEL_KINDS, LabelReliability
from attention_motifs.evaluation.table import (
    MAP,
    S5,
    WITHIN,
    HeadlineCell,
    HeadlineRow,
    Row,
)

NULL, DETECTOR, EXACT = "layers alone", "perfect detector", "exact score"
"""Lines of the headline table that are no metrics."""

_LEVEL = 0.05
_SHOWN = 6
"""Cases listed in a sentence; the table has all."""
_UNRELIABLE = 0.5
"""Overlap of the classes of two draws below which a label is called unreliable."""

NamedGain = tuple[str, float, float, float]
"""Statistic, gain of the reference, and the ends of its interval."""


def answer(
    rows: Sequence[Row],
    lines: Sequence[HeadlineRow],
    labels: Sequence[LabelReliability],
    reference: str,
) -> tuple[str, ...]:
    """Say in sentences which metric to use, how good it is, how sure that is, and what fails.

    Args:
        rows: all rows.
        lines: the headline table; without it there is no answer.
        labels: how far labels reproduce themselves.
        reference: the metric that gains are of.
    """
    if not lines:
        return ()
    better = _better(lines, reference)
    best = next(iter(better), reference)
    tested = [row for row in rows if row.metric == best and _is_of_labels(row)]
    sentences = (
        _choice(lines, reference, better),
        _quality(lines, best),
        _failures(tested, best),
        _without_power(tested),
        _unreliable(labels),
        *_gains(lines, reference),
    )
    return tuple(sentence for sentence in sentences if sentence)


def _is_of_labels(row: Row) -> bool:
    return row.setting == WITHIN and row.kind in LABEL_KINDS and row.statistic in (S5, MAP)


def _better(lines: Sequence[HeadlineRow], reference: str) -> dict[str, list[str]]:
    """Return the metrics that are better than the reference somewhere and worse nowhere.

    Returns:
        By metric, the kinds of labels on which it is better.
    """
    better = {}
    for line in lines:
        gains = [gain for cell in line.cells.values() for gain in _gains_of(cell)]
        columns = [column for column, cell in line.cells.items() if _is_worse(_gains_of(cell))]
        if line.name != reference and columns and not any(low > 0 for _, _, low, _ in gains):
            better[line.name] = columns
    return better


def _choice(
    lines: Sequence[HeadlineRow], reference: str, better: Mapping[str, Sequence[str]]
) -> str:
    """Recommend the reference, or the first metric that is better."""
    others = [line for line in lines if line.is_metric and line.name != reference]
    if not others:
        return f"Use `{reference}`, the only metric here: nothing was compared with it."
    if not any(_gains_of(cell) for line in others for cell in line.cells.values()):
        return "Metrics are not compared: that needs resamples. Give --bootstraps 200."
    for name, columns in better.items():
        return (
            f"Use `{name}`, not `{reference}`: it is better on {_list(columns)}, and worse nowhere."
        )
    best, level, worse = [], [], []
    for column in others[0].cells:
        gains_over = {line.name: _gains_of(line.cells[column]) for line in others}
        if ahead := [name for name, gains in gains_over.items() if _is_worse(gains)]:
            worse.append(f"{column} (better: {_list(f'`{name}`' for name in ahead)})")
        elif all(any(low > 0 for _, _, low, _ in gains) for gains in gains_over.values()):
            best.append(column)
        else:
            level.append(column)
    parts = [
        f"the best on {_list(best)}" if best else "",
        f"not worse than others on {_list(level)}" if level else "",
        f"not the best on {_list(worse)}" if worse else "",
    ]
    return f"Use `{reference}`: it is {'; '.join(part for part in parts if part)}."


def _is_worse(gains: Sequence[NamedGain]) -> bool:
    """Return whether an interval of the gain of the reference is below 0."""
    return any(high < 0 for *_, high in gains)


def _quality(lines: Sequence[HeadlineRow], best: str) -> str:
    """Give the means of a metric with their intervals, between the null and the ceiling."""
    cells = {line.name: line.cells for line in lines}
    parts = [
        f"{column} S5 {_with_interval(cell.s5, cell.s5_interval)}, "
        f"MAP {_with_interval(cell.map, cell.map_interval)}"
        for column, cell in cells[best].items()
    ]
    bounds = "; ".join(
        f"{words} S5 {_span(c.s5 for c in cells[name].values())}, "
        f"MAP {_span(c.map for c in cells[name].values())}"
        for name, words in ((NULL, "layers alone have"), (EXACT, "a metric that knew the score"))
    )
    return (
        f"How good `{best}` is: {'; '.join(parts)} (95 % intervals over texts, sequences and "
        f"heads). For comparison: {bounds}."
    )


def _failures(tested: Sequence[Row], metric: str) -> str:
    """Name the labels that a metric does not recover beyond the layers."""
    failures, judged = [], []
    for statistic in (S5, MAP):
        cases = [row for row in tested if row.statistic == statistic and not _is_powerless(row)]
        failed = [_case(row) for row in cases if row.q is None or row.q > _LEVEL]
        if failed:
            failures.append(f"by {statistic} in {len(failed)} of {len(cases)}: {_list(failed)}")
        elif cases:
            judged.append(f"by {statistic} in all {len(cases)}")
    works = f"better than heads of the same layers (q <= {_LEVEL}) {' and '.join(judged)} cases"
    if not failures:
        return f"No failure: `{metric}` is {works}." if judged else ""
    rest = f" It is {works}." if judged else ""
    return (
        f"Does not work: `{metric}` is no better than heads of the same layers (q > {_LEVEL}) "
        f"{'; '.join(failures)}.{rest}"
    )


def _is_powerless(row: Row) -> bool:
    """Return whether a class has too few other arrangements in its layers for p <= 0.05."""
    return row.p_floor is not None and row.p_floor > _LEVEL


def _without_power(tested: Sequence[Row]) -> str:
    names = [_case(row) for row in tested if _is_powerless(row)]
    if not names:
        return ""
    return (
        "Cannot be tested: a class in so few layers has too few other arrangements for p <= 0.05: "
        f"{_list(names)}."
    )


def _unreliable(labels: Sequence[LabelReliability]) -> str:
    weak = [row for row in labels if not row.jaccard >= _UNRELIABLE]
    if not weak:
        return ""
    names = (f"{row.name} on {row.kind} in {row.model} ({row.jaccard:.2f})" for row in weak)
    return (
        "Cannot be judged by class, since two draws of the label share less than half of their "
        f"heads: {_list(names)}."
    )


def _gains(lines: Sequence[HeadlineRow], reference: str) -> list[str]:
    sentences = []
    for line in lines:
        if not line.is_metric or line.name == reference:
            continue
        parts = [
            f"{column} {', '.join(map(_gain, gains))}"
            for column, cell in line.cells.items()
            if (gains := _gains_of(cell))
        ]
        if parts:
            sentences.append(f"Gain of `{reference}` over `{line.name}`: {'; '.join(parts)}.")
    return sentences


def _gains_of(cell: HeadlineCell) -> list[NamedGain]:
    """Return statistic, gain and its interval where there is one."""
    both = ((S5, cell.s5_gain), (MAP, cell.map_gain))
    return [(statistic, *gain) for statistic, gain in both if gain is not None]


def _case(row: Row) -> str:
    return f"{row.name} on {row.kind} in {row.model}"


def _gain(named: NamedGain) -> str:
    statistic, gain, low, high = named
    return f"{statistic} {gain:+.2f} ({low:+.2f} to {high:+.2f})"


def _with_interval(value: float | None, interval: tuple[float, float] | None) -> str:
    if value is None:
        return "undefined"
    return f"{value:.2f}" + (f" ({interval[0]:.2f} to {interval[1]:.2f})" if interval else "")


def _span(values: Iterable[float | None]) -> str:
    """Return the smallest and the largest of some values."""
    ends = sorted({f"{value:.2f}" for value in values if value is not None}, key=float)
    return " to ".join(ends[:: max(1, len(ends) - 1)]) if ends else "undefined"


def _list(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return ", ".join(listed[:_SHOWN]) + more
