"""Commands that answer in words: what a head does, and the report of a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attention_motifs.atlas import Atlas
from attention_motifs.cli import options as o
from attention_motifs.cli.application import app
from attention_motifs.cli.console import print_json, print_line, print_table

if TYPE_CHECKING:
    from attention_motifs.atlas.explanation import Explanation, PromptOfHead


@app.command()
def explain(
    head: o.HeadArgument,
    atlas: o.AtlasOption = None,
    metric: o.BestMetricOption = None,
    where: o.WhereOption = None,
    json: o.JsonOption = False,
) -> None:
    """Explain HEAD: what its patterns do, its probable class, and the evidence.

    Examples:
      motifs explain smollm2-135m-instruct:L18:H6
      motifs explain gemma-3-270m:L5:H1 --where genre=chat --json
    """
    opened = o.on_prompts(Atlas.open(o.find_atlas(atlas)), where)
    explanation = opened.explain(head, metric)
    if json:
        print_json(explanation.to_json())
    else:
        _print(explanation)


@app.command()
def why(
    head: o.HeadArgument,
    other: Annotated[
        str,
        typer.Argument(metavar="OTHER", help="Another head.", autocompletion=o.complete_head),
    ],
    atlas: o.AtlasOption = None,
    metric: o.BestMetricOption = None,
    json: o.JsonOption = False,
) -> None:
    """Show what makes HEAD and OTHER near or far: motifs, features and prompts.

    Examples:
      motifs why smollm2-135m-instruct:L18:H6 gemma-3-270m:L5:H1
    """
    answer = Atlas.open(o.find_atlas(atlas)).why(head, other, metric)
    if json:
        print_json(answer.to_json())
        return
    print_line(
        f"{answer.head} and {answer.other}: distance {answer.distance:.4g} by {answer.metric}"
    )
    print_line(answer.sentence)
    print_table(
        "Motifs: share of the attention of each",
        ["motif", "first", "second"],
        [[name, f"{a:.2f}", f"{b:.2f}"] for name, (a, b) in answer.motifs.items()],
    )
    for title, pairs in (
        ("Features in which both are unusual in the same way (z-scores)", answer.alike),
        ("Features in which they differ most (z-scores)", answer.apart),
    ):
        print_table(
            title,
            ["feature", "first", "second"],
            [[p.feature, f"{p.head:.1f}", f"{p.other:.1f}"] for p in pairs],
        )
    for title, prompts in (
        ("Prompts on which their patterns are nearest, by `mean`", answer.near_prompts),
        ("Prompts on which they are farthest, by `mean`", answer.far_prompts),
    ):
        if prompts:
            print_table(
                title,
                ["prompt", "text", "distance"],
                [[p.prompt_id, p.text, p.distance] for p in prompts],
            )


@app.command()
def report(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="Model of the atlas.",
            autocompletion=o.complete_atlas_model,
        ),
    ],
    atlas: o.AtlasOption = None,
    out: Annotated[
        Path | None,
        o.value_option(
            "--out",
            "FILE",
            "Page to write; its table is written next to it, as CSV and JSON.",
            unset="MODEL.html",
        ),
    ] = None,
    metric: o.BestMetricOption = None,
) -> None:
    """Write the report of MODEL: every head with its verdict, as one page without requests.

    Examples:
      motifs report gemma-3-270m --out report.html
    """
    from attention_motifs.head import model_folder
    from attention_motifs.reports.model_report import model_report, write_report

    opened = Atlas.open(o.find_atlas(atlas))
    target = out or Path(f"{model_folder(model)}.html")
    for file in write_report(opened, model_report(opened, model, metric), target):
        print_line(f"Written: {file}")


def _print(e: Explanation) -> None:
    if e.probability is None:
        print_line(f"{e.head}: no verdict. {e.would_change}")
    else:
        print_line(f"{e.head}: {e.verdict}, probability {e.probability:.2f}")
    print_line(e.sentence)
    if e.measured:
        scores = ", ".join(f"{name} {value:.2f}" for name, value in e.measured.items())
        print_line(f"Measured on repeated random tokens: {scores}")
    for known in e.known:
        conflict = f" (disputed: {known['conflict']})" if known["conflict"] else ""
        print_line(
            f"In the literature: {known['class']}, {known['paper']} {known['url']}{conflict}"
        )
    for name, value in e.writes.items():
        print_line(f"Writes: {name} {value:.3g}")
    if e.classes:
        print_table(
            "Classes, learnt from the labelled heads of other models",
            ["class", "probability"],
            [[name, f"{p:.2f}"] for name, p in e.classes],
        )
    print_table(
        "Motifs: share of its attention",
        ["motif", "mean", "spread"],
        [[name, f"{share:.2f}", f"{e.spread[name]:.2f}"] for name, share in e.motifs.items()],
    )
    if e.nearest:
        print_table(
            f"Nearest labelled heads by {e.metric}",
            ["head", "distance", "class", "source"],
            [[n.head, n.distance, ", ".join(n.classes), n.source] for n in e.nearest],
        )
    _print_prompts("Most itself on", e.typical)
    _print_prompts("Departs on", e.departs)
    if e.null_percentile is not None:
        share = "more than 99" if e.null_percentile > 99 else f"{e.null_percentile:.0f}"
        print_line(
            f"Its nearest labelled heads are {e.verdict} heads more often than in {share} % of "
            "draws that deal the labels at random within each layer (chance: 50 %)."
        )
    if e.probability is not None:
        print_line(e.would_change)


def _print_prompts(title: str, prompts: list[PromptOfHead]) -> None:
    if prompts:
        print_table(
            title,
            ["prompt", "text", "departure", "motif that differs most", "share"],
            [[p.prompt_id, p.text, f"{p.departure:.2f}", p.motif, f"{p.share:.2f}"]
             for p in prompts],
        )  # fmt: skip
