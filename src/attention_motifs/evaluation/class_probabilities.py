"""Probabilities of head classes, learnt from labelled heads of other models.

Each class has a logistic regression with a ridge penalty on a few numbers per head. The number of
heads from which a class was learnt bounds how sure it can be. The probability of `unknown` is that
of being in no class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

UNKNOWN = "unknown"
"""Name of the verdict on a head that is probably in no class."""

RIDGE = 1.0
"""Penalty on the squared weights of standardised numbers."""

N_VOTERS = 8
"""Nearest labelled heads that a head is compared with."""

N_CLOSEST = 3
"""Nearest heads of a class whose mean distance counts."""

MOST_NEARNESS = 3.0
"""Bound on the logarithm of a ratio of distances."""

TINY = 1e-12

_STEPS = 50
_CONVERGED = 1e-9


@dataclass(frozen=True)
class ClassModel:
    """Fitted regressions, one per class.

    Attributes:
        names: classes.
        centre: (numbers,) means of the labelled heads.
        scale: (numbers,) their standard deviations; 1 where there is none.
        weights: (classes, numbers) of the standardised numbers.
        intercepts: (classes,) log odds of a head at the centre.
        shares: (classes,) share of the labelled heads in each class.
        trust: (classes,) weight of the regression against the share, below 1.
    """

    names: tuple[str, ...]
    centre: Float[np.ndarray, " numbers"]
    scale: Float[np.ndarray, " numbers"]
    weights: Float[np.ndarray, "classes numbers"]
    intercepts: Float[np.ndarray, " classes"]
    shares: Float[np.ndarray, " classes"]
    trust: Float[np.ndarray, " classes"]

    def probabilities(
        self, numbers: Float[np.ndarray, "heads numbers"]
    ) -> Float[np.ndarray, "heads classes"]:
        """Return the probability of each class, in the order of `names`; they need not sum to 1."""
        logits = ((numbers - self.centre) / self.scale) @ self.weights.T + self.intercepts
        return np.asarray(self.trust * _sigmoid(logits) + (1.0 - self.trust) * self.shares)


def fit_classes(
    numbers: Float[np.ndarray, "heads numbers"],
    members: Bool[np.ndarray, "heads classes"],
    names: Sequence[str],
) -> ClassModel:
    """Fit the regressions of all classes to labelled heads.

    Args:
        numbers: (heads, numbers) what is known of each head, finite.
        members: (heads, classes) whether each head is in each class.
        names: classes.

    Returns:
        The fitted model. A class of m heads is trusted m / (m + 1); one without heads has
        probability 0.
    """
    centre = numbers.mean(axis=0)
    deviation = numbers.std(axis=0)
    scale = np.where(deviation > 1e-9, deviation, 1.0)
    standardised = (numbers - centre) / scale
    fitted = [_logistic(standardised, members[:, c]) for c in range(len(names))]
    counts = members.sum(axis=0)
    return ClassModel(
        tuple(names),
        centre,
        scale,
        np.stack([weights for weights, _ in fitted]),
        np.array([intercept for _, intercept in fitted]),
        members.mean(axis=0),
        counts / (counts + 1.0),
    )


def _logistic(
    x: Float[np.ndarray, "heads numbers"], y: Bool[np.ndarray, " heads"]
) -> tuple[Float[np.ndarray, " numbers"], float]:
    """Return weights and intercept of a ridge logistic regression, by Newton's method."""
    n, m = x.shape
    if not y.any() or y.all():
        return np.zeros(m), np.inf if y.all() else -np.inf
    design = np.column_stack([x, np.ones(n)])
    penalty = np.append(np.full(m, RIDGE), 0.0)
    solution = np.zeros(m + 1)
    solution[m] = np.log(y.mean() / (1 - y.mean()))
    for _ in range(_STEPS):
        p = _sigmoid(design @ solution)
        gradient = design.T @ (p - y) + penalty * solution
        curvature = (design.T * (p * (1 - p))) @ design + np.diag(penalty + 1e-12)
        step = np.linalg.solve(curvature, gradient)
        solution -= step / max(1.0, float(np.abs(step).max()))
        if np.abs(step).max() < _CONVERGED:
            break
    return solution[:m], float(solution[m])


