"""How good the metrics and the verdicts are: the evaluation's headline, the reliability curve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas.stored_evaluation import read_evaluation
from attention_motifs.atlas.verdicts import head_labels, model_verdicts
from attention_motifs.errors import AtlasError
from attention_motifs.evaluation.calibration import reliability
from attention_motifs.evaluation.class_probabilities import UNKNOWN
from attention_motifs.figures.arguments import check_atlas
from attention_motifs.figures.palette import GREY, LIGHT_GREY, MARKERS, PALETTE
from attention_motifs.figures.style import (
    COLUMN_WIDTH,
    PAGE_WIDTH,
    SMALL,
    fitted,
    legend_below,
    legend_height,
    new_figure,
    styled,
    text_width,
)

if TYPE_CHECKING:
    import polars as pl
    from jaxtyping import Bool, Float
    from matplotlib.figure import Figure

    from attention_motifs.atlas import Atlas

_Z = 1.96
"""Quantile of the normal distribution for intervals of 95 %."""


def headline_table(atlas: Atlas) -> pl.DataFrame:
    """Return the headline of the stored evaluation in long form.

    Returns:
        Columns `line` (a metric, the null or a ceiling), `is_metric`, `labels` (kind of labels),
        `measure` (`S5` or `MAP`), `value`, `low`, `high` (95 % interval; null without).

    Raises:
        AtlasError: if the atlas holds no evaluation with labels.
    """
    import polars as pl

    check_atlas(atlas)
    rows = []
    for line in read_evaluation(atlas).headline:
        for labels, cell in line.cells.items():
            for measure, value, interval in (
                ("S5", cell.s5, cell.s5_interval),
                ("MAP", cell.map, cell.map_interval),
            ):
                low, high = interval or (None, None)
                rows.append((line.name, line.is_metric, labels, measure, value, low, high))
    if not rows:
        raise AtlasError(
            f"{atlas.place} holds an evaluation without labels. Run "
            f"{atlas.paths.command('score')}, then {atlas.paths.command('evaluate')}"
        )
    numbers = dict.fromkeys(("value", "low", "high"), pl.Float64)
    return pl.DataFrame(
        rows,
        schema={
            "line": pl.String, "is_metric": pl.Boolean, "labels": pl.String, "measure": pl.String,
            **numbers,
        },
        orient="row",
    )  # fmt: skip


@styled
def evaluation_headline(atlas: Atlas, measure: str = "S5", width: float = PAGE_WIDTH) -> Figure:
    """Draw how well each metric finds heads of the same behaviour, with intervals and ceilings.

    A panel per kind of labels; grey lines are the null (dotted) and the ceilings.

    Args:
        atlas: an atlas with an evaluation.
        measure: `S5` (mean score of the five nearest heads) or `MAP`.
        width: width in inches.

    Raises:
        AtlasError: as `headline_table`.
    """
    import polars as pl
    from matplotlib.lines import Line2D

    table = headline_table(atlas).filter(pl.col("measure") == measure)
    metrics = table.filter(pl.col("is_metric"))["line"].unique(maintain_order=True).to_list()
    lines = table.filter(~pl.col("is_metric"))["line"].unique(maintain_order=True).to_list()
    kinds = table.filter(pl.col("value").is_not_null())["labels"].unique(maintain_order=True)
    styles = dict(zip(lines, (":", "--", "-"), strict=False))
    widest = max(text_width(name, SMALL) for name in metrics) / 72
    columns = min(len(kinds), max(1, int((width - widest) / 1.05)))
    rows = -(-len(kinds) // columns)
    height = rows * (0.17 * len(metrics) + 0.62) + legend_height(lines, width)
    figure = new_figure(width, height, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes in grid.ravel()[len(kinds) :]:
        axes.remove()
    for k, kind in enumerate(kinds):
        axes = grid[k // columns][k % columns]
        of_kind = {r["line"]: r for r in table.filter(pl.col("labels") == kind).to_dicts()}
        for y, metric in enumerate(metrics):
            row = of_kind.get(metric)
            if row is None or row["value"] is None:
                continue
            if row["low"] is not None:
                axes.plot([row["low"], row["high"]], [y, y], color=PALETTE[0], linewidth=1.1)
            axes.plot(row["value"], y, MARKERS[0], color=PALETTE[0], markersize=3.5)
        for name in lines:
            row = of_kind.get(name)
            if row is not None and row["value"] is not None:
                axes.axvline(row["value"], color=GREY, linewidth=0.8, linestyle=styles[name])
        axes.set(xlim=(0, 1), ylim=(len(metrics) - 0.5, -0.5), xticks=[0, 0.5, 1])
        axes.set_xticklabels(["0", ".5", "1"])
        axes.set_yticks(range(len(metrics)), metrics)
        axes.set_title(fitted(kind, 72 * 1.0, SMALL), fontsize=SMALL, pad=3)
        if k + columns >= len(kinds):
            axes.set_xlabel(measure)
    handles = [Line2D([], [], color=GREY, linewidth=0.8, linestyle=styles[n]) for n in lines]
    if lines:
        legend_below(figure, handles, lines)
    return figure


def reliability_table(atlas: Atlas, metric: str | None = None) -> pl.DataFrame:
    """Return the reliability curve of the verdicts on labelled heads, model by model.

    The verdicts on a model are learnt from the labelled heads of the other models alone.

    Args:
        atlas: an atlas of two models or more, with motif shares and classes.
        metric: whose nearest labelled heads vote (default: the best one that the atlas stores).

    Returns:
        Columns `model` (`all` for all together), `predicted` (mean probability of a bin),
        `observed` (share of its heads that are in the class), `n`, `low`, `high` (95 % Wilson
        interval of `observed`).

    Raises:
        AtlasError: if no class can be learnt, since there are too few labelled heads or models.
    """
    import polars as pl

    check_atlas(atlas)
    labels = head_labels(atlas)
    parts: list[tuple[str, Float[np.ndarray, " n"], Bool[np.ndarray, " n"]]] = []
    for model in atlas.models:
        judged = model_verdicts(atlas, model, metric or atlas.best_metric, labels)
        if judged.names == (UNKNOWN,):
            continue
        kept = labels.labelled[judged.rows]
        columns = [labels.names.index(name) for name in judged.names[:-1]]
        members = labels.members[np.ix_(judged.rows[kept], columns)]
        parts.append((model, judged.probabilities[kept, :-1].ravel(), members.ravel()))
    if not parts:
        raise AtlasError(
            f"{atlas.place} has no verdict to judge: a class needs labelled heads in another "
            f"model. Run {atlas.paths.command('score')}, or add a model."
        )
    if len(parts) > 1:
        together = [np.concatenate([part[i] for part in parts]) for i in (1, 2)]
        parts.append(("all", together[0], together[1]))
    rows = [
        (model, each.predicted, each.observed, each.n, *_wilson(each.observed, each.n))
        for model, p, y in parts
        for each in reliability(p, y)
    ]
    names = ("model", "predicted", "observed", "n", "low", "high")
    return pl.DataFrame(rows, schema=list(names), orient="row")


def _wilson(share: float, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of n (Wilson 1927)."""
    centre = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


