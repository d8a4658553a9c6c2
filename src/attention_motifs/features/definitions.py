"""Definitions of the sets `paper` and `skew_col`, in float64 and one pattern at a time.

These functions are written for reading; the kernels are tested against them. A context turns a
pattern into a vector, a statistic turns a vector into a number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, Int8

HISTOGRAM_BINS = 32
ENTROPY_BINS = 10
LOG_CLIP = (1e-9, 1.0 - 1e-6)  # both ends, so that float32 and float64 agree on ln
VALID, NOT_FINITE, NOT_CAUSAL, NEGATIVE, ABOVE_ONE = range(5)  # results of `pattern_status`
WEIGHT_TOLERANCE = 1e-6  # weight above the diagonal, or below 0, that counts as rounding
CONSTANT_SPREAD = 1e-7  # a vector that varies by less, relative to its size, is constant

VECTOR_STATISTICS = (
    "mean",
    "median",
    "variance",
    "skewness",
    "kurtosis",
    "entropy",
    "rms",
    "energy",
    "l2_norm",
    "autocorr_lag1",
    "psd_total_power",
    "linreg.slope",
    "linreg.intercept",
    "linreg.r2",
)
# On a density histogram the sum of squares is the square of `rms` up to a constant, and the
# authors leave the kurtosis out.
HISTOGRAM_STATISTICS = tuple(
    name for name in VECTOR_STATISTICS if name not in {"kurtosis", "energy", "l2_norm"}
)
VECTOR_CONTEXTS = ("diag", "first_tok")
HISTOGRAM_CONTEXTS = (
    "gram.row",
    "gram.col",
    "gram.skew",
    "log.gram.row",
    "log.gram.col",
    "log.gram.skew",
)


def row_sum_limit(n: int) -> float:
    """Return the largest sum of a row of n weights that counts as rounding.

    0.01 covers half precision. sqrt(n) / 255 is the largest error of a row of a pattern that an
    atlas keeps as bytes, in steps of 1/255 of the square root.
    """
    return 1.01 + float(np.sqrt(n)) / 255


def pattern_status(patterns: Float[np.ndarray, "b n n"]) -> Int8[np.ndarray, " b"]:
    """Return for each pattern whether it is attention: VALID, or the first of these that holds.

    NEGATIVE: a weight below 0. NOT_CAUSAL: weight above the diagonal. ABOVE_ONE: a row that sums
    to more than `row_sum_limit`. NOT_FINITE: NaN or infinity; the other tests ignore such entries.
    """
    n = patterns.shape[-1]
    finite = np.isfinite(patterns)
    weights = np.where(finite, patterns, 0).astype(np.float64)
    lower = np.tril(weights)
    tests = {
        NEGATIVE: (lower < -WEIGHT_TOLERANCE).any(axis=(1, 2)),
        NOT_CAUSAL: (np.abs(np.triu(weights, 1)) > WEIGHT_TOLERANCE).any(axis=(1, 2)),
        ABOVE_ONE: (lower.sum(axis=2) > row_sum_limit(n)).any(axis=1),
        NOT_FINITE: ~finite.all(axis=(1, 2)),
    }
    return np.select(list(tests.values()), list(tests), VALID).astype(np.int8)


def is_constant(x: Float[np.ndarray, " n"]) -> bool:
    """Return whether a vector varies by no more than rounding: max - min <= 1e-7 max(1, max|x|)."""
    return bool(np.ptp(x) <= CONSTANT_SPREAD * max(1.0, float(np.abs(x).max())))


def histogram_entropy(x: Float[np.ndarray, " n"]) -> float:
    """Return the entropy in bits of the histogram of min(10, n) bins on [min, max]."""
    counts, _ = np.histogram(x, bins=min(ENTROPY_BINS, len(x)))
    share = counts[counts > 0] / len(x)
    return float(-(share * np.log2(share)).sum())


def lag1_autocorrelation(x: Float[np.ndarray, " n"]) -> float:
    """Return the Pearson correlation of x[:-1] with x[1:], 0 if either is constant."""
    if len(x) < 3 or is_constant(x[:-1]) or is_constant(x[1:]):
        return 0.0
    return float(np.corrcoef(x[:-1], x[1:])[0, 1])


def total_power(x: Float[np.ndarray, " n"]) -> float:
    """Return the sum of the one-sided Welch spectrum: one Hann window, mean removed, unit rate."""
    from scipy.signal import welch

    _, density = welch(x, fs=1.0, window="hann", nperseg=len(x), detrend="constant")
    return float(density.sum())


def vector_statistics(x: Float[np.ndarray, " n"]) -> dict[str, float]:
    """Return the fourteen statistics of a vector, by name, in the order of `VECTOR_STATISTICS`.

    Of a constant vector, measures of variation are 0 and the intercept is the mean.
    """
    x = np.asarray(x, dtype=np.float64)
    n = len(x)
    mean = float(x.mean())
    energy = float((x**2).sum())
    values = dict.fromkeys(VECTOR_STATISTICS, 0.0)
    values |= {
        "mean": mean,
        "median": float(np.median(x)),
        "rms": float(np.sqrt(energy / n)),
        "energy": energy,
        "l2_norm": float(np.sqrt(energy) / n),
        "linreg.intercept": mean,
    }
    if is_constant(x):
        return values
    moment = {p: float(((x - mean) ** p).mean()) for p in (2, 3, 4)}
    index = np.arange(n) - (n - 1) / 2
    slope = float((index * x).sum() / (index**2).sum())
    values |= {
        "variance": moment[2] * n / (n - 1),
        "skewness": moment[3] / moment[2] ** 1.5,
        "kurtosis": moment[4] / moment[2] ** 2 - 3.0,
        "entropy": histogram_entropy(x),
        "autocorr_lag1": lag1_autocorrelation(x),
        "psd_total_power": total_power(x),
        "linreg.slope": slope,
        "linreg.intercept": mean - slope * (n - 1) / 2,
        "linreg.r2": slope**2 * float((index**2).mean()) / moment[2],
    }
    return values


def skewed(A: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n n"]:
    """Return S(A): every row of the lower triangle moved to the right edge, the rest zero.

    S(A)[i, j + n - i - 1] = A[i, j] for j <= i, so that equal columns of S(A) are equal
    offsets from the query (paper, section 2.2).
    """
    n = len(A)
    out = np.zeros((n, n))
    for i in range(n):
        out[i, n - i - 1 :] = A[i, : i + 1]
    return out


def log_pattern(A: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n n"]:
    """Return L = ln(clip(A, 1e-9, 1 - 1e-6)), above the diagonal too."""
    logs: Float[np.ndarray, "n n"] = np.log(np.clip(A, *LOG_CLIP))
    return logs


def row_cosines(X: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n n"]:
    """Return the cosine similarity of every two rows; 0 with a row of zeros."""
    norm = np.linalg.norm(X, axis=1)
    scale = np.divide(1.0, norm, out=np.zeros_like(norm), where=norm > 0)
    cosines: Float[np.ndarray, "n n"] = (X @ X.T) * np.outer(scale, scale)
    return cosines


def density_histogram(X: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "32"]:
    """Return the density of all entries, clipped to [0, 1], in 32 bins on [0, 1]; its mean is 1."""
    density: Float[np.ndarray, "32"]
    density, _ = np.histogram(np.clip(X, 0, 1), bins=HISTOGRAM_BINS, range=(0, 1), density=True)
    return density


GRAM_MATRICES: dict[str, Callable[[Float[np.ndarray, "n n"]], Float[np.ndarray, "n n"]]] = {
    "gram.row": lambda A: A @ A.T,
    "gram.col": lambda A: A.T @ A,
    "gram.skew": lambda A: skewed(A) @ skewed(A).T,
    "gram.skew_col": lambda A: skewed(A).T @ skewed(A),
    "log.gram.row": lambda A: row_cosines(log_pattern(A)),
    "log.gram.col": lambda A: row_cosines(log_pattern(A).T),
    "log.gram.skew": lambda A: row_cosines(skewed(log_pattern(A))),
}


def histogram_statistics(A: Float[np.ndarray, "n n"], context: str) -> list[float]:
    """Return the eleven statistics of the density histogram of one of `GRAM_MATRICES`."""
    statistics = vector_statistics(density_histogram(GRAM_MATRICES[context](A)))
    return [statistics[name] for name in HISTOGRAM_STATISTICS]


def vector_features(A: Float[np.ndarray, "n n"]) -> list[float]:
    """Return the statistics of the diagonal, then those of the first column."""
    return [x for v in (np.diagonal(A), A[:, 0]) for x in vector_statistics(v).values()]


def paper_features(A: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "94"]:
    """Return the `paper` set of one causal pattern, in float64 and in the order of its names.

    Source: paper, section 2.2, with the statistics of the authors' public code.
    """
    A = np.asarray(A, dtype=np.float64)
    values = vector_features(A)
    for context in HISTOGRAM_CONTEXTS:
        values += histogram_statistics(A, context)
    return np.array(values)


def skew_col_features(A: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "11"]:
    """Return the `skew_col` set of one causal pattern: the histogram of S(A)^T S(A)."""
    return np.array(histogram_statistics(np.asarray(A, dtype=np.float64), "gram.skew_col"))
