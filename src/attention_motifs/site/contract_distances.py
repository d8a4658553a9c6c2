"""The fields of distances in an exported site; see `attention_motifs.site.contract`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HeadFiles:
    """Small files with a few heads each, so that a page fetches the heads that it shows.

    Heads of a model are numbered from its first row. Head i of the model with code m is in the file
    `<folder>/<m>/<k>.bin` with k = i // per_file[m]; the last file of a model may have fewer heads.
    """

    folder: str
    per_file: list[int]
    """Heads per file, by model."""


@dataclass(frozen=True)
class DistanceTiles:
    """Squares of the matrix of many heads at several zooms, so that a page fetches what it shows.

    Heads are in the order of the atlas. At zoom z, a cell is the mean distance of spans[z] x
    spans[z] heads, without those of a head to itself, and a tile has side x side cells, fewer at
    the end of the matrix. Tile (i, j) is the file `<folder>/<z>-<i>-<j>.bin`, uint16 codes row by
    row. The matrix is symmetric: only tiles with i <= j are stored.
    """

    folder: str
    side: int
    spans: list[int]
    """Heads on each side of a cell; the last is 1."""


@dataclass(frozen=True)
class DistanceMetric:
    """Distances of all heads by one metric."""

    name: str
    formula: str
    """LaTeX."""
    title: str
    blind: str
    """Differences that the metric does not see."""
    rows: HeadFiles
    """float32 rows of the matrix: (heads of the file, H), or (heads of the file, n_nearest)."""
    n_nearest: int | None
    """None if rows are whole; else the number of nearest heads per head with known distances. The
    file `<k>-heads.bin` next to `<k>.bin` then holds their rows (uint32), nearest first."""
    matrix: str | None
    """uint16 codes of the whole matrix, H x H, for the heatmap; None if H is above 4,096."""
    layers: str | None
    """Without `matrix`: uint16 codes (L, L) of the mean of the known distances between different
    heads of two layers, of all layers of all models in order; else None."""
    tiles: DistanceTiles | None
    """Without `matrix`, if the atlas stores the distances of all pairs: the matrix in tiles; else
    None. `layers` then are means of all pairs too."""
    scale: float
    """Scale of the codes: distance = code * scale. Code 65535 means missing."""
    quantiles: list[str]
    """Per model a: float32 file (M, 5, 101), quantiles 0 to 100 % of the distances between
    different heads of model a and of model b whose depths differ by 0 to 0.2, 0.2 to 0.4, ... 0.8
    to 1 (NaN if there is no such pair). They give the percentile of a distance among pairs as far
    apart in depth."""
