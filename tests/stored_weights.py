"""Tiny models whose weights are stored in another dtype than float32."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def copy_stored_as(source: Path, target: Path, dtype: torch.dtype, only: str = "") -> Path:
    """Copy a model's folder, with the weights whose names hold `only` stored in `dtype`.

    `config.json` goes on saying float32, so that only the weights themselves tell.
    """
    shutil.copytree(source, target)
    path = target / "model.safetensors"
    cast = {n: t.to(dtype) if only in n else t for n, t in load_file(path).items()}
    save_file(cast, path, metadata={"format": "pt"})
    return target
