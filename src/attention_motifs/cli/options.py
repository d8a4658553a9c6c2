"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attention_motifs.cli.console import report
from attention_motifs.cli.setting_options import complete_model as complete_model
from attention_motifs.cli.setting_options import setting_option
from attention_motifs.errors import InputError, MotifsError
from attention_motifs.head import HeadId
from attention_motifs.store.paths import MANIFEST
from attention_motifs.store.remote import is_url, show_progress
from attention_motifs.store.settings import MAX_SEED

if TYPE_CHECKING:
    from attention_motifs.atlas import Atlas


def complete_head(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return names of heads in the atlas that the command line names."""
    from attention_motifs.atlas import Atlas

    if is_url(ctx.params.get("atlas")):
        return []  # a network is too slow while somebody types
    try:
        heads = Atlas.open(find_atlas(ctx.params.get("atlas"))).heads["head"].to_list()
    except MotifsError:
        return []
    if os.environ.get("_MOTIFS_COMPLETE", "").endswith("bash"):
        # Bash ends a word at a colon; the parser of heads reads dots as well.
        heads = [head.replace(":", ".") for head in heads]
    return [head for head in heads if head.startswith(incomplete)]


def complete_atlas_model(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return names of models in the atlas that the command line names."""
    heads = complete_head(ctx, "")
    models = dict.fromkeys(HeadId.parse(head).model for head in heads)
    return [model for model in models if model.startswith(incomplete)]


def complete_configuration(incomplete: str) -> list[str]:
    """Return names of the configurations that come with the package."""
    from attention_motifs.cli.configuration_file import shipped

    return [name for name in shipped() if name.startswith(incomplete)]


def value_option(name: str, metavar: str, help_text: str, *, unset: str = "", **more: Any) -> Any:
    """Return an option that takes a value.

    Args:
        name: such as `--prompt`.
        metavar: placeholder of the value, such as `NUMBER|ID`.
        help_text: noun phrase.
        unset: meaning of leaving it out; by default the help does not say.
        more: other arguments of `typer.Option`.
    """
    return typer.Option(name, metavar=metavar, help=help_text, show_default=unset or False, **more)


DEFAULT_ATLAS = Path("atlas")
DEMO_ATLAS = Path("demo-atlas")

AtlasOption = Annotated[
    str | None,
    value_option(
        "--atlas",
        "DIR|URL",
        "Folder of the atlas, or its URL, such as s3://bucket/my-atlas.",
        unset="./atlas, else ./demo-atlas",
    ),
]
NewAtlasOption = Annotated[
    str | None,
    value_option("--atlas", "DIR|URL", "Folder or URL to write the atlas to.", unset="./atlas"),
]
ModelFilterOption = Annotated[
    list[str] | None,
    value_option(
        "--model",
        "MODEL",
        "Only heads of this model of the atlas; repeatable.",
        unset="all models",
        autocompletion=complete_atlas_model,
    ),
]
DeviceOption = Annotated[str, setting_option("device")]
FeaturesOption = Annotated[list[str] | None, setting_option("features")]
MetricsOption = Annotated[list[str] | None, setting_option("metrics")]
BestMetricOption = Annotated[
    str | None,
    value_option(
        "--metric",
        "METRIC",
        "How to compare heads: mean (the paper's Eq. 3), recommended, cosine, and others.",
        unset="the best that the atlas stores",
    ),
]
MetricOption = Annotated[
    str,
    typer.Option(
        "--metric",
        metavar="METRIC",
        help="How to compare heads: mean (the paper's Eq. 3: similar patterns), recommended "
        "(similar behaviour), cosine, and others; see `motifs metrics`.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Compute again, even if the result exists.")
]
ConfigOption = Annotated[
    str | None,
    value_option(
        "--config",
        "NAME|FILE",
        "Settings: paper, packaged, a TOML file, or the atlas.json of an atlas. Options override "
        "them.",
        autocompletion=complete_configuration,
    ),
]
HeadsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[HEAD]...",
        help="Head, as MODEL:LAYER:HEAD; of several, the mean distance counts.",
        autocompletion=complete_head,
    ),
]
WhereOption = Annotated[
    list[str] | None,
    value_option(
        "--where",
        "KEY=VALUE",
        "Only prompts with this label; repeatable: all keys must hold, one value of each.",
        unset="all prompts",
    ),
]
PatternsOption = Annotated[
    Path | None,
    value_option(
        "--patterns",
        "FILE",
        "Patterns of one head instead of HEAD: a .npy or .safetensors file (prompts, tokens, "
        "tokens), of any prompts. With --metric mean: of all prompts of the atlas, in their order.",
    ),
]
WithoutOption = Annotated[
    list[str] | None,
    value_option(
        "--not",
        "HEAD",
        "Head to leave out; repeatable.",
        unset="none",
        autocompletion=complete_head,
    ),
]
WithoutModelOption = Annotated[
    list[str] | None,
    value_option(
        "--not-model",
        "MODEL",
        "Model to leave out, such as a fine-tune of the same model; repeatable.",
        unset="none",
        autocompletion=complete_atlas_model,
    ),
]
HeadArgument = Annotated[
    str,
    typer.Argument(
        metavar="HEAD",
        help="Head, as MODEL:LAYER:HEAD, such as gpt2-small:L5:H1.",
        autocompletion=complete_head,
    ),
]


