"""Commands that build or extend an atlas."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attention_motifs.atlas import Atlas
from attention_motifs.cli import options as o
from attention_motifs.cli.application import app
from attention_motifs.cli.console import errors, print_line, report
from attention_motifs.cli.executor_options import takes_executor
from attention_motifs.cli.setting_options import setting_option, takes_settings
from attention_motifs.distances.neighbour_graph import DENSE_LIMIT
from attention_motifs.errors import InputError
from attention_motifs.executors import LOCAL, Executor
from attention_motifs.stages.stage import writing
from attention_motifs.store.settings import FEATURE_SETS, BuildSettings, Configuration

if TYPE_CHECKING:
    from attention_motifs.cli.configuration_file import BuildPlan


ForceFolderOption = Annotated[
    bool,
    typer.Option("--force", help="Write the atlas into a folder that holds other files."),
]

ScoreOption = Annotated[bool, setting_option("score")]


def _plan(settings: dict[str, Any], config: str | None) -> BuildPlan:
    """Override the values of a configuration file by those given on the command line."""
    from attention_motifs.cli.configuration_file import build_plan, read_configuration

    values = read_configuration(config) if config is not None else {}
    return build_plan({**values, **settings})


@app.command()
@takes_settings(Configuration, BuildSettings)
@takes_executor
def build(
    settings: dict[str, Any],
    config: o.ConfigOption = None,
    atlas: o.NewAtlasOption = None,
    force: ForceFolderOption = False,
    *,
    executor: Executor,
) -> None:
    """Build an atlas of your models on your prompts. Run it again to do what is missing.

    Examples:
      motifs build --model gemma-3-270m --n-prompts 16 --atlas small-atlas
      motifs build --model gpt2-small --model pythia-1b --atlas my-atlas
      motifs build --model mine=./my-finetune --prompts texts.jsonl --n-prompts 64
      motifs build --config packaged --n-prompts 32 --atlas small-reference
      motifs build --config paper --executor ray --ray-address auto --ray-worker gpus=0.5
    """
    folder = o.place(atlas) if atlas else o.DEFAULT_ATLAS
    plan = _plan(settings, config)
    check_folder(folder, force=force)
    run_plan(folder, plan, executor)
    print_line(f"The atlas is in {folder}. Ask it: motifs near HEAD --atlas {quote(str(folder))}")


def check_folder(folder: str | Path, *, force: bool = False) -> None:
    """Refuse to write an atlas among other files, or to a name that writers cannot take.

    Raises:
        InputError: if the folder holds files and no atlas, or its name is not UTF-8.
    """
    from attention_motifs.stages import create

    if isinstance(folder, Path):
        o.check_writable(folder)
    create.check_folder(folder, force=force)


def run_plan(folder: str | Path, plan: BuildPlan, executor: Executor = LOCAL) -> Atlas:
    """Run all stages that a plan names; finished ones are kept."""
    from attention_motifs.cli.explorer import print_page
    from attention_motifs.stages import run
    from attention_motifs.stages.explore import NEIGHBOURHOODS, explore

    device = plan.run.device
    opened = run.build(
        folder,
        plan.configuration,
        metrics=plan.run.metrics,
        device=device,
        executor=executor,
        force=True,  # the command has checked the folder
        score=plan.run.score,
        report=report,
    )
    if not plan.run.site:
        return opened
    neighbors = plan.figures.neighbors or NEIGHBOURHOODS
    sizes = sorted({*neighbors, plan.figures.isomap_neighbors})
    site = explore(opened, n_neighbors=sizes, report=report)
    print_page(folder, site)
    return opened


def _save_distances(
    atlas: Atlas, metrics: list[str] | None, where: list[str] | None, out: Path | None
) -> None:
    """Write the distances on some prompts to a file.

    Raises:
        InputError: if one of the options is missing, there are several metrics, or no prompt has
            the labels.
    """
    import numpy as np

    from attention_motifs.store.atomic import atomic

    if not where or out is None or len(metrics or ()) > 1:
        raise InputError(
            "--where and --out go together, with one --metric: distances on some of the prompts "
            "are not stored in the atlas. Write --metric mean --where KEY=VALUE --out FILE.npy"
        )
    metric = metrics[0] if metrics else atlas.best_metric
    some = o.on_prompts(atlas, where)
    matrix = some.distances(metric)
    with atomic(out) as unfinished, unfinished.open("wb") as file:
        np.save(file, matrix)
    print_line(
        f"{out}: distances by {metric} of {len(matrix)} heads, in the order of heads.parquet, on "
        f"{len(some.prompts)} of {len(atlas.prompts)} prompts."
    )


@app.command()
@takes_settings(Configuration)
@takes_executor
def extract(
    settings: dict[str, Any],
    atlas: o.AtlasOption = None,
    device: o.DeviceOption = "auto",
    *,
    executor: Executor,
) -> None:
    """Compute attention patterns and their features: the first stage of `build`, alone.

    Without --model, continue with the models of an existing atlas. With --features as well, add
    these feature sets to it.

    Examples:
      motifs extract --atlas demo-atlas
      motifs extract --model gpt2-small --atlas my-atlas
      motifs extract --features experimental --atlas demo-atlas
      motifs extract --atlas my-atlas --executor ray --ray-workers 4 --ray-worker cpus=4
    """
    from attention_motifs.stages.create import add_feature_sets, create_or_resume
    from attention_motifs.stages.extract import extract as run_extract

    folder = o.find_atlas(atlas)
    new = "models" in settings
    if new:
        check_folder(folder)
    with Atlas.lock(folder, new=new):
        if new:
            opened = create_or_resume(folder, _plan(settings, None).configuration)
        else:
            opened = Atlas.open(folder)
            add_feature_sets(opened, settings.get("features", ()))
        run_extract(opened, device=device, executor=executor, report=report)


@app.command()
@takes_executor
def probe(
    atlas: o.AtlasOption = None,
    n_probes: Annotated[int | None, setting_option("n_probes", unset="16, or as recorded")] = None,
    probe_tokens: Annotated[int | None, setting_option("probe_tokens", unset="as recorded")] = None,
    probe_file: Annotated[str | None, setting_option("probe_file", unset="as recorded")] = None,
    probe_seed: Annotated[int | None, setting_option("probe_seed", unset="as recorded")] = None,
    model: o.ModelFilterOption = None,
    device: o.DeviceOption = "auto",
    *,
    executor: Executor,
) -> None:
    """Add probes to an atlas: run its models on sequences of repeated random tokens.

    Then fit the presets that use probes, and compute their distances. `build` and `add` do all of
    this too. With other settings, the probes are replaced.

    Examples:
      motifs probe --atlas demo-atlas
      motifs probe --probe-file my-probes.jsonl --n-probes 8
      motifs probe --model mine=./my-finetune
    """
    from attention_motifs.stages.distances import add_presets
    from attention_motifs.stages.probe import probe as run_probe

    folder = o.find_atlas(atlas)
    given = {
        "n_probes": n_probes,
        "probe_tokens": probe_tokens,
        "probe_file": probe_file,
        "probe_seed": probe_seed,
    }
    settings = {key: value for key, value in given.items() if value is not None}
    with writing(folder) as opened:
        run_probe(
            opened,
            settings=settings,
            models=model,
            device=device,
            executor=executor,
            report=report,
        )
        add_presets(opened, report)
    probes = opened.manifest.probes["n"]
    print_line(f"{folder} holds {probes} probes of {', '.join(opened.models)}.")


@app.command()
def embed(atlas: o.AtlasOption = None, force: o.ForceOption = False) -> None:
    """Standardise the features and keep the principal components (paper, section 2.3).

    Also fit the blocks of the presets, such as `natural` and `recommended`.

    Examples:
      motifs embed --atlas demo-atlas
      motifs embed --atlas demo-atlas --force
    """
    from attention_motifs.stages.embed import embed as run_embed

    folder = o.find_atlas(atlas)
    embedding = run_embed(Atlas.open(folder), force=force, report=report)
    shares = embedding.explained_variance_ratio.cumsum()
    summary = ", ".join(f"{shares[k - 1]:.2f} by {k}" for k in (3, 10, 16) if k <= len(shares))
    print_line(f"Variance explained: {summary} components.")


@app.command()
def distances(
    atlas: o.AtlasOption = None,
    metric: o.MetricsOption = None,
    budget: Annotated[
        float,
        typer.Option(
            "--budget",
            metavar="SECONDS",
            min=0,
            help="Maximum time per metric for all pairs of heads, in seconds.",
        ),
    ] = 600.0,
    dense_limit: Annotated[
        int,
        o.count_option(
            "--dense-limit",
            "Maximum number of heads for which all pairs are stored; with more, the nearest 64 "
            "of each.",
            least=0,
        ),
    ] = DENSE_LIMIT,
    force: o.ForceOption = False,
    where: o.WhereOption = None,
    out: Annotated[
        Path | None,
        o.value_option(
            "--out",
            "FILE",
            "With --where: the .npy file for the distances of one metric, which the atlas does "
            "not store.",
            callback=o.check_writable,
        ),
    ] = None,
) -> None:
    """Compute the distances between all pairs of heads.

    With very many heads, only the nearest heads of each are computed and stored.

    Examples:
      motifs distances --metric mean --metric recommended
      motifs distances --metric sliced-wasserstein --budget 3600
      motifs distances --metric mean --where genre=fiction --out fiction.npy
    """
    from attention_motifs.stages.distances import distances as run_distances
    from attention_motifs.stages.distances import standard_metrics

    folder = o.find_atlas(atlas)
    if where or out:
        _save_distances(Atlas.open(folder), metric, where, out)
        return
    with writing(folder) as opened:
        for name in metric or standard_metrics(opened):
            run_distances(
                opened,
                name,
                budget_seconds=budget,
                dense_limit=dense_limit,
                force=force,
                report=report,
            )


@app.command()
def add(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            autocompletion=o.complete_model,
            help="Model to add: a name, hub id, folder, GGUF file, or NAME=PATH.",
        ),
    ],
    atlas: o.AtlasOption = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Replace the model of this name if its files changed."),
    ] = False,
    device: o.DeviceOption = "auto",
    score: ScoreOption = True,
    softmax_only: Annotated[bool, setting_option("softmax_only")] = False,
) -> None:
    """Add a model to an existing atlas. Existing distances do not change.

    With --replace, a model whose files changed replaces the earlier one. If the embedding was
    fitted on that one, it is fitted again, and all distances change.

    Examples:
      motifs add gpt2-small --atlas demo-atlas
      motifs add mine=./my-finetune
      motifs add mine=./my-finetune --replace
    """
    from attention_motifs.stages import run

    folder = o.find_atlas(atlas)
    opened = run.add(
        folder, model, replace=replace, device=device, score=score, softmax_only=softmax_only,
        report=report,
    )  # fmt: skip
    print_line(f"{folder} now holds {', '.join(opened.models)}.")


@app.command()
def remove(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model of the atlas.")],
    atlas: o.AtlasOption = None,
) -> None:
    """Remove a model from an atlas, with its features, scores and ablations.

    The distances are computed again, and so is the embedding if it was fitted on the model.
    Projections, clusters and the evaluation are deleted.

    Examples:
      motifs remove gemma-3-270m --atlas my-atlas
    """
    from attention_motifs.stages.remove import remove as run_remove

    folder = o.find_atlas(atlas)
    opened = run_remove(folder, model, report=report)
    print_line(f"{folder} now holds {', '.join(opened.models)}.")


@app.command("import-pattern-lens")
def import_pattern_lens(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder that the pattern-lens tool wrote.")
    ],
    atlas: o.NewAtlasOption = None,
    force: ForceFolderOption = False,
    features: o.FeaturesOption = None,
    metric: o.MetricsOption = None,
) -> None:
    """Build an atlas from attention patterns that the pattern-lens tool wrote.

    Examples:
      motifs import-pattern-lens attn_data/ --atlas my-atlas
    """
    from attention_motifs.stages.import_pattern_lens import import_pattern_lens as run_import

    target = o.place(atlas) if atlas else o.DEFAULT_ATLAS
    check_folder(target, force=force)
    opened = run_import(
        folder,
        target,
        feature_sets=tuple(features or FEATURE_SETS),
        metrics=metric,
        force=force,
        report=report,
    )
    print_line(f"{target} holds {len(opened.heads)} heads of {', '.join(opened.models)}.")


@app.command()
def demo(
    atlas: Annotated[
        Path, typer.Option("--atlas", metavar="DIR", help="Folder to write the atlas to.")
    ] = o.DEMO_ATLAS,
    force: ForceFolderOption = False,
    n_prompts: Annotated[
        int, o.count_option("--n-prompts", "Number of built-in prompts to use.")
    ] = 96,
    device: o.DeviceOption = "auto",
    score: ScoreOption = True,
) -> None:
    """Run everything on two small packaged models and the built-in prompts.

    Examples:
      motifs demo
      motifs demo --n-prompts 32 --atlas small-demo
    """
    from attention_motifs.cli.demonstration import run_demo

    check_folder(atlas, force=force)
    errors.print(
        f"Two small real models, {n_prompts} built-in prompts, into {atlas}/ (a few minutes).",
        markup=False,
    )
    run_demo(atlas, n_prompts, device, score=score)
