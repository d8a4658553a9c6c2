"""The folder of the cache for fetched and converted models: its locks and its room on the disk."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from attention_motifs.errors import ResourceError
from attention_motifs.store import files


@contextlib.contextmanager
def locked(target: Path) -> Iterator[None]:
    """Hold the lock of one folder of the cache, and remove what killed runs left of it.

    Raises:
        ResourceError: if the cache cannot be written, or its disk becomes full in the block.
    """
    from filelock import FileLock

    with files.writable_folder(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.parent / f".{target.name}.lock"):
            for path in target.parent.iterdir():
                if _is_unfinished(path.name, target.name):
                    shutil.rmtree(path, ignore_errors=True)
            yield


def _is_unfinished(name: str, target: str) -> bool:
    """Return whether a name is that of a temporary folder of `target`, and of no other folder."""
    prefix, folder = re.escape(files.TEMPORARY_PREFIX), re.escape(target)
    return bool(re.fullmatch(rf"{prefix}({folder}-.*|[a-z0-9_]{{8}}-{folder}(-old)?)", name))


def require_disk(folder: Path, n_bytes: int, what: str) -> None:
    """Check that `n_bytes` fit on the disk of `folder`, which need not exist.

    Raises:
        ResourceError: if they do not; the message gives the bytes needed and the bytes free.
    """
    existing = next(p for p in (folder, *folder.resolve().parents) if p.exists())
    free = shutil.disk_usage(existing).free
    if free < n_bytes:
        raise ResourceError(
            f"{folder}: {what} needs {n_bytes / 1e9:.1f} GB of disk and {free / 1e9:.1f} GB are "
            "free; free some, or set ATTENTION_MOTIFS_CACHE to a folder elsewhere"
        )
