"""Percentile and p of near heads, among the other pairs of their layers and by chance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

MOST = 100
"""Number of listed heads that are compared with chance; the cost grows with its square."""


@dataclass(frozen=True)
class Nearness:
    """Distances of one head compared with those of other pairs of the same layers."""

    percentile: list[float | None]
    """Percentile among pairs of these two layers, 0 to 100; ties count half."""
    p: list[float | None]
    """Probability that the k-th nearest head is at least as near by chance."""


def nearness(
    distances: Float[np.ndarray, "mates heads"],
    query: int,
    mates: Int[np.ndarray, " mates"],
    layer: Int[np.ndarray, " heads"],
    mask: Bool[np.ndarray, " heads"],
    listed: Int[np.ndarray, " listed"],
    *,
    farthest: bool = False,
) -> Nearness:
    """Compare the distances of the nearest heads of a head with their layers and with chance.

    Chance deals the distances at random within every pair of layers, so each distance of the head
    is drawn, without replacement, from all pairs of its layer and the other head's layer. The
    number of drawn distances up to that of the k-th listed head is a sum of hypergeometric
    variables, one per layer; p is the exact probability that it is k or more. The real pairs of
    the two layers hold real look-alikes, so the comparison is strict.

    Args:
        distances: (mates, heads) from the heads of the query's layer to all heads.
        query: index of the head.
        mates: (mates,) indices of the heads of its layer, the query among them.
        layer: (heads,) number of the layer of each head, different for every model.
        mask: (heads,) heads that could have been listed.
        listed: (listed,) indices of the listed heads, nearest first.
        farthest: whether the farthest heads are listed, farthest first.

    Returns:
        One percentile and one p per listed head. The percentile is None where the layers have no
        other pair; p is None from the 101st head on; both are None if a distance is not finite.
    """
    signed = -distances if farthest else distances
    row = signed[mates == query][0]
    candidates = mask.copy()
    candidates[query] = False
    groups = np.unique(layer[candidates])
    pools = {int(g): _pairs(signed, mates, np.flatnonzero(layer == g)) for g in groups}
    if not all(np.isfinite(pool).all() for pool in pools.values()):
        return Nearness([None] * len(listed), [None] * len(listed))
    sizes = np.array([len(pools[int(g)]) for g in groups])
    drawn = np.array([int((layer[candidates] == g).sum()) for g in groups])
    percentiles, p = [], []
    for k, head in enumerate(listed.tolist(), start=1):
        pool, value = pools[int(layer[head])], row[head]
        first, end = np.searchsorted(pool, value, "left"), np.searchsorted(pool, value, "right")
        nearer = len(pool) - end if farthest else first
        ties = end - first - 1
        percentile = 100.0 * (nearer + ties / 2) / max(1, len(pool) - 1)
        percentiles.append(float(percentile) if len(pool) > 1 else None)
        near = np.array([np.searchsorted(pools[int(g)], value, "right") for g in groups])
        p.append(_at_least(k, sizes, near, drawn) if k <= MOST else None)
    return Nearness(percentiles, p)


def _pairs(
    distances: Float[np.ndarray, "mates heads"],
    mates: Int[np.ndarray, " mates"],
    heads: Int[np.ndarray, " of_layer"],
) -> Float[np.ndarray, " pairs"]:
    """Return the sorted distances of all pairs of two layers; each pair counts once."""
    block = distances[:, heads]
    if heads[0] == mates[0]:
        block = block[np.triu_indices(len(heads), k=1)]
    return np.sort(block, axis=None)


def _at_least(
    k: int,
    sizes: Int[np.ndarray, " layers"],
    near: Int[np.ndarray, " layers"],
    drawn: Int[np.ndarray, " layers"],
) -> float:
    """Return the probability that at least k near pairs are drawn.

    Args:
        k: 1 or more.
        sizes: pairs of each pair of layers.
        near: how many of them are near.
        drawn: how many are drawn, without replacement.
    """
    counts = np.arange(min(k - 1, int(drawn.max())) + 1)
    fewer = np.ones(1)
    for of_layer in _hypergeometric(counts, sizes[:, None], near[:, None], drawn[:, None]):
        fewer = np.convolve(fewer, of_layer)[:k]
    return float(np.clip(1.0 - fewer.sum(), 0.0, 1.0))


def _hypergeometric(
    counts: Int[np.ndarray, " counts"],
    sizes: Int[np.ndarray, "layers one"],
    near: Int[np.ndarray, "layers one"],
    drawn: Int[np.ndarray, "layers one"],
) -> Float[np.ndarray, "layers counts"]:
    """Return the probabilities of the counts of near pairs among the drawn ones, per layer."""
    far = sizes - near
    possible = (counts <= near) & (counts <= drawn) & (drawn - counts <= far)
    # Impossible counts would give logarithms of factorials of negative numbers.
    x = np.where(possible, counts, np.maximum(drawn - far, 0))
    factorial = _log_factorials(int(sizes.max()))
    log_p = (
        _log_choose(factorial, near, x)
        + _log_choose(factorial, far, drawn - x)
        - _log_choose(factorial, sizes, drawn)
    )
    return np.where(possible, np.exp(log_p), 0.0)


def _log_choose(
    factorial: Float[np.ndarray, " numbers"],
    n: Int[np.ndarray, "*shape"],
    k: Int[np.ndarray, "*shape"],
) -> Float[np.ndarray, "*shape"]:
    return np.asarray(factorial[n] - factorial[k] - factorial[n - k])


@lru_cache(maxsize=4)
def _log_factorials(largest: int) -> Float[np.ndarray, " numbers"]:
    """Return the logarithms of the factorials of 0 to `largest`; scipy takes longer to import."""
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, largest + 1)))])
