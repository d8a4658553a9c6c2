"""Calibration of class probabilities: accuracy, Brier score, reliability curve."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.evaluation.class_probabilities import with_unknown

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

EDGES = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Bounds of the bins of the reliability curve; most probabilities are small."""

SURE = 0.8
"""Probability from which a verdict on a class counts as sure."""


@dataclass(frozen=True)
class ReliabilityBin:
    """Probabilities in one bin: from `low`, below `high` (the last bin includes it)."""

    low: float
    high: float
    n: int
    predicted: float
    """Mean probability."""
    observed: float
    """Share of these heads that are in the class."""


@dataclass(frozen=True)
class Calibration:
    """Calibration of the class probabilities of some heads.

    Attributes:
        accuracy: share of heads whose verdict is one of their classes, or `unknown` for a head of
            no class.
        always_unknown: accuracy of the verdict `unknown` on every head.
        brier: mean squared difference of probability and membership, over heads and classes.
        brier_of_shares: the same for the share of each class as its probability.
        n_sure: number of verdicts on a class with a probability above `SURE`.
        sure_and_right: share of these that are right; NaN without any.
        bins: reliability curve over all classes.
    """

    accuracy: float
    always_unknown: float
    brier: float
    brier_of_shares: float
    n_sure: int
    sure_and_right: float
    bins: tuple[ReliabilityBin, ...]


def calibration(
    probabilities: Float[np.ndarray, "heads classes"],
    members: Bool[np.ndarray, "heads classes"],
    shares: Float[np.ndarray, " classes"],
) -> Calibration:
    """Compare class probabilities with the classes that heads have.

    Args:
        probabilities: (heads, classes) without `unknown`.
        members: (heads, classes) whether each head is in each class.
        shares: (classes,) share of each class among the heads it was learnt from.
    """
    verdicts = with_unknown(probabilities).argmax(axis=1)
    truth = np.column_stack([members, ~members.any(axis=1)])
    right = truth[np.arange(len(verdicts)), verdicts]
    best = probabilities.max(axis=1, initial=0.0)
    sure = (verdicts < members.shape[1]) & (best > SURE)
    return Calibration(
        float(right.mean()),
        float(truth[:, -1].mean()),
        float(((probabilities - members) ** 2).mean()),
        float(((shares - members) ** 2).mean()),
        int(sure.sum()),
        float(right[sure].mean()) if sure.any() else float("nan"),
        reliability(probabilities, members),
    )


def reliability(
    probabilities: Float[np.ndarray, "*shape"], members: Bool[np.ndarray, "*shape"]
) -> tuple[ReliabilityBin, ...]:
    """Return the bins of the reliability curve that hold a probability.

    Args:
        probabilities: of any shape.
        members: whether each came true, of the same shape.
    """
    p, y = np.ravel(probabilities), np.ravel(members)
    bins = []
    for low, high in pairwise(EDGES):
        inside = (p >= low) & ((p < high) | (high == EDGES[-1]))
        if inside.any():
            bins.append(
                ReliabilityBin(
                    low, high, int(inside.sum()), float(p[inside].mean()), float(y[inside].mean())
                )
            )
    return tuple(bins)
