"""Reading a site's data in Python as the pages read it, for tests."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np


def unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


def read_json(folder: Path, name: str) -> Any:
    return json.loads(unpacked(folder / "data" / name).decode("utf-8"))


def manifest_of(folder: Path) -> dict[str, Any]:
    return read_json(folder, "manifest.json")


def values(folder: Path, name: str, dtype: str) -> np.ndarray:
    return np.frombuffer(unpacked(folder / "data" / name), np.dtype(dtype).newbyteorder("<"))


def column(folder: Path, table: dict[str, Any], name: str) -> np.ndarray:
    result = next(c for c in table["columns"] if c["name"] == name)
    data = unpacked(folder / "data" / table["file"])
    dtype = np.dtype(result["dtype"]).newbyteorder("<")
    return np.frombuffer(data, dtype, result["length"], result["offset"])
