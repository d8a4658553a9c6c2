"""Quantiles of feature columns for each bin of prompt lengths, collected part by part.

Two classes with the same methods: one holds all values and is exact, the other holds sketches of
bounded size. Objects of the same class can be merged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.errors import InputError

if TYPE_CHECKING:
    from datasketches import kll_floats_sketch
    from jaxtyping import Float, Int

    Rows = Float[np.ndarray, "rows columns"]
    Bins = Int[np.ndarray, " rows"]
    Table = Float[np.ndarray, "bins columns probabilities"]

SKETCH_SIZE = 4096
"""The parameter k of the KLL sketches (Karnin, Lang and Liberty 2016): about 12,000 values each."""

RANK_ERROR = 0.00071
"""Rank error of a sketched quantile in 99 of 100 cases, for k = 4096: measured by the authors of
the library."""


class ExactQuantiles:
    """Quantiles from all values, which are kept: 4 bytes for each float32."""

    def __init__(self, n_columns: int) -> None:
        """Start without rows for `n_columns` columns."""
        self.n_columns, self.n_rows = n_columns, 0
        self._parts: dict[int, list[Rows]] = {}

    def update(self, rows: Rows, bins: Bins) -> None:
        """Add rows with the bin of each row."""
        self.n_rows += len(rows)
        for b, of_bin in _by_bin(rows, bins, self.n_columns):
            self._parts.setdefault(b, []).append(of_bin)

    def merge(self, other: ExactQuantiles) -> None:
        """Add the rows of other quantiles of the same columns."""
        self.n_rows += other.n_rows
        for b, parts in other._parts.items():
            self._parts.setdefault(b, []).extend(parts)

    @property
    def bins(self) -> Int[np.ndarray, " bins"]:
        """Bins that have rows, increasing."""
        return np.array(sorted(self._parts), dtype=np.int64)

    def quantiles(self, probabilities: Float[np.ndarray, " probabilities"]) -> Table:
        """Return quantiles of the finite values, by Hazen's interpolation; 0 without any."""
        table = np.zeros((len(self._parts), self.n_columns, len(probabilities)))
        for row, b in enumerate(self.bins.tolist()):
            for column in range(self.n_columns):
                x = np.concatenate([part[:, column] for part in self._parts[b]])
                x = x[np.isfinite(x)].astype(np.float64)
                if len(x):
                    table[row, column] = np.quantile(x, probabilities, method="hazen")
        return table


class QuantileSketch:
    """Quantiles from a KLL sketch for each column and bin (library datasketches).

    Exact up to `SKETCH_SIZE` values. Beyond that, values are dropped at random and ranks have an
    error of `RANK_ERROR`.
    """

    def __init__(self, n_columns: int) -> None:
        """Start without rows for `n_columns` columns."""
        self.n_columns, self.n_rows = n_columns, 0
        self._sketches: dict[int, list[kll_floats_sketch]] = {}

    def update(self, rows: Rows, bins: Bins) -> None:
        """Add rows, rounded to float32, with the bin of each row."""
        self.n_rows += len(rows)
        for b, of_bin in _by_bin(rows, bins, self.n_columns):
            for sketch, values in zip(self._of_bin(b), of_bin.T, strict=True):
                x = values.astype(np.float32)
                sketch.update(x[np.isfinite(x)])

    def merge(self, other: QuantileSketch) -> None:
        """Add the rows of other sketches of the same columns."""
        self.n_rows += other.n_rows
        for b, sketches in other._sketches.items():
            for mine, theirs in zip(self._of_bin(b), sketches, strict=True):
                mine.merge(theirs)

    def _of_bin(self, b: int) -> list[kll_floats_sketch]:
        from datasketches import kll_floats_sketch

        if b not in self._sketches:
            self._sketches[b] = [kll_floats_sketch(SKETCH_SIZE) for _ in range(self.n_columns)]
        return self._sketches[b]

    @property
    def bins(self) -> Int[np.ndarray, " bins"]:
        """Bins that have rows, increasing."""
        return np.array(sorted(self._sketches), dtype=np.int64)

    def quantiles(self, probabilities: Float[np.ndarray, " probabilities"]) -> Table:
        """Return quantiles of the finite values, interpolated between kept ones; 0 without any."""
        table = np.zeros((len(self._sketches), self.n_columns, len(probabilities)))
        for row, b in enumerate(self.bins.tolist()):
            for column, sketch in enumerate(self._sketches[b]):
                if not sketch.is_empty():
                    values, weights = np.array(sorted(sketch), dtype=np.float64).T
                    # A value that stands for w values has the middle of their ranks.
                    ranks = (np.cumsum(weights) - weights / 2) / sketch.n
                    table[row, column] = np.interp(probabilities, ranks, values)
        return table


def _by_bin(rows: Rows, bins: Bins, n_columns: int) -> list[tuple[int, Rows]]:
    if rows.ndim != 2 or rows.shape[1] != n_columns or len(bins) != len(rows):
        raise InputError(
            f"values have shape {rows.shape} for {len(bins)} bins. Give (rows, {n_columns})."
        )
    return [(int(b), rows[bins == b]) for b in np.unique(bins)]