def _sigmoid(x: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x, -500.0, 500.0))))


def class_nearness(
    distances: Float[np.ndarray, "queries heads"],
    members: Bool[np.ndarray, "heads classes"],
    allowed: Bool[np.ndarray, "queries heads"],
) -> Float[np.ndarray, "queries classes"]:
    """Return how far the nearest heads of each class are, against the nearest heads outside of it.

    Args:
        distances: (queries, heads) distances.
        members: (heads, classes) whether each head is in each class.
        allowed: (queries, heads) labelled heads to which each query is compared.

    Returns:
        (queries, classes) log of the mean distance to the `N_CLOSEST` nearest heads of the class
        over that to the `N_VOTERS` nearest others, within ±`MOST_NEARNESS`; 0 where there are none.
    """
    values = np.where(allowed & np.isfinite(distances), distances, np.inf).astype(np.float64)
    ranked = min(_RANKED, values.shape[1])
    nearest = np.argpartition(values, ranked - 1, axis=1)[:, :ranked] if ranked else None
    nearness = np.zeros((len(distances), members.shape[1]))
    for c, members_of_class in enumerate(members.T):
        inside = _mean_of_nearest(values, members_of_class, nearest, N_CLOSEST)
        outside = _mean_of_nearest(values, ~members_of_class, nearest, N_VOTERS)
        ratio = np.log(np.maximum(inside, TINY) / np.maximum(outside, TINY))
        nearness[:, c] = np.nan_to_num(np.clip(ratio, -MOST_NEARNESS, MOST_NEARNESS), nan=0.0)
    return nearness


_RANKED = 64
"""Nearest heads in which those of a class are looked for before all heads are."""


def _mean_of_nearest(
    values: Float[np.ndarray, "queries heads"],
    chosen: Bool[np.ndarray, " heads"],
    nearest: Int[np.ndarray, "queries ranked"] | None,
    n: int,
) -> Float[np.ndarray, " queries"]:
    """Return the mean of the n smallest distances to chosen heads, or of fewer; NaN without any.

    Args:
        values: distances, infinite where a head does not count.
        chosen: the heads.
        nearest: the nearest heads of each query, in any order; None if there are no heads.
        n: number of distances.
    """
    if nearest is None:
        return np.full(len(values), np.nan)
    near = np.where(chosen[nearest], np.take_along_axis(values, nearest, axis=1), np.inf)
    smallest = _smallest(near, n)
    few = ~np.isfinite(smallest[:, -1]) | (smallest.shape[1] < n)
    if few.any():
        of_chosen = _smallest(values[np.ix_(few, chosen)], n)
        smallest = np.pad(smallest, ((0, 0), (0, n - smallest.shape[1])), constant_values=np.inf)
        smallest[few] = np.inf
        smallest[few, : of_chosen.shape[1]] = of_chosen
    finite = np.isfinite(smallest)
    counts = finite.sum(axis=1)
    sums = np.where(finite, smallest, 0.0).sum(axis=1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _smallest(values: Float[np.ndarray, "rows columns"], n: int) -> Float[np.ndarray, "rows n"]:
    """Return the n smallest values of each row, ascending, or all where there are fewer."""
    if values.shape[1] > n:
        values = np.partition(values, n - 1, axis=1)[:, :n]
    return np.sort(values, axis=1)


def with_unknown(
    probabilities: Float[np.ndarray, "heads classes"],
) -> Float[np.ndarray, "heads classes1"]:
    """Append the probability of being in no class, as if classes were independent."""
    none = np.prod(1.0 - probabilities, axis=1, keepdims=True)
    return np.concatenate([probabilities, none], axis=1)
