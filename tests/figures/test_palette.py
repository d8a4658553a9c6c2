"""The palette stays apart for every colour vision and in grey, whatever classes are present."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention_motifs.figures.head_groups import COMPUTED, OTHER_CLASSES, UNKNOWN, _marked
from attention_motifs.figures.palette import MARKERS, MOTIF_LETTERS, PALETTE
from attention_motifs.literature import COMPUTED_COLOURS, group_colours

# Machado, Oliveira & Fernandes (2009), severity 1, in linear RGB.
VISIONS = {
    "normal": np.eye(3),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.01182, 0.04294, 0.968881],
        ]
    ),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(colour: str, vision: str = "normal") -> np.ndarray:
    """CIE L*a*b* (D65) of a colour as a colour vision sees it."""
    from matplotlib.colors import to_rgb

    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(VISIONS[vision] @ linear, 0, 1) / TO_XYZ.sum(axis=1)
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", VISIONS)
def test_colours_are_far_apart_for_every_colour_vision(vision: str) -> None:
    for a, b in combinations(PALETTE, 2):
        assert np.linalg.norm(lab(a, vision) - lab(b, vision)) > 20, (a, b)


def test_colours_are_apart_in_grey_and_shapes_differ() -> None:
    lightness = sorted(lab(colour)[0] for colour in PALETTE)
    assert min(np.diff(lightness)) > 8
    assert lightness[-1] < 85.5  # and apart from white paper
    assert len(set(MARKERS)) == len(PALETTE) == len(MARKERS)
    assert len(set(MOTIF_LETTERS.values())) == len(MOTIF_LETTERS)


@given(st.lists(st.sampled_from([*group_colours(), *COMPUTED_COLOURS]), max_size=40))
def test_classes_that_are_present_differ_in_shape_and_colour(groups: list[str]) -> None:
    computed = [name + COMPUTED for name in groups[::2]]
    shown = _marked([*groups, *computed, UNKNOWN])
    by_class = {
        name.removesuffix(COMPUTED): mark
        for name, mark in shown.marks.items()
        if name not in (UNKNOWN, OTHER_CLASSES)
    }
    assert len(by_class) <= len(PALETTE)
    assert len({mark.marker for mark in shown.marks.values()}) == len(
        {name.removesuffix(COMPUTED) for name in shown.marks}
    )
    for a, b in combinations(by_class.values(), 2):
        for vision in VISIONS:
            assert np.linalg.norm(lab(a.colour, vision) - lab(b.colour, vision)) > 20
