"""One label and one colour per head, the same in every figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.behaviour import CLASS_THRESHOLDS
from attention_motifs.figures.style import GREY
from attention_motifs.literature import COMPUTED_COLOURS, group_colours
from attention_motifs.literature.records import load_known_heads

if TYPE_CHECKING:
    from attention_motifs.atlas import Atlas

UNKNOWN = "not known"


@dataclass(frozen=True)
class HeadGroups:
    """Label of every head, in the order of `atlas.heads`, and the colour of each label."""

    labels: tuple[str, ...]
    colours: dict[str, str]
    """Labels in the order of a legend, `UNKNOWN` last."""


def head_groups(atlas: Atlas) -> HeadGroups:
    """Group each head by its class in the literature, else by its behaviour scores.

    Classes of the atlas's own class file count as those of the literature.

    A head with several classes takes the first; one above the thresholds of several behaviours
    takes the behaviour that exceeds its own by the largest factor. Computed labels end in
    "(computed)" and share the colour of the literature's group.

    Raises:
        AtlasError: if the heads table is missing or damaged.
        InputError: if the class file of the atlas is malformed.
    """
    file = atlas.paths.own_classes
    known, colours = load_known_heads(file).classes, {**group_colours(file), **COMPUTED_COLOURS}
    heads = atlas.heads
    measured = [name for name in CLASS_THRESHOLDS if name in heads.columns]
    scores = np.zeros((len(heads), len(measured)))
    for j, name in enumerate(measured):
        scores[:, j] = heads[name].fill_null(0.0).to_numpy() / CLASS_THRESHOLDS[name]
    labels = []
    for row, classes in enumerate(heads["classes"].to_list()):
        groups = [known[name].group for name in classes or () if name in known]
        if groups:
            labels.append(groups[0])
        elif measured and scores[row].max() >= 1.0:
            labels.append(f"{measured[int(scores[row].argmax())]} (computed)")
        else:
            labels.append(UNKNOWN)
    present = [
        name for group in colours for name in (group, f"{group} (computed)") if name in set(labels)
    ]
    legend = {name: colours[name.removesuffix(" (computed)")] for name in present}
    return HeadGroups(tuple(labels), {**legend, UNKNOWN: GREY})
