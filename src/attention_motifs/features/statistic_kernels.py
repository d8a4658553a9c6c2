"""CPU kernels of the statistics of a vector, in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attention_motifs.features.compiled import compiled
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
    scratch: Float[np.ndarray, " n"]
    bins: Int[np.ndarray, "10"]


def vector_work(n: int) -> VectorWork:
    """Return a workspace for vectors of length n.

    By Parseval's theorem the one-sided Welch spectrum of one segment sums to n times the sum of
    squares of the windowed deviations over that of the window: `power_weights` holds the factor
    of each squared deviation.
    """
    window = np.ones(1) if n == 1 else 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    return VectorWork(
        vector=np.empty(n),
        statistics=np.empty(COUNT),
        power_weights=window**2 * (n / (window**2).sum()),
        scratch=np.empty(n),
        bins=np.empty(ENTROPY_BINS, np.int64),
    )


@compiled
def _constant(low: float, high: float) -> bool:
    return bool(high - low <= CONSTANT_SPREAD * max(1.0, abs(low), abs(high)))


@compiled
def _partition(x: Float[np.ndarray, " n"], k: int) -> None:
    """Reorder x so that x[k] is its k-th smallest and none after it is smaller."""
    left, right = 0, len(x) - 1
    while left < right:
        middle = (left + right) // 2
        a, b, c = x[left], x[middle], x[right]
        pivot = max(min(a, b), min(max(a, b), c))
        i, j = left, right
        while i <= j:
            while x[i] < pivot:
                i += 1
            while x[j] > pivot:
                j -= 1
            if i <= j:
                x[i], x[j] = x[j], x[i]
                i += 1
                j -= 1
        if k <= j:
            right = j
        elif k >= i:
            left = i
        else:
            break


@compiled
def median(x: Float[np.ndarray, " n"]) -> float:
    """Return the median, the middle two averaged; x is reordered."""
    n = len(x)
    middle = (n - 1) // 2
    _partition(x, middle)
    if n % 2:
        return float(x[middle])
    above = np.inf
    for i in range(middle + 1, n):
        above = min(above, x[i])
    return float(0.5 * (x[middle] + above))


@compiled
def _entropy(
    x: Float[np.ndarray, " n"], low: float, high: float, counts: Int[np.ndarray, "10"]
) -> float:
    """Return the entropy in bits of the histogram on [low, high], with numpy's edges."""
    n = len(x)
    bins = min(ENTROPY_BINS, n)
    step = (high - low) / bins
    for b in range(bins):
        counts[b] = 0
    for value in x:
        b = min(int((value - low) / (high - low) * bins), bins - 1)
        if value < b * step + low:
            b -= 1
        elif b < bins - 1 and value >= (b + 1) * step + low:
            b += 1
        counts[b] += 1
    bits = 0.0
    for b in range(bins):
        if counts[b] > 0:
            bits -= counts[b] / n * np.log2(counts[b] / n)
    return bits


@compiled
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


@compiled
def lag1_autocorrelation(x: Float[np.ndarray, " n"]) -> float:
    """Return the Pearson correlation of x[:-1] and x[1:], 0 if either is constant."""
    return correlation(x[:-1], x[1:])


@compiled
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
        work.scratch[i] = x[i]
    mean = total / n
    for s in range(COUNT):
        out[s] = 0.0
    out[MEAN] = mean
    out[MEDIAN] = median(work.scratch)
    out[RMS] = np.sqrt(energy / n)
    out[ENERGY] = energy
    out[L2_NORM] = np.sqrt(energy) / n
    out[INTERCEPT] = mean
    if _constant(low, high):
        return
    out[ENTROPY] = _entropy(x, low, high, work.bins)
    out[AUTOCORRELATION] = lag1_autocorrelation(x)
    _deviation_statistics(work, mean)


@compiled
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
