"""Export of distances: exact rows, a coarse matrix, and quantiles by depth."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.head_distances import (
    AllPairs,
    NearestHeads,
    NearestOfAllPairs,
    stored_distances,
)
from attention_motifs.distances import get_metric, metric_names
from attention_motifs.progress import Advance, Report
from attention_motifs.site.contract_distances import DistanceMetric, DistanceTiles, HeadFiles
from attention_motifs.site.head_blocks import head_blocks
from attention_motifs.site.output import DataFolder

if TYPE_CHECKING:
    from jaxtyping import Float

MATRIX_LIMIT = 4096
"""Heads up to which the whole matrix is written for the heatmap (32 MiB of codes)."""

ROWS_LIMIT = 8192
"""Heads up to which the distances of all pairs are written (256 MiB); above, the nearest heads."""

TILE_SIDE = 256
"""Cells on each side of a tile; those at the end of the matrix have fewer."""

TILE_SPANS = (4, 1)
"""Heads on each side of a cell, by zoom. The means of two layers are coarser still."""

MISSING_CODE = 65535
DEPTH_BINS = 5
QUANTILES = 101
_SAMPLE = 4_000_000
"""Most entries of a block of two models for quantiles; rows of larger blocks are sampled."""

_TITLES = {
    "mean": "Mean distance, prompt by prompt (Eq. 3)",
    "cosine": "Cosine of the head means",
    "natural": "Similar behaviour on the prompts",
    "recommended": "Similar behaviour on prompts and probes",
    "probes": "Similar behaviour on probes",
    "tokens": "Similar behaviour, with attention to tokens",
    "centroid": "Distance of the head means",
    "wasserstein": "Earth mover's distance",
    "sliced-wasserstein": "Sliced earth mover's distance",
    "energy": "Energy distance",
    "gromov-wasserstein": "Gromov-Wasserstein distance",
}


def write_distances(atlas: Atlas, out: DataFolder, report: Report) -> list[DistanceMetric]:
    """Write the distances of every metric of the atlas; the pages open on the first, the best."""
    known = metric_names()
    stored = stored_distances(atlas)
    best = atlas.best_metric
    order = sorted(stored, key=lambda m: (m != best, known.index(m) if m in known else 99, m))
    described = []
    for code, name in enumerate(order):
        folder, distances = f"distances/{code}", stored[name]
        matrix = None
        if isinstance(distances, AllPairs) and len(atlas.heads) > ROWS_LIMIT:
            matrix, distances = distances.matrix, NearestOfAllPairs(distances)
        with report(f"site: distances by {name}", len(atlas.heads)) as advance:
            if isinstance(distances, AllPairs):
                described.append(_write_whole(atlas, distances, folder, out, advance))
            else:
                described.append(_write_nearest(atlas, distances, matrix, folder, out, advance))
    return described


def _write_whole(
    atlas: Atlas, distances: AllPairs, folder: str, out: DataFolder, advance: Advance
) -> DistanceMetric:
    matrix = distances.matrix
    rows = _row_files(atlas, folder, 4 * len(matrix))
    for file, block in head_blocks(atlas, rows):
        out.array(f"{file}.bin", np.asarray(matrix[block], dtype=np.float32), "float32")
        advance(block.stop - block.start)
    step = code_step(matrix)
    whole, layers, tiles = None, None, None
    if len(matrix) <= MATRIX_LIMIT:
        whole = f"{folder}/matrix.bin"
        out.array(whole, coded(matrix, step), "uint16")
    else:
        layers = f"{folder}/layers.bin"
        out.array(layers, coded(layer_means(atlas, matrix), step), "uint16")
        tiles = _write_tiles(matrix, folder, step, out)
    quantiles = _write_quantiles(_quantiles(atlas, matrix), folder, out)
    return _described(distances.metric, rows, None, (whole, layers, tiles), step, quantiles)


def _write_tiles(
    matrix: Float[np.ndarray, "heads heads"], folder: str, step: float, out: DataFolder
) -> DistanceTiles:
    """Write the tiles of each zoom on and above the diagonal, of a few hundred heads at a time."""
    n = len(matrix)
    for zoom, span in enumerate(TILE_SPANS):
        heads = TILE_SIDE * span
        for row, start in enumerate(range(0, n, heads)):
            firsts = range(start, min(n, start + heads), TILE_SIDE)
            ends = [min(first + TILE_SIDE, start + heads, n) for first in firsts]
            cells = np.concatenate(
                [
                    coded(cell_means(matrix[first:end], first, start, span), step)
                    for first, end in zip(firsts, ends, strict=True)
                ]
            )
            for column, left in enumerate(range(0, cells.shape[1], TILE_SIDE), start=row):
                tile = cells[:, left : left + TILE_SIDE]
                out.array(f"{folder}/{zoom}-{row}-{column}.bin", tile, "uint16")
    return DistanceTiles(folder, TILE_SIDE, list(TILE_SPANS))


def cell_means(
    rows: Float[np.ndarray, "some heads"], first: int, left: int, span: int
) -> Float[np.ndarray, "rows columns"]:
    """Return the mean distances of squares of `span` x `span` heads.

    A distance of a head to itself counts only where it is the whole square; missing distances do
    not count, and a square without any is NaN.

    Args:
        rows: distances of consecutive heads to all.
        first: head of the first row.
        left: head of the first column of the result.
        span: heads on each side of a square.
    """
    values = np.asarray(rows[:, left:], dtype=np.float64)
    if span == 1:
        return values
    known = np.isfinite(values)
    known[np.arange(len(values)), np.arange(len(values)) + first - left] = False
    edges = [np.arange(0, n, span) for n in values.shape]

    def summed(parts: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.add.reduceat(np.add.reduceat(parts, edges[0], axis=0), edges[1], axis=1)

    sums, counts = summed(np.where(known, values, 0.0)), summed(known.astype(np.int64))
    means = np.full(sums.shape, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means


LAYER_BYTES = 1 << 18
"""Size up to which the rows of a layer are one file: the chance of a look-alike needs them all."""
FILE_BYTES = 1 << 16
"""Size of the files of larger layers, unless one row is larger."""


def _row_files(atlas: Atlas, folder: str, row_bytes: int) -> HeadFiles:
    """Divide the rows of all heads into files."""
    models = atlas.manifest.models.values()
    per_file = [
        info.n_heads
        if info.n_heads * row_bytes <= LAYER_BYTES
        else min(info.n_heads, max(1, FILE_BYTES // row_bytes))
        for info in models
    ]
    return HeadFiles(folder, per_file)


def _write_quantiles(
    quantiles: Float[np.ndarray, "models models bins quantiles"], folder: str, out: DataFolder
) -> list[str]:
    """Write the quantiles of each model; return the files."""
    names = [f"{folder}/quantiles-{code}.bin" for code in range(len(quantiles))]
    for name, of_model in zip(names, quantiles, strict=True):
        out.array(name, of_model, "float32")
    return names


_SAMPLED_HEADS = 512
"""Heads sampled for the quantiles by depth if there are too many pairs."""


def _write_nearest(
    atlas: Atlas,
    distances: NearestHeads,
    matrix: Float[np.ndarray, "heads heads"] | None,
    folder: str,
    out: DataFolder,
    advance: Advance,
) -> DistanceMetric:
    """Write the nearest heads of each head, and quantiles from sampled exact rows.

    Means of layers and tiles are from the `matrix` of all pairs; without it, there are no tiles.
    """
    neighbours = distances.neighbours
    rows = _row_files(atlas, folder, 8 * neighbours.heads.shape[1])
    for file, block in head_blocks(atlas, rows):
        out.array(f"{file}.bin", neighbours.distances[block], "float32")
        out.array(f"{file}-heads.bin", neighbours.heads[block], "uint32")
        advance(block.stop - block.start)
    n = len(neighbours.heads)
    some = np.unique(np.linspace(0, n - 1, _SAMPLED_HEADS).astype(int))
    sampled = distances.rows(some)
    sampled[np.arange(len(some)), some] = np.nan
    model_of = atlas.heads["model"].to_numpy()
    depths = atlas.heads["depth"].to_numpy()
    of_models = [np.flatnonzero(model_of == model) for model in atlas.models]
    quantiles = _write_quantiles(sampled_quantiles(sampled, some, depths, of_models), folder, out)
    layers = f"{folder}/layers.bin"
    if matrix is None:
        step, tiles = code_step(neighbours.distances), None
        means = near_layer_means(atlas, neighbours.heads, neighbours.distances)
    else:
        step, means = code_step(matrix), layer_means(atlas, matrix)
        tiles = _write_tiles(matrix, folder, step, out)
    out.array(layers, coded(means, step), "uint16")
    n_nearest = neighbours.heads.shape[1]
    return _described(distances.metric, rows, n_nearest, (None, layers, tiles), step, quantiles)


def _layer_starts(atlas: Atlas) -> np.ndarray[Any, Any]:
    """Return the first row of each layer, and the number of heads."""
    counts = [info.n_heads for info in atlas.manifest.models.values() for _ in info.layers]
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def layer_means(
    atlas: Atlas, matrix: Float[np.ndarray, "heads heads"]
) -> Float[np.ndarray, "layers layers"]:
    """Return the mean distance of different heads of two layers; NaN if none is known."""
    starts = _layer_starts(atlas)
    means = np.full((len(starts) - 1, len(starts) - 1), np.nan)
    for layer, (first, end) in enumerate(itertools.pairwise(starts.tolist())):
        block = np.array(matrix[first:end], dtype=np.float64)
        block[np.arange(end - first), np.arange(first, end)] = np.nan
        finite = np.isfinite(block)
        sums = np.add.reduceat(np.where(finite, block, 0).sum(axis=0), starts[:-1])
        counts = np.add.reduceat(finite.sum(axis=0), starts[:-1])
        np.divide(sums, counts, out=means[layer], where=counts > 0)
    return means


def near_layer_means(
    atlas: Atlas,
    heads: np.ndarray[Any, Any],
    distances: Float[np.ndarray, "heads nearest"],
) -> Float[np.ndarray, "layers layers"]:
    """Return the mean of the known distances of heads of two layers; NaN if none is known.

    Args:
        atlas: the atlas.
        heads: (heads, nearest) rows of the nearest heads.
        distances: distances to them.
    """
    starts = _layer_starts(atlas)
    n_layers = len(starts) - 1
    layer_of = np.repeat(np.arange(n_layers), np.diff(starts))
    sums, counts = np.zeros((2, n_layers * n_layers))
    for layer, (first, end) in enumerate(itertools.pairwise(starts.tolist())):
        near = np.asarray(distances[first:end], dtype=np.float64)
        known = np.isfinite(near)
        place = layer * n_layers + layer_of[np.asarray(heads[first:end])[known].astype(np.int64)]
        sums += np.bincount(place, near[known], minlength=n_layers * n_layers)
        counts += np.bincount(place, minlength=n_layers * n_layers)
    sums, counts = sums.reshape(n_layers, -1), counts.reshape(n_layers, -1)
    sums, counts = sums + sums.T, counts + counts.T
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def _described(
    name: str,
    rows: HeadFiles,
    n_nearest: int | None,
    coarse: tuple[str | None, str | None, DistanceTiles | None],
    scale: float,
    quantiles: list[str],
) -> DistanceMetric:
    described = get_metric(name) if name in metric_names() else None
    return DistanceMetric(
        name=name,
        formula=described.formula if described else "",
        title=_TITLES.get(name) or (described and described.description) or name,
        blind=described.blind if described else "",
        rows=rows,
        n_nearest=n_nearest,
        matrix=coarse[0],
        layers=coarse[1],
        tiles=coarse[2],
        scale=scale,
        quantiles=quantiles,
    )


def code_step(matrix: Float[np.ndarray, "heads heads"]) -> float:
    """Return the distance of one code step; the largest finite distance has code 65534."""
    top = max(float(np.max(row, initial=0.0, where=np.isfinite(row))) for row in matrix)
    return top / (MISSING_CODE - 1) if top > 0 else 1.0


def coded(
    matrix: Float[np.ndarray, "rows columns"], step: float
) -> np.ndarray[Any, np.dtype[np.uint16]]:
    """Return distances as codes; see `contract.DistanceMetric`."""
    values = np.asarray(matrix, dtype=np.float64) / step
    steps = np.where(np.isfinite(values), np.clip(values, 0, MISSING_CODE - 1), MISSING_CODE)
    return np.rint(steps).astype(np.uint16)


def _quantiles(
    atlas: Atlas, matrix: Float[np.ndarray, "heads heads"]
) -> Float[np.ndarray, "models models bins quantiles"]:
    model_of = atlas.heads["model"].to_numpy()
    depths = atlas.heads["depth"].to_numpy()
    rows = [np.flatnonzero(model_of == model) for model in atlas.models]
    return depth_quantiles(matrix, depths, rows)


def sampled_quantiles(
    rows: Float[np.ndarray, "some heads"],
    some: np.ndarray[Any, Any],
    depths: Float[np.ndarray, " heads"],
    rows_of_models: list[np.ndarray[Any, Any]],
) -> Float[np.ndarray, "models models bins quantiles"]:
    """Return `depth_quantiles` from the distances of some heads to all; NaN entries are skipped.

    A pair of models without a sampled head has NaN.
    """
    n = len(rows_of_models)
    result = np.full((n, n, DEPTH_BINS, QUANTILES), np.nan, dtype=np.float32)
    model_of = np.empty(len(depths), dtype=np.int64)
    for number, members in enumerate(rows_of_models):
        model_of[members] = number
    for a in np.unique(model_of[some]).tolist():
        mine = np.flatnonzero(model_of[some] == a)
        for b in range(n):
            columns = rows_of_models[b]
            block = np.asarray(rows[mine][:, columns], dtype=np.float64)
            bins = _bins(depths[some[mine]], depths[columns])
            values = [block[np.isfinite(block) & (bins == which)] for which in range(DEPTH_BINS)]
            for which, of_bin in enumerate(values):
                if len(of_bin):
                    result[a, b, which] = result[b, a, which] = np.quantile(of_bin, _GRID)
    return result


_GRID = np.linspace(0, 1, QUANTILES)


def _bins(
    left: Float[np.ndarray, " left"], right: Float[np.ndarray, " right"]
) -> np.ndarray[Any, Any]:
    """Return the bin of the difference in depth of each pair."""
    apart = np.abs(left[:, None] - right[None, :])
    # Depths are float32 fractions: a difference just below an edge by rounding counts as above it.
    bins = np.floor(apart * DEPTH_BINS + 1e-4).astype(int)
    return np.asarray(np.minimum(bins, DEPTH_BINS - 1))


def depth_quantiles(
    matrix: Float[np.ndarray, "heads heads"],
    depths: Float[np.ndarray, " heads"],
    rows_of_models: list[np.ndarray[Any, Any]],
) -> Float[np.ndarray, "models models bins quantiles"]:
    """Return quantiles of the distances of two models' heads, by their difference in depth.

    Args:
        matrix: distances, symmetric.
        depths: of the heads, 0 to 1.
        rows_of_models: rows of each model's heads.

    Returns:
        Array (models, models, bins, quantiles); NaN where a bin holds no pair of different heads.
        Of a block of more than 4 million entries, evenly spaced rows are used.
    """
    n = len(rows_of_models)
    result = np.full((n, n, DEPTH_BINS, QUANTILES), np.nan, dtype=np.float32)
    for a, rows in enumerate(rows_of_models):
        for b in range(a, n):
            columns = rows_of_models[b]
            step = max(1, -(-len(rows) * len(columns) // _SAMPLE))
            some = rows[::step]
            block = np.asarray(matrix[some][:, columns], dtype=np.float64)
            bins = _bins(depths[some], depths[columns])
            usable = np.isfinite(block) & (some[:, None] != columns[None, :])
            for which in range(DEPTH_BINS):
                values = block[usable & (bins == which)]
                if len(values):
                    result[a, b, which] = result[b, a, which] = np.quantile(values, _GRID)
    return result