@styled
def reliability_curve(
    atlas: Atlas, metric: str | None = None, width: float = COLUMN_WIDTH
) -> Figure:
    """Draw how often verdicts of a probability are right, with 95 % intervals.

    Args:
        atlas: an atlas of two models or more, with motif shares and classes.
        metric: whose nearest labelled heads vote (default: the best one that the atlas stores).
        width: width in inches.

    Raises:
        AtlasError: as `reliability_table`.
    """
    import polars as pl

    table = reliability_table(atlas, metric)
    models = table["model"].unique(maintain_order=True).to_list()
    side = min(width, COLUMN_WIDTH)
    figure = new_figure(width, 0.78 * side + legend_height(models, width), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=LIGHT_GREY, linewidth=0.8)
    handles: list[Any] = []
    for k, model in enumerate(models):
        of_model = table.filter(pl.col("model") == model)
        x, y, low, high = (of_model[c].to_numpy() for c in ("predicted", "observed", "low", "high"))
        colour = "black" if model == "all" else PALETTE[k % len(PALETTE)]
        handles.append(
            axes.errorbar(
                x, y, yerr=[np.maximum(y - low, 0), np.maximum(high - y, 0)], color=colour,
                marker=MARKERS[k % len(MARKERS)], markersize=3, linewidth=0.9, elinewidth=0.6,
            )
        )  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xticks=[0, 0.25, 0.5, 0.75, 1],
             xlabel="probability of the class", ylabel="share that is in it")  # fmt: skip
    legend_below(figure, handles, models)
    return figure
