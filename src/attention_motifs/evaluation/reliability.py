"""Split-half reliability: agreement of distances from different prompts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.evaluation.null import generator
from attention_motifs.evaluation.query_sets import ALL_MODELS, HeadPositions
from attention_motifs.evaluation.regression import spearman_rows
from attention_motifs.features.arguments import whole_number

if TYPE_CHECKING:
    from jaxtyping import Float, Int

N_SPLITS = 5

_MIN_HEADS = 3
"""Two heads have a single distance, which has no correlation."""


@dataclass(frozen=True)
class SplitHalf:
    """Agreement of the distances from two disjoint halves of the prompts."""

    model: str
    """A model, or `all models`: the heads whose pairs are compared."""
    n_heads: int
    n_prompts: int
    """Prompts in each half."""
    correlations: tuple[float, ...]
    """Spearman's correlation over all pairs of heads, one per split; NaN if all are equal."""

    @property
    def mean(self) -> float:
        """Mean over the splits."""
        return float(np.mean(self.correlations))

    @property
    def spread(self) -> float:
        """Standard deviation over the splits (ddof 1); 0 for one split.

        Splits share prompts, so this is the variation between splits, not a standard error.
        """
        return float(np.std(self.correlations, ddof=1)) if len(self.correlations) > 1 else 0.0


def split_half(
    distances_on: Callable[[Int[np.ndarray, " prompts"]], Float[np.ndarray, "heads heads"]],
    n_prompts: int,
    heads: HeadPositions,
    *,
    n_splits: int = N_SPLITS,
    seed: int = 0,
) -> tuple[SplitHalf, ...]:
    """Compare the distances between heads from random disjoint halves of the prompts.

    Args:
        distances_on: a function that returns the distance matrix on the prompts of these (sorted)
            indices.
        n_prompts: number of prompts; if it is odd, each split leaves one out.
        heads: model and layer of every row of the matrices.
        n_splits: number of random splits, drawn independently.
        seed: seed for the splits, 0 or more.

    Returns:
        One result per model of at least three heads, then that of all models if there are
        several.

    Raises:
        InputError: if there are fewer than two prompts or one split, or the distances are not
            finite or of the wrong shape.
    """
    whole_number(n_prompts, "n_prompts", least=2)
    whole_number(n_splits, "n_splits", least=1)
    groups = {model: heads.heads_of(model) for model in heads.models}
    if len(groups) > 1:
        groups[ALL_MODELS] = np.arange(len(heads))
    groups = {name: rows for name, rows in groups.items() if len(rows) >= _MIN_HEADS}
    correlations: dict[str, list[float]] = {name: [] for name in groups}
    half = n_prompts // 2
    rng = generator(seed, "split halves")
    for _ in range(n_splits):
        order = rng.permutation(n_prompts)
        halves = [distances_on(np.sort(order[i * half : (i + 1) * half])) for i in (0, 1)]
        for distances in halves:
            heads.check(distances)
        for name, rows in groups.items():
            above = rows[np.stack(np.triu_indices(len(rows), k=1))]
            first, second = (distances[above[0], above[1]][None, :] for distances in halves)
            correlations[name].append(float(spearman_rows(first, second)[0]))
    return tuple(
        SplitHalf(name, len(rows), half, tuple(correlations[name])) for name, rows in groups.items()
    )
