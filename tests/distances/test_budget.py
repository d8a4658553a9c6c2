from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from attention_motifs.distances import Metric, estimate_seconds, get_metric, head_distances
from attention_motifs.distances.budget import _work
from attention_motifs.errors import InputError
from distances.clouds import FAST, gaussian


class Clock:
    """Stands still unless a metric is at work, so that no test depends on the machine."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def metric(self, seconds_per_pair: float, seconds_per_head: float = 0.0) -> Metric:
        def prepare(embedded: np.ndarray) -> tuple[np.ndarray, ...]:
            self.now += seconds_per_head * embedded.shape[1]
            return (embedded,)

        def pairwise(prepared: object, left: np.ndarray, right: np.ndarray) -> np.ndarray:
            self.now += seconds_per_pair * left.size
            return np.ones(left.size)

        return dataclasses.replace(
            get_metric("mean"), name="slow", prepare=prepare, pairwise=pairwise, block=None
        )


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("attention_motifs.distances.budget.time", clock)
    return clock


def test_a_run_over_the_budget_is_refused_with_estimate_and_mend(clock: Clock) -> None:
    with pytest.raises(InputError) as caught:
        head_distances(gaussian(2, 1000, 2), clock.metric(0.006), threads=1)
    message = str(caught.value)
    assert "'slow'" in message
    assert "1000 heads" in message
    assert "50 minutes" in message
    assert "budget of 10 minutes" in message
    assert "candidate pairs" in message
    assert "\n" not in message


def test_the_named_budget_is_enough(clock: Clock) -> None:
    slow = clock.metric(0.006)
    with pytest.raises(InputError) as caught:
        head_distances(gaussian(2, 10, 2), slow, budget_seconds=0.05, threads=1)
    needed = float(str(caught.value).split("above ")[1].split()[0])
    assert needed == 1
    assert head_distances(gaussian(2, 10, 2), slow, budget_seconds=needed).shape == (10, 10)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_estimate_is_that_of_all_pairs(clock: Clock, threads: int) -> None:
    slow = clock.metric(2e-6, seconds_per_head=1e-3)
    seconds = estimate_seconds(slow, 2, 1000, 2, threads=threads)
    assert seconds == pytest.approx(1.0 + 499_500 * 2e-6 / threads)


def test_no_more_threads_are_counted_on_than_there_are_tiles(clock: Clock) -> None:
    assert estimate_seconds(clock.metric(1.0), 2, 5, 2, threads=8) == pytest.approx(10.0)


def test_a_metric_that_holds_the_interpreter_is_counted_on_one_thread(clock: Clock) -> None:
    slow = dataclasses.replace(clock.metric(1.0), threaded=False)
    assert estimate_seconds(slow, 2, 100, 2, threads=4) == pytest.approx(4950)


def test_no_limit_measures_nothing() -> None:
    calls = 0

    def prepare(embedded: np.ndarray) -> tuple[np.ndarray, ...]:
        nonlocal calls
        calls += 1
        return (embedded,)

    counted = dataclasses.replace(get_metric("mean"), prepare=prepare)
    head_distances(gaussian(2, 5, 2), counted, budget_seconds=np.inf)
    assert calls == 1


@pytest.mark.parametrize("metric", FAST)
def test_every_metric_can_be_estimated(metric: str) -> None:
    assert estimate_seconds(metric, 4, 100, 3) > 0


def test_work_in_tiles_counts_whole_tiles() -> None:
    mean = get_metric("mean")
    # 129 heads: 128 rows against two tiles, and one row against the second.
    assert [_work(mean, n) for n in (1, 128, 129)] == [128, 128 * 128, 2 * 128 * 128 + 128]
    assert _work(get_metric("wasserstein"), 129) == 129 * 128 // 2


def test_one_head_costs_nothing() -> None:
    assert estimate_seconds("wasserstein", 10, 1) == 0


@pytest.mark.parametrize("budget", [0.0, -1.0, float("nan")])
def test_a_budget_that_is_no_time_is_refused(budget: float) -> None:
    with pytest.raises(InputError):
        head_distances(gaussian(2, 5, 2), budget_seconds=budget)


def test_sizes_and_sample_are_checked() -> None:
    with pytest.raises(InputError):
        estimate_seconds("mean", 0, 5)
    with pytest.raises(InputError):
        estimate_seconds("mean", 7, 5, 2, sample=gaussian(6, 5, 2))
