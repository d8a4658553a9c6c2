"""Embeddings of patterns: the paper's principal components, and the blocks of the presets."""

from __future__ import annotations

from attention_motifs.embedding.pattern_embedding import PatternEmbedding
from attention_motifs.embedding.recommended import RecommendedEmbedding
from attention_motifs.store.settings import LENGTH_BINS

__all__ = ["LENGTH_BINS", "PatternEmbedding", "RecommendedEmbedding"]
