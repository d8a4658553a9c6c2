"""Heatmap of the distances of all pairs of heads (the paper's figure 13)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.atlas.head_distances import stored_distances_of
from attention_motifs.figures.arguments import MAX_DRAWN, check_atlas, regular_sample
from attention_motifs.figures.style import (
    COLUMN_WIDTH,
    DOTS,
    SMALL,
    colours,
    legend_below,
    legend_height,
    mix,
    new_figure,
    round_ticks,
    styled,
)

if TYPE_CHECKING:
    import polars as pl
    from jaxtyping import Float
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from attention_motifs.atlas import Atlas
    from attention_motifs.figures.style import Colour

MAX_PAIRED = 1500
"""Largest number of heads whose pairs are written as a table."""
_STRIP, _GAP = 0.035, 0.012  # relative to the side of the matrix
_LIGHTER, _DARKER = 0.75, 0.5  # share of white in the first layer, of black in the last


def heads_in_order(atlas: Atlas) -> pl.DataFrame:
    """Return the heads in the order of the heatmap's rows: by model, layer and index.

    Returns:
        Columns `row` (of the distance matrix on disk), `head`, `model`, `layer`, `index`,
        `depth`.
    """
    import polars as pl

    check_atlas(atlas)

    position = {model: i for i, model in enumerate(atlas.models)}
    return (
        atlas.heads.with_row_index("row")
        .select("row", "head", "model", "layer", "index", "depth")
        .sort(pl.col("model").replace_strict(position, return_dtype=pl.Int64), "layer", "index")
    )


def drawn_heads(atlas: Atlas) -> pl.DataFrame:
    """Return the heads of the heatmap: `heads_in_order`, or of very many a regular sample.

    A figure has fewer than `MAX_DRAWN` points along its side.
    """
    order = heads_in_order(atlas)
    return order if len(order) <= MAX_DRAWN else order[regular_sample(len(order)).tolist()]


@styled
def distance_heatmap(atlas: Atlas, metric: str = "mean", width: float = COLUMN_WIDTH) -> Figure:
    """Draw the distances between all heads, ordered by model, layer and index (paper, figure 13).

    The strips at the top and at the left have a hue for each model, light in its first layer and
    dark in its last; lines separate the models. Colours end at the 99th percentile of the
    distances, so that few outlying heads do not rule the scale.

    Args:
        atlas: an atlas with distances by the metric.
        metric: a metric.
        width: width in inches.

    Raises:
        AtlasError: if the distances by this metric do not exist or are damaged.
    """
    check_atlas(atlas)
    from matplotlib.patches import Patch

    order = drawn_heads(atlas)
    matrix = stored_distances_of(atlas, metric).among(order["row"].to_numpy())
    hues = dict(zip(atlas.models, colours(len(atlas.models)), strict=True))
    below = legend_height(list(hues), width) + 0.16  # and its title
    figure = new_figure(width, 0.84 * width + below, layout="constrained")
    axes = figure.subplots()
    top = colour_limit(matrix)
    n = len(matrix)
    image = axes.imshow(
        matrix, extent=(0, n, n, 0), cmap="viridis", vmin=0.0, vmax=top,
        interpolation="none" if n < 0.6 * DOTS * width else "antialiased",
    )  # fmt: skip
    _draw_strips(axes, [shade(hues[m], d) for m, d in order.select("model", "depth").iter_rows()])
    _draw_borders(axes, order["model"].to_list())
    finite = matrix[np.isfinite(matrix)]
    beyond = float((finite > top).mean()) if finite.size else 0.0
    bar = figure.colorbar(
        image, ax=axes, shrink=0.8, aspect=30, extend="max" if beyond else "neither"
    )
    bar.set_label(f"distance ({metric})" + (f"; {beyond:.1%} above the scale" if beyond else ""))
    bar.outline.set_visible(False)
    bar.locator = round_ticks(6)
    axes.set_title("head (model, layer, index)", fontsize=SMALL)
    axes.text(
        -0.01, 0.5, "head (model, layer, index)", transform=axes.transAxes, rotation=90,
        ha="right", va="center", fontsize=SMALL,
    )  # fmt: skip
    legend_below(
        figure,
        [Patch(color=hue) for hue in hues.values()],
        list(hues),
        title="strips: model, light in its first layer, dark in its last",
        title_fontsize=SMALL,
        handlelength=1.0,
        handleheight=1.0,
    )
    return figure


def colour_limit(matrix: Float[np.ndarray, "heads heads"]) -> float:
    """Return the distance at which the colours end: the 99th percentile, or 1 if it is 0."""
    off_diagonal = matrix[~np.eye(len(matrix), dtype=bool)]
    finite = off_diagonal[np.isfinite(off_diagonal)]
    return (float(np.quantile(finite, 0.99)) if finite.size else 0.0) or 1.0


def distance_pairs(atlas: Atlas, metric: str = "mean") -> pl.DataFrame:
    """Return the distance of every pair of heads, once; of the heads alone if they are many.

    Returns:
        Columns `head_a`, `head_b`, `distance`, in the order of the heatmap; for more than
        `MAX_PAIRED` heads, `heads_in_order`.

    Raises:
        AtlasError: if the distances by this metric do not exist or are damaged.
    """
    import polars as pl

    order = heads_in_order(atlas)
    if len(order) > MAX_PAIRED:
        return order
    matrix = stored_distances_of(atlas, metric).among(order["row"].to_numpy())
    a, b = np.tril_indices(len(order), -1)
    heads = order["head"]
    return pl.DataFrame({"head_a": heads[a], "head_b": heads[b], "distance": matrix[a, b]})


def shade(hue: Colour, depth: float) -> Colour:
    """Return the shade of a hue at a depth of 0 (first layer, light) to 1 (last layer, dark)."""
    if depth < 0.5:
        return mix(hue, (1.0, 1.0, 1.0), _LIGHTER * (1 - 2 * depth))
    return mix(hue, (0.0, 0.0, 0.0), _DARKER * (2 * depth - 1))


def _draw_strips(axes: Axes, shades: list[Colour]) -> None:
    """Draw the colours of the heads above and to the left of the matrix, in its units."""
    n = len(shades)
    near, far = -_GAP * n, -(_GAP + _STRIP) * n
    strip: Float[np.ndarray, "1 heads 3"] = np.array(shades)[None]
    axes.imshow(strip, extent=(0, n, near, far))
    axes.imshow(strip.transpose(1, 0, 2), extent=(far, near, n, 0))
    axes.set(xlim=(far, n), ylim=(n, far))
    axes.axis("off")


def _draw_borders(axes: Axes, models: list[str]) -> None:
    n = len(models)
    borders = [i for i in range(1, n) if models[i] != models[i - 1]]
    axes.hlines(borders, 0, n, color="white", linewidth=0.9)
    axes.vlines(borders, 0, n, color="white", linewidth=0.9)
