"""`motifs ablate`: take heads out, and see what goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attention_motifs.atlas import Atlas
from attention_motifs.cli import options as o
from attention_motifs.cli.app import app
from attention_motifs.cli.console import print_json, print_line, print_table, report

if TYPE_CHECKING:
    import polars as pl

    from attention_motifs.executors import Executor
    from attention_motifs.stages.ablation.settings import Settings
    from attention_motifs.stages.ablation.targets import Target


HeadsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="HEAD...",
        help="Heads ablated together.",
        autocompletion=o.complete_head,
        show_default=False,
    ),
]
SweepOption = Annotated[
    str | None, typer.Option("--sweep", metavar="MODEL", help="Every head of a model, alone.")
]
NearOption = Annotated[
    str | None,
    typer.Option(
        "--near",
        metavar="HEAD",
        help="The nearest of a head (-n, --metric). With --sweep: look-alikes of this head are "
        "compared too, by every metric.",
        autocompletion=o.complete_head,
    ),
]
ClassOption = Annotated[
    str | None, typer.Option("--class", help="A class, such as 'induction (computed)'.")
]
ClusterOption = Annotated[
    str | None, typer.Option("--cluster", help="A cluster, such as average:3.")
]
ModelOption = Annotated[
    str | None,
    typer.Option("--model", help="Of the class or cluster; NAME=PATH for a local model."),
]
MethodOption = Annotated[
    list[str] | None,
    typer.Option(
        "--method",
        help="mean, mean-position, resample, zero, pattern-preserving. Repeatable.",
        show_default="mean",
    ),
]
DesignOption = Annotated[
    list[str] | None,
    typer.Option(
        "--design", help="prompts, repeated, long. Repeatable.", show_default="prompts, repeated"
    ),
]


@dataclass(frozen=True)
class Wish:
    """Which heads are meant, in the user's words."""

    heads: tuple[str, ...]
    sweep: str | None
    near: str | None
    class_name: str | None
    cluster: str | None
    n: int
    metric: str
    model: str


@app.command()
def ablate(
    heads: HeadsArgument = None,
    atlas: o.AtlasOption = None,
    sweep: SweepOption = None,
    near: NearOption = None,
    class_name: ClassOption = None,
    cluster: ClusterOption = None,
    n: Annotated[int, typer.Option("-n", help="How many nearest.")] = 5,
    metric: o.MetricOption = "mean",
    model: ModelOption = None,
    method: MethodOption = None,
    design: DesignOption = None,
    sequences: Annotated[int, typer.Option("--sequences", help="Of each design.")] = 12,
    controls: Annotated[
        int, typer.Option("--controls", help="Random sets beside heads ablated together.")
    ] = 99,
    seed: Annotated[int, typer.Option("--seed", help="Of all that is random.")] = 0,
    device: o.DeviceOption = "auto",
    json: o.JsonOption = False,
    executor: o.ExecutorOption = "local",
    ray_address: o.RayAddressOption = None,
    ray_workers: o.RayWorkersOption = None,
    ray_worker: o.RayWorkerOption = None,
) -> None:
    """Take heads out and measure what the model loses, beside random heads of the same layers.

    Examples:
      motifs ablate smollm2-135m-instruct:L18:H6
      motifs ablate --near smollm2-135m-instruct:L18:H6 -n 5 --metric cosine
      motifs ablate --class 'induction (computed)' --model gemma-3-270m --method zero
      motifs ablate --cluster average:3 --model gemma-3-270m --controls 49
      motifs ablate --sweep gemma-3-270m --sequences 8
      motifs ablate --sweep gemma-3-270m --executor ray --ray-worker gpus=1
    """
    from attention_motifs.stages.ablation.settings import Settings

    name, equals, _ = (model or "").partition("=")
    wish = Wish(tuple(heads or ()), sweep, near, class_name, cluster, n, metric, name)
    settings = Settings(
        methods=tuple(method or ("mean",)),
        designs=tuple(design or ("prompts", "repeated")),
        n_sequences=sequences,
        n_controls=controls,
        seed=seed,
        device=device,
    )
    chosen = o.choose_executor(executor, ray_address, ray_workers, ray_worker)
    folder = o.find_atlas(atlas)
    with Atlas.lock(folder):
        there = Atlas.open(folder)
        rows = _run(there, wish, settings, model if equals else None, chosen)
    if json:
        print_json(rows.to_dicts())
        return
    _show(rows)
    print_line(f"Written to {there.ablations_path}; the columns are in docs/ablation.md.")


def _run(
    there: Atlas,
    wish: Wish,
    settings: Settings,
    local: str | None,
    executor: Executor,
) -> pl.DataFrame:
    """Sweep, or ablate what is meant; the rows of the table that this gives."""
    from attention_motifs.errors import InputError
    from attention_motifs.stages.ablation import ablate as stage

    ways = [wish.heads, wish.sweep, wish.class_name, wish.cluster]
    if not wish.sweep:
        ways.append(wish.near)
    if sum(bool(way) for way in ways) != 1:
        raise InputError("name heads, or one of --sweep, --near, --class, --cluster")
    if wish.sweep:
        return stage.sweep(
            there,
            wish.sweep,
            settings,
            anchors=(wish.near,) if wish.near else (),
            n_nearest=wish.n,
            wanted=local,
            executor=executor,
            report=report,
        )
    target = _target(there, wish)
    return stage.ablate(there, target, settings, model=local, executor=executor, report=report)


def _target(there: Atlas, wish: Wish) -> Target:
    """Heads that are ablated together."""
    from attention_motifs.errors import InputError
    from attention_motifs.stages.ablation import targets as targets

    if wish.heads:
        return targets.named_heads(there, wish.heads)
    if wish.near:
        return targets.near_heads(there, wish.near, wish.n, wish.metric)
    if not wish.model and len(there.models) > 1:
        raise InputError(f"--model: say in which of {', '.join(there.models)}")
    chosen = wish.model or there.models[0]
    if wish.class_name:
        return targets.class_heads(there, wish.class_name, chosen)
    return targets.cluster_heads(there, str(wish.cluster), chosen)


_ALONE = ["name", "method", "measure", "design", "effect", "ci_low", "ci_high"]
_TESTS = ["control_effect", "excess", "excess_low", "excess_high", "p", "q"]
_SHOWN = {
    "set": ("Ablated together, beside random sets of the same layers", [*_ALONE, *_TESTS]),
    "group": (
        "Ablated each alone, mean, beside the heads of the same layers",
        [*_ALONE, *_TESTS],
    ),
    "distance": (
        "Rank correlation of distance and effect, beside permutations within layers",
        ["name", "metric", *_ALONE[1:], "control_effect", "excess", "p", "q"],
    ),
    "head": ("Heads by effect on the loss, largest first", [*_ALONE, "p", "q"]),
}


def _show(rows: pl.DataFrame) -> None:
    import polars as pl

    for kind, (title, shown) in _SHOWN.items():
        some = rows.filter(pl.col("kind") == kind)
        if kind == "head":
            some = some.filter(pl.col("measure") == "loss")
            some = some.sort("effect", descending=True).head(10)
        if len(some):
            cells: list[list[Any]] = [list(row) for row in some.select(shown).iter_rows()]
            print_table(title, shown, cells)
    if len(rows):
        print_line(
            f"{rows['n_tested'][0]} p-values in the file; q corrects for all of them (Benjamini "
            "and Hochberg), and changes as more are tested."
        )
