"""The application `motifs`, its groups of commands, and the module that has each command."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

GROUPS: dict[str, tuple[str, ...]] = {
    "Start": ("demo", "build", "add", "remove", "import-pattern-lens", "models"),
    "Ask": (
        "explain",
        "near",
        "show",
        "why",
        "report",
        "diff",
        "track",
        "identify",
        "complementary",
        "classes",
        "features",
        "metrics",
        "contrast",
        "prompts",
        "make-prompts",
        "info",
        "check",
    ),
    "Test": ("evaluate", "benchmark", "ablate", "compare"),
    "Draw": ("serve", "figures", "paper", "export", "export-headvis"),
    "Share": ("publish", "fetch", "copy"),
    "Stages": (
        *("extract", "probe", "embed", "distances", "project", "cluster", "score", "shares"),
        "site",
    ),
}
"""Commands by group, in the order of `motifs --help`."""

MODULES: dict[str, tuple[str, ...]] = {
    "ablate": ("ablate",),
    "analyse": ("complementary", "evaluate", "project", "score", "shares"),
    "benchmark": ("benchmark",),
    "build": (
        *("add", "build", "demo", "distances", "embed", "extract", "import-pattern-lens"),
        *("probe", "remove"),
    ),
    "check": ("check",),
    "classes": ("classes",),
    "cluster": ("cluster",),
    "diff": ("diff",),
    "explain": ("explain", "report", "why"),
    "explorer": ("export", "export-headvis", "serve", "site"),
    "identify": ("identify",),
    "models": ("models",),
    "paper": ("compare", "figures", "paper"),
    "prompt_sets": ("contrast", "make-prompts"),
    "query": ("features", "info", "metrics", "near", "prompts", "show"),
    "share": ("copy", "fetch", "publish"),
    "track": ("track",),
}
"""Modules of this package, and the commands that each registers when it is imported."""


class _Grouped(TyperGroup):
    """The commands, in their groups."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands in the order of the help."""
        order = {name: i for i, name in enumerate(sum(GROUPS.values(), ()))}
        return sorted(super().list_commands(ctx), key=lambda name: order.get(name, len(order)))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command with its group as the panel of the help."""
        command: Any = super().get_command(ctx, cmd_name)
        if command is not None:
            groups = [group for group, names in GROUPS.items() if cmd_name in names]
            command.rich_help_panel = groups[0] if groups else "Stages"
        return command


app = typer.Typer(
    name="motifs",
    cls=_Grouped,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Find the attention heads, in one or more language models, that are similar to a head.\n\n"
        "Start with [bold]motifs demo[/bold], then ask "
        "[bold]motifs near smollm2-135m-instruct:L18:H6[/bold]."
    ),
)


def _version(requested: bool) -> None:
    if requested:
        from attention_motifs import __version__

        typer.echo(f"attention-motifs {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def load_command(name: str | None) -> None:
    """Import the module that registers a command, or all of them if there is no such command.

    The import of all modules takes longer than most commands run.
    """
    modules = [module for module, commands in MODULES.items() if name in commands]
    for module in modules or MODULES:
        import_module(f"attention_motifs.cli.{module}")
