"""The set `extended` in batched torch operations, for patterns that already lie on a GPU.

What runs over whole patterns is in the type of the patterns, the statistics of their rows are in
float64. `extended_definitions` has the definitions.
"""

from __future__ import annotations

import torch

from attention_motifs.features.extended_definitions import (
    BANDS,
    NEAR,
    NO_WEIGHT,
    PEAK_PLACES,
    PEAKED,
    QUANTILES,
)
from attention_motifs.features.torch_kernels import aligned


def extended_features(patterns: torch.Tensor) -> torch.Tensor:
    """The `extended` set of causal, finite patterns: (B, n, n) -> (B, 58).

    float32 or float64 in, the same out and on the same device.
    """
    n = patterns.shape[-1]
    B = patterns.tril().clamp(min=0)
    sink = B[:, :, 0].clone().double()
    B[:, :, 0] = 0
    received = B.sum(dim=1).double()
    logs = torch.special.xlogy(B, B).sum(dim=2).double()
    S = aligned(B)  # [b, i, d] is the weight of query i at distance d
    del B
    row = S.sum(dim=2).double()
    total = row.sum(dim=1)
    peak, place = S.max(dim=2)  # the first of equals, which is the nearest
    far = S[:, NEAR + 2 :, NEAR + 1 :]
    far_peak = far.amax(dim=2) if far.numel() else S.new_zeros(len(S), 0)
    columns = [
        _bands(S, total),
        _spread(sink[:, 1:]),
        _peaks(peak[:, 1:].double()),
        _peaks(far_peak.double()),
        _places(peak[:, 1:], place[:, 1:], n),
        _entropies(row, logs, sink),
        _share(received.square().sum(dim=1), total.square(), NO_WEIGHT**2)[:, None],
        _continuity(S),
    ]
    return torch.cat(columns, dim=1).to(patterns.dtype)


def _share(part: torch.Tensor, whole: torch.Tensor, least: float) -> torch.Tensor:
    """Quotients; 0 where the whole is no more than `least`."""
    return torch.where(whole > least, part / whole.clamp(min=least), 0.0)


def _mean_and_spread(x: torch.Tensor, counted: torch.Tensor | None = None) -> torch.Tensor:
    """Of the counted values of each row: (B, m) -> (B, 2); 0 of no values."""
    weight = torch.ones_like(x) if counted is None else counted.double()
    count = weight.sum(dim=1, keepdim=True).clamp(min=1)
    mean = (x * weight).sum(dim=1, keepdim=True) / count
    variance = ((x - mean).square() * weight).sum(dim=1, keepdim=True) / count
    return torch.cat([mean, variance.sqrt()], dim=1)


def _bands(S: torch.Tensor, total: torch.Tensor) -> torch.Tensor:
    values = []
    for first, last in BANDS:
        end = S.shape[2] if last is None else last + 1
        masses = S[:, first + 1 :, first:end].sum(dim=2).double()
        share = _share(masses.sum(dim=1), total, NO_WEIGHT)
        values += [_mean_and_spread(masses), share[:, None]]
    return torch.cat(values, dim=1)


def _spread(x: torch.Tensor) -> torch.Tensor:
    m = x.shape[1]
    quantiles = torch.zeros(len(x), len(QUANTILES), dtype=x.dtype, device=x.device)
    if m:
        ordered = x.sort(dim=1).values
        for k, q in enumerate(QUANTILES):
            below = int(q * (m - 1))
            pair = ordered[:, below], ordered[:, min(below + 1, m - 1)]
            quantiles[:, k] = torch.lerp(*pair, q * (m - 1) - below)
    return torch.cat([_mean_and_spread(x), quantiles], dim=1)


def _peaks(x: torch.Tensor) -> torch.Tensor:
    count = max(1, x.shape[1])
    shares = [(x > level).double().sum(dim=1, keepdim=True) / count for level in PEAKED]
    return torch.cat([_spread(x), *shares], dim=1)


def _places(peak: torch.Tensor, place: torch.Tensor, n: int) -> torch.Tensor:
    known = peak.double() > NO_WEIGHT
    nearest = place.clamp(max=PEAK_PLACES)
    shares = [
        ((nearest == d) & known).double().sum(dim=1, keepdim=True) / max(1, n - 1)
        for d in range(PEAK_PLACES + 1)
    ]
    return torch.cat([*shares, _mean_and_spread((1.0 + place.double()).log2(), known)], dim=1)


def _entropies(row: torch.Tensor, logs: torch.Tensor, sink: torch.Tensor) -> torch.Tensor:
    """From the weights on the sink and the sums of the others, w, and of w ln w."""
    n = row.shape[1]
    index = torch.arange(n, device=row.device, dtype=torch.float64)
    with_sink = logs + torch.special.xlogy(sink, sink)
    values = []
    for total, of_logs, keys, start in (
        (row + sink, with_sink, index + 1, 1),
        (row, logs, index, 2),
    ):
        weight = total[:, start:].clamp(min=NO_WEIGHT)
        entropy = (weight.log() - of_logs[:, start:] / weight) / keys[start:].log()
        entropy = torch.where(total[:, start:] > NO_WEIGHT, entropy, 0.0).clamp(min=0)
        values.append(entropy.sum(dim=1, keepdim=True) / max(1, n - start))
    return torch.cat(values, dim=1)


def _continuity(S: torch.Tensor) -> torch.Tensor:
    """Along the diagonal distances stay equal; along the column they grow by one."""
    squares = [part.square().sum(dim=(1, 2)) for part in (S[:, :, : NEAR + 1], S[:, :, NEAR + 1 :])]
    before, after = S[:, :-1], S[:, 1:]
    near, far = slice(NEAR + 1), slice(NEAR + 1, None)
    products = [(before[:, :, part] * after[:, :, part]).sum(dim=(1, 2)) for part in (near, far)]
    products += [
        (before[:, :, :-1][:, :, :NEAR] * after[:, :, 1 : NEAR + 1]).sum(dim=(1, 2)),
        (before[:, :, NEAR + 1 : -1] * after[:, :, NEAR + 2 :]).sum(dim=(1, 2)),
    ]
    return torch.stack(
        [
            _share(product.double(), square.double(), NO_WEIGHT**2)
            for product, square in zip(products, 2 * squares, strict=True)
        ],
        dim=1,
    )
