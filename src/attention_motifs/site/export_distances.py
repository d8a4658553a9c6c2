"""Distances of heads for the browser: exact rows, and a coarse matrix for the heatmap."""

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
