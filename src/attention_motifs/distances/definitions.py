"""Definitions of the metrics for two clouds, in float64: the oracle of the tests.

x and y are (prompts, components); row s of both belongs to prompt s. Each line is the formula of
the registry, so these functions are slow.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float

    Cloud = Float[np.ndarray, "prompts components"]


def mean(x: Cloud, y: Cloud) -> float:
    """Return the mean distance over the prompts (the paper, Eq. 3)."""
    return float(np.mean([np.linalg.norm(a - b) for a, b in zip(x, y, strict=True)]))


def cosine(x: Cloud, y: Cloud) -> float:
    """Return 1 - cosine of the head means; the cosine with a zero vector is 0."""
    a, b = x.mean(axis=0), y.mean(axis=0)
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    return float(1.0 - (a @ b / lengths if lengths > 0 else 0.0))


def natural(x: Cloud, y: Cloud) -> float:
    """Return 1 - cosine of the two clouds as single vectors; 1 if a cloud is zero."""
    products = sum(float(a @ b) for a, b in zip(x, y, strict=True))
    lengths = np.sqrt(sum(float(a @ a) for a in x) * sum(float(b @ b) for b in y))
    return float(1.0 - (products / lengths if lengths > 0 else 0.0))


def preset(x: Sequence[Cloud], y: Sequence[Cloud], weights: Sequence[float]) -> float:
    """Return 1 - the weighted mean of the cosines of two heads in several blocks.

    A block in which a head has a cloud of zero has cosine 0, and the shares of the others are
    raised for this head: their roots are divided by the root of their sum.
    """
    shares = np.asarray(weights, dtype=np.float64) / np.sum(weights)
    cosines = np.array([1.0 - natural(a, b) for a, b in zip(x, y, strict=True)])
    lengths = np.sqrt(shares @ [a.any() for a in x]) * np.sqrt(shares @ [b.any() for b in y])
    return float(1.0 - (shares @ cosines / lengths if lengths > 0 else 0.0))


def centroid(x: Cloud, y: Cloud) -> float:
    """Return the distance of the head means."""
    return float(np.linalg.norm(x.mean(axis=0) - y.mean(axis=0)))


def wasserstein(x: Cloud, y: Cloud) -> float:
    """Return the least mean distance over all pairings of the points."""
    from scipy.optimize import linear_sum_assignment

    cost = _between(x, y)
    return float(cost[linear_sum_assignment(cost)].mean())


def sliced_wasserstein(
    x: Cloud, y: Cloud, directions: Float[np.ndarray, "directions components"]
) -> float:
    """Return the mean over directions of the 1-Wasserstein distance of the projected clouds."""
    distances = [np.mean(np.abs(np.sort(x @ d) - np.sort(y @ d))) for d in directions]
    return float(np.mean(distances))


def energy(x: Cloud, y: Cloud) -> float:
    """Return the root of twice the mean distance between the clouds less those within them."""
    square = 2 * _between(x, y).mean() - _between(x, x).mean() - _between(y, y).mean()
    return float(np.sqrt(max(square, 0.0)))


def gromov_wasserstein(x: Cloud, y: Cloud) -> float:
    """Return the root of the least mean squared difference of inner distances over pairings.

    With Euclidean distances the objective is concave over couplings (Maron and Lipman 2018),
    so that some pairing attains the minimum. Tries P! pairings: for a handful of points.
    """
    within_x, within_y = _between(x, x), _between(y, y)
    squares = [
        np.mean((within_x - within_y[np.ix_(order, order)]) ** 2)
        for order in itertools.permutations(range(len(y)))
    ]
    return float(np.sqrt(min(squares)))


def _between(x: Cloud, y: Cloud) -> Float[np.ndarray, "prompts prompts"]:
    distances: np.ndarray = np.linalg.norm(x[:, None, :] - y[None, :, :], axis=2)
    return distances
