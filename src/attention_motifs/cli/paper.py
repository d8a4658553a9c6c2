"""`motifs paper`, `figures` and `compare`: figures and the paper's claims, made from an atlas."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from attention_motifs.atlas import Atlas
from attention_motifs.cli import options as o
from attention_motifs.cli.application import app
from attention_motifs.cli.console import print_json, print_line, print_table, report

OnlyOption = Annotated[
    list[str] | None,
    o.value_option(
        "--only",
        "NUMBER|NAME",
        "Figure to draw: its number in the paper, or its name, such as evaluation; repeatable.",
        unset="all",
    ),
]
WidthOption = Annotated[
    float | None,
    o.value_option(
        "--width",
        "INCHES",
        "Width of all figures: 3.35 for a column, 5.5 for a page of one column, 6.9 for both.",
        unset="3.35 or 6.9, whichever suits the figure",
    ),
]
HeadOption = Annotated[
    list[str] | None,
    o.value_option(
        "--head",
        "HEAD",
        "Head to show in figures 3 and 4; repeatable.",
        unset="typical heads",
        autocompletion=o.complete_head,
    ),
]


@app.command()
def paper(
    atlas: o.AtlasOption = None,
    config: o.ConfigOption = None,
    out: Annotated[Path | None, o.out_option("figures/paper/ of the atlas")] = None,
    formats: Annotated[
        list[str] | None,
        o.value_option(
            "--format",
            "FORMAT",
            "File format of the figures: svg, pdf or png; repeatable.",
            unset="all three",
        ),
    ] = None,
    only: OnlyOption = None,
    width: WidthOption = None,
    head: HeadOption = None,
    metric: o.MetricOption = "mean",
) -> None:
    """Draw the figures and tables of the paper and more, with captions and numbers.

    Files of the run before are replaced. With --config, build the atlas first. `--config paper` is
    the paper's configuration (it needs the hub and a GPU), `--config packaged` the same with the
    packaged models.

    Examples:
      motifs paper --atlas demo-atlas
      motifs paper --atlas demo-atlas --format pdf --width 5.5 --out paper-figures/
      motifs paper --atlas demo-atlas --only 13 --only evaluation --width 3.35
      motifs paper --config packaged --atlas reference-atlas
      motifs paper --config paper --atlas paper-atlas
    """
    from attention_motifs.figures.catalogue import DEFAULT_FIGURES
    from attention_motifs.stages.paper import paper_figures

    settings = DEFAULT_FIGURES
    if config is None:
        opened = Atlas.open(o.find_atlas(atlas))
    else:
        from attention_motifs.cli.build import check_folder, run_plan
        from attention_motifs.cli.configuration_file import build_plan, read_configuration

        plan = build_plan(read_configuration(config))
        settings = plan.figures
        folder = o.place(atlas) if atlas else o.DEFAULT_ATLAS
        check_folder(folder)
        opened = run_plan(folder, plan)
    given: dict[str, Any] = {}
    if formats:
        given["formats"] = tuple(formats)
    if head:
        given["heads"] = tuple(head)
    settings = replace(settings, **given)
    target = out or o.beside(opened, "figures") / "paper"
    paths = paper_figures(
        opened, target, settings, report, only=only or (), width=width, metric=metric
    )
    _print_files(paths)


@app.command()
def figures(
    atlas: o.AtlasOption = None,
    out: Annotated[Path | None, o.out_option("figures/ of the atlas")] = None,
    head: HeadOption = None,
    metric: o.MetricOption = "mean",
    width: WidthOption = None,
) -> None:
    """Draw the quick figures, which need no projections: `motifs paper --only 3,4,11,13`.

    Examples:
      motifs figures --atlas demo-atlas
      motifs figures --head gemma-3-270m:L5:H1 --head gemma-3-270m:L6:H2 --out figures/
    """
    from attention_motifs.figures import make_figures

    opened = Atlas.open(o.find_atlas(atlas))
    target = out or o.beside(opened, "figures")
    paths = make_figures(
        opened, target, heads=head or None, metric=metric, report=report, width=width
    )
    _print_files(paths)


def _print_files(paths: list[Path]) -> None:
    """Print the paths, and the figures that the atlas cannot have."""
    from attention_motifs.store import files

    for path in paths:
        print_line(str(path))
    for name, reason in files.read_json(paths[-1])["left_out"].items():
        print_line(f"Not drawn: {name}. {reason}")


@app.command()
def compare(
    atlas: o.AtlasOption = None,
    beside: Annotated[
        list[str] | None,
        o.value_option(
            "--beside", "DIR|URL", "Another atlas to compare, in its own column; repeatable."
        ),
    ] = None,
    out: Annotated[Path | None, o.out_option("figures/paper/ of the atlas")] = None,
    figures: Annotated[
        str | None,
        o.value_option(
            "--figures",
            "PATH",
            "Path to the figures, relative to --out, used in links.",
            unset=". without --out",
        ),
    ] = None,
    seed: Annotated[int, o.seed_option("samples and permutations")] = 0,
    json: o.JsonOption = False,
) -> None:
    """Compare the paper's claims with the measurements of an atlas; write Markdown and JSON.

    Examples:
      motifs compare --atlas demo-atlas
      motifs compare --atlas demo-atlas --beside small-atlas --out page/
      motifs compare --atlas demo-atlas --json
    """
    from attention_motifs.reports.comparison_claims import CLAIMS, judged
    from attention_motifs.reports.comparison_page import comparison_page
    from attention_motifs.stages.compare import compare as run_compare
    from attention_motifs.store import files

    atlases = [Atlas.open(path) for path in (o.find_atlas(atlas), *map(o.place, beside or ()))]
    measured = run_compare(atlases, seed=seed, report=report)
    folder = out or o.beside(atlases[0], "figures") / "paper"
    links = figures if figures is not None else ("." if out is None else None)
    page, data = folder / "comparison.md", folder / "comparison.json"
    files.write_json(data, {"schema_version": 1, "atlases": measured})
    with files.atomic(page) as temporary:
        temporary.write_text(comparison_page(measured, links), encoding="utf-8")
    if json:
        print_json(measured)
        return
    for row in measured:
        verdicts = {verdict["claim"]: verdict for verdict in judged(row)}
        print_table(
            f"The paper's claims and {row['name']}",
            ["claim", "the paper", "measured", "verdict"],
            [
                [c.claim, c.paper, verdicts[c.key]["measured"], verdicts[c.key]["verdict"]]
                for c in CLAIMS
            ],
        )
    print_line(f"Written to {page} and {data}.")
