"""The style of all figures, safe text, and files that are equal from run to run."""

from __future__ import annotations

import contextlib
import functools
import io
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

from attention_motifs.errors import InputError, replace_unprintable
from attention_motifs.figures.palette import PALETTE
from attention_motifs.store.files import atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    Colour = tuple[float, float, float]

P = ParamSpec("P")

COLUMN_WIDTH = 3.35
"""Width in inches of one column of a two-column page."""
TEXT_WIDTH = 5.5
"""Width in inches of the text of a page with one column."""
PAGE_WIDTH = 6.9
"""Width in inches of both columns of a two-column page."""
MAX_WIDTH = 12.0
NARROW = 5.0
"""Below this width in inches, figures of three panels have two per row."""
DOTS = 300
"""Dots per inch of pictures."""

FONT = "DejaVu Sans"  # comes with matplotlib, so that figures are the same everywhere
FONT_SIZE = 7.0
SMALL = 6.0
"""Size in points of the smallest text."""
MISSING = "\N{WHITE SQUARE}"
"""Replaces a character that the font lacks."""

_STYLE: dict[str, Any] = {
    "axes.grid": False,
    "axes.labelsize": FONT_SIZE,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": FONT_SIZE,
    # The generic family is the fallback of an SVG on machines without the font.
    "font.family": [FONT, "sans-serif"],
    "font.sans-serif": [FONT],
    "font.size": FONT_SIZE,
    # Cells of patterns and matrices keep their edges: neither resampled nor merged.
    "image.composite_image": False,
    "image.interpolation": "none",
    "legend.fontsize": FONT_SIZE,
    "legend.frameon": False,
    # TrueType: large venues refuse the Type 3 fonts that are matplotlib's default.
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "savefig.dpi": DOTS,
    # Text in an SVG stays text, which can be searched, copied and read aloud.
    "svg.fonttype": "none",
    # Without a salt the names of an SVG's parts are random.
    "svg.hashsalt": "attention-motifs",
    # Dollar signs in model names and prompts are not mathematics.
    "text.parse_math": False,
    "text.usetex": False,
    "xtick.labelsize": SMALL,
    "xtick.major.size": 2.5,
    "xtick.major.width": 0.6,
    "ytick.labelsize": SMALL,
    "ytick.major.size": 2.5,
    "ytick.major.width": 0.6,
}

# Without a date equal figures give equal bytes.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}


def check_width(width: object) -> float:
    """Return a width of figures in inches.

    Raises:
        InputError: if it is no number from 3.35 to 12.
    """
    if (
        isinstance(width, bool)
        or not isinstance(width, int | float)
        or not COLUMN_WIDTH <= width <= MAX_WIDTH
    ):
        raise InputError(
            f"width={width!r:.80}: expected inches from {COLUMN_WIDTH} to {MAX_WIDTH:g}, such as "
            f"{COLUMN_WIDTH} (a column), {TEXT_WIDTH} (a page of one column) or {PAGE_WIDTH} (both "
            "columns)"
        )
    return float(width)


def new_figure(width: float, height: float, **options: Any) -> Figure:
    """Return an empty figure of a size in inches, which notebooks show without pyplot."""
    figure: Figure = _figure_class()(figsize=(check_width(width), height), **options)
    return figure


