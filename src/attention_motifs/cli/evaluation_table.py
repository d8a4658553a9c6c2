"""The printed form of an evaluation: the answer, and one table that fits on a screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attention_motifs.cli.console import print_line, print_table

if TYPE_CHECKING:
    from attention_motifs.evaluation import Evaluation

_FEW = 4


def print_evaluation(evaluation: Evaluation) -> None:
    """Print the answer first, then the headline table, and what is missing."""
    for sentence in evaluation.answer:
        print_line(f"- {sentence}")
    if evaluation.headline:
        columns = list(evaluation.headline[0].cells)
        print_line()
        print_table(
            "Mean over behaviours and models: S5 / MAP of the top 5 %",
            ["", *columns],
            [
                [
                    row.name,
                    *(
                        f"{_figure(c.s5)} / {_figure(c.map)}"
                        for c in map(row.cells.get, columns)
                        if c
                    ),
                ]
                for row in evaluation.headline
            ],
        )
    else:
        print_table(
            "No labels: only rows that need none",
            ["metric", "models", "what", "statistic", "value", "null mean", "q"],
            [
                [r.metric, r.model, r.name, r.statistic, r.value, r.null_mean, r.q]
                for r in evaluation.rows
            ],
        )
    print_line()
    for text in evaluation.missing:
        print_line(f"Missing: {text}")
    weak = [tag for tag in evaluation.tags if tag.jaccard is not None and tag.jaccard < 0.5]
    if weak:
        tags = ", ".join(f"{tag.name} in {tag.model} ({tag.jaccard:.2f})" for tag in weak[:_FEW])
        print_line(
            "Tags that do not reproduce themselves on other random tokens (overlap below 0.5): "
            f"{tags}."
        )
    if evaluation.too_few:
        names = sorted({f"{item.name} in {item.model}" for item in evaluation.too_few})
        more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
        print_line(f"Too few heads: {', '.join(names[:_FEW])}{more}.")


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}".replace("0.", ".", 1)
