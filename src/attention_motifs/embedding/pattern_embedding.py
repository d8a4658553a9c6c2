"""The paper's pattern embedding (section 2.3): standardised features, then their PCA.

Fitting needs the number, means and covariance of the features only. These are added up part by
part (`moments`), so memory does not grow with the number of patterns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.embedding.moments import LengthBinnedMoments, bin_of
from attention_motifs.errors import InputError
from attention_motifs.features.arguments import name_list, number_array, whole_number
from attention_motifs.features.compute import one_blas_thread
from attention_motifs.store.fitted_files import Fitted, FittedFormat, integers, strings
from attention_motifs.store.paths import ARTEFACTS

if TYPE_CHECKING:
    from jaxtyping import Float, Int

N_COMPONENTS = 16
"""Principal components kept by the paper (section 2.3)."""

_CONSTANT = 1e-9
"""A column is constant when its standard deviation is at most this times max(1, |mean|)."""

_FORMAT = FittedFormat(
    name="pattern embedding",
    version=1,
    arrays=("kept", "mean", "scale", "components", "explained_variance"),
    values={
        "feature_names": strings,
        "length_bins": integers,
        "n_rows": int,
        "n_imputed": integers,
    },
    fix=f"run `motifs {ARTEFACTS['embedding'].command}`",
)


@dataclass(frozen=True)
class PatternEmbedding(Fitted):
    """A fitted embedding of patterns: the columns used, their scaling and the components.

    New models are placed by the saved embedding, which is never refitted.

    Examples:
        >>> import numpy as np
        >>> from attention_motifs import PatternEmbedding
        >>> features = np.random.default_rng(0).normal(size=(100, 5))
        >>> embedding = PatternEmbedding.fit(features, n_components=2)
        >>> embedding.transform(features).shape
        (100, 2)
        >>> embedding.feature_names
        ('feature0', 'feature1', 'feature2', 'feature3', 'feature4')
    """

    _format = _FORMAT

    feature_names: tuple[str, ...]
    """Names of all F columns, in order."""
    kept: Int[np.ndarray, " kept"]
    """Indices of the columns that vary."""
    mean: Float[np.ndarray, "bins features"]
    """Mean of each column per bin of prompt lengths; a single bin without `length_bins`."""
    scale: Float[np.ndarray, "bins kept"]
    components: Float[np.ndarray, "components kept"]
    """Orthonormal rows, in order of variance; the largest loading of each is positive."""
    explained_variance: Float[np.ndarray, " kept"]
    """All eigenvalues of the correlation matrix, descending, of dropped components too."""
    length_bins: tuple[int, ...]
    """Edges of the bins of prompt lengths in tokens; empty for a single bin."""
    n_rows: int
    n_imputed: tuple[int, ...]
    """Number of values per column that were not finite when the embedding was fitted."""

    @property
    def n_components(self) -> int:
        """Number of components: 16 as in the paper, or fewer if fewer columns vary."""
        return len(self.components)

    @property
    def explained_variance_ratio(self) -> Float[np.ndarray, " kept"]:
        """Share of the variance of the standardised features per component; the sum is 1."""
        return np.asarray(self.explained_variance / self.explained_variance.sum())

    @classmethod
    def fit(
        cls,
        features: Float[np.ndarray, "rows features"],
        n_components: int = N_COMPONENTS,
        feature_names: Sequence[str] | None = None,
        *,
        n_tokens: Int[np.ndarray, " rows"] | None = None,
        length_bins: Sequence[int] = (),
    ) -> PatternEmbedding:
        """Standardise the features and compute their principal components (paper, section 2.3).

        Args:
            features: (rows, features), one row per pattern.
            n_components: number of components kept; fewer if fewer columns vary.
            feature_names: names of the columns. The default is the feature set `paper` if it has
                as many columns, else `feature0`, `feature1`...
            n_tokens: (rows,) prompt length of each row; needed with `length_bins` only.
            length_bins: edges of bins of prompt lengths, such as `LENGTH_BINS`. Columns are
                standardised within each bin; by default over all lengths.

        Returns:
            The fitted embedding.

        Raises:
            InputError: if the features are not a table of numbers with at least two rows and a
                column that varies, or if the names do not fit the columns.
        """
        features = number_array(features, "features", ("rows", "features"))
        moments = LengthBinnedMoments(features.shape[1], length_bins)
        moments.update(features, n_tokens)
        return cls.from_moments(moments, n_components, feature_names)

    @classmethod
    @one_blas_thread()
    def from_moments(
        cls,
        moments: LengthBinnedMoments,
        n_components: int = N_COMPONENTS,
        feature_names: Sequence[str] | None = None,
    ) -> PatternEmbedding:
        """Fit from moments that were added up before; see `fit`."""
        whole_number(n_components, "n_components", least=1)
        if moments.n_rows < 2:
            raise InputError(
                f"the embedding cannot be fitted on {moments.n_rows} pattern. Give 2 or more."
            )
        filled = [b.n_rows for b in moments.bins]
        mean = _fill_empty(np.stack([b.means() for b in moments.bins]), filled)
        covariances = np.stack([b.covariance() for b in moments.bins])
        names = _check_names(feature_names, mean.shape[1])
        deviation = np.sqrt(np.maximum(np.diagonal(covariances, axis1=1, axis2=2), 0.0))
        varies = deviation > _CONSTANT * np.maximum(1.0, np.abs(mean))
        kept = np.flatnonzero(varies[np.array(filled) > 0].any(axis=0))
        if not len(kept):
            raise InputError("no feature varies over these patterns. Use more heads or prompts.")
        # Where a column varies in some bins only, its deviations in the rest are all zero.
        scale = _fill_empty(np.where(varies, deviation, 1.0)[:, kept], filled)
        weights = np.array(filled) / moments.n_rows
        correlation = np.einsum(
            "b,bij->ij",
            weights,
            covariances[:, kept][:, :, kept] / (scale[:, :, None] * scale[:, None, :]),
        )
        eigenvalues, vectors = np.linalg.eigh(correlation)
        components = vectors.T[::-1][:n_components]
        largest = np.abs(components).argmax(axis=1)
        signs = np.sign(components[np.arange(len(components)), largest])
        return cls(
            feature_names=names,
            kept=kept,
            mean=mean,
            scale=scale,
            components=np.ascontiguousarray(components * signs[:, None]),
            explained_variance=np.maximum(eigenvalues[::-1], 0.0),
            length_bins=moments.length_bins,
            n_rows=moments.n_rows,
            n_imputed=tuple(np.sum([b.n_imputed for b in moments.bins], axis=0).tolist()),
        )

    def standardise(
        self,
        features: Float[np.ndarray, "rows features"],
        n_tokens: Int[np.ndarray, " rows"] | None = None,
    ) -> Float[np.ndarray, "rows kept"]:
        """Return z-scores of the kept columns; values that are not finite become 0, the mean.

        Args:
            features: (rows, features), the columns that the embedding was fitted on.
            n_tokens: (rows,) prompt length of each row; needed with length bins only.

        Returns:
            (rows, kept columns) in float64.

        Raises:
            InputError: if the columns differ in number, or prompt lengths are missing.
        """
        features = number_array(features, "features", ("rows", "features"))
        if features.shape[1] != len(self.feature_names):
            raise InputError(
                f"features have shape {features.shape}. This embedding was fitted on "
                f"{len(self.feature_names)} columns: give (rows, {len(self.feature_names)})."
            )
        bins = bin_of(n_tokens, self.length_bins, len(features))
        deviations = features[:, self.kept].astype(np.float64) - self.mean[:, self.kept][bins]
        deviations[~np.isfinite(deviations)] = 0.0
        return np.asarray(deviations / self.scale[bins])

    @one_blas_thread()
    def transform(
        self,
        features: Float[np.ndarray, "rows features"],
        n_tokens: Int[np.ndarray, " rows"] | None = None,
    ) -> Float[np.ndarray, "rows components"]:
        """Place patterns in the embedding; values that are not finite become the mean.

        Args:
            features: (rows, features), the columns that the embedding was fitted on.
            n_tokens: (rows,) prompt length of each row; needed with length bins only.

        Returns:
            (rows, components) in float32.

        Raises:
            InputError: if the columns differ in number, or prompt lengths are missing.
        """
        embedded = self.standardise(features, n_tokens) @ self.components.T
        return np.asarray(embedded.astype(np.float32))

    def importance(self) -> Float[np.ndarray, "components features"]:
        """Return the share of variance that each feature contributes to each component.

        Returns:
            (components, features): the squared loading times the share of variance of the
            component, 0 for constant columns. A row sums to the share of its component.
        """
        table = np.zeros((self.n_components, len(self.feature_names)))
        shares = self.explained_variance_ratio[: self.n_components, None]
        table[:, self.kept] = self.components**2 * shares
        return table

    def _fits_together(self) -> bool:
        e = self
        n_bins, n_features, n_kept = len(e.length_bins) + 1, len(e.feature_names), e.kept.size
        shapes = {
            "kept": (n_kept,),
            "mean": (n_bins, n_features),
            "scale": (n_bins, n_kept),
            "components": (e.components.shape[0] if e.components.ndim else 0, n_kept),
            "explained_variance": (n_kept,),
        }
        numbers = [getattr(e, name) for name in _FORMAT.arrays if name != "kept"]
        return bool(
            all(getattr(e, name).shape == shape for name, shape in shapes.items())
            and len(e.n_imputed) == n_features
            and list(e.length_bins) == sorted(set(e.length_bins))
            and e.kept.dtype.kind == "i"
            and np.isin(e.kept, np.arange(n_features)).all()
            and all(array.dtype == np.float64 and np.isfinite(array).all() for array in numbers)
            and (e.scale > 0).all()
            and (e.explained_variance >= 0).all()
        )


def _fill_empty(
    table: Float[np.ndarray, "bins columns"], filled: Sequence[int]
) -> Float[np.ndarray, "bins columns"]:
    """Give each bin of lengths without rows the values of the nearest bin with rows."""
    seen = np.flatnonzero(filled)
    nearest = [seen[np.abs(seen - b).argmin()] for b in range(len(filled))]
    return np.asarray(table[nearest])


def _check_names(names: Sequence[str] | None, n_features: int) -> tuple[str, ...]:
    if names is None:
        from attention_motifs.features import feature_names

        paper = feature_names("paper")
        names = paper if len(paper) == n_features else [f"feature{i}" for i in range(n_features)]
    names = name_list(names, "feature names")
    if len(names) != n_features:
        raise InputError(f"{len(names)} feature names for {n_features} columns. Give one for each.")
    return tuple(names)
