"""Heads through training: scores of the classes at every version of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas.training_track import runs_of, track
from attention_motifs.errors import AtlasError
from attention_motifs.figures.arguments import check_atlas
from attention_motifs.figures.palette import GREY, LINES, PALETTE
from attention_motifs.figures.style import (
    PAGE_WIDTH,
    SMALL,
    fitted,
    legend_below,
    legend_height,
    new_figure,
    styled,
)
from attention_motifs.head import HeadId

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from attention_motifs.atlas import Atlas

_LEAST_PANEL = 1.55
"""Width in inches of the smallest panel."""


def training_table(atlas: Atlas) -> pl.DataFrame:
    """Return the scores of every head at every version in long form.

    Returns:
        Columns `run`, `step`, `head`, `layer`, `index`, `class`, `score` (0 to 1), `spread`
        (standard deviation over sequences), `threshold` (smallest score of the class).

    Raises:
        AtlasError: if the atlas holds no run of two versions, or their heads have no scores.
    """
    import polars as pl

    check_atlas(atlas)
    if not runs_of(atlas.models):
        raise AtlasError(
            f"{atlas.place} holds no model at two steps of its training. Run `motifs track RUN "
            "--atlas NEW` on a folder of checkpoints."
        )
    followed = track(atlas)
    if not followed.appearances:
        raise AtlasError(
            f"{atlas.place}: the heads have no scores. Run {atlas.paths.command('score')}."
        )
    thresholds = {row.name: row.threshold for row in followed.appearances}
    runs = {run.name: run for run in followed.runs}
    rows = []
    for path in followed.paths:
        run = runs[path.run]
        for k, (step, model) in enumerate(zip(run.steps, run.models, strict=True)):
            head = HeadId.parse(f"{model}:{path.head}")
            rows += [
                (run.name, step, str(head), head.layer, head.index, name, scores[k],
                 path.spreads[name][k], thresholds[name])
                for name, scores in path.scores.items()
            ]  # fmt: skip
    return pl.DataFrame(
        rows,
        schema=["run", "step", "head", "layer", "index", "class", "score", "spread", "threshold"],
        orient="row",
    )


@styled
def heads_through_training(atlas: Atlas, width: float = PAGE_WIDTH) -> Figure:
    """Draw the scores of all heads by step of training, a panel per class and a colour per run.

    A line is a head; the line of the largest score of each run is thick. The dashed line is the
    smallest score of the class. Classes that no head reaches at any version are left out.

    Args:
        atlas: an atlas with scored versions of a model, as `motifs track` makes it.
        width: width in inches.

    Raises:
        AtlasError: as `training_table`.
    """
    import polars as pl
    from matplotlib.lines import Line2D

    table = training_table(atlas)
    best = table.group_by("class", maintain_order=True).agg(
        pl.col("score").max(), pl.col("threshold").first()
    )
    reached = best.filter(pl.col("score") >= pl.col("threshold"))
    classes = (reached if len(reached) else best)["class"].to_list()
    runs = table["run"].unique(maintain_order=True).to_list()
    styles = {run: (PALETTE[k % len(PALETTE)], LINES[k % len(LINES)]) for k, run in enumerate(runs)}
    rows = -(-len(classes) // max(1, int(width / _LEAST_PANEL)))
    columns = -(-len(classes) // rows)
    names = [fitted(run, 72 * width / 2, SMALL) for run in runs]
    figure = new_figure(
        width, 1.45 * rows + 0.25 + legend_height(names, width), layout="constrained"
    )
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes in grid.ravel()[len(classes) :]:
        axes.remove()
    for k, name in enumerate(classes):
        axes = grid[k // columns][k % columns]
        _draw_class(axes, table.filter(pl.col("class") == name), styles)
        axes.set_title(name, fontsize=SMALL, pad=3)
        if k + columns >= len(classes):
            axes.set_xlabel("step")
            axes.tick_params(labelbottom=True)
        if k % columns == 0:
            axes.set_ylabel("score")
    _scale_steps(grid[0][0], table["step"].unique().sort().to_list())
    handles = [
        Line2D([], [], color=colour, linestyle=line, linewidth=1.4)
        for colour, line in styles.values()
    ]
    legend_below(figure, handles, names)
    return figure


def _draw_class(axes: Axes, table: pl.DataFrame, styles: dict[str, tuple[str, Any]]) -> None:
    """Draw the scores of one class: a line per head, and the largest of each run."""
    import polars as pl

    for run, (colour, line) in styles.items():
        of_run = table.filter(pl.col("run") == run)
        for of_head in of_run.partition_by("layer", "index", maintain_order=True):
            axes.plot(of_head["step"], of_head["score"], color=colour, linewidth=0.5, alpha=0.45)
        largest = of_run.group_by("step").agg(pl.col("score").max()).sort("step")
        axes.plot(largest["step"], largest["score"], color=colour, linestyle=line, linewidth=1.4)
    axes.axhline(table["threshold"][0], color=GREY, linewidth=0.7, linestyle=(0, (3, 2)))
    axes.set(ylim=(0, 1), yticks=[0, 0.5, 1])
    axes.set_yticklabels(["0", ".5", "1"])


def _scale_steps(axes: Axes, steps: list[int]) -> None:
    """Scale the steps by their logarithm where half of them are in the first tenth of training."""
    from matplotlib.ticker import FixedLocator, NullLocator

    positive = [step for step in steps if step > 0]
    if positive and 10 * positive[len(positive) // 2] <= positive[-1]:
        first = float(positive[0])
        axes.set_xscale("symlog", linthresh=first, linscale=0.4)
        powers = 10.0 ** np.arange(np.ceil(np.log10(first)), np.floor(np.log10(positive[-1])) + 1)
        ticks = ([0] if steps[0] == 0 else []) + [int(p) for p in powers]
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlim(steps[0], steps[-1])
