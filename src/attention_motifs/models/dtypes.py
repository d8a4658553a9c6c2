"""Number types that a model runs in: those that can be asked for, and what `auto` stands for."""

from __future__ import annotations

from collections import Counter
from math import prod
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

AUTO = "auto"
"""Asks for the dtype that a model's weights are stored in."""

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

    The headers tell. What is no float of 16 bits or more does not count: masks, and weights that
    were quantised, which come with scales that do.

    Returns:
        The dtype, of equally many the wider; None if there is none, or no file can be read.
    """
    counts: Counter[torch.dtype] = Counter()
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 - it is no mapping
                    tensor = file.get_slice(name)
                    if tensor.get_dtype() in _STORED:
                        counts[_STORED[tensor.get_dtype()]] += prod(tensor.get_shape())
        except (SafetensorError, OSError):
            continue  # loading it says what is wrong
    return max(counts, key=lambda d: (counts[d], torch.finfo(d).bits), default=None)


def dtype_as_stored(folder: Path, device: torch.device) -> str:
    """Return what `auto` stands for: the dtype of the stored weights, on this device.

    On a CPU float16 is slow and overflows, so that float32 takes its place; and float32 is wide
    enough for weights that are stored in float64.
    """
    stored = stored_dtype(folder)
    if stored not in DTYPES.values() or (stored == torch.float16 and device.type == "cpu"):
        return "float32"
    return str(stored).removeprefix("torch.")
