"""Heads as points: stored projections coloured by known class (the paper's figures 7, 14, 15)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.errors import AtlasError
from attention_motifs.figures.head_groups import COMPUTED, UNKNOWN, head_groups
from attention_motifs.figures.palette import Mark
from attention_motifs.figures.style import (
    PAGE_WIDTH,
    SMALL,
    fitted,
    legend_below,
    legend_height,
    new_figure,
    styled,
)

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from attention_motifs.atlas import Atlas
    from attention_motifs.figures.head_groups import HeadGroups

ALL_MODELS = "all"
METHODS = ("isomap", "umap", "tsne")
"""Columns of figures 14 and 15."""
_TITLES = {"isomap": "Isomap", "umap": "UMAP", "tsne": "t-SNE", "pca": "PCA"}


def head_map_table(
    atlas: Atlas,
    scope: str,
    methods: Sequence[str] = METHODS,
    n_neighbors: Sequence[int] | None = None,
) -> pl.DataFrame:
    """Return 2-D positions of heads, with their labels and the quality of each projection.

    Args:
        atlas: an atlas with the stage `project` done.
        scope: a model, or `all`.
        methods: names in `projection.PROJECTIONS`.
        n_neighbors: neighbourhood sizes (default: all that are stored).

    Raises:
        AtlasError: naming the command to run, if there is no such projection.
    """
    import polars as pl

    chosen = (
        (pl.col("scope") == scope) & (pl.col("n_components") == 2) & pl.col("method").is_in(methods)
    )
    if n_neighbors is not None:
        chosen &= pl.col("n_neighbors").is_in(list(n_neighbors))
    metrics = atlas.projections["metric"].unique(maintain_order=True)
    if len(metrics):
        chosen &= pl.col("metric") == ("mean" if "mean" in metrics else metrics[0])
    table = atlas.projections.filter(chosen)
    if scope == ALL_MODELS and not len(table):  # an atlas of one model stores them under its name
        table = atlas.projections.filter(chosen | (pl.col("scope") == atlas.models[0]))
    if not len(table):
        raise AtlasError(
            f"{atlas.place} has no 2-D projection of {scope} by {', '.join(methods)}; "
            f"{atlas.paths.rebuild('projections')}"
        )
    labels = dict(zip(atlas.heads["head"].to_list(), head_groups(atlas).labels, strict=True))
    return table.with_columns(
        pl.col("head").replace_strict(labels, return_dtype=pl.String).alias("label")
    ).select(
        "head", "label", "scope", "metric", "method", "n_neighbors", "x", "y",
        "trustworthiness", "continuity",
    )  # fmt: skip


@styled
def head_maps(
    atlas: Atlas,
    scopes: Sequence[str],
    methods: Sequence[str] = METHODS,
    n_neighbors: Sequence[int] | None = None,
    width: float = PAGE_WIDTH,
) -> Figure:
    """Draw heads in the plane: a row per scope and neighbourhood size, a column per method.

    With one method the scopes are next to each other (figure 7). T and C under a panel are its
    trustworthiness and continuity, which measure how well it keeps the neighbours. Classes of the
    literature have black edges.

    Args:
        atlas: an atlas with projections.
        scopes: models, or `all`.
        methods: names in `projection.PROJECTIONS`.
        n_neighbors: neighbourhood sizes (default: all that are stored).
        width: width in inches.

    Raises:
        AtlasError: as `head_map_table`.
    """
    groups = head_groups(atlas)
    tables = [head_map_table(atlas, scope, methods, n_neighbors) for scope in scopes]
    sizes = sorted({k for table in tables for k in table["n_neighbors"].to_list()})
    by_scope = len(methods) == 1
    rows = sizes if not by_scope else [sizes[0]]
    columns: list[Any] = list(scopes) if by_scope else list(methods)
    panel = width / max(len(columns), 2)
    legend = list(groups.marks)
    height = (0.86 * panel + 0.28 + 0.1 * by_scope) * len(rows) + legend_height(legend, width)
    figure = new_figure(width, height, layout="constrained")
    grid = figure.subplots(len(rows), len(columns), squeeze=False)
    for i, k in enumerate(rows):
        for j, column in enumerate(columns):
            table = tables[j] if by_scope else tables[0]
            method = methods[0] if by_scope else column
            _panel(grid[i][j], _projection(table, method, k), groups)
            room = 72 * (panel - 0.08)
            title = fitted(_TITLES[method] + _size(method, k), room, SMALL)
            if by_scope:
                title = f"{fitted(_scope_title(column), room, SMALL)}\n{title}"
            grid[i][j].set_title(title, fontsize=SMALL, pad=3)
    handles = [_handle(name, mark) for name, mark in groups.marks.items()]
    legend_below(figure, handles, legend)
    return figure


def _size(method: str, k: int) -> str:
    """Return the neighbourhood size of a projection in words; for t-SNE it is the perplexity."""
    if method == "pca":
        return ""
    return f", perplexity {k}" if method == "tsne" else f", {k} neighbours"


def _projection(table: pl.DataFrame, method: str, k: int) -> pl.DataFrame:
    """Return one projection; a method without neighbours is stored under 0."""
    import polars as pl

    placed = table.filter(pl.col("method") == method)
    exact = placed.filter(pl.col("n_neighbors") == k)
    return exact if len(exact) else placed.filter(pl.col("n_neighbors") == 0)


def _scope_title(scope: str) -> str:
    return "all models" if scope == ALL_MODELS else scope


def _panel(axes: Axes, table: pl.DataFrame, groups: HeadGroups) -> None:
    axes.set(xticks=[], yticks=[])
    for spine in ("top", "right"):
        axes.spines[spine].set_visible(True)
    if not len(table):
        axes.set_xlabel("not computed", fontsize=SMALL)
        return
    labels, x, y = (table[c].to_numpy() for c in ("label", "x", "y"))
    for name in (UNKNOWN, *(n for n in groups.marks if n != UNKNOWN)):
        rows: Any = labels == name
        mark, known = groups.marks[name], name != UNKNOWN
        axes.scatter(
            x[rows],
            y[rows],
            s=13 if known else 5,
            c=mark.colour,
            alpha=1.0 if known else 0.5,
            marker=mark.marker,
            linewidths=0.5 if _of_literature(name) else 0.0,
            edgecolors="black" if _of_literature(name) else "none",
        )
    worth = [table[c][0] for c in ("trustworthiness", "continuity")]
    parts = [f"{letter} {value:.2f}" for letter, value in zip("TC", worth, strict=True)
            if value is not None and np.isfinite(value)]  # fmt: skip
    axes.set_xlabel("   ".join(parts), fontsize=SMALL, labelpad=2)


def _of_literature(name: str) -> bool:
    return name != UNKNOWN and not name.endswith(COMPUTED)


def _handle(name: str, mark: Mark) -> Any:
    from matplotlib.lines import Line2D

    return Line2D(
        [], [], color=mark.colour, marker=mark.marker, markersize=4.5, linestyle="none",
        markeredgecolor="black" if _of_literature(name) else mark.colour, markeredgewidth=0.5,
    )  # fmt: skip
