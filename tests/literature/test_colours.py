"""The colours of the groups can be told apart, also by eyes without one kind of cone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from attention_motifs.literature import (
    COMPUTED_COLOURS,
    UNKNOWN_COLOUR,
    group_colours,
    load_known_heads,
)

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
SEEN_BY = {
    "three cones": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}
# sRGB primaries and D65, IEC 61966-2-1.
TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
WHITE = TO_XYZ.sum(axis=1)


def linear(colour: str) -> np.ndarray:
    rgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    x = TO_XYZ @ np.clip(rgb, 0, 1) / WHITE
    f = np.where(x > (6 / 29) ** 3, np.cbrt(x), x / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def nearest_two(eyes: str, colours: list[str]) -> float:
    """Smallest distance in CIELAB (1976); 2.3 is just noticeable side by side."""
    seen = [lab(SEEN_BY[eyes] @ linear(colour)) for colour in colours]
    return min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2))


def test_the_measure_knows_a_pair_that_one_eye_confuses() -> None:
    confused = ["#A05A00", "#4D7F00"]  # brown and green of like lightness
    assert nearest_two("three cones", confused) > 30
    assert nearest_two("deuteranopia", confused) < nearest_two("three cones", confused) / 2
    assert nearest_two("three cones", ["#000000", "#FFFFFF"]) == pytest.approx(100, abs=0.1)


@pytest.mark.parametrize(
    ("eyes", "apart", "from_grey"),
    [("three cones", 18, 25), ("protanopia", 13, 13), ("deuteranopia", 10, 9)],
)
def test_groups_are_told_apart_and_from_the_unknown(
    eyes: str, apart: float, from_grey: float
) -> None:
    colours = [*group_colours().values(), *COMPUTED_COLOURS.values()]
    assert len(set(colours)) == len(colours) == 30
    assert nearest_two(eyes, colours) >= apart
    assert min(nearest_two(eyes, [c, UNKNOWN_COLOUR]) for c in colours) >= from_grey


FROM_A_SCHEME = {
    group.name
    for group in load_known_heads().groups.values()
    if group.scheme.startswith(("Okabe", "Tol"))
}


@pytest.mark.parametrize("background", ["#FFFFFF", "#1A1A1A"])
def test_no_colour_sinks_into_the_page(background: str) -> None:
    """Contrast of WCAG 2: (L1 + 0.05) / (L2 + 0.05) of the relative luminances."""
    page = float(TO_XYZ[1] @ linear(background))
    for group, colour in {**group_colours(), **COMPUTED_COLOURS}.items():
        luminance = float(TO_XYZ[1] @ linear(colour))
        contrast = (max(page, luminance) + 0.05) / (min(page, luminance) + 0.05)
        computed = group in group_colours() and group not in FROM_A_SCHEME
        assert contrast >= (1.8 if computed else 1.4), (group, background)
