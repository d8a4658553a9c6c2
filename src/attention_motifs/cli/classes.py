"""The command `motifs classes`: search, save and forget classes of heads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attention_motifs.atlas import Atlas
from attention_motifs.cli import options as o
from attention_motifs.cli.application import app
from attention_motifs.cli.console import print_json, print_line, print_table, report
from attention_motifs.errors import InputError

if TYPE_CHECKING:
    import polars as pl


ClassArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[CLASS]",
        help="Class whose heads to list, or words of its name.",
        show_default="all",
    ),
]
ModelOption = Annotated[
    str | None,
    o.value_option(
        "--model",
        "MODEL",
        "Only heads of this model: any of its names, or a part of one.",
        unset="all models",
    ),
]
PaperOption = Annotated[
    str | None,
    o.value_option(
        "--paper",
        "TEXT",
        "Only heads from this paper: words of its title, or its address.",
        unset="all papers",
    ),
]
FileOption = Annotated[
    Path | None,
    o.value_option(
        "--file", "FILE", "JSON file of your own classes, to add to those of the literature."
    ),
]
AtlasOption = Annotated[
    str | None,
    o.value_option("--atlas", "DIR|URL", "Atlas whose own classes to list, save or forget."),
]


@app.command()
def classes(
    name: ClassArgument = None,
    model: ModelOption = None,
    paper: PaperOption = None,
    file: FileOption = None,
    atlas: AtlasOption = None,
    save: Annotated[
        bool, typer.Option("--save", help="Copy --file into the atlas, and label its heads.")
    ] = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="Delete the atlas's own classes.")
    ] = False,
    fetch_scores: Annotated[
        bool,
        typer.Option(
            "--fetch-scores",
            help="Fetch the published scores of all heads that the package may not hold.",
        ),
    ] = False,
    json: o.JsonOption = False,
) -> None:
    """Search the known heads by class, model and paper; without options, list the classes.

    Examples:
      motifs classes
      motifs classes induction
      motifs classes retrieval --model Llama-3
      motifs classes --model gpt2 --paper "copy suppression" --json
      motifs classes --file my-classes.json --atlas demo-atlas --save
      motifs classes --atlas demo-atlas --forget
      motifs classes --fetch-scores
    """
    from attention_motifs.literature import class_table, search_heads

    if fetch_scores:
        _fetch_scores()
        return
    if save or forget:
        if model is not None or paper is not None:
            option = "--model" if model is not None else "--paper"
            raise InputError(f"{option} cannot be combined with --save or --forget; leave it out")
        _keep_classes(name, file, atlas, save=save, forget=forget)
        return
    if file is None and atlas is not None:
        file = Atlas.open(o.find_atlas(atlas)).paths.own_classes
    if name is None and model is None and paper is None:
        _print_classes(class_table(file), json)
        return
    _print_heads(search_heads(name, model=model, paper=paper, extra=file), json)


def _fetch_scores() -> None:
    from attention_motifs.literature.graded import fetch_graded_scores, graded_scores

    n = fetch_graded_scores(report)
    print_line(f"{n} tables fetched; {len(graded_scores())} tables of published scores are here.")


def _print_classes(table: pl.DataFrame, json: bool) -> None:
    if json:
        print_json(table.to_dicts())
        return
    print_table(
        f"Classes of heads in the literature: {len(table)}",
        ["class", "group", "heads", "models", "description"],
        [
            [r["class"], r["group"], r["heads"], _some(r["models"]), r["description"]]
            for r in table.iter_rows(named=True)
        ],
    )


def _some(names: list[str]) -> str:
    """Return the first three names, and how many follow."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _print_heads(table: pl.DataFrame, json: bool) -> None:
    if json:
        print_json(table.to_dicts())
        return
    if table.is_empty():
        print_line("No known head matches all of these.")
        return
    print_table(
        f"Known heads: {table['head'].n_unique()} heads, {len(table)} statements",
        ["head", "class", "paper", "evidence", "threshold", "score", "conflict"],
        [
            list(row)
            for row in table.select(
                "head", "class", "paper", "evidence", "threshold", "score", "conflict"
            ).iter_rows()
        ],
    )


def _keep_classes(
    name: str | None, file: Path | None, atlas: str | None, *, save: bool, forget: bool
) -> None:
    from attention_motifs.stages.create import forget_classes, save_classes

    if save and forget:
        raise InputError("--save and --forget exclude each other; give one of them")
    if name is not None:
        raise InputError(f"class {name!r} cannot be combined with --save or --forget; leave it out")
    if save and file is None:
        raise InputError("--save needs a file of classes; name it with --file FILE")
    if forget and file is not None:
        raise InputError(f"--file {file} cannot be combined with --forget; leave it out")
    folder = o.find_atlas(atlas)
    opened = Atlas.open(folder)
    if file is None:
        known = forget_classes(opened)
        print_line(f"{folder}: " + ("own classes deleted" if known else "has no own classes"))
        return
    n = save_classes(opened, file)
    print_line(
        f"Kept in {opened.file('classes')}: {n} of its entries are about heads of this atlas."
    )
