"""An index of heads: selects the few among millions that the exact metric compares.

The sketches of the heads are sorted into cells around centroids, and a query looks into the cells
nearest to it (faiss's inverted file; the package is an extra).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.distances.head_vectors import Sketch, finite_vectors
from attention_motifs.distances.neighbour_files import about, metadata
from attention_motifs.errors import AtlasError, require
from attention_motifs.store import files

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from attention_motifs.distances.head_vectors import HeadClouds

N_PROBED = 32
"""Cells searched per query; benchmarks/README.md has the recall with fewer and more."""

_CELLS_PER_ROOT = 4
"""Cells per square root of the number of heads."""

_FITTED_PER_CELL = 64
_ROUNDS = 10
_HEADS_AT_A_TIME = 16_384
_FORMAT = "attention-motifs index of heads, version 1"


@dataclass(frozen=True)
class HeadIndex:
    """Short vectors of all heads, searched by their Euclidean distances.

    Attributes:
        sketch: the map from clouds to vectors.
        cells: faiss index of the vectors, numbered as the heads.
    """

    sketch: Sketch
    cells: Any

    @classmethod
    def build(
        cls,
        clouds: HeadClouds,
        metric: str,
        *,
        seed: int = 0,
        done: Callable[[int], None] = lambda _heads: None,
    ) -> HeadIndex:
        """Compute the vectors of all heads and sort them into cells.

        Args:
            clouds: clouds of all heads, read piece by piece.
            metric: a name in `head_vectors.SKETCHED`.
            seed: seed for the decomposition and the centroids.
            done: called with the number of heads added.

        Raises:
            InputError: if faiss is not installed, the metric has no sketch, or numbers are
                missing or infinite.
        """
        faiss = _faiss()
        sketch = Sketch.fit(clouds, metric, seed=seed)
        n, n_axes = len(clouds), sketch.axes.shape[1]
        n_cells = max(1, min(n // 8, round(_CELLS_PER_ROOT * n**0.5)))
        # Half precision changes only the last candidates, and takes half the memory.
        cells = faiss.IndexIVFScalarQuantizer(
            faiss.IndexFlatL2(n_axes), n_axes, n_cells, faiss.ScalarQuantizer.QT_fp16
        )
        cells.cp.seed, cells.cp.niter = seed, _ROUNDS
        cells.cp.min_points_per_centroid = 1
        some = np.unique(np.linspace(0, n - 1, _FITTED_PER_CELL * n_cells).astype(np.int64))
        parts = np.array_split(some, max(1, -(-len(some) // _HEADS_AT_A_TIME)))
        cells.train(
            np.concatenate([finite_vectors(sketch.vectors(clouds[part]), part) for part in parts])
        )
        for start in range(0, n, _HEADS_AT_A_TIME):
            part = np.arange(start, min(start + _HEADS_AT_A_TIME, n))
            cells.add(finite_vectors(sketch.vectors(clouds[start : start + len(part)]), part))
            done(len(part))
        return cls(sketch, cells)

    def search(
        self, vectors: Float[np.ndarray, "queries axes"], n: int, *, n_probed: int = N_PROBED
    ) -> Int[np.ndarray, "queries n"]:
        """Return the heads whose vectors are nearest to each query, nearest first.

        Args:
            vectors: queries, from `sketch.vectors`.
            n: heads per query; -1 at the end of a row if there are fewer.
            n_probed: cells searched; all of them if these hold fewer than n heads.
        """
        faiss = _faiss()
        probed = faiss.SearchParametersIVF(nprobe=min(n_probed, self.cells.nlist))
        heads = self.cells.search(vectors, n, params=probed)[1]
        short = (heads < 0).any(axis=1)
        if short.any():
            every = faiss.SearchParametersIVF(nprobe=self.cells.nlist)
            heads[short] = self.cells.search(vectors[short], n, params=every)[1]
        return np.asarray(heads, dtype=np.int64)

    def cells_of(self, vectors: Float[np.ndarray, "heads axes"]) -> Int[np.ndarray, " heads"]:
        """Return the cell that each vector is sorted into."""
        return np.asarray(self.cells.quantizer.search(vectors, 1)[1][:, 0])

    @property
    def n_heads(self) -> int:
        """Heads in the index."""
        return int(self.cells.ntotal)

    def save(self, path: files.Location, inputs: str = "") -> None:
        """Write vectors' map and index to a safetensors file, with a digest of the index.

        Args:
            path: path of the file.
            inputs: digest of the inputs of the index, for the journal.
        """
        data = _faiss().serialize_index(self.cells)
        entries = metadata(
            format=_FORMAT,
            metric=self.sketch.metric,
            inputs=inputs,
            sha256=hashlib.sha256(data).hexdigest(),
        )
        arrays = {"index": data, "centre": self.sketch.centre, "axes": self.sketch.axes}
        files.write_tensors(path, arrays, entries)

    @classmethod
    def load(cls, path: files.Location, fix: str = "") -> HeadIndex:
        """Read the file that `save` wrote.

        The digest is compared before faiss sees the bytes, which it would trust.

        Args:
            path: path of the file.
            fix: the last sentence of error messages: how to make the file again; default: that
                of a file of an atlas.

        Raises:
            AtlasError: if the file is missing, damaged or of another format.
            InputError: if faiss is not installed.
        """
        faiss = _faiss()
        fix = fix if isinstance(path, Path) else fix or path.fix_damaged
        arrays, entries = files.read_tensors(path, fix)
        recorded = about(entries)
        if recorded.get("format") != _FORMAT or {"index", "centre", "axes"} - set(arrays):
            raise AtlasError(f"{path}: not an index of heads of version 1; {fix}")
        data, centre, axes = arrays["index"], arrays["centre"], arrays["axes"]
        if hashlib.sha256(data.tobytes()).hexdigest() != recorded.get("sha256"):
            raise AtlasError(f"{path}: damaged, the index does not match its digest; {fix}")
        try:
            cells = faiss.deserialize_index(data)
        except RuntimeError as error:
            raise files.damaged(path, fix, error) from error
        fits = axes.ndim == 2 and centre.shape == axes.shape[:1] and cells.d == axes.shape[1]
        if not fits or not isinstance(cells, faiss.IndexIVF):
            raise AtlasError(f"{path}: vectors and index do not fit together; {fix}")
        return cls(Sketch(str(recorded.get("metric")), centre, axes), cells)


def _faiss() -> Any:
    """Import faiss.

    Raises:
        InputError: if it is not installed.
    """
    return require("faiss", "an index of nearest heads (more heads than --dense-limit)")
