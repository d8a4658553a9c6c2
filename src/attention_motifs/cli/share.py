"""Commands that share an atlas: through the Hugging Face hub, or by a copy elsewhere."""

from __future__ import annotations

from typing import Annotated

import typer

from attention_motifs.atlas import Atlas
from attention_motifs.cli import options as o
from attention_motifs.cli.app import app
from attention_motifs.cli.console import print_line, print_table, report

RepositoryArgument = Annotated[
    str, typer.Argument(metavar="ORG/NAME", help="Dataset repository on the hub.")
]


@app.command()
def publish(
    atlas: Annotated[str, typer.Argument(metavar="ATLAS", help="Folder of the atlas, or its URL.")],
    repository: RepositoryArgument,
    public: Annotated[
        bool, typer.Option("--public", help="Let everyone read it; by default it is private.")
    ] = False,
    include_texts: Annotated[
        bool,
        typer.Option("--include-texts", help="The texts of my prompts may be in it."),
    ] = False,
    licence: Annotated[
        str, typer.Option("--licence", help="Of the numbers, as the hub writes it: cc-by-4.0, mit.")
    ] = "other",
    prompts_licence: Annotated[
        str | None, typer.Option("--prompts-licence", help="Of the prompts' texts, for the card.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List files, sizes and card; send nothing.")
    ] = False,
) -> None:
    """Put an atlas on the Hugging Face hub, as a dataset with a card; private unless told.

    Log in before with `hf auth login`, or set HF_TOKEN. Stopped, it goes on when run again.

    Examples:
      motifs publish my-atlas my-name/my-atlas --dry-run
      motifs publish my-atlas my-name/my-atlas --public --licence cc-by-4.0
      motifs publish my-atlas lab/atlas --include-texts --prompts-licence CC0
    """
    from attention_motifs.sharing import prepare
    from attention_motifs.sharing import publish as run_publish

    folder = o.place(atlas)
    with Atlas.lock(folder):
        ready = prepare(
            Atlas.open(folder),
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
            print_line("Nothing was sent. The card would be:\n")
            print_line(bytes(ready.sources["README.md"]).decode("utf-8"))
            return
        address = run_publish(ready, report)
    print_line(f"Published: {address}")
    print_line(f"Others open it: motifs fetch {ready.repository}")


@app.command()
def fetch(
    repository: RepositoryArgument,
    out: o.OutOption = None,
    revision: Annotated[
        str | None, typer.Option("--revision", help="Branch, tag or commit; default: the newest.")
    ] = None,
) -> None:
    """Take an atlas from the Hugging Face hub, and verify it; run again, it goes on.

    Examples:
      motifs fetch my-name/my-atlas
      motifs fetch my-name/my-atlas --out atlas --revision v1
    """
    from attention_motifs.sharing import fetch as run_fetch

    made = run_fetch(repository, out, revision=revision, report=report)
    print_line(f"{made.path}: sound; {len(made.heads)} heads of {', '.join(made.models)}")
    print_line(f"Ask it: motifs near {made.heads['head'][0]} --atlas {made.path}")


@app.command()
def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help="Folder of an atlas, or its URL.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="New folder, or URL.")],
) -> None:
    """Copy an atlas to an object store, from one, or from the hub; run again, it goes on.

    Examples:
      motifs copy my-atlas s3://bucket/my-atlas
      motifs copy s3://bucket/my-atlas here
    """
    from attention_motifs.sharing import copy as run_copy

    made = run_copy(o.place(source), o.place(target), report=report)
    print_line(f"{target} holds {len(made.heads)} heads of {', '.join(made.models)}.")
