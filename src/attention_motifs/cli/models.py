"""`motifs models`: list the known models, or fetch one."""

from __future__ import annotations

from typing import Annotated

import typer

from attention_motifs.cli import options as o
from attention_motifs.cli.application import app
from attention_motifs.cli.console import print_json, print_line, print_table, report

models_app = typer.Typer(no_args_is_help=True, help="List models, or fetch one.")
app.add_typer(models_app, name="models")


@models_app.command("list")
def list_models(json: o.JsonOption = False) -> None:
    """List the models known by name, with licence, size, and whether they are cached.

    Examples:
      motifs models list
    """
    from attention_motifs.models.sources import known_models

    known = known_models()
    if json:
        print_json([m.to_json() for m in known])
        return
    print_table(
        "Models known by name (any hub id, folder or GGUF file works as well)",
        ["name", "kind", "cached", "layers", "heads", "licence", "from"],
        [
            [m.name, m.kind, "yes" if m.cached else "no", m.n_layers, m.n_heads, m.licence,
             m.location]
            for m in known
        ],
    )  # fmt: skip


@models_app.command("pull")
def pull(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="Name or hub id of the model.", autocompletion=o.complete_model
        ),
    ],
) -> None:
    """Fetch a model, verify it, print its licence, and convert it.

    Examples:
      motifs models pull smollm2-135m-instruct
    """
    from attention_motifs.models.fetch import pull_model

    print_line(pull_model(name, report))
