"""Batched torch kernels of the set `experimental`.

In float64 throughout: the triangular systems of the absorption times can be ill-conditioned, up
to the 1e6 of `ESCAPE_FLOOR`. `experimental_definitions` has the definitions.
"""

from __future__ import annotations

import math

import torch

from attention_motifs.features.definitions import VECTOR_STATISTICS
from attention_motifs.features.experimental_definitions import (
    BAND_EDGES,
    DAMPING,
    ESCAPE_FLOOR,
    NAMES,
    NO_POWER,
    NO_SPREAD,
    STEP_STATISTICS,
)
from attention_motifs.features.torch_kernels import aligned, vector_statistics

OF_STEPS = [VECTOR_STATISTICS.index(name) for name in STEP_STATISTICS]
CHUNK_ELEMENTS = 1 << 22  # entries of patterns at once: some ten float64 copies of them are held


def experimental_features(patterns: torch.Tensor) -> torch.Tensor:
    """Compute the `experimental` set of causal, finite patterns: (B, n, n) -> (B, 47).

    The result has the type of the patterns, float32 or float64, and is on their device.
    """
    count, n, _ = patterns.shape
    out = patterns.new_empty(count, len(NAMES))
    size = max(1, CHUNK_ELEMENTS // (n * n))
    for start in range(0, count, size):
        part = slice(start, start + size)
        out[part] = _rows(patterns[part].double()).to(patterns.dtype)
    return out


def _rows(A: torch.Tensor) -> torch.Tensor:
    n = A.shape[-1]
    weights = A.tril().clamp(min=0)
    P = weights / weights.sum(dim=2, keepdim=True).clamp(min=1)
    S = aligned(P)
    return torch.cat(
        [
            _absorption(P),
            _spectrum(torch.fft.rfft(S, dim=2).abs().square().sum(dim=1), n),
            _spectrum(torch.fft.rfft(S, dim=1).abs().square().sum(dim=2), n),
            _network(P),
        ],
        dim=1,
    )


def _solve_lower(M: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    solved: torch.Tensor = torch.linalg.solve_triangular(M, right[:, :, None], upper=False)
    return solved[:, :, 0]


def _absorption(P: torch.Tensor) -> torch.Tensor:
    """Statistics of log2(1 + steps), and the mean deviation of the steps over their mean."""
    count, n, _ = P.shape
    first, second = P.new_zeros(2, count, n)
    dispersion = P.new_zeros(count, 1)
    if n > 1:
        Q = P[:, 1:, 1:]
        escape = (1 - Q.diagonal(dim1=1, dim2=2)).clamp(min=ESCAPE_FLOOR)
        system = torch.diag_embed(escape) - Q.tril(-1)
        first[:, 1:] = _solve_lower(system, torch.ones_like(escape))
        second[:, 1:] = _solve_lower(system, 2 * first[:, 1:] - 1)
        deviation = (second - first.square()).clamp(min=0).sqrt()
        dispersion = (deviation[:, 1:] / first[:, 1:]).mean(dim=1, keepdim=True)
    steps = vector_statistics((1 + first).log2())[:, OF_STEPS]
    return torch.cat([steps, dispersion], dim=1)


def _spectrum(power: torch.Tensor, n: int) -> torch.Tensor:
    """Shares by band, centroid, entropy and peak of (B, f) powers at the frequencies from 0 on."""
    power = power.clone()
    power[:, 1 : (n + 1) // 2] *= 2
    total = power.sum(dim=1, keepdim=True)
    frequency = torch.arange(power.shape[1], device=power.device, dtype=power.dtype) / n
    edges = torch.tensor((0.0, *BAND_EDGES), device=power.device, dtype=power.dtype)
    band = torch.bucketize(frequency, edges)
    shares = power.new_zeros(len(power), len(edges)).index_add_(1, band, power)
    shares = torch.where(total > 0, shares / total, 0)
    above = power[:, 1:].sum(dim=1, keepdim=True)
    share = torch.where(above > NO_POWER * total, power[:, 1:] / above, 0)
    centroid = (share * frequency[1:]).sum(dim=1)
    entropy = peak = torch.zeros_like(centroid)
    if share.shape[1] > 1:
        flat = math.log(share.shape[1])
        entropy = -torch.special.xlogy(share, share).sum(dim=1) / flat
    if share.shape[1] > 0:
        peak = share.amax(dim=1)
    return torch.cat([shares, torch.stack([centroid, entropy, peak], dim=1)], dim=1)


def _network(P: torch.Tensor) -> torch.Tensor:
    W = P.tril(-1)
    strength = P.sum(dim=1)
    keys, queries = _number_bits(P), _number_bits(P.mT)
    rank = _pagerank(P)
    columns = [
        _gini(strength),
        _effective_share(strength),
        keys.mean(dim=1),
        keys.var(dim=1, correction=0),
        queries.mean(dim=1),
        queries.var(dim=1, correction=0),
        _edge_correlation(W, strength, strength),
        _edge_correlation(W, keys, strength),
        _gini(rank),
        _effective_share(rank),
        rank[:, 0],
        *_tree(W),
        _transitivity(W),
    ]
    return torch.stack(columns, dim=1)


def _number_bits(X: torch.Tensor) -> torch.Tensor:
    squares = X.square().sum(dim=2)
    number = torch.where(squares > 0, X.sum(dim=2).square() / squares, 1)
    return number.clamp(min=1).log2()


def _gini(x: torch.Tensor) -> torch.Tensor:
    n = x.shape[1]
    total = x.sum(dim=1)
    rank = torch.arange(1 - n, n, 2, device=x.device, dtype=x.dtype)
    along = (rank * x.sort(dim=1).values).sum(dim=1)
    return torch.where(total > 0, along / (n * total), 0).clamp(min=0)


def _effective_share(x: torch.Tensor) -> torch.Tensor:
    total = x.sum(dim=1, keepdim=True)
    share = torch.where(total > 0, x / total, 0)
    number = (-torch.special.xlogy(share, share).sum(dim=1)).exp() / x.shape[1]
    return torch.where(total[:, 0] > 0, number, 0)


def _edge_correlation(
    W: torch.Tensor, of_query: torch.Tensor, of_key: torch.Tensor
) -> torch.Tensor:
    total = W.sum(dim=(1, 2))[:, None]
    scale = torch.where(total > 0, 1 / total, 0)
    out, into = W.sum(dim=2) * scale, W.sum(dim=1) * scale
    query_mean = (out * of_query).sum(dim=1, keepdim=True)
    key_mean = (into * of_key).sum(dim=1, keepdim=True)
    x, y = of_query - query_mean, of_key - key_mean
    x2, y2 = (out * x.square()).sum(dim=1), (into * y.square()).sum(dim=1)
    both = (x * (W @ y[:, :, None])[:, :, 0]).sum(dim=1) * scale[:, 0]
    still = (x2 <= NO_SPREAD * query_mean[:, 0].square().clamp(min=1)) | (
        y2 <= NO_SPREAD * key_mean[:, 0].square().clamp(min=1)
    )
    return (both / (x2 * y2).sqrt()).clamp(-1, 1).masked_fill(still, 0)


def _pagerank(P: torch.Tensor) -> torch.Tensor:
    n = P.shape[-1]
    system = torch.eye(n, device=P.device, dtype=P.dtype) - DAMPING * P.mT
    right = P.new_full((len(P), n, 1), (1 - DAMPING) / n)
    rank: torch.Tensor = torch.linalg.solve_triangular(system, right, upper=True)[:, :, 0]
    return rank / rank.sum(dim=1, keepdim=True)


def _tree(W: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Depths by doubling: a token's ancestor 1, 2, 4... levels up, itself where there is none."""
    count, n, _ = W.shape
    most = W.amax(dim=2)
    # torch's argmax does not say which of several maxima it takes; the first key counts here.
    index = torch.arange(n, device=W.device).expand(count, n)
    earliest = torch.where(most[:, :, None] == W, index[:, None, :], n).amin(dim=2)
    has_key = most > 0
    ancestor = torch.where(has_key, earliest, index)
    children = torch.zeros_like(ancestor).scatter_add_(1, ancestor, has_key.long())
    depth = has_key.to(W.dtype)
    for _ in range(n.bit_length()):
        depth = depth + depth.gather(1, ancestor)
        ancestor = ancestor.gather(1, ancestor)
    bits = (1 + depth).log2()
    leaves = (children == 0).to(W.dtype).mean(dim=1)
    hub = children.amax(dim=1).to(W.dtype) / max(1, n - 1)
    return bits.mean(dim=1), bits.amax(dim=1), leaves, hub


def _transitivity(W: torch.Tensor) -> torch.Tensor:
    ways = W @ W
    total = ways.sum(dim=(1, 2))
    return torch.where(total > 0, (ways * W).sum(dim=(1, 2)) / total, 0)
