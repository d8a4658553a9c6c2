"""Complementary heads: similar over all prompts, different on each (the paper, section 4.1).

Such a pair has a large mean distance (Eq. 3) and a small earth-mover distance. The pairing by
prompt is one of the pairings that the earth-mover distance minimises over, so the ratio of the two
is 1 or more. It is large for two heads that swap their patterns between prompts, but also for two
heads that vary independently. The permutation test separates the two cases.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.distances.compute import Progress, candidate_distances
from attention_motifs.distances.engine import (
    Tile,
    check_clouds,
    run_tasks,
    thread_count,
    tile_values,
    upper_tiles,
)
from attention_motifs.distances.registry import TILE, get_metric
from attention_motifs.errors import InputError
from attention_motifs.features.arguments import whole_number

if TYPE_CHECKING:
    from jaxtyping import Float, Int

_SAMPLED_PAIRS = 4096
_PAIRS_PER_TASK = 64
_LEADER, _ROUNDS = 10, 20
"""A pair with fewer than `_LEADER` shuffles as large as its own pairing is tested again, with
`_ROUNDS` times as many: else one pair among 1,000 could not reach a q of 0.05."""


@dataclass(frozen=True)
class ComplementaryPairs:
    """Pairs of heads, largest ratio first; every array is (pairs,).

    Attributes:
        left: index of the first head, the smaller of the two.
        right: index of the second head.
        mean: distance of Eq. 3 over all prompts.
        wasserstein: exact 1-Wasserstein distance of the clouds over all prompts.
        ratio: mean / wasserstein, 1 or more; infinite for clouds that are equal as sets.
        random_pairing: expected `mean` if prompts were paired at random.
        p_value: one-sided permutation p-value; see `complementary`.
        p_floor: smallest p-value that the shuffles of this pair can give.
        q_value: Benjamini-Hochberg q-value over the `n_tested` candidates, one family.
        n_tested: candidate pairs that were tested.
    """

    left: Int[np.ndarray, " pairs"]
    right: Int[np.ndarray, " pairs"]
    mean: Float[np.ndarray, " pairs"]
    wasserstein: Float[np.ndarray, " pairs"]
    ratio: Float[np.ndarray, " pairs"]
    random_pairing: Float[np.ndarray, " pairs"]
    p_value: Float[np.ndarray, " pairs"]
    p_floor: Float[np.ndarray, " pairs"]
    q_value: Float[np.ndarray, " pairs"]
    n_tested: int


def complementary(
    embedded: Float[np.ndarray, "prompts heads components"],
    *,
    n: int = 20,
    candidates: int = 1000,
    permutations: int = 9999,
    min_mean_quantile: float = 0.5,
    max_q: float = 1.0,
    seed: int = 0,
    threads: int | None = None,
    progress: Progress | None = None,
) -> ComplementaryPairs:
    """Find pairs of heads with a large mean distance and a small earth-mover distance.

    Screening: of the pairs whose Eq. 3 is above a quantile of all pairs, keep the `candidates` with
    the largest ratio of Eq. 3 to the sliced-Wasserstein distance.

    Test: under the null hypothesis every pairing of the points of one head with those of the other
    is equally likely, given the two clouds, so the prompts of one head are shuffled. The statistic
    is the mean distance over the pairing; large values count against the null (one-sided). p is
    (1 + shuffles with a mean distance at least as large) / (1 + permutations). A pair with fewer
    than 10 such shuffles is tested again with 20 times as many new ones, which alone give its p:
    one perfect pair then reaches a q of 0.005 among 1,000 candidates.

    Selecting pairs for their large Eq. 3 would by itself make p small. The screening therefore uses
    Eq. 3 on one random half of the prompts, and the test uses the other half. The sliced distance
    is the same under every pairing and uses all prompts.

    Args:
        embedded: (prompts, heads, components) head clouds, 4 prompts or more.
        n: maximum number of pairs returned.
        candidates: number of pairs that are tested.
        permutations: shuffles per pair, the same for all pairs; 20 times as many for leaders.
        min_mean_quantile: a share from 0 to 1; pairs whose Eq. 3 is below this quantile of all
            pairs are not candidates. The quantile is estimated from a sample of the pairs.
        max_q: largest q-value returned, from 0 to 1.
        seed: seed for the halves, the sample and the shuffles, 0 or more.
        threads: number of threads (default: one per processor).
        progress: called with the number of pairs screened and the number of all pairs.

    Returns:
        The pairs, largest ratio first.

    Raises:
        InputError: if the clouds are malformed, hold NaN or have fewer than 4 prompts or 2 heads,
            or if an option is out of its range.
    """
    whole_number(seed, "seed")
    _check_options(n, candidates, permutations, min_mean_quantile, max_q)
    clouds = check_clouds(embedded)
    n_prompts, n_heads, _ = clouds.shape
    if n_prompts < 4 or n_heads < 2:
        raise InputError(
            f"complementary heads need 4 prompts and 2 heads or more: there are {n_prompts} "
            f"prompts and {n_heads} heads."
        )
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(n_prompts)
    screened, tested = np.sort(shuffled[: n_prompts // 2]), np.sort(shuffled[n_prompts // 2 :])
    half = np.ascontiguousarray(clouds[screened])
    floor = _mean_quantile(half, min_mean_quantile, rng, threads)
    pairs = _screen(clouds, half, floor, candidates, threads, progress)
    p_value, p_floor = _permutation_p(clouds, pairs, tested, permutations, rng, threads)
    return _ranked(clouds, pairs, p_value, p_floor, n, max_q, threads)


def _check_options(
    n: int, candidates: int, permutations: int, min_mean_quantile: float, max_q: float
) -> None:
    for name, count in (("n", n), ("candidates", candidates), ("permutations", permutations)):
        whole_number(count, name, least=1)
    for name, share in (("min_mean_quantile", min_mean_quantile), ("max_q", max_q)):
        if not 0 <= share <= 1:
            raise InputError(f"{name} is {share}. Give a number from 0 to 1.")


def _mean_quantile(
    half: Float[np.ndarray, "prompts heads components"],
    quantile: float,
    rng: np.random.Generator,
    threads: int | None,
) -> float:
    """Return a quantile of Eq. 3 over pairs of different heads, from a sample of them."""
    n_heads = half.shape[1]
    left = rng.integers(n_heads, size=_SAMPLED_PAIRS)
    right = (left + rng.integers(1, n_heads, size=_SAMPLED_PAIRS)) % n_heads
    sampled = candidate_distances(half, np.stack([left, right], axis=1), "mean", threads=threads)
    return float(np.quantile(sampled, quantile))


def _screen(
    clouds: Float[np.ndarray, "prompts heads components"],
    half: Float[np.ndarray, "prompts heads components"],
    floor: float,
    candidates: int,
    threads: int | None,
    progress: Progress | None,
) -> Int[np.ndarray, "pairs 2"]:
    """Return the pairs of largest Eq. 3 (on `half`) over sliced distance (on all prompts).

    Pairs with Eq. 3 below `floor` are left out. Works tile by tile and keeps the best pairs only,
    so no matrix of all pairs is in memory.
    """
    mean, sliced = get_metric("mean"), get_metric("sliced-wasserstein")
    mean_prepared, sliced_prepared = mean.prepare(half), sliced.prepare(clouds)
    n_heads = clouds.shape[1]
    total = n_heads * (n_heads - 1) // 2
    n_done = 0
    best = np.empty((0, 3))

    def work(tile: Tile) -> tuple[int, Float[np.ndarray, "some 3"]]:
        distance = tile_values(mean, mean_prepared, tile)
        rows = np.arange(tile.rows.start, tile.rows.stop)[:, None]
        columns = np.arange(tile.columns.start, tile.columns.stop)
        chosen = (distance >= floor) & (distance > 0) & (rows < columns)
        with np.errstate(divide="ignore"):
            ratio = distance[chosen] / tile_values(sliced, sliced_prepared, tile)[chosen]
        row, column = np.nonzero(chosen)
        rows_found = np.stack([ratio, row + tile.rows.start, column + tile.columns.start], axis=1)
        return tile.n_pairs, _largest(rows_found, candidates)

    def done(result: tuple[int, Float[np.ndarray, "some 3"]]) -> None:
        nonlocal best, n_done
        n_done += result[0]
        best = _largest(np.vstack([best, result[1]]), candidates)
        if progress is not None:
            progress(n_done, total)

    run_tasks(upper_tiles(n_heads, TILE), work, thread_count(threads, mean), done)
    return best[:, 1:].astype(np.int64)


def _largest(rows: Float[np.ndarray, "some 3"], n: int) -> Float[np.ndarray, "few 3"]:
    """Return the n rows (ratio, left, right) of largest ratio; ties in order of the indices."""
    return rows[np.lexsort((rows[:, 2], rows[:, 1], -rows[:, 0]))[:n]]


def _permutation_p(
    clouds: Float[np.ndarray, "prompts heads components"],
    pairs: Int[np.ndarray, "pairs 2"],
    prompts: Int[np.ndarray, " tested"],
    permutations: int,
    rng: np.random.Generator,
    threads: int | None,
) -> tuple[Float[np.ndarray, " pairs"], Float[np.ndarray, " pairs"]]:
    """Return p and the smallest possible p of every pair.

    Leaders are found with the first shuffles and get p from new ones alone. That p is valid by
    itself, and the first p of a pair that is no leader is above any that made a leader, so at no
    level are more pairs at or below it than the level allows.
    """
    identity = np.tile(np.arange(prompts.size), (permutations, 1))
    counts = _count_larger(clouds, pairs, prompts, rng.permuted(identity, axis=1), threads)
    p_value = (1 + counts) / (1 + permutations)
    p_floor = np.full(len(pairs), 1 / (1 + permutations))
    leaders = np.flatnonzero(counts < _LEADER)
    if len(leaders):
        again = np.zeros(len(leaders), np.int64)
        for _ in range(_ROUNDS):
            orders = rng.permuted(identity, axis=1)
            again += _count_larger(clouds, pairs[leaders], prompts, orders, threads)
        p_floor[leaders] = 1 / (1 + _ROUNDS * permutations)
        p_value[leaders] = (1 + again) * p_floor[leaders]
    return p_value, p_floor


def _count_larger(
    clouds: Float[np.ndarray, "prompts heads components"],
    pairs: Int[np.ndarray, "pairs 2"],
    prompts: Int[np.ndarray, " tested"],
    orders: Int[np.ndarray, "permutations tested"],
    threads: int | None,
) -> Int[np.ndarray, " pairs"]:
    """Count, for each pair, the shuffles whose mean distance is at least that of the pairing."""
    from attention_motifs.distances.assignment import count_larger_pairings

    left, right = np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])
    counts = np.empty(len(pairs), np.int64)

    def work(part: slice) -> None:
        count_larger_pairings(clouds, left[part], right[part], prompts, orders, counts[part])

    parts = (slice(a, a + _PAIRS_PER_TASK) for a in range(0, len(pairs), _PAIRS_PER_TASK))
    run_tasks(parts, work, thread_count(threads, get_metric("mean")), lambda _: None)
    return counts


def _ranked(
    clouds: Float[np.ndarray, "prompts heads components"],
    pairs: Int[np.ndarray, "pairs 2"],
    p_value: Float[np.ndarray, " pairs"],
    p_floor: Float[np.ndarray, " pairs"],
    n: int,
    max_q: float,
    threads: int | None,
) -> ComplementaryPairs:
    mean = candidate_distances(clouds, pairs, "mean", threads=threads)
    wasserstein = candidate_distances(clouds, pairs, "wasserstein", threads=threads)
    with np.errstate(divide="ignore"):
        ratio = mean / wasserstein
    from scipy.stats import false_discovery_control

    q_value = false_discovery_control(p_value) if len(p_value) else p_value
    order = np.lexsort((pairs[:, 1], pairs[:, 0], -ratio))
    order = order[q_value[order] <= max_q][:n]
    return ComplementaryPairs(
        left=pairs[order, 0],
        right=pairs[order, 1],
        mean=mean[order],
        wasserstein=wasserstein[order],
        ratio=ratio[order],
        random_pairing=_random_pairing(clouds, pairs[order]),
        p_value=p_value[order],
        p_floor=p_floor[order],
        q_value=q_value[order],
        n_tested=len(pairs),
    )


def _random_pairing(
    clouds: Float[np.ndarray, "prompts heads components"], pairs: Int[np.ndarray, "pairs 2"]
) -> Float[np.ndarray, " pairs"]:
    """Return the mean distance over all pairs of prompts: Eq. 3 expected of shuffled prompts."""
    from attention_motifs.distances.kernels import cross_pairs

    result = np.empty(len(pairs))
    left, right = np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])
    cross_pairs(clouds, left, right, result)
    return result
