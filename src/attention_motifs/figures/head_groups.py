"""One label, one colour and one marker shape per head, the same in every figure of an atlas."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.behaviour import CLASS_THRESHOLDS
from attention_motifs.figures.palette import CLASS_MARKS, GREY, OTHERS, SPARE_MARKS, Mark
from attention_motifs.literature import group_colours
from attention_motifs.literature.records import load_known_heads

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attention_motifs.atlas import Atlas

UNKNOWN = "not known"
COMPUTED = " (computed)"
"""Ending of the labels of classes that behaviour scores, not the literature, give."""
OTHER_CLASSES = "other classes"


@dataclass(frozen=True)
class HeadGroups:
    """Label of every head, in the order of `atlas.heads`, and the mark of each label."""

    labels: tuple[str, ...]
    marks: dict[str, Mark]
    """Labels in the order of a legend, `UNKNOWN` last."""


def head_groups(atlas: Atlas) -> HeadGroups:
    """Group each head by its class in the literature, else by its behaviour scores.

    Classes of the atlas's own class file count as those of the literature.

    A head with several classes takes the first; one above the thresholds of several behaviours
    takes the behaviour that exceeds its own by the largest factor. Computed labels end in
    "(computed)" and share the mark of the literature's group. Classes beyond the eight marks that
    stay apart in print share one. Groups of the atlas's own class file keep the colour given there.

    Raises:
        AtlasError: if the heads table is missing or damaged.
        InputError: if the class file of the atlas is malformed.
    """
    known = load_known_heads(atlas.paths.own_classes).classes
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
            labels.append(measured[int(scores[row].argmax())] + COMPUTED)
        else:
            labels.append(UNKNOWN)
    shipped = group_colours()
    of_user = group_colours(atlas.paths.own_classes)
    return _marked(labels, {n: colour for n, colour in of_user.items() if n not in shipped})


def _marked(labels: Sequence[str], colours: Mapping[str, str] = MappingProxyType({})) -> HeadGroups:
    """Give the marks to the groups that are present, most heads first; users choose colours."""
    counts = Counter(label.removesuffix(COMPUTED) for label in labels if label != UNKNOWN)
    marks = {name: mark for name, mark in CLASS_MARKS.items() if name in counts}
    spare = sorted((n for n in counts if n not in marks), key=lambda n: (-counts[n], n))
    free = [mark for mark in (*SPARE_MARKS, *CLASS_MARKS.values()) if mark not in marks.values()]
    for name, mark in zip(spare, free, strict=False):
        marks[name] = Mark(colours.get(name, mark.colour), mark.marker)
    present = set(labels)
    shown = tuple(
        label if label == UNKNOWN or label.removesuffix(COMPUTED) in marks else OTHER_CLASSES
        for label in labels
    )
    legend = {
        label: mark
        for name, mark in marks.items()
        for label in (name, name + COMPUTED)
        if label in present
    }
    if OTHER_CLASSES in shown:
        legend[OTHER_CLASSES] = OTHERS
    return HeadGroups(shown, {**legend, UNKNOWN: Mark(GREY, ".")})
