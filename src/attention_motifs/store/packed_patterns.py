"""Attention patterns as bytes: the lower triangle, in steps of the square root."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float


def pack_triangles(
    patterns: Float[np.ndarray, "*batch n n"],
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Lower triangles, row by row, as bytes of 255 times the square root of the entry.

    The root keeps small weights visible: linear steps turn most entries to zero.
    """
    rows, columns = _indices(patterns.shape[-1])
    entries = np.clip(patterns[..., rows, columns], 0.0, 1.0)
    return np.asarray(np.rint(255.0 * np.sqrt(entries)).astype(np.uint8))


@lru_cache(maxsize=1)
def _indices(n: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    rows, columns = np.tril_indices(n)
    return rows.astype(np.int32), columns.astype(np.int32)


def unpack_triangle(
    packed: np.ndarray[Any, np.dtype[np.uint8]],
) -> Float[np.ndarray, "*batch n n"]:
    """Undo `pack_triangles`, up to its steps."""
    n = (int(np.sqrt(8 * packed.shape[-1] + 1)) - 1) // 2
    pattern = np.zeros((*packed.shape[:-1], n, n), dtype=np.float32)
    rows, columns = np.tril_indices(n)
    pattern[..., rows, columns] = (packed.astype(np.float32) / 255.0) ** 2
    return pattern
