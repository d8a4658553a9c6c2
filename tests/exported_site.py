"""Reading a site's data in Python as the pages read it, for tests."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from attention_motifs.atlas import Atlas


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


def head_files(manifest: dict[str, Any], files: dict[str, Any]) -> Iterator[tuple[str, range]]:
    """The names without ending of files of heads, with the rows in each."""
    for code, (model, each) in enumerate(zip(manifest["models"], files["per_file"], strict=True)):
        first = model["first_row"]
        rows = range(first, first + len(model["layers"]) * model["n_heads"])
        for k in range(-(-len(rows) // each)):
            yield f"{files['folder']}/{code}/{k}", rows[k * each : (k + 1) * each]


def table_of_features(atlas: Atlas, name: str) -> np.ndarray:
    """A feature as (prompts, heads), read in the plain way."""
    of_models = []
    for model in atlas.models:
        rows = pl.concat(list(atlas.feature_parts(model, [name])))
        of_models.append(rows[name].to_numpy().reshape(len(atlas.prompts), -1))
    return np.concatenate(of_models, axis=1)


def stored_patterns(
    site: Path, manifest: dict[str, Any], code: int
) -> dict[tuple[int, int], np.ndarray]:
    """The packed patterns of a model, by head, counted from the model's first, and prompt."""
    prompts = read_json(site, manifest["prompts"])
    files = manifest["models"][code]["patterns"]
    patterns = {}
    for path in sorted((site / "data" / files["folder"]).iterdir()):
        k, group = map(int, path.stem.split("-"))
        data = np.frombuffer(unpacked(path), np.uint8)
        at, start = 0, group * files["n_prompts"]
        for prompt in files["prompts"][start : start + files["n_prompts"]]:
            n = prompts[prompt]["n_tokens"][code]
            for head in range(k * files["n_heads"], (k + 1) * files["n_heads"]):
                patterns[head, prompt] = data[at : at + n * (n + 1) // 2]
                at += n * (n + 1) // 2
        assert at == len(data)
    return patterns
