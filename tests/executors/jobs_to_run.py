"""Functions that tests let workers call."""

from __future__ import annotations

import os
import time
from pathlib import Path

from attention_motifs.errors import InputError


def double(number: float) -> float:
    return 2 * number


def note(folder: str, name: str) -> str:
    """Leave a mark of every call, then do what the name says."""
    calls = Path(folder, name)
    calls.mkdir(exist_ok=True)
    (calls / f"{len(list(calls.iterdir()))}-{os.getpid()}").touch()
    if name == "dies":
        os._exit(1)
    if name == "dies once" and len(list(calls.iterdir())) == 1:
        os._exit(1)
    if name == "raises":
        raise ValueError("nothing works\nand this is the second line")
    if name == "mistaken":
        raise InputError("prompt 3: is empty")
    return name


def assigned(name: str) -> tuple[float, str, str]:
    """Amount of a resource that this worker holds, its threads, and its working folder."""
    import ray

    held = ray.get_runtime_context().get_assigned_resources()
    return held.get(name, 0.0), os.environ["OMP_NUM_THREADS"], str(Path.cwd())


def note_slowly(folder: str, name: str) -> str:
    """Leave a mark, and take half a second."""
    time.sleep(0.5)
    return note(folder, name)
