"""The command that compares two models head by head."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attention_motifs.atlas import Atlas
from attention_motifs.cli import options as o
from attention_motifs.cli.application import app
from attention_motifs.cli.console import print_json, print_line, print_table

if TYPE_CHECKING:
    from attention_motifs.reports.model_diff import HeadChange, ModelDiff

_MAP_WIDTH = 150
"""Most columns of the map in a terminal; deeper models have it in the page only."""


def _model(help_text: str, name: str) -> typer.models.ArgumentInfo:
    argument: typer.models.ArgumentInfo = typer.Argument(
        metavar=name, help=help_text, autocompletion=o.complete_atlas_model
    )
    return argument


@app.command()
def diff(
    a: Annotated[str, _model("Model of the atlas, such as the one before a change.", "A")],
    b: Annotated[str, _model("Another model of the atlas.", "B")],
    atlas: o.AtlasOption = None,
    n: Annotated[int, o.count_option("-n", "Number of heads to list.")] = 10,
    metric: o.BestMetricOption = None,
    out: Annotated[
        Path | None,
        o.value_option("--out", "FILE", "Page to write, with every head.", unset="none"),
    ] = None,
    json: o.JsonOption = False,
) -> None:
    """Compare models A and B: which head became which, and which heads changed.

    Examples:
      motifs diff base fine-tuned --atlas my-atlas
      motifs diff base fine-tuned --out report.html
    """
    from attention_motifs.reports.diff_page import write_diff_page
    from attention_motifs.reports.model_diff import diff as compare_models

    answer = compare_models(Atlas.open(o.find_atlas(atlas)), a, b, metric=metric)
    if json:
        print_json(answer.to_json())
    else:
        _print(answer, n)
    if out is not None:
        path = write_diff_page(answer, out)
        if not json:
            print_line(f"Written: {path}")


def _print(answer: ModelDiff, n: int) -> None:
    from attention_motifs.reports.diff_page import change_ratio

    print_line(answer.sentence)
    print_line(
        f"By {answer.metric}. A match is as near as few matches between different heads of one "
        "model are, by distance or compared with other heads nearby (2.5 % each)."
    )
    matched = [c for c in answer.heads if c.match is not None]
    matched.sort(key=lambda c: -(change_ratio(c) or 0.0))
    if matched:
        print_table(
            "Matched heads, most changed first (ratio: distance over noise)",
            ["head", "match", "distance", "noise", "ratio", "changed", "same place", "motif"],
            [
                [c.head, c.match, c.distance, c.noise, change_ratio(c),
                 ", ".join(c.reasons) or "no", c.place_distance, _motif(c)]
                for c in matched[:n]
            ],
        )  # fmt: skip
    _print_map(answer)
    if answer.prompts:
        print_table(
            "Prompts on which matched heads differ most, by `mean`",
            ["prompt", "text", "mean distance", "head that differs most"],
            [[p.prompt_id, p.text, p.distance, p.head] for p in answer.prompts],
        )


def _motif(change: HeadChange) -> str:
    if change.motif is None or change.shares is None:
        return ""
    return f"{change.motif} {change.shares[0]:.2f} to {change.shares[1]:.2f}"


def _print_map(answer: ModelDiff) -> None:
    """Print one row per head index and one column per layer."""
    from attention_motifs.head import HeadId
    from attention_motifs.reports.diff_page import change_ratio

    signs: dict[int, list[str]] = {}
    for change in answer.heads:
        ratio = change_ratio(change)
        sign = "?" if ratio is None else "#" if ratio > 1 else str(int(9.99 * ratio))
        signs.setdefault(HeadId.parse(change.head).index, []).append("." if sign == "0" else sign)
    if max(map(len, signs.values())) > _MAP_WIDTH:
        return
    print_line(
        "Map, a column per layer: tenths of the noise, . below one tenth, # above the noise, "
        "? no match"
    )
    for index, row in sorted(signs.items()):
        print_line(f"H{index:<3} {''.join(row)}")
