"""Batched torch kernels of the sets `paper` and `skew_col`.

Matrix products and logarithms are in the type of the patterns, statistics of vectors in float64.
No value is copied from the device.
"""

from __future__ import annotations

import math

import torch

from attention_motifs.features.definitions import (
    CONSTANT_SPREAD,
    ENTROPY_BINS,
    HISTOGRAM_BINS,
    HISTOGRAM_STATISTICS,
    LOG_CLIP,
    VECTOR_STATISTICS,
)

OF_HISTOGRAM = [VECTOR_STATISTICS.index(name) for name in HISTOGRAM_STATISTICS]


def paper_features(patterns: torch.Tensor) -> torch.Tensor:
    """Compute the `paper` set of causal, finite patterns: (B, n, n) -> (B, 94).

    The result has the type of the patterns, float32 or float64, and is on their device.
    Source: paper, section 2.2.
    """
    columns = [vector_features(patterns)]
    A = patterns.tril()
    L = A.clamp(min=LOG_CLIP[0]).log().clamp(max=math.log(LOG_CLIP[1]))
    columns += [_histogram_statistics(X @ X.mT) for X in (A, A.mT, aligned(A))]
    columns += [_histogram_statistics(_cosines(X)) for X in (L, L.mT, aligned(L))]
    return torch.cat(columns, dim=1).to(patterns.dtype)


def skew_col_features(patterns: torch.Tensor) -> torch.Tensor:
    """Compute the `skew_col` set of causal, finite patterns: (B, n, n) -> (B, 11)."""
    S = aligned(patterns.tril())
    return _histogram_statistics(S.mT @ S).to(patterns.dtype)


def vector_features(patterns: torch.Tensor) -> torch.Tensor:
    """Return the statistics of the diagonal and of the first column, in float64: (B, 28)."""
    vectors = (patterns.diagonal(dim1=1, dim2=2), patterns[:, :, 0])
    return torch.cat([vector_statistics(vector) for vector in vectors], dim=1)


def aligned(A: torch.Tensor) -> torch.Tensor:
    """Return S(A) with its columns reversed, which does not change products of rows.

    Entry [i, d] is A[i, i - d], the weight at distance d from the query, and 0 for d > i.
    """
    n = A.shape[-1]
    token = torch.arange(n, device=A.device)
    key = token[:, None] - token[None, :]
    return A.gather(2, key.clamp(min=0).expand_as(A)).tril()


def _cosines(X: torch.Tensor) -> torch.Tensor:
    """Return the cosines of every two rows of each matrix; 0 with a row of zeros."""
    unit = torch.nn.functional.normalize(X, dim=2, eps=torch.finfo(X.dtype).tiny)
    return unit @ unit.mT


def _histogram_statistics(X: torch.Tensor) -> torch.Tensor:
    """Return the eleven statistics of the density histograms of (B, n, n) matrices: (B, 11)."""
    values = X.flatten(1)
    index = (values * HISTOGRAM_BINS).clamp(0, HISTOGRAM_BINS - 1).long()
    counts = _counts(index, HISTOGRAM_BINS)
    return vector_statistics(counts * HISTOGRAM_BINS / values.shape[1])[:, OF_HISTOGRAM]


def _counts(index: torch.Tensor, bins: int) -> torch.Tensor:
    """Count 0..bins - 1 in each row: (B, m) integers -> (B, bins) float64."""
    counts = torch.zeros(len(index), bins, dtype=torch.int64, device=index.device)
    return counts.scatter_add_(1, index, torch.ones_like(index)).double()


def vector_statistics(x: torch.Tensor) -> torch.Tensor:
    """Return the fourteen statistics of each row, in float64: (B, n) -> (B, 14)."""
    x = x.double()
    n = x.shape[1]
    mean = x.mean(dim=1, keepdim=True)
    deviation = x - mean
    energy = x.square().sum(dim=1)
    moment = {p: deviation.pow(p).mean(dim=1) for p in (2, 3, 4)}
    index = torch.arange(n, device=x.device, dtype=torch.float64) - (n - 1) / 2
    spread = n * (n * n - 1) / 12
    slope = (index * deviation).sum(dim=1) / spread if n > 1 else torch.zeros_like(energy)
    average = mean[:, 0]
    # Measures of variation: all are 0 for a vector that does not vary.
    varying = {
        "variance": moment[2] * (n / max(1, n - 1)),
        "skewness": moment[3] / moment[2] ** 1.5,
        "kurtosis": moment[4] / moment[2].square() - 3,
        "entropy": _entropy(x),
        "autocorr_lag1": lag1_autocorrelation(x),
        "psd_total_power": (_power_weights(n, x.device) * deviation.square()).sum(dim=1),
        "linreg.slope": slope,
        "linreg.r2": slope.square() * (spread / n) / moment[2],
    }
    constant = is_constant(x)
    varying = {name: value.masked_fill(constant, 0) for name, value in varying.items()}
    values = varying | {
        "mean": average,
        "median": _median(x),
        "rms": (energy / n).sqrt(),
        "energy": energy,
        "l2_norm": energy.sqrt() / n,
        "linreg.intercept": average - varying["linreg.slope"] * (n - 1) / 2,
    }
    return torch.stack([values[name] for name in VECTOR_STATISTICS], dim=1)


def is_constant(x: torch.Tensor) -> torch.Tensor:
    """Return for each row whether it varies by no more than rounding."""
    size = x.abs().amax(dim=1).clamp(min=1)
    return x.amax(dim=1) - x.amin(dim=1) <= CONSTANT_SPREAD * size


def _median(x: torch.Tensor) -> torch.Tensor:
    """Return the median of each row, the middle two averaged (torch.median takes the lower)."""
    n = x.shape[1]
    ordered = x.sort(dim=1).values
    return (ordered[:, (n - 1) // 2] + ordered[:, n // 2]) / 2


def _entropy(x: torch.Tensor) -> torch.Tensor:
    """Return the entropy in bits of the histogram of each row, with numpy's edges."""
    n = x.shape[1]
    bins = min(ENTROPY_BINS, n)
    low, high = x.amin(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)
    width = torch.where(high > low, high - low, 1.0)
    step = width / bins
    index = ((x - low) / width * bins).long().clamp(max=bins - 1)
    index = index - (x < index * step + low).long()
    beyond = (index < bins - 1) & (x >= (index + 1) * step + low)
    share = _counts(index + beyond.long(), bins) / n
    bits: torch.Tensor = torch.special.xlogy(share, share).sum(dim=1) / math.log(2)
    return bits.neg()


def lag1_autocorrelation(x: torch.Tensor) -> torch.Tensor:
    """Return the Pearson correlation of x[:-1] and x[1:] of each row, 0 if either is constant."""
    if x.shape[1] < 3:
        return torch.zeros_like(x[:, 0])
    return correlation(x[:, :-1], x[:, 1:])


def correlation(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the Pearson correlation of rows, 0 if either is constant."""
    constant = is_constant(x) | is_constant(y)
    x, y = (part - part.mean(dim=1, keepdim=True) for part in (x, y))
    norm = (x.square().sum(dim=1) * y.square().sum(dim=1)).sqrt()
    return ((x * y).sum(dim=1) / norm).clamp(-1, 1).masked_fill(constant, 0)


def _power_weights(n: int, device: torch.device) -> torch.Tensor:
    """Return the factor of each squared deviation in the total Welch power (Parseval)."""
    window = torch.hann_window(n, periodic=True, dtype=torch.float64, device=device)
    if n == 1:
        window = torch.ones_like(window)
    return window.square() * (n / window.square().sum())
