"""Options that several commands share, each written once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attention_motifs.cli.console import report
from attention_motifs.cli.setting_options import complete_model as complete_model
from attention_motifs.cli.setting_options import setting_option
from attention_motifs.errors import MotifsError
from attention_motifs.head import HeadId
from attention_motifs.store.remote import LazyPath, is_url, show_progress

if TYPE_CHECKING:
    from attention_motifs.executors import Executor


def complete_head(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of heads in the atlas that the command line speaks of."""
    from attention_motifs.atlas import Atlas

    if is_url(ctx.params.get("atlas")):
        return []  # a network is too slow for the next key
    try:
        heads = Atlas.open(find_atlas(ctx.params.get("atlas"))).heads["head"].to_list()
    except MotifsError:
        return []
    if os.environ.get("_MOTIFS_COMPLETE", "").endswith("bash"):
        # Bash takes a colon for the end of a word; heads are read with dots as well.
        heads = [head.replace(":", ".") for head in heads]
    return [head for head in heads if head.startswith(incomplete)]


def complete_atlas_model(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return names of models in the atlas."""
    heads = complete_head(ctx, "")
    models = dict.fromkeys(HeadId.parse(head).model for head in heads)
    return [model for model in models if model.startswith(incomplete)]


def complete_configuration(incomplete: str) -> list[str]:
    """Names of the configurations that come with the package."""
    from attention_motifs.cli.configuration_file import shipped

    return [name for name in shipped() if name.startswith(incomplete)]


DEFAULT_ATLAS = Path("atlas")
DEMO_ATLAS = Path("demo-atlas")

AtlasOption = Annotated[
    str | None,
    typer.Option(
        "--atlas",
        metavar="DIR or URL",
        help="Folder of the atlas, or its URL, such as s3://bucket/my-atlas. Default: ./atlas, or "
        "else ./demo-atlas if that is there.",
        show_default=False,
    ),
]
ModelFilterOption = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="Only heads of this model of the atlas; repeatable.",
        autocompletion=complete_atlas_model,
        show_default=False,
    ),
]
DeviceOption = Annotated[str, setting_option("device")]
FeaturesOption = Annotated[list[str] | None, setting_option("features")]
MetricsOption = Annotated[list[str] | None, setting_option("metrics")]
MetricOption = Annotated[
    str, typer.Option("--metric", help="Distance of heads; 'mean' is the paper's Eq. 3.")
]
ExecutorOption = Annotated[
    str, typer.Option("--executor", help="Who runs the models: local or ray.")
]
RayAddressOption = Annotated[
    str | None,
    typer.Option(
        "--ray-address",
        help="Cluster: auto (the one there), local (started here), host:port, ray://...",
        show_default="local",
    ),
]
RayWorkersOption = Annotated[
    int | None,
    typer.Option(
        "--ray-workers", help="Workers at most.", show_default="as many as the cluster has room for"
    ),
]
RayWorkerOption = Annotated[
    str | None,
    typer.Option(
        "--ray-worker",
        metavar="RESOURCES",
        help="What each worker takes: cpus=2,gpus=0.5 and the cluster's own names.",
        show_default="cpus=1",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Compute again what is there.")]
ConfigOption = Annotated[
    str | None,
    typer.Option(
        "--config",
        help="'paper', 'packaged' or a TOML file (docs/atlas.md); flags go before it.",
        autocompletion=complete_configuration,
        show_default=False,
    ),
]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="Folder to write to.", show_default=False)
]
HeadArgument = Annotated[
    str,
    typer.Argument(metavar="HEAD", help="Such as gpt2-small:L5:H1.", autocompletion=complete_head),
]


def choose_executor(
    executor: str, ray_address: str | None, ray_workers: int | None, ray_worker: str | None
) -> Executor:
    """Return the executor that the options describe."""
    from attention_motifs.executors import choose_executor as choose

    return choose(executor, address=ray_address, n_workers=ray_workers, worker=ray_worker)


def place(atlas: str) -> str | Path:
    """Return a URL as it is, and the path of a folder."""
    show_progress(report)
    return atlas if is_url(atlas) else Path(atlas)


def beside(atlas: Path, name: str) -> Path:
    """Return the folder in an atlas, or here if the atlas is elsewhere, for what is made of it."""
    return Path(name) if isinstance(atlas, LazyPath) else atlas / name


def find_atlas(atlas: str | None) -> str | Path:
    """Return the atlas meant: the named one, else ./atlas, else ./demo-atlas."""
    if atlas is not None:
        return place(atlas)
    there = [p for p in (DEFAULT_ATLAS, DEMO_ATLAS) if (p / "atlas.json").is_file()]
    return there[0] if there else DEFAULT_ATLAS
