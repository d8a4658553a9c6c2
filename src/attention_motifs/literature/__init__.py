"""Classes of heads from the literature, each with its source."""

from __future__ import annotations

from attention_motifs.literature.graded import (
    GradedScores,
    fetch_graded_scores,
    graded_scores,
)
from attention_motifs.literature.records import (
    Assignment,
    HeadClass,
    HeadGroup,
    KnownModel,
    Literature,
    Source,
    load_known_heads,
)
from attention_motifs.literature.search import search_heads
from attention_motifs.literature.tables import (
    COMPUTED_COLOURS,
    UNKNOWN_COLOUR,
    class_colours,
    class_table,
    classes_of,
    conflict_table,
    group_colours,
    known_heads,
)

__all__ = [
    "COMPUTED_COLOURS",
    "UNKNOWN_COLOUR",
    "Assignment",
    "GradedScores",
    "HeadClass",
    "HeadGroup",
    "KnownModel",
    "Literature",
    "Source",
    "class_colours",
    "class_table",
    "classes_of",
    "conflict_table",
    "fetch_graded_scores",
    "graded_scores",
    "group_colours",
    "known_heads",
    "load_known_heads",
    "search_heads",
]
