"""Patterns in the first components of the embedding (the paper's figures 4 and 12)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.errors import InputError
from attention_motifs.figures.arguments import check_atlas, check_count, list_heads
from attention_motifs.figures.palette import GREY, LINES, MARKERS
from attention_motifs.figures.style import (
    NARROW,
    PAGE_WIDTH,
    SMALL,
    colours,
    legend_below,
    legend_height,
    new_figure,
    round_ticks,
    styled,
)

if TYPE_CHECKING:
    import polars as pl
    from jaxtyping import Bool, Float
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from attention_motifs.atlas import Atlas
    from attention_motifs.head import HeadId

MAX_POINTS = 50_000
"""Largest number of patterns that are sampled for the figures of components."""
N_PAIRED = 6
"""Number of components paired in figure 12 at full width."""
CONTOURS = (0.9, 0.5)
"""Shares of a model's patterns inside its contours in figure 4."""

_OUTLYING = 5e-4  # share of the points at each end of an axis that may be outside of the frame
_BINS = 64


def component_points(
    atlas: Atlas,
    heads: Sequence[str | HeadId] = (),
    max_points: int = MAX_POINTS,
    seed: int = 0,
    n_components: int = N_PAIRED,
) -> pl.DataFrame:
    """Return the positions of patterns in the first components.

    Args:
        atlas: an atlas with embedded patterns.
        heads: heads of which all patterns are returned.
        max_points: largest number of the remaining patterns, sampled at random.
        seed: seed for the sample.
        n_components: largest number of components.

    Returns:
        Columns `head`, `model`, `prompt_id`, `pc1`, `pc2`, ... and `sampled` (whether the pattern
        is in the sample, or is of `heads` alone); by model, prompt and head.

    Raises:
        HeadNotFoundError: if a head is not in the atlas.
        AtlasError: if the stage `embed` has not run, or a file is damaged.
    """
    import polars as pl

    check_atlas(atlas)
    max_points = check_count("max_points", max_points, least=0)
    seed = check_count("seed", seed, least=0)

    n_prompts = int(atlas.manifest.prompts["n"])
    prompt_ids = atlas.prompts["prompt_id"].to_numpy()
    chosen = {str(atlas.heads["head"][atlas.head_index(head)]) for head in list_heads(heads)}
    names_of = [atlas.heads.filter(pl.col("model") == m)["head"].to_numpy() for m in atlas.models]
    total = n_prompts * sum(len(names) for names in names_of)
    drawn = np.zeros(total, dtype=bool)
    drawn[np.random.default_rng(seed).permutation(total)[:max_points]] = True
    tables = []
    start = 0
    for model, names in zip(atlas.models, names_of, strict=True):
        sampled = drawn[start : start + n_prompts * len(names)].reshape(n_prompts, len(names))
        start += sampled.size
        prompt, head = np.nonzero(sampled | np.isin(names, list(chosen)))
        positions = atlas.embedded([model])[prompt, head, :n_components]
        tables.append(
            pl.DataFrame(
                {
                    "head": names[head].tolist(),
                    "model": [model] * len(head),
                    "prompt_id": prompt_ids[prompt].tolist(),
                    **{f"pc{i}": column for i, column in enumerate(positions.T, 1)},
                    "sampled": sampled[prompt, head],
                },
                # A model may have no point in the draw.
                schema_overrides=dict.fromkeys(("head", "model", "prompt_id"), pl.String),
            )
        )
    return pl.concat(tables)


def embedding_points(
    atlas: Atlas,
    heads: Sequence[str | HeadId] = (),
    max_points: int = MAX_POINTS,
    seed: int = 0,
) -> pl.DataFrame:
    """Return the positions of patterns in the first three components, or fewer if there are fewer.

    Args:
        atlas: an atlas with embedded patterns.
        heads: heads of which all patterns are returned.
        max_points: largest number of the remaining patterns, sampled at random.
        seed: seed for the sample.

    Returns:
        Columns `head`, `model`, `prompt_id`, `pc1`, `pc2`, `pc3`; by model, prompt and head.

    Raises:
        HeadNotFoundError: if a head is not in the atlas.
        AtlasError: if the stage `embed` has not run, or a file is damaged.
    """
    return component_points(atlas, heads, max_points, seed, 3).drop("sampled")


