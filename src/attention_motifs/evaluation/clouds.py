"""What head clouds hold: who made a pattern, and how much of it is the head's doing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.errors import InputError
from attention_motifs.evaluation.null import generator
from attention_motifs.evaluation.query_sets import ALL_MODELS, HeadPositions

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

TOP = 5

_ROUNDING = 1e-12
"""Squared distances closer than this times the squared lengths behind them are equal."""


@dataclass(frozen=True)
class Identification:
    """How often a head is told by one pattern that its centroid does not know."""

    model: str
    """A model, or `all models`: among whose heads it is sought."""
    n_heads: int
    n_patterns: int
    """Held-out patterns that were named: heads times prompts."""
    top_1: float
    """Share of them whose nearest centroid is their own head's; chance 1 / n_heads."""
    top_5: float
    """Share of them whose own centroid is among the five nearest."""


@dataclass(frozen=True)
class VarianceShares:
    """Shares of the total sum of squares; they sum to 1, or are NaN where nothing varies."""

    model: str
    n_heads: int
    n_prompts: int
    head: float
    prompt: float
    residual: float

    def by_chance(self) -> tuple[float, float, float]:
        """Expected shares of head, prompt and residual if all patterns were independent noise.

        They are the degrees of freedom over their total, H P - 1.
        """
        h, p = self.n_heads - 1, self.n_prompts - 1
        total = max(self.n_heads * self.n_prompts - 1, 1)
        return h / total, p / total, h * p / total


def identification(
    clouds: Float[np.ndarray, "prompts heads components"],
    heads: HeadPositions,
    *,
    n_held_out: int | None = None,
    seed: int = 0,
) -> tuple[Identification, ...]:
    """Name the head of one held-out pattern by the nearest centroid (Euclidean).

    Each held-out prompt is left out in turn, alone: a head's centroid is the mean of its patterns
    on all other prompts. A pattern is sought among the heads of its own model, and among those of
    all models. Centroids tied with the right one share its place by expectation.

    Args:
        clouds: embedded patterns; all heads share the prompts.
        heads: model and layer of every head.
        n_held_out: hold out this many prompts, chosen by the seed; by default each of them.
        seed: at least 0.

    Returns:
        One result per model, then that of all models if there are several.

    Raises:
        InputError: if the shape is wrong, a value is not finite, or there are fewer than two
            prompts or prompts to hold out than asked for.
    """
    values = _check(clouds, heads)
    n_prompts, n_heads, _ = values.shape
    held_out = _held_out(n_prompts, n_held_out, seed)
    totals = values.sum(axis=0, dtype=np.float64)
    codes = np.array([heads.models.index(name) for name in heads.model])
    same = codes[:, None] == codes[None, :]
    hits = np.zeros((2, 2, n_heads))  # of (own model, all models) and (top 1, top 5)
    for prompt in held_out:
        pattern = values[prompt].astype(np.float64)
        nearer, tied = _against_own((totals - pattern) / (n_prompts - 1), pattern)
        for i, mask in enumerate((same, np.ones_like(same))):
            before, level = (nearer & mask).sum(axis=1), (tied & mask).sum(axis=1)
            for j, k in enumerate((1, TOP)):
                hits[i, j] += np.clip((k - before) / level, 0.0, 1.0)
    hits /= len(held_out)
    results = []
    for code, model in enumerate(heads.models):
        of_model = codes == code
        n = int(of_model.sum())
        shares = hits[0][:, of_model].mean(axis=1).tolist()
        results.append(Identification(model, n, n * len(held_out), *shares))
    if len(heads.models) > 1:
        shares = hits[1].mean(axis=1).tolist()
        results.append(Identification(ALL_MODELS, n_heads, n_heads * len(held_out), *shares))
    return tuple(results)


