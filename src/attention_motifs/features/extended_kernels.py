"""The set `extended` on the CPU: `extended_definitions`, compiled, one pass over each pattern."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attention_motifs.features.compiled import compiled
from attention_motifs.features.extended_definitions import (
    BANDS,
    NAMES,
    NEAR,
    NO_WEIGHT,
    PEAK_PLACES,
    PEAKED,
    QUANTILES,
)

if TYPE_CHECKING:
    from jaxtyping import Float

FIRST = np.array([first for first, _ in BANDS])
LAST = np.array([np.iinfo(np.int64).max if last is None else last for _, last in BANDS])
LEVELS = np.array(PEAKED)
PARTS = np.array(QUANTILES)
SUMS = len(BANDS)


class RowWork(NamedTuple):
    """What is kept of each row of one pattern of n tokens, and of each key."""

    bands: Float[np.ndarray, "9 n"]
    sink: Float[np.ndarray, " n"]
    peak: Float[np.ndarray, " n"]
    far_peak: Float[np.ndarray, " n"]
    place: Float[np.ndarray, " n"]
    received: Float[np.ndarray, " n"]
    row: Float[np.ndarray, " n"]
    before: Float[np.ndarray, " n"]
    scratch: Float[np.ndarray, " n"]


def row_work(n: int) -> RowWork:
    """Workspace for patterns of n tokens."""
    return RowWork(np.empty((len(BANDS), n)), *np.empty((8, n)))


@compiled
def _mean_and_spread(x: Float[np.ndarray, " m"], out: Float[np.ndarray, " s"]) -> None:
    m = len(x)
    total = square = 0.0
    for value in x:
        total += value
    mean = total / max(1, m)
    for value in x:
        square += (value - mean) * (value - mean)
    out[0] = mean
    out[1] = np.sqrt(square / max(1, m))


@compiled
def _spread(
    x: Float[np.ndarray, " m"], scratch: Float[np.ndarray, " m"], out: Float[np.ndarray, " s"]
) -> None:
    """`definitions.spread_features`."""
    _mean_and_spread(x, out)
    m = len(x)
    scratch[:] = x
    scratch.sort()
    for q in range(len(PARTS)):
        value = 0.0
        if m > 0:
            at = PARTS[q] * (m - 1)
            below = int(at)
            above = min(below + 1, m - 1)
            value = scratch[below] + (at - below) * (scratch[above] - scratch[below])
        out[2 + q] = value


@compiled
def _peaks(
    x: Float[np.ndarray, " m"], scratch: Float[np.ndarray, " m"], out: Float[np.ndarray, " s"]
) -> None:
    """`definitions.peak_features`."""
    _spread(x, scratch, out)
    at = 2 + len(PARTS)
    for level in range(len(LEVELS)):
        count = 0
        for value in x:
            if value > LEVELS[level]:
                count += 1
        out[at + level] = count / max(1, len(x))


@compiled
def _entropy(total: float, logs: float, keys: int) -> float:
    """Entropy over `keys` keys from the sum of the weights and that of w log2 w, 0 to 1."""
    if keys < 2 or total <= NO_WEIGHT:
        return 0.0
    return float(max(0.0, (np.log2(total) - logs / total) / np.log2(keys)))


@compiled
def _extended_rows(
    patterns: Float[np.ndarray, "b n n"], work: RowWork, out: Float[np.ndarray, "b 58"]
) -> None:
    count, n, _ = patterns.shape
    values = np.empty(len(NAMES))
    for p in range(count):
        A = patterns[p]
        work.received[:] = 0.0
        work.before[:] = 0.0
        whole = entropy = entropy_inner = 0.0
        squares_near = squares_far = 0.0
        diagonal_near = diagonal_far = column_near = column_far = 0.0
        for i in range(1, n):
            row, before = work.row, work.before
            sink = max(0.0, np.float64(A[i, 0]))
            total = logs = peak = far_peak = 0.0
            place = -1
            row[0] = 0.0
            for j in range(i, 0, -1):
                w = max(0.0, np.float64(A[i, j]))
                row[j] = w
                total += w
                work.received[j] += w
                if w > 0.0:
                    logs += w * np.log2(w)
                if w > peak:
                    peak = w
                    place = i - j
                if i - j > NEAR:
                    far_peak = max(far_peak, w)
                    squares_far += w * w
                    diagonal_far += w * before[j - 1]
                    if i - j > NEAR + 1:
                        column_far += w * before[j]
                else:
                    squares_near += w * w
                    diagonal_near += w * before[j - 1]
                    if i > j:
                        column_near += w * before[j]
            for band in range(len(FIRST)):
                mass = 0.0
                for j in range(max(1, i - LAST[band]), i - FIRST[band] + 1):
                    mass += row[j]
                work.bands[band, i] = mass
            whole += total
            work.sink[i] = sink
            work.peak[i] = peak
            work.far_peak[i] = far_peak
            work.place[i] = place if peak > NO_WEIGHT else -1
            entropy_inner += _entropy(total, logs, i)
            if sink > 0.0:
                logs += sink * np.log2(sink)
            entropy += _entropy(total + sink, logs, i + 1)
            for j in range(i + 1):
                before[j] = row[j]
        at = 0
        for band in range(len(FIRST)):
            masses = work.bands[band, min(n, FIRST[band] + 1) :]
            _mean_and_spread(masses, values[at : at + 2])
            values[at + 2] = masses.sum() / whole if whole > NO_WEIGHT else 0.0
            at += 3
        m = n - 1
        _spread(work.sink[1:], work.scratch[:m], values[at : at + 4])
        at += 4
        _peaks(work.peak[1:], work.scratch[:m], values[at : at + 7])
        at += 7
        start = min(n, NEAR + 2)
        _peaks(work.far_peak[start:], work.scratch[: n - start], values[at : at + 7])
        at += 7
        for d in range(PEAK_PLACES + 1):
            values[at + d] = 0.0
        known = 0
        for i in range(1, n):
            if work.place[i] >= 0:
                values[at + min(int(work.place[i]), PEAK_PLACES)] += 1.0 / m
                work.scratch[known] = np.log2(1.0 + work.place[i])
                known += 1
        at += PEAK_PLACES + 1
        _mean_and_spread(work.scratch[:known], values[at : at + 2])
        at += 2
        values[at] = entropy / max(1, n - 1)
        values[at + 1] = entropy_inner / max(1, n - 2)
        at += 2
        squared = 0.0
        for j in range(1, n):
            squared += work.received[j] * work.received[j]
        values[at] = squared / (whole * whole) if whole > NO_WEIGHT else 0.0
        least = NO_WEIGHT * NO_WEIGHT
        values[at + 1] = diagonal_near / squares_near if squares_near > least else 0.0
        values[at + 2] = diagonal_far / squares_far if squares_far > least else 0.0
        values[at + 3] = column_near / squares_near if squares_near > least else 0.0
        values[at + 4] = column_far / squares_far if squares_far > least else 0.0
        for f in range(len(NAMES)):
            out[p, f] = values[f]


def extended_features(patterns: Float[np.ndarray, "b n n"]) -> Float[np.ndarray, "b 58"]:
    """The `extended` set of contiguous float32 patterns, all finite and causal."""
    out = np.empty((len(patterns), len(NAMES)), np.float32)
    _extended_rows(patterns, row_work(patterns.shape[1]), out)
    return out
