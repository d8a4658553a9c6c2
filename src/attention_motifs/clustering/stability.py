"""Stability of clusters under resampling of the prompts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.clustering.linkage import UNCLUSTERED
from attention_motifs.clustering.methods import Clustering, cluster
from attention_motifs.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

SAMPLES = ("half", "bootstrap")


@dataclass(frozen=True, slots=True)
class Stability:
    """Agreement of a clustering with the same clustering on other draws of the prompts.

    Attributes:
        adjusted_rand: (rounds,) one index per draw; 1 for the same clusters, 0 on average for
            labels at random.
        jaccard: (clusters,) for each cluster, the mean over draws of its largest overlap with a
            cluster of the draw (Hennig, 2007: below about 0.6 unstable, from 0.75 stable, from
            0.85 highly stable).
        sample: kind of draw, half or bootstrap.
    """

    adjusted_rand: Float[np.ndarray, " rounds"]
    jaccard: Float[np.ndarray, " clusters"]
    sample: str

    @property
    def mean(self) -> float:
        """Mean adjusted Rand index."""
        return float(self.adjusted_rand.mean())

    @property
    def spread(self) -> float:
        """Standard deviation over the draws (ddof 1; 0 for one draw)."""
        several = len(self.adjusted_rand) > 1
        return float(self.adjusted_rand.std(ddof=1)) if several else 0.0


def stability(
    clustering: Clustering,
    recompute: Callable[[Int[np.ndarray, " sample"]], np.ndarray[Any, Any]],
    n_prompts: int,
    *,
    n_rounds: int = 20,
    sample: str = "half",
    seed: int = 0,
) -> Stability:
    """Cluster again on resampled prompts, with the same method and parameters.

    Args:
        clustering: clustering on all prompts.
        recompute: function from numbers of prompts (may repeat) to the distances (H, H) on
            these prompts, or for ward to the head embeddings (H, c), or to the labels (H,) if
            clustering needs more than a matrix.
        n_prompts: number of prompts.
        n_rounds: number of draws, at least 1.
        sample: `half`, half of the prompts without replacement (rounded up), or `bootstrap`, all
            prompts with replacement.
        seed: seed for the draws.

    Returns:
        The agreement of the draws with the clustering.

    Raises:
        InputError: if a number is out of range, the sample is unknown, or `recompute` returns
            another number of heads.
    """
    if sample not in SAMPLES:
        raise InputError(f"sample {sample!r} is not known; choose from {', '.join(SAMPLES)}")
    if n_prompts < 1 or n_rounds < 1:
        raise InputError(f"{n_prompts} prompts, {n_rounds} rounds: give at least 1 of each")
    rng = np.random.default_rng(seed)
    agreement = []
    overlap = []
    for _ in range(n_rounds):
        if sample == "half":
            prompts = np.sort(rng.permutation(n_prompts)[: (n_prompts + 1) // 2])
        else:
            prompts = np.sort(rng.integers(n_prompts, size=n_prompts))
        labels = cluster_again(clustering, recompute(prompts))
        agreement.append(adjusted_rand(clustering.labels, labels))
        overlap.append(jaccard(clustering.labels, labels).max(axis=1, initial=0.0))
    return Stability(np.array(agreement), np.array(overlap).mean(axis=0), sample)


def cluster_again(
    clustering: Clustering, recomputed: np.ndarray[Any, Any]
) -> Int[np.ndarray, " heads"]:
    """Return the labels of the same method and parameters on recomputed input.

    Args:
        clustering: method and parameters.
        recomputed: result of `recompute`, see `stability`.

    Raises:
        InputError: if the number of heads is another.
    """
    if len(recomputed) != len(clustering.labels):
        raise InputError(
            f"recomputed from fewer prompts: {len(recomputed)} heads, the clustering has "
            f"{len(clustering.labels)}; give the same heads"
        )
    if recomputed.ndim == 1:
        return recomputed
    parameters: dict[str, Any] = dict(clustering.parameters)
    if clustering.method == "ward":
        return cluster(None, method="ward", embeddings=recomputed, **parameters).labels
    return cluster(recomputed, method=clustering.method, **parameters).labels


def adjusted_rand(a: Int[np.ndarray, " heads"], b: Int[np.ndarray, " heads"]) -> float:
    """Compute the adjusted Rand index (Hubert and Arabie, 1985) of two clusterings.

    A head that only one of them leaves unclustered counts there as a cluster of one head. Heads
    that both leave unclustered are excluded; they would raise the agreement.

    Args:
        a: (H,) labels; -1 for unclustered heads.
        b: (H,) labels of the same heads.

    Returns:
        The index: 1 for equal clusters, 0 on average for random labels.

    Raises:
        InputError: if the lengths differ.
    """
    from sklearn.metrics import adjusted_rand_score

    a, b = np.asarray(a), np.asarray(b)
    if len(a) != len(b):
        raise InputError(f"labels of {len(a)} and {len(b)} heads: give the same heads twice")
    either = (a != UNCLUSTERED) | (b != UNCLUSTERED)
    if not either.any():
        return 1.0
    return float(adjusted_rand_score(_alone(a[either]), _alone(b[either])))


def _alone(labels: Int[np.ndarray, " heads"]) -> Int[np.ndarray, " heads"]:
    """Give each unclustered head a cluster number that no other head has."""
    singles = labels.max(initial=UNCLUSTERED) + 1 + np.arange(len(labels))
    return np.where(labels == UNCLUSTERED, singles, labels)


def jaccard(
    a: Int[np.ndarray, " heads"], b: Int[np.ndarray, " heads"]
) -> Float[np.ndarray, "clusters_a clusters_b"]:
    """Compute the Jaccard index of every pair of clusters, without the unclustered heads."""
    n_a, n_b = int(a.max(initial=UNCLUSTERED)) + 1, int(b.max(initial=UNCLUSTERED)) + 1
    both = (a != UNCLUSTERED) & (b != UNCLUSTERED)
    # Counted per head: a matrix of heads x clusters may not fit in memory.
    pairs = a[both].astype(np.int64) * n_b + b[both]
    shared = np.bincount(pairs, minlength=n_a * n_b).reshape(n_a, n_b)
    sizes_a = np.bincount(a[a != UNCLUSTERED], minlength=n_a)
    sizes_b = np.bincount(b[b != UNCLUSTERED], minlength=n_b)
    either = sizes_a[:, None] + sizes_b[None, :] - shared
    return np.asarray(shared / np.maximum(either, 1), dtype=np.float64)
