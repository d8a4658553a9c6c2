"""`compiled` and `reordered`: numba's compiler as the feature kernels use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(function: _Function) -> _Function:
    """Compile a function when first called, and keep the result on disk.

    It runs without the interpreter lock, so that threads can share a batch, and divides like
    numpy: a division by zero gives infinity or NaN instead of a check before every one.
    """
    return cast(_Function, numba.njit(nogil=True, cache=True, error_model="numpy")(function))


def reordered(function: _Function) -> _Function:
    """As `compiled`, for sums of finite numbers that may be added in any order, vectors at once."""
    flags = {"reassoc", "contract", "nsz", "nnan"}
    jit = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath=flags)
    return cast(_Function, jit(function))
