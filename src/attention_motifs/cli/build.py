"""Commands that make or extend an atlas."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attention_motifs.atlas import Atlas
from attention_motifs.cli import options as o
from attention_motifs.cli.app import app
from attention_motifs.cli.console import errors, print_line, report
from attention_motifs.cli.setting_options import takes_settings
from attention_motifs.distances.neighbour_graph import DENSE_LIMIT
from attention_motifs.errors import InputError
from attention_motifs.executors import LOCAL
from attention_motifs.store.settings import FEATURE_SETS, BuildSettings, Configuration

if TYPE_CHECKING:
    from attention_motifs.cli.configuration_file import BuildPlan
    from attention_motifs.executors import Executor


def _plan(settings: dict[str, Any], config: str | None) -> BuildPlan:
    """Override the values of a configuration file by those given on the command line."""
    from attention_motifs.cli.configuration_file import build_plan, read_configuration

    values = read_configuration(config) if config is not None else {}
    return build_plan({**values, **settings})


@app.command()
@takes_settings(Configuration, BuildSettings)
def build(
    settings: dict[str, Any],
    config: o.ConfigOption = None,
    atlas: o.AtlasOption = None,
    executor: o.ExecutorOption = "local",
    ray_address: o.RayAddressOption = None,
    ray_workers: o.RayWorkersOption = None,
    ray_worker: o.RayWorkerOption = None,
) -> None:
    """Build an atlas of your models on your prompts; run again, it does what is missing.

    Examples:
      motifs build --model gpt2-small --model pythia-1b --atlas my-atlas
      motifs build --model mine=./my-finetune --prompts texts.jsonl --n-prompts 64
      motifs build --model smollm2-135m-instruct --features paper --max-tokens 256
      motifs build --model Llama-3.2-1B --dtype auto --atlas my-atlas
      motifs build --config paper --atlas paper-atlas
      motifs build --config packaged --n-prompts 32 --atlas small-atlas
      motifs build --config paper --executor ray --ray-address auto --ray-worker gpus=0.5
    """
    folder = o.place(atlas) if atlas else o.DEFAULT_ATLAS
    chosen = o.choose_executor(executor, ray_address, ray_workers, ray_worker)
    run_plan(folder, _plan(settings, config), chosen)
    print_line(f"The atlas is in {folder}. Ask it: motifs near HEAD --atlas {folder}")


def run_plan(folder: str | Path, plan: BuildPlan, executor: Executor = LOCAL) -> Atlas:
    """Build what a configuration asks for, what is there already being kept."""
    from attention_motifs.cli.explorer import print_page
    from attention_motifs.stages import run
    from attention_motifs.stages.explore import NEIGHBOURHOODS, explore
    from attention_motifs.stages.score import score

    device = plan.run.device
    made = run.build(
        folder,
        plan.configuration,
        metrics=plan.run.metrics,
        device=device,
        executor=executor,
        report=report,
    )
    if not plan.run.behaviour and not plan.run.site:
        return made
    with Atlas.lock(folder):
        made = Atlas.open(folder)
        if plan.run.behaviour:
            score(made, device=device, executor=executor, report=report)
        if plan.run.site:
            wanted = plan.figures.neighbors or NEIGHBOURHOODS
            sizes = sorted({*wanted, plan.figures.isomap_neighbors})
            site = explore(made, n_neighbors=sizes, report=report)
    if plan.run.site:
        print_page(folder, site)
    return made


@app.command()
@takes_settings(Configuration)
def extract(
    settings: dict[str, Any],
    atlas: o.AtlasOption = None,
    device: o.DeviceOption = "auto",
    executor: o.ExecutorOption = "local",
    ray_address: o.RayAddressOption = None,
    ray_workers: o.RayWorkersOption = None,
    ray_worker: o.RayWorkerOption = None,
) -> None:
    """Take patterns and features: the first stage of `build`, alone.

    Without --model it goes on with an atlas that is there; with --features, that atlas gains the
    feature sets named.

    Examples:
      motifs extract --model gpt2-small --atlas my-atlas
      motifs extract --atlas my-atlas
      motifs extract --features extended --atlas old-atlas
      motifs extract --atlas my-atlas --executor ray --ray-workers 4 --ray-worker cpus=4
    """
    from attention_motifs.stages.create import add_feature_sets, create_or_resume
    from attention_motifs.stages.extract import extract as run_extract

    folder = o.find_atlas(atlas)
    chosen = o.choose_executor(executor, ray_address, ray_workers, ray_worker)
    new = "models" in settings
    with Atlas.lock(folder, new=new):
        if new:
            there = create_or_resume(folder, _plan(settings, None).configuration)
        else:
            there = Atlas.open(folder)
            add_feature_sets(there, settings.get("features", ()))
        run_extract(there, device=device, executor=chosen, report=report)


@app.command()
def embed(atlas: o.AtlasOption = None, force: o.ForceOption = False) -> None:
    """Standardise the features and keep the principal components (paper, section 2.3).

    Where the atlas has the features `extended`, also fit the preset `recommended`.

    Examples:
      motifs embed --atlas my-atlas
      motifs embed --force
    """
    from attention_motifs.stages.embed import embed as run_embed

    folder = o.find_atlas(atlas)
    with Atlas.lock(folder):
        embedding = run_embed(Atlas.open(folder), force=force, report=report)
    shares = embedding.explained_variance_ratio.cumsum()
    told = ", ".join(f"{shares[k - 1]:.2f} by {k}" for k in (3, 10, 16) if k <= len(shares))
    print_line(f"Variance explained: {told} components.")


@app.command()
def distances(
    atlas: o.AtlasOption = None,
    metric: o.MetricsOption = None,
    budget: Annotated[
        float, typer.Option("--budget", help="Seconds a metric may take for all pairs of heads.")
    ] = 600.0,
    dense_limit: Annotated[
        int,
        typer.Option("--dense-limit", help="With more heads, the nearest 64 of each are kept."),
    ] = DENSE_LIMIT,
    force: o.ForceOption = False,
) -> None:
    """Compute the distances of all pairs of heads, or of very many heads the nearest of each.

    Examples:
      motifs distances --metric mean --metric recommended
      motifs distances --metric wasserstein --budget 3600
      motifs distances --metric mean --dense-limit 5000
    """
    from attention_motifs.stages.distances import distances as run_distances
    from attention_motifs.stages.distances import standard_metrics

    if dense_limit < 0:
        raise InputError(f"--dense-limit {dense_limit}: give a number of heads, 0 or more")
    folder = o.find_atlas(atlas)
    with Atlas.lock(folder):
        there = Atlas.open(folder)
        for name in metric or standard_metrics(there.manifest.configuration.feature_sets):
            run_distances(
                there,
                name,
                budget_seconds=budget,
                dense_limit=dense_limit,
                force=force,
                report=report,
            )


@app.command()
def add(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", autocompletion=o.complete_model, help="As --model.")
    ],
    atlas: o.AtlasOption = None,
    device: o.DeviceOption = "auto",
) -> None:
    """Place a new model in an atlas by its saved embeddings; nothing is fitted anew.

    Examples:
      motifs add gemma-3-270m --atlas my-atlas
      motifs add mine=./my-finetune
    """
    from attention_motifs.stages import run

    folder = o.find_atlas(atlas)
    there = run.add(folder, model, device=device, report=report)
    print_line(f"{folder} now holds {', '.join(there.models)}.")


@app.command("import-pattern-lens")
def import_pattern_lens(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What pattern-lens wrote.")],
    atlas: o.AtlasOption = None,
    features: o.FeaturesOption = None,
    metric: o.MetricsOption = None,
) -> None:
    """Make an atlas from the patterns in a folder that the pattern-lens tool wrote.

    Examples:
      motifs import-pattern-lens attn_data/ --atlas my-atlas
    """
    from attention_motifs.stages.import_pattern_lens import import_pattern_lens as run_import

    target = o.place(atlas) if atlas else o.DEFAULT_ATLAS
    there = run_import(
        folder,
        target,
        feature_sets=tuple(features or FEATURE_SETS),
        metrics=metric,
        report=report,
    )
    print_line(f"{target} holds {len(there.heads)} heads of {', '.join(there.models)}.")


@app.command()
def figures(
    atlas: o.AtlasOption = None,
    out: o.OutOption = None,
    head: Annotated[
        list[str] | None,
        typer.Option("--head", help="Heads for the sheet of patterns; repeatable."),
    ] = None,
    metric: o.MetricOption = "mean",
) -> None:
    """Draw the figures: variance, embedding, distances, and sheets of patterns (PNG, SVG).

    Examples:
      motifs figures --atlas my-atlas
      motifs figures --head gpt2-small:L5:H1 --head gpt2-small:L5:H5 --out figures/
    """
    from attention_motifs.figures import make_figures

    folder = o.find_atlas(atlas)
    there = Atlas.open(folder)
    target = out or o.beside(there.path, "figures")
    paths = make_figures(there, target, heads=head or None, metric=metric, report=report)
    for path in paths:
        print_line(str(path))


@app.command()
def demo(
    atlas: Annotated[Path, typer.Option("--atlas", help="Folder to make.")] = o.DEMO_ATLAS,
    n_prompts: Annotated[int, typer.Option("--n-prompts", help="Built-in prompts to use.")] = 96,
    device: o.DeviceOption = "auto",
) -> None:
    """Run everything on the two packaged models and the built-in prompts.

    Examples:
      motifs demo
      motifs demo --n-prompts 32 --atlas small-demo
    """
    from attention_motifs.cli.demonstration import run_demo

    errors.print(
        f"Two small real models, {n_prompts} built-in prompts, into {atlas}/ (a few minutes).",
        markup=False,
    )
    run_demo(atlas, n_prompts, device)
