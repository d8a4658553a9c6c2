"""Sheets of attention patterns of several heads over prompts (the paper's figure 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.errors import AtlasError, InputError
from attention_motifs.figures.arguments import check_atlas, list_heads, list_prompts
from attention_motifs.figures.head_notes import motif_note
from attention_motifs.figures.palette import GREY, LIGHT_GREY, ORANGE, weight_colours
from attention_motifs.figures.style import (
    FONT_SIZE,
    PAGE_WIDTH,
    SMALL,
    check_width,
    fitted,
    new_figure,
    styled,
    wrapped,
)

if TYPE_CHECKING:
    import polars as pl
    from jaxtyping import Float
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from attention_motifs.atlas import Atlas
    from attention_motifs.head import HeadId

MAX_HEADS = 50
"""More rows make a picture too tall for most programs."""
DEFAULT_PROMPTS = 6
"""As many columns as in the paper's figure 3."""
DARK = "#3F3F3F"

# Inches.
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.34, 0.06, 0.42, 0.42
_HEADING, _BETWEEN, _LINE = 0.31, 0.07, 0.115
_LEAST_PANEL, _LARGEST_PANEL = 0.9, 1.4


def n_prompts_at(width: float) -> int:
    """Return the number of prompts that a sheet of a width in inches shows by default."""
    fitting = int((width - _LEFT - _RIGHT + _BETWEEN) / (_LEAST_PANEL + _BETWEEN))
    return max(1, min(DEFAULT_PROMPTS, fitting))


@styled
def pattern_sheet(
    atlas: Atlas,
    heads: Sequence[str | HeadId],
    prompts: Sequence[str] | None = None,
    width: float = PAGE_WIDTH,
    notes: Mapping[str, tuple[str, str]] | None = None,
    query: bool = False,
) -> Figure:
    """Draw attention patterns, a row per head and a column per prompt (paper, figure 3).

    The colour is the square root of the attention, on one scale in all panels. For a head and its
    nearest heads the sheet shows what they share.

    Args:
        atlas: an atlas with patterns for viewing.
        heads: heads of the rows, from the top; repeated heads are drawn once.
        prompts: ids of prompts with patterns for viewing (default: as many as the width holds, at
            most six).
        width: width in inches.
        notes: words after and under the name of each head (default: under it its two largest motif
            shares and its classes).
        query: whether to mark the first row as the head that the others are compared with.

    Raises:
        InputError: if there are no heads, too many, or one that is not in the atlas.
        AtlasError: if a prompt has no patterns for viewing, or a file is damaged.
    """
    check_atlas(atlas)
    width = check_width(width)
    rows = list(dict.fromkeys(atlas.head_index(head) for head in list_heads(heads)))
    if not 1 <= len(rows) <= MAX_HEADS:
        raise InputError(f"the sheet would have {len(rows)} heads. Give 1 to {MAX_HEADS}.")
    shown = atlas.view_prompts()[: n_prompts_at(width)] if prompts is None else prompts
    ids = list_prompts(shown)
    if not ids:
        raise AtlasError(
            f"{atlas.place} keeps no patterns for viewing. Build it with `--n-view-prompts 6`."
        )
    panel = min((width - _LEFT - _RIGHT - _BETWEEN * (len(ids) - 1)) / len(ids), _LARGEST_PANEL)
    headings = [
        _heading(atlas, index, notes or {}, width, marked=query and row == 0)
        for row, index in enumerate(rows)
    ]
    n_lines = max(len(lines) for lines in headings)
    row_height = _HEADING + (n_lines - 2) * _LINE + panel
    height = _TOP + len(rows) * row_height + _BOTTOM
    figure = new_figure(width, height)
    _write_prompts(figure, atlas, ids, panel)
    for row, index in enumerate(rows):
        name = str(atlas.heads["head"][index])
        bottom = height - _TOP - (row + 1) * row_height
        _write_head(figure, headings[row], bottom + panel, marked=query and row == 0)
        for column, prompt_id in enumerate(ids):
            left = _LEFT + column * (panel + _BETWEEN)
            axes = figure.add_axes((left / width, bottom / height, panel / width, panel / height))
            _draw_pattern(axes, atlas.pattern(name, prompt_id), marked=query and row == 0)
            if row == len(rows) - 1 and column == 0:
                _label(axes)
    _add_bar(figure)
    return figure


