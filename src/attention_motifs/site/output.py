"""Writing of the data files of a site: columns and JSON, the same bytes for the same data."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np

from attention_motifs.site.contract import Column, Dtype, Table

_PAYS = 0.95
"""A file is stored compressed if that is smaller than this share of its size."""

_LEVEL = 6
_HALVES = re.compile("[\ud800-\udfff]")


NamedColumn = tuple[str, Dtype, Any, list[str] | None]
"""Name, type, values, and the labels of a column of codes."""


@dataclass
class DataFolder:
    """The folder `data/` of a site while it is written, with the digests of its files."""

    path: Path
    digests: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each file's unpacked bytes, by its name."""

    def write(self, name: str, data: bytes, *, compress: bool = True) -> int:
        """Write a file, gzip-compressed if that is smaller; return its size in bytes."""
        self.digests[name] = hashlib.sha256(data).hexdigest()
        if compress:
            packed = gzip.compress(data, _LEVEL, mtime=0)
            if len(packed) < _PAYS * len(data):
                data = packed
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return len(data)

    def write_file(self, name: str, write: Callable[[Path], None]) -> int:
        """Let `write` write a file, which is not compressed; return its size in bytes."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
        data = path.read_bytes()
        self.digests[name] = hashlib.sha256(data).hexdigest()
        return len(data)

    def array(self, name: str, values: np.ndarray[Any, Any], dtype: Dtype) -> int:
        """Write one array row by row; return its size in bytes."""
        return self.write(name, _little_endian(values, dtype))

    def json(self, name: str, value: Any) -> int:
        """Write a value or dataclasses as JSON; return the size in bytes."""
        return self.write(name, json_bytes(value), compress=name.endswith(".bin"))

    def table(
        self, name: str, columns: Sequence[tuple[str, Dtype, Any, list[str] | None]]
    ) -> Table:
        """Write columns (name, dtype, values, labels of codes) into one file; describe them."""
        packed, described, offset = [], [], 0
        for column, dtype, values, labels in columns:
            data = _little_endian(np.asarray(values), dtype)
            described.append(Column(column, dtype, offset, len(values), labels))
            data += bytes(-len(data) % 4)
            packed.append(data)
            offset += len(data)
        n_rows = described[0].length if described else 0
        return Table(name, self.write(name, b"".join(packed)), n_rows, described)

    def version(self) -> str:
        """Return the digest of all files written so far."""
        lines = "\n".join(f"{name} {digest}" for name, digest in sorted(self.digests.items()))
        return hashlib.sha256(lines.encode()).hexdigest()[:16]


def _little_endian(values: np.ndarray[Any, Any], dtype: Dtype) -> bytes:
    if dtype not in get_args(Dtype):
        raise ValueError(f"dtype {dtype!r} is not in the contract")
    little = np.dtype(dtype).newbyteorder("<")
    return np.ascontiguousarray(values, dtype=little).tobytes()


def json_bytes(value: Any) -> bytes:
    """Return JSON without white space, in the order of the fields.

    Raises:
        ValueError: for NaN and infinite numbers.
    """
    text = json.dumps(
        value,
        default=_plain,
        ensure_ascii=False,
        allow_nan=False,
        separators=(",", ":"),
    )
    # Half of a surrogate pair cannot be UTF-8, but JSON can write it as an escape.
    return _HALVES.sub(lambda half: f"\\u{ord(half[0]):04x}", text).encode("utf-8")


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def finite(value: Any) -> float | None:
    """Return a number as float; None if it is missing or not finite."""
    if value is None or not np.isfinite(value):
        return None
    return float(value)


def codes(values: Sequence[Any], labels: Sequence[Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the index of each value in `labels`; -1, the largest unsigned code, for others."""
    place = {label: i for i, label in enumerate(labels)}
    return np.array([place.get(value, -1) for value in values], dtype=np.int64)
