"""Definitions of the set `extended`, in float64 and one pattern at a time.

The features describe attention to the tokens other than the first, which many heads use as a
sink: its distance, its sharpness, and its continuity from one query to the next. The first query
is omitted, because all its weight is on the first token.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attention_motifs.features.definitions import is_constant, lag1_autocorrelation, row_cosines

if TYPE_CHECKING:
    from jaxtyping import Float, Int

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
PEAK_PLACES = 3  # distances counted one by one; all farther ones count together
NO_WEIGHT = 1e-9  # sums of weights up to this count as zero


def band_name(first: int, last: int | None) -> str:
    """Return the context of a band: `band.0`, `band.4_7`, `band.64_up`."""
    end = "_up" if last is None else f"_{last}" if last > first else ""
    return f"band.{first}{end}"


BAND_CONTEXTS = tuple(band_name(*band) for band in BANDS)
REGIONS = ("near", "far")
# Steps from an entry to the one that continues it: rows, columns.
STEPS = {"diagonal": (1, 1), "column": (1, 0), "row": (0, 1), "anti": (1, -1)}
NEIGHBOURS = ("before", "same", "after")  # the token at -1, 0, 1 from another
ALIKE = {
    "keys_alike": (*NEIGHBOURS, *(f"{s}_excess" for s in NEIGHBOURS)),
    "queries_alike": tuple(f"{s}_excess" for s in NEIGHBOURS),
}
COMPANIONS = ("sink", "self", "previous", "far")
PAIRS = tuple((x, y) for i, x in enumerate(COMPANIONS) for y in COMPANIONS[i + 1 :])


def mean_and_spread(x: Float[np.ndarray, " m"]) -> list[float]:
    """Return mean and population standard deviation; 0 of no values."""
    return [float(x.mean()), float(x.std())] if len(x) else [0.0, 0.0]


def band_masses(
    B: Float[np.ndarray, "n n"], first: int, last: int | None
) -> Float[np.ndarray, " m"]:
    """Return the weight on the keys of a band, of each query that reaches its nearest key."""
    n = len(B)
    return np.array(
        [
            B[i, max(0, i - last) if last is not None else 0 : i - first + 1].sum()
            for i in range(first + 1, n)
        ]
    )


def band_features(B: Float[np.ndarray, "n n"]) -> list[float]:
    """Return for each band: mean and spread of the weight on it, and its share of all weight."""
    total = float(B.sum())
    values: list[float] = []
    for band in BANDS:
        masses = band_masses(B, *band)
        share = float(masses.sum()) / total if total > NO_WEIGHT else 0.0
        values += [*mean_and_spread(masses), share]
    return values


def spread_features(x: Float[np.ndarray, " m"]) -> list[float]:
    """Return mean, spread and quantiles (linear between values); 0 of no values."""
    quantiles = np.quantile(x, QUANTILES) if len(x) else np.zeros(len(QUANTILES))
    return [*mean_and_spread(x), *quantiles.tolist()]


def peak_features(x: Float[np.ndarray, " m"]) -> list[float]:
    """Return `spread_features` of the largest weights of rows, and the shares of peaked rows."""
    shares = [float((x > level).mean()) if len(x) else 0.0 for level in PEAKED]
    return [*spread_features(x), *shares]


def far_peaks(B: Float[np.ndarray, "n n"]) -> Float[np.ndarray, " m"]:
    """Return the largest far weight of each query that has a far key beyond the first token."""
    return np.array([B[i, : i - NEAR].max() for i in range(NEAR + 2, len(B))])


def place_features(B: Float[np.ndarray, "n n"]) -> list[float]:
    """Return statistics of the distance of the largest weight of each row, the nearest of equals.

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
    """Return the entropy of a row over its m keys, relative to the largest possible: 0 to 1."""
    total = float(weights.sum())
    if len(weights) < 2 or total <= NO_WEIGHT:
        return 0.0
    p = weights[weights > 0] / total
    return float(-(p * np.log2(p)).sum() / np.log2(len(weights)))


