"""`motifs paper` and `motifs compare`: the paper's figures and claims beside an atlas."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import typer

from attention_motifs.atlas import Atlas
from attention_motifs.cli import options as o
from attention_motifs.cli.app import app
from attention_motifs.cli.console import print_json, print_line, print_table, report


@app.command()
def paper(
    atlas: o.AtlasOption = None,
    config: o.ConfigOption = None,
    out: o.OutOption = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format", help="File format of the figures; repeatable.", show_default="all three"
        ),
    ] = None,
) -> None:
    """Make the counterpart of every figure and table of the paper, with the numbers as CSV.

    With --config, the atlas is built first, or finished: `--config paper` is the paper's own
    configuration (hub and GPU), `--config packaged` the same with the packaged models.

    Examples:
      motifs paper --atlas my-atlas
      motifs paper --atlas my-atlas --format pdf --out paper-figures/
      motifs paper --config packaged --atlas reference-atlas
      motifs paper --config paper --atlas paper-atlas
    """
    from attention_motifs.figures.paper import DEFAULT_FIGURES
    from attention_motifs.stages.paper import paper_figures

    settings = DEFAULT_FIGURES
    if config is None:
        there = Atlas.open(o.find_atlas(atlas))
    else:
        from attention_motifs.cli.build import run_plan
        from attention_motifs.cli.configuration_file import build_plan, read_configuration

        plan = build_plan(read_configuration(config))
        settings = plan.figures
        there = run_plan(o.place(atlas) if atlas else o.DEFAULT_ATLAS, plan)
    if formats:
        given: dict[str, Any] = {"formats": formats}
        settings = replace(settings, **given)
    target = out or o.beside(there.path, "figures") / "paper"
    for path in paper_figures(there, target, settings, report):
        print_line(str(path))


@app.command()
def compare(
    atlas: o.AtlasOption = None,
    beside: Annotated[
        list[str] | None,
        typer.Option("--beside", help="Another atlas, in a column of its own; repeatable."),
    ] = None,
    out: o.OutOption = None,
    figures: Annotated[
        str | None,
        typer.Option(
            "--figures", help="Folder that the page links figures in, as seen from --out."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of draws and permutations.")] = 0,
    json: o.JsonOption = False,
) -> None:
    """Set the paper's claims beside what an atlas measures; write it as Markdown and JSON.

    Into figures/paper/ of the atlas, beside the figures of `motifs paper`, unless told otherwise.

    Examples:
      motifs compare --atlas my-atlas
      motifs compare --atlas my-atlas --beside shorter-prompts --beside with-bos --out page/
      motifs compare --atlas my-atlas --json
    """
    from attention_motifs.reports.comparison_claims import CLAIMS, judged
    from attention_motifs.reports.comparison_page import comparison_page
    from attention_motifs.stages.compare import compare as run_compare
    from attention_motifs.store import files

    there = [Atlas.open(path) for path in (o.find_atlas(atlas), *map(o.place, beside or ()))]
    found = run_compare(there, seed=seed, report=report)
    folder = out or o.beside(there[0].path, "figures") / "paper"
    links = figures if figures is not None else ("." if out is None else None)
    page, data = folder / "comparison.md", folder / "comparison.json"
    files.write_json(data, {"schema_version": 1, "atlases": found})
    with files.atomic(page) as temporary:
        temporary.write_text(comparison_page(found, links), encoding="utf-8")
    if json:
        print_json(found)
        return
    for measured in found:
        said = {row["claim"]: row for row in judged(measured)}
        print_table(
            f"The paper's claims and {measured['name']}",
            ["claim", "the paper", "measured", "verdict"],
            [[c.claim, c.paper, said[c.key]["measured"], said[c.key]["verdict"]] for c in CLAIMS],
        )
    print_line(f"Written to {page} and {data}.")