@styled
def pattern_embedding(
    atlas: Atlas,
    heads: Sequence[str | HeadId] | None = None,
    max_points: int = MAX_POINTS,
    seed: int = 0,
    width: float = PAGE_WIDTH,
) -> Figure:
    """Draw the patterns in the first three components, two at a time (paper, figure 4).

    Grey hexagons show the density of all patterns, on a logarithmic scale. Contours enclose 50 and
    90 % of the patterns of each model or, if heads are given, their patterns are points. Up to a
    thousandth of the patterns of an axis are outside of the frame; the panel shows their number.

    Args:
        atlas: an atlas with embedded patterns.
        heads: heads to highlight.
        max_points: largest number of patterns, apart from those of `heads`.
        seed: seed for the sample.
        width: width in inches.

    Raises:
        InputError: if the embedding has fewer than two components, or a head is unknown.
        AtlasError: if the stage `embed` has not run, or a file is damaged.
    """
    check_atlas(atlas)
    chosen = [str(atlas.heads["head"][atlas.head_index(h)]) for h in list_heads(heads)]
    names = list(dict.fromkeys(chosen))
    points = component_points(atlas, names, max_points, seed, 3)
    components = [c for c in points.columns if c.startswith("pc")]
    if len(components) < 2:
        raise InputError(
            "the embedding cannot be drawn, since it has a single component. Build with "
            "`--n-components 3`."
        )
    labels = names or list(atlas.models)
    positions = points.select(components).to_numpy()
    group = points["head" if names else "model"].to_numpy()
    pairs = list(combinations(range(len(components)), 2))
    columns = min(len(pairs), 2) if width < NARROW else max(len(pairs), 2)
    rows = -(-len(pairs) // columns)
    height = rows * 0.86 * width / columns + 0.3 + legend_height(labels, width)
    figure = new_figure(width, height, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for empty in grid[len(pairs) :]:
        empty.remove()
    for axes, (i, j) in zip(grid, pairs, strict=False):
        x, y = positions[:, i], positions[:, j]
        _frame(axes, x, y)
        _draw_density(axes, x, y)
        for k, name in enumerate(labels):
            inside: Any = group == name
            if names:
                _draw_points(axes, x[inside], y[inside], k, len(labels))
            else:
                _draw_contours(axes, x[inside], y[inside], k, len(labels))
        _label_components(axes, atlas, i, j)
    handles = [_handle(k, len(labels), points=bool(names)) for k in range(len(labels))]
    legend_below(figure, handles, labels)
    return figure


def _label_components(axes: Axes, atlas: Atlas, i: int, j: int) -> None:
    shares = atlas.embedding().explained_variance_ratio
    axes.xaxis.set_major_locator(round_ticks(4))
    axes.yaxis.set_major_locator(round_ticks(4))
    axes.set_xlabel(f"PC {i + 1} ({shares[i]:.0%} of variance)")
    axes.set_ylabel(f"PC {j + 1} ({shares[j]:.0%} of variance)")


def _draw_density(
    axes: Axes, x: Float[np.ndarray, " points"], y: Float[np.ndarray, " points"]
) -> None:
    """Draw the number of patterns per hexagon in grey, on a logarithmic scale."""
    axes.hexbin(
        x, y, gridsize=40, extent=(*axes.get_xlim(), *axes.get_ylim()), bins="log", mincnt=1,
        cmap="Greys", vmin=0.3, vmax=max(3.0, 2.0 * len(x) / 40), linewidths=0.1, rasterized=True,
    )  # fmt: skip


def _draw_points(
    axes: Axes, x: Float[np.ndarray, " points"], y: Float[np.ndarray, " points"], k: int, n: int
) -> None:
    axes.scatter(
        x, y, s=7.0, color=colours(n)[k], marker=MARKERS[k % len(MARKERS)], alpha=0.8,
        linewidths=0.15, edgecolors="white", rasterized=True,
    )  # fmt: skip


def _draw_contours(
    axes: Axes, x: Float[np.ndarray, " points"], y: Float[np.ndarray, " points"], k: int, n: int
) -> None:
    """Draw the contours that enclose the shares `CONTOURS` of the patterns of one model."""
    from scipy.ndimage import gaussian_filter

    if len(x) < 10:
        axes.plot(x, y, ".", color=colours(n)[k], markersize=3)
        return
    limits = [sorted(axes.get_xlim()), sorted(axes.get_ylim())]
    counts, edges_x, edges_y = np.histogram2d(x, y, bins=_BINS, range=limits)
    density = gaussian_filter(counts, 1.5)
    ordered = np.sort(density, axis=None)[::-1]
    mass = np.cumsum(ordered)
    if not mass[-1]:
        return
    last = len(ordered) - 1
    at = [min(int(np.searchsorted(mass, share * mass[-1])), last) for share in CONTOURS]
    levels = sorted({float(ordered[i]) for i in at})
    centres = [(edges[1:] + edges[:-1]) / 2 for edges in (edges_x, edges_y)]
    axes.contour(
        *centres, density.T, levels=levels, colors=[colours(n)[k]], linewidths=0.9,
        linestyles=LINES[k % len(LINES)],
    )  # fmt: skip


def _handle(k: int, n: int, *, points: bool) -> Any:
    from matplotlib.lines import Line2D

    colour = colours(n)[k]
    if points:
        marker = MARKERS[k % len(MARKERS)]
        return Line2D([], [], color=colour, marker=marker, markersize=4, linestyle="none")
    return Line2D([], [], color=colour, linestyle=LINES[k % len(LINES)], linewidth=1.1)


def _frame(axes: Axes, x: Float[np.ndarray, " points"], y: Float[np.ndarray, " points"]) -> None:
    """Set the limits to all but the outlying points, and show the number of points outside."""
    outside: Bool[np.ndarray, " points"] = np.zeros(len(x), dtype=bool)
    for values, set_limits in ((x, axes.set_xlim), (y, axes.set_ylim)):
        if not len(values):
            continue
        low, high = np.quantile(values, [_OUTLYING, 1 - _OUTLYING])
        margin = 0.08 * (high - low) or 1.0
        low, high = max(low, values.min()) - margin, min(high, values.max()) + margin
        set_limits(low, high)
        outside |= (values < low) | (values > high)
    write_outside(axes, int(outside.sum()), len(x))


def write_outside(axes: Axes, n_outside: int, n: int) -> None:
    """Write above a panel how many of its n points are outside of the frame; nothing for none."""
    if n_outside:
        axes.text(
            1.0, 1.01, f"{n_outside:,} of {n:,} outside", transform=axes.transAxes, ha="right",
            va="bottom", fontsize=SMALL, color=GREY,
        )  # fmt: skip


@styled
def component_pairs(
    atlas: Atlas, max_points: int = MAX_POINTS, seed: int = 0, width: float = PAGE_WIDTH
) -> Figure:
    """Draw pairs of the first components, by model (paper, figure 12).

    The diagonal shows the distribution of each model along the component. Each axis leaves out the
    outermost thousandth of the patterns at either end.

    Args:
        atlas: an atlas with embedded patterns.
        max_points: largest number of patterns, sampled at random.
        seed: seed for the sample.
        width: width in inches; there are 6 components at 6.9, 5 at 5.5 and 4 at 3.35.

    Raises:
        AtlasError: if the stage `embed` has not run, or a file is damaged.
    """
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    check_atlas(atlas)
    count = max(2, min(N_PAIRED, int(width / 1.1 + 1 * (width < NARROW))))
    points = component_points(atlas, (), max_points, seed, count)
    columns = [c for c in points.columns if c.startswith("pc")]
    models = list(atlas.models)
    values = points.select(columns).to_numpy()
    model_of = points["model"].to_numpy()
    n = len(columns)
    layout = ConstrainedLayoutEngine(w_pad=0.01, h_pad=0.01, wspace=0.02, hspace=0.02)
    height = width * 0.95 + legend_height(models, width) + 0.1
    figure = new_figure(width, height, layout=layout)
    grid = figure.subplots(n, n, squeeze=False)
    limits = [np.quantile(column, [0.001, 0.999]) if len(column) else (0, 1) for column in values.T]
    for i in range(n):
        for j in range(n):
            axes = grid[i][j]
            if j > i:
                axes.remove()
                continue
            axes.set_xlim(*limits[j])
            if i == j:
                _draw_distributions(axes, values[:, i], model_of, models, limits[i])
            else:
                axes.set_ylim(*limits[i])
                _draw_density(axes, values[:, j], values[:, i])
                for k, model in enumerate(models):
                    inside: Any = model_of == model
                    _draw_contours(axes, values[inside, j], values[inside, i], k, len(models))
            _label_pair(axes, i, j, n)
    outside = ((values < [a for a, _ in limits]) | (values > [b for _, b in limits])).any(axis=1)
    figure.text(
        0.99, 0.99, f"{outside.sum():,} of {len(values):,} patterns outside of a panel",
        ha="right", va="top", fontsize=SMALL, color=GREY,
    )  # fmt: skip
    legend_below(
        figure, [_handle(k, len(models), points=False) for k in range(len(models))], models
    )
    return figure


def _draw_distributions(
    axes: Axes, values: Any, model_of: Any, models: Sequence[str], limits: Any
) -> None:
    for k, model in enumerate(models):
        inside = values[model_of == model]
        if len(inside):
            axes.hist(
                inside, bins=40, range=tuple(limits), density=True, histtype="step",
                color=colours(len(models))[k], linestyle=LINES[k % len(LINES)], linewidth=0.8,
            )  # fmt: skip
    axes.set_facecolor("#F7F7F7")


def _label_pair(axes: Axes, i: int, j: int, n: int) -> None:
    """Label the outer panels, and the others not at all."""
    axes.xaxis.set_major_locator(round_ticks(2))
    axes.yaxis.set_major_locator(round_ticks(2))
    axes.tick_params(length=1.5, pad=1.5)
    if i == n - 1:
        axes.set_xlabel(f"PC {j + 1}", labelpad=1.5)
    else:
        axes.set_xticklabels([])
    if i == j:
        axes.set_yticks([])
    if j == 0:
        axes.set_ylabel("density" if i == 0 else f"PC {i + 1}", labelpad=1.5)
    elif i != j:
        axes.set_yticklabels([])
