"""Distances of heads for the browser: exact rows, a coarse matrix, and the null by depth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.distances import get_metric, metric_names
from attention_motifs.progress import Report
from attention_motifs.site.contract import DistanceMetric, DistanceRows
from attention_motifs.site.output import DataFolder

if TYPE_CHECKING:
    from jaxtyping import Float

MATRIX_LIMIT = 4096
"""Heads up to which the whole matrix is written for the heatmap (32 MiB of codes)."""

MISSING_CODE = 65535
DEPTH_BINS = 5
QUANTILES = 101
_SAMPLE = 4_000_000
"""Entries of a block of two models from which quantiles are taken; of larger ones, some rows."""

_TITLES = {
    "mean": "Mean distance, prompt by prompt (Eq. 3)",
    "cosine": "Cosine of the head means",
    "recommended": "Recommended: whitened cosine",
    "centroid": "Distance of the head means",
    "wasserstein": "Earth mover's distance",
    "sliced-wasserstein": "Sliced earth mover's distance",
    "energy": "Energy distance",
    "gromov-wasserstein": "Gromov-Wasserstein distance",
}


def write_distances(atlas: Atlas, out: DataFolder, report: Report) -> list[DistanceMetric]:
    """Write the distances of every metric that the atlas holds, the paper's first."""
    known = metric_names()
    order = sorted(atlas.metrics(), key=lambda m: (known.index(m) if m in known else 99, m))
    made = []
    n_layers = sum(int(info["n_layers"]) for info in atlas.manifest.models.values())
    for code, name in enumerate(order):
        with report(f"site: distances by {name}", n_layers + 1) as advance:
            matrix = atlas.distances(name)
            folder = f"distances/{code}"
            rows = []
            for first, count in _layers(atlas):
                block = np.asarray(matrix[first : first + count], dtype=np.float32)
                file = f"{folder}/{first}.bin"
                rows.append(DistanceRows(first, count, file, out.array(file, block, "float32")))
                advance(1)
            whole = None
            if len(matrix) <= MATRIX_LIMIT:
                whole = f"{folder}/matrix.bin"
                out.array(whole, coded(matrix), "uint16")
            out.array(f"{folder}/quantiles.bin", _quantiles(atlas, matrix), "float32")
            advance(1)
        described = get_metric(name) if name in known else None
        made.append(
            DistanceMetric(
                name=name,
                formula=described.formula if described else "",
                title=_TITLES.get(name, name),
                blind=described.blind if described else "",
                rows=rows,
                matrix=whole,
                scale=code_step(matrix),
                quantiles=f"{folder}/quantiles.bin",
            )
        )
    return made


def _layers(atlas: Atlas) -> list[tuple[int, int]]:
    """First row and number of heads of each layer of each model."""
    found, row = [], 0
    for info in atlas.manifest.models.values():
        for _ in range(int(info["n_layers"])):
            found.append((row, int(info["n_heads"])))
            row += int(info["n_heads"])
    return found


def code_step(matrix: Float[np.ndarray, "heads heads"]) -> float:
    """Distance of one step of a code, so that the largest finite distance has code 65534."""
    top = max(float(np.max(row, initial=0.0, where=np.isfinite(row))) for row in matrix)
    return top / (MISSING_CODE - 1) if top > 0 else 1.0


def coded(
    matrix: Float[np.ndarray, "heads heads"],
) -> np.ndarray[Any, np.dtype[np.uint16]]:
    """Distances as codes; see `contract.DistanceMetric`."""
    values = np.asarray(matrix, dtype=np.float64) / code_step(matrix)
    steps = np.where(np.isfinite(values), np.clip(values, 0, MISSING_CODE - 1), MISSING_CODE)
    return np.rint(steps).astype(np.uint16)


def _quantiles(
    atlas: Atlas, matrix: Float[np.ndarray, "heads heads"]
) -> Float[np.ndarray, "models models bins quantiles"]:
    model_of = atlas.heads["model"].to_numpy()
    depths = atlas.heads["depth"].to_numpy()
    rows = [np.flatnonzero(model_of == model) for model in atlas.models]
    return depth_quantiles(matrix, depths, rows)


def depth_quantiles(
    matrix: Float[np.ndarray, "heads heads"],
    depths: Float[np.ndarray, " heads"],
    rows_of_models: list[np.ndarray[Any, Any]],
) -> Float[np.ndarray, "models models bins quantiles"]:
    """Quantiles of the distances of two models' heads, by how far apart in depth they are.

    Args:
        matrix: distances, symmetric.
        depths: of the heads, 0 to 1.
        rows_of_models: rows of each model's heads.

    Returns:
        NaN where a bin holds no pair of different heads. Of a block of more than 4 million
        entries, evenly chosen rows are taken.
    """
    n = len(rows_of_models)
    result = np.full((n, n, DEPTH_BINS, QUANTILES), np.nan, dtype=np.float32)
    grid = np.linspace(0, 1, QUANTILES)
    for a, rows in enumerate(rows_of_models):
        for b in range(a, n):
            columns = rows_of_models[b]
            step = max(1, -(-len(rows) * len(columns) // _SAMPLE))
            some = rows[::step]
            block = np.asarray(matrix[some][:, columns], dtype=np.float64)
            apart = np.abs(depths[some][:, None] - depths[columns][None, :])
            # A depth is a float32 fraction of layers: a hair below an edge belongs above it.
            bins = np.minimum(np.floor(apart * DEPTH_BINS + 1e-4).astype(int), DEPTH_BINS - 1)
            usable = np.isfinite(block) & (some[:, None] != columns[None, :])
            for which in range(DEPTH_BINS):
                values = block[usable & (bins == which)]
                if len(values):
                    result[a, b, which] = result[b, a, which] = np.quantile(values, grid)
    return result
