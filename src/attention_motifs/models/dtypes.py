"""Number types in which models run, and the choice of `auto`."""

from __future__ import annotations

from collections import Counter
from math import prod
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from attention_motifs.errors import ModelError
from attention_motifs.models.digests import weight_files

AUTO = "auto"
"""Stands for the dtype of a model's stored weights."""

DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}

_STORED = {
    "F64": torch.float64,
    "F32": torch.float32,
    "BF16": torch.bfloat16,
    "F16": torch.float16,
}


def stored_dtype(folder: Path) -> torch.dtype | None:
    """Return the dtype that most of the numbers in a folder's safetensors files are stored in.

    Only the headers are read. Floats of 16 bits or more count; masks and quantised weights do not,
    but the scales of quantised weights do.

    Returns:
        The dtype (the wider one if two are equally frequent); None if no file can be read.
    """
    counts: Counter[torch.dtype] = Counter()
    for path in _weight_files(folder):
        try:
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 - not a mapping
                    tensor = file.get_slice(name)
                    if tensor.get_dtype() in _STORED:
                        counts[_STORED[tensor.get_dtype()]] += prod(tensor.get_shape())
        except (SafetensorError, OSError):
            continue  # loading reports what is wrong
    return max(counts, key=lambda d: (counts[d], torch.finfo(d).bits), default=None)


def _weight_files(folder: Path) -> list[Path]:
    try:
        return weight_files(folder)
    except ModelError:
        return []  # loading reports what is wrong


def dtype_as_stored(folder: Path, device: torch.device) -> str:
    """Return the dtype that `auto` stands for on a device: that of the stored weights.

    On a CPU float32 replaces float16, which is slow there and overflows. Weights stored in float64
    run in float32 too.
    """
    stored = stored_dtype(folder)
    if stored not in DTYPES.values() or (stored == torch.float16 and device.type == "cpu"):
        return "float32"
    return str(stored).removeprefix("torch.")
