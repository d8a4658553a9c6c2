"""A guard for forked processes, in which polars would wait for ever for threads it has lost."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from pathlib import Path
from types import ModuleType

from attention_motifs.errors import ResourceError


class _Fork:
    """Whether this process was forked from one in which polars ran: its threads are then lost."""

    threads_before = False
    lost_threads = False

    @classmethod
    def before(cls) -> None:
        """Look for the workers of polars, which its first query starts, in the parent."""
        if "polars" in sys.modules:
            tasks = Path("/proc/self/task")
            with contextlib.suppress(OSError):
                names = [(task / "comm").read_text() for task in tasks.iterdir()]
                cls.threads_before = any(re.match(r"polars-\d", name) for name in names)
                return
            cls.threads_before = True  # not Linux: assume the worst

    @classmethod
    def in_child(cls) -> None:
        """Note that they do not run in the child."""
        cls.lost_threads = cls.lost_threads or cls.threads_before


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_Fork.before, after_in_child=_Fork.in_child)


def polars_for(location: object) -> ModuleType:
    """Import polars, unless a call of it would wait for ever.

    Raises:
        ResourceError: in a process forked from one in which polars ran.
    """
    if _Fork.lost_threads:
        raise ResourceError(
            f"{location}: cannot be read or written in a forked process, in which polars waits for "
            "ever; start processes with multiprocessing.get_context('spawn') (of a DataLoader: "
            "multiprocessing_context='spawn')"
        )
    import polars

    return polars
