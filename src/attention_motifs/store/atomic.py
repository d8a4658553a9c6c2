"""Writes that leave a complete file or folder, or none.

A write goes to a temporary name in the same folder, is flushed to the disk, and is then renamed.
Every file gets the mode that the umask gives new files.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from attention_motifs.errors import ResourceError

TEMPORARY_PREFIX = ".unfinished-"

_FULL = (errno.ENOSPC, errno.EDQUOT)
# Polars and safetensors report a full disk in Rust's words, and numpy in its own.
_FULL_IN_WORDS = re.compile(
    rf"\(os error ({errno.ENOSPC}|{errno.EDQUOT})\)|^\d+ requested and \d+ written$"
    "|Invalid thrift: transport error$"  # at the end of a Parquet file
)
_REFUSED = (
    errno.EACCES,
    errno.EROFS,
    errno.EPERM,
    errno.EIO,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENAMETOOLONG,
)


class StoredFile(Protocol):
    """A file that may have to be fetched before it is read, and that knows how it is made."""

    @property
    def path(self) -> Path:
        """Path on this machine, where the file may not be yet."""
        ...

    @property
    def fix(self) -> str:
        """Words that say how to make the file."""
        ...

    @property
    def fix_damaged(self) -> str:
        """Words that say how to replace the file if it is damaged."""
        ...

    def fetch(self) -> Path:
        """Return the path on this machine, with the file fetched or compared with its digest."""
        ...

    def read_ranges(self, ranges: Sequence[tuple[int, int]]) -> list[bytes] | None:
        """Read parts (start, length) without fetching; None if the file must be fetched."""
        ...

    def remove(self) -> None:
        """Delete the file, wherever it is."""
        ...

    def record(self, unfinished: Path) -> None:
        """Record the digest of a complete file that is about to take this one's place."""
        ...


Location = Path | StoredFile


def local_path(location: Location) -> Path:
    """Return the path on this machine, to write to; nothing is fetched."""
    return location if isinstance(location, Path) else location.path


def is_full_disk(error: Exception) -> bool:
    """Whether an error says that the disk, or a quota on it, is full."""
    code = error.errno if isinstance(error, OSError) else None
    return code in _FULL or bool(_FULL_IN_WORDS.search(str(error)))


@contextlib.contextmanager
def writable_folder(target: Path) -> Iterator[None]:
    """Turn the system's refusals to write at `target` into errors that say what to do.

    Raises:
        ResourceError: if the disk is full or the folder cannot be written.
    """
    try:
        yield
    except Exception as error:
        if is_full_disk(error):
            raise ResourceError(
                f"{target}: no space left on the disk; free some and run the same command again, "
                "complete files are kept"
            ) from error
        code = error.errno if isinstance(error, OSError) else None
        if code in _REFUSED:
            raise ResourceError(
                f"{target}: cannot be written ({os.strerror(code)}); choose another folder"
            ) from error
        raise


def _temporary(target: Path) -> Path:
    """Return a new name in the folder of `target`, which is made if it does not exist."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError as error:  # in places that take no folders, such as /proc
        raise ResourceError(
            f"{target}: cannot be written (no folder can be made there); choose another folder"
        ) from error
    return target.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(4)}-{target.name}")


@contextlib.contextmanager
def atomic(location: Location) -> Iterator[Path]:
    """Give a temporary path to write to; rename it to `location` when the block ends well.

    Raises:
        ResourceError: if the disk is full, the folder cannot be written, or `location` is a
            device.
    """
    target = local_path(location)
    with writable_folder(target):
        if target.exists() and not target.is_file() and not target.is_dir():
            raise ResourceError(
                f"{target}: is a device or a pipe, and would be replaced by a file; choose another "
                "path"
            )
        temporary = _temporary(target)
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        mode = temporary.stat().st_mode & 0o777  # of the umask, or of the folder's ACL
        try:
            yield temporary
            temporary.chmod(mode)  # safetensors makes the file anew, readable by its owner alone
            _flush(temporary)
            if not isinstance(location, Path):
                location.record(temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Force the file to the disk before it is renamed, so that a crash cannot empty it."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def remove_unfinished(folder: Path) -> None:
    """Delete the temporary files of killed writers; the caller holds the folder's lock."""
    for path in list(folder.rglob(TEMPORARY_PREFIX + "*")):
        remove(path)


def remove(location: Location) -> None:
    """Delete a file, or a folder with its contents; do nothing if it does not exist."""
    if not isinstance(location, Path):
        location.remove()
    elif location.is_dir() and not location.is_symlink():
        shutil.rmtree(location)
    else:
        location.unlink(missing_ok=True)


@contextlib.contextmanager
def replaced_folder(target: Path) -> Iterator[Path]:
    """Give a temporary folder to fill; it replaces `target` when the block ends well.

    A process that is killed between the two renames leaves no folder, never half of one.

    Raises:
        ResourceError: if the disk is full or the folder cannot be written.
    """
    with writable_folder(target):
        temporary = _temporary(target)
        temporary.mkdir()
        mode = temporary.stat().st_mode & 0o666
        old = temporary.with_name(temporary.name + "-old")
        try:
            yield temporary
            for path in temporary.rglob("*"):
                if path.is_file() and not path.is_symlink():
                    path.chmod(mode)
                    _flush(path)
            if target.exists():
                target.rename(old)
            temporary.rename(target)
        finally:
            remove(temporary)
            remove(old)
