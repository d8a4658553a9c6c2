"""Calls over a network, repeated where a failure may pass."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PAUSES = (1.0, 4.0)
"""Seconds to wait before each new try."""


def persistently(call: Callable[[], T], passes: Callable[[Exception], bool]) -> T:
    """Return what `call` returns; try again after a pause while `passes` is true of its error."""
    for pause in PAUSES:
        try:
            return call()
        except Exception as error:
            if not passes(error):
                raise
            time.sleep(pause)
    return call()
