"""One-to-one matches between the heads of two models."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

NULL_SHARE = 0.05
"""Share of the matches of the null that are as near as the threshold."""

_TIE = 1e-6
"""Difference of distances, relative to their median, that counts as a tie."""


def match_heads(
    distances: Float[np.ndarray, "first second"],
    threshold: float = math.inf,
    *,
    allowed: Bool[np.ndarray, "first second"] | None = None,
    preferred: Bool[np.ndarray, "first second"] | None = None,
) -> Int[np.ndarray, " first"]:
    """Match heads one to one, so that the distances below the threshold sum to the least.

    A pair at distance d lowers the sum by `threshold` - d, so that a head stays alone rather than
    take a match beyond the threshold. The assignment is exact (`scipy.optimize`).

    Args:
        distances: (first, second) between the heads of two models.
        threshold: largest distance of a match.
        allowed: (first, second) pairs that may be matched; default: all.
        preferred: (first, second) pairs that win ties, such as those at the same place.

    Returns:
        (first,) index of the match among the second heads, -1 for a head without one.

    Raises:
        InputError: if an allowed distance is not finite.
    """
    from scipy.optimize import linear_sum_assignment

    values = np.asarray(distances, dtype=np.float64)
    mask = np.ones(values.shape, dtype=bool) if allowed is None else allowed
    if not np.isfinite(values[mask]).all():
        raise InputError(
            "distances between the two models are not finite: heads cannot be matched. Use "
            "another metric, such as mean"
        )
    matches = np.full(len(values), -1)
    if not mask.any():
        return matches
    tie = _TIE * (float(np.median(values[mask])) or 1.0)
    limit = min(threshold, float(values[mask].max()))
    gain = np.where(mask, limit - values + tie, 0.0)
    if preferred is not None:
        gain += tie * (preferred & mask)
    gain = np.maximum(gain, 0.0)
    rows, columns = linear_sum_assignment(gain, maximize=True)
    kept = gain[rows, columns] > 0
    matches[rows[kept]] = columns[kept]
    return matches


def null_distances(
    distances: Float[np.ndarray, "heads heads"], allowed: Bool[np.ndarray, "heads heads"]
) -> Float[np.ndarray, " matched"]:
    """Return the distances of matches between different heads of one model.

    Every head is matched to another head than itself, one to one, under the same constraint of
    layers. Such heads are not the same head, and are yet as much alike as a choice among all
    heads can make them.

    Args:
        distances: (heads, heads) within a model.
        allowed: (heads, heads) pairs that may be matched, such as those of one layer.
    """
    others = allowed & ~np.eye(len(distances), dtype=bool)
    matches = match_heads(distances, allowed=others)
    kept = np.flatnonzero(matches >= 0)
    chosen: Float[np.ndarray, " matched"] = np.asarray(distances, dtype=np.float64)[
        kept, matches[kept]
    ]
    return chosen


def match_threshold(null: Float[np.ndarray, " matched"]) -> float:
    """Return the distance that 5 % of the matches of the null do not exceed.

    Args:
        null: distances of `null_distances`; infinity without any.
    """
    return float(np.quantile(null, NULL_SHARE)) if len(null) else math.inf
