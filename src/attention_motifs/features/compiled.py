"""Compiler settings of the numba kernels, and their cache on disk."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core.caching import FunctionCache

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile a function on its first call, and keep the machine code on disk.

    It releases the interpreter lock, so that several threads can work on a batch. Division by
    zero gives infinity or NaN, as in numpy, without a test before every division.
    """
    # Without `fastmath` numba takes that of the first caller that compiles the function.
    return cached_jit(function, error_model="numpy", fastmath=False)


def reordered(function: _Function) -> _Function:
    """Compile like `compiled`, for sums of finite numbers that may be added in any order."""
    return cached_jit(
        function, error_model="numpy", fastmath={"reassoc", "contract", "nsz", "nnan"}
    )


def reordered_any(function: _Function) -> _Function:
    """Compile like `reordered`, for numbers that may be NaN or infinite."""
    return cached_jit(function, error_model="numpy", fastmath={"reassoc"})


def cached_jit(function: _Function, **options: Any) -> _Function:
    """Apply `numba.njit(nogil=True, **options)`, with a cache on disk where one can be written.

    Without a folder for the cache (a read-only install and home), every process compiles anew.
    """
    drop_stale_code(Path(inspect.getfile(function)).parent)
    jit = numba.njit(nogil=True, **options)(function)
    with contextlib.suppress(RuntimeError, OSError):  # no folder can be written
        jit._cache = _OptionalCache(function)
    return cast(_Function, jit)


class _OptionalCache(FunctionCache):  # type: ignore[misc]
    """numba's cache on disk, without its errors: a full disk or a damaged file is no condition."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled code for a signature, or None."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # noqa: BLE001 (numba raises many kinds for a damaged file)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the compiled code for a signature, if the disk permits."""
        with contextlib.suppress(Exception):
            super().save_overload(sig, data)


@lru_cache
def drop_stale_code(folder: Path) -> None:
    """Delete the code compiled in a folder before the latest change of a source in it.

    Compiled code includes the functions it calls, but numba compiles a function anew only if its
    own file has changed: after a change of another file the old code would run on.
    """
    with contextlib.suppress(OSError):  # of others, or of another process that does the same
        changed = max(source.stat().st_mtime for source in folder.glob("*.py"))
        for index in (folder / "__pycache__").glob("*.nbi"):
            if index.stat().st_mtime < changed:
                index.unlink()
