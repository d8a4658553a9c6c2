"""Colours and marker shapes of the figures, chosen for every colour vision and for grey print.

The eight colours are equally spaced in lightness (CIE L* 22 to 84, steps of 8.9), so they stay
apart in grey. Among them any two differ by 24 or more (CIE 1976) for deuteranopes and protanopes
(Machado et al. 2009, severity 1); `tests/figures/test_palette.py` checks both.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple

from attention_motifs.features.motif_definitions import MOTIFS

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

BLUE, ORANGE, MINT, WINE = "#0579BA", "#E36404", "#11B691", "#8F005A"
YELLOW, INDIGO, GREEN, SKY = "#FFCA46", "#0245F8", "#003E09", "#1EC8F7"

PALETTE = (BLUE, ORANGE, MINT, WINE, YELLOW, INDIGO, GREEN, SKY)
"""Colours in the order in which they are used."""
MARKERS = ("s", "D", "^", "o", "P", "X", "v", "*")
"""Marker shape of each colour of `PALETTE`."""
LINES: tuple[Literal["-", "--", "-.", ":"], ...] = ("-", "--", "-.", ":")

GREY = "#6E6E6E"
LIGHT_GREY = "#C4C4C4"


class Mark(NamedTuple):
    """Colour and marker shape of a class."""

    colour: str
    marker: str


CLASS_MARKS: Mapping[str, Mark] = MappingProxyType(
    {
        "previous token": Mark(BLUE, "s"),
        "induction": Mark(ORANGE, "D"),
        "duplicate token": Mark(MINT, "^"),
        "first-token sink": Mark(WINE, "o"),
        "self": Mark(GREEN, "v"),
    }
)
"""Marks of the classes that most models have; the remaining marks go to the largest others."""
SPARE_MARKS = (Mark(YELLOW, "P"), Mark(INDIGO, "X"), Mark(SKY, "*"))
OTHERS = Mark(GREY, "d")
"""Mark of all classes for which no mark is free."""

MOTIF_COLOURS: Mapping[str, str] = MappingProxyType(
    dict(
        zip(
            MOTIFS,
            (WINE, GREEN, BLUE, MINT, ORANGE, YELLOW, INDIGO, SKY, LIGHT_GREY, "#F2F2F2"),
            strict=True,
        )
    )
)
"""Colour of each motif; uniform and residual attention are grey."""
MOTIF_LETTERS: Mapping[str, str] = MappingProxyType(
    dict(zip(MOTIFS, ("F", "S", "P", "D", "I", ".", "O", "L", "u", "r"), strict=True))
)
"""A letter per motif, for maps that are read in grey."""


def weight_colours() -> Colormap:
    """Return the colours of weights: none has the colour of paper.

    In 40 steps, which no eye tells apart in a pattern, pictures are a third smaller than in 256.
    """
    import matplotlib

    return matplotlib.colormaps["Blues"].resampled(40)
