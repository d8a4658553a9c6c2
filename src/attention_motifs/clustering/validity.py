"""Validity of clusters: agreement of halves and of seeds, and a reference without clusters.

A clustering of one cloud without clusters can be stable too: the draws of prompts share half of
the data, and heads keep their places. Stability is evidence of clusters only where it is larger
than that of the reference, one Gaussian with the means and covariances of the heads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.clustering.methods import Clustering
from attention_motifs.clustering.stability import Stability, adjusted_rand, cluster_again, stability
from attention_motifs.features.arguments import whole_number

if TYPE_CHECKING:
    from jaxtyping import Float, Int

STABLE = 0.75
"""Jaccard index from which a cluster counts as stable (Hennig, 2007)."""

DOMINANT = 0.9
"""Share of the heads from which one cluster makes the indices empty."""

N_REFERENCES = 4
"""Draws of the Gaussian."""

N_PAIRS = 3
"""Pairs of disjoint halves, and further seeds."""

Recompute = Callable[["Int[np.ndarray, ' sample']"], np.ndarray]


@dataclass(frozen=True)
class Validity:
    """Checks of a clustering; the indices are adjusted Rand indices, None where not available."""

    largest_share: float
    """Share of the clustered heads in the largest cluster."""
    disjoint_halves: float | None
    """Mean agreement of the clusterings on two disjoint halves of the prompts."""
    disjoint_sources: float | None
    """The same with halves that share no source of prompts."""
    seeds: float | None
    """Mean agreement with the same clustering from other seeds, for methods with a seed."""
    stable_clusters: int | None
    """Clusters with a Jaccard index of 0.75 or more."""
    reference_draws: int | None
    """Draws of data without clusters that count: those in which clusters are found and none of them
    dominates. The other draws agree with themselves by their dominant cluster alone."""
    reference: float | None
    """Mean stability on data without clusters; the stability itself must be above it."""
    reference_largest: float | None
    """Largest stability of the draws of the reference."""
    reference_halves: float | None
    """Mean agreement on disjoint halves of the reference."""
    reference_stable_share: float | None
    """Share of the clusters of the reference with a Jaccard index of 0.75 or more."""

    @property
    def warning(self) -> str | None:
        """One line on why the indices say nothing; None if one cluster does not dominate."""
        if self.largest_share <= DOMINANT:
            return None
        return (
            f"one cluster holds {self.largest_share:.0%} of the clustered heads: any index of "
            "agreement is high for such a clustering and is no evidence of clusters"
        )

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {**asdict(self), "warning": self.warning}


def largest_share(labels: Int[np.ndarray, " heads"]) -> float:
    """Return the share of the clustered heads in the largest cluster; 0 if there is none."""
    clustered = labels[labels >= 0]
    return float(np.bincount(clustered).max() / len(clustered)) if len(clustered) else 0.0


def validity(
    clustering: Clustering,
    stable: Stability | None,
    recompute: Recompute,
    sources: Sequence[str],
    *,
    with_seed: Callable[[int], Int[np.ndarray, " heads"]] | None = None,
    reference: Callable[[int], tuple[Clustering, Recompute]] | None = None,
    seed: int = 0,
) -> Validity:
    """Check a clustering.

    Args:
        clustering: clustering on all prompts.
        stable: its stability, if it was measured.
        recompute: as for `stability`.
        sources: (prompts,) source of each prompt, for the numbers that `recompute` takes.
        with_seed: function from a seed to the labels of the same clustering.
        reference: function from a seed to the same clustering of data without clusters, see
            `one_gaussian`, and to its `recompute`.
        seed: seed for the halves and the reference, 0 or more.

    Returns:
        The checks. Halves need 2 prompts. Halves by source need 2 sources, and fewer sources than
        prompts.

    Raises:
        InputError: if the seed is no whole number of 0 or more.
    """
    whole_number(seed, "seed")
    rng = np.random.default_rng([seed, 1])
    n = len(sources)
    seeds = None
    if with_seed is not None:
        others = [with_seed(seed + 1 + i) for i in range(N_PAIRS)]
        seeds = float(np.mean([adjusted_rand(clustering.labels, other) for other in others]))
    halves = None if stable is None else _on_halves(clustering, recompute, [*range(n)], rng)
    by_source = None
    if stable is not None and len(set(sources)) < n:
        by_source = _on_halves(clustering, recompute, sources, rng)
    draws = []
    if reference is not None and stable is not None:
        draws = _references(reference, stable, n, rng)
    return Validity(
        largest_share=largest_share(clustering.labels),
        disjoint_halves=halves,
        disjoint_sources=by_source,
        seeds=seeds,
        stable_clusters=None if stable is None else int((stable.jaccard >= STABLE).sum()),
        reference_draws=None if reference is None or stable is None else len(draws),
        reference=_mean([index for index, _, _ in draws]),
        reference_largest=max((index for index, _, _ in draws), default=None),
        reference_halves=_mean([on_halves for _, on_halves, _ in draws]),
        reference_stable_share=_mean([share for _, _, share in draws]),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _references(
    reference: Callable[[int], tuple[Clustering, Recompute]],
    stable: Stability,
    n_prompts: int,
    rng: np.random.Generator,
) -> list[tuple[float, float | None, float]]:
    """Return stability, agreement of halves, and share of stable clusters, per draw that counts."""
    n_rounds = -(-len(stable.adjusted_rand) // (2 * N_REFERENCES))
    draws = []
    for draw in range(N_REFERENCES):
        clustering, recompute = reference(draw)
        if not 0 < largest_share(clustering.labels) <= DOMINANT:
            continue
        of_draw = stability(
            clustering, recompute, n_prompts, n_rounds=n_rounds, sample=stable.sample, seed=draw
        )
        share = float((of_draw.jaccard >= STABLE).mean()) if len(of_draw.jaccard) else 0.0
        halves = _on_halves(clustering, recompute, [*range(n_prompts)], rng, n_pairs=1)
        draws.append((of_draw.mean, halves, share))
    return draws


def _on_halves(
    clustering: Clustering,
    recompute: Recompute,
    sources: Sequence[object],
    rng: np.random.Generator,
    n_pairs: int = N_PAIRS,
) -> float | None:
    """Return the mean agreement of the clusterings on two halves that share no source."""
    names = sorted(set(sources), key=str)
    if len(names) < 2:
        return None
    agreement = []
    for _ in range(n_pairs):
        first = {names[i] for i in rng.permutation(len(names))[: len(names) // 2]}
        inside = np.array([source in first for source in sources])
        labels = [
            cluster_again(clustering, recompute(np.flatnonzero(part))) for part in (inside, ~inside)
        ]
        agreement.append(adjusted_rand(*labels))
    return float(np.mean(agreement))


def one_gaussian(
    clouds: Float[np.ndarray, "prompts heads components"], rng: np.random.Generator
) -> Float[np.ndarray, "prompts heads components"]:
    """Draw head clouds without clusters: one Gaussian of heads, one of residuals.

    The centroids of the heads are drawn from one Gaussian with the mean and covariance of the real
    centroids. The effects of the prompts are the real ones, and the residuals are Gaussian with the
    covariance of the real residuals.

    Args:
        clouds: (prompts, heads, components), finite.
        rng: source of the draws.

    Returns:
        Clouds of the same shape, float64.
    """
    values = np.asarray(clouds, dtype=np.float64)
    n_prompts, n_heads, n_components = values.shape
    overall = values.mean(axis=(0, 1))
    of_heads = values.mean(axis=0) - overall
    of_prompts = values.mean(axis=1) - overall
    residuals = values - overall - of_heads - of_prompts[:, None]
    # A Gaussian combination of the centred centroids has their covariance, whatever its rank.
    drawn = rng.standard_normal((n_heads, n_heads)) @ of_heads / np.sqrt(max(1, n_heads))
    flat = residuals.reshape(-1, n_components)
    eigenvalues, axes = np.linalg.eigh(flat.T @ flat / len(flat))
    root = axes * np.sqrt(np.maximum(eigenvalues, 0.0))
    noise = rng.standard_normal((n_prompts, n_heads, n_components)) @ root.T
    return np.asarray(overall + drawn + of_prompts[:, None] + noise)
