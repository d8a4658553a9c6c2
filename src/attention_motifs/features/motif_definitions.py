"""Shares of named motifs in an attention pattern: the definition, in float64, for reading.

The attention of each query is divided among motifs, so that the shares sum to 1:

1. The **fixed offset** is the diagonal whose median weight stands out, if there is one.
2. The level of **uniform** attention is the median weight of the keys that are far back and in no
   other motif. Every key counts at most this level as uniform.
3. The level of the **local window** is the median of what remains at the near keys in no other
   motif. Every near key counts at most this level as local.
4. What remains belongs to the motif of the key: first token, self, previous token, same token,
   after same token, separators, fixed offset. A key of several motifs is divided in proportion to
   what each of them has per key elsewhere, and evenly if none has anything.
5. What remains at keys of no motif is local at near keys and **residual** elsewhere. So is weight
   missing from a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.features.token_texts import token_table

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, UInt8

MOTIFS: Mapping[str, str] = MappingProxyType(
    {
        "first token": "attention to the first token of the prompt",
        "self": "attention to the token itself",
        "previous token": "attention to the token just before",
        "same token": "attention to earlier occurrences of this token",
        "after same token": "attention to the tokens that followed earlier occurrences of this one",
        "separators": "attention to punctuation and line breaks",
        "fixed offset": "attention to the token a fixed number of places back, 2 to 15",
        "local window": "attention to the last 8 tokens, whatever they are",
        "uniform": "attention spread evenly over all tokens",
        "residual": "attention that no motif explains",
    }
)
"""Names of the motifs and their meaning, in the order of the shares."""

KEYED = (
    "first token",
    "self",
    "previous token",
    "same token",
    "after same token",
    "separators",
    "fixed offset",
)
"""Motifs that are sets of keys, in the order of their bits; the first of `MOTIFS`."""
AT_OFFSET = 1 << KEYED.index("fixed offset")
WINDOW = 8
"""Keys of the local window, the query included."""
FIRST_QUERIES = 16
"""Queries left out at the start of a prompt, where motifs coincide; half of a short prompt."""
MAX_OFFSET = 15
LEAST_KEYS = 2
"""Fewest keys, or queries, from which a median is taken."""
LEAST_OFFSET = 0.02
"""Smallest median weight of a fixed offset; the diagonals next to it have at most half of it."""


def first_query(n: int) -> int:
    """Return the first query that counts in a pattern of n tokens."""
    return min(FIRST_QUERIES, n // 2)


def key_motifs(
    identity: Int[np.ndarray, " n"], separators: Bool[np.ndarray, " n"]
) -> UInt8[np.ndarray, "n n"]:
    """Return the motifs of `KEYED` that each key is in for each query, as bits; 0 above diagonal.

    The fixed offset depends on the pattern and has no bit here. The first token is in the motif of
    that name, and otherwise only the token itself or the previous one: what it attracts is that of
    a sink.

    Args:
        identity: (n,) number of each token; the same number for the same token.
        separators: (n,) whether each token is punctuation or holds a line break.
    """
    n = len(identity)
    query, key = np.arange(n)[:, None], np.arange(n)[None, :]
    same = identity[:, None] == identity[None, :]
    same &= key < query
    after = np.zeros((n, n), dtype=bool)
    after[:, 1:] = same[:, :-1]
    later = (key > 0) & (key <= query)
    sets = (
        (key == 0) & (key <= query),
        key == query,
        key == query - 1,
        same & later,
        after & later,
        separators[None, :] & later,
    )
    bits = np.zeros((n, n), dtype=np.uint8)
    for bit, members in enumerate(sets):
        bits |= (members << bit).astype(np.uint8)
    return bits


def separator_tokens(texts: Sequence[str]) -> Bool[np.ndarray, " n"]:
    """Return which tokens are punctuation or hold a line break: those of the feature set `tokens`.

    Args:
        texts: one per token, of any vocabulary's style, see `plain_pieces`.

    Returns:
        (n,) True for separators.
    """
    table = token_table(tuple(texts))
    separators: Bool[np.ndarray, " n"] = table.newline | table.punctuation
    return separators


def motif_shares(
    pattern: Float[np.ndarray, "n n"], bits: UInt8[np.ndarray, "n n"]
) -> Float[np.ndarray, " motifs"]:
    """Return the share of each motif in a pattern, in the order of `MOTIFS`; they sum to 1.

    Args:
        pattern: (n, n) attention weights, rows = queries, zero above the diagonal.
        bits: (n, n) motifs of each key, as `key_motifs` returns them.

    Returns:
        Mean over the queries from `first_query(n)` on; NaN if the pattern is not finite.
    """
    n = len(pattern)
    if not np.isfinite(pattern).all():
        return np.full(len(MOTIFS), np.nan)
    fixed = fixed_offset(pattern, bits)
    if fixed:
        bits = bits | AT_OFFSET * np.eye(n, k=-fixed, dtype=np.uint8)
    uniform = local = 0.0
    mass, keys = np.zeros(len(KEYED)), np.zeros(len(KEYED))  # at keys of one motif
    shared = np.zeros(1 << len(KEYED))  # at keys of several motifs, by their bits
    for i in range(first_query(n), n):
        row, motifs = pattern[i, : i + 1].astype(np.float64), bits[i, : i + 1]
        near, free = i - np.arange(i + 1) < WINDOW, motifs == 0
        level = np.full(i + 1, _median(row[free & ~near]))
        uniform += np.minimum(row, level).sum()
        row = np.maximum(row - level, 0.0)
        level = np.where(near & (motifs & 1 == 0), _median(row[free & near]), 0.0)
        local += np.minimum(row, level).sum()
        row = np.maximum(row - level, 0.0)
        local += row[free & near].sum()
        for bit in range(len(KEYED)):
            alone = motifs == 1 << bit
            mass[bit] += row[alone].sum()
            keys[bit] += alone.sum()
        several = motifs & (motifs - 1) > 0
        np.add.at(shared, motifs[several], row[several])
    rates = np.divide(mass, keys, out=np.zeros(len(KEYED)), where=keys > 0)
    for motif_bits, amount in enumerate(shared):
        members = np.array([motif_bits >> bit & 1 for bit in range(len(KEYED))], dtype=np.float64)
        if amount > 0.0:
            weights = members * rates if (members * rates).any() else members
            mass += amount * weights / weights.sum()
    shares = np.array([*mass, local, uniform]) / (n - first_query(n))
    return np.append(shares, max(0.0, 1.0 - shares.sum()))


def fixed_offset(pattern: Float[np.ndarray, "n n"], bits: UInt8[np.ndarray, "n n"]) -> int:
    """Return the offset, 2 to 15, at which most queries attend; 0 if none stands out.

    Its median weight, over the keys in no other motif, is largest, and at least `LEAST_OFFSET` and
    twice that of the diagonals next to it.
    """
    n, medians = len(pattern), [0.0] * (MAX_OFFSET + 2)
    for k in range(1, MAX_OFFSET + 2):
        queries = [i for i in range(max(first_query(n), k), n) if k == 1 or bits[i, i - k] == 0]
        medians[k] = _median(np.array([float(pattern[i, i - k]) for i in queries]))
    best = max(range(2, MAX_OFFSET + 1), key=lambda k: medians[k])
    beside = max(medians[best - 1], medians[best + 1])
    return best if medians[best] >= max(LEAST_OFFSET, 2 * beside) else 0


def _median(values: Float[np.ndarray, " m"]) -> float:
    """Return the median; 0 of fewer than `LEAST_KEYS` values."""
    return float(np.median(values)) if len(values) >= LEAST_KEYS else 0.0
