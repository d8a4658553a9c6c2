"""Complementary heads: alike over all prompts, unlike on each (the paper, section 4.1).

Such a pair has a large mean distance (Eq. 3) and a small earth-mover distance. The pairing by
prompt is one of the pairings over which the earth-mover distance takes the least, so the ratio
of the two is 1 or more; it is large for two heads that swap their patterns between prompts,
but also for two heads that vary independently. The permutation test tells the two apart.
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

if TYPE_CHECKING:
    from jaxtyping import Float, Int

_SAMPLED_PAIRS = 4096
_PAIRS_PER_TASK = 64


@dataclass(frozen=True)
class ComplementaryPairs:
    """Pairs of heads, the largest ratio first; every array is (pairs,).

    Attributes:
        left: index of one head, the smaller.
        right: index of the other.
        mean: distance of Eq. 3 over all prompts.
        wasserstein: exact 1-Wasserstein distance of the clouds, over all prompts.
        ratio: mean / wasserstein, 1 or more; infinite for clouds that are equal as sets.
        random_pairing: what `mean` would be on average if prompts were paired at random.
        p_value: one-sided permutation p-value, see `complementary`.
        q_value: Benjamini-Hochberg q-value over the `n_tested` candidates.
        n_tested: candidate pairs that were tested.
    """

    left: Int[np.ndarray, " pairs"]
    right: Int[np.ndarray, " pairs"]
    mean: Float[np.ndarray, " pairs"]
    wasserstein: Float[np.ndarray, " pairs"]
    ratio: Float[np.ndarray, " pairs"]
    random_pairing: Float[np.ndarray, " pairs"]
    p_value: Float[np.ndarray, " pairs"]
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
    """Pairs of heads with a large mean distance and a small earth-mover distance.

    Screening: of the pairs whose Eq. 3 is above a quantile of all pairs, the `candidates` with
    the largest ratio of Eq. 3 to the sliced-Wasserstein distance.

    Test: the null hypothesis is that, given the two clouds, every pairing of one head's points
    with the other's is equally likely: the prompts of one head are shuffled. The statistic is
    the mean distance over the pairing; large values speak against the null (one-sided). p is
    (1 + shuffles with a mean distance at least as large) / (1 + permutations).

    Choosing a pair for its large Eq. 3 would by itself make p small. So the screening takes
    Eq. 3 on one random half of the prompts and the test takes the other half; the sliced
    distance is the same under every pairing and may use all prompts.

    Args:
        embedded: head clouds, 4 prompts or more.
        n: pairs to return at most.
        candidates: pairs that are tested.
        permutations: shuffles per pair, the same for all pairs.
        min_mean_quantile: pairs with a smaller Eq. 3 than this share of the pairs are not
            candidates (0..1; the quantile is taken from a sample of the pairs).
        max_q: leave out pairs with a larger q-value (0..1).
        seed: of the halves, the sample and the shuffles.
        threads: None means one per processor.
        progress: called with pairs screened and pairs in all.

    Raises:
        InputError: if the clouds are misshapen, hold NaN or have fewer than 4 prompts or 2
            heads, or a number is out of its range.
    """
    _check_options(n, candidates, permutations, min_mean_quantile, max_q)
    clouds = check_clouds(embedded)
    n_prompts, n_heads, _ = clouds.shape
    if n_prompts < 4 or n_heads < 2:
        raise InputError(
            f"complementary heads need 4 prompts and 2 heads or more, not {n_prompts} prompts and "
            f"{n_heads} heads"
        )
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(n_prompts)
    screened, tested = np.sort(shuffled[: n_prompts // 2]), np.sort(shuffled[n_prompts // 2 :])
    half = np.ascontiguousarray(clouds[screened])
    floor = _mean_quantile(half, min_mean_quantile, rng, threads)
    pairs = _screen(clouds, half, floor, candidates, threads, progress)
    orders = rng.permuted(np.tile(np.arange(tested.size), (permutations, 1)), axis=1)
    p_value = _permutation_p(clouds, pairs, tested, orders, threads)
    return _ranked(clouds, pairs, p_value, n, max_q, threads)


def benjamini_hochberg(p_values: Float[np.ndarray, " tests"]) -> Float[np.ndarray, " tests"]:
    """q-values: the least false discovery rate at which each test is a discovery.

    Benjamini and Hochberg 1995 (J. R. Stat. Soc. B 57, 289-300).
    """
    m = p_values.size
    order = np.argsort(p_values, kind="stable")
    steps = p_values[order] * m / np.arange(1, m + 1)
    q_values = np.empty(m)
    q_values[order] = np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1.0)
    return q_values


def _check_options(
    n: int, candidates: int, permutations: int, min_mean_quantile: float, max_q: float
) -> None:
    for name, count in (("n", n), ("candidates", candidates), ("permutations", permutations)):
        if count < 1:
            raise InputError(f"{name} is {count}: give 1 or more")
    for name, share in (("min_mean_quantile", min_mean_quantile), ("max_q", max_q)):
        if not 0 <= share <= 1:
            raise InputError(f"{name} is {share}: give a number from 0 to 1")


def _mean_quantile(
    half: Float[np.ndarray, "prompts heads components"],
    quantile: float,
    rng: np.random.Generator,
    threads: int | None,
) -> float:
    """Quantile of Eq. 3 over pairs of different heads, from a sample of them."""
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
    """The pairs of largest Eq. 3 (on `half`) over sliced distance (on all), Eq. 3 >= floor.

    Works tile by tile and keeps only the best so far: no matrix of all pairs is held.
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
        found = np.stack([ratio, row + tile.rows.start, column + tile.columns.start], axis=1)
        return tile.n_pairs, _largest(found, candidates)

    def done(result: tuple[int, Float[np.ndarray, "some 3"]]) -> None:
        nonlocal best, n_done
        n_done += result[0]
        best = _largest(np.vstack([best, result[1]]), candidates)
        if progress is not None:
            progress(n_done, total)

    run_tasks(upper_tiles(n_heads, TILE), work, thread_count(threads, mean), done)
    return best[:, 1:].astype(np.int64)


