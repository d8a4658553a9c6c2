"""Digests of the files of an atlas: recorded before each write, compared when a file is read.

A writer appends a line to the record before it puts a file in place, so that a reader finds the
digest of the file before and of the file after, whenever the writer stops. At the end of a run the
record is written anew: a line with the number and the digest of the lines below it, then one line
per file, sorted. A record that was cut off or changed later does not agree with its first line.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from attention_motifs.store.artefacts import ARTEFACTS
from attention_motifs.store.atomic import atomic

RECORD = ARTEFACTS["digests"].pattern
"""Name of the record within an atlas."""

LARGEST_READ = 64 << 20
"""Size in bytes up to which a file is compared when it is read. `motifs check` compares all."""

_TRIES = 5
_PAUSE = 0.02
"""Number of comparisons, and seconds between them, before a file counts as damaged: a run may
replace the file and the record meanwhile."""

_SHA256 = re.compile(r"[0-9a-f]{64}")

_FIRST_LINE = re.compile(rb'\{"lines": ([0-9]{1,12}), "sha256": "[0-9a-f]{64}"\}\n')
"""Records of earlier versions have no such line."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """Size in bytes and SHA-256, as hex, of one file."""

    size: int
    sha256: str


def entry_of(path: Path) -> FileEntry:
    """Return size and digest of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return FileEntry(file.tell(), digest.hexdigest())


@dataclass
class _Record:
    """The lines of a record, as they were when it was read last."""

    stamp: tuple[int, int, int] | None = None
    entries: dict[str, list[FileEntry]] = field(default_factory=dict)
    n_unreadable: int = 0
    """Lines that are no entry: cut off by a full disk, or damaged."""
    is_incomplete: bool = False
    """Whether lines that its first line counts are missing or changed."""


_records: dict[Path, _Record] = {}
_verified: dict[Path, tuple[int, int, int]] = {}
"""Files that this process compared, with what changes when they are replaced."""


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(folder: Path) -> _Record:
    """Return the record of an atlas, read again if it changed."""
    path = folder / RECORD
    stamp, known = _stamp(path), _records.get(folder)
    if known is not None and known.stamp == stamp:
        return known
    record = _Record(stamp)
    try:
        lines = path.read_bytes().splitlines(keepends=True) if stamp else []
    except OSError:
        lines = []
    if lines and (first := _FIRST_LINE.fullmatch(lines[0])):
        counted = lines[1 : 1 + int(first[1])]
        record.is_incomplete = lines[0] != _first_line(counted)
        del lines[0]
    for line in filter(bytes.strip, lines):
        parsed = _parsed(line)
        if parsed is None:
            record.n_unreadable += 1
        elif parsed[1] not in record.entries.setdefault(parsed[0], []):
            record.entries[parsed[0]].append(parsed[1])
    _records[folder] = record
    return record


def _parsed(line: bytes) -> tuple[str, FileEntry] | None:
    try:
        value = json.loads(line)
        name, size, sha256 = value["file"], value["size"], value["sha256"]
    except (ValueError, LookupError, TypeError):
        return None
    if not (isinstance(name, str) and type(size) is int and _SHA256.fullmatch(str(sha256))):
        return None
    return name, FileEntry(size, sha256)


def _line(name: str, entry: FileEntry) -> str:
    value: dict[str, Any] = {"file": name, "sha256": entry.sha256, "size": entry.size}
    return json.dumps(value, ensure_ascii=False) + "\n"


def _first_line(lines: list[bytes]) -> bytes:
    digest = hashlib.sha256(b"".join(lines)).hexdigest()
    return b'{"lines": %d, "sha256": "%s"}\n' % (len(lines), digest.encode())


def record(folder: Path, name: str, path: Path) -> None:
    """Append the digest of a file that is about to get its name in an atlas.

    Args:
        folder: of the atlas.
        name: name within the atlas.
        path: the complete file under its temporary name.

    Raises:
        OSError: if the disk is full or the folder cannot be written.
    """
    data = _line(name, entry_of(path)).encode("utf-8")
    with (folder / RECORD).open("a+b", buffering=0) as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":  # a full disk cut off the last line
                data = b"\n" + data
        if file.write(data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / RECORD))
        os.fsync(file.fileno())
    if stamp := _stamp(path):  # which the renaming keeps
        _verified[folder / name] = stamp


def is_changed(folder: Path, name: str, path: Path, *, largest: int | None = LARGEST_READ) -> bool:
    """Return whether a file differs from every digest recorded for it.

    Args:
        folder: of the atlas.
        name: name within the atlas.
        path: the file.
        largest: size in bytes up to which it is compared; None for any size.

    Returns:
        False for a file without a recorded digest, or one that this process compared before.
    """
    for attempt in range(_TRIES):
        stamp = _stamp(path)
        if stamp is None or (largest is not None and stamp[1] > largest):
            return False
        if largest is not None and _verified.get(path) == stamp:
            return False
        known = _records.get(folder)
        if attempt or known is None or name not in known.entries:
            known = _read(folder)
        if name not in known.entries:
            return False
        try:
            entry = entry_of(path)
        except OSError:  # which the reader reports in its own words
            return False
        if entry in known.entries[name]:
            _verified[path] = stamp
            return False
        if attempt:
            time.sleep(_PAUSE)
    return True


def recorded(folder: Path) -> Mapping[str, list[FileEntry]]:
    """Return the digests recorded for each file, by name; several after a run that was stopped."""
    return _read(folder).entries


def is_damaged(folder: Path) -> bool:
    """Return whether the record of an atlas holds no digests, was cut off or was changed."""
    known = _read(folder)
    return not known.entries or known.n_unreadable > 0 or known.is_incomplete


def settle(folder: Path) -> None:
    """Write the record anew: sorted, one line per file that exists; the caller holds the lock.

    Where a run was stopped between the record and the file, the file decides. A record that misses
    entries stays as it is, so that `motifs check` still reports it.
    """
    if not (folder / RECORD).is_file() or _read(folder).is_incomplete:
        return
    _write(folder, dict(_settled(folder)))


def _settled(folder: Path) -> Iterator[tuple[str, FileEntry]]:
    for name, entries in recorded(folder).items():
        path = folder / name
        if not path.is_file():
            continue
        if len(entries) > 1:
            present = entry_of(path)
            yield name, present if present in entries else entries[-1]
        else:
            yield name, entries[0]


def _write(folder: Path, entries: Mapping[str, FileEntry]) -> None:
    lines = [_line(name, entries[name]).encode("utf-8") for name in sorted(entries)]
    data = b"".join([_first_line(lines), *lines])
    path = folder / RECORD
    if not path.is_file() or path.read_bytes() != data:
        with atomic(path) as temporary:
            temporary.write_bytes(data)


def write_all(folder: Path, paths: Mapping[str, Path]) -> None:
    """Record the digests of these files as they are now; the caller holds the lock.

    Args:
        folder: of the atlas.
        paths: its files by name.
    """
    _write(folder, {name: entry_of(path) for name, path in paths.items()})
