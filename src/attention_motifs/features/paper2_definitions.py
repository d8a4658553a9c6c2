"""Definitions of the set `paper2`, in float64 and one pattern at a time.

The authors' later features: six more vectors of a pattern with the fourteen statistics of each, and
the share of its weight near the diagonal, after the 94 features of `paper`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.features.definitions import LOG_CLIP, paper_features, vector_statistics

if TYPE_CHECKING:
    from jaxtyping import Float

CONTEXTS = ("last_tok", "prev_tok", "row_entropy", "attn_distance", "row_max", "col_sum")
DECIMALS, ENTROPY_DECIMALS = 9, 6
"""Digits kept of entries that are sums: sums in another order, and logarithms of single precision,
differ beyond these, and a value at the edge of a bin should be in one bin for every kernel."""


def vectors(A: Float[np.ndarray, "n n"]) -> dict[str, Float[np.ndarray, " m"]]:
    """Return the vector of each context; `prev_tok` has n - 1 entries, the others n."""
    n = len(A)
    lower = np.tril(A)
    distance = np.arange(n)[:, None] - np.arange(n)[None, :]
    entropy = -(lower * np.log(np.clip(lower, LOG_CLIP[0], 1))).sum(axis=1)
    return {
        "last_tok": lower[:, -1],
        "prev_tok": np.diagonal(lower, -1),
        "row_entropy": entropy.round(ENTROPY_DECIMALS),
        "attn_distance": (lower * distance).sum(axis=1).round(DECIMALS),
        "row_max": lower.max(axis=1),
        "col_sum": lower.sum(axis=0).round(DECIMALS),
    }


def band_reach(n: int) -> int:
    """Return the distance from the diagonal, in tokens, up to which weight is near it."""
    return max(1, n // 4)


def band_energy(A: Float[np.ndarray, "n n"]) -> float:
    """Return the share of the weight at most n / 4 tokens from the diagonal; 0 without weight."""
    lower = np.tril(A)
    total = float(lower.sum())
    near = float(np.triu(lower, -band_reach(len(A))).sum())
    return near / total if total > 0 else 0.0


def paper2_features(A: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "179"]:
    """Return the `paper2` set of one causal pattern, in float64 and in the order of its names."""
    A = np.asarray(A, dtype=np.float64)
    values = list(paper_features(A))
    for vector in vectors(A).values():
        # A pattern of one token has no token before another.
        values += vector_statistics(vector if len(vector) else np.zeros(1)).values()
    return np.array([*values, band_energy(A)])
