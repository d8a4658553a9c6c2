"""`motifs ablate`: remove heads from a model and measure the effect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attention_motifs.atlas import Atlas
from attention_motifs.cli import options as o
from attention_motifs.cli.application import app
from attention_motifs.cli.console import print_json, print_line, print_table, report
from attention_motifs.cli.executor_options import takes_executor
from attention_motifs.executors import Executor

if TYPE_CHECKING:
    import polars as pl

    from attention_motifs.stages.ablation.settings import Settings
    from attention_motifs.stages.ablation.targets import Target


HeadsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[HEAD]...",
        help="Heads to ablate together.",
        autocompletion=o.complete_head,
        show_default=False,
    ),
]
SweepOption = Annotated[
    str | None, o.value_option("--sweep", "MODEL", "Model whose heads to ablate one by one.")
]
NearOption = Annotated[
    str | None,
    o.value_option(
        "--near",
        "HEAD",
        "Head whose nearest heads to ablate (see -n, --metric). With --sweep: head whose "
        "nearest heads to compare, by every metric.",
        autocompletion=o.complete_head,
    ),
]
ClassOption = Annotated[
    str | None,
    o.value_option(
        "--class", "CLASS", "Class whose heads to ablate, such as 'induction (computed)'."
    ),
]
ClusterOption = Annotated[
    str | None,
    o.value_option(
        "--cluster", "METHOD:NUMBER", "Cluster whose heads to ablate, such as average:3."
    ),
]
ModelOption = Annotated[
    str | None,
    o.value_option(
        "--model",
        "MODEL",
        "Model of the heads, for --class and --cluster; NAME=PATH if a local one has moved.",
        unset="the only model",
    ),
]
ReplacementOption = Annotated[
    list[str] | None,
    o.value_option(
        "--replacement",
        "NAME",
        "Replacement of the head's output: mean, mean-position, resample, zero, "
        "pattern-preserving, or all; repeatable.",
        unset="mean",
    ),
]
EarlierNameOption = Annotated[list[str] | None, typer.Option("--method", hidden=True)]
"""The earlier name of `--replacement`; in other commands it means the algorithm."""
DesignOption = Annotated[
    list[str] | None,
    o.value_option(
        "--design",
        "DESIGN",
        "Test sequences: prompts, repeated (random tokens twice) or long; repeatable.",
        unset="prompts, repeated",
    ),
]


@dataclass(frozen=True)
class Query:
    """Heads to ablate, as the user named them."""

    heads: tuple[str, ...]
    sweep: str | None
    near: str | None
    class_name: str | None
    cluster: str | None
    n: int
    metric: str
    model: str


@app.command()
@takes_executor
def ablate(
    heads: HeadsArgument = None,
    atlas: o.AtlasOption = None,
    sweep: SweepOption = None,
    near: NearOption = None,
    class_name: ClassOption = None,
    cluster: ClusterOption = None,
    n: Annotated[int, o.count_option("-n", "Number of nearest heads, for --near.")] = 5,
    metric: o.MetricOption = "mean",
    model: ModelOption = None,
    replacement: ReplacementOption = None,
    method: EarlierNameOption = None,
    design: DesignOption = None,
    sequences: Annotated[int, o.count_option("--sequences", "Test sequences per design.")] = 12,
    controls: Annotated[
        int,
        o.count_option(
            "--controls",
            "Random head sets of the same layers to compare with; 0 for none.",
            least=0,
        ),
    ] = 99,
    seed: Annotated[int, o.seed_option("test sequences and random head sets")] = 0,
    device: o.DeviceOption = "auto",
    json: o.JsonOption = False,
    *,
    executor: Executor,
) -> None:
    """Ablate heads and measure the effect, compared with random heads of the same layers.

    Examples:
      motifs ablate smollm2-135m-instruct:L18:H6
      motifs ablate --near smollm2-135m-instruct:L18:H6 -n 5 --metric cosine
      motifs ablate --class 'induction (computed)' --model gemma-3-270m --replacement zero
      motifs ablate --cluster average:3 --model gemma-3-270m --controls 49
      motifs ablate gemma-3-270m:L5:H1 --replacement all
      motifs ablate --sweep gemma-3-270m --sequences 8
      motifs ablate --sweep gemma-3-270m --executor ray --ray-worker gpus=1
    """
    from attention_motifs.stages.ablation.settings import Settings

    name, equals, _ = (model or "").partition("=")
    query = Query(tuple(heads or ()), sweep, near, class_name, cluster, n, metric, name)
    settings = Settings(
        methods=tuple([*(replacement or ()), *(method or ())] or ("mean",)),
        designs=tuple(design or ("prompts", "repeated")),
        n_sequences=sequences,
        n_controls=controls,
        seed=seed,
        device=device,
    )
    opened = Atlas.open(o.find_atlas(atlas))
    rows = _run(opened, query, settings, model if equals else None, executor)
    if json:
        print_json(rows.to_dicts())
        return
    _show(rows, opened.ablations)
    print_line(f"Written to {opened.file('ablations')}.")


def _run(
    opened: Atlas,
    query: Query,
    settings: Settings,
    local: str | None,
    executor: Executor,
) -> pl.DataFrame:
    """Return the rows of the table that a sweep or an ablation gives."""
    from attention_motifs.errors import InputError
    from attention_motifs.stages.ablation import ablate as stage

    selections = [query.heads, query.sweep, query.class_name, query.cluster]
    if not query.sweep:
        selections.append(query.near)
    if sum(map(bool, selections)) != 1:
        raise InputError(
            "no heads are selected, or in several ways: name heads, or give one of --sweep, "
            "--near, --class, --cluster"
        )
    if query.sweep:
        return stage.sweep(
            opened,
            query.sweep,
            settings,
            anchors=(query.near,) if query.near else (),
            n_nearest=query.n,
            requested=local,
            executor=executor,
            report=report,
        )
    target = _target(opened, query)
    return stage.ablate(opened, target, settings, model=local, executor=executor, report=report)


def _target(opened: Atlas, query: Query) -> Target:
    """Return the heads to ablate together."""
    from attention_motifs.errors import InputError
    from attention_motifs.stages.ablation import targets as targets

    if query.heads:
        return targets.named_heads(opened, query.heads)
    if query.near:
        return targets.near_heads(opened, query.near, query.n, query.metric)
    if not query.model and len(opened.models) > 1:
        raise InputError(
            "--model is missing: the atlas has several models; name one of "
            f"{', '.join(opened.models)}"
        )
    chosen = query.model or opened.models[0]
    if query.class_name:
        return targets.class_heads(opened, query.class_name, chosen)
    return targets.cluster_heads(opened, str(query.cluster), chosen)


_TITLES = {
    "set": "Heads ablated together, compared with random sets of the same layers",
    "group": "Heads ablated one by one, mean, compared with the heads of the same layers",
    "distance": "Rank correlation of distance and effect, compared with permutations within layers",
    "head": "Heads by effect on the loss, largest first",
}
_N_HEADS = 10
_REPLACED = "replaced by"
_SAME = ["kind", "model", "name", "metric", "measure", "design"]
"""Columns that are equal in two rows about the same effect by two methods."""


def _show(rows: pl.DataFrame, table: pl.DataFrame) -> None:
    """Print the effects of a run, each by every method that the table holds.

    Args:
        rows: of the run.
        table: of the atlas.
    """
    import polars as pl

    for kind, title in _TITLES.items():
        some = rows.filter(pl.col("kind") == kind)
        if kind == "head":
            some = some.filter(pl.col("measure") == "loss")
            some = some.sort("effect", descending=True).head(_N_HEADS)
        if some.is_empty():
            continue
        asked = some.select(_SAME).unique(maintain_order=True).with_row_index("place")
        by_method = table.join(asked, on=_SAME, nulls_equal=True).sort("place", "method")
        columns, cells = _cells(kind, by_method)
        references = by_method["reference"].unique().to_list()
        if len(references) == 1 and references[0]:
            place = columns.index(_REPLACED)
            columns = columns[:place] + columns[place + 1 :]
            cells = [row[:place] + row[place + 1 :] for row in cells]
            title = f"{title}; outputs replaced by: {references[0]}"
        print_table(title, columns, cells)
    families = rows.drop_nulls("p").select("family", "n_tested").unique(maintain_order=True)
    if len(families):
        listed = "; ".join(f"{family} ({n})" for family, n in families.iter_rows())
        print_line(
            "q is Benjamini and Hochberg's over all tests of one kind of question in the file, and "
            f"changes when more are tested. Families and their tests: {listed}."
        )


def _cells(kind: str, rows: pl.DataFrame) -> tuple[list[str], list[list[Any]]]:
    """Return the columns and cells of a printed table."""
    with_metric = kind == "distance"
    columns = ["name", "measure", "design", _REPLACED, "effect", "95 %"]
    if with_metric:
        columns[1:1] = ["metric"]
        columns += ["by layers alone", "p", "q"]
    else:
        columns += ["non-members", "controls", "p", "q"]
    cells: list[list[Any]] = []
    for row in rows.iter_rows(named=True):
        low, high = row["ci_low"], row["ci_high"]
        interval = "" if low is None or high is None else f"{low:.3g} to {high:.3g}"
        cells.append(
            [
                row["name"],
                *([row["metric"]] if with_metric else []),
                *(row["measure"], row["design"], row["reference"] or row["method"]),
                *(row["effect"], interval),
                *([] if with_metric else [row["others_effect"]]),
                *(row["control_effect"], row["p"], row["q"]),
            ]
        )
    return columns, cells
