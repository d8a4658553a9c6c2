"""CPU kernel of the shares of motifs; `motif_definitions` defines them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attention_motifs.features.compiled import compiled, reordered, reordered_any
from attention_motifs.features.motif_definitions import (
    AT_OFFSET,
    FIRST_QUERIES,
    KEYED,
    LEAST_KEYS,
    LEAST_OFFSET,
    MAX_OFFSET,
    MOTIFS,
    WINDOW,
)
from attention_motifs.features.statistic_kernels import median

if TYPE_CHECKING:
    from jaxtyping import Float, Float32, Int32, UInt8

N_KEYED = len(KEYED)
N_MOTIFS = len(MOTIFS)
SETS = 1 << N_KEYED
LEAST_BITS, MOST_BITS = np.int32(0), np.int32(np.iinfo(np.int32).max)


class Work(NamedTuple):
    """Memory for one pattern."""

    row: Float[np.ndarray, " n"]
    scratch: Float[np.ndarray, " n"]
    motifs: UInt8[np.ndarray, " n"]
    weights: Float32[np.ndarray, " n"]
    weight_bits: Int32[np.ndarray, " n"]
    """The bits of `weights`, in the same memory."""


def batch_motif_shares(
    patterns: Float32[np.ndarray, "B n n"], bits: UInt8[np.ndarray, "n n"], threads: int = 1
) -> Float32[np.ndarray, "B motifs"]:
    """Return the share of each motif in patterns on one prompt, in the order of `MOTIFS`.

    Args:
        patterns: (B, n, n) attention weights, float32; only the lower triangles are read.
        bits: (n, n) motifs of each key, as `key_motifs` returns them.
        threads: number of threads, at least 1.

    Returns:
        (B, motifs) shares, float32, that sum to 1; NaN for a pattern that is not finite.
    """
    patterns = np.ascontiguousarray(patterns, dtype=np.float32)
    out = np.empty((len(patterns), N_MOTIFS), dtype=np.float32)
    size = -(-len(patterns) // max(1, threads))
    starts = range(0, len(patterns), max(1, size))
    if len(starts) <= 1:
        _batch(patterns, bits, out)
    else:
        with ThreadPoolExecutor(len(starts)) as pool:
            list(pool.map(lambda at: _batch(patterns[at : at + size], bits, out[at : at + size]),
                          starts))  # fmt: skip
    return out


@compiled
def _batch(
    patterns: Float32[np.ndarray, "B n n"],
    bits: UInt8[np.ndarray, "n n"],
    out: Float32[np.ndarray, "B motifs"],
) -> None:
    n = patterns.shape[1]
    weights = np.empty(n, np.float32)
    work = Work(np.empty(n), np.empty(n), np.empty(n, np.uint8), weights, weights.view(np.int32))
    shares = np.empty(N_MOTIFS)
    for b in range(len(patterns)):
        _shares(patterns[b], bits, work, shares)
        for m in range(N_MOTIFS):
            out[b, m] = shares[m]


@compiled
def _shares(
    pattern: Float32[np.ndarray, "n n"],
    bits: UInt8[np.ndarray, "n n"],
    work: Work,
    shares: Float[np.ndarray, " motifs"],
) -> None:
    n = len(pattern)
    total = 0.0
    for i in range(n):
        total += _sum(pattern[i, : i + 1])
    if not np.isfinite(total):
        shares[:] = np.nan
        return
    start = min(FIRST_QUERIES, n // 2)
    fixed = _fixed_offset(pattern, bits, start, work)
    uniform = local = 0.0
    weights, keys = np.zeros(SETS), np.zeros(SETS)
    row, motifs = work.row, work.motifs
    for i in range(start, n):
        row[: i + 1] = pattern[i, : i + 1]
        motifs[: i + 1] = bits[i, : i + 1]
        if fixed and i >= fixed:
            motifs[i - fixed] |= AT_OFFSET
        near_from = max(0, i - WINDOW + 1)
        level = _far_level(pattern[i], motifs, near_from, work)
        if level > 0.0:
            uniform += _take(row[: i + 1], level)
        level = _near_level(row, motifs, near_from, i + 1, work.scratch)
        for j in range(near_from, i + 1):
            if not motifs[j] & 1:
                part = row[j] if motifs[j] == 0 else min(row[j], level)
                local += part
                row[j] -= part
        for j in range(i + 1):
            if motifs[j]:
                weights[motifs[j]] += row[j]
                keys[motifs[j]] += 1
    shares[:N_KEYED] = _divide(weights, keys)
    shares[N_KEYED], shares[N_KEYED + 1] = local, uniform
    total = 0.0
    for m in range(N_MOTIFS - 1):
        shares[m] /= n - start
        total += shares[m]
    shares[N_MOTIFS - 1] = max(0.0, 1.0 - total)


@reordered_any
def _sum(x: Float32[np.ndarray, " n"]) -> float:
    total = np.float32(0)
    for i in range(len(x)):
        total += x[i]
    return float(total)


@reordered
def _take(row: Float[np.ndarray, " n"], level: float) -> float:
    """Take at most `level` from every key, and return the sum of what was taken."""
    total = 0.0
    for j in range(len(row)):
        part = min(row[j], level)
        total += part
        row[j] -= part
    return total


@compiled
def _far_level(
    weights: Float32[np.ndarray, " n"], motifs: UInt8[np.ndarray, " n"], stop: int, work: Work
) -> float:
    """Return the median weight of the keys before `stop` in no motif; 0 if they are too few."""
    count = 0
    for j in range(stop):
        work.weights[count] = weights[j]
        count += motifs[j] == 0
    return _weight_median(work.weight_bits[:count]) if count >= LEAST_KEYS else 0.0


@compiled
def _near_level(
    row: Float[np.ndarray, " n"],
    motifs: UInt8[np.ndarray, " n"],
    first: int,
    stop: int,
    scratch: Float[np.ndarray, " n"],
) -> float:
    """Return the median of what remains at the near keys in no motif; 0 if they are too few."""
    count = 0
    for j in range(first, stop):
        if motifs[j] == 0:
            scratch[count] = row[j]
            count += 1
    return median(scratch[:count]) if count >= LEAST_KEYS else 0.0


@compiled
def _fixed_offset(
    pattern: Float32[np.ndarray, "n n"], bits: UInt8[np.ndarray, "n n"], start: int, work: Work
) -> int:
    n = len(pattern)
    medians = np.zeros(MAX_OFFSET + 2)
    for k in range(1, MAX_OFFSET + 2):
        count = 0
        for i in range(max(start, k), n):
            work.weights[count] = pattern[i, i - k]
            count += k == 1 or bits[i, i - k] == 0
        if count >= LEAST_KEYS:
            medians[k] = _weight_median(work.weight_bits[:count])
    best = 2
    for k in range(3, MAX_OFFSET + 1):
        if medians[k] > medians[best]:
            best = k
    beside = max(medians[best - 1], medians[best + 1])
    return best if medians[best] >= max(LEAST_OFFSET, 2 * beside) else 0


@compiled
def _weight_median(bits: Int32[np.ndarray, " n"]) -> float:
    """Return the median of finite float32 weights, given as their bits, the middle two averaged.

    Weights that are not negative have the order of their bits, read as whole numbers. So the median
    is found by halving an interval of whole numbers; each step counts the weights in it, eight or
    more at once, and no step depends on the order of the weights.
    """
    low, high = _range(bits)
    if low < 0:
        return median(bits.view(np.float32).astype(np.float64))
    middle = (len(bits) - 1) // 2
    up_to_high = len(bits)
    while low < high:
        limit = low + (high - low) // 2
        count = _count(bits, limit)
        if count > middle:
            high, up_to_high = limit, count
            if count == middle + 1:
                break
        else:
            low = limit + 1
    pair = np.empty(2, np.int32)
    pair[0], pair[1] = _neighbours(bits, high)
    value, above = pair.view(np.float32)
    if len(bits) % 2 or up_to_high > middle + 1:
        return np.float64(value)
    return 0.5 * (np.float64(value) + np.float64(above))


@compiled
def _range(bits: Int32[np.ndarray, " n"]) -> tuple[int, int]:
    low = high = bits[0]
    for i in range(len(bits)):
        low, high = min(low, bits[i]), max(high, bits[i])
    return low, high


@reordered
def _count(bits: Int32[np.ndarray, " n"], limit: int) -> int:
    most = np.int32(limit)
    count = np.float32(0)  # As wide as the bits, and exact up to 2 ** 24.
    for i in range(len(bits)):
        count += np.float32(1) if bits[i] <= most else np.float32(0)
    return int(count)


@compiled
def _neighbours(bits: Int32[np.ndarray, " n"], limit: int) -> tuple[int, int]:
    """Return the largest number up to the limit, and the smallest above it."""
    most = np.int32(limit)
    below, above = LEAST_BITS, MOST_BITS
    for i in range(len(bits)):
        below = max(below, bits[i] if bits[i] <= most else LEAST_BITS)
        above = min(above, bits[i] if bits[i] > most else MOST_BITS)
    return int(below), int(above)


@compiled
def _divide(
    weights: Float[np.ndarray, " sets"], keys: Float[np.ndarray, " sets"]
) -> Float[np.ndarray, " keyed"]:
    """Divide the weight of keys of several motifs by what the motifs have per key elsewhere."""
    mass, rates = np.zeros(N_KEYED), np.zeros(N_KEYED)
    for bit in range(N_KEYED):
        mass[bit] = weights[1 << bit]
        if keys[1 << bit] > 0:
            rates[bit] = mass[bit] / keys[1 << bit]
    for members in range(SETS):
        if weights[members] <= 0.0 or not members & (members - 1):
            continue
        total, count = 0.0, 0
        for bit in range(N_KEYED):
            if members >> bit & 1:
                total += rates[bit]
                count += 1
        for bit in range(N_KEYED):
            if members >> bit & 1:
                share = rates[bit] / total if total > 0 else 1.0 / count
                mass[bit] += weights[members] * share
    return mass
