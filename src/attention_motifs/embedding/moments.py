"""Counts, means and covariances of features, summed part by part and merged.

Parts can be summed anywhere and merged in any order: the result is that of all rows at once, up to
rounding in float64. A part holds its means and its sums about these means, and two parts are merged
by the update of Chan, Golub and LeVeque (1979), so that nothing cancels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    Square = Float[np.ndarray, "features features"]


class FeatureMoments:
    """Counts, means and co-moments of feature columns, exact in float64 and mergeable.

    Values that are NaN or infinite are left out, and enter the covariance as the column's mean,
    which is what imputing them by the mean does. A constant column has a variance of exactly zero.
    Memory is that of three tables of features by features.
    """

    def __init__(self, n_features: int) -> None:
        """Start with nothing seen of `n_features` columns."""
        self.n_rows = 0
        # Entry [i, j] is over the rows where columns i and j are both finite: their count, the mean
        # of i, and the sum of products of the deviations of i and j from their means there.
        self._count = np.zeros((n_features, n_features))
        self._mean = np.zeros((n_features, n_features))
        self._product = np.zeros((n_features, n_features))

    def update(self, rows: Float[np.ndarray, "rows features"]) -> None:
        """Add rows of features; the order of the calls changes only the last bits.

        Raises:
            InputError: if the rows have another number of columns.
        """
        n_features = len(self._count)
        if rows.ndim != 2 or rows.shape[1] != n_features:
            raise InputError(f"features have shape {rows.shape}: (rows, {n_features}) is expected")
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
        """Add what another has seen of the same columns.

        Raises:
            InputError: if the other has another number of columns.
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
        # A part that saw nothing of a pair of columns has no mean there.
        step = np.where((count > 0) & (self._count > 0), mean - self._mean, 0.0)
        self._product += product + self._count * share * step * step.T
        self._mean = np.where(self._count > 0, self._mean + share * step, mean)
        self._count = total

    @property
    def n_imputed(self) -> Int[np.ndarray, " features"]:
        """How many values of each column are not finite."""
        return np.asarray(self.n_rows - np.diag(self._count).astype(np.int64))

    def means(self) -> Float[np.ndarray, " features"]:
        """Mean of the finite values of each column; 0 where there is none."""
        return np.where(np.diag(self._count) > 0, np.diag(self._mean), 0.0)

    def covariance(self) -> Square:
        """Covariance (ddof 0) after imputing values that are not finite by the column mean."""
        apart = np.where(self._count > 0, self._mean - self.means()[:, None], 0.0)
        total = self._product + self._count * apart * apart.T
        return np.asarray(total / max(self.n_rows, 1))


class LengthBinnedMoments:
    """`FeatureMoments` for each bin of prompt lengths; one bin without edges."""

    def __init__(self, n_features: int, length_bins: Sequence[int] = ()) -> None:
        """Start with nothing seen; `length_bins` are increasing edges in tokens."""
        self.length_bins = tuple(int(edge) for edge in length_bins)
        if list(self.length_bins) != sorted(set(self.length_bins)):
            raise InputError(f"length bins {self.length_bins}: the edges must increase")
        self.bins = tuple(FeatureMoments(n_features) for _ in range(len(self.length_bins) + 1))

    @property
    def n_rows(self) -> int:
        """Rows seen in all bins."""
        return sum(moments.n_rows for moments in self.bins)

    def update(
        self,
        rows: Float[np.ndarray, "rows features"],
        n_tokens: Int[np.ndarray, " rows"] | None = None,
    ) -> None:
        """Add rows of features with the lengths of their prompts."""
        bins = bin_of(n_tokens, self.length_bins, len(rows))
        for b in np.unique(bins):
            self.bins[b].update(rows[bins == b])

    def merge(self, other: LengthBinnedMoments) -> None:
        """Add what another has seen of the same columns in the same bins.

        Raises:
            InputError: if the other has other columns or other edges.
        """
        if other.length_bins != self.length_bins:
            raise InputError(
                f"moments by length bins {other.length_bins} cannot be merged with those by "
                f"{self.length_bins}"
            )
        for own, others in zip(self.bins, other.bins, strict=True):
            own.merge(others)


class WithinGroupMoments:
    """The covariance of rows about the mean of their group, pooled over groups, and mergeable.

    A group is a head, named by its model and its place there; its rows are its patterns.
    """

    def __init__(self, n_features: int) -> None:
        """Start with nothing seen of `n_features` columns, which are finite."""
        self.n_rows = 0
        self._product = np.zeros((n_features, n_features))
        # Of each model: rows of each of its heads, and the heads' means.
        self._count: dict[str, int] = {}
        self._mean: dict[str, Float[np.ndarray, "heads features"]] = {}

    def update(self, rows: Float[np.ndarray, "prompts heads features"], model: str) -> None:
        """Add finite rows of all heads of one model on some prompts."""
        if not len(rows):
            return
        values = np.asarray(rows, dtype=np.float64)
        mean = values[0] + (values - values[0]).mean(axis=0)
        deviations = (values - mean).reshape(-1, values.shape[2])
        self.n_rows += len(deviations)
        self._product += deviations.T @ deviations
        self._add(model, len(values), mean)

    def merge(self, other: WithinGroupMoments) -> None:
        """Add what another has seen of the same columns, of the same heads and of others."""
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
        """Mean over rows of the products of deviations (ddof 0)."""
        return np.asarray(self._product / max(self.n_rows, 1))


def bin_of(
    n_tokens: Int[np.ndarray, " rows"] | None, edges: tuple[int, ...], n_rows: int
) -> Int[np.ndarray, " rows"]:
    """Bin of lengths of each row; all zero without edges.

    Raises:
        InputError: if there are edges and the lengths are missing.
    """
    if not edges:
        return np.zeros(n_rows, dtype=np.int64)
    if n_tokens is None or len(n_tokens) != n_rows:
        raise InputError("an embedding by length bins needs the number of tokens of every row")
    return np.searchsorted(edges, n_tokens, side="right")
