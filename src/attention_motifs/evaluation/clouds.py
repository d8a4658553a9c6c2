"""Measures of head clouds: identification of heads by a pattern, and shares of variance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.errors import InputError
from attention_motifs.evaluation.null import generator
from attention_motifs.evaluation.query_sets import ALL_MODELS, HeadPositions
from attention_motifs.features.arguments import number_array, whole_number

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

TOP = 5

_ROUNDING = 1e-12
"""Squared distances closer than this times the squared norms are equal."""


@dataclass(frozen=True)
class Identification:
    """Share of held-out patterns assigned to the right head by the nearest centroid."""

    model: str
    """A model, or `all models`: the heads to choose from."""
    n_heads: int
    n_patterns: int
    """Number of held-out patterns: heads times prompts."""
    top_1: float
    """Share of patterns whose nearest centroid is that of their head; chance is 1 / n_heads."""
    top_5: float
    """Share of patterns whose head has one of the five nearest centroids."""


@dataclass(frozen=True)
class VarianceShares:
    """Shares of the total sum of squares; the sum is 1. NaN if nothing varies."""

    model: str
    n_heads: int
    n_prompts: int
    head: float
    prompt: float
    residual: float

    def by_chance(self) -> tuple[float, float, float]:
        """Return the expected shares of head, prompt and residual of independent noise.

        They are the degrees of freedom divided by their total, H P - 1.
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
    """Assign held-out patterns to heads by the nearest centroid (Euclidean).

    Each prompt is held out in turn: the centroid of a head is the mean of its patterns on all other
    prompts. A pattern is assigned among the heads of its model, and among those of all models.
    Tied centroids are counted by their expected rank.

    Args:
        clouds: (prompts, heads, components) embedded patterns; all heads share the prompts.
        heads: model and layer of every head.
        n_held_out: number of prompts to hold out, drawn at random (default: all of them).
        seed: seed for the draw, 0 or more.

    Returns:
        One result per model, then that of all models if there are several.

    Raises:
        InputError: if the clouds are malformed or not finite, or there are fewer than two prompts
            or fewer prompts than `n_held_out`.
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
        nearer, tied = _compare_centroids((totals - pattern) / (n_prompts - 1), pattern)
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
    """Split the variance of embedded patterns into head, prompt and residual.

    Two-way analysis of variance with one pattern per head and prompt, summed over components. With
    mean m, head means a_h and prompt means b_p, the sum over p, h of |x_ph - m|^2 equals
    P sum |a_h - m|^2 + H sum |b_p - m|^2 + sum |x_ph - a_h - b_p + m|^2, since every head has every
    prompt. The residual holds noise and whatever a head does on that prompt only.

    Args:
        clouds: (prompts, heads, components) embedded patterns; all heads share the prompts.
        heads: model and layer of every head.

    Returns:
        One result per model, then that of all models if there are several.

    Raises:
        InputError: if the clouds are malformed or not finite, or there is a single prompt.
    """
    values = _check(clouds, heads)
    results = [_shares(values[:, heads.heads_of(model)], model) for model in heads.models]
    if len(results) > 1:
        results.append(_shares(values, ALL_MODELS))
    return tuple(results)


def _shares(values: Float[np.ndarray, "prompts heads components"], model: str) -> VarianceShares:
    n_prompts, n_heads, n_components = values.shape
    # Relative to the first pattern, so that constant clouds far from the origin have no variance.
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


def _compare_centroids(
    centroids: Float[np.ndarray, "heads components"],
    patterns: Float[np.ndarray, "heads components"],
) -> tuple[Bool[np.ndarray, "heads heads"], Bool[np.ndarray, "heads heads"]]:
    """Return which centroids (columns) are nearer to a head's pattern than its own, or as near."""
    # |x - c|^2 less |x|^2, which a row shares; relative to the mean, where rounding is least.
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
    if whole_number(n_held_out, "n_held_out", least=1) > n_prompts:
        raise InputError(f"n_held_out is {n_held_out}. Give 1 to {n_prompts}, the prompts.")
    chosen = generator(seed, "held-out prompts").permutation(n_prompts)[:n_held_out]
    return [int(prompt) for prompt in np.sort(chosen)]


def _check(clouds: object, heads: HeadPositions) -> Float[np.ndarray, "prompts heads components"]:
    values = number_array(clouds, "head clouds", ("prompts", "heads", "components"))
    if values.shape[1] != len(heads) or values.shape[2] < 1:
        raise InputError(
            f"head clouds have shape {values.shape}. Give (prompts, {len(heads)}, components)."
        )
    if len(values) < 2:
        raise InputError(f"head clouds have {len(values)} prompt. Give 2 or more.")
    if not np.isfinite(values).all():
        raise InputError("head clouds hold values that are not finite. Embed the features again.")
    return values
