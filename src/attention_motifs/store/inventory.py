"""The inventory of an atlas: names, sizes and digests of its files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from attention_motifs.errors import AtlasError
from attention_motifs.store.paths import ATLAS_FILES
from attention_motifs.store.recorded_digests import FileEntry as FileEntry
from attention_motifs.store.recorded_digests import entry_of as entry_of

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,200}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")


def belongs(name: str) -> bool:
    """Whether `name`, with `/` between its parts, can be the name of a file of an atlas."""
    parts = name.split("/")
    return all(_PART.fullmatch(part) for part in parts) and any(
        matches(name, pattern) for pattern in ATLAS_FILES
    )


def matches(name: str, pattern: str) -> bool:
    """Whether a name fits a pattern part by part: a star does not reach over a slash."""
    parts, expected = name.split("/"), pattern.split("/")
    return len(parts) == len(expected) and all(map(fnmatchcase, parts, expected))


def atlas_files(folder: Path) -> dict[str, Path]:
    """Return the files of the atlas in a folder, and no other files, by name.

    Raises:
        AtlasError: if a file or its folder is a link: it could be any file of the machine.
    """
    files_by_name = {}
    for pattern in ATLAS_FILES:
        for path in folder.glob(pattern):
            name = path.relative_to(folder).as_posix()
            if not belongs(name):
                continue
            inside = (path, *path.parents[: name.count("/")])
            if link := next((p for p in inside if p.is_symlink()), None):
                raise AtlasError(
                    f"{link}: is a link, which is not copied or published; replace it by the file"
                )
            if path.is_file():
                files_by_name[name] = path
    return dict(sorted(files_by_name.items()))


def entry_of_bytes(data: bytes) -> FileEntry:
    """Return size and digest of the bytes of a file."""
    return FileEntry(len(data), hashlib.sha256(data).hexdigest())


def difference(path: Path, entry: FileEntry) -> str | None:
    """Return how a file differs from its entry; None if it does not."""
    size = path.stat().st_size
    if size != entry.size:
        return f"{size} bytes came, not {entry.size}"
    return None if entry_of(path) == entry else "its SHA-256 differs"


def entries_to_json(entries: Mapping[str, FileEntry]) -> dict[str, dict[str, Any]]:
    """Return a JSON object, sorted by name."""
    return {name: asdict(entries[name]) for name in sorted(entries)}


def entries_from_json(value: Any, where: str) -> dict[str, FileEntry]:
    """Read what `entries_to_json` wrote; it came over a network and may hold anything.

    Raises:
        AtlasError: if it is of another form, or names what cannot be a file of an atlas.
    """
    entries = {}
    for name, fields in value.items() if isinstance(value, dict) else [("files", value)]:
        entry = _entry_from_json(fields)
        if entry is None or not belongs(name):
            raise AtlasError(
                f"{where}: {name[:100]!r} is not an entry of a file of an atlas; nothing was "
                "fetched; publish or copy the atlas again"
            )
        entries[name] = entry
    return entries


def _entry_from_json(fields: Any) -> FileEntry | None:
    if not isinstance(fields, dict):
        return None
    size, sha256 = fields.get("size"), str(fields.get("sha256"))
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        return None
    return FileEntry(size, sha256) if _SHA256.fullmatch(sha256) else None
