"""The set `extended` as it is defined, in float64 and one pattern at a time: the oracle.

What a head does with the tokens other than the first, which many heads use as a sink: at which
distance it looks, how sharply, how far, and whether it goes on from one query to the next. The
first query is left out, since all its weight is on the first token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float

# Distances from the query to the key, first and last of each band.
BANDS: tuple[tuple[int, int | None], ...] = (
    (0, 0),
    (1, 1),
    (2, 2),
    (3, 3),
    (4, 7),
    (8, 15),
    (16, 31),
    (32, 63),
    (64, None),
)
NEAR = 4  # distances up to this are near, those beyond it far
PEAKED = (0.1, 0.3, 0.6)  # a row is peaked where its largest weight is above this
QUANTILES = (0.1, 0.9)
PEAK_PLACES = 3  # distances that are told apart, beside all farther ones
NO_WEIGHT = 1e-9  # a sum of weights up to this is none: it says nothing of where weight lies


def band_name(first: int, last: int | None) -> str:
    """The context of a band: `band.0`, `band.4_7`, `band.64_up`."""
    end = "_up" if last is None else f"_{last}" if last > first else ""
    return f"band.{first}{end}"


BAND_CONTEXTS = tuple(band_name(*band) for band in BANDS)
BAND_STATISTICS = ("mean", "spread", "share")
SPREAD_STATISTICS = ("mean", "spread", *(f"q{round(100 * q)}" for q in QUANTILES))
PEAK_STATISTICS = (*SPREAD_STATISTICS, *(f"above_{round(100 * level)}" for level in PEAKED))
PLACE_STATISTICS = ("self", "previous", "second", "farther", "log_mean", "log_spread")
NAMES = (
    *(f"{context}.{s}" for context in BAND_CONTEXTS for s in BAND_STATISTICS),
    *(f"sink.{s}" for s in SPREAD_STATISTICS),
    *(f"peak.{s}" for s in PEAK_STATISTICS),
    *(f"far_peak.{s}" for s in PEAK_STATISTICS),
    *(f"place.{s}" for s in PLACE_STATISTICS),
    "entropy.all",
    "entropy.without_sink",
    "keys.concentration",
    "continuity.diagonal.near",
    "continuity.diagonal.far",
    "continuity.column.near",
    "continuity.column.far",
)


def mean_and_spread(x: Float[np.ndarray, " m"]) -> list[float]:
    """Mean and standard deviation (of the values, not of a sample); 0 of no values."""
    return [float(x.mean()), float(x.std())] if len(x) else [0.0, 0.0]


def band_masses(
    B: Float[np.ndarray, "n n"], first: int, last: int | None
) -> Float[np.ndarray, " m"]:
    """Weight of each query on the keys of a band; of the queries that reach its nearest key."""
    n = len(B)
    return np.array(
        [
            B[i, max(0, i - last) if last is not None else 0 : i - first + 1].sum()
            for i in range(first + 1, n)
        ]
    )


def band_features(B: Float[np.ndarray, "n n"]) -> list[float]:
    """Per band: mean and spread of the queries' weight on it, and its share of all weight."""
    total = float(B.sum())
    values: list[float] = []
    for band in BANDS:
        masses = band_masses(B, *band)
        share = float(masses.sum()) / total if total > NO_WEIGHT else 0.0
        values += [*mean_and_spread(masses), share]
    return values


def spread_features(x: Float[np.ndarray, " m"]) -> list[float]:
    """Mean, spread, and the quantiles (linear between values); 0 of no values."""
    quantiles = np.quantile(x, QUANTILES) if len(x) else np.zeros(len(QUANTILES))
    return [*mean_and_spread(x), *quantiles.tolist()]


def peak_features(x: Float[np.ndarray, " m"]) -> list[float]:
    """`spread_features` of the largest weights of rows, and the shares of peaked rows."""
    shares = [float((x > level).mean()) if len(x) else 0.0 for level in PEAKED]
    return [*spread_features(x), *shares]


def place_features(B: Float[np.ndarray, "n n"]) -> list[float]:
    """Where the largest weight of each row lies, at the nearest key of equals.

    Shares of all queries but the first: at itself, one back, two back, farther. Mean and spread
    of log2(1 + distance). A row without weight has no place and counts in no share.
    """
    n = len(B)
    places = [
        int(B[i, i::-1].argmax())  # argmax takes the first, here the nearest, of equals
        for i in range(1, n)
        if B[i].max() > NO_WEIGHT
    ]
    distance = np.minimum(places, PEAK_PLACES)
    counts = [int((distance == d).sum()) for d in range(PEAK_PLACES + 1)]
    return [
        *(count / max(1, n - 1) for count in counts),
        *mean_and_spread(np.log2(1.0 + np.array(places))),
    ]


def row_entropy(weights: Float[np.ndarray, " m"]) -> float:
    """Entropy of a row as a distribution over its m keys, over the largest possible: 0 to 1."""
    total = float(weights.sum())
    if len(weights) < 2 or total <= NO_WEIGHT:
        return 0.0
    p = weights[weights > 0] / total
    return float(-(p * np.log2(p)).sum() / np.log2(len(weights)))


def entropy_features(W: Float[np.ndarray, "n n"]) -> list[float]:
    """Mean entropy of the rows, with the first key and without it."""
    n = len(W)
    return [
        mean_and_spread(np.array([row_entropy(W[i, first : i + 1]) for i in range(start, n)]))[0]
        for first, start in ((0, 1), (1, 2))
    ]


def concentration(B: Float[np.ndarray, "n n"]) -> float:
    """Sum of the squared shares of the keys in all weight: 1 where one key has all of it."""
    received = B.sum(axis=0)
    total = float(received.sum())
    return float(((received / total) ** 2).sum()) if total > NO_WEIGHT else 0.0


def continuity_features(B: Float[np.ndarray, "n n"]) -> list[float]:
    """How far weights go on along the diagonal and along the column; near, then far, of each.

    Sum of products of an entry and the one that follows it, over the sum of squares; entries and
    followers of a near or far sum are both near or both far.
    """
    n = len(B)
    distance = np.arange(n)[:, None] - np.arange(n)[None, :]
    values = []
    for steps in ((1, 1), (1, 0)):
        for region in ((distance >= 0) & (distance <= NEAR), distance > NEAR):
            part = np.where(region, B, 0.0)
            following = part[steps[0] :, steps[1] :]
            products = float((part[: n - steps[0], : n - steps[1]] * following).sum())
            squares = float((part**2).sum())
            values.append(products / squares if squares > NO_WEIGHT**2 else 0.0)
    return values


def extended_features(A: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "58"]:
    """The `extended` set of one causal pattern, in float64 and in the order of `NAMES`.

    Negative entries count as 0. Rows may sum to any number. Of a pattern of one token all are 0.
    """
    W = np.maximum(np.tril(np.asarray(A, dtype=np.float64)), 0.0)
    n = len(W)
    B = W.copy()
    B[:, 0] = 0.0
    far = range(NEAR + 2, n)  # queries with a key beyond the first that is far
    return np.array(
        [
            *band_features(B),
            *spread_features(W[1:, 0]),
            *peak_features(B[1:].max(axis=1)),
            *peak_features(np.array([B[i, : i - NEAR].max() for i in far])),
            *place_features(B),
            *entropy_features(W),
            concentration(B),
            *continuity_features(B),
        ]
    )
