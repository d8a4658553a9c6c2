"""Commands that project, cluster, score and evaluate heads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from attention_motifs.atlas import Atlas
from attention_motifs.cli import options as o
from attention_motifs.cli.app import app
from attention_motifs.cli.console import print_json, print_line, print_table, report

_METHODS_HELP = "isomap, umap, tsne, pca; repeatable. Default: all."


@app.command()
def score(
    atlas: o.AtlasOption = None,
    model: o.ModelFilterOption = None,
    device: o.DeviceOption = "auto",
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Seed for the random test tokens.")
    ] = 0,
    force: o.ForceOption = False,
    top: Annotated[int, typer.Option("-n", help="Heads shown per behaviour.")] = 3,
    executor: o.ExecutorOption = "local",
    ray_address: o.RayAddressOption = None,
    ray_workers: o.RayWorkersOption = None,
    ray_worker: o.RayWorkerOption = None,
) -> None:
    """Score every head on repeated random tokens: induction, previous token, sink and others.

    Examples:
      motifs score --atlas my-atlas
      motifs score --model gpt2-small -n 10
      motifs score --executor ray --ray-address auto --ray-worker gpus=1
    """
    from attention_motifs.behaviour import BEHAVIOURS
    from attention_motifs.stages.score import SPREAD
    from attention_motifs.stages.score import score as run_score

    chosen = o.choose_executor(executor, ray_address, ray_workers, ray_worker)
    folder = o.find_atlas(atlas)
    with Atlas.lock(folder):
        there = Atlas.open(folder)
        run_score(
            there,
            seed=seed,
            device=device,
            models=model,
            force=force,
            executor=chosen,
            report=report,
        )
    for name, meaning in BEHAVIOURS.items():
        best = there.heads.sort(name, descending=True, nulls_last=True).head(top)
        print_table(
            f"{name}: {meaning}",
            ["head", "score", "spread"],
            [list(row) for row in best.select("head", name, name + SPREAD).iter_rows()],
        )


@app.command()
def project(
    atlas: o.AtlasOption = None,
    metric: o.MetricOption = "mean",
    method: Annotated[list[str] | None, typer.Option("--method", help=_METHODS_HELP)] = None,
    neighbors: Annotated[
        list[int] | None,
        typer.Option("--neighbors", help="Repeatable. Default: 2, 4, 8, 16, 32, 64."),
    ] = None,
    dimension: Annotated[
        list[int] | None, typer.Option("--dimension", help="2 or 3; repeatable. Default: both.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of the layouts.")] = 0,
    force: o.ForceOption = False,
) -> None:
    """Project the heads to two and three dimensions, and say what each picture is worth.

    Examples:
      motifs project --method isomap --neighbors 16
      motifs project --method pca --method tsne --dimension 2 --metric cosine
    """
    from attention_motifs.stages.project import project as run_project

    folder = o.find_atlas(atlas)
    with Atlas.lock(folder):
        there = Atlas.open(folder)
        run_project(
            there,
            metric=metric,
            methods=method,
            n_neighbors=neighbors,
            dimensions=dimension,
            seed=seed,
            force=force,
            report=report,
        )
    quality = ["trustworthiness", "continuity", "n_pieces", "note"]
    keys = ["scope", "method", "n_neighbors", "n_components"]
    table = there.projections.select(*keys, *quality).unique(maintain_order=True)
    print_table(
        f"Projections in {there.projections_path} (1 is best for trustworthiness, continuity)",
        [*keys, *quality],
        [list(row) for row in table.iter_rows()],
    )


@app.command()
def cluster(
    atlas: o.AtlasOption = None,
    method: Annotated[
        str,
        typer.Option("--method", help="average, complete, single, ward, hdbscan or leiden."),
    ] = "average",
    metric: o.MetricOption = "mean",
    number: Annotated[
        int | None, typer.Option("--number", help="Clusters of a hierarchical method; 16.")
    ] = None,
    height: Annotated[
        float | None, typer.Option("--height", help="Height of the cut, instead of a number.")
    ] = None,
    min_size: Annotated[int, typer.Option("--min-size", help="Smaller ones are dissolved.")] = 1,
    neighbors: Annotated[int, typer.Option("--neighbors", help="Of the graph of leiden.")] = 16,
    resolution: Annotated[float, typer.Option("--resolution", help="Of leiden.")] = 1.0,
    rounds: Annotated[
        int, typer.Option("--rounds", help="Draws of half of the prompts for the stability.")
    ] = 20,
    seed: Annotated[int, typer.Option("--seed", help="Of the draws, and of leiden.")] = 0,
    name: Annotated[
        str | None,
        typer.Option("--name", help="Name a cluster of the last cut, as NUMBER=NAME."),
    ] = None,
) -> None:
    """Cluster the heads; say how stable the clusters are and what is in them.

    Examples:
      motifs cluster --number 12
      motifs cluster --method hdbscan --min-size 4 --metric cosine
      motifs cluster --name 3='induction-like'
    """
    from attention_motifs.errors import InputError
    from attention_motifs.stages.cluster import cluster as run_cluster
    from attention_motifs.stages.cluster import name_cluster

    folder = o.find_atlas(atlas)
    with Atlas.lock(folder):
        there = Atlas.open(folder)
        if name is not None:
            which, equals, text = name.partition("=")
            if not equals or not which.strip().isdigit():
                raise InputError(f"--name {name!r}: write NUMBER=NAME, such as 3=induction-like")
            name_cluster(there, method, int(which), text)
            print_line(f"Cluster {which.strip()} by {method} is named {text!r}.")
            return
        parameters: dict[str, Any] = {"min_size": min_size}
        if method == "leiden":
            parameters |= {"n_neighbors": neighbors, "resolution": resolution}
        made = run_cluster(
            there,
            method=method,
            metric=metric,
            n_clusters=number,
            height=height,
            n_rounds=rounds,
            seed=seed,
            report=report,
            **parameters,
        )
    _print_clusters(there, method, made)


_SHOWN = 3
"""Heads named per cluster."""


def _print_clusters(there: Atlas, method: str, made: Any) -> None:
    heads = there.heads["head"].to_list()
    some: dict[int, list[str]] = {}
    for head, number in zip(heads, made.clustering.labels.tolist(), strict=True):
        if len(members := some.setdefault(number, [])) < _SHOWN:
            members.append(head)
    rows = []
    for number, size in enumerate(made.clustering.sizes.tolist()):
        members = some[number]
        kept = float(made.stability.jaccard[number]) if made.stability else None
        shown = ", ".join(members) + (", ..." if size > len(members) else "")
        rows.append([number, made.names.names.get(number, ""), size, kept, shown])
    print_table(
        f"Clusters by {method}", ["cluster", "name", "heads", "kept in redraws", "some"], rows
    )
    left = int((made.clustering.labels < 0).sum())
    if left:
        print_line(f"{left} heads are in no cluster.")
    if made.stability:
        print_line(
            f"Stability over {len(made.stability.adjusted_rand)} redraws of half of the prompts: "
            f"adjusted Rand index {made.stability.mean:.2f} (spread {made.stability.spread:.2f})"
        )
    print_line(f"Written to {there.path / 'clusters'}.")


@app.command()
def evaluate(
    atlas: o.AtlasOption = None,
    metric: o.MetricsOption = None,
    permutations: Annotated[int, typer.Option("--permutations", help="Of each null.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", help="Of the permutations.")] = 0,
    json: o.JsonOption = False,
) -> None:
    """Measure how well metrics bring together heads that do the same, against a null.

    Run `motifs score` before for classes by behaviour.

    Examples:
      motifs evaluate --metric mean --metric cosine
      motifs evaluate --json > evaluation.json
    """
    from attention_motifs.stages.evaluate import evaluate as run_evaluate

    folder = o.find_atlas(atlas)
    with Atlas.lock(folder):
        there = Atlas.open(folder)
        results = run_evaluate(
            there, metrics=metric, seed=seed, n_permutations=permutations, report=report
        )
    if json:
        print_json({name: result.to_json() for name, result in results.items()})
        return
    for name, result in results.items():
        print_table(
            f"Metric {name}",
            ["models", "what", "statistic", "heads", "value", "null mean", "null 95 %", "p", "q"],
            [
                [r.model, r.name, r.statistic, r.n_heads, r.value, r.null_mean, r.null_95, r.p, r.q]
                for r in result.rows
            ],
        )
        for item in result.too_few:
            print_line(
                f"  not scored, too few heads: {item.name} in {item.model} ({item.n_heads} of "
                f"{item.needed} needed)"
            )
    print_line(f"Written to {there.evaluation_path}.")


@app.command()
def classes(
    name: Annotated[str | None, typer.Argument(help="One class, with its heads.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="Your own JSON file of classes, beside ours.")
    ] = None,
    atlas: Annotated[
        str | None,
        typer.Option("--atlas", help="List the classes that this atlas keeps as well."),
    ] = None,
    save: Annotated[
        bool, typer.Option("--save", help="Keep a copy of --file in the atlas, and label by it.")
    ] = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="Delete the copy that the atlas keeps.")
    ] = False,
    json: o.JsonOption = False,
) -> None:
    """List the classes of heads in the literature, with their sources and conflicts.

    Examples:
      motifs classes
      motifs classes induction
      motifs classes --file my-classes.json --json
      motifs classes --file my-classes.json --atlas my-atlas --save
      motifs classes --atlas my-atlas --forget
    """
    import polars as pl

    from attention_motifs.errors import InputError
    from attention_motifs.literature import class_table, known_heads

    if save or forget:
        _keep_classes(name, file, atlas, save=save, forget=forget)
        return
    if file is None and atlas is not None:
        file = Atlas.open(o.find_atlas(atlas)).own_classes
    table = class_table(file)
    if name is None:
        if json:
            print_json(table.to_dicts())
            return
        print_table(
            "Classes of heads in the literature",
            ["class", "group", "heads", "models", "description"],
            [
                [r["class"], r["group"], r["heads"], ", ".join(r["models"]), r["description"]]
                for r in table.iter_rows(named=True)
            ],
        )
        return
    if name not in table["class"].to_list():
        raise InputError(f"class {name!r} is not known; see `motifs classes`")
    known = known_heads(extra=file).filter(pl.col("class") == name)
    if json:
        print_json(known.to_dicts())
        return
    print_table(
        f"Heads said to be {name}",
        ["head", "paper", "evidence", "conflict"],
        [
            [f"{r['model']}:L{r['layer']}:H{r['index']}", r["paper"], r["evidence"], r["conflict"]]
            for r in known.iter_rows(named=True)
        ],
    )


def _keep_classes(
    name: str | None, file: Path | None, atlas: str | None, *, save: bool, forget: bool
) -> None:
    from attention_motifs.errors import InputError
    from attention_motifs.stages.create import forget_classes, save_classes

    if save and forget:
        raise InputError("--save and --forget: give one of them")
    if name is not None:
        raise InputError(f"class {name!r}: leave it out with --save and --forget")
    if save and file is None:
        raise InputError("--save keeps a file of classes: name it with --file")
    if forget and file is not None:
        raise InputError(f"--file {file}: leave it out with --forget")
    folder = o.find_atlas(atlas)
    with Atlas.lock(folder):
        there = Atlas.open(folder)
        if file is None:
            known = forget_classes(there)
            print_line(f"{folder}: " + ("own classes deleted" if known else "no own classes"))
            return
        n = save_classes(there, file)
    print_line(f"Kept in {there.classes_path}: {n} statements are about heads of this atlas.")


@app.command()
def complementary(
    atlas: o.AtlasOption = None,
    n: Annotated[int, typer.Option("-n", help="Pairs listed.")] = 20,
    candidates: Annotated[int, typer.Option("--candidates", help="Pairs tested.")] = 1000,
    permutations: Annotated[int, typer.Option("--permutations", help="Per pair.")] = 9999,
    seed: Annotated[int, typer.Option("--seed", help="Of the permutations.")] = 0,
    json: o.JsonOption = False,
) -> None:
    """List pairs of heads with the same patterns on different prompts (paper, section 4.1).

    Their mean distance (Eq. 3) is large, their earth-mover distance small.

    Examples:
      motifs complementary -n 10
    """
    from attention_motifs.distances import complementary as find

    there = Atlas.open(o.find_atlas(atlas))
    clouds = there.embedded()
    with report("complementary pairs", 1):
        found = find(clouds, n=n, candidates=candidates, permutations=permutations, seed=seed)
    heads = there.heads["head"].to_list()
    rows = [
        {
            "head": heads[found.left[k]],
            "other": heads[found.right[k]],
            "mean": float(found.mean[k]),
            "wasserstein": float(found.wasserstein[k]),
            "random pairing": float(found.random_pairing[k]),
            "p": float(found.p_value[k]),
            "q": float(found.q_value[k]),
        }
        for k in range(len(found.left))
    ]
    if json:
        print_json(rows)
        return
    print_table(
        "Large mean distance, small earth-mover distance",
        ["head", "other", "mean", "wasserstein", "random pairing", "p", "q"],
        [list(row.values()) for row in rows],
    )
