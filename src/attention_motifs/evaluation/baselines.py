"""Simple embeddings of attention patterns, which the semi-planted benchmark compares metrics with.

An embedding is a function from patterns to vectors. Heads are compared by a registered metric of
the clouds of these vectors, as in the paper's Eq. 3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float

NEAR = 8
"""Tokens of the local window."""


@dataclass(frozen=True)
class Embedding:
    """A function from patterns to vectors, and how to compare heads by them."""

    name: str
    function: Callable[[Float[np.ndarray, "patterns n n"]], Float[np.ndarray, "patterns columns"]]
    """(patterns, n, n) float32 -> (patterns, columns)."""
    metric: str = "mean"
    """Registered metric of the clouds; `mean` is the paper's Eq. 3."""
    standardised: bool = False
    """Whether columns are divided by their standard deviation over all patterns."""
    n_prompts: int | None = None
    """Prompts used at most, for long vectors (default: all)."""

    def apply(self, patterns: Float[np.ndarray, "patterns n n"]) -> Float[np.ndarray, "p columns"]:
        """Return the vectors of patterns in float32.

        Raises:
            InputError: if the function does not return one finite vector per pattern.
        """
        rows = np.asarray(self.function(patterns), dtype=np.float32)
        if rows.ndim != 2 or len(rows) != len(patterns) or not np.isfinite(rows).all():
            raise InputError(
                f"embedding {self.name!r} failed: it returned shape {rows.shape} for "
                f"{len(patterns)} patterns, or numbers that are not finite. Return "
                f"({len(patterns)}, columns) finite numbers"
            )
        return rows


def raw_pattern(patterns: Float[np.ndarray, "patterns n n"]) -> Float[np.ndarray, "p entries"]:
    """Return the entries of patterns on and below the diagonal."""
    lower = np.tri(patterns.shape[-1], dtype=bool)
    return np.asarray(patterns[:, lower])


def row_statistics(patterns: Float[np.ndarray, "patterns n n"]) -> Float[np.ndarray, "p 8"]:
    """Return the statistics that browsers of heads show, as means over the queries.

    They are the entropy of a row and its standard deviation, the attention to the first token, to
    the query itself, to the token before and to the last eight, the mean distance of the keys, and
    the largest weight.
    """
    n = patterns.shape[-1]
    query, key = np.indices((n, n))
    positive = np.where(patterns > 0, patterns, 1.0)
    entropy = -(patterns * np.log2(positive)).sum(axis=2)
    near = ((query - key) >= 0) & ((query - key) < NEAR)
    return np.stack(
        [
            entropy.mean(axis=1),
            entropy.std(axis=1),
            patterns[:, :, 0].mean(axis=1),
            np.einsum("pii->p", patterns) / n,
            np.einsum("pii->p", patterns[:, 1:, :-1]) / max(n - 1, 1),
            (patterns * near).sum(axis=(1, 2)) / n,
            (patterns * (query - key)).sum(axis=(1, 2)) / n,
            patterns.max(axis=2).mean(axis=1),
        ],
        axis=1,
    )


BASELINES = (
    Embedding("raw pattern", raw_pattern, n_prompts=8),
    Embedding("row statistics", row_statistics, standardised=True),
)
"""Embeddings of every run of the benchmark."""
