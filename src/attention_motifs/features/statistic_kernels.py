"""CPU kernels of the statistics of a vector, in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attention_motifs.features.compiled import compiled, reordered
from attention_motifs.features.definitions import (
    CONSTANT_SPREAD,
    ENTROPY_BINS,
    HISTOGRAM_BINS,
    HISTOGRAM_STATISTICS,
    VECTOR_STATISTICS,
)

if TYPE_CHECKING:
    from jaxtyping import Float, Int

COUNT = len(VECTOR_STATISTICS)
(
    MEAN,
    MEDIAN,
    VARIANCE,
    SKEWNESS,
    KURTOSIS,
    ENTROPY,
    RMS,
    ENERGY,
    L2_NORM,
    AUTOCORRELATION,
    POWER,
    SLOPE,
    INTERCEPT,
    R2,
) = range(COUNT)
OF_HISTOGRAM = np.array([VECTOR_STATISTICS.index(name) for name in HISTOGRAM_STATISTICS])


class VectorWork(NamedTuple):
    """A vector of a fixed length, its statistics, and memory to compute them in."""

    vector: Float[np.ndarray, " n"]
    statistics: Float[np.ndarray, "14"]
    power_weights: Float[np.ndarray, " n"]
    spare: Float[np.ndarray, " n"]
    count_bits: Float[np.ndarray, " n + 1"]  # (c / n) log2(c / n) of a count c


def vector_work(n: int) -> VectorWork:
    """Return a workspace for vectors of length n.

    By Parseval's theorem the one-sided Welch spectrum of one segment sums to n times the sum of
    squares of the windowed deviations over that of the window: `power_weights` holds the factor
    of each squared deviation.
    """
    shares = np.arange(n + 1) / n
    window = np.ones(1) if n == 1 else 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    return VectorWork(
        vector=np.empty(n),
        statistics=np.empty(COUNT),
        power_weights=window**2 * (n / (window**2).sum()),
        spare=np.empty(n),
        count_bits=shares * np.log2(np.maximum(shares, 1.0 / n)),
    )


@compiled
def _constant(low: float, high: float) -> bool:
    return bool(high - low <= CONSTANT_SPREAD * max(1.0, abs(low), abs(high)))


@reordered
def _ranks(x: Float[np.ndarray, " n"], value: float) -> tuple[int, int]:
    """Return how many entries are below a value, and how many are not above it."""
    below = upto = 0
    for i in range(len(x)):
        below += x[i] < value
        upto += x[i] <= value
    return below, upto


@reordered
def _least_above(x: Float[np.ndarray, " n"], value: float, limit: float) -> float:
    """Return the least entry above a value, or `limit` if that is less."""
    least = limit
    for i in range(len(x)):
        least = min(least, x[i] if x[i] > value else limit)
    return least


@compiled
def median(x: Float[np.ndarray, " n"]) -> float:
    """Return the median of finite numbers, the middle two averaged; entries are overwritten.

    An entry is tried, and those on the other side of it from the median are dropped, without a
    branch that depends on their order, until it is the median.
    """
    rank, size = (len(x) - 1) // 2, len(x)
    high = np.inf  # the least entry that was dropped above
    while True:
        first, middle, last = x[0], x[size // 2], x[size - 1]
        value = max(min(first, middle), min(max(first, middle), last))
        below, upto = _ranks(x[:size], value)
        kept = 0
        if below > rank:
            high = value
            for i in range(size):
                entry = x[i]
                x[kept] = entry
                kept += entry < value
        elif upto <= rank:
            for i in range(size):
                entry = x[i]
                x[kept] = entry
                kept += entry > value
            rank -= upto
        if kept == 0:
            break
        size = kept
    if len(x) % 2 or upto > rank + 1:
        return float(value)
    return float(0.5 * (value + _least_above(x[:size], value, high)))


@reordered
def _count_from(x: Float[np.ndarray, " n"], edge: float) -> int:
    """Return how many entries are not below an edge."""
    count = 0
    for i in range(len(x)):
        count += x[i] >= edge
    return count


@compiled
def _entropy(work: VectorWork, low: float, high: float) -> float:
    """Return the entropy in bits of the histogram on [low, high], with numpy's edges.

    Entries from each edge on are counted, several at once, and not each in its bin.
    """
    bins = min(ENTROPY_BINS, len(work.vector))
    step = (high - low) / bins
    bits = 0.0
    waiting = len(work.vector)
    for b in range(1, bins):
        following = _count_from(work.vector, b * step + low)
        bits -= work.count_bits[waiting - following]
        waiting = following
    return float(bits - work.count_bits[waiting])


@reordered
def correlation(x: Float[np.ndarray, " m"], y: Float[np.ndarray, " m"]) -> float:
    """Return the Pearson correlation; 0 if either is constant or has fewer than two values."""
    m = len(x)
    if m < 2:
        return 0.0
    x_low = x_high = x[0]
    y_low = y_high = y[0]
    x_total = y_total = 0.0
    for i in range(m):
        x_low, x_high = min(x_low, x[i]), max(x_high, x[i])
        y_low, y_high = min(y_low, y[i]), max(y_high, y[i])
        x_total += x[i]
        y_total += y[i]
    if _constant(x_low, x_high) or _constant(y_low, y_high):
        return 0.0
    x_mean, y_mean = x_total / m, y_total / m
    both = first = second = 0.0
    for i in range(m):
        a, b = x[i] - x_mean, y[i] - y_mean
        both += a * b
        first += a * a
        second += b * b
    return float(max(-1.0, min(1.0, both / np.sqrt(first * second))))


@reordered
def lag1_autocorrelation(x: Float[np.ndarray, " n"]) -> float:
    """Return the Pearson correlation of x[:-1] and x[1:], 0 if either is constant."""
    return correlation(x[:-1], x[1:])


@reordered
def vector_statistics(work: VectorWork) -> None:
    """Write the fourteen statistics of `work.vector` to `work.statistics`."""
    x, out = work.vector, work.statistics
    n = len(x)
    total = energy = 0.0
    low, high = x[0], x[0]
    for i in range(n):
        low, high = min(low, x[i]), max(high, x[i])
        total += x[i]
        energy += x[i] * x[i]
        work.spare[i] = x[i]
    mean = total / n
    for s in range(COUNT):
        out[s] = 0.0
    out[MEAN] = mean
    out[MEDIAN] = median(work.spare)
    out[RMS] = np.sqrt(energy / n)
    out[ENERGY] = energy
    out[L2_NORM] = np.sqrt(energy) / n
    out[INTERCEPT] = mean
    if _constant(low, high):
        return
    out[ENTROPY] = _entropy(work, low, high)
    out[AUTOCORRELATION] = lag1_autocorrelation(x)
    _deviation_statistics(work, mean)


@reordered
def _deviation_statistics(work: VectorWork, mean: float) -> None:
    """Write the statistics that are sums over deviations, of a vector that is not constant."""
    x, out = work.vector, work.statistics
    n = len(x)
    center = 0.5 * (n - 1)
    second = third = fourth = power = along = 0.0
    for i in range(n):
        deviation = x[i] - mean
        square = deviation * deviation
        second += square
        third += square * deviation
        fourth += square * square
        power += work.power_weights[i] * square
        along += (i - center) * deviation
    spread = n * (n * float(n) - 1.0) / 12.0
    m2 = second / n
    slope = along / spread
    out[VARIANCE] = second / (n - 1)
    out[SKEWNESS] = third / n / (m2 * np.sqrt(m2))
    out[KURTOSIS] = fourth / n / (m2 * m2) - 3.0
    out[POWER] = power
    out[SLOPE] = slope
    out[INTERCEPT] = mean - slope * center
    out[R2] = slope * slope * spread / second


@compiled
def histogram_statistics(
    counts: Int[np.ndarray, "32"], total: float, work: VectorWork, out: Float[np.ndarray, "11"]
) -> None:
    """Write the eleven statistics of a density histogram on [0, 1] to `out`.

    Args:
        counts: of each bin.
        total: their sum.
        work: workspace for vectors of length 32.
        out: in the order of `definitions.HISTOGRAM_STATISTICS`.
    """
    for b in range(HISTOGRAM_BINS):
        work.vector[b] = counts[b] * float(HISTOGRAM_BINS) / total
    vector_statistics(work)
    for s in range(len(OF_HISTOGRAM)):
        out[s] = work.statistics[OF_HISTOGRAM[s]]