def entropy_features(W: Float[np.ndarray, "n n"]) -> list[float]:
    """Return the mean entropy of the rows, with the first key and without it."""
    n = len(W)
    return [
        mean_and_spread(np.array([row_entropy(W[i, first : i + 1]) for i in range(start, n)]))[0]
        for first, start in ((0, 1), (1, 2))
    ]


def concentration(B: Float[np.ndarray, "n n"]) -> float:
    """Return the sum of the squared shares of the keys: 1 where one key has all weight."""
    received = B.sum(axis=0)
    total = float(received.sum())
    return float(((received / total) ** 2).sum()) if total > NO_WEIGHT else 0.0


def distances(n: int) -> Int[np.ndarray, "n n"]:
    """Return the distance from query i back to key j, at entry (i, j)."""
    token = np.arange(n)
    distance: Int[np.ndarray, "n n"] = token[:, None] - token[None, :]
    return distance


def regions(B: Float[np.ndarray, "n n"]) -> list[Float[np.ndarray, "n n"]]:
    """Return the near part of a pattern (up to `NEAR` tokens back) and the far part, else 0."""
    distance = distances(len(B))
    return [np.where(part, B, 0.0) for part in (distance <= NEAR, distance > NEAR)]


def followers(
    X: Float[np.ndarray, "n n"], step: tuple[int, int]
) -> tuple[Float[np.ndarray, "m k"], Float[np.ndarray, "m k"]]:
    """Return the entries that have a follower at `step` inside the matrix, and the followers."""
    n = len(X)
    down, right = step
    before = slice(max(0, -right), n - max(0, right))
    after = slice(max(0, right), n + min(0, right))
    return X[: n - down, before], X[down:, after]


def continuity_features(B: Float[np.ndarray, "n n"]) -> list[float]:
    """Return the continuity along the diagonal, the column, the row and the antidiagonal.

    It is the sum of products of an entry and its follower, over the sum of squares; then the same
    of the square roots, over the sum, so that small weights count too. An entry and its follower
    are both near or both far.
    """
    values = []
    for X, least, steps in (
        (B, NO_WEIGHT**2, ("diagonal", "column")),
        (np.sqrt(B), NO_WEIGHT, tuple(STEPS)),
    ):
        for step in steps:
            for part in regions(X):
                before, after = followers(part, STEPS[step])
                squares = float((part**2).sum())
                values.append(float((before * after).sum()) / squares if squares > least else 0.0)
    return values


def similarities(X: Float[np.ndarray, "n m"], least: float) -> Float[np.ndarray, "n n"]:
    """Return the cosines of every two rows; 0 on the diagonal, and with a norm up to `least`."""
    cosines = row_cosines(X * (np.linalg.norm(X, axis=1, keepdims=True) > least))
    np.fill_diagonal(cosines, 0.0)
    return cosines


def weighted_neighbours(
    F: Float[np.ndarray, "n n"], C: Float[np.ndarray, "n n"], of_query: bool
) -> tuple[list[float], float]:
    """Return means of similarities C weighted by the far weights F, and the mean over far entries.

    The similarity of weight F[l, k] is C[l + s, k] if `of_query`, else C[l, k + s], for s = -1, 0
    and 1; 0 beyond the last token.
    """
    n = len(F)
    wide = np.pad(C, 1)
    means = []
    for s in (-1, 0, 1):
        rows, columns = (s, 0) if of_query else (0, s)
        moved = wide[1 + rows : 1 + rows + n, 1 + columns : 1 + columns + n]
        means.append(float((F * moved).sum()) / float(F.sum()))
    return means, float(C[distances(n) > NEAR].mean())


