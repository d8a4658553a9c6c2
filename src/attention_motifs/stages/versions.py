"""Versions of a model in one atlas: checkpoints of its training."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attention_motifs.atlas import Atlas
from attention_motifs.errors import InputError
from attention_motifs.models.sources import resolve
from attention_motifs.progress import Report, silent
from attention_motifs.stages.run import add, build, is_atlas
from attention_motifs.store.settings import Configuration


def checkpoints(run: str) -> list[str]:
    """Return the versions of a run as models, `NAME=PATH`, in the order of their steps.

    Args:
        run: folder of checkpoints whose names end with a step, such as `step-100` or
            `checkpoint-100`; or one model, such as `org/name@step1000`.

    Raises:
        InputError: if it is neither, or a folder holds no checkpoint.
    """
    folder = Path(run).expanduser()
    if not folder.is_dir() or (folder / "config.json").is_file():
        return [run]
    found = []
    for child in folder.iterdir():
        step = re.search(r"(\d+)$", child.name)
        if step is not None and (child / "config.json").is_file():
            found.append((int(step[1]), child))
    if not found:
        raise InputError(
            f"{run}: holds no checkpoint. A checkpoint is a folder whose name ends with its step, "
            "such as step-100, with config.json and model.safetensors in it"
        )
    name = folder.resolve().name
    return [f"{name}-{child.name}={child}" for _, child in sorted(found)]


def build_versions(
    path: str | Path,
    models: Sequence[str],
    settings: Mapping[str, Any],
    *,
    device: str = "auto",
    report: Report = silent,
) -> Atlas:
    """Build an atlas of versions, or add to an atlas those that it lacks.

    The embedding of a new atlas is fitted on all versions. Later ones are placed in it.

    Args:
        path: folder of the atlas, or its URL.
        models: the versions, see `checkpoints`.
        settings: settings of a new atlas by name; an existing one must have these.
        device: `auto`, `cpu`, `cuda`...
        report: shows progress.

    Raises:
        InputError: if the atlas has other settings, or holds another model of one of the names.
        ModelError, ResourceError: if a model is not available, does not load or fails its check.
    """
    if not is_atlas(path):
        return build(
            path, Configuration(models=tuple(models), **settings), device=device, report=report
        )
    configuration = Atlas.open(path).manifest.configuration
    for name, value in settings.items():
        kept = getattr(configuration, name)
        if kept != value:
            raise InputError(
                f"{path}: has {name} {kept}, not {value}, which cannot change. Leave the option "
                "out, or name another folder with --atlas"
            )
    atlas = build(path, device=device, report=report)
    for model in models:
        if resolve(model).name not in atlas.models:
            atlas = add(path, model, device=device, report=report)
    return atlas
