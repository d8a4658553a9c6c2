"""Batched torch kernel of the set `paper2`."""

from __future__ import annotations

import torch

from attention_motifs.features.definitions import LOG_CLIP
from attention_motifs.features.paper2_definitions import (
    DECIMALS,
    ENTROPY_DECIMALS,
    band_reach,
)
from attention_motifs.features.torch_kernels import paper_features, vector_statistics


def paper2_features(patterns: torch.Tensor) -> torch.Tensor:
    """Compute the `paper2` set of causal, finite patterns: (B, n, n) -> (B, 179)."""
    n = patterns.shape[-1]
    A = patterns.tril().double()
    token = torch.arange(n, device=A.device)
    distance = (token[:, None] - token[None, :]).double()
    entropy = -(A * A.clamp(LOG_CLIP[0], 1).log()).sum(dim=2)
    previous = A.diagonal(-1, dim1=1, dim2=2) if n > 1 else torch.zeros_like(A[:, :, 0])
    vectors = (
        A[:, :, -1],
        previous,
        entropy.round(decimals=ENTROPY_DECIMALS),
        (A * distance).sum(dim=2).round(decimals=DECIMALS),
        A.amax(dim=2),
        A.sum(dim=1).round(decimals=DECIMALS),
    )
    total, near = A.sum(dim=(1, 2)), A.triu(-band_reach(n)).sum(dim=(1, 2))
    share = torch.where(total > 0, near / total, 0.0)
    columns = [vector_statistics(vector).to(patterns.dtype) for vector in vectors]
    return torch.cat([paper_features(patterns), *columns, share[:, None].to(patterns.dtype)], dim=1)
