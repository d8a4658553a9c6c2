"""The answer of an evaluation in sentences: which metric to use, how good, how sure, what fails."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
    tested = [row for row in rows if row.metric == reference and _is_of_labels(row)]
    sentences = (
        _choice(lines, reference),
        _quality(lines, reference),
        _failures(tested, reference),
        _without_power(tested),
        _unreliable(labels),
        *_gains(lines, reference),
    )
    return tuple(sentence for sentence in sentences if sentence)


def _is_of_labels(row: Row) -> bool:
    return row.setting == WITHIN and row.kind in LABEL_KINDS and row.statistic in (S5, MAP)


def _choice(lines: Sequence[HeadlineRow], reference: str) -> str:
    """Recommend the reference, or a metric that is better somewhere and worse nowhere."""
    others = [line for line in lines if line.is_metric and line.name != reference]
    if not others:
        return f"Use `{reference}`, the only metric here: nothing was compared with it."
    for line in others:
        gains = [gain for cell in line.cells.values() for gain in _gains_of(cell)]
        better = [column for column, cell in line.cells.items() if _is_worse(_gains_of(cell))]
        if better and not any(low > 0 for _, _, low, _ in gains):
            return (
                f"Use `{line.name}`, not `{reference}`: it is better on {_list(better)}, and worse "
                "nowhere."
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


def _quality(lines: Sequence[HeadlineRow], reference: str) -> str:
    """Give the means of the reference with their intervals, between the null and the ceiling."""
    cells = {line.name: line.cells for line in lines}
    parts = [
        f"{column} S5 {_with_interval(cell.s5, cell.s5_interval)}, "
        f"MAP {_with_interval(cell.map, cell.map_interval)}"
        for column, cell in cells[reference].items()
    ]
    bounds = "; ".join(
        f"{words} S5 {_span(c.s5 for c in cells[name].values())}, "
        f"MAP {_span(c.map for c in cells[name].values())}"
        for name, words in ((NULL, "layers alone have"), (EXACT, "a metric that knew the score"))
    )
    return (
        f"How good: {'; '.join(parts)} (95 % intervals over texts, sequences and heads). For "
        f"comparison: {bounds}."
    )


def _failures(tested: Sequence[Row], reference: str) -> str:
    """Name the labels that the reference does not recover beyond the layers."""
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
        return f"No failure: `{reference}` is {works}." if judged else ""
    rest = f" It is {works}." if judged else ""
    return (
        f"Does not work: `{reference}` is no better than heads of the same layers (q > {_LEVEL}) "
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
