"""`motifs paper`: the paper's figures and tables from an atlas."""

from __future__ import annotations

from typing import Annotated

import typer

from attention_motifs.atlas import Atlas
from attention_motifs.cli import options as o
from attention_motifs.cli.app import app
from attention_motifs.cli.console import print_line, report


@app.command()
def paper(
    atlas: o.AtlasOption = None,
    out: o.OutOption = None,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="svg, pdf or png; repeatable. All three by default."),
    ] = None,
) -> None:
    """Make the counterpart of every figure and table of the paper, with the numbers as CSV.

    Needs the stages `distances` and `project`; `motifs build` and `motifs demo` run them.

    Examples:
      motifs paper --atlas my-atlas
      motifs paper --atlas my-atlas --format pdf --out paper-figures/
    """
    from attention_motifs.figures.paper import FORMATS, make_paper

    there = Atlas.open(o.find_atlas(atlas))

    def nearest(head: str, n: int) -> list[str]:
        return [found.head for found in there.near(head, n=n)]

    for path in make_paper(there, nearest, out, formats or FORMATS, report):
        print_line(str(path))