def variance_shares(
    clouds: Float[np.ndarray, "prompts heads components"], heads: HeadPositions
) -> tuple[VarianceShares, ...]:
    """Split the variance of embedded patterns into head, prompt and the rest.

    Two-way analysis of variance with one pattern per head and prompt, summed over components:
    with the mean m, head means a_h and prompt means b_p, the sum over p, h of |x_ph - m|^2 is
    P sum |a_h - m|^2 + H sum |b_p - m|^2 + sum |x_ph - a_h - b_p + m|^2, exactly, since every
    head has every prompt. The rest holds both noise and what a head does on that prompt alone.

    Returns:
        One result per model, then that of all models if there are several.

    Raises:
        InputError: if the shape is wrong, a value is not finite, or there is but one prompt.
    """
    values = _check(clouds, heads)
    results = [_shares(values[:, heads.heads_of(model)], model) for model in heads.models]
    if len(results) > 1:
        results.append(_shares(values, ALL_MODELS))
    return tuple(results)


def _shares(values: Float[np.ndarray, "prompts heads components"], model: str) -> VarianceShares:
    n_prompts, n_heads, n_components = values.shape
    # About the first pattern, so that constant clouds far from the origin have no variance.
    origin = values[0, 0].astype(np.float64)
    of_head = np.zeros((n_heads, n_components))
    of_prompt = np.zeros((n_prompts, n_components))
    for p, pattern in enumerate(values):
        of_head += (pattern - origin) / n_prompts
        of_prompt[p] = (pattern - origin).mean(axis=0)
    mean = of_head.mean(axis=0)
    head = n_prompts * float(((of_head - mean) ** 2).sum())
    prompt = n_heads * float(((of_prompt - mean) ** 2).sum())
    residual = math.fsum(
        float((((pattern - origin) - of_head - of_prompt[p] + mean) ** 2).sum())
        for p, pattern in enumerate(values)
    )
    total = head + prompt + residual
    shares = [part / total if total > 0 else math.nan for part in (head, prompt, residual)]
    return VarianceShares(model, n_heads, n_prompts, *shares)


def _against_own(
    centroids: Float[np.ndarray, "heads components"],
    patterns: Float[np.ndarray, "heads components"],
) -> tuple[Bool[np.ndarray, "heads heads"], Bool[np.ndarray, "heads heads"]]:
    """Which centroids (columns) are nearer to a head's pattern (row) than its own, or as near."""
    # |x - c|^2 less |x|^2, which is common to a row; about the mean, where rounding is least.
    origin = centroids.mean(axis=0)
    c, x = centroids - origin, patterns - origin
    of_centroid, of_pattern = (c**2).sum(axis=1), (x**2).sum(axis=1)
    beyond = of_centroid[None, :] - 2 * x @ c.T
    beyond -= np.diagonal(beyond)[:, None].copy()
    rounding = _ROUNDING * (of_pattern[:, None] + of_centroid.max())
    return beyond < -rounding, np.abs(beyond) <= rounding


def _held_out(n_prompts: int, n_held_out: int | None, seed: int) -> Sequence[int]:
    if n_held_out is None:
        return range(n_prompts)
    if not 1 <= n_held_out <= n_prompts:
        raise InputError(
            f"{n_held_out} prompts to hold out of {n_prompts}: 1 to {n_prompts} can be"
        )
    chosen = generator(seed, "held-out prompts").permutation(n_prompts)[:n_held_out]
    return [int(prompt) for prompt in np.sort(chosen)]


def _check(
    clouds: Float[np.ndarray, "prompts heads components"], heads: HeadPositions
) -> Float[np.ndarray, "prompts heads components"]:
    if clouds.ndim != 3 or clouds.shape[1] != len(heads) or clouds.shape[2] < 1:
        raise InputError(
            f"head clouds have shape {clouds.shape}: (prompts, {len(heads)}, components) is "
            "expected"
        )
    if len(clouds) < 2:
        raise InputError(f"head clouds of {len(clouds)} prompt: at least 2 prompts are needed")
    if not np.isfinite(clouds).all():
        raise InputError("head clouds hold values that are not finite: embed the features anew")
    return clouds
