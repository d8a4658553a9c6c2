"""`compiled` and `reordered`: numba's compiler as the feature kernels use it."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile a function when first called, and keep the result on disk.

    It runs without the interpreter lock, so that threads can share a batch, and divides like
    numpy: a division by zero gives infinity or NaN instead of a check before every one.
    """
    drop_stale_code(Path(inspect.getfile(function)).parent)
    return cast(_Function, numba.njit(nogil=True, cache=True, error_model="numpy")(function))


def reordered(function: _Function) -> _Function:
    """As `compiled`, for sums of finite numbers that may be added in any order, vectors at once."""
    drop_stale_code(Path(inspect.getfile(function)).parent)
    flags = {"reassoc", "contract", "nsz", "nnan"}
    jit = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath=flags)
    return cast(_Function, jit(function))


@lru_cache
def drop_stale_code(folder: Path) -> None:
    """Forget what was compiled in a folder before the latest change of a source in it.

    Compiled code holds that of the functions it calls, but numba compiles a function anew only if
    its own file has changed: after a change of another file the old code would run on.
    """
    with contextlib.suppress(OSError):  # of others, or of another process that does the same
        changed = max(source.stat().st_mtime for source in folder.glob("*.py"))
        for index in (folder / "__pycache__").glob("*.nbi"):
            if index.stat().st_mtime < changed:
                index.unlink()
