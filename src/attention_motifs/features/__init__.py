"""Features of attention patterns: the registry, the definitions in float64, the kernels."""

from __future__ import annotations

from attention_motifs.features.compute import compute_features
from attention_motifs.features.registry import (
    Feature,
    feature,
    feature_names,
    feature_sets,
    features_of,
)

__all__ = [
    "Feature",
    "compute_features",
    "feature",
    "feature_names",
    "feature_sets",
    "features_of",
]
