"""Patterns in the first components of the embedding (the paper's figure 4)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.errors import InputError
from attention_motifs.figures.arguments import check_atlas, check_count, list_heads
from attention_motifs.figures.style import (
    GREY,
    PAGE_WIDTH,
    SMALL,
    colours,
    legend_below,
    legend_height,
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
"""Largest number of patterns drawn: more would hide each other and make large files."""

_OUTLYING = 5e-4  # share of the points at each end of an axis that may be outside of the frame


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
        Columns `head`, `model`, `prompt_id`, `pc0`, `pc1`, `pc2`; by model, prompt and head.

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
        taken = drawn[start : start + n_prompts * len(names)].reshape(n_prompts, len(names))
        start += taken.size
        taken = taken | np.isin(names, list(chosen))
        prompt, head = np.nonzero(taken)
        positions = atlas.embedded([model])[prompt, head, :3]
        tables.append(
            pl.DataFrame(
                {
                    "head": names[head].tolist(),
                    "model": [model] * len(head),
                    "prompt_id": prompt_ids[prompt].tolist(),
                    **{f"pc{i}": column for i, column in enumerate(positions.T)},
                },
                # A model may have no point in the draw.
                schema_overrides=dict.fromkeys(("head", "model", "prompt_id"), pl.String),
            )
        )
    return pl.concat(tables)


@styled
def pattern_embedding(
    atlas: Atlas,
    heads: Sequence[str | HeadId] | None = None,
    max_points: int = MAX_POINTS,
    seed: int = 0,
) -> Figure:
    """Draw the patterns in the first three components, two at a time (paper, figure 4).

    Every point is a pattern, coloured by its model or, if heads are given, by its head, with all
    other heads in grey. Up to a thousandth of the points of an axis are outside of the frame; the
    panel shows their number.

    Args:
        atlas: an atlas with embedded patterns.
        heads: heads to highlight in colour.
        max_points: largest number of the remaining patterns.
        seed: seed for the sample and for the order of drawing.

    Raises:
        InputError: if the embedding has fewer than two components, or a head is unknown.
        AtlasError: if the stage `embed` has not run, or a file is damaged.
    """
    from matplotlib.figure import Figure

    check_atlas(atlas)
    heads = list_heads(heads)
    points = embedding_points(atlas, heads, max_points, seed)
    components = [c for c in points.columns if c.startswith("pc")]
    if len(components) < 2:
        raise InputError(
            "the embedding cannot be drawn, since it has a single component. Build with "
            "`--n-components 3`."
        )
    shares = atlas.embedding().explained_variance_ratio
    positions = points.select(components).to_numpy()
    layers, labels = _by_head(atlas, points, heads) if heads else _by_model(atlas, points, seed)
    pairs = list(combinations(range(len(components)), 2))
    width = PAGE_WIDTH * max(len(pairs), 2) / 3
    height = 2.55 + legend_height(list(labels), width)
    figure = Figure(figsize=(width, height), layout="constrained")
    for axes, (i, j) in zip(figure.subplots(1, len(pairs), squeeze=False)[0], pairs, strict=True):
        for rows, face, size in layers:
            axes.scatter(
                positions[rows, i],
                positions[rows, j],
                s=size,
                c=face,
                alpha=0.6,
                linewidths=0,
                rasterized=True,
            )
        _frame(axes, positions[:, i], positions[:, j])
        axes.xaxis.set_major_locator(round_ticks(5))
        axes.yaxis.set_major_locator(round_ticks(6))
        axes.set_xlabel(f"pc{i} ({shares[i]:.0%} of variance)")
        axes.set_ylabel(f"pc{j} ({shares[j]:.0%} of variance)")
    legend_below(figure, [_dot(colour) for colour in labels.values()], list(labels))
    return figure


def _by_model(
    atlas: Atlas, points: pl.DataFrame, seed: int
) -> tuple[list[tuple[Any, Any, float]], dict[str, Any]]:
    """Return one layer of points in random order, so that no model hides another."""
    labels = dict(zip(atlas.models, colours(len(atlas.models)), strict=True))
    order = np.random.default_rng(seed).permutation(len(points))
    models: list[str] = points["model"].to_list()
    face = np.array([labels[models[row]] for row in order])
    return [(order, face, _size(len(points)))], labels


def _by_head(
    atlas: Atlas, points: pl.DataFrame, heads: Sequence[str | HeadId]
) -> tuple[list[tuple[Any, Any, float]], dict[str, Any]]:
    """Return a grey layer of all other heads, and a layer for each head, the first on top."""
    names = list(dict.fromkeys(str(atlas.heads["head"][atlas.head_index(h)]) for h in heads))
    labels: dict[str, Any] = dict(zip(names, colours(len(names)), strict=True))
    column = points["head"].to_numpy()
    rest = ~np.isin(column, names)
    layers: list[tuple[Any, Any, float]] = [(rest, "#d5d5d5", _size(int(rest.sum())))]
    layers += [(column == name, [labels[name]], 7.0) for name in reversed(names)]
    return layers, {**labels, "all other heads": "#bdbdbd"}


def _size(n_points: int) -> float:
    """Return the area of a point in square points, which decreases with their number."""
    return float(np.clip(20_000 / max(n_points, 1), 1.0, 9.0))


def _dot(colour: Any) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, marker="o", markersize=4, linestyle="none")


def _frame(axes: Axes, x: Float[np.ndarray, " points"], y: Float[np.ndarray, " points"]) -> None:
    """Set the limits to all but the outlying points, and show the number of points outside."""
    outside: Bool[np.ndarray, " points"] = np.zeros(len(x), dtype=bool)
    for values, set_limits in ((x, axes.set_xlim), (y, axes.set_ylim)):
        low, high = np.quantile(values, [_OUTLYING, 1 - _OUTLYING])
        margin = 0.08 * (high - low) or 1.0
        low, high = max(low, values.min()) - margin, min(high, values.max()) + margin
        set_limits(low, high)
        outside |= (values < low) | (values > high)
    if outside.any():
        axes.text(
            1.0,
            1.0,
            f"{outside.sum():,} of {len(x):,} outside",
            transform=axes.transAxes,
            ha="right",
            va="bottom",
            fontsize=SMALL,
            color=GREY,
        )
