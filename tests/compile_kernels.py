"""Compile all kernels into the cache, once, before several processes need them at the same time."""

from __future__ import annotations

import numpy as np

import attention_motifs as am
from attention_motifs.features.motif_kernels import batch_motif_shares
from attention_motifs.features.registry import BUILT_IN_SETS

if __name__ == "__main__":
    rng = np.random.default_rng(0)
    patterns = np.tril(rng.random((3, 20, 20))).astype(np.float32)
    patterns /= patterns.sum(axis=2, keepdims=True)
    for name in BUILT_IN_SETS:
        tokens = {"tokens": [["a"] * 20] * 3} if name == "tokens" else {}
        am.compute_features(patterns, name, **tokens)
    batch_motif_shares(patterns, np.zeros((20, 20), np.uint8))
    clouds = rng.random((5, 6, 4)).astype(np.float32)
    for metric in ("mean", "cosine", "wasserstein", "sliced-wasserstein", "energy"):
        am.head_distances(clouds, metric=metric)
