"""Counts, means and covariances of features, added up part by part.

Parts can be added up in any order and on any machine. The result equals that of all rows together,
up to rounding in float64. A part holds its means and its sums of products about these means. Two
parts are merged by the update of Chan, Golub and LeVeque (1979), which avoids cancellation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.errors import InputError
from attention_motifs.features.arguments import whole_numbers
from attention_motifs.features.compute import one_blas_thread

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    Square = Float[np.ndarray, "features features"]


class FeatureMoments:
    """Counts, means and co-moments of feature columns, in float64 and mergeable.

    NaN and infinite values are left out. The covariance takes them as the mean of their column,
    as if they were imputed by the mean. A constant column has a variance of exactly zero.
    The object holds three tables of features by features.
    """

    def __init__(self, n_features: int) -> None:
        """Start without rows for `n_features` columns."""
        self.n_rows = 0
        # Entry [i, j] covers the rows where columns i and j are both finite: the number of these
        # rows, the mean of i, and the sum of products of the deviations of i and j.
        self._count = np.zeros((n_features, n_features))
        self._mean = np.zeros((n_features, n_features))
        self._product = np.zeros((n_features, n_features))

    @one_blas_thread()
    def update(self, rows: Float[np.ndarray, "rows features"]) -> None:
        """Add rows of features; the order of the calls changes the last bits only.

        Raises:
            InputError: if the number of columns differs.
        """
        n_features = len(self._count)
        if rows.ndim != 2 or rows.shape[1] != n_features:
            raise InputError(f"features have shape {rows.shape}. Give (rows, {n_features}).")
        if not len(rows):
            return
        values = np.asarray(rows, dtype=np.float64)
        finite = np.isfinite(values)
        mask = finite.astype(np.float64)
        # From the first finite value, so that a column of equal values has deviations of zero.
        first = values[finite.argmax(axis=0), np.arange(n_features)]
        first[~finite.any(axis=0)] = 0.0
        deviations = np.where(finite, values - first, 0.0)
        shift = deviations.sum(axis=0) / np.maximum(mask.sum(axis=0), 1.0)
        deviations -= shift * mask
        product = deviations.T @ deviations
        if finite.all():
            count, means = np.full_like(product, len(values)), np.zeros_like(product)
        else:
            count, sums = mask.T @ mask, deviations.T @ mask
            means = sums / np.maximum(count, 1.0)
            product -= means * sums.T
        self._add(len(values), count, (first + shift)[:, None] + means, product)

    def merge(self, other: FeatureMoments) -> None:
        """Add the rows of other moments of the same columns.

        Raises:
            InputError: if the number of columns differs.
        """
        if len(other._count) != len(self._count):
            raise InputError(
                f"moments of {len(other._count)} features cannot be merged with those of "
                f"{len(self._count)}"
            )
        self._add(other.n_rows, other._count, other._mean, other._product)

    def _add(self, n_rows: int, count: Square, mean: Square, product: Square) -> None:
        self.n_rows += n_rows
        total = self._count + count
        share = count / np.maximum(total, 1.0)
        # A part without rows of a pair of columns has no mean for it.
        step = np.where((count > 0) & (self._count > 0), mean - self._mean, 0.0)
        self._product += product + self._count * share * step * step.T
        self._mean = np.where(self._count > 0, self._mean + share * step, mean)
        self._count = total

    @property
    def n_imputed(self) -> Int[np.ndarray, " features"]:
        """Return how many values of each column are not finite."""
        return np.asarray(self.n_rows - np.diag(self._count).astype(np.int64))

    def means(self) -> Float[np.ndarray, " features"]:
        """Return the mean of the finite values of each column; 0 without any."""
        return np.where(np.diag(self._count) > 0, np.diag(self._mean), 0.0)

    def covariance(self) -> Square:
        """Return the covariance (ddof 0), with values that are not finite set to the mean."""
        apart = np.where(self._count > 0, self._mean - self.means()[:, None], 0.0)
        total = self._product + self._count * apart * apart.T
        return np.asarray(total / max(self.n_rows, 1))


class LengthBinnedMoments:
    """`FeatureMoments` for each bin of prompt lengths; a single bin without edges."""

    def __init__(self, n_features: int, length_bins: Sequence[int] = ()) -> None:
        """Start without rows; `length_bins` are increasing edges in tokens."""
        self.length_bins = tuple(whole_numbers(length_bins, "length bins"))
        if list(self.length_bins) != sorted(set(self.length_bins)):
            raise InputError(f"length bins are {self.length_bins}. Give increasing edges.")
        self.bins = tuple(FeatureMoments(n_features) for _ in range(len(self.length_bins) + 1))

    @property
    def n_rows(self) -> int:
        """Rows of all bins."""
        return sum(moments.n_rows for moments in self.bins)

    def update(
        self,
        rows: Float[np.ndarray, "rows features"],
        n_tokens: Int[np.ndarray, " rows"] | None = None,
    ) -> None:
        """Add rows of features with the prompt length of each in tokens."""
        bins = bin_of(n_tokens, self.length_bins, len(rows))
        for b in np.unique(bins):
            self.bins[b].update(rows[bins == b])

    def merge(self, other: LengthBinnedMoments) -> None:
        """Add the rows of other moments of the same columns and bins.

        Raises:
            InputError: if the columns or the edges differ.
        """
        if other.length_bins != self.length_bins:
            raise InputError(
                f"moments by length bins {other.length_bins} cannot be merged with those by "
                f"{self.length_bins}"
            )
        for mine, theirs in zip(self.bins, other.bins, strict=True):
            mine.merge(theirs)


class WithinGroupMoments:
    """Covariance of rows about the mean of their group, pooled over groups, and mergeable.

    A group is a head, named by its model and its place there; its rows are its patterns.
    """

    def __init__(self, n_features: int) -> None:
        """Start without rows for `n_features` columns."""
        self.n_rows = 0
        self._product = np.zeros((n_features, n_features))
        # For each model: the number of rows per head, and the means of its heads.
        self._count: dict[str, int] = {}
        self._mean: dict[str, Float[np.ndarray, "heads features"]] = {}

    @one_blas_thread()
    def update(self, rows: Float[np.ndarray, "prompts heads features"], model: str) -> None:
        """Add finite rows of all heads of a model on some prompts."""
        if not len(rows):
            return
        values = np.asarray(rows, dtype=np.float64)
        mean = values[0] + (values - values[0]).mean(axis=0)
        deviations = (values - mean).reshape(-1, values.shape[2])
        self.n_rows += len(deviations)
        self._product += deviations.T @ deviations
        self._add(model, len(values), mean)

    def merge(self, other: WithinGroupMoments) -> None:
        """Add the rows of other moments of the same columns, of any heads."""
        self.n_rows += other.n_rows
        self._product += other._product
        for model, mean in other._mean.items():
            self._add(model, other._count[model], mean)

    def _add(self, model: str, count: int, mean: Float[np.ndarray, "heads features"]) -> None:
        before = self._count.get(model, 0)
        if not before:
            self._count[model], self._mean[model] = count, mean
            return
        if mean.shape != self._mean[model].shape:
            raise InputError(
                f"{model}: parts of {len(self._mean[model])} and of {len(mean)} heads do not go "
                "together"
            )
        step = mean - self._mean[model]
        self._count[model] = before + count
        self._mean[model] = self._mean[model] + step * (count / (before + count))
        self._product += step.T @ step * (before * count / (before + count))

    def covariance(self) -> Square:
        """Return the mean over rows of the products of deviations (ddof 0)."""
        return np.asarray(self._product / max(self.n_rows, 1))


def bin_of(
    n_tokens: Int[np.ndarray, " rows"] | None, edges: tuple[int, ...], n_rows: int
) -> Int[np.ndarray, " rows"]:
    """Return the bin of prompt lengths of each row; all 0 without edges.

    Raises:
        InputError: if there are edges, but not a length for each row.
    """
    if not edges:
        return np.zeros(n_rows, dtype=np.int64)
    if n_tokens is None or len(n_tokens) != n_rows:
        raise InputError(
            "an embedding with length bins needs the prompt length of every row. Give n_tokens."
        )
    return np.searchsorted(edges, n_tokens, side="right")
