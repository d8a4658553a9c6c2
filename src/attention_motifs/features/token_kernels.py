"""CPU kernels of the set `tokens`, for patterns of one prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attention_motifs.features.compiled import compiled, reordered
from attention_motifs.features.extended_definitions import NO_WEIGHT
from attention_motifs.features.token_definitions import FAR, NAMES, QUERIES, STATISTICS, queries_of
from attention_motifs.features.token_texts import KEY_KINDS, UNITS, token_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float, Int

SIZE = len(NAMES)
RELATIONS = tuple(STATISTICS)
COUNT = len(RELATIONS)
STATISTIC_NAMES = ("share", "excess", "last", "far", "peak")
SHARE, EXCESS, LAST, FAR_MEAN, PEAK = range(len(STATISTIC_NAMES))
# Relation and statistic of each column that has them.
COLUMNS = np.array(
    [
        (r, STATISTIC_NAMES.index(name))
        for r, names in enumerate(STATISTICS.values())
        for name in names
    ]
)
ENTROPY, FIRST_AT = len(COLUMNS), len(COLUMNS) + 1
SAME, AFTER, AFTER_PAIR, BEFORE, ALIKE = (
    RELATIONS.index(name) for name in ("same", "after", "after_pair", "before", "alike")
)
OF_KEYS = np.array([RELATIONS.index(name) for name in KEY_KINDS])
OF_UNITS = np.array([RELATIONS.index(name) for name in UNITS])


class Tokens(NamedTuple):
    """The arrays of a `TokenTable` that the kernel reads."""

    identity: Int[np.ndarray, " n"]
    kind: Int[np.ndarray, " n"]
    units: Int[np.ndarray, "units n"]
    queries: Float[np.ndarray, "kinds n"]  # 1 where a token is of a kind of QUERIES, then all 1
    distinct: Int[np.ndarray, " n"]  # number of distinct earlier tokens


class Sums(NamedTuple):
    """Sums over the queries so far: of b patterns, or of their pairs of query and key."""

    related: Float[np.ndarray, "b relations"]
    total: Float[np.ndarray, "b relations"]  # all weight of queries with a pair
    last: Float[np.ndarray, "b relations"]
    far: Float[np.ndarray, "b relations"]
    peaks: Float[np.ndarray, "b relations"]
    by_distance: Float[np.ndarray, "b n"]
    entropy: Float[np.ndarray, " b"]
    first: Float[np.ndarray, "b queries"]  # the last column is of all queries
    queries: Float[np.ndarray, " relations"]  # numbers of queries with a pair
    far_queries: Float[np.ndarray, " relations"]
    pairs: Float[np.ndarray, "relations n"]  # numbers of pairs at each distance
    nearest: Int[np.ndarray, "relations n"]  # nearest key of each query; 0 for none


def _sums(b: int, n: int) -> Sums:
    return Sums(
        related=np.zeros((b, COUNT)),
        total=np.zeros((b, COUNT)),
        last=np.zeros((b, COUNT)),
        far=np.zeros((b, COUNT)),
        peaks=np.zeros((b, COUNT)),
        by_distance=np.zeros((b, n)),
        entropy=np.zeros(b),
        first=np.zeros((b, len(QUERIES) + 1)),
        queries=np.zeros(COUNT),
        far_queries=np.zeros(COUNT),
        pairs=np.zeros((COUNT, n)),
        nearest=np.zeros((COUNT, n), np.int64),
    )


@compiled
def _relate(i: int, t: Tokens, mask: Float[np.ndarray, "relations n"]) -> None:
    """Write which keys of a query are in each relation; those of kinds of keys are there."""
    same = t.identity
    mask[AFTER_PAIR, 1] = np.float32(0.0)
    mask[BEFORE, i - 1] = np.float32(0.0)
    for j in range(1, i):
        mask[SAME, j] = same[j] == same[i]
        mask[AFTER, j] = same[j - 1] == same[i]
        mask[ALIKE, j] = t.kind[j] == t.kind[i]
    for j in range(2, i):
        mask[AFTER_PAIR, j] = same[j - 1] == same[i] and same[j - 2] == same[i - 1]
    for j in range(1, i - 1):
        mask[BEFORE, j] = same[j + 1] == same[i]
    for u in range(len(OF_UNITS)):
        for j in range(1, i):
            mask[OF_UNITS[u], j] = t.units[u, j] == t.units[u, i]


@compiled
def _count(i: int, mask: Float[np.ndarray, "relations n"], sums: Sums) -> None:
    """Count the pairs of a query, and find the nearest key of each relation."""
    for r in range(COUNT):
        first = 0
        for j in range(1, i):
            if mask[r, j] > 0:
                sums.pairs[r, i - j] += 1.0
                sums.nearest[r, i] = j
                first = first if first > 0 else j
        if first > 0:
            sums.queries[r] += 1.0
            if i - first > FAR:
                sums.far_queries[r] += 1.0


@reordered
def _dot(x: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"], start: int, end: int) -> float:
    total = np.float32(0.0)
    for j in range(start, end):
        total += x[j] * y[j]
    return float(total)


@compiled
def _entropy(
    i: int, row: Float[np.ndarray, " n"], t: Tokens, groups: Float[np.ndarray, " n"], total: float
) -> float:
    """Return the entropy of a row over distinct tokens, over log2 of their number.

    `groups` holds zeros before and after.
    """
    if t.distinct[i] < 2 or total <= NO_WEIGHT:
        return 0.0
    for j in range(1, i):
        groups[t.identity[j]] += row[j]
    logs = 0.0
    for j in range(1, i):
        w = groups[t.identity[j]]
        if w > 0.0:
            logs += w * np.log(w)
            groups[t.identity[j]] = 0.0
    return float(max(0.0, (np.log(total) - logs / total) / np.log(t.distinct[i])))


@compiled
def _add_row(
    p: int,
    i: int,
    row: Float[np.ndarray, " n"],
    mask: Float[np.ndarray, "relations n"],
    sums: Sums,
) -> float:
    """Add a row of a pattern to the sums, and return its weight on earlier tokens."""
    total, peak, place = 0.0, 0.0, 0
    for j in range(1, i):
        w = np.float64(row[j])
        total += w
        sums.by_distance[p, i - j] += w
        if w >= peak and w > NO_WEIGHT:
            peak, place = w, j
    for r in range(COUNT):
        if sums.nearest[r, i] > 0:
            sums.related[p, r] += _dot(row, mask[r], 1, i)
            sums.total[p, r] += total
            sums.last[p, r] += row[sums.nearest[r, i]]
            sums.far[p, r] += _dot(row, mask[r], 1, i - FAR)
            sums.peaks[p, r] += mask[r, place]  # of place 0 it is 0
    return float(total)


@compiled
def _write(p: int, n: int, sums: Sums, statistics: Float[np.ndarray, "relations 5"]) -> None:
    """Write all statistics of all relations of a pattern, from its sums."""
    statistics[:] = 0.0
    mean, up_to = np.zeros(n), np.zeros(n)  # mean weight at a distance; their sums
    for d in range(1, n - 1):
        mean[d] = sums.by_distance[p, d] / (n - 1 - d)
        up_to[d] = up_to[d - 1] + mean[d]
    for r in range(COUNT):
        expected, whole = 0.0, 0.0
        for i in range(1, n):
            expected += sums.pairs[r, i] * mean[i]
            whole += up_to[i - 1] if sums.nearest[r, i] > 0 else 0.0
        if sums.total[p, r] > NO_WEIGHT:
            statistics[r, SHARE] = sums.related[p, r] / sums.total[p, r]
        statistics[r, EXCESS] = statistics[r, SHARE]
        if whole > NO_WEIGHT:
            statistics[r, EXCESS] -= expected / whole
        if sums.queries[r] > 0:
            statistics[r, LAST] = sums.last[p, r] / sums.queries[r]
            statistics[r, PEAK] = sums.peaks[p, r] / sums.queries[r]
        if sums.far_queries[r] > 0:
            statistics[r, FAR_MEAN] = sums.far[p, r] / sums.far_queries[r]


@compiled
def _token_rows(
    patterns: Float[np.ndarray, "b n n"],
    t: Tokens,
    mask: Float[np.ndarray, "relations n"],
    sums: Sums,
    out: Float[np.ndarray, "b F"],
) -> None:
    b, n, _ = patterns.shape
    row, groups = np.zeros(n, np.float32), np.zeros(n)
    for i in range(1, n):
        _relate(i, t, mask)
        _count(i, mask, sums)
        for p in range(b):
            for j in range(1, i):
                row[j] = max(patterns[p, i, j], np.float32(0.0))
            total = _add_row(p, i, row, mask, sums)
            sums.entropy[p] += _entropy(i, row, t, groups, total)
            sink = max(patterns[p, i, 0], np.float32(0.0))
            for k in range(len(t.queries)):
                sums.first[p, k] += sink * t.queries[k, i]
    statistics = np.zeros((COUNT, len(STATISTIC_NAMES)))
    mixed = max(1, (t.distinct > 1).sum())
    everywhere = len(t.queries) - 1
    for p in range(b):
        _write(p, n, sums, statistics)
        for column in range(len(COLUMNS)):
            out[p, column] = statistics[COLUMNS[column, 0], COLUMNS[column, 1]]
        out[p, ENTROPY] = sums.entropy[p] / mixed
        for k in range(everywhere):
            chosen = t.queries[k, 1:].sum()
            out[p, FIRST_AT + k] = 0.0
            if chosen > 0:
                mean = sums.first[p, everywhere] / (n - 1)
                out[p, FIRST_AT + k] = sums.first[p, k] / chosen - mean


def token_features(
    patterns: Float[np.ndarray, "b n n"], texts: Sequence[str]
) -> Float[np.ndarray, "b F"]:
    """Compute the `tokens` set of contiguous, finite float32 patterns of one prompt."""
    b, n, _ = patterns.shape
    table = token_table(tuple(texts))
    tokens = Tokens(
        identity=table.identity,
        kind=table.kind,
        units=np.array([getattr(table, unit) for unit in UNITS]),
        queries=np.array([*(queries_of(kind, table) for kind in QUERIES), np.ones(n)], np.float64),
        distinct=table.distinct,
    )
    mask = np.zeros((COUNT, n), np.float32)
    for r, kind in zip(OF_KEYS, KEY_KINDS, strict=True):
        mask[r, 1:] = getattr(table, kind)[1:]
    out = np.empty((b, SIZE), np.float32)
    _token_rows(patterns, tokens, mask, _sums(b, n), out)
    return out
