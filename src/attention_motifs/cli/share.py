"""Commands that share an atlas: on the Hugging Face hub, or as a copy elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from attention_motifs.cli import options as o
from attention_motifs.cli.application import app
from attention_motifs.cli.console import print_line, print_table, report
from attention_motifs.errors import InputError
from attention_motifs.stages.stage import writing

RepositoryArgument = Annotated[
    str, typer.Argument(metavar="ORG/NAME", help="Dataset repository on the hub.")
]


@app.command()
def publish(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="[ATLAS] ORG/NAME",
            help="Dataset repository on the hub, after the atlas if --atlas is not given.",
        ),
    ],
    atlas: o.AtlasOption = None,
    public: Annotated[
        bool, typer.Option("--public", help="Let everyone read it; without it, it is private.")
    ] = False,
    include_texts: Annotated[
        bool,
        typer.Option("--include-texts", help="Include the texts of your own prompts."),
    ] = False,
    licence: Annotated[
        str,
        typer.Option(
            "--licence", metavar="NAME", help="Licence of the numbers: cc-by-4.0, mit, other..."
        ),
    ] = "other",
    prompts_licence: Annotated[
        str | None,
        o.value_option(
            "--prompts-licence", "NAME", "Licence of the prompts' texts, for the dataset card."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List files, sizes and card; send nothing.")
    ] = False,
) -> None:
    """Publish an atlas on the Hugging Face hub, as a dataset with a card; private by default.

    Log in first with `hf auth login`, or set HF_TOKEN. Run it again to continue after a stop.

    Examples:
      motifs publish my-name/my-atlas --atlas demo-atlas --dry-run
      motifs publish my-name/my-atlas --atlas my-atlas --public --licence cc-by-4.0
      motifs publish my-atlas lab/atlas --include-texts --prompts-licence CC0
    """
    from attention_motifs.sharing import prepare
    from attention_motifs.sharing import publish as run_publish

    folder, repository = _atlas_and_repository(names, atlas)
    with writing(folder) as opened:
        ready = prepare(
            opened,
            repository,
            public=public,
            include_texts=include_texts,
            licence=licence,
            prompts_licence=prompts_licence,
            report=report,
        )
        for line in ready.notice():
            print_line(line)
        if dry_run:
            rows = [[name, entry.size] for name, entry in ready.entries.items()]
            print_table("Files that would be sent", ["file", "bytes"], rows)
            print_line("Nothing was sent. The dataset card would be:\n")
            print_line(bytes(ready.sources["README.md"]).decode("utf-8"))
            return
        address = run_publish(ready, report)
    print_line(f"Published: {address}")
    print_line(f"Others open it: motifs fetch {ready.repository}")


def _atlas_and_repository(names: list[str], atlas: str | None) -> tuple[str | Path, str]:
    """Read `ATLAS ORG/NAME`, or `ORG/NAME` with `--atlas`."""
    if len(names) > 2 or (len(names) == 2 and atlas is not None):
        raise InputError(
            f"{' '.join(names)}: too many names; write motifs publish ORG/NAME --atlas DIR"
        )
    if len(names) == 2:
        return o.place(names[0]), names[1]
    return o.find_atlas(atlas), names[0]


@app.command()
def fetch(
    repository: RepositoryArgument,
    out: Annotated[Path | None, o.out_option("NAME in the current folder")] = None,
    revision: Annotated[
        str | None,
        o.value_option("--revision", "NAME", "Branch, tag or commit to fetch.", unset="the newest"),
    ] = None,
) -> None:
    """Fetch an atlas from the Hugging Face hub and verify it. Run it again to continue.

    Examples:
      motifs fetch my-name/my-atlas
      motifs fetch my-name/my-atlas --out atlas --revision v1
    """
    from attention_motifs.sharing import fetch as run_fetch

    opened = run_fetch(repository, out, revision=revision, report=report)
    print_line(f"{opened.place}: sound; {len(opened.heads)} heads of {', '.join(opened.models)}")
    print_line(f"Ask it: motifs near {opened.heads['head'][0]} {opened.paths.option}")


@app.command()
def copy(
    source: Annotated[
        str, typer.Argument(metavar="FROM", help="Folder or URL of the atlas to copy.")
    ],
    target: Annotated[str, typer.Argument(metavar="TO", help="Folder or URL to copy it to.")],
) -> None:
    """Copy an atlas to or from an object store, or from the hub. Run it again to continue.

    Examples:
      motifs copy demo-atlas s3://bucket/my-atlas
      motifs copy s3://bucket/my-atlas here
    """
    from attention_motifs.sharing import copy as run_copy

    opened = run_copy(o.place(source), o.place(target), report=report)
    print_line(f"{target} holds {len(opened.heads)} heads of {', '.join(opened.models)}.")
