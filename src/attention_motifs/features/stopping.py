"""Stopping of work in another thread, also in the middle of a layer or a kernel."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

_thread = threading.local()


class Stopped(Exception):  # noqa: N818 - not an error: nobody needs the result any more
    """Ends work whose event to stop was set."""


@contextlib.contextmanager
def stopped_by(event: threading.Event) -> Iterator[None]:
    """Make `raise_if_stopped` watch an event in this thread, for the time of the block."""
    before = getattr(_thread, "event", None)
    _thread.event = event
    try:
        yield
    finally:
        _thread.event = before


def raise_if_stopped() -> None:
    """Leave the work of this thread if its event is set.

    Raises:
        Stopped: if it is.
    """
    event: threading.Event | None = getattr(_thread, "event", None)
    if event is not None and event.is_set():
        raise Stopped
