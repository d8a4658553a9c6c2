"""Threads that Ctrl-C can leave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable

import numpy as np
import pytest
import torch

from attention_motifs.errors import InputError
from attention_motifs.features import compute, compute_features
from attention_motifs.features.stopping import Stopped, stopped_by
from attention_motifs.features.threads import run_in_threads, using_cores


@pytest.mark.parametrize("n_threads", [1, 3])
def test_every_item_is_run_once(n_threads: int) -> None:
    seen: list[int] = []
    run_in_threads(seen.append, range(50), n_threads)
    assert sorted(seen) == list(range(50))


def test_the_error_of_the_earliest_item_is_raised() -> None:
    both = threading.Barrier(2)

    def fail(item: int) -> None:
        both.wait(timeout=60)
        if item == 0:
            time.sleep(0.05)
        raise KeyError(item)

    with pytest.raises(KeyError, match="0"):
        run_in_threads(fail, range(2), 2)


def test_nothing_new_is_started_after_an_error() -> None:
    seen: list[int] = []

    def run(item: int) -> None:
        seen.append(item)
        if item == 3:
            raise KeyError(item)

    with pytest.raises(KeyError):
        run_in_threads(run, range(50), 1)
    assert seen == [0, 1, 2, 3]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_long_patterns_give_the_same_rows_in_the_calling_thread(
    dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    patterns = np.tril(rng.random((2, 20, 20))).astype(dtype)
    patterns /= patterns.sum(axis=2, keepdims=True)
    expected = compute_features(patterns, "extended", threads=1)
    monkeypatch.setattr(compute, "LONG_ELEMENTS", 1)
    for given in (patterns, torch.from_numpy(patterns)):
        rows = compute_features(given, "extended", threads=1)
        np.testing.assert_array_equal(np.asarray(rows), expected)
    with pytest.raises(InputError, match="pattern 1"):
        compute_features(np.stack([patterns[0], -patterns[1]]), "extended", threads=1)


def test_a_caller_that_is_stopped_leaves_a_running_call() -> None:
    stop, end = threading.Event(), threading.Event()

    def run(_item: int) -> None:
        stop.set()
        end.wait(timeout=60)  # as compiled code, which nothing can stop

    with stopped_by(stop), pytest.raises(Stopped):
        run_in_threads(run, range(3), 1)
    assert not end.is_set()
    end.set()


LONG_RUN = """
import sys, numpy as np, attention_motifs as am
pattern = np.tril(np.ones((1, 8192, 8192), sys.argv[1]))
pattern /= pattern.sum(axis=2, keepdims=True)
am.compute_features(pattern[:, :64, :64], sys.argv[2], threads=1)  # compiles
print("begun", flush=True)
try:
    am.compute_features(np.repeat(pattern, 8, axis=0), sys.argv[2], threads=1)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs SIGINT")
@pytest.mark.parametrize(("dtype", "features"), [("f4", "paper"), ("f8", "paper")])
def test_an_interrupt_ends_the_features_of_8192_tokens(dtype: str, features: str) -> None:
    """The eight patterns take minutes."""
    run = subprocess.Popen(
        [sys.executable, "-c", LONG_RUN, dtype, features], stdout=subprocess.PIPE, text=True
    )
    assert run.stdout is not None
    assert run.stdout.readline() == "begun\n"
    time.sleep(2)  # within a kernel
    run.send_signal(signal.SIGINT)
    output, _ = run.communicate(timeout=20)
    assert output == "interrupted\n"
    assert run.returncode == 0


def test_features_leave_the_cores_to_passes_that_run(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[int] = []

    def run(compute_chunk: Callable[[int], None], starts: Iterable[int], n_threads: int) -> None:
        used.append(n_threads)
        for start in starts:
            compute_chunk(start)

    monkeypatch.setattr(compute, "available_cores", lambda: 4)
    monkeypatch.setattr(compute, "run_in_threads", run)
    patterns = np.tile(np.eye(128, dtype=np.float32), (16, 1, 1))
    with using_cores(2):
        compute_features(patterns, "paper")
        compute_features(patterns, "paper", threads=3)
        with using_cores(7):
            compute_features(patterns, "paper")  # one thread: the caller's own
    compute_features(patterns, "paper")
    assert used == [2, 3, 4]
