"""Export of the nearest patterns of each pattern that can be viewed, in the embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial.distance import cdist

from attention_motifs.atlas import Atlas
from attention_motifs.progress import Report
from attention_motifs.site.contract import NearestPatterns
from attention_motifs.site.contract_distances import HeadFiles
from attention_motifs.site.head_blocks import head_blocks
from attention_motifs.site.output import DataFolder

if TYPE_CHECKING:
    from jaxtyping import Float

N_NEAREST = 10
FILE_BYTES = 1 << 15
"""Size of the files of a few heads on a prompt."""


def write_nearest(
    atlas: Atlas,
    embedded: Float[np.ndarray, "prompts heads components"],
    out: DataFolder,
    report: Report,
) -> NearestPatterns:
    """Write the nearest patterns of the same prompt, a few hundred heads at a time."""
    n_view, n_heads = len(atlas.view_prompts()), embedded.shape[1]
    n = min(N_NEAREST, n_heads - 1)
    most = FILE_BYTES // (8 * max(1, n))
    per_file = [min(info.n_all_heads, most) for info in atlas.manifest.models.values()]
    files = HeadFiles("points/nearest", per_file)
    with report("site: nearest patterns", n_view) as advance:
        for prompt in range(n_view):
            points = np.asarray(embedded[prompt], dtype=np.float64)
            for file, rows in head_blocks(atlas, files):
                heads, distances = nearest_rows(points, rows, n)
                out.array(f"{file}-{prompt}-heads.bin", heads, "uint32")
                out.array(f"{file}-{prompt}.bin", distances, "float32")
            advance(1)
    return NearestPatterns(files, n_view, n)


def nearest_rows(
    points: Float[np.ndarray, "heads components"], rows: slice, n: int
) -> tuple[np.ndarray[Any, Any], Float[np.ndarray, "rows n"]]:
    """Return the `n` nearest other points of some points, nearest first, and their distances.

    Equal distances come in the order of the points. A distance that is not finite is NaN, and last.

    Args:
        points: coordinates.
        rows: the points whose neighbours are returned.
        n: number of neighbours, fewer than there are points.
    """
    away = cdist(points[rows], points)
    away[~np.isfinite(away)] = np.inf
    own = np.arange(rows.start, rows.stop)
    away[np.arange(len(own)), own] = np.nan  # after all others
    if n == 0:
        return np.zeros((len(own), 0), np.int64), np.zeros((len(own), 0))
    heads = np.sort(np.argpartition(away, n - 1, axis=1)[:, :n], axis=1)
    distances = np.take_along_axis(away, heads, axis=1)
    order = np.argsort(distances, axis=1, kind="stable")
    heads = np.take_along_axis(heads, order, axis=1)
    distances = np.take_along_axis(distances, order, axis=1)
    return heads, np.where(np.isfinite(distances), distances, np.nan)
