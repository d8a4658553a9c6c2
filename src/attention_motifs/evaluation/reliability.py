"""Agreement of distances from two halves of the stimuli."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.evaluation.null import generator
from attention_motifs.evaluation.query_sets import ALL_MODELS, HeadPositions
from attention_motifs.evaluation.regression import spearman_rows
from attention_motifs.features.arguments import whole_number

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    Halves = tuple[Float[np.ndarray, "heads heads"], Float[np.ndarray, "heads heads"]]

N_SPLITS = 5

_MIN_HEADS = 3
"""Two heads have a single distance, which has no correlation."""


@dataclass(frozen=True)
class SplitHalf:
    """Agreement of the distances from two disjoint halves of the stimuli."""

    model: str
    """A model, or `all models`: the heads whose pairs are compared."""
    n_heads: int
    n_prompts: int
    """Prompts in each half, or sources of prompts."""
    correlations: tuple[float, ...]
    """Spearman's correlation over all pairs of heads, one per split; NaN if all are equal."""
    same_nearest: tuple[float, ...]
    """Share of heads whose nearest head is the same in both halves, one per split."""

    @property
    def mean(self) -> float:
        """Mean correlation over the splits."""
        return float(np.mean(self.correlations))

    @property
    def spread(self) -> float:
        """Standard deviation of the correlation over the splits (ddof 1); 0 for one split.

        Splits share prompts, so this is the variation between splits, not a standard error.
        """
        return spread_of(self.correlations)


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
    half = n_prompts // 2
    rng = generator(seed, "split halves")

    def matrices() -> Iterator[Halves]:
        for _ in range(n_splits):
            order = rng.permutation(n_prompts)
            yield (
                distances_on(np.sort(order[:half])),
                distances_on(np.sort(order[half : 2 * half])),
            )

    return half_agreement(matrices(), half, heads)


def half_agreement(
    halves: Iterable[Halves], n_each: int, heads: HeadPositions
) -> tuple[SplitHalf, ...]:
    """Compare pairs of distance matrices: all pairs of heads by rank, and every head's nearest.

    The correlation is ruled by far pairs, and is high even where nearest heads change.

    Args:
        halves: the two matrices of every split.
        n_each: number of prompts or sources in each half, for the record.
        heads: model and layer of every row of the matrices.

    Returns:
        One result per model of at least three heads, then that of all models if there are
        several.

    Raises:
        InputError: if a matrix is not finite or of the wrong shape.
    """
    groups = {model: heads.heads_of(model) for model in heads.models}
    if len(groups) > 1:
        groups[ALL_MODELS] = np.arange(len(heads))
    groups = {name: rows for name, rows in groups.items() if len(rows) >= _MIN_HEADS}
    correlations: dict[str, list[float]] = {name: [] for name in groups}
    same_nearest: dict[str, list[float]] = {name: [] for name in groups}
    for matrices in halves:
        for distances in matrices:
            heads.check(distances)
        for name, rows in groups.items():
            above = rows[np.stack(np.triu_indices(len(rows), k=1))]
            first, second = (d[above[0], above[1]][None, :] for d in matrices)
            correlations[name].append(float(spearman_rows(first, second)[0]))
            nearest = [_nearest(d[np.ix_(rows, rows)]) for d in matrices]
            same_nearest[name].append(float((nearest[0] == nearest[1]).mean()))
    return tuple(
        SplitHalf(name, len(rows), n_each, tuple(correlations[name]), tuple(same_nearest[name]))
        for name, rows in groups.items()
    )


def spread_of(values: tuple[float, ...]) -> float:
    """Return the standard deviation of some values (ddof 1); 0 for one value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _nearest(distances: Float[np.ndarray, "heads heads"]) -> Int[np.ndarray, " heads"]:
    values = np.array(distances, dtype=np.float64)
    np.fill_diagonal(values, np.inf)
    return np.asarray(values.argmin(axis=1))
