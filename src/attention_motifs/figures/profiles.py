"""Motifs of a model by layer: the map of its heads, and the mixture over depth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas.motif_shares import no_shares
from attention_motifs.errors import InputError
from attention_motifs.features.motif_definitions import MOTIFS
from attention_motifs.figures.arguments import check_atlas
from attention_motifs.figures.head_notes import shares_of_heads
from attention_motifs.figures.palette import LIGHT_GREY, MOTIF_COLOURS, MOTIF_LETTERS
from attention_motifs.figures.style import (
    COLUMN_WIDTH,
    PAGE_WIDTH,
    SMALL,
    fitted,
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

_LEAST_CELL = 7.5
"""Side in points of the smallest cell that holds a letter."""


def motif_table(atlas: Atlas) -> pl.DataFrame:
    """Return the mean motif shares of every head in long form.

    Returns:
        Columns `head`, `model`, `layer`, `index`, `motif`, `share` (0 to 1), in the order of the
        heads; heads without shares are left out.

    Raises:
        AtlasError: if the atlas holds no motif shares.
    """
    import polars as pl

    shares = _shares(atlas)
    table = atlas.heads.select("head", "model", "layer", "index").with_columns(
        pl.Series(name, shares[:, i]) for i, name in enumerate(MOTIFS)
    )
    return (
        table.filter(np.isfinite(shares).all(axis=1))
        .with_row_index("row")
        .unpivot(list(MOTIFS), index=["row", "head", "model", "layer", "index"],
                 variable_name="motif", value_name="share")
        .sort("row", maintain_order=True)
        .drop("row")
    )  # fmt: skip


def _shares(atlas: Atlas) -> Float[np.ndarray, "heads motifs"]:
    check_atlas(atlas)
    shares = shares_of_heads(atlas)
    if shares is None:
        raise no_shares(atlas)
    return shares


@styled
def model_map(atlas: Atlas, model: str | None = None, width: float = COLUMN_WIDTH) -> Figure:
    """Draw the heads of a model by layer and index, each with its strongest motif.

    The colour and the letter are the motif with the largest share among the named ones; the paler
    the cell, the smaller that share. Heads without motif shares are crossed out.

    Args:
        atlas: an atlas with motif shares.
        model: a model of the atlas (default: the first).
        width: width in inches.

    Raises:
        InputError: if the model is not in the atlas.
        AtlasError: if the atlas holds no motif shares.
    """
    from matplotlib.patches import Patch

    shares = _shares(atlas)
    name = atlas.models[0] if model is None else model
    if name not in atlas.models:
        raise InputError(
            f"model {name!r:.80} is not in this atlas; it has {', '.join(atlas.models)}"
        )
    rows = np.flatnonzero(atlas.heads["model"].to_numpy() == name)
    layer, index = (atlas.heads[c].to_numpy()[rows] for c in ("layer", "index"))
    # Layers are the longer side of most models, so they run along the page, or down a column
    # that is too narrow for letters.
    room = width - 0.45
    most = int(72 * room / _LEAST_CELL)
    down = int(index.max()) < most <= int(layer.max())
    columns, lines = (index, layer) if down else (layer, index)
    n_columns, n_lines = int(columns.max()) + 1, int(lines.max()) + 1
    cell = min(room / n_columns, _LEAST_CELL / 72 if down else 0.26)
    present = sorted({int(np.argmax(s)) for s in shares[rows] if np.isfinite(s).all()})
    motifs = list(MOTIFS)
    letters = down or 72 * cell >= _LEAST_CELL
    labels = [f"{MOTIF_LETTERS[motifs[i]]}: " * letters + motifs[i] for i in present]
    height = max(cell * n_lines, 0.5) + 0.7 + legend_height(labels, width)
    figure = new_figure(width, height, layout="constrained")
    axes = figure.subplots()
    picture = np.ones((n_lines, n_columns, 3))
    for row, i, j in zip(rows, lines, columns, strict=True):
        if not np.isfinite(shares[row]).all():
            axes.plot(j, i, "x", color=LIGHT_GREY, markersize=3)
            continue
        best = int(np.argmax(shares[row]))
        picture[i, j] = _shade(motifs[best], float(shares[row, best]))
        if letters:
            dark = picture[i, j] @ (0.299, 0.587, 0.114) < 0.5
            axes.text(
                j, i, MOTIF_LETTERS[motifs[best]], fontsize=SMALL, ha="center",
                va="center_baseline", color="white" if dark else "black",
            )  # fmt: skip
    axes.imshow(picture)
    below, beside = ("head", "layer") if down else ("layer", "head")
    axes.set(xlabel=below, ylabel=beside, title=fitted(name, 72 * (width - 0.5), 7.0))
    axes.xaxis.set_major_locator(round_ticks(3 if down else 8, whole=True))
    axes.yaxis.set_major_locator(round_ticks(8 if down else 4, whole=True))
    axes.set(xlim=(-0.5, n_columns - 0.5), ylim=(n_lines - 0.5, -0.5))
    patches = [Patch(color=MOTIF_COLOURS[motifs[i]]) for i in present]
    legend_below(figure, patches, labels, handlelength=1.0, handleheight=1.0)
    return figure


def _shade(motif: str, share: float) -> tuple[float, float, float]:
    """Return the colour of a motif, paler for a smaller share."""
    from matplotlib.colors import to_rgb

    return mix(to_rgb(MOTIF_COLOURS[motif]), (1.0, 1.0, 1.0), 0.75 * (1 - min(share / 0.8, 1.0)))


@styled
def motifs_by_depth(atlas: Atlas, width: float = PAGE_WIDTH) -> Figure:
    """Draw the mean motif shares of each layer, a panel per model.

    Args:
        atlas: an atlas with motif shares.
        width: width in inches.

    Raises:
        AtlasError: if the atlas holds no motif shares.
    """
    from matplotlib.patches import Patch

    shares = _shares(atlas)
    models = list(atlas.models)
    columns = min(len(models), max(1, int(width / 1.6)))
    rows = -(-len(models) // columns)
    names = list(MOTIFS)
    height = 1.5 * rows + 0.3 + legend_height(names, width)
    figure = new_figure(width, height, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes in grid.ravel()[len(models) :]:
        axes.remove()
    for k, model in enumerate(models):
        axes = grid[k // columns][k % columns]
        of_model: Any = (atlas.heads["model"].to_numpy() == model) & np.isfinite(shares).all(axis=1)
        layer = atlas.heads["layer"].to_numpy()
        depths = np.unique(layer[of_model])
        _stack(
            axes, np.array([shares[of_model & (layer == d)].mean(axis=0) for d in depths]), depths
        )
        axes.set_title(fitted(model, 72 * width / columns - 20, SMALL), fontsize=SMALL, pad=3)
        axes.set_xlabel("layer")
        if k % columns == 0:
            axes.set_ylabel("mean share (%)")
    patches = [Patch(facecolor=MOTIF_COLOURS[n], edgecolor="black", linewidth=0.3) for n in names]
    legend_below(figure, patches, names, handlelength=1.0, handleheight=1.0)
    return figure


def _stack(axes: Axes, shares: Float[np.ndarray, "layers motifs"], depths: Any) -> None:
    """Draw a bar per layer, whose parts are the motifs in their order."""
    base = np.zeros(len(depths))
    for i, name in enumerate(MOTIFS):
        if not len(depths):
            break
        axes.bar(
            depths, 100 * shares[:, i], bottom=base, width=1.0, color=MOTIF_COLOURS[name],
            edgecolor="white", linewidth=0.2,
        )  # fmt: skip
        base += 100 * shares[:, i]
    axes.set_ylim(0, 100)
    axes.xaxis.set_major_locator(round_ticks(5, whole=True))
