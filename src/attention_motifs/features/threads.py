"""Threads for compiled code, which nothing can interrupt: the caller waits, and can leave."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from attention_motifs.features.stopping import raise_if_stopped

Item = TypeVar("Item")

_PATIENCE = 0.1
"""Seconds between two looks at the event to stop."""


_cores_in_use = 0
_counting = threading.Lock()


@contextlib.contextmanager
def using_cores(n: int) -> Iterator[None]:
    """Count cores that work in the background, for the time of the block; see `cores_in_use`."""
    global _cores_in_use
    with _counting:
        _cores_in_use += n
    try:
        yield
    finally:
        with _counting:
            _cores_in_use -= n


def cores_in_use() -> int:
    """Return the number of cores that passes of models use at this moment, in the background.

    More threads than free cores make a caller wait for the slowest of them, again and again.
    """
    return _cores_in_use


_passes = 0


@contextlib.contextmanager
def running_pass() -> Iterator[None]:
    """Count a pass of a model, for the time of the block; see `cores_of_pass`."""
    global _passes
    with _counting:
        _passes += 1
    try:
        yield
    finally:
        with _counting:
            _passes -= 1


def cores_of_pass(cores: int) -> int:
    """Return the share of the cores that belongs to a pass that runs now, rounded up.

    The number of running passes changes: the last of several takes the cores of those that ended.
    """
    return max(1, -(-cores // max(1, _passes)))


def run_in_threads(run: Callable[[Item], object], items: Iterable[Item], n_threads: int) -> None:
    """Call a function for every item, in some threads.

    The caller leaves on Ctrl-C, or when its event to stop is set (see `stopping`). Calls in
    progress then end in the background, and their results are lost. They do not delay the end of
    the process.

    Args:
        run: called with one item at a time.
        items: taken in their order.
        n_threads: number of threads.

    Raises:
        Stopped: if the event to stop of this thread was set.
        BaseException: what `run` raised for the earliest item; later items may be left out.
    """
    numbered = enumerate(items)
    failures: dict[int, BaseException] = {}
    stopped = threading.Event()
    lock = threading.Lock()

    def work() -> None:
        while not stopped.is_set():
            with lock:
                following = next(numbered, None)
            if following is None:
                return
            number, item = following
            try:
                run(item)
            except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
                failures[number] = error
                stopped.set()

    threads = [
        threading.Thread(target=work, name=f"attention-motifs features {i}", daemon=True)
        for i in range(n_threads)
    ]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(_PATIENCE)
                raise_if_stopped()
    finally:
        stopped.set()
    if failures:
        raise failures[min(failures)]
