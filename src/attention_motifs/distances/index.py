"""An index of heads: which few among millions are worth comparing by the exact metric?

The sketches of the heads are sorted into cells around centroids, and a query looks into the cells
nearest to it (faiss's inverted file; the package is an extra).
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.distances.head_vectors import Sketch, finite_vectors
from attention_motifs.distances.neighbour_files import about, metadata
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.store import files

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from attention_motifs.distances.head_vectors import HeadClouds

N_PROBED = 32
"""Cells that a query looks into; docs/nearest.md has the recall with fewer and more."""

_CELLS_PER_ROOT = 4
"""Cells per square root of the number of heads."""

_FITTED_PER_CELL = 64
_ROUNDS = 10
_HEADS_AT_A_TIME = 16_384
_FORMAT = "attention-motifs index of heads, version 1"


@dataclass(frozen=True)
class HeadIndex:
    """Sketches of all heads, to be searched by their Euclidean distances.

    Attributes:
        sketch: how a cloud becomes a vector.
        cells: faiss's index of the vectors, whose numbers are those of the heads.
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
        """Sketch all heads and sort them into cells.

        Args:
            clouds: of all heads; read piece by piece.
            metric: a name in `sketch.SKETCHED`.
            seed: of the decomposition and the centroids.
            done: called with the number of heads that were added.

        Raises:
            InputError: if faiss is not installed, the metric has no sketch, or numbers are
                missing or infinite.
        """
        faiss = _faiss()
        sketch = Sketch.fit(clouds, metric, seed=seed)
        n, n_axes = len(clouds), sketch.axes.shape[1]
        n_cells = max(1, min(n // 8, round(_CELLS_PER_ROOT * n**0.5)))
        # Half precision: a candidate more or less at the end of the list, for half the memory.
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
        """Heads whose sketches are nearest to each vector, nearest first.

        Args:
            vectors: as `sketch.vectors` makes them.
            n: heads per query; more than there are give -1 at the end.
            n_probed: cells looked into; all of them where these hold fewer than n heads.
        """
        faiss = _faiss()
        probed = faiss.SearchParametersIVF(nprobe=min(n_probed, self.cells.nlist))
        found = self.cells.search(vectors, n, params=probed)[1]
        short = (found < 0).any(axis=1)
        if short.any():
            every = faiss.SearchParametersIVF(nprobe=self.cells.nlist)
            found[short] = self.cells.search(vectors[short], n, params=every)[1]
        return np.asarray(found, dtype=np.int64)

    def cells_of(self, vectors: Float[np.ndarray, "heads axes"]) -> Int[np.ndarray, " heads"]:
        """Return the cell that each vector is sorted into."""
        return np.asarray(self.cells.quantizer.search(vectors, 1)[1][:, 0])

    @property
    def n_heads(self) -> int:
        """Heads in the index."""
        return int(self.cells.ntotal)

    def save(self, path: Path, inputs: str = "") -> None:
        """Write sketch and index to one safetensors file, with a digest of the index's bytes.

        Args:
            path: of the file.
            inputs: digest of what it was made from, for the journal.
        """
        data = _faiss().serialize_index(self.cells)
        told = metadata(
            format=_FORMAT,
            metric=self.sketch.metric,
            inputs=inputs,
            sha256=hashlib.sha256(data).hexdigest(),
        )
        arrays = {"index": data, "centre": self.sketch.centre, "axes": self.sketch.axes}
        files.write_tensors(path, arrays, told)

    @classmethod
    def load(cls, path: Path, mend: str) -> HeadIndex:
        """Read what `save` wrote.

        The digest is compared before faiss sees the bytes, which it would trust.

        Args:
            path: of the file.
            mend: what errors tell the user to do.

        Raises:
            AtlasError: if the file is missing, damaged or of another format.
            InputError: if faiss is not installed.
        """
        faiss = _faiss()
        arrays, noted = files.read_tensors(path, mend)
        told = about(noted)
        if told.get("format") != _FORMAT or {"index", "centre", "axes"} - set(arrays):
            raise AtlasError(f"{path}: not an index of heads of version 1; {mend}")
        data, centre, axes = arrays["index"], arrays["centre"], arrays["axes"]
        if hashlib.sha256(data.tobytes()).hexdigest() != told.get("sha256"):
            raise AtlasError(f"{path}: damaged, the index is not what was written; {mend}")
        try:
            cells = faiss.deserialize_index(data)
        except RuntimeError as error:
            raise files.damaged(path, mend, error) from error
        fits = axes.ndim == 2 and centre.shape == axes.shape[:1] and cells.d == axes.shape[1]
        if not fits or not isinstance(cells, faiss.IndexIVF):
            raise AtlasError(f"{path}: sketch and index do not fit together; {mend}")
        return cls(Sketch(str(told.get("metric")), centre, axes), cells)


def _faiss() -> Any:
    """Import faiss.

    Raises:
        InputError: if it is not installed; names the extra that brings it.
    """
    try:
        return importlib.import_module("faiss")
    except ImportError as error:
        raise InputError(
            "more heads than all pairs can be kept of need faiss: "
            "pip install 'attention-motifs[nearest]' (or raise --dense-limit)"
        ) from error