@functools.cache
def _figure_class() -> type[Figure]:
    """Return the class of figures, made on first use so that importing needs no matplotlib."""
    from matplotlib.figure import Figure

    class PaperFigure(Figure):
        def _repr_png_(self) -> bytes:
            picture = io.BytesIO()
            with style():
                self.savefig(picture, format="png", dpi=DOTS / 2)
            return picture.getvalue()

    return PaperFigure


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Set matplotlib's parameters to the style and restore them afterwards."""
    from matplotlib import style as matplotlib_style

    with matplotlib_style.context(["default", _STYLE]):
        yield


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorate a function so that it draws its figure in the style.

    Layout and ticks, which matplotlib computes only when it draws, are computed here, so that the
    figure keeps its style when it is saved later.
    """

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with style():
            figure = draw(*args, **kwargs)
            figure.draw_without_rendering()
            return figure

    return drawn


def save(
    figure: Figure, folder: str | Path, name: str, formats: Sequence[str] = ("png", "svg")
) -> list[Path]:
    """Write `folder/name.<format>` for each format; equal figures give equal bytes.

    Args:
        figure: a figure returned by the functions of this package.
        folder: the folder, created if it does not exist.
        name: name of the files without an ending.
        formats: `png` (300 dots per inch), `svg` or `pdf`.

    Returns:
        Paths in the order of the formats.

    Raises:
        InputError: if a format is not known, or an argument is of another type.
        ResourceError: if the disk is full or the folder cannot be written.
    """
    from matplotlib.figure import Figure

    if not isinstance(figure, Figure):
        raise InputError(f"figure={figure!r:.80}: expected a figure of matplotlib")
    if not isinstance(folder, str | os.PathLike) or "\0" in os.fspath(folder):
        raise InputError(f"folder={folder!r:.80}: expected the path of a folder")
    if not isinstance(name, str) or not name or name != Path(name).name or "\0" in name:
        raise InputError(f"name={name!r:.80}: expected the name of a file without a folder")
    paths = []
    for ending in check_formats(formats):
        path = Path(folder) / f"{name}.{ending}"
        with style(), atomic(path) as temporary:
            figure.savefig(temporary, format=ending, metadata=_METADATA[ending])
            if ending == "png":
                _keep_colours(temporary)
        paths.append(path)
    return paths


def _keep_colours(picture: Path) -> None:
    """Write a picture again with its 256 most used colours, in less than half the bytes."""
    from PIL import Image

    with Image.open(picture) as whole:
        dots = whole.info["dpi"]
        fewer = whole.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    fewer.save(picture, "PNG", optimize=True, dpi=dots)


def check_formats(formats: Sequence[str] | str) -> list[str]:
    """Return formats of figures as a list; a single name is one format.

    Raises:
        InputError: if they are no names of known formats.
    """
    names = [formats] if isinstance(formats, str) else formats
    try:
        names = list(names)
    except TypeError as error:
        known = ", ".join(_METADATA)
        raise InputError(f"formats={formats!r:.80}: expected a list of {known}") from error
    for ending in names:
        if not isinstance(ending, str) or ending not in _METADATA:
            raise InputError(
                f"figure format {ending!r:.80} is not known. Choose {', '.join(_METADATA)}."
            )
    return names


def colours(n: int) -> list[Colour]:
    """Return n colours: the palette, then darker and lighter variants of it."""
    from matplotlib.colors import to_rgb

    rounds = (None, ((0.0, 0.0, 0.0), 0.45), ((1.0, 1.0, 1.0), 0.55))
    chosen = []
    for i in range(n):
        colour = to_rgb(PALETTE[i % len(PALETTE)])
        change = rounds[i // len(PALETTE) % len(rounds)]
        chosen.append(colour if change is None else mix(colour, *change))
    return chosen


def mix(colour: Colour, second: Colour, share: float) -> Colour:
    """Mix two colours; `share` (0 to 1) is that of the second."""
    red, green, blue = ((1 - share) * a + share * b for a, b in zip(colour, second, strict=True))
    return red, green, blue


def legend_below(figure: Figure, handles: Sequence[Any], labels: Sequence[str], **more: Any) -> Any:
    """Draw a legend below the axes, in as many columns as fit the width."""
    return figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=legend_columns(labels, figure.get_figwidth()),
        handletextpad=0.4,
        columnspacing=1.5,
        **more,
    )


def legend_columns(labels: Sequence[str], width: float) -> int:
    """Return the number of legend columns that fit a width in inches; at least one."""
    widest = max(text_width(label, FONT_SIZE) for label in labels)
    fitting = int(72 * width / (widest + 5 * FONT_SIZE))
    return max(1, min(fitting, len(labels)))


def legend_height(labels: Sequence[str], width: float) -> float:
    """Return the height in inches of a legend below axes of a width in inches."""
    return 0.05 + 0.15 * -(-len(labels) // legend_columns(labels, width))


def round_ticks(n: int, *, whole: bool = False) -> Any:
    """Return a locator of about n ticks at multiples of 1, 2 or 5 (of a power of ten).

    Args:
        n: largest number of intervals.
        whole: whether ticks are whole numbers, as for layers.
    """
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(n, steps=[1, 2, 5, 10], integer=whole)


def plain(text: str) -> str:
    """Return the text on one line, without characters that cannot be printed.

    White space becomes one space, control and formatting characters are dropped, and a character
    that the font lacks, or that is for private use, becomes an empty square.
    """
    known = _characters()
    return "".join(c if ord(c) in known and c.isprintable() else MISSING for c in _one_line(text))


def _one_line(text: str) -> str:
    return " ".join(replace_unprintable(text, lambda c: " " if c.isspace() else "").split())


def fitted(text: str, width: float, size: float) -> str:
    """Return `plain(text)`, cut with an ellipsis to a width in points at a font size."""
    # Few characters are narrower than a quarter of an em, so the rest of a long text is dropped.
    shown = plain(_one_line(text)[: int(width / size * 8) + 8])
    if text_width(shown, size) <= width:
        return shown
    while shown and text_width(shown + "…", size) > width:
        shown = shown[:-1]
    return shown.rstrip() + "…"


def wrapped(text: str, width: float, size: float, n_lines: int) -> list[str]:
    """Return `plain(text)` on at most n lines of a width in points, the last one cut to fit."""
    # A line holds few characters, so the rest of a long text is dropped.
    words = plain(_one_line(text)[: n_lines * (int(width / size * 8) + 8)]).split(" ")
    lines: list[str] = []
    while words and len(lines) < n_lines - 1:
        n = len(words)
        while n > 1 and text_width(" ".join(words[:n]), size) > width:
            n -= 1
        line = " ".join(words[:n])
        if text_width(line, size) > width:
            break
        lines.append(line)
        words = words[n:]
    rest = fitted(" ".join(words), width, size)
    return [line for line in (*lines, rest) if line]


def text_width(text: str, size: float) -> float:
    """Return the width of a line in points, at a font size in points."""
    font = _font()
    # Measured at sixteen times the size, since small glyphs are fitted to whole pixels.
    font.set_size(size, 16 * 72)
    font.set_text(plain(text), 0.0)
    return float(font.get_width_height()[0]) / 64.0 / 16


def _font() -> Any:
    from matplotlib.font_manager import findfont, get_font

    return get_font(findfont(FONT))


@functools.cache
def _characters() -> frozenset[int]:
    return frozenset(_font().get_charmap())
