"""From features to coordinates: the pattern embedding, and the preset `recommended`."""

from __future__ import annotations

from attention_motifs.embedding.pattern_embedding import LENGTH_BINS, PatternEmbedding
from attention_motifs.embedding.recommended import RecommendedEmbedding

__all__ = ["LENGTH_BINS", "PatternEmbedding", "RecommendedEmbedding"]
