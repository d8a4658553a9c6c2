"""One-to-one matches between the heads of two models."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jaxtyping import Bool, Float, Int

NULL_SHARE = 0.05
"""Share of the matches of the null that one threshold accepts; `match_limits` uses two halves."""

_TIE = 1e-6
"""Difference of distances, relative to their median, that counts as a tie."""


def match_heads(
    distances: Float[np.ndarray, "first second"],
    threshold: float | Float[np.ndarray, "first second"] = math.inf,
    *,
    allowed: Bool[np.ndarray, "first second"] | None = None,
    preferred: Bool[np.ndarray, "first second"] | None = None,
) -> Int[np.ndarray, " first"]:
    """Match heads one to one, so that the distances below the threshold sum to the least.

    A pair at distance d lowers the sum by `threshold` - d, so that a head stays alone rather than
    take a match beyond the threshold. The assignment is exact (`scipy.optimize`).

    Args:
        distances: (first, second) between the heads of two models.
        threshold: largest distance of a match, for all pairs or for each.
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
    limit = np.minimum(threshold, float(values[mask].max()))
    gain = np.where(mask, limit - values + tie, 0.0)
    if preferred is not None:
        gain += tie * (preferred & mask)
    gain = np.maximum(gain, 0.0)
    rows, columns = linear_sum_assignment(gain, maximize=True)
    kept = gain[rows, columns] > 0
    matches[rows[kept]] = columns[kept]
    return matches


def match_limits(
    between: Float[np.ndarray, "first second"],
    inside: Sequence[Float[np.ndarray, "heads heads"]],
    allowed: Callable[[int, int], Bool[np.ndarray, "left right"]],
) -> Float[np.ndarray, "first second"]:
    """Return the largest distance at which each pair of heads counts as a match.

    The null is a match between different heads of one model. A pair is accepted if it is as near
    as the nearest 2.5 % of the null, or if it is as near, compared with the nearest other heads of
    both in their models, as the nearest 2.5 % of the null are. The first accepts look-alikes, the
    second a head that moved and is still by far the nearest.

    Args:
        between: (first, second) distances between the heads of two models.
        inside: (first, first) and (second, second) distances within each.
        allowed: function from two models, 0 or 1, to the pairs of their heads that may be matched.

    Returns:
        (first, second) limits; infinity if no head has another one in its model.
    """
    nulls, ratios, scales = [], [], []
    for model in (0, 1):
        values = np.asarray(inside[model], dtype=np.float64)
        others = allowed(model, model) & ~np.eye(len(values), dtype=bool)
        matches = match_heads(values, allowed=others)
        kept = np.flatnonzero(matches >= 0)
        pairs = np.where(others, values, math.inf)
        scales.append(pairs.min(axis=1, initial=math.inf))
        nulls.append(values[kept, matches[kept]])
        ratios.append(_null_ratios(pairs, kept, matches[kept]))
    scale = np.minimum(scales[0][:, None], scales[1][None, :])
    limit = match_threshold(np.concatenate(nulls), NULL_SHARE / 2)
    ratio = match_threshold(np.concatenate(ratios), NULL_SHARE / 2)
    relative = np.full(between.shape, 0.0)
    if math.isfinite(ratio):
        relative = np.where(np.isfinite(scale), ratio * scale, 0.0)
    limits: Float[np.ndarray, "first second"] = np.maximum(limit, relative)
    return limits


def _null_ratios(
    pairs: Float[np.ndarray, "heads heads"],
    heads: Int[np.ndarray, " matched"],
    matches: Int[np.ndarray, " matched"],
) -> Float[np.ndarray, " matched"]:
    """Return distances of matches over the distance to the nearest third head of either."""
    ratios = []
    for head, match in zip(heads.tolist(), matches.tolist(), strict=True):
        thirds = pairs[[head, match]].copy()
        thirds[:, [head, match]] = math.inf
        nearest = thirds.min()
        if math.isfinite(nearest) and nearest > 0:
            ratios.append(pairs[head, match] / nearest)
    return np.array(ratios)


def match_threshold(null: Float[np.ndarray, " matched"], share: float = NULL_SHARE) -> float:
    """Return the value that a share of the null does not exceed.

    Args:
        null: distances or ratios of matches of the null; infinity without any.
        share: between 0 and 1.
    """
    return float(np.quantile(null, share)) if len(null) else math.inf
