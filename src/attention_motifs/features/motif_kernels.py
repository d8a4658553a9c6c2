"""CPU kernel of the shares of motifs; `motif_definitions` defines them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.features.compiled import compiled
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
    from jaxtyping import Float, Float32, UInt8

N_KEYED = len(KEYED)
N_MOTIFS = len(MOTIFS)
SETS = 1 << N_KEYED


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
    row, scratch, motifs = np.empty(n), np.empty(n), np.empty(n, np.uint8)
    shares = np.empty(N_MOTIFS)
    for b in range(len(patterns)):
        _shares(patterns[b], bits, row, scratch, motifs, shares)
        for m in range(N_MOTIFS):
            out[b, m] = shares[m]


@compiled
def _shares(
    pattern: Float32[np.ndarray, "n n"],
    bits: UInt8[np.ndarray, "n n"],
    row: Float[np.ndarray, " n"],
    scratch: Float[np.ndarray, " n"],
    motifs: UInt8[np.ndarray, " n"],
    shares: Float[np.ndarray, " motifs"],
) -> None:
    n = len(pattern)
    checksum = 0.0
    for i in range(n):
        for j in range(i + 1):
            checksum += pattern[i, j]
    if not np.isfinite(checksum):
        shares[:] = np.nan
        return
    start = min(FIRST_QUERIES, n // 2)
    fixed = _fixed_offset(pattern, bits, start, scratch)
    uniform = local = 0.0
    mass, keys, shared = np.zeros(N_KEYED), np.zeros(N_KEYED), np.zeros(SETS)
    for i in range(start, n):
        for j in range(i + 1):
            row[j], motifs[j] = pattern[i, j], bits[i, j]
        if fixed and i >= fixed:
            motifs[i - fixed] |= AT_OFFSET
        near_from = max(0, i - WINDOW + 1)
        level = _level(row, motifs, 0, near_from, scratch)
        for j in range(i + 1):
            part = min(row[j], level)
            uniform += part
            row[j] -= part
        level = _level(row, motifs, near_from, i + 1, scratch)
        for j in range(near_from, i + 1):
            if not motifs[j] & 1:
                part = row[j] if motifs[j] == 0 else min(row[j], level)
                local += part
                row[j] -= part
        _by_key(row, motifs, i, mass, keys, shared)
    _divide(mass, keys, shared)
    for m in range(N_KEYED):
        shares[m] = mass[m]
    shares[N_KEYED], shares[N_KEYED + 1] = local, uniform
    total = 0.0
    for m in range(N_MOTIFS - 1):
        shares[m] /= n - start
        total += shares[m]
    shares[N_MOTIFS - 1] = max(0.0, 1.0 - total)


@compiled
def _level(
    row: Float[np.ndarray, " n"],
    motifs: UInt8[np.ndarray, " n"],
    first: int,
    stop: int,
    scratch: Float[np.ndarray, " n"],
) -> float:
    """Return the median weight of the keys first:stop in no motif; 0 if they are too few."""
    count = 0
    for j in range(first, stop):
        if motifs[j] == 0:
            scratch[count] = row[j]
            count += 1
    return median(scratch[:count]) if count >= LEAST_KEYS else 0.0


@compiled
def _fixed_offset(
    pattern: Float32[np.ndarray, "n n"],
    bits: UInt8[np.ndarray, "n n"],
    start: int,
    scratch: Float[np.ndarray, " n"],
) -> int:
    n = len(pattern)
    medians = np.zeros(MAX_OFFSET + 2)
    for k in range(1, MAX_OFFSET + 2):
        count = 0
        for i in range(max(start, k), n):
            if k == 1 or bits[i, i - k] == 0:
                scratch[count] = pattern[i, i - k]
                count += 1
        if count >= LEAST_KEYS:
            medians[k] = median(scratch[:count])
    best = 2
    for k in range(3, MAX_OFFSET + 1):
        if medians[k] > medians[best]:
            best = k
    beside = max(medians[best - 1], medians[best + 1])
    return best if medians[best] >= max(LEAST_OFFSET, 2 * beside) else 0


@compiled
def _by_key(
    row: Float[np.ndarray, " n"],
    motifs: UInt8[np.ndarray, " n"],
    i: int,
    mass: Float[np.ndarray, " keyed"],
    keys: Float[np.ndarray, " keyed"],
    shared: Float[np.ndarray, " sets"],
) -> None:
    """Add what remains at the keys of one query to their motifs."""
    for j in range(i + 1):
        members = motifs[j]
        if members == 0:
            continue
        if members & (members - 1):
            shared[members] += row[j]
            continue
        for bit in range(N_KEYED):
            if members == 1 << bit:
                mass[bit] += row[j]
                keys[bit] += 1


@compiled
def _divide(
    mass: Float[np.ndarray, " keyed"],
    keys: Float[np.ndarray, " keyed"],
    shared: Float[np.ndarray, " sets"],
) -> None:
    """Divide the weight of keys of several motifs by what the motifs have per key elsewhere."""
    rates = np.zeros(N_KEYED)
    for bit in range(N_KEYED):
        if keys[bit] > 0:
            rates[bit] = mass[bit] / keys[bit]
    for members in range(SETS):
        if shared[members] <= 0.0:
            continue
        total, count = 0.0, 0
        for bit in range(N_KEYED):
            if members >> bit & 1:
                total += rates[bit]
                count += 1
        for bit in range(N_KEYED):
            if members >> bit & 1:
                mass[bit] += shared[members] * (rates[bit] / total if total > 0 else 1.0 / count)
