"""Measures of what the paper shows in figures: overlap of models, regions, depth, look-alikes.

Pure functions on arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, Int

N_BINS = 40
N_SHOWN = 3
"""Number of components in the paper's figure 4."""
N_NEAREST = 10
N_DRAWS = 20
N_PERMUTATIONS = 999
_EDGE = 1e-3
"""Share of the points, at each end, that is put into the outermost bins of a histogram."""


@dataclass(frozen=True)
class Overlap:
    """Overlap of the models in the embedding; every share is 0 (separate) to 1 (equal)."""

    components: float
    """Overlap of the models' distributions along one component, mean of the first three and of
    all pairs of models."""
    lowest: float
    """The smallest of these overlaps."""
    permuted: float
    """Mean overlap with heads assigned to models at random: the upper limit."""
    mixing: float
    """Share of a head's nearest on the same prompt that are of other models, over the share that
    would be if the model did not matter; in the whole embedding."""


def model_overlap(
    clouds: Float[np.ndarray, "prompts heads components"], models: Sequence[str], seed: int = 0
) -> Overlap:
    """Measure the overlap of the patterns of different models in the embedding.

    The overlap of two distributions p and q is the sum of min(p, q) over 40 equal bins, one less
    their total variation distance.

    Args:
        clouds: (prompts, heads, components) embedded patterns; finite.
        models: model of every head; two models or more.
        seed: seed for the random assignment.
    """
    label = np.unique(np.asarray(models), return_inverse=True)[1]
    codes = [_bins(clouds[:, :, component]) for component in range(min(N_SHOWN, clouds.shape[2]))]
    overlaps = [overlap for code in codes for overlap in _overlaps(code, label)]
    rng = np.random.default_rng(seed)
    dealt = [
        overlap
        for _ in range(N_DRAWS)
        for label_drawn in [rng.permutation(label)]
        for code in codes
        for overlap in _overlaps(code, label_drawn)
    ]
    return Overlap(
        float(np.mean(overlaps)),
        float(np.min(overlaps)),
        float(np.mean(dealt)),
        _mixing(clouds, label),
    )


def _bins(values: Float[np.ndarray, "prompts heads"]) -> Int[np.ndarray, "prompts heads"]:
    """Return the bin of every value, of equal bins over all but the outlying values."""
    low, high = np.quantile(values, [_EDGE, 1 - _EDGE])
    scaled = (values - low) / ((high - low) or 1.0) * N_BINS
    return np.asarray(np.clip(scaled.astype(np.int64), 0, N_BINS - 1))


def _overlaps(
    code: Int[np.ndarray, "prompts heads"], label: Int[np.ndarray, " heads"]
) -> list[float]:
    """Return the overlap of every pair of labels."""
    shares = []
    for value in np.unique(label):
        counts = np.bincount(code[:, label == value].ravel(), minlength=N_BINS)
        shares.append(counts / counts.sum())
    return [float(np.minimum(a, b).sum()) for a, b in combinations(shares, 2)]


def _mixing(
    clouds: Float[np.ndarray, "prompts heads components"], label: Int[np.ndarray, " heads"]
) -> float:
    n_heads = len(label)
    k = min(N_NEAREST, n_heads - 1)
    different = label[:, None] != label[None, :]
    expected = different.sum(axis=1) / (n_heads - 1)
    shares = np.zeros(n_heads)
    for points in clouds.astype(np.float64):
        square = (points**2).sum(axis=1)
        distances = square[:, None] + square[None, :] - 2 * points @ points.T
        np.fill_diagonal(distances, np.inf)
        nearest = np.argpartition(distances, k - 1, axis=1)[:, :k]
        shares += np.take_along_axis(different, nearest, axis=1).mean(axis=1)
    return float((shares / len(clouds) / expected).mean())


