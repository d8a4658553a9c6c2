from __future__ import annotations

import math
import subprocess
import sys
import tracemalloc
from typing import Any

import numpy as np
import pytest

from attention_motifs.distances import (
    candidate_distances,
    distances_from,
    get_metric,
    head_distances,
)
from attention_motifs.errors import InputError
from distances.clouds import FAST, gaussian


@pytest.mark.parametrize("metric", FAST)
def test_rows_are_those_of_the_matrix(metric: str) -> None:
    embedded = gaussian(9, 150, 5)
    chosen = np.array([149, 0, 77])
    rows = distances_from(embedded, chosen, metric)
    assert rows.dtype == np.float32
    matrix = head_distances(embedded, metric)
    # The energy distance sums its points in another order for (i, j) than for (j, i).
    np.testing.assert_allclose(rows, matrix[chosen], rtol=0 if metric == "mean" else 1e-6)


def test_one_head_gives_one_row() -> None:
    assert distances_from(gaussian(3, 4, 2), 2).shape == (1, 4)
    assert distances_from(gaussian(3, 4, 2), []).shape == (0, 4)


@pytest.mark.parametrize("metric", FAST)
def test_all_pairs_are_worked_on_in_blocks(metric: str) -> None:
    """Besides the result, memory grows with the heads, not with their pairs."""
    if not get_metric(metric).block:
        pytest.skip("pairs are listed one by one")
    embedded = gaussian(2, 3000, 2)
    out = np.empty((3000, 3000), np.float32)
    head_distances(embedded[:, :200], metric)  # compiles
    tracemalloc.start()
    try:
        got = head_distances(embedded, metric, out=out, budget_seconds=math.inf)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert got is out
    assert peak < out.nbytes / 4
    some = np.array([0, 127, 128, 2999])
    np.testing.assert_allclose(out[some], distances_from(embedded, some, metric), rtol=1e-5)


@pytest.mark.parametrize(
    "out", [np.empty((3, 4), np.float32), np.empty((4, 4)), np.empty(16, np.float32)]
)
def test_a_place_for_the_result_that_does_not_fit_is_refused(out: np.ndarray) -> None:
    with pytest.raises(InputError):
        head_distances(gaussian(2, 4, 3), out=out)


@pytest.mark.parametrize("metric", FAST)
def test_candidates_are_entries_of_the_matrix(metric: str) -> None:
    embedded = gaussian(6, 20, 5)
    pairs = [(0, 1), (1, 0), (19, 3), (4, 4)]
    values = candidate_distances(embedded, pairs, metric)
    matrix = head_distances(embedded, metric)
    np.testing.assert_allclose(values, [matrix[pair] for pair in pairs], rtol=1e-5)
    assert values[0] == pytest.approx(values[1], rel=1e-12)
    assert values[3] == 0


def test_no_candidates_give_no_distances() -> None:
    assert candidate_distances(gaussian(6, 4, 2), []).shape == (0,)


@pytest.mark.parametrize("metric", FAST)
def test_the_number_of_threads_does_not_show(metric: str) -> None:
    embedded = gaussian(5, 300, 7)
    one, three = (head_distances(embedded, metric, threads=n) for n in (1, 3))
    assert np.array_equal(one, three)


@pytest.mark.parametrize("n_heads", [1, 2, 17, 300])
@pytest.mark.parametrize("metric", ["mean", "wasserstein"])
def test_progress_counts_every_pair_once(metric: str, n_heads: int) -> None:
    calls: list[tuple[int, int]] = []
    head_distances(
        gaussian(2, n_heads, 3), metric, progress=lambda done, all_: calls.append((done, all_))
    )
    total = n_heads * (n_heads - 1) // 2
    assert calls[-1] == (total, total)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


def test_candidates_report_progress() -> None:
    calls: list[tuple[int, int]] = []
    candidate_distances(
        gaussian(2, 9, 3), [(0, 1)] * 600, progress=lambda *call: calls.append(call)
    )
    assert sorted(calls)[-1] == (600, 600)


def test_a_view_and_wider_numbers_are_taken() -> None:
    wide = np.random.default_rng(0).standard_normal((4, 6, 5))
    expected = head_distances(wide.astype(np.float32))
    assert np.array_equal(head_distances(wide), expected)
    transposed = np.asfortranarray(wide.astype(np.float32))
    assert np.array_equal(head_distances(transposed), expected)


def test_any_array_can_be_given_to_a_metric_of_another_space() -> None:
    embedded = gaussian(3, 4, 58)
    assert head_distances(embedded, get_metric("cosine")).shape == (4, 4)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    "metric", ["mean", "cosine", "natural", "sliced-wasserstein", "wasserstein"]
)
def test_missing_numbers_are_counted(metric: str, bad: float) -> None:
    embedded = gaussian(5, 6, 4)
    embedded[2, 3, :2] = bad
    embedded[4, 0, 1] = bad
    with pytest.raises(InputError, match=r"2 of 30 embedded patterns"):
        head_distances(embedded, metric)
    with pytest.raises(InputError, match=r"2 of 30 embedded patterns"):
        distances_from(embedded, 1, metric)
    with pytest.raises(InputError, match=r"2 of 30 embedded patterns"):
        candidate_distances(embedded, [(1, 2)], metric)


def test_numbers_that_would_overflow_are_refused() -> None:
    embedded = gaussian(5, 6, 4) * np.float32(1e30)
    with pytest.raises(InputError):
        head_distances(embedded)
    with pytest.raises(InputError):
        distances_from(embedded, 0)


@pytest.mark.parametrize("shape", [(4, 5), (0, 4, 5), (4, 0, 5), (4, 5, 0)])
def test_misshapen_clouds_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError):
        head_distances(np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    "value", [None, 3, "clouds", [1.0], [[[1.0], [2.0, 3.0]]], np.full((2, 2, 2), "a")]
)
def test_other_kinds_of_values_are_no_clouds(value: Any) -> None:
    for call in (
        head_distances,
        lambda x: distances_from(x, 0),
        lambda x: candidate_distances(x, []),
    ):
        with pytest.raises(InputError):
            call(value)


@pytest.mark.parametrize(
    "options", [{"threads": "two"}, {"threads": 1.5}, {"budget_seconds": "long"}, {"out": [0.0]}]
)
def test_other_kinds_of_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        head_distances(gaussian(3, 4, 2), **options)


@pytest.mark.parametrize("heads", [-1, 4, [0, 4], 1.5, [[0]], None, "0", True])
def test_heads_that_are_not_there_are_refused(heads: Any) -> None:
    with pytest.raises(InputError):
        distances_from(gaussian(3, 4, 2), heads)


@pytest.mark.parametrize("pairs", [[[0, 1, 2]], [0, 1], None, "01", [(0.0, 1.0)]])
def test_misshapen_pairs_are_refused(pairs: Any) -> None:
    with pytest.raises(InputError):
        candidate_distances(gaussian(3, 4, 2), pairs)


def test_threads_below_one_are_refused() -> None:
    with pytest.raises(InputError, match="threads is 0"):
        head_distances(gaussian(3, 4, 2), threads=0)


def test_an_error_in_a_thread_reaches_the_caller() -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        head_distances(gaussian(3, 300, 2), threads=2, progress=stop, budget_seconds=math.inf)


def test_the_package_compiles_and_loads_nothing_heavy_on_import() -> None:
    code = (
        "import sys, attention_motifs.distances as d; d.metric_names(); "
        "print(sorted({'numba', 'scipy', 'torch', 'ot'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
