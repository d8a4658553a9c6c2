"""Writing the data files of a site: columns, JSON, compression that pays, equal bytes each time."""

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
"""A file is compressed when that makes it smaller than this share of its size."""

_LEVEL = 6
_HALVES = re.compile("[\ud800-\udfff]")


NamedColumn = tuple[str, Dtype, Any, list[str] | None]
"""Name, type, values, and the labels of a column of codes."""


@dataclass
class DataFolder:
    """The folder `data/` of a site while it is written; remembers what went into it."""

    path: Path
    digests: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each file's unpacked bytes, by its name."""

    def write(self, name: str, data: bytes, *, compress: bool = True) -> int:
        """Write a file, gzip-compressed where that pays; return the bytes it takes."""
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
        """Let `write` make a file that is never compressed; return the bytes it takes."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
        data = path.read_bytes()
        self.digests[name] = hashlib.sha256(data).hexdigest()
        return len(data)

    def array(self, name: str, values: np.ndarray[Any, Any], dtype: Dtype) -> int:
        """Write one array as it lies in memory, row by row; return the bytes it takes."""
        return self.write(name, _little_endian(values, dtype))

    def json(self, name: str, value: Any) -> int:
        """Write a value, or dataclasses, as JSON without white space; return the bytes."""
        return self.write(name, json_bytes(value), compress=name.endswith(".bin"))

    def table(
        self, name: str, columns: Sequence[tuple[str, Dtype, Any, list[str] | None]]
    ) -> Table:
        """Write columns (name, dtype, values, labels of codes) one after the other."""
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
        """Digest of all files written so far."""
        lines = "\n".join(f"{name} {digest}" for name, digest in sorted(self.digests.items()))
        return hashlib.sha256(lines.encode()).hexdigest()[:16]


def _little_endian(values: np.ndarray[Any, Any], dtype: Dtype) -> bytes:
    if dtype not in get_args(Dtype):
        raise ValueError(f"dtype {dtype!r} is not in the contract")
    wanted = np.dtype(dtype).newbyteorder("<")
    return np.ascontiguousarray(values, dtype=wanted).tobytes()


def json_bytes(value: Any) -> bytes:
    """Return JSON without white space, in the order of the fields; NaN is refused."""
    text = json.dumps(
        value,
        default=_plain,
        ensure_ascii=False,
        allow_nan=False,
        separators=(",", ":"),
    )
    # Half of a surrogate pair has no UTF-8, but JSON may write it as an escape.
    return _HALVES.sub(lambda half: f"\\u{ord(half[0]):04x}", text).encode("utf-8")


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} has no JSON here")


def finite(value: Any) -> float | None:
    """Return a number that JSON can hold, or None."""
    if value is None or not np.isfinite(value):
        return None
    return float(value)


def codes(values: Sequence[Any], labels: Sequence[Any]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Position of each value in `labels`; -1, the largest code of any unsigned type, for others."""
    place = {label: i for i, label in enumerate(labels)}
    return np.array([place.get(value, -1) for value in values], dtype=np.int64)