def pattern_numbers(
    atlas: Atlas, heads: Sequence[str | HeadId], n_prompts: int = DEFAULT_PROMPTS
) -> pl.DataFrame:
    """Return the patterns of a sheet: columns `head`, `prompt_id`, `query`, `key`, `attention`.

    Keys after the query, which get no attention, are left out. Tokens are counted from 0.

    Raises:
        AtlasError: if a file is damaged.
    """
    import polars as pl

    tables = []
    for name in dict.fromkeys(str(atlas.heads["head"][atlas.head_index(h)]) for h in heads):
        for prompt_id in atlas.view_prompts()[:n_prompts]:
            pattern = atlas.pattern(name, prompt_id)
            query, key = np.tril_indices(len(pattern))
            tables.append(
                pl.DataFrame(
                    {
                        "query": query.astype(np.int32),
                        "key": key.astype(np.int32),
                        "attention": pattern[query, key],
                    }
                ).select(pl.lit(name).alias("head"), pl.lit(prompt_id).alias("prompt_id"), pl.all())
            )
    return pl.concat(tables)


def _room(width: float) -> float:
    """Return the points that a heading may take on a sheet of a width in inches."""
    return 72 * (width - _LEFT - 0.05)


def _heading(
    atlas: Atlas,
    index: int,
    notes: Mapping[str, tuple[str, str]],
    width: float,
    *,
    marked: bool,
) -> list[str]:
    """Return the lines above a row: the head with the words after it, if they fit; the note."""
    name = str(atlas.heads["head"][index])
    after, below = notes.get(name) or ("", motif_note(atlas, index))
    title = f"query: {name}" if marked else name
    whole = f"{title}  {after}" if after else title
    if fitted(whole, 0.88 * _room(width), FONT_SIZE) == whole:
        return [whole, below]
    return [title, after, below]


def _write_head(figure: Figure, lines: Sequence[str], top: float, *, marked: bool) -> None:
    """Write the lines above the row whose panels end at `top` inches: name first, notes smaller."""
    width, height = figure.get_size_inches()
    room = _room(width)
    title, *notes = lines
    at = top + 0.045 + _LINE * (len(notes) - 1)
    figure.text(
        _LEFT / width, (at + 0.105) / height, fitted(title, 0.88 * room, FONT_SIZE),
        fontweight="bold" if marked else "normal", color=ORANGE if marked else "black",
    )  # fmt: skip
    for k, note in enumerate(notes):
        figure.text(
            _LEFT / width, (at - k * _LINE) / height, fitted(note, room, SMALL),
            fontsize=SMALL, color=DARK,
        )  # fmt: skip


def _draw_pattern(axes: Axes, pattern: Float[np.ndarray, "n n"], *, marked: bool) -> None:
    """Draw one pattern; entries above the diagonal stay white."""
    from matplotlib.colors import PowerNorm

    future = np.triu(np.ones(pattern.shape, dtype=bool), k=1)
    axes.imshow(
        np.ma.masked_array(pattern, future), cmap=weight_colours(), norm=PowerNorm(0.5, 0.0, 1.0)
    )
    axes.axline((-0.5, -0.5), slope=1, color=LIGHT_GREY, linewidth=0.3)
    axes.set(xticks=[], yticks=[])
    for side in ("left", "bottom"):
        axes.spines[side].set(color=ORANGE if marked else GREY, linewidth=1.4 if marked else 0.4)


def _label(axes: Axes) -> None:
    """Label the axes of one panel, for all of them."""
    last = round(axes.get_xlim()[1] - 0.5)
    axes.set(xticks=sorted({0, last}), yticks=sorted({0, last}))
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
        source = fitted(row["source"].rpartition("/")[2], 72 * panel, SMALL)
        figure.text(left, 1 - 0.12 / height, source, fontsize=SMALL, fontweight="normal")
        for i, line in enumerate(wrapped(row["text"], 72 * panel, SMALL, 2)):
            figure.text(left, 1 - (0.23 + 0.105 * i) / height, line, fontsize=SMALL, color=DARK)


def _add_bar(figure: Figure) -> None:
    """Draw the colour scale below the last row, at the right."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import PowerNorm

    width, height = figure.get_size_inches()
    axes = figure.add_axes(((width - 1.42) / width, 0.2 / height, 1.3 / width, 0.06 / height))
    bar = figure.colorbar(
        ScalarMappable(PowerNorm(0.5, 0.0, 1.0), weight_colours()),
        cax=axes,
        orientation="horizontal",
    )
    bar.set_ticks([0.0, 0.1, 0.25, 0.5, 1.0], labels=["0", ".1", ".25", ".5", "1"])
    bar.outline.set_visible(False)
    axes.tick_params(length=1.5, pad=1.5)
    figure.text((width - 1.48) / width, 0.2 / height, "attention", fontsize=SMALL, ha="right")