def alike_features(B: Float[np.ndarray, "n n"]) -> list[float]:
    """Return how similar the keys and the queries are that far weights join.

    Keys are alike by the cosine of their columns, without the diagonal (attention of tokens to
    themselves would make all keys alike): the key attended to and the query's own token, or the
    ones before and after that. Queries are alike by the Bhattacharyya coefficient of their rows:
    the query, and the key attended to or the tokens before and after that. An excess is over the
    mean of all such pairs. All are 0 where no weight is far.
    """
    _, F = regions(B)
    if float(F.sum()) <= NO_WEIGHT:
        return [0.0] * sum(len(statistics) for statistics in ALIKE.values())
    off = B - np.diag(np.diagonal(B))
    keys, level = weighted_neighbours(F, similarities(off.T, NO_WEIGHT), of_query=True)
    values = [*keys, *(value - level for value in keys)]
    rows = similarities(np.sqrt(off), NO_WEIGHT**0.5)
    queries, level = weighted_neighbours(F, rows, of_query=False)
    return [*values, *(value - level for value in queries)]


def correlation(x: Float[np.ndarray, " m"], y: Float[np.ndarray, " m"]) -> float:
    """Return the Pearson correlation; 0 if either is constant or has fewer than two values."""
    if len(x) < 2 or is_constant(x) or is_constant(y):
        return 0.0
    return float(np.corrcoef(x, y)[0, 1])


def companion_features(W: Float[np.ndarray, "n n"], B: Float[np.ndarray, "n n"]) -> list[float]:
    """Return correlations of kinds of attention, and of each with itself one query later.

    Of each query but the first two: the weight on the first token, on itself, on the previous
    token, and the largest weight that is far, none of which is the first token's.
    """
    n = len(W)
    if n < 3:
        return [0.0] * (len(PAIRS) + len(COMPANIONS))
    _, F = regions(B)
    x = dict(
        zip(
            COMPANIONS,
            (W[2:, 0], B.diagonal()[2:], B.diagonal(-1)[1:], F[2:].max(axis=1)),
            strict=True,
        )
    )
    together = [correlation(x[a], x[b]) for a, b in PAIRS]
    return [*together, *(lag1_autocorrelation(x[name]) for name in COMPANIONS)]


class Parts(NamedTuple):
    """A pattern, prepared for the families of features.

    Attributes:
        W: the lower triangle without negative entries.
        B: W without its first column, the sink.
    """

    W: Float[np.ndarray, "n n"]
    B: Float[np.ndarray, "n n"]

    @classmethod
    def of(cls, A: Float[np.ndarray, "n n"]) -> Parts:
        """Prepare a causal pattern; its rows may sum to any number."""
        W = np.maximum(np.tril(np.asarray(A, dtype=np.float64)), 0.0)
        B = W.copy()
        B[:, 0] = 0.0
        return cls(W, B)


# The definitions of the families. Their order is the order of the columns, here and in all kernels.
FAMILY_DEFINITIONS: dict[str, Callable[[Parts], list[float]]] = {
    "band": lambda parts: band_features(parts.B),
    "sink": lambda parts: spread_features(parts.W[1:, 0]),
    "peak": lambda parts: peak_features(parts.B[1:].max(axis=1)),
    "far_peak": lambda parts: peak_features(far_peaks(parts.B)),
    "place": lambda parts: place_features(parts.B),
    "entropy": lambda parts: entropy_features(parts.W),
    "keys": lambda parts: [concentration(parts.B)],
    "continuity": lambda parts: continuity_features(parts.B),
    "alike": lambda parts: alike_features(parts.B),
    "companions": lambda parts: companion_features(parts.W, parts.B),
}


def extended_features(A: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "85"]:
    """Return the `extended` set of a causal pattern, family by family.

    Negative entries count as 0. Rows may sum to any number. All features of a pattern of one
    token are 0.
    """
    parts = Parts.of(A)
    return np.concatenate([definition(parts) for definition in FAMILY_DEFINITIONS.values()])
