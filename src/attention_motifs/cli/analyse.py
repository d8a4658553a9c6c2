"""Commands that score, project, cluster and evaluate heads."""

from __future__ import annotations

from typing import Annotated

import typer

from attention_motifs.atlas import Atlas
from attention_motifs.cli import options as o
from attention_motifs.cli.application import app
from attention_motifs.cli.console import print_json, print_line, print_table, report
from attention_motifs.cli.evaluation_table import print_evaluation
from attention_motifs.cli.executor_options import takes_executor
from attention_motifs.executors import Executor


@app.command()
@takes_executor
def score(
    atlas: o.AtlasOption = None,
    model: o.ModelFilterOption = None,
    device: o.DeviceOption = "auto",
    seed: Annotated[int, o.seed_option("the random test tokens")] = 0,
    force: o.ForceOption = False,
    top: Annotated[int, o.count_option("-n", "Number of heads to print per behaviour.")] = 3,
    *,
    executor: Executor,
) -> None:
    """Score every head on repeated random tokens: induction, previous token, sink and others.

    Examples:
      motifs score --atlas demo-atlas
      motifs score --model gemma-3-270m -n 10
      motifs score --executor ray --ray-address auto --ray-worker gpus=1
    """
    from attention_motifs.behaviour import BEHAVIOURS
    from attention_motifs.stages.score import SPREAD
    from attention_motifs.stages.score import score as run_score

    folder = o.find_atlas(atlas)
    opened = Atlas.open(folder)
    run_score(
        opened,
        seed=seed,
        device=device,
        models=model,
        force=force,
        executor=executor,
        report=report,
    )
    for name, meaning in BEHAVIOURS.items():
        best = opened.heads.sort(name, descending=True, nulls_last=True).head(top)
        print_table(
            f"{name}: {meaning}",
            ["head", "score", "spread"],
            [list(row) for row in best.select("head", name, name + SPREAD).iter_rows()],
        )


@app.command()
def shares(
    atlas: o.AtlasOption = None,
    model: o.ModelFilterOption = None,
    device: o.DeviceOption = "auto",
) -> None:
    """Compute the share of each motif in the patterns of every head, where it is missing.

    Building an atlas computes them; this is for atlases that an earlier version built.

    Examples:
      motifs shares --atlas demo-atlas
    """
    from attention_motifs.stages.shares import shares as run_shares

    folder = o.find_atlas(atlas)
    run_shares(Atlas.open(folder), models=model, device=device, report=report)
    print_line(f"{folder}: has the motif shares of its heads")


