"""CPU kernels of the set `experimental`, a batch at a time.

The Fourier transforms are scipy's, in float32; all else is one pass over each pattern in float64.
Only the lower triangle of a pattern is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attention_motifs.features.compiled import compiled
from attention_motifs.features.definitions import VECTOR_STATISTICS
from attention_motifs.features.experimental_definitions import (
    ABSORPTION,
    BAND_EDGES,
    DAMPING,
    ESCAPE_FLOOR,
    FOURIER,
    NAMES,
    NO_POWER,
    NO_SPREAD,
    SPECTRUM_STATISTICS,
    STEP_STATISTICS,
)
from attention_motifs.features.statistic_kernels import VectorWork, vector_statistics, vector_work

if TYPE_CHECKING:
    from jaxtyping import Float, Int

OF_STEPS = np.array([VECTOR_STATISTICS.index(name) for name in STEP_STATISTICS])
EDGES = np.array(BAND_EDGES)
STEP = len(SPECTRUM_STATISTICS)
NETWORK_AT = len(ABSORPTION) + len(FOURIER)


class GraphWork(NamedTuple):
    """Memory for one pattern of n tokens as a chain and a graph; no entry outlives a pattern."""

    P: Float[np.ndarray, "n n"]
    mass: Float[np.ndarray, " n"]  # of a row
    keys: Float[np.ndarray, " n"]  # bits: effective number of keys of a query
    strength: Float[np.ndarray, " n"]  # of a column
    squares: Float[np.ndarray, " n"]  # of a column
    first: Float[np.ndarray, " n"]
    second: Float[np.ndarray, " n"]
    rank: Float[np.ndarray, " n"]
    ways: Float[np.ndarray, " n"]
    scratch: Float[np.ndarray, " n"]
    depth: Int[np.ndarray, " n"]
    children: Int[np.ndarray, " n"]


def graph_work(n: int) -> GraphWork:
    """Workspace for patterns of n tokens."""
    vectors = np.empty((9, n))
    counts = np.empty((2, n), np.int64)
    return GraphWork._make((np.empty((n, n)), *vectors, *counts))


@compiled
def _align(patterns: Float[np.ndarray, "b n n"], out: Float[np.ndarray, "b n n"]) -> None:
    """S(P) with its columns reversed, out[i, d] = P[i, i - d]: power spectra do not change."""
    count, n, _ = patterns.shape
    for p in range(count):
        for i in range(n):
            total = 0.0
            for j in range(i + 1):
                total += max(0.0, patterns[p, i, j])
            scale = 1.0 / max(1.0, total)
            for d in range(i + 1):
                out[p, i, d] = max(0.0, patterns[p, i, i - d]) * scale
            for d in range(i + 1, n):
                out[p, i, d] = 0.0


@compiled
def _number_bits(mass: float, squares: float) -> float:
    return float(np.log2(max(1.0, mass * mass / squares))) if squares > 0.0 else 0.0


@compiled
def _transitions(A: Float[np.ndarray, "n n"], work: GraphWork) -> None:
    """P, and the sums and squares of its rows and columns."""
    n = len(A)
    P = work.P
    work.strength[:] = 0.0
    work.squares[:] = 0.0
    for i in range(n):
        total = 0.0
        for j in range(i + 1):
            P[i, j] = max(0.0, np.float64(A[i, j]))
            total += P[i, j]
        over = max(1.0, total)
        mass = squares = 0.0
        for j in range(i + 1):
            weight = P[i, j] / over
            P[i, j] = weight
            mass += weight
            squares += weight * weight
            work.strength[j] += weight
            work.squares[j] += weight * weight
        work.mass[i] = mass
        work.keys[i] = _number_bits(mass, squares)


@compiled
def _absorption(work: GraphWork, steps: VectorWork, out: Float[np.ndarray, "47"]) -> None:
    P, first, second = work.P, work.first, work.second
    n = len(P)
    first[0] = second[0] = steps.vector[0] = 0.0
    dispersion = 0.0
    for i in range(1, n):
        ahead = beyond = 0.0
        for j in range(1, i):
            ahead += P[i, j] * first[j]
            beyond += P[i, j] * second[j]
        escape = max(1.0 - P[i, i], ESCAPE_FLOOR)
        first[i] = (1.0 + ahead) / escape
        second[i] = (2.0 * first[i] - 1.0 + beyond) / escape
        dispersion += np.sqrt(max(0.0, second[i] - first[i] * first[i])) / first[i]
        steps.vector[i] = np.log2(1.0 + first[i])
    vector_statistics(steps)
    for s in range(len(OF_STEPS)):
        out[s] = steps.statistics[OF_STEPS[s]]
    out[len(OF_STEPS)] = dispersion / (n - 1) if n > 1 else 0.0


@compiled
def _gini(x: Float[np.ndarray, " n"], scratch: Float[np.ndarray, " n"]) -> float:
    n = len(x)
    scratch[:] = x
    scratch.sort()
    total = along = 0.0
    for k in range(n):
        total += scratch[k]
        along += (2.0 * k + 1.0 - n) * scratch[k]
    return max(0.0, along / (n * total)) if total > 0.0 else 0.0


@compiled
def _effective_share(x: Float[np.ndarray, " n"]) -> float:
    total = bits = 0.0
    for value in x:
        total += value
    if total <= 0.0:
        return 0.0
    for value in x:
        if value > 0.0:
            bits -= value / total * np.log2(value / total)
    return float(2.0**bits / len(x))


@compiled
def _mean_and_variance(x: Float[np.ndarray, " n"], out: Float[np.ndarray, "2"]) -> None:
    mean = spread = 0.0
    for value in x:
        mean += value / len(x)
    for value in x:
        spread += (value - mean) ** 2 / len(x)
    out[0], out[1] = mean, spread


@compiled
def _correlation(both: float, x2: float, y2: float, x_mean: float, y_mean: float) -> float:
    if x2 <= NO_SPREAD * max(1.0, x_mean * x_mean) or y2 <= NO_SPREAD * max(1.0, y_mean * y_mean):
        return 0.0
    return float(max(-1.0, min(1.0, both / np.sqrt(x2 * y2))))


@compiled
def _assortativity(work: GraphWork, out: Float[np.ndarray, "2"]) -> None:
    """Of the strength, and of the number of keys, of a query with the strength of its key."""
    P, keys, strength = work.P, work.keys, work.strength
    n = len(P)
    total = key_mean = in_mean = out_mean = 0.0
    for i in range(n):
        given, taken = work.mass[i] - P[i, i], strength[i] - P[i, i]
        total += given
        in_mean += given * strength[i]
        out_mean += given * keys[i]
        key_mean += taken * strength[i]
    out[:] = 0.0
    if total <= 0.0:
        return
    in_mean, out_mean, key_mean = in_mean / total, out_mean / total, key_mean / total
    in2 = out2 = key2 = in_both = out_both = 0.0
    for i in range(n):
        given, taken = work.mass[i] - P[i, i], strength[i] - P[i, i]
        along = 0.0
        for j in range(i):
            along += P[i, j] * (strength[j] - key_mean)
        x_in, x_out, y = strength[i] - in_mean, keys[i] - out_mean, strength[i] - key_mean
        in2 += given * x_in * x_in / total
        out2 += given * x_out * x_out / total
        key2 += taken * y * y / total
        in_both += along * x_in / total
        out_both += along * x_out / total
    out[0] = _correlation(in_both, in2, key2, in_mean, key_mean)
    out[1] = _correlation(out_both, out2, key2, out_mean, key_mean)


@compiled
def _pagerank(work: GraphWork) -> None:
    P, rank = work.P, work.rank
    n = len(P)
    rank[:] = (1.0 - DAMPING) / n
    total = 0.0
    for i in range(n - 1, -1, -1):
        rank[i] /= 1.0 - DAMPING * P[i, i]
        total += rank[i]
        given = DAMPING * rank[i]
        for j in range(i):
            rank[j] += given * P[i, j]
    rank /= total


@compiled
def _tree(work: GraphWork, out: Float[np.ndarray, "4"]) -> None:
    P, depth, children = work.P, work.depth, work.children
    n = len(P)
    children[:] = 0
    mean = deepest = 0.0
    for i in range(n):
        key, best = -1, 0.0
        for j in range(i):
            if P[i, j] > best:
                key, best = j, P[i, j]
        depth[i] = 0
        if key >= 0:
            depth[i] = depth[key] + 1
            children[key] += 1
        bits = np.log2(1.0 + depth[i])
        mean += bits / n
        deepest = max(deepest, bits)
    leaves = hub = 0
    for i in range(n):
        leaves += children[i] == 0
        hub = max(hub, children[i])
    out[0], out[1], out[2], out[3] = mean, deepest, leaves / n, hub / max(1, n - 1)


@compiled
def _transitivity(work: GraphWork) -> float:
    P, ways = work.P, work.ways
    closed = total = 0.0
    for i in range(2, len(P)):
        ways[:i] = 0.0
        for j in range(1, i):
            weight = P[i, j]
            for k in range(j):
                ways[k] += weight * P[j, k]
        for k in range(i - 1):
            total += ways[k]
            closed += ways[k] * P[i, k]
    return closed / total if total > 0.0 else 0.0


@compiled
def _graph_rows(
    patterns: Float[np.ndarray, "b n n"],
    work: GraphWork,
    steps: VectorWork,
    out: Float[np.ndarray, "b 47"],
) -> None:
    """Everything but the spectra."""
    for p in range(len(patterns)):
        row = out[p]
        _transitions(patterns[p], work)
        _absorption(work, steps, row)
        at = NETWORK_AT
        row[at] = _gini(work.strength, work.scratch)
        row[at + 1] = _effective_share(work.strength)
        _mean_and_variance(work.keys, row[at + 2 : at + 4])
        for j in range(len(work.squares)):
            work.ways[j] = _number_bits(work.strength[j], work.squares[j])
        _mean_and_variance(work.ways, row[at + 4 : at + 6])
        _assortativity(work, row[at + 6 : at + 8])
        _pagerank(work)
        row[at + 8] = _gini(work.rank, work.scratch)
        row[at + 9] = _effective_share(work.rank)
        row[at + 10] = work.rank[0]
        _tree(work, row[at + 11 : at + 15])
        row[at + 15] = _transitivity(work)


@compiled
def _power_by_row(spectra: Float[np.ndarray, "b n k"], out: Float[np.ndarray, "b f"]) -> None:
    """Power of transforms of rows: real and imaginary part in turn in the last axis."""
    out[:] = 0.0
    for p in range(len(spectra)):
        for i in range(spectra.shape[1]):
            for f in range(out.shape[1]):
                re, im = np.float64(spectra[p, i, 2 * f]), np.float64(spectra[p, i, 2 * f + 1])
                out[p, f] += re * re + im * im


@compiled
def _power_by_column(spectra: Float[np.ndarray, "b f k"], out: Float[np.ndarray, "b f"]) -> None:
    """Power of transforms of columns: frequencies along the middle axis."""
    for p in range(len(spectra)):
        for f in range(out.shape[1]):
            power = 0.0
            for k in range(spectra.shape[2]):
                power += np.float64(spectra[p, f, k]) * np.float64(spectra[p, f, k])
            out[p, f] = power


@compiled
def _spectrum_rows(power: Float[np.ndarray, "b f"], n: int, out: Float[np.ndarray, "b 9"]) -> None:
    """Statistics of two-sided powers at the frequencies 0, 1/n, ..., which become one-sided."""
    for p in range(len(power)):
        for f in range(1, (n + 1) // 2):
            power[p, f] *= 2.0
        _spectrum_statistics(power[p], n, out[p])


@compiled
def _spectrum_statistics(
    power: Float[np.ndarray, " f"], n: int, out: Float[np.ndarray, "9"]
) -> None:
    bands = len(EDGES)
    out[:] = 0.0
    above = 0.0
    for f in range(1, len(power)):
        above += power[f]
    total = above + power[0]
    if total <= 0.0:
        return
    out[0] = power[0] / total
    band = 0
    for f in range(1, len(power)):
        while band < bands - 1 and f / n > EDGES[band]:
            band += 1
        out[1 + band] += power[f] / total
    if above <= NO_POWER * total:
        return
    centroid = bits = peak = 0.0
    for f in range(1, len(power)):
        share = power[f] / above
        centroid += share * f / n
        peak = max(peak, share)
        if share > 0.0:
            bits -= share * np.log2(share)
    out[1 + bands] = centroid
    out[2 + bands] = bits / np.log2(len(power) - 1.0) if len(power) > 2 else 0.0
    out[3 + bands] = peak


def experimental_features(patterns: Float[np.ndarray, "b n n"]) -> Float[np.ndarray, "b 47"]:
    """Compute the `experimental` set of contiguous, finite float32 patterns."""
    from scipy.fft import rfft

    count, n, _ = patterns.shape
    rows = np.empty((count, len(NAMES)))
    _graph_rows(patterns, graph_work(n), vector_work(n), rows)
    aligned = np.empty((count, n, n), np.float32)
    _align(patterns, aligned)
    power = np.empty((count, n // 2 + 1))
    at = len(ABSORPTION)
    # scipy transforms columns in place, several at a time.
    for axis, sum_power in ((2, _power_by_row), (1, _power_by_column)):
        sum_power(np.ascontiguousarray(rfft(aligned, axis=axis)).view(np.float32), power)
        _spectrum_rows(power, n, rows[:, at : at + STEP])
        at += STEP
    return rows.astype(np.float32)
