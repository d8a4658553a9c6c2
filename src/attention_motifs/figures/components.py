"""Principal components and the features behind them (the paper's figures 10 and 12)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.figures.clouds import MAX_POINTS
from attention_motifs.figures.style import (
    PAGE_WIDTH,
    SMALL,
    colours,
    legend_below,
    legend_height,
    styled,
)

if TYPE_CHECKING:
    import polars as pl
    from jaxtyping import Float
    from matplotlib.figure import Figure

    from attention_motifs.atlas import Atlas

_LABEL = 5.0
"""Point size of 80 names next to the correlations on a full page; more names are smaller."""

PAIRED = 6
"""Number of components paired in figure 12."""


def importance_table(atlas: Atlas) -> pl.DataFrame:
    """Return the importance of every feature: its share of the variance of the kept components.

    Returns:
        Columns `feature`, `importance` (0 to 1; all sum to the kept components' share) and one
        column per component, in the order of the features.

    Raises:
        AtlasError: if the atlas has no embedding.
    """
    import polars as pl

    embedding = atlas.embedding()
    table = embedding.importance()
    return pl.DataFrame(
        {
            "feature": list(embedding.feature_names),
            "importance": table.sum(axis=0),
            **{f"pc{i}": row for i, row in enumerate(table)},
        }
    )


def feature_correlation(
    atlas: Atlas,
) -> tuple[list[str], Float[np.ndarray, "features features"]]:
    """Return the correlation of all features over all patterns.

    Returns:
        Names of the features that vary, and their correlations.

    Raises:
        AtlasError: if a part of the features is missing or damaged.
    """
    from attention_motifs.embedding.moments import FeatureMoments

    embedding = atlas.embedding()
    names = list(embedding.feature_names)
    moments = FeatureMoments(len(names))
    for model in atlas.models:
        for part in atlas.feature_parts(model, names):
            moments.update(part.select(names).to_numpy())
    covariance = moments.covariance()[np.ix_(embedding.kept, embedding.kept)]
    deviation = np.sqrt(np.diag(covariance))
    return [names[i] for i in embedding.kept], covariance / np.outer(deviation, deviation)


def correlation_table(atlas: Atlas) -> pl.DataFrame:
    """Return `feature_correlation` as a table: column `feature`, then one per feature."""
    import polars as pl

    names, matrix = feature_correlation(atlas)
    return pl.DataFrame({"feature": names}).hstack(pl.DataFrame(matrix, schema=names, orient="row"))


@styled
def feature_importance(atlas: Atlas) -> Figure:
    """Draw importance (top) and correlation (below) of all features (paper, figure 10).

    Raises:
        AtlasError: as `feature_correlation`.
    """
    from matplotlib.figure import Figure

    names, matrix = feature_correlation(atlas)
    embedding = atlas.embedding()
    shares = embedding.importance()[:, embedding.kept]
    n = len(names)
    figure = Figure(figsize=(PAGE_WIDTH, PAGE_WIDTH * 1.2), layout="constrained")
    top, bottom = figure.subplots(2, 1, height_ratios=(0.2, 1.0))
    base = np.zeros(n)
    strongest = min(3, len(shares))
    for i, colour in zip(range(strongest), colours(strongest), strict=True):
        top.bar(np.arange(n), shares[i], bottom=base, width=0.9, color=colour, label=f"pc{i}")
        base += shares[i]
    top.bar(
        np.arange(n), shares[strongest:].sum(axis=0), bottom=base, width=0.9,
        color="#c4c4c4", label="other components kept",
    )  # fmt: skip
    top.set(xlim=(-0.5, n - 0.5), xticks=[], ylabel="share of variance")
    top.legend(ncols=4, fontsize=SMALL, loc="lower left", bbox_to_anchor=(0, 1.0))
    picture = bottom.imshow(
        matrix, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto", interpolation="none"
    )
    # Full names are at the left only, and groups of names below, so that both can be read in print.
    bottom.set_yticks(np.arange(n), names, fontsize=min(SMALL, _LABEL * 80 / max(n, 1)))
    starts = [i for i in range(n) if i == 0 or _group(names[i]) != _group(names[i - 1])]
    ends = [*starts[1:], n]
    middles = [(start + end - 1) / 2 for start, end in zip(starts, ends, strict=True)]
    bottom.set_xticks(middles, [_group(names[i]) for i in starts], rotation=30, ha="right")
    bottom.tick_params(length=0)
    for draw in (bottom.axhline, bottom.axvline):
        for start in starts[1:]:
            draw(start - 0.5, color="black", linewidth=0.4)
    for start in starts[1:]:
        top.axvline(start - 0.5, color="black", linewidth=0.4)
    bar = figure.colorbar(picture, ax=bottom, location="bottom", shrink=0.5, aspect=40)
    bar.set_label("correlation", fontsize=SMALL)
    return figure


def _group(name: str) -> str:
    """Return the object of a feature's statistic: `gram.row` of `gram.row.hist.mean`."""
    before, hist, _ = name.partition(".hist")
    return before if hist else name.partition(".")[0]


def component_points(atlas: Atlas, max_points: int = MAX_POINTS, seed: int = 0) -> pl.DataFrame:
    """Return patterns in the first six components: a random sample of at most `max_points`.

    Returns:
        Columns `head`, `model`, `prompt_id`, `pc0` ... `pc5`.

    Raises:
        AtlasError: if the stage `embed` has not run, or a file is damaged.
    """
    import polars as pl

    clouds = atlas.embedded()[:, :, :PAIRED]
    n_prompts, n_heads = clouds.shape[:2]
    total = n_prompts * n_heads
    taken = np.sort(np.random.default_rng(seed).permutation(total)[:max_points])
    prompt, head = np.divmod(taken, n_heads)
    return pl.DataFrame(
        {
            "head": atlas.heads["head"].to_numpy()[head],
            "model": atlas.heads["model"].to_numpy()[head],
            "prompt_id": atlas.prompts["prompt_id"].to_numpy()[prompt],
            **{f"pc{i}": column for i, column in enumerate(clouds[prompt, head].T)},
        }
    )


@styled
def component_pairs(atlas: Atlas, max_points: int = 20_000, seed: int = 0) -> Figure:
    """Draw pairs of the first six components, coloured by model (paper, figure 12).

    The diagonal shows the distribution of each model along the component.

    Raises:
        AtlasError: as `component_points`.
    """
    from matplotlib.figure import Figure

    points = component_points(atlas, max_points, seed)
    axes_of = [c for c in points.columns if c.startswith("pc")]
    hues = dict(zip(atlas.models, colours(len(atlas.models)), strict=True))
    models = points["model"].to_list()
    order = np.random.default_rng(seed).permutation(len(points))
    face = np.array([hues[models[row]] for row in order])
    limits = {c: np.quantile(points[c].to_numpy(), [0.002, 0.998]) for c in axes_of}
    k = len(axes_of)
    figure = Figure(
        figsize=(PAGE_WIDTH, PAGE_WIDTH + legend_height(list(hues), PAGE_WIDTH)),
        layout="constrained",
    )
    grid = figure.subplots(k, k, squeeze=False)
    for i, below in enumerate(axes_of):
        for j, across in enumerate(axes_of):
            axes = grid[i][j]
            axes.set(xticks=[], yticks=[])
            if j > i:
                axes.set_axis_off()
                continue
            axes.set_xlim(*limits[across])
            if i == j:
                for model, hue in hues.items():
                    placed = points.filter(points["model"] == model)[across].to_numpy()
                    axes.hist(placed, bins=40, range=tuple(limits[across]), density=True,
                              histtype="step", color=hue, linewidth=0.8)  # fmt: skip
            else:
                x, y = points[across].to_numpy()[order], points[below].to_numpy()[order]
                axes.scatter(x, y, s=0.7, c=face, alpha=0.5, linewidths=0, rasterized=True)
                axes.set_ylim(*limits[below])
            if i == k - 1:
                axes.set_xlabel(across)
            if j == 0:
                axes.set_ylabel(below)
    handles = [figure.axes[0].plot([], [], color=hue)[0] for hue in hues.values()]
    legend_below(figure, handles, list(hues))
    return figure
