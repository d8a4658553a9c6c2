"""The import of large libraries without Python's collector going over them again and again."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """Pause the search for garbage in reference cycles, for imports alone.

    The modules of torch and transformers are a million objects, all of which stay. The collector
    looks through those that are there a thousand times while more are made, which is an eighth of
    the time. Afterwards they count as old, so that it does not begin with all of them at once.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if gc.get_freeze_count() == 0:  # else the caller has set objects aside, which must stay so
            gc.freeze()
            gc.unfreeze()  # puts all into the oldest generation
        gc.enable()
