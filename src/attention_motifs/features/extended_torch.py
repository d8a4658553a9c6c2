"""Batched torch kernels of the set `extended`.

Operations on whole patterns are in the type of the patterns, statistics of rows in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from attention_motifs.features.extended import FAMILIES
from attention_motifs.features.extended_definitions import (
    ALIKE,
    BANDS,
    COMPANIONS,
    NEAR,
    NO_WEIGHT,
    PAIRS,
    PEAK_PLACES,
    PEAKED,
    QUANTILES,
)
from attention_motifs.features.torch_kernels import (
    aligned,
    correlation,
    lag1_autocorrelation,
    vector_features,
)


def extended_features(patterns: torch.Tensor) -> torch.Tensor:
    """Compute the `extended` set of causal, finite patterns: (B, n, n) -> (B, 85).

    The result has the type of the patterns, float32 or float64, and is on their device.
    """
    parts = _prepared(patterns, with_alike=True)
    columns = [FAMILY_KERNELS[family.name](parts) for family in FAMILIES]
    return torch.cat(columns, dim=1).to(patterns.dtype)


def no_gram_features(patterns: torch.Tensor) -> torch.Tensor:
    """Compute the `no_gram` set of causal, finite patterns: (B, n, n) -> (B, 104)."""
    parts = _prepared(patterns, with_alike=False)
    columns = [vector_features(patterns)]
    columns += [FAMILY_KERNELS[family.name](parts) for family in FAMILIES if family.name != "alike"]
    return torch.cat(columns, dim=1).to(patterns.dtype)


class _Parts(NamedTuple):
    """What the families share, for patterns of n tokens.

    Attributes:
        S: (B, n, n) in the type of the patterns: weight of query i at distance d, without the
            first column of the pattern.
        sink, row, logs, received: (B, n) float64: weights on the first token; sums over the other
            keys of w and of w ln w; sums over the queries.
        total: (B,) float64: sum of `row`.
        peak, place, far_peak: largest weights of each query, their distances, largest far weights.
        alike: (B, 9) float64: the features of the family of that name; or none.
    """

    S: torch.Tensor
    sink: torch.Tensor
    row: torch.Tensor
    logs: torch.Tensor
    received: torch.Tensor
    total: torch.Tensor
    peak: torch.Tensor
    place: torch.Tensor
    far_peak: torch.Tensor
    alike: torch.Tensor


def _prepared(patterns: torch.Tensor, *, with_alike: bool) -> _Parts:
    B = patterns.tril().clamp(min=0)
    sink = B[:, :, 0].clone().double()
    B[:, :, 0] = 0
    received = B.sum(dim=1).double()
    logs = torch.special.xlogy(B, B).sum(dim=2).double()
    alike = _alike(B) if with_alike else B.new_zeros(len(B), 0)
    S = aligned(B)
    del B  # `alike` and S need most memory, and not at once
    row = S.sum(dim=2).double()
    peak, place = S.max(dim=2)  # the first of equals, which is the nearest
    far = S[:, NEAR + 2 :, NEAR + 1 :]
    far_peak = far.amax(dim=2) if far.numel() else S.new_zeros(len(S), 0)
    return _Parts(
        S, sink, row, logs, received, row.sum(dim=1), peak, place, far_peak.double(), alike
    )


def _share(part: torch.Tensor, whole: torch.Tensor, least: float) -> torch.Tensor:
    """Return quotients; 0 where the whole is no more than `least`."""
    return torch.where(whole > least, part / whole.clamp(min=least), 0.0)


def _mean_and_spread(x: torch.Tensor, counted: torch.Tensor | None = None) -> torch.Tensor:
    """Return mean and spread of the counted values of each row: (B, m) -> (B, 2)."""
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
    """Return entropies from the weights on the sink and the sums of the other w and w ln w."""
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
    """Return products with the follower along diagonal, column, row and antidiagonal.

    Along these the distance stays, grows by one, falls by one, grows by two.
    """
    last = S.shape[2]
    quotients = []
    for X, least, steps in ((S, NO_WEIGHT**2, 2), (S.sqrt(), NO_WEIGHT, 4)):
        squares = X.square().sum(dim=1).double()
        for rows, farther in ((1, 0), (1, 1), (0, -1), (1, 2))[:steps]:
            for first, end in ((0, min(NEAR + 1, last)), (NEAR + 1, last)):
                before = X[:, : last - rows, max(first, first - farther) : end - max(0, farther)]
                after = X[:, rows:, max(first, first + farther) : end + min(0, farther)]
                product = (before * after).sum(dim=(1, 2)).double()
                quotients.append(_share(product, squares[:, first:end].sum(dim=1), least))
    return torch.stack(quotients, dim=1)


def _alike(B: torch.Tensor) -> torch.Tensor:
    """Return similarities of keys and of queries, over far weights and over all far entries."""
    n = B.shape[-1]
    if n < NEAR + 2:
        return B.new_zeros(len(B), sum(map(len, ALIKE.values())))
    F = B.tril(-NEAR - 1)
    weight = F.sum(dim=(1, 2)).double()
    pairs = (n - NEAR) * (n - NEAR - 1) // 2
    off = B.tril(-1)
    values = []
    for X, least, of_keys in ((off.mT, NO_WEIGHT, True), (off.sqrt(), NO_WEIGHT**0.5, False)):
        norm = torch.linalg.vector_norm(X, dim=2, keepdim=True)
        unit = torch.where(norm > least, X / norm.clamp(min=least), 0.0)
        C = unit @ unit.mT
        C.diagonal(dim1=1, dim2=2).zero_()
        mean = C.tril(-NEAR - 1).sum(dim=(1, 2)).double() / pairs
        C, weights = (C, F) if of_keys else (C.mT, F.mT)  # moved along dimension 1 of both
        means = [
            _share((weights[:, 1:] * C[:, :-1]).sum(dim=(1, 2)).double(), weight, NO_WEIGHT),
            _share((weights * C).sum(dim=(1, 2)).double(), weight, NO_WEIGHT),
            _share((weights[:, :-1] * C[:, 1:]).sum(dim=(1, 2)).double(), weight, NO_WEIGHT),
        ]
        excess = [torch.where(weight > NO_WEIGHT, value - mean, 0.0) for value in means]
        values += [*means, *excess] if of_keys else excess
    return torch.stack(values, dim=1)


def _companions(sink: torch.Tensor, S: torch.Tensor, far_peak: torch.Tensor) -> torch.Tensor:
    """Return correlations of kinds of attention, and of each with itself one query later."""
    n = S.shape[1]
    if n < 3:
        return S.new_zeros(len(S), len(PAIRS) + len(COMPANIONS))
    # No key is far from the queries before NEAR + 2.
    far = torch.nn.functional.pad(far_peak, (n - far_peak.shape[1], 0))
    vectors = (sink, S[:, :, 0].double(), S[:, :, 1].double(), far)
    kinds = {name: x[:, 2:] for name, x in zip(COMPANIONS, vectors, strict=True)}
    together = [correlation(kinds[x], kinds[y]) for x, y in PAIRS]
    runs = [lag1_autocorrelation(x) for x in kinds.values()]
    return torch.stack([*together, *runs], dim=1)


FAMILY_KERNELS: dict[str, Callable[[_Parts], torch.Tensor]] = {
    "band": lambda x: _bands(x.S, x.total),
    "sink": lambda x: _spread(x.sink[:, 1:]),
    "peak": lambda x: _peaks(x.peak[:, 1:].double()),
    "far_peak": lambda x: _peaks(x.far_peak),
    "place": lambda x: _places(x.peak[:, 1:], x.place[:, 1:], x.S.shape[1]),
    "entropy": lambda x: _entropies(x.row, x.logs, x.sink),
    "keys": lambda x: _share(x.received.square().sum(dim=1), x.total.square(), NO_WEIGHT**2)[
        :, None
    ],
    "continuity": lambda x: _continuity(x.S),
    "alike": lambda x: x.alike,
    "companions": lambda x: _companions(x.sink, x.S, x.far_peak),
}
