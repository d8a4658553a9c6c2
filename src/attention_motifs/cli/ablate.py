"""`motifs ablate`: take heads out, and see what goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from attention_motifs.atlas import Atlas
from attention_motifs.cli import options as o
from attention_motifs.cli.app import app
from attention_motifs.cli.console import print_json, print_line, print_table, report

if TYPE_CHECKING:
    import polars as pl

    from attention_motifs.stages.ablation_targets import Target


@app.command()
def ablate(
    heads: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="HEAD...",
            help="Heads ablated together.",
            autocompletion=o.complete_head,
            show_default=False,
        ),
    ] = None,
    atlas: o.AtlasOption = None,
    sweep: Annotated[
        str | None, typer.Option("--sweep", metavar="MODEL", help="Every head of a model, alone.")
    ] = None,
    near: Annotated[
        str | None, typer.Option("--near", metavar="HEAD", help="The nearest of a head (-n).")
    ] = None,
    class_name: Annotated[
        str | None, typer.Option("--class", help="A class, such as 'induction (computed)'.")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option("--cluster", help="A cluster, such as average:3.")
    ] = None,
    n: Annotated[int, typer.Option("-n", help="How many nearest.")] = 5,
    metric: o.MetricOption = "mean",
    model: Annotated[
        str | None,
        typer.Option("--model", help="Of the class or cluster; NAME=PATH for a local model."),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            help="mean, mean-position, resample, zero, pattern-preserving. Repeatable.",
            show_default="mean",
        ),
    ] = None,
    design: Annotated[
        list[str] | None,
        typer.Option(
            "--design",
            help="prompts, repeated, long. Repeatable.",
            show_default="prompts, repeated",
        ),
    ] = None,
    sequences: Annotated[int, typer.Option("--sequences", help="Of each design.")] = 12,
    controls: Annotated[
        int, typer.Option("--controls", help="Random sets beside heads ablated together.")
    ] = 99,
    seed: Annotated[int, typer.Option("--seed", help="Of all that is random.")] = 0,
    device: o.DeviceOption = "auto",
    json: o.JsonOption = False,
) -> None:
    """Take heads out and measure what the model loses, beside random heads of the same layers.

    Examples:
      motifs ablate smollm2-135m-instruct:L18:H6
      motifs ablate --near smollm2-135m-instruct:L18:H6 -n 5 --metric cosine
      motifs ablate --class 'induction (computed)' --model gemma-3-270m --method zero
      motifs ablate --cluster average:3 --model gemma-3-270m --controls 49
      motifs ablate --sweep gemma-3-270m --sequences 8
    """
    from attention_motifs.stages import ablate as stage

    folder = o.find_atlas(atlas)
    name, equals, _ = (model or "").partition("=")
    local = model if equals else None
    with Atlas.lock(folder):
        there = Atlas.open(folder)
        settings = stage.Settings(
            methods=tuple(method or ("mean",)),
            designs=tuple(design or ("prompts", "repeated")),
            n_sequences=sequences,
            n_controls=controls,
            seed=seed,
            device=device,
        )
        target = _target(there, heads, sweep, near, class_name, cluster, n, metric, name)
        if target is None:
            rows = stage.sweep(there, str(sweep), settings, wanted=local, report=report)
        else:
            rows = stage.ablate(there, target, settings, model=local, report=report)
    if json:
        print_json(rows.to_dicts())
        return
    _show(rows)
    print_line(f"Written to {there.ablations_path}; the columns are in docs/ablation.md.")


def _target(
    there: Atlas,
    heads: list[str] | None,
    sweep: str | None,
    near: str | None,
    class_name: str | None,
    cluster: str | None,
    n: int,
    metric: str,
    model: str,
) -> Target | None:
    """Heads meant by one of the ways to say so; None for a sweep."""
    from attention_motifs.errors import InputError
    from attention_motifs.stages import ablation_targets as targets

    given = [way for way in (heads, sweep, near, class_name, cluster) if way]
    if len(given) != 1:
        raise InputError("name heads, or one of --sweep, --near, --class, --cluster")
    if sweep:
        return None
    if heads:
        return targets.named_heads(there, heads)
    if near:
        return targets.near_heads(there, near, n, metric)
    if not model and len(there.models) > 1:
        raise InputError(f"--model: say in which of {', '.join(there.models)}")
    chosen = model or there.models[0]
    if class_name:
        return targets.class_heads(there, class_name, chosen)
    return targets.cluster_heads(there, str(cluster), chosen)


def _show(rows: pl.DataFrame) -> None:
    import polars as pl

    columns = ["name", "method", "measure", "design", "effect", "ci_low", "ci_high"]
    tests = ["control_effect", "excess", "p", "q"]
    for kind, title in (
        ("set", "Ablated together, beside random sets of the same layers"),
        ("group", "Ablated each alone, mean, beside the heads of the same layers"),
        ("distance", "Rank correlation of distance and effect, beside permutations within layers"),
        ("head", "Heads by effect on the loss, largest first"),
    ):
        some = rows.filter(pl.col("kind") == kind)
        shown = [*columns, *tests] if kind != "head" else [*columns, "p", "q"]
        if kind == "distance":
            shown = ["name", "metric", "method", "measure", "design", "effect", *tests]
        if kind == "head":
            some = some.filter(pl.col("measure") == "loss")
            some = some.sort("effect", descending=True).head(10)
        if len(some):
            cells: list[list[Any]] = [list(row) for row in some.select(shown).iter_rows()]
            print_table(f"{title} ({rows['n_tested'][0]} p-values in the file)", shown, cells)
