"""Share of the features' variance by principal components (the paper's figure 11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.figures.arguments import check_atlas
from attention_motifs.figures.palette import GREY, LIGHT_GREY, PALETTE
from attention_motifs.figures.style import COLUMN_WIDTH, SMALL, new_figure, styled

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from attention_motifs.atlas import Atlas

MARKED = (3, 10, 16)
"""Numbers of components whose cumulative share the paper names (section 2.3)."""

_SHOWN = 32


def variance_table(atlas: Atlas) -> pl.DataFrame:
    """Return the share of the standardised features' variance per component.

    Returns:
        Columns `n_components` (1, 2, ...), `share` (0 to 1) of the last of these components, and
        `cumulative` share of all of them; a row for every component, kept or not.

    Raises:
        AtlasError: if the atlas has no embedding.
    """
    import polars as pl

    check_atlas(atlas)

    shares = atlas.embedding().explained_variance_ratio
    return pl.DataFrame(
        {
            "n_components": np.arange(1, len(shares) + 1),
            "share": shares,
            "cumulative": np.cumsum(shares),
        }
    )


@styled
def variance_explained(atlas: Atlas, width: float = COLUMN_WIDTH) -> Figure:
    """Draw the share of variance per component and the cumulative share, marked at 3, 10, 16.

    Components that the embedding keeps are dark (paper, figure 11).

    Args:
        atlas: an atlas with an embedding.
        width: width in inches.

    Raises:
        AtlasError: if the atlas has no embedding.
    """
    from matplotlib.ticker import PercentFormatter

    table = variance_table(atlas).head(_SHOWN)
    n, share, cumulative = (table[c].to_numpy() for c in ("n_components", "share", "cumulative"))
    kept = n <= atlas.embedding().n_components
    figure = new_figure(width, 2.3, layout="constrained")
    axes = figure.subplots()
    axes.bar(n[kept], share[kept], color=PALETTE[0], label="one component, kept")
    if not kept.all():
        axes.bar(n[~kept], share[~kept], color=LIGHT_GREY, label="one component, left out")
    axes.plot(n, cumulative, color=PALETTE[1], linewidth=1.2, label="all up to here")
    for k in MARKED:
        if k <= len(n):
            _mark(axes, k, cumulative[k - 1])
    axes.set(
        xlabel="number of principal components",
        ylabel="share of variance",
        xlim=(0.3, len(n) + 0.7),
        ylim=(0, 1.04),
        xticks=[k for k in (1, 3, 5, 10, 16, 20, 25, 30) if k <= len(n)],
    )
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.legend(loc="center right", fontsize=SMALL, handlelength=1.2)
    return figure


def _mark(axes: Axes, k: int, value: float) -> None:
    axes.vlines(k, 0, value, color=GREY, linewidth=0.6, linestyle=(0, (2, 2)), zorder=0)
    axes.plot(k, value, "o", color=PALETTE[1], markersize=3.5)
    axes.annotate(
        f"{k}: {value:.1%}",
        (k, value),
        xytext=(4, -9),
        textcoords="offset points",
        fontsize=SMALL,
    )
