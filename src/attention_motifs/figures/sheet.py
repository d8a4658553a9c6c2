"""Sheets of attention patterns of several heads over prompts (the paper's figure 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.errors import AtlasError, InputError
from attention_motifs.figures.arguments import check_atlas, list_heads, list_prompts
from attention_motifs.figures.style import (
    COLUMN_WIDTH,
    FONT_SIZE,
    GREY,
    PAGE_WIDTH,
    SMALL,
    fitted,
    styled,
)

if TYPE_CHECKING:
    from jaxtyping import Float
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from attention_motifs.atlas import Atlas
    from attention_motifs.head import HeadId

MAX_HEADS = 50
"""More rows make a picture too tall for most programs."""
DEFAULT_PROMPTS = 6
"""As many columns as in the paper's figure 3."""

# Inches.
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.32, 0.55, 0.34, 0.34
_HEADING, _BETWEEN, _LARGEST_PANEL = 0.19, 0.07, 1.4


@styled
def pattern_sheet(
    atlas: Atlas, heads: Sequence[str | HeadId], prompts: Sequence[str] | None = None
) -> Figure:
    """Draw attention patterns, a row per head and a column per prompt (paper, figure 3).

    The colour is the square root of the attention, on one scale in all panels. For a head and its
    nearest heads the sheet shows what they share.

    Args:
        atlas: an atlas with patterns for viewing.
        heads: heads of the rows, from the top; repeated heads are drawn once.
        prompts: ids of prompts with patterns for viewing (default: the first six).

    Raises:
        InputError: if there are no heads, too many, or one that is not in the atlas.
        AtlasError: if a prompt has no patterns for viewing, or a file is damaged.
    """
    from matplotlib.figure import Figure

    check_atlas(atlas)
    rows = list(dict.fromkeys(atlas.head_index(head) for head in list_heads(heads)))
    if not 1 <= len(rows) <= MAX_HEADS:
        raise InputError(f"the sheet would have {len(rows)} heads. Give 1 to {MAX_HEADS}.")
    ids = list(atlas.view_prompts()[:DEFAULT_PROMPTS] if prompts is None else list_prompts(prompts))
    if not ids:
        raise AtlasError(
            f"{atlas.place} keeps no patterns for viewing. Build it with `--n-view-prompts 6`."
        )
    panel = min(
        (PAGE_WIDTH - _LEFT - _RIGHT - _BETWEEN * (len(ids) - 1)) / len(ids), _LARGEST_PANEL
    )
    width = max(_LEFT + len(ids) * (panel + _BETWEEN) + _RIGHT, COLUMN_WIDTH)
    height = _TOP + len(rows) * (_HEADING + panel) + _BOTTOM
    figure = Figure(figsize=(width, height))
    _write_prompts(figure, atlas, ids, panel)
    for row, index in enumerate(rows):
        head = atlas.heads.row(index, named=True)
        name: str = head["head"]
        bottom = height - _TOP - (row + 1) * (_HEADING + panel)
        heading = f"{name}  {', '.join(head['classes'] or ())}"
        figure.text(
            _LEFT / width,
            (bottom + panel + 0.05) / height,
            fitted(heading, 72 * (width - _LEFT - 0.05), FONT_SIZE),
        )
        for column, prompt_id in enumerate(ids):
            left = _LEFT + column * (panel + _BETWEEN)
            axes = figure.add_axes((left / width, bottom / height, panel / width, panel / height))
            _draw_pattern(axes, atlas.pattern(name, prompt_id))
            if row == len(rows) - 1 and column == 0:
                _label(axes)
    _add_bar(figure, _LEFT + len(ids) * (panel + _BETWEEN) + 0.05, panel)
    return figure


def _draw_pattern(axes: Axes, pattern: Float[np.ndarray, "n n"]) -> None:
    """Draw one pattern; entries above the diagonal stay white."""
    from matplotlib.colors import PowerNorm

    future = np.triu(np.ones(pattern.shape, dtype=bool), k=1)
    axes.imshow(np.ma.masked_array(pattern, future), cmap="cividis", norm=PowerNorm(0.5, 0.0, 1.0))
    axes.set(xticks=[], yticks=[])
    for side in ("left", "bottom"):
        axes.spines[side].set(color=GREY, linewidth=0.4)


def _label(axes: Axes) -> None:
    """Label the axes of one panel, for all of them."""
    last = round(axes.get_xlim()[1] - 0.5)
    axes.set(xticks=[0, last], yticks=[0, last])
    axes.tick_params(pad=1.5, length=1.5)
    axes.set_xlabel("key", labelpad=-4)
    axes.set_ylabel("query", labelpad=-6)


def _write_prompts(figure: Figure, atlas: Atlas, ids: Sequence[str], panel: float) -> None:
    """Label the columns with the source of each prompt and the beginning of its text."""
    known = {row["prompt_id"]: row for row in atlas.prompts.iter_rows(named=True)}
    width, height = figure.get_size_inches()
    for column, prompt_id in enumerate(ids):
        row = known.get(prompt_id, {"source": "", "text": prompt_id})
        left = (_LEFT + column * (panel + _BETWEEN)) / width
        source = row["source"].rpartition("/")[2]
        for line, size, colour, up in (
            (source, SMALL, "black", 0.2),
            (row["text"], SMALL - 0.5, "#5c5c5c", 0.09),
        ):
            figure.text(
                left,
                1 - (_TOP - up) / height,
                fitted(line, 72 * panel, size),
                fontsize=size,
                color=colour,
            )


def _add_bar(figure: Figure, left: float, panel: float) -> None:
    """Draw the colour scale to the right of the first row."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import PowerNorm

    width, height = figure.get_size_inches()
    bottom = height - _TOP - _HEADING - panel
    axes = figure.add_axes((left / width, bottom / height, 0.07 / width, panel / height))
    bar = figure.colorbar(ScalarMappable(PowerNorm(0.5, 0.0, 1.0), "cividis"), cax=axes)
    bar.set_ticks([0.0, 0.01, 0.1, 0.25, 0.5, 1.0], labels=["0", ".01", ".1", ".25", ".5", "1"])
    bar.outline.set_visible(False)
    bar.ax.set_title("attention", fontsize=SMALL, pad=6, loc="left")