def _largest(found: Float[np.ndarray, "some 3"], n: int) -> Float[np.ndarray, "few 3"]:
    """The n rows (ratio, left, right) of largest ratio, ties by index: in whatever order."""
    return found[np.lexsort((found[:, 2], found[:, 1], -found[:, 0]))[:n]]


def _permutation_p(
    clouds: Float[np.ndarray, "prompts heads components"],
    pairs: Int[np.ndarray, "pairs 2"],
    prompts: Int[np.ndarray, " tested"],
    orders: Int[np.ndarray, "permutations tested"],
    threads: int | None,
) -> Float[np.ndarray, " pairs"]:
    from attention_motifs.distances.assignment import count_larger_pairings

    left, right = np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])
    counts = np.empty(len(pairs), np.int64)

    def work(part: slice) -> None:
        count_larger_pairings(clouds, left[part], right[part], prompts, orders, counts[part])

    parts = (slice(a, a + _PAIRS_PER_TASK) for a in range(0, len(pairs), _PAIRS_PER_TASK))
    run_tasks(parts, work, thread_count(threads, get_metric("mean")), lambda _: None)
    return (1 + counts) / (1 + len(orders))


def _ranked(
    clouds: Float[np.ndarray, "prompts heads components"],
    pairs: Int[np.ndarray, "pairs 2"],
    p_value: Float[np.ndarray, " pairs"],
    n: int,
    max_q: float,
    threads: int | None,
) -> ComplementaryPairs:
    mean = candidate_distances(clouds, pairs, "mean", threads=threads)
    wasserstein = candidate_distances(clouds, pairs, "wasserstein", threads=threads)
    with np.errstate(divide="ignore"):
        ratio = mean / wasserstein
    q_value = benjamini_hochberg(p_value)
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
        q_value=q_value[order],
        n_tested=len(pairs),
    )


def _random_pairing(
    clouds: Float[np.ndarray, "prompts heads components"], pairs: Int[np.ndarray, "pairs 2"]
) -> Float[np.ndarray, " pairs"]:
    """Expected Eq. 3 when the prompts of one head are shuffled: the mean over all (s, t)."""
    from attention_motifs.distances.kernels import cross_pairs

    result = np.empty(len(pairs))
    left, right = np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])
    cross_pairs(clouds, left, right, result)
    return result
