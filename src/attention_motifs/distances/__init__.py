"""Distances between attention heads: a registry of metrics on head clouds.

A head cloud is the embedding of one head's patterns over the prompts; all clouds together are an
array (prompts, heads, components). `head_distances` computes all pairs, `distances_from` some heads
against all, `candidate_distances` listed pairs. docs/distances.md says when to use which metric.
"""

from __future__ import annotations

from attention_motifs.distances.budget import DEFAULT_BUDGET_SECONDS, estimate_seconds
from attention_motifs.distances.complementary import ComplementaryPairs, complementary
from attention_motifs.distances.compute import (
    candidate_distances,
    distances_from,
    head_distances,
    nearest,
)
from attention_motifs.distances.metrics import (
    DEFAULT_METRIC,
    SLICED_DIRECTIONS,
    random_directions,
    register_preset,
    sliced_wasserstein,
)
from attention_motifs.distances.registry import (
    Metric,
    get_metric,
    metric_names,
    register_metric,
)

__all__ = [
    "DEFAULT_BUDGET_SECONDS",
    "DEFAULT_METRIC",
    "SLICED_DIRECTIONS",
    "ComplementaryPairs",
    "Metric",
    "candidate_distances",
    "complementary",
    "distances_from",
    "estimate_seconds",
    "get_metric",
    "head_distances",
    "metric_names",
    "nearest",
    "random_directions",
    "register_metric",
    "register_preset",
    "sliced_wasserstein",
]