def head_silhouette(
    clouds: Float[np.ndarray, "prompts heads components"], max_points: int = 6000, seed: int = 0
) -> float:
    """Return the mean silhouette (Rousseeuw 1987) of patterns grouped by head: -1 to 1.

    Near 1, the patterns of a head are close together and far from those of other heads; at 0, they
    are as near to another head.

    Args:
        clouds: (prompts, heads, components) embedded patterns.
        max_points: patterns taken at most, of all heads on prompts drawn by the seed (two at
            least).
        seed: seed for the sample.

    Returns:
        NaN with fewer than two prompts or two heads.
    """
    from sklearn.metrics import silhouette_score

    n_prompts, n_heads, n_components = clouds.shape
    if n_prompts < 2 or n_heads < 2:
        return math.nan
    n_taken = min(n_prompts, max(2, max_points // n_heads))
    taken = np.sort(np.random.default_rng(seed).permutation(n_prompts)[:n_taken])
    points = clouds[taken].reshape(-1, n_components)
    return float(silhouette_score(points, np.tile(np.arange(n_heads), n_taken)))


@dataclass(frozen=True)
class DepthContrast:
    """Separation of early and late layers of a model."""

    model: str
    within: float
    """Mean distance of two heads in the same half of the layers."""
    across: float
    """Mean distance of an early and a late head."""
    auroc: float
    """Probability that a pair across the halves is farther apart than a pair within one."""
    p: float
    """One-sided p of the AUROC, with heads assigned to the halves at random."""
    best_cut: int
    """First layer after the cut with the largest AUROC."""
    best_auroc: float
    best_p: float
    """One-sided p of the largest AUROC over all cuts, with heads assigned at random."""
    spearman: float
    """Rank correlation of the distance of two heads and their difference in layers."""


def depth_contrast(
    distances: Float[np.ndarray, "heads heads"],
    layers: Int[np.ndarray, " heads"],
    model: str = "",
    n_permutations: int = N_PERMUTATIONS,
    seed: int = 0,
) -> DepthContrast | None:
    """Compare distances within the early and late half of the layers with those across.

    Returns:
        None where the model has one layer, or there are too few heads for a pair of each kind.
    """
    from scipy.stats import rankdata, spearmanr

    numbers, layer = np.unique(layers, return_inverse=True)
    left, right = np.triu_indices(len(layers), k=1)
    values = distances[left, right].astype(np.float64)
    if len(numbers) < 2 or len(values) < 2:
        return None
    ranks = np.zeros(distances.shape)
    ranks[left, right] = ranks[right, left] = rankdata(values)
    aurocs = _aurocs_by_cut(ranks, layer)
    half = len(numbers) // 2 - 1
    if np.isnan(aurocs[half]):
        return None
    rng = np.random.default_rng(seed)
    drawn = np.array([_aurocs_by_cut(ranks, rng.permutation(layer)) for _ in range(n_permutations)])
    best = int(np.nanargmax(aurocs))
    apart = (layer[left] > half) != (layer[right] > half)
    return DepthContrast(
        model=model,
        within=float(values[~apart].mean()),
        across=float(values[apart].mean()),
        auroc=float(aurocs[half]),
        p=_p(aurocs[half], drawn[:, half]),
        best_cut=int(numbers[best + 1]),
        best_auroc=float(aurocs[best]),
        best_p=_p(aurocs[best], np.nanmax(drawn, axis=1)),
        spearman=float(spearmanr(values, np.abs(layers[left] - layers[right])).statistic),
    )


def _p(value: float, drawn: Float[np.ndarray, " draws"]) -> float:
    """Return (1 + draws at least as large) / (1 + draws), with a margin for rounding."""
    return float((1 + (drawn >= value - 1e-12).sum()) / (1 + len(drawn)))


def _aurocs_by_cut(
    ranks: Float[np.ndarray, "heads heads"], layer: Int[np.ndarray, " heads"]
) -> Float[np.ndarray, " cuts"]:
    """Return, for a cut after each layer but the last, the AUROC of pairs across the cut.

    From the rank sums of all pairs of layers; NaN where all pairs are across.

    Args:
        ranks: ranks of the pairs' distances, symmetric, zero diagonal.
        layer: layer of every head, from 0, without gaps.
    """
    member = np.eye(int(layer.max()) + 1)[layer]
    sums = member.T @ ranks @ member  # by pair of layers; twice for a layer with itself
    counts = member.sum(axis=0)
    n_pairs = len(layer) * (len(layer) - 1) / 2
    early = np.cumsum(counts)[:-1]
    n_across = early * (len(layer) - early)
    n_within = n_pairs - n_across
    rank_sum = np.array([sums[:c, c:].sum() for c in range(1, len(counts))])
    wins = rank_sum - n_across * (n_across + 1) / 2
    auroc: Float[np.ndarray, " cuts"] = np.full(len(wins), np.nan)
    np.divide(wins, n_across * n_within, out=auroc, where=n_within > 0)
    return auroc


def pattern_difference(
    pattern: Float[np.ndarray, "n n"], others: Float[np.ndarray, "heads n n"]
) -> Float[np.ndarray, " heads"]:
    """Return the attention that two patterns put on different tokens: mean over the rows.

    It is the total variation distance of the rows; 0 for equal patterns.
    """
    return np.asarray(0.5 * np.abs(others - pattern).sum(axis=-1).mean(axis=-1))


def variance_shares(
    variances: Float[np.ndarray, " components"], counts: Sequence[int]
) -> list[float]:
    """Return the share of variance of the first k components, for each k of `counts`."""
    cumulative = np.cumsum(np.sort(variances)[::-1]) / variances.sum()
    return [float(cumulative[min(k, len(cumulative)) - 1]) for k in counts]
