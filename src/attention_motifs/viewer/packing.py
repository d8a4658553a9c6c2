"""Patterns as text inside a document: triangles of bytes, compressed and written as base64."""

from __future__ import annotations

import base64
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.store.packed_patterns import pack_triangles

if TYPE_CHECKING:
    from jaxtyping import Float32, UInt8

MOST_BYTES = 24 << 20
"""Unpacked bytes up to which every weight is stored."""
BLOCK_BYTES = 8 << 20
"""Unpacked bytes of a view whose patterns are stored in blocks."""
LEAST_SIDE = 32


def stored_side(n_tokens: int, n_heads: int) -> int:
    """Return the rows of the stored triangles: all tokens, or as many blocks as fit.

    Args:
        n_tokens: tokens of the prompt.
        n_heads: heads of all layers.
    """
    if n_heads * n_tokens * (n_tokens + 1) // 2 <= MOST_BYTES:
        return n_tokens
    return min(n_tokens, max(LEAST_SIDE, int(np.sqrt(2 * BLOCK_BYTES / n_heads))))


def packed_layer(patterns: Float32[np.ndarray, "heads n n"], side: int) -> str:
    """Return the patterns of a layer as text.

    Args:
        patterns: lower triangular; entries above the diagonal are ignored.
        side: rows of the stored triangles; with fewer than `n`, a byte is the largest weight of its
            block of tokens.
    """
    n = patterns.shape[-1]
    return as_text(pack_triangles(patterns if side == n else block_maxima(patterns, side)))


def block_maxima(
    patterns: Float32[np.ndarray, "heads n n"], side: int
) -> Float32[np.ndarray, "heads side side"]:
    """Return the largest weight of each block; token t is in block floor(t * side / n)."""
    n = patterns.shape[-1]
    starts = -(-np.arange(side) * n // side)
    rows = np.maximum.reduceat(np.tril(patterns), starts, axis=-2)
    return np.asarray(np.maximum.reduceat(rows, starts, axis=-1))


def reduced_triangles(
    triangles: UInt8[np.ndarray, "heads entries"], n: int, side: int
) -> UInt8[np.ndarray, "heads entries_of_blocks"]:
    """Return packed triangles in blocks, as `block_maxima` of the patterns would be packed."""
    square = np.zeros((len(triangles), n, n), dtype=np.uint8)
    square[:, *np.tril_indices(n)] = triangles
    starts = -(-np.arange(side) * n // side)
    rows = np.maximum.reduceat(square, starts, axis=-2)
    blocks = np.maximum.reduceat(rows, starts, axis=-1)
    return np.asarray(blocks[:, *np.tril_indices(side)])


def as_text(triangles: np.ndarray[Any, np.dtype[np.uint8]]) -> str:
    """Return bytes as base64 of a zlib stream."""
    return base64.b64encode(zlib.compress(triangles.tobytes(), 6)).decode("ascii")
