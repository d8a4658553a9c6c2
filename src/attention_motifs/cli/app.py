"""The application that the subcommands register with."""

from __future__ import annotations

from typing import Annotated

import typer

from attention_motifs import __version__

app = typer.Typer(
    name="motifs",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Find which attention heads, in which language models, do something like this one.\n\n"
        "Start with [bold]motifs demo[/bold], then ask: motifs near HEAD."
    ),
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"attention-motifs {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print and leave.")
    ] = False,
) -> None:
    pass


# Each of these modules registers its commands when it is imported.
from attention_motifs.cli import ablate, analyse, build, explorer, models, paper, query, share  # noqa: E402, F401
