"""Where fetched and converted models are kept."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from attention_motifs.errors import ResourceError
from attention_motifs.store import files
from attention_motifs.store.cache_folder import cache_folder as cache_folder


@contextlib.contextmanager
def locked(target: Path) -> Iterator[None]:
    """Hold the lock of one folder of the cache, and clear away what killed runs left of it.

    Raises:
        ResourceError: if the cache cannot be written, or its disk becomes full in the block.
    """
    from filelock import FileLock

    with files.writable_folder(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.parent / f".{target.name}.lock"):
            for left in target.parent.glob(f"{files.TEMPORARY_PREFIX}{target.name}-*"):
                shutil.rmtree(left, ignore_errors=True)
            yield


def require_disk(folder: Path, n_bytes: int, what: str) -> None:
    """Check that `n_bytes` fit where `folder` is or will be.

    Raises:
        ResourceError: if they do not; the message says how much is needed and how much is free.
    """
    there = next(p for p in (folder, *folder.resolve().parents) if p.exists())
    free = shutil.disk_usage(there).free
    if free < n_bytes:
        raise ResourceError(
            f"{folder}: {what} needs {n_bytes / 1e9:.1f} GB of disk and {free / 1e9:.1f} GB are "
            "free; free some, or set ATTENTION_MOTIFS_CACHE to a folder elsewhere"
        )
