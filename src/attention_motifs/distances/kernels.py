"""Compiled kernels of the metrics on head clouds.

Every kernel releases the interpreter lock, so that the engine can run several on threads. A *tile*
is `TILE` consecutive heads: one coordinate of all of them fills whole vector registers, whatever
the number of components. All pairs and one-to-all use the same tile code and give the same bits.

Differences are taken before squaring. The shorter |a|^2 + |b|^2 - 2ab would cancel in float32 for
close heads, which are the ones that matter in a nearest-head query.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from attention_motifs.distances.registry import TILE
from attention_motifs.features.compiled import cached_jit

# Number of terms summed in the type of the data before they are added to a float64 total; with
# more terms float32 rounding would grow with the number of prompts.
CHUNK = 64

_F = TypeVar("_F", bound=Callable[..., object])


def compiled(function: _F) -> _F:
    """Compile on first call, cache the machine code on disk and release the interpreter lock.

    Sums may be reordered (for vector registers) and multiply-adds fused; NaN and infinity
    keep their meaning.
    """
    flags = {"reassoc", "contract", "nsz"}
    return cached_jit(function, fastmath=flags)


@compiled
def _load_tile(points: np.ndarray, start: int, tile: np.ndarray) -> None:
    """Transpose the points of heads `start`.. (heads, components) into (components, TILE)."""
    n_heads, n_components = points.shape
    n = min(TILE, n_heads - start)
    for j in range(n):
        for c in range(n_components):
            tile[c, j] = points[start + j, c]
    for c in range(n_components):
        for j in range(n, TILE):
            tile[c, j] = 0


@compiled
def _add_distances(
    tile: np.ndarray, point: np.ndarray, squares: np.ndarray, total: np.ndarray
) -> None:
    """Add to `total` the Euclidean distances from a point to the TILE points of a tile."""
    n_components = point.shape[0]
    whole = n_components - n_components % 4
    for j in range(TILE):
        squares[j] = 0
    for c in range(0, whole, 4):
        a0, a1, a2, a3 = point[c], point[c + 1], point[c + 2], point[c + 3]
        y0, y1, y2, y3 = tile[c], tile[c + 1], tile[c + 2], tile[c + 3]
        for j in range(TILE):
            d0, d1, d2, d3 = y0[j] - a0, y1[j] - a1, y2[j] - a2, y3[j] - a3
            squares[j] += d0 * d0 + d1 * d1 + d2 * d2 + d3 * d3
    for c in range(whole, n_components):
        a0 = point[c]
        y0 = tile[c]
        for j in range(TILE):
            d0 = y0[j] - a0
            squares[j] += d0 * d0
    for j in range(TILE):
        total[j] += np.sqrt(squares[j])


@compiled
def head_means(points: np.ndarray, out: np.ndarray) -> None:
    """Compute means over prompts in float64: (prompts, heads, components) to (heads, components).

    The sums of one tile of heads stay in the cache, which is more than twice as fast as numpy's
    mean in float64 of float32 numbers.
    """
    n_prompts, n_heads, _ = points.shape
    for start in range(0, n_heads, TILE):
        stop = min(start + TILE, n_heads)
        total = out[start:stop].reshape(-1)
        total[:] = 0.0
        for s in range(n_prompts):
            part = points[s, start:stop].reshape(-1)
            for k in range(part.size):
                total[k] += part[k]
        for k in range(total.size):
            total[k] /= n_prompts


@compiled
def paired_tile(points: np.ndarray, rows: np.ndarray, start: int, out: np.ndarray) -> None:
    """Compute the mean over prompts of the distance between two heads' points for a prompt.

    Args:
        points: (prompts, heads, components), float32 or float64.
        rows: (r,) head indices.
        start: first head of the tile.
        out: (r, TILE) float64, overwritten; columns past the last head are meaningless.
    """
    n_prompts, _, n_components = points.shape
    n_rows = rows.shape[0]
    tile = np.empty((n_components, TILE), points.dtype)
    squares = np.empty(TILE, points.dtype)
    narrow = np.empty((n_rows, TILE), points.dtype)
    out[:, :] = 0.0
    for first in range(0, n_prompts, CHUNK):
        narrow[:, :] = 0
        for s in range(first, min(first + CHUNK, n_prompts)):
            _load_tile(points[s], start, tile)
            for i in range(n_rows):
                _add_distances(tile, points[s, rows[i]], squares, narrow[i])
        out += narrow
    out /= n_prompts


@compiled
def cross_tile(points: np.ndarray, rows: np.ndarray, start: int, out: np.ndarray) -> None:
    """Compute the mean over all pairs of prompts (s, t) of the distance of two heads' points.

    Shapes as in `paired_tile`.
    """
    n_prompts, _, n_components = points.shape
    n_rows = rows.shape[0]
    tile = np.empty((n_components, TILE), points.dtype)
    squares = np.empty(TILE, points.dtype)
    narrow = np.empty(TILE, points.dtype)
    out[:, :] = 0.0
    for t in range(n_prompts):
        _load_tile(points[t], start, tile)
        for i in range(n_rows):
            for first in range(0, n_prompts, CHUNK):
                narrow[:] = 0
                for s in range(first, min(first + CHUNK, n_prompts)):
                    _add_distances(tile, points[s, rows[i]], squares, narrow)
                for j in range(TILE):
                    out[i, j] += narrow[j]
    out /= n_prompts * n_prompts


@compiled
def absolute_tile(values: np.ndarray, rows: np.ndarray, start: int, out: np.ndarray) -> None:
    """Compute the mean absolute difference of the values of two heads.

    Args:
        values: (numbers, heads) float32.
        rows: (r,) head indices.
        start: first head of the tile.
        out: (r, TILE) float64, overwritten; columns past the last head are meaningless.
    """
    n_values, n_heads = values.shape
    n = min(TILE, n_heads - start)
    tile = np.zeros((CHUNK, TILE), values.dtype)
    narrow = np.empty(TILE, values.dtype)
    out[:, :] = 0.0
    for first in range(0, n_values, CHUNK):
        length = min(CHUNK, n_values - first)
        for k in range(length):
            for j in range(n):
                tile[k, j] = values[first + k, start + j]
        whole = length - length % 4
        for i in range(rows.shape[0]):
            query = values[first : first + length, rows[i]]
            narrow[:] = 0
            for k in range(0, whole, 4):
                a0, a1, a2, a3 = query[k], query[k + 1], query[k + 2], query[k + 3]
                y0, y1, y2, y3 = tile[k], tile[k + 1], tile[k + 2], tile[k + 3]
                for j in range(TILE):
                    narrow[j] += (abs(y0[j] - a0) + abs(y1[j] - a1)) + (
                        abs(y2[j] - a2) + abs(y3[j] - a3)
                    )
            for k in range(whole, length):
                a0 = query[k]
                y0 = tile[k]
                for j in range(TILE):
                    narrow[j] += abs(y0[j] - a0)
            for j in range(TILE):
                out[i, j] += narrow[j]
    out /= n_values


@compiled
def _distance(x: np.ndarray, y: np.ndarray) -> float:
    """Return the Euclidean distance of two points, summed in float64."""
    square = 0.0
    for c in range(x.shape[0]):
        difference = np.float64(x[c]) - np.float64(y[c])
        square += difference * difference
    return math.sqrt(square)


@compiled
def paired_pairs(points: np.ndarray, left: np.ndarray, right: np.ndarray, out: np.ndarray) -> None:
    """Compute `paired_tile` for listed pairs of heads; left, right and out are (pairs,)."""
    n_prompts = points.shape[0]
    for k in range(left.shape[0]):
        total = 0.0
        for s in range(n_prompts):
            total += _distance(points[s, left[k]], points[s, right[k]])
        out[k] = total / n_prompts


@compiled
def cross_pairs(points: np.ndarray, left: np.ndarray, right: np.ndarray, out: np.ndarray) -> None:
    """Compute `cross_tile` for listed pairs of heads; left, right and out are (pairs,)."""
    n_prompts = points.shape[0]
    for k in range(left.shape[0]):
        total = 0.0
        for s in range(n_prompts):
            for t in range(n_prompts):
                total += _distance(points[s, left[k]], points[t, right[k]])
        out[k] = total / (n_prompts * n_prompts)


@compiled
def absolute_pairs(
    values: np.ndarray, left: np.ndarray, right: np.ndarray, out: np.ndarray
) -> None:
    """Compute `absolute_tile` for listed pairs of heads; left, right and out are (pairs,)."""
    n_values = values.shape[0]
    for k in range(left.shape[0]):
        total = 0.0
        for v in range(n_values):
            total += abs(np.float64(values[v, left[k]]) - np.float64(values[v, right[k]]))
        out[k] = total / n_values


@compiled
def product_pairs(rows: np.ndarray, left: np.ndarray, right: np.ndarray, out: np.ndarray) -> None:
    """Compute the inner products in float64 of listed pairs of rows (heads, values)."""
    n_values = rows.shape[1]
    for k in range(left.shape[0]):
        total = 0.0
        for v in range(n_values):
            total += np.float64(rows[left[k], v]) * np.float64(rows[right[k], v])
        out[k] = total
