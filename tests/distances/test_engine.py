from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from attention_motifs.distances import get_metric
from attention_motifs.distances.engine import run_tasks, single_products, upper_tiles


@pytest.mark.parametrize("n_heads", [1, 2, 7, 8, 9, 25])
def test_tiles_cover_every_pair_once(n_heads: int) -> None:
    seen: Counter[tuple[int, int]] = Counter()
    counted = 0
    for tile in upper_tiles(n_heads, 8):
        counted += tile.n_pairs
        seen.update((i, j) for i in tile.rows for j in tile.columns if i < j)
    expected = {(i, j) for i in range(n_heads) for j in range(i + 1, n_heads)}
    assert set(seen) == expected
    assert set(seen.values()) <= {1}
    assert counted == len(expected)


@pytest.mark.parametrize("threads", [1, 4])
def test_every_task_is_done_once(threads: int) -> None:
    results: list[int] = []
    run_tasks(iter(range(200)), lambda n: n * n, threads, results.append)
    assert sorted(results) == [n * n for n in range(200)]


@pytest.mark.parametrize("threads", [1, 4])
def test_a_failing_task_stops_the_run(threads: int) -> None:
    started: list[int] = []

    def work(n: int) -> int:
        started.append(n)
        if n == 3:
            raise ValueError("task 3")
        return n

    with pytest.raises(ValueError, match="task 3"):
        run_tasks(iter(range(10_000)), work, threads, lambda _: None)
    assert len(started) < 200


def test_products_are_held_to_one_thread_and_let_go() -> None:
    """Threads that multiply small matrices by several threads each wait for one another."""

    def blas_threads() -> list[int]:
        result = threadpool_info()
        return [library["num_threads"] for library in result if library["user_api"] == "blas"]

    np.ones((4, 4)) @ np.ones((4, 4))
    before = blas_threads()
    with single_products(get_metric("natural")):
        assert set(blas_threads()) <= {1}
    assert blas_threads() == before
    with single_products(get_metric("mean")):
        assert blas_threads() == before