@app.command()
def project(
    atlas: o.AtlasOption = None,
    metric: o.MetricOption = "mean",
    method: Annotated[
        list[str] | None,
        o.value_option(
            "--method",
            "METHOD",
            "Projection: isomap, umap, tsne or pca; repeatable.",
            unset="all that are installed",
        ),
    ] = None,
    neighbors: Annotated[
        list[int] | None,
        o.count_option(
            "--neighbors",
            "Number of neighbours per head; repeatable.",
            least=2,
            unset="2, 4, 8, 16, 32, 64",
        ),
    ] = None,
    dimension: Annotated[
        list[int] | None,
        o.value_option(
            "--dimension",
            "N",
            "Number of dimensions, 2 or 3; repeatable.",
            unset="both",
            min=2,
            max=3,
        ),
    ] = None,
    seed: Annotated[int, o.seed_option("the layouts")] = 0,
    force: o.ForceOption = False,
) -> None:
    """Project the heads to two and three dimensions, and measure the quality of each projection.

    It replaces the projections by the same metric; those by other metrics stay.

    Examples:
      motifs project --method isomap --neighbors 16
      motifs project --method pca --method tsne --dimension 2 --metric cosine
    """
    from attention_motifs.stages.project import project as run_project

    folder = o.find_atlas(atlas)
    opened = Atlas.open(folder)
    run_project(
        opened,
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
    rows = opened.projections.filter(opened.projections["metric"] == metric)
    table = rows.select(*keys, *quality).unique(maintain_order=True)
    print_table(
        f"Projections in {opened.file('projections')} (1 is best for trustworthiness, continuity)",
        [*keys, *quality],
        [list(row) for row in table.iter_rows()],
    )


_ReferenceOption = Annotated[
    str | None,
    o.value_option(
        "--reference",
        "METRIC",
        "Metric that the others are compared with.",
        unset="recommended, if it is evaluated",
    ),
]
_TextsOption = Annotated[
    str | None,
    o.value_option(
        "--texts",
        "FILE",
        "Texts that labels are drawn from; prompts of the atlas are left out.",
        unset="the built-in texts",
    ),
]
_RunModelsOption = Annotated[
    bool,
    typer.Option(
        "--run-models/--no-run-models", help="Run the models for labels not yet in the atlas."
    ),
]


_MaxHeadsOption = Annotated[
    int,
    o.count_option(
        "--max-heads",
        "Of a larger atlas, draw models at random up to this many heads, at least one model.",
    ),
]


@app.command()
@takes_executor
def evaluate(
    atlas: o.AtlasOption = None,
    metric: o.MetricsOption = None,
    reference: _ReferenceOption = None,
    texts: _TextsOption = None,
    run_models: _RunModelsOption = True,
    where: o.WhereOption = None,
    permutations: Annotated[
        int,
        o.count_option("--permutations", "Number of permutations to compare each result with."),
    ] = 1000,
    bootstraps: Annotated[
        int,
        typer.Option(
            "--bootstraps", metavar="N", min=0, help="Number of resamples for intervals; 0: none."
        ),
    ] = 200,
    max_heads: _MaxHeadsOption = 2000,
    seed: Annotated[int, o.seed_option("drawn models, labels, permutations and resamples")] = 0,
    device: o.DeviceOption = "auto",
    graded: Annotated[
        str | None,
        o.value_option(
            "--graded",
            "packaged|FILE",
            "Compare with published scores of every head instead: those of the package, or a "
            ".npz file with a .json file next to it.",
        ),
    ] = None,
    json: o.JsonOption = False,
    *,
    executor: Executor,
) -> None:
    """Measure which metric brings heads that do the same near one another.

    Labels are scores of the heads on input that no metric has seen. The models are run for them
    once, which takes seconds to minutes.

    Examples:
      motifs evaluate
      motifs evaluate --metric mean --metric cosine --bootstraps 0
      motifs evaluate --json > evaluation.json
      motifs evaluate --executor ray --ray-address auto --ray-worker gpus=1
      motifs evaluate --graded packaged
      motifs evaluate --metric mean --where genre=fiction --json
    """
    from attention_motifs.atlas.prompt_labels import parsed_where
    from attention_motifs.cli.graded import print_graded
    from attention_motifs.prompts import load_prompts
    from attention_motifs.stages.evaluate import evaluate as run_evaluate
    from attention_motifs.stages.graded import graded as compare_with_published

    folder = o.find_atlas(atlas)
    if graded is not None:
        rows = compare_with_published(Atlas.open(folder), graded, metrics=metric, report=report)
        print_graded(rows, json=json)
        return
    opened = Atlas.open(folder)
    result = run_evaluate(
        opened,
        metrics=metric,
        reference=reference,
        run_models=run_models,
        texts=None if texts is None else load_prompts(texts),
        where=parsed_where(where) or None,
        seed=seed,
        n_permutations=permutations,
        n_bootstraps=bootstraps,
        max_heads=max_heads,
        device=device,
        executor=executor,
        report=report,
    )
    if json:
        print_json(result.to_json())
        return
    print_evaluation(result)
    if not where:
        print_line(f"All {len(result.rows)} rows: {opened.file('evaluation')}.")


@app.command()
def complementary(
    atlas: o.AtlasOption = None,
    n: Annotated[int, o.count_option("-n", "Number of pairs to list.")] = 20,
    candidates: Annotated[int, o.count_option("--candidates", "Number of pairs to test.")] = 1000,
    permutations: Annotated[
        int,
        o.count_option(
            "--permutations",
            "Number of random pairings per pair of heads; 20 times as many for the few pairs with "
            "the smallest p.",
        ),
    ] = 9999,
    seed: Annotated[int, o.seed_option("the random pairings")] = 0,
    json: o.JsonOption = False,
) -> None:
    """List pairs of heads with the same patterns on different prompts (paper, section 4.1).

    Their mean distance (Eq. 3) is large and their Wasserstein distance is small.

    Examples:
      motifs complementary -n 10
    """
    from attention_motifs.distances import complementary as find

    opened = Atlas.open(o.find_atlas(atlas))
    clouds = opened.embedded()
    with report("complementary pairs", 1):
        pairs = find(clouds, n=n, candidates=candidates, permutations=permutations, seed=seed)
    heads = opened.heads["head"].to_list()
    rows = [
        {
            "head": heads[pairs.left[k]],
            "other": heads[pairs.right[k]],
            "mean": float(pairs.mean[k]),
            "wasserstein": float(pairs.wasserstein[k]),
            "random pairing": float(pairs.random_pairing[k]),
            "p": float(pairs.p_value[k]),
            "p floor": float(pairs.p_floor[k]),
            "q": float(pairs.q_value[k]),
        }
        for k in range(len(pairs.left))
    ]
    if json:
        print_json(rows)
        return
    print_table(
        "Large mean distance, small Wasserstein distance",
        ["head", "other", "mean", "wasserstein", "random pairing", "p", "p floor", "q"],
        [list(row.values()) for row in rows],
    )
    print_line(
        f"p floor: smallest p that the random pairings can give. q corrects for the "
        f"{pairs.n_tested} candidates that were tested."
    )
