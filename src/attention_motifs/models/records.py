"""Records in folders of converted models: their source, and the digests of their files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attention_motifs.models.digests import current_sha256

_SELF = "record_sha256"
_KEYS = {
    "name", "kind", "location", "sha256", "licence", "revision", "conversion", "files", _SELF,
}  # fmt: skip


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write a record with the digests of the other files of its folder, and with its own.

    Args:
        path: of the record, in a folder that no other process reads yet or that is locked.
        record: values for JSON under some of the known keys.
    """
    files = {
        p.name: current_sha256(p)
        for p in sorted(path.parent.iterdir())
        if p.is_file() and p.name != path.name
    }
    value = {**record, "files": files}
    value[_SELF] = _digest(value)
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_record(path: Path) -> dict[str, Any]:
    """Return a record; an empty one if the file is missing, damaged or of another form.

    Records of earlier versions hold no digest of themselves.
    """
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(record, dict) or record.keys() - _KEYS:
        return {}
    if _SELF in record and record[_SELF] != _digest(record):
        return {}
    return record


def changed_file(
    path: Path, record: Mapping[str, Any], sha256: Callable[[Path], str] = current_sha256
) -> str | None:
    """Return the first file of a folder that is missing, not readable or not as it was written.

    Args:
        path: of the record.
        record: as `read_record` returns it.
        sha256: computes the digest of a file.
    """
    digests = record.get("files")
    for name, digest in digests.items() if isinstance(digests, dict) else ():
        try:
            is_unchanged = sha256(path.parent / name) == digest
        except OSError:
            is_unchanged = False
        if not is_unchanged:
            return str(name)
    return None


def _digest(record: Mapping[str, Any]) -> str:
    value = {key: item for key, item in record.items() if key != _SELF}
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
