"""Output of `motifs evaluate --graded`: an atlas compared with published scores of every head."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attention_motifs.cli.console import print_json, print_line, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attention_motifs.evaluation.graded import GradedRow


def print_graded(rows: Sequence[GradedRow], *, json: bool) -> None:
    """Print the comparison with published scores, one table per published array."""
    if json:
        print_json([row.to_json() for row in rows])
        return
    if not rows:
        print_line("No published array has enough heads with different scores to compare.")
    arrays = dict.fromkeys((r.source, r.model, r.quantity, r.kind) for r in rows)
    for key in arrays:
        of_array = [r for r in rows if (r.source, r.model, r.quantity, r.kind) == key]
        source, model, quantity, kind = key
        first = of_array[0]
        print_table(
            f"{quantity} of {model} by {source} ({kind}): {first.n_heads} heads, "
            f"{first.n_top} top heads, average precision by chance {first.chance:.2f}",
            ["compared", "Spearman", "95 % interval", "average precision of the top heads"],
            [
                [
                    row.compared,
                    f"{row.agreement.spearman:.2f}",
                    f"{row.agreement.low:.2f} to {row.agreement.high:.2f}",
                    f"{row.agreement.average_precision:.2f}",
                ]
                for row in of_array
            ],
        )
    if rows:
        print_line(
            "Rows `team` are another team's scores of the same quantity: no row can be expected "
            "above them."
        )
