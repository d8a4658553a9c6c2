"""Behaviour scores of heads: names, meanings, and the classes computed from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

OF_PATTERNS = {
    "induction": "attention to the tokens that followed earlier occurrences of this one",
    "duplicate token": "attention to earlier occurrences of this token",
    "previous token": "attention to the token just before",
    "first-token sink": "attention to the first token of the sequence",
    "self": "attention to the token itself",
    "local window": "attention to the last 8 tokens, itself included, without the first token",
    "prefix matching (literal)": "attention to the tokens before earlier occurrences of this one, "
    "as Olsson et al. (2022) word it",
}
"""Scores of patterns on repeated random tokens, and their meaning; each is a mean over queries,
between 0 and 1."""

OF_OUTPUTS = {
    "copying": "share of the attended token in the logits raised among 25 random tokens, by the "
    "direct path, if the head attends to that token alone; 0.04 by chance",
    "copying (literal)": "the same for the tokens that the head attends to, as Olsson et al. "
    "(2022) word it",
}
"""Scores of the outputs of heads, and their meaning; between 0 and 1."""

WITH_GAPS = {
    "induction (random gaps)": "the same as induction where repetitions come after gaps of random "
    "length, so that a head that looks a fixed distance back scores low",
}
"""Scores of patterns on groups of random tokens that are repeated in another order."""

BEHAVIOURS = {**OF_PATTERNS, **OF_OUTPUTS, **WITH_GAPS}
"""All scores and their meaning."""

CLASS_THRESHOLDS = {
    "induction": 0.3,
    "duplicate token": 0.3,
    "previous token": 0.4,
    "first-token sink": 0.85,
    "self": 0.3,
}
"""Smallest score of the heads of a computed class, the same for every model; chosen so that a class
holds a few heads in a hundred. The local window is a matter of degree and has no class."""


def measured_classes(row: Mapping[str, object]) -> dict[str, float]:
    """Return the computed classes of a row of the heads table with their scores, largest first."""
    scores = {
        name: float(value)
        for name, threshold in CLASS_THRESHOLDS.items()
        if isinstance(value := row.get(name), float) and value >= threshold
    }
    return dict(sorted(scores.items(), key=lambda item: -item[1]))


def class_text(classes: Sequence[str], measured: Mapping[str, float]) -> str:
    """Return known classes, and measured ones with their scores, for a table."""
    return ", ".join([*classes, *(f"{name} {score:.2f}" for name, score in measured.items())])


def computed_classes(
    scores: Mapping[str, Float[np.ndarray, " heads"]],
) -> dict[str, Bool[np.ndarray, " heads"]]:
    """Return the members of each computed class: heads whose score reaches `CLASS_THRESHOLDS`.

    Heads without a score (NaN) are in no class.
    """
    return {
        name: np.nan_to_num(np.asarray(scores[name]), nan=-1.0) >= threshold
        for name, threshold in CLASS_THRESHOLDS.items()
        if name in scores
    }
