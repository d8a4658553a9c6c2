"""Definitions of the set `tokens`, in float64, one pattern and its token texts at a time.

The features describe which earlier tokens a query attends to, by what these tokens are: copies of
the query's token, the tokens after them, punctuation, parts of the same word. The first token,
which many heads use as a sink, and the query itself are no earlier tokens here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.features.extended_definitions import NO_WEIGHT
from attention_motifs.features.token_texts import KEY_KINDS, UNITS, TokenTable, token_table

if TYPE_CHECKING:
    from jaxtyping import Float

    Pairs = dict[int, list[int]]
    """Keys of a relation for each query that has one, in increasing order."""

FAR = 16
"""A key is far if it is more than this number of tokens before the query."""

# Relation -> the statistics of the weights on its pairs of query and key.
STATISTICS: dict[str, tuple[str, ...]] = {
    "same": ("share", "excess", "last", "far", "peak"),
    "after": ("share", "excess", "last", "far", "peak"),
    "after_pair": ("share",),
    "before": ("share",),
    "newline": ("excess",),
    "punctuation": ("excess",),
    "digit": ("excess",),
    "capital": ("excess",),
    "start": ("excess",),
    "rare": ("excess",),
    "frequent": ("excess",),
    "alike": ("excess",),
    "word": ("share",),
    "sentence": ("share",),
    "line": ("share",),
}
QUERIES = ("marks", "starts")
"""Queries of a kind, whose weight on the first token is compared with that of all queries."""
NAMES = (
    *(f"{relation}.{name}" for relation, names in STATISTICS.items() for name in names),
    "entropy.distinct",
    *(f"first.at_{kind}" for kind in QUERIES),
)


def related(relation: str, i: int, j: int, t: TokenTable) -> bool:
    """Return whether the key j of a query i, with 1 <= j < i, is in a relation."""
    if relation in KEY_KINDS:
        return bool(getattr(t, relation)[j])
    if relation in UNITS:
        return bool(getattr(t, relation)[i] == getattr(t, relation)[j])
    same = t.identity
    rules: dict[str, Callable[[], bool]] = {
        "same": lambda: same[j] == same[i],
        "after": lambda: same[j - 1] == same[i],
        "after_pair": lambda: j > 1 and same[j - 1] == same[i] and same[j - 2] == same[i - 1],
        "before": lambda: j + 1 < i and same[j + 1] == same[i],
        "alike": lambda: t.kind[j] == t.kind[i],
    }
    return bool(rules[relation]())


def weight_on_earlier(pattern: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n n"]:
    """Return the pattern without its first column, its diagonal and negative entries."""
    C = np.tril(np.asarray(pattern, dtype=np.float64), -1)
    C[:, 0] = 0
    return np.maximum(C, 0)


@lru_cache(maxsize=64)
def pairs_of(relation: str, texts: tuple[str, ...]) -> Pairs:
    """Return the keys of a relation for each query that has one."""
    t = token_table(texts)
    rows = {
        i: [j for j in range(1, i) if related(relation, i, j, t)] for i in range(len(t.identity))
    }
    return {i: keys for i, keys in rows.items() if keys}


def mean_by_distance(C: Float[np.ndarray, "n n"]) -> Float[np.ndarray, " n"]:
    """Return the mean weight at each distance, over the queries that have such a key."""
    n = len(C)
    means = np.zeros(n)
    for d in range(1, n - 1):
        means[d] = np.mean([C[i, i - d] for i in range(d + 1, n)])
    return means


def share(C: Float[np.ndarray, "n n"], pairs: Pairs) -> float:
    """Return the weight on the pairs, over all weight of the queries that have a pair."""
    return _quotient(sum(C[i, keys].sum() for i, keys in pairs.items()), _total(C, pairs))


def excess(C: Float[np.ndarray, "n n"], pairs: Pairs) -> float:
    """Return the share less what it would be if the weight depended on the distance alone."""
    means = mean_by_distance(C)
    expected = sum(means[i - j] for i, keys in pairs.items() for j in keys)
    return share(C, pairs) - _quotient(expected, sum(means[1:i].sum() for i in pairs))


def last(C: Float[np.ndarray, "n n"], pairs: Pairs) -> float:
    """Return the mean weight on the nearest key of each query that has a pair."""
    return float(np.mean([C[i, keys[-1]] for i, keys in pairs.items()])) if pairs else 0.0


def far(C: Float[np.ndarray, "n n"], pairs: Pairs) -> float:
    """Return the mean weight on far keys, over the queries that have a far one."""
    beyond = {i: [j for j in keys if i - j > FAR] for i, keys in pairs.items()}
    weights = [C[i, keys].sum() for i, keys in beyond.items() if keys]
    return float(np.mean(weights)) if weights else 0.0


def peak(C: Float[np.ndarray, "n n"], pairs: Pairs) -> float:
    """Return the share of queries whose largest weight, the nearest of equals, is on a pair."""
    hits = []
    for i, keys in pairs.items():
        place = i - int(C[i, i::-1].argmax())
        hits.append(place in keys and C[i, place] > NO_WEIGHT)
    return float(np.mean(hits)) if hits else 0.0


def entropy_of_distinct(C: Float[np.ndarray, "n n"], t: TokenTable) -> float:
    """Return the mean entropy over distinct tokens, over log2 of their number: 0 to 1.

    Queries with two or more distinct earlier tokens count; one without weight has entropy 0.
    """
    values = []
    for i in range(len(C)):
        tokens = sorted(set(t.identity[1:i].tolist()))
        if len(tokens) < 2:
            continue
        weights = np.array([C[i, t.identity == token].sum() for token in tokens])
        p = weights / weights.sum() if weights.sum() > NO_WEIGHT else np.zeros(len(weights))
        p = p[p > 0]
        values.append(max(0.0, -(p * np.log2(p)).sum()) / np.log2(len(tokens)))
    return float(np.mean(values)) if values else 0.0


def first_at(pattern: Float[np.ndarray, "n n"], chosen: Sequence[bool]) -> float:
    """Return the mean weight on the first token of chosen queries, less that of all queries."""
    sink = np.maximum(np.asarray(pattern, dtype=np.float64)[1:, 0], 0)
    of_chosen = sink[np.asarray(chosen, dtype=bool)[1:]]
    return float(of_chosen.mean() - sink.mean()) if len(of_chosen) else 0.0


def token_features(
    pattern: Float[np.ndarray, "n n"], texts: Sequence[str]
) -> Float[np.ndarray, " F"]:
    """Compute the set `tokens` of one finite pattern, in the order of `NAMES`."""
    t = token_table(tuple(texts))
    C = weight_on_earlier(pattern)
    functions = {"share": share, "excess": excess, "last": last, "far": far, "peak": peak}
    values = []
    for relation, names in STATISTICS.items():
        pairs = pairs_of(relation, tuple(texts))
        values += [functions[name](C, pairs) for name in names]
    values.append(entropy_of_distinct(C, t))
    values += [first_at(pattern, queries_of(kind, t).tolist()) for kind in QUERIES]
    return np.array(values)


def queries_of(kind: str, t: TokenTable) -> np.ndarray:
    """Return which tokens are of a kind of `QUERIES`."""
    return np.asarray(t.newline | t.punctuation if kind == "marks" else t.start)


def _quotient(part: float, whole: float) -> float:
    return float(part / whole) if whole > NO_WEIGHT else 0.0


def _total(C: Float[np.ndarray, "n n"], pairs: Pairs) -> float:
    return float(sum(C[i].sum() for i in pairs))
