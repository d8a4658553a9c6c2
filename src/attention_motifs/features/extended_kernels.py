"""CPU kernels of the set `extended`, one pattern at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.features.compiled import compiled
from attention_motifs.features.extended import EXTENDED, columns_of
from attention_motifs.features.extended_definitions import (
    COMPANIONS,
    NEAR,
    NO_WEIGHT,
    PAIRS,
    PEAK_PLACES,
    PEAKED,
    QUANTILES,
)
from attention_motifs.features.extended_scan import FIRST, Scan, scan, scan_work
from attention_motifs.features.simd.rows import (
    COLUMN,
    DIAGONAL,
    ROOT_ANTI,
    ROOT_DIAGONAL,
    SQUARES,
    WEIGHT,
)
from attention_motifs.features.similarity_kernels import (
    ALIKE_FEATURES,
    AlikeWork,
    alike_features,
    alike_work,
)
from attention_motifs.features.statistic_kernels import correlation, lag1_autocorrelation

if TYPE_CHECKING:
    from jaxtyping import Float

LEVELS = np.array(PEAKED)
PARTS = np.array(QUANTILES)
KINDS = len(COMPANIONS)
COMPANION_FEATURES = len(PAIRS) + KINDS
SIZE = len(EXTENDED.features)
# First column of each family.
BAND, SINK, PEAK, FAR_PEAK, PLACE, ENTROPY, KEYS, CONTINUITY, ALIKE, COMPANION = (
    columns_of(family).start
    for family in (
        "band",
        "sink",
        "peak",
        "far_peak",
        "place",
        "entropy",
        "keys",
        "continuity",
        "alike",
        "companions",
    )
)


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
    """Write `extended_definitions.spread_features`."""
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
    """Write `extended_definitions.peak_features`."""
    _spread(x, scratch, out)
    at = 2 + len(PARTS)
    for level in range(len(LEVELS)):
        count = 0
        for value in x:
            if value > LEVELS[level]:
                count += 1
        out[at + level] = count / max(1, len(x))


@compiled
def _bands(whole: float, work: Scan, out: Float[np.ndarray, " s"]) -> None:
    n = len(work.B)
    for band in range(len(FIRST)):
        masses = work.bands[band, min(n, FIRST[band] + 1) :]
        _mean_and_spread(masses, out[3 * band : 3 * band + 2])
        out[3 * band + 2] = masses.sum() / whole if whole > NO_WEIGHT else 0.0


@compiled
def _places(
    place: Float[np.ndarray, " m"], scratch: Float[np.ndarray, " m"], out: Float[np.ndarray, "6"]
) -> None:
    """Write `extended_definitions.place_features`, from distances; -1 means none."""
    out[:] = 0.0
    known = 0
    for d in place:
        if d >= 0:
            out[min(int(d), PEAK_PLACES)] += 1.0
            scratch[known] = np.log2(1.0 + d)
            known += 1
    for d in range(PEAK_PLACES + 1):
        out[d] /= max(1, len(place))
    _mean_and_spread(scratch[:known], out[PEAK_PLACES + 1 :])


@compiled
def _continuity(work: Scan, out: Float[np.ndarray, "12"]) -> None:
    at = 0
    for first, last, over, least in (
        (DIAGONAL, COLUMN, SQUARES, NO_WEIGHT * NO_WEIGHT),
        (ROOT_DIAGONAL, ROOT_ANTI, WEIGHT, NO_WEIGHT),
    ):
        for step in range(first, last + 1):
            for region in range(2):
                whole = work.sums[over, region]
                out[at] = work.sums[step, region] / whole if whole > least else 0.0
                at += 1


@compiled
def _companions(work: Scan, out: Float[np.ndarray, "10"]) -> None:
    out[:] = 0.0
    n = len(work.B)
    if n < 3:
        return
    kinds = (work.sink[2:], work.itself[2:], work.previous[2:], work.far_peak[2:])
    at = 0
    for i in range(KINDS):
        for j in range(i + 1, KINDS):
            out[at] = correlation(kinds[i], kinds[j])
            at += 1
    for i in range(KINDS):
        out[at + i] = lag1_autocorrelation(kinds[i])


@compiled
def _extended_rows(
    patterns: Float[np.ndarray, "b n n"],
    work: Scan,
    alike: AlikeWork,
    with_alike: bool,
    values: Float[np.ndarray, "85"],
    scratch: Float[np.ndarray, " n"],
    out: Float[np.ndarray, "b 85"],
) -> None:
    """Write the rows of patterns; without `with_alike`, the family `alike` is 0."""
    count, n, _ = patterns.shape
    values[ALIKE : ALIKE + ALIKE_FEATURES] = 0.0
    m, start = n - 1, min(n, NEAR + 2)
    for p in range(count):
        whole = scan(patterns[p], work)
        _bands(whole, work, values[BAND:])
        _spread(work.sink[1:], scratch[:m], values[SINK:])
        _peaks(work.peak[1:], scratch[:m], values[PEAK:])
        _peaks(work.far_peak[start:], scratch[: n - start], values[FAR_PEAK:])
        _places(work.place[1:], scratch[:m], values[PLACE : PLACE + PEAK_PLACES + 3])
        values[ENTROPY] = work.entropy[1:].sum() / max(1, n - 1)
        values[ENTROPY + 1] = work.entropy_inner[2:].sum() / max(1, n - 2)
        squared = 0.0
        for j in range(1, n):
            squared += np.float64(work.received[j]) ** 2
        values[KEYS] = squared / (whole * whole) if whole > NO_WEIGHT else 0.0
        _continuity(work, values[CONTINUITY:])
        if with_alike:
            alike_features(work, alike, values[ALIKE : ALIKE + ALIKE_FEATURES])
        _companions(work, values[COMPANION : COMPANION + COMPANION_FEATURES])
        for f in range(len(values)):
            out[p, f] = values[f]


def extended_features(
    patterns: Float[np.ndarray, "b n n"], *, with_alike: bool = True
) -> Float[np.ndarray, "b 85"]:
    """Compute the `extended` set of contiguous, finite float32 patterns.

    Args:
        patterns: causal.
        with_alike: compute the family `alike`, of which the time grows as n^3; else it is 0.
    """
    out = np.empty((len(patterns), SIZE), np.float32)
    n = patterns.shape[1]
    values, scratch = np.empty(SIZE), np.empty(n)
    alike = alike_work(n if with_alike else 1)
    _extended_rows(patterns, scan_work(n), alike, with_alike, values, scratch, out)
    return out
