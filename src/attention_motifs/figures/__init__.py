"""Static figures of an atlas: the counterparts of the paper's figures, and more."""

from __future__ import annotations

from attention_motifs.figures.clouds import embedding_points, pattern_embedding
from attention_motifs.figures.heatmap import distance_heatmap, heads_in_order
from attention_motifs.figures.make import make_figures
from attention_motifs.figures.plot import plot
from attention_motifs.figures.sheet import pattern_sheet
from attention_motifs.figures.style import save
from attention_motifs.figures.typical import typical_heads
from attention_motifs.figures.variance import variance_explained, variance_table

__all__ = [
    "distance_heatmap",
    "embedding_points",
    "heads_in_order",
    "make_figures",
    "pattern_embedding",
    "pattern_sheet",
    "plot",
    "save",
    "typical_heads",
    "variance_explained",
    "variance_table",
]