_MAX_COUNT = 10_000_000
"""Largest number that an option accepts, so that a slip does not fill the memory."""


def seed_option(purpose: str) -> Any:
    """Return the option `--seed`.

    Args:
        purpose: what is random, such as `sampling prompts`.
    """
    return typer.Option("--seed", metavar="N", min=0, max=MAX_SEED, help=f"Seed for {purpose}.")


def count_option(name: str, help_text: str, *, least: int = 1, unset: str = "") -> Any:
    """Return an option that takes a whole number.

    Args:
        name: such as `-n` or `--rounds`.
        help_text: noun phrase.
        least: smallest number allowed.
        unset: meaning of leaving it out, where the default is None.
    """
    return typer.Option(
        name,
        metavar="N",
        min=least,
        max=_MAX_COUNT,
        help=help_text,
        show_default=unset or True,
    )


def out_option(default: str) -> Any:
    """Return the option `--out`.

    Args:
        default: folder used without it, in words.
    """
    return typer.Option(
        "--out",
        metavar="DIR",
        help="Folder to write to.",
        show_default=default or False,
        callback=check_writable,
    )


def check_writable(path: Path | None) -> Path | None:
    """Refuse a path to write to whose name is not UTF-8, which writers of Parquet cannot take.

    Raises:
        InputError: if it is not UTF-8.
    """
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"{path}: the name is not UTF-8; choose another name") from error
    return path


def place(atlas: str) -> str | Path:
    """Return a URL unchanged, and a folder as a path."""
    show_progress(report)
    return atlas if is_url(atlas) else Path(atlas)


def beside(atlas: Atlas, name: str) -> Path:
    """Return the folder for results: in the atlas, or in the current folder if it is remote."""
    return Path(name) if is_url(atlas.place) else atlas.path / name


def on_prompts(atlas: Atlas, where: list[str] | None) -> Atlas:
    """Return an atlas on the prompts that --where names; the whole atlas without it.

    Raises:
        InputError: if no prompt has the labels.
    """
    from attention_motifs.atlas.prompt_labels import parsed_where

    return atlas.where(parsed_where(where)) if where else atlas


def find_atlas(atlas: str | None) -> str | Path:
    """Return the named atlas, or else ./atlas, or else ./demo-atlas."""
    if atlas is not None:
        return place(atlas)
    existing = [p for p in (DEFAULT_ATLAS, DEMO_ATLAS) if (p / MANIFEST).is_file()]
    return existing[0] if existing else DEFAULT_ATLAS
