"""The paper's claims beside what an atlas measures (docs/comparison.md)."""

from __future__ import annotations

from attention_motifs.comparison.claims import CLAIMS, NO_NUMBER, Claim, judged
from attention_motifs.comparison.measures import (
    DepthContrast,
    Overlap,
    depth_contrast,
    head_silhouette,
    model_overlap,
    pattern_difference,
    variance_shares,
)
from attention_motifs.comparison.page import comparison_page

__all__ = [
    "CLAIMS",
    "NO_NUMBER",
    "Claim",
    "DepthContrast",
    "Overlap",
    "comparison_page",
    "depth_contrast",
    "head_silhouette",
    "judged",
    "model_overlap",
    "pattern_difference",
    "variance_shares",
]
