"""Stage 4: the pattern embedding, the paper's E (section 2.3): standardise, then PCA.

The embedding needs only the features' count, means and covariance, which are summed part by
part (`FeatureMoments`), so that memory does not grow with the number of patterns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs import files
from attention_motifs.errors import AtlasError, InputError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

N_COMPONENTS = 16
"""Principal components kept by the paper (section 2.3)."""

LENGTH_BINS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048)
"""Edges of the bins of prompt lengths, in tokens, for `--length-bins`: bin b holds the lengths
from edge b - 1 up to, but not including, edge b."""

_CONSTANT = 1e-9
"""A column is constant when its standard deviation is at most this times max(1, |mean|)."""

_ARRAYS = ("kept", "mean", "scale", "components", "explained_variance")

_MEND = "run `motifs embed --force` to make it anew"


class FeatureMoments:
    """Counts, means and co-moments of feature columns, exact in float64 and mergeable.

    Values that are NaN or infinite are left out, and enter the covariance as the column's mean,
    which is what imputing them by the mean does. Sums are taken about the first finite value of
    each column, so that a constant column keeps a variance of exactly zero.
    """

    def __init__(self, n_features: int) -> None:
        """Start with nothing seen of `n_features` columns."""
        self.n_rows = 0
        self._shift = np.full(n_features, np.nan)
        # Over rows where both columns are finite: count, sum of the first, sum of products.
        self._count = np.zeros((n_features, n_features))
        self._sum = np.zeros((n_features, n_features))
        self._product = np.zeros((n_features, n_features))

    def update(self, rows: Float[np.ndarray, "rows features"]) -> None:
        """Add rows of features; the order of the calls changes only the last bits."""
        if rows.ndim != 2 or rows.shape[1] != len(self._shift):
            raise InputError(
                f"features have shape {rows.shape}: (rows, {len(self._shift)}) is expected"
            )
        if not len(rows):
            return
        values = np.asarray(rows, dtype=np.float64)
        finite = np.isfinite(values)
        unset = np.isnan(self._shift) & finite.any(axis=0)
        if unset.any():
            first = finite.argmax(axis=0)
            self._shift[unset] = values[first[unset], np.flatnonzero(unset)]
        mask = finite.astype(np.float64)
        deviations = np.where(finite, values - np.nan_to_num(self._shift), 0.0)
        self.n_rows += len(values)
        self._count += mask.T @ mask
        self._sum += deviations.T @ mask
        self._product += deviations.T @ deviations

    @property
    def n_imputed(self) -> Int[np.ndarray, " features"]:
        """How many values of each column are not finite."""
        return np.asarray(self.n_rows - np.diag(self._count).astype(np.int64))

    def means(self) -> Float[np.ndarray, " features"]:
        """Mean of the finite values of each column; 0 where there is none."""
        count = np.diag(self._count)
        shifted = np.divide(np.diag(self._sum), count, out=np.zeros_like(count), where=count > 0)
        return np.asarray(shifted + np.nan_to_num(self._shift))

    def covariance(self) -> Float[np.ndarray, "features features"]:
        """Covariance (ddof 0) after imputing values that are not finite by the column mean."""
        mean = self.means() - np.nan_to_num(self._shift)
        total = (
            self._product
            - self._sum * mean[None, :]
            - (self._sum * mean[None, :]).T
            + self._count * np.outer(mean, mean)
        )
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


@dataclass(frozen=True)
class PatternEmbedding:
    """The fitted embedding: which columns, how standardised, and the principal components.

    A new model is transformed by the saved embedding, never refitted.
    """

    feature_names: tuple[str, ...]
    """All F columns it takes, in order."""
    kept: Int[np.ndarray, " kept"]
    """Indices of the columns that are not constant."""
    mean: Float[np.ndarray, "bins features"]
    """Per bin of prompt lengths; one bin unless `length_bins` are given."""
    scale: Float[np.ndarray, "bins kept"]
    components: Float[np.ndarray, "components kept"]
    """Orthonormal rows, largest variance first; the largest loading of each is positive."""
    explained_variance: Float[np.ndarray, " kept"]
    """All eigenvalues of the correlation matrix, descending, also of components not kept."""
    length_bins: tuple[int, ...]
    """Edges of the bins of lengths in tokens; empty where lengths are not told apart."""
    n_rows: int
    n_imputed: tuple[int, ...]
    """Values that were not finite, per column, when it was fitted."""

    @property
    def n_components(self) -> int:
        """Number of principal components, 16 as in the paper unless there are fewer columns."""
        return len(self.components)

    @property
    def explained_variance_ratio(self) -> Float[np.ndarray, " kept"]:
        """Share of the standardised features' variance per component; sums to 1."""
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
        """Standardise the features and find their principal components (paper, section 2.3).

        Args:
            features: one row per pattern.
            n_components: how many to keep; fewer are kept if fewer columns vary.
            feature_names: of the columns; by default those of the set `paper` if the number
                agrees, else `feature0`...
            n_tokens: the length of each row's prompt; needed with `length_bins` only.
            length_bins: edges of bins of lengths within which to standardise, such as
                `LENGTH_BINS`; by default all lengths are standardised together.

        Raises:
            InputError: if there are fewer than two rows, no column varies, or names and columns
                disagree in number.
        """
        if features.ndim != 2:
            raise InputError(f"features have shape {features.shape}: (rows, features) is expected")
        moments = LengthBinnedMoments(features.shape[1], length_bins)
        moments.update(features, n_tokens)
        return cls.from_moments(moments, n_components, feature_names)

    @classmethod
    def from_moments(
        cls,
        moments: LengthBinnedMoments,
        n_components: int = N_COMPONENTS,
        feature_names: Sequence[str] | None = None,
    ) -> PatternEmbedding:
        """Fit from sums taken part by part before; see `fit`."""
        if n_components < 1:
            raise InputError(f"n_components = {n_components}: at least 1 is needed")
        if moments.n_rows < 2:
            raise InputError(f"an embedding needs at least 2 patterns, not {moments.n_rows}")
        filled = [b.n_rows for b in moments.bins]
        mean = _fill_empty(np.stack([b.means() for b in moments.bins]), filled)
        covariances = np.stack([b.covariance() for b in moments.bins])
        names = _check_names(feature_names, mean.shape[1])
        deviation = np.sqrt(np.maximum(np.diagonal(covariances, axis1=1, axis2=2), 0.0))
        varies = deviation > _CONSTANT * np.maximum(1.0, np.abs(mean))
        kept = np.flatnonzero(varies[np.array(filled) > 0].any(axis=0))
        if not len(kept):
            raise InputError("no feature varies over these patterns: use more heads or prompts")
        # Where a column varies in some bins only, its deviations in the others are all zero.
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
        """Z-scores of the kept columns in float64; values not finite become 0, the mean.

        Raises:
            InputError: if the number of columns is not the fitted one, or lengths are missing.
        """
        if features.ndim != 2 or features.shape[1] != len(self.feature_names):
            raise InputError(
                f"features have shape {features.shape}: (rows, {len(self.feature_names)}) is "
                "what this embedding was fitted on"
            )
        bins = bin_of(n_tokens, self.length_bins, len(features))
        deviations = features[:, self.kept].astype(np.float64) - self.mean[:, self.kept][bins]
        deviations[~np.isfinite(deviations)] = 0.0
        return np.asarray(deviations / self.scale[bins])

    def transform(
        self,
        features: Float[np.ndarray, "rows features"],
        n_tokens: Int[np.ndarray, " rows"] | None = None,
    ) -> Float[np.ndarray, "rows components"]:
        """Place patterns in the embedding: float32 rows; values not finite become the mean.

        Raises:
            InputError: if the number of columns is not the fitted one, or lengths are missing.
        """
        embedded = self.standardise(features, n_tokens) @ self.components.T
        return np.asarray(embedded.astype(np.float32))

    def importance(self) -> Float[np.ndarray, "components features"]:
        """Squared loading of every feature on every component times the component's share.

        Rows are components, columns all features (0 for constant ones); a row sums to the
        component's share of the variance.
        """
        table = np.zeros((self.n_components, len(self.feature_names)))
        shares = self.explained_variance_ratio[: self.n_components, None]
        table[:, self.kept] = self.components**2 * shares
        return table

    def save(self, path: str | Path) -> None:
        """Write `<path>.safetensors` and `<path>.json`, without pickle."""
        base = path_without_ending(path)
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        description = {
            "format": "attention-motifs pattern embedding",
            "version": 1,
            "feature_names": list(self.feature_names),
            "length_bins": list(self.length_bins),
            "n_rows": self.n_rows,
            "n_imputed": list(self.n_imputed),
        }
        files.write_tensors(base.with_name(base.name + ".safetensors"), arrays, {})
        files.write_json(base.with_name(base.name + ".json"), description)

    @classmethod
    def load(cls, path: str | Path, mend: str = _MEND) -> PatternEmbedding:
        """Read what `save` wrote, equal bit for bit.

        Args:
            path: as given to `save`.
            mend: what errors tell the user to do.

        Raises:
            AtlasError: if a file is missing, damaged or of another format.
        """
        base = path_without_ending(path)
        json_path = base.with_name(base.name + ".json")
        description = files.read_json(json_path, mend)
        if not isinstance(description, dict) or description.get("version") != 1:
            raise AtlasError(f"{json_path}: not an embedding of version 1; {mend}")
        try:
            told: dict[str, Any] = {
                "feature_names": tuple(map(str, description["feature_names"])),
                "length_bins": tuple(map(int, description["length_bins"])),
                "n_rows": int(description["n_rows"]),
                "n_imputed": tuple(map(int, description["n_imputed"])),
            }
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise files.damaged(json_path, mend, error) from error
        tensors_path = base.with_name(base.name + ".safetensors")
        arrays, _ = files.read_tensors(tensors_path, mend)
        if missing := [name for name in _ARRAYS if name not in arrays]:
            raise AtlasError(f"{tensors_path}: has no {missing[0]}; {mend}")
        told.update({name: arrays[name] for name in _ARRAYS})
        embedding = cls(**told)
        if not _fits_together(embedding):
            raise AtlasError(
                f"{tensors_path}: not the arrays that {json_path.name} describes; {mend}"
            )
        return embedding


def _fits_together(embedding: PatternEmbedding) -> bool:
    """Whether the shapes and values of an embedding are such as `fit` makes them."""
    e = embedding
    n_bins, n_features, n_kept = len(e.length_bins) + 1, len(e.feature_names), e.kept.size
    shapes = {
        "kept": (n_kept,),
        "mean": (n_bins, n_features),
        "scale": (n_bins, n_kept),
        "components": (e.components.shape[0] if e.components.ndim else 0, n_kept),
        "explained_variance": (n_kept,),
    }
    numbers = [getattr(e, name) for name in _ARRAYS if name != "kept"]
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


def _fill_empty(
    table: Float[np.ndarray, "bins columns"], filled: Sequence[int]
) -> Float[np.ndarray, "bins columns"]:
    """Give bins of lengths that saw no row the values of the nearest bin that did."""
    seen = np.flatnonzero(filled)
    nearest = [seen[np.abs(seen - b).argmin()] for b in range(len(filled))]
    return np.asarray(table[nearest])


def path_without_ending(path: str | Path) -> Path:
    """Return the path without the ending of either of the two files."""
    path = Path(path)
    return path.with_suffix("") if path.suffix in {".safetensors", ".json"} else path


def _check_names(names: Sequence[str] | None, n_features: int) -> tuple[str, ...]:
    if names is None:
        from attention_motifs.features import feature_names

        paper = feature_names("paper")
        names = paper if len(paper) == n_features else [f"feature{i}" for i in range(n_features)]
    if len(names) != n_features:
        raise InputError(f"{len(names)} feature names for {n_features} columns")
    return tuple(names)
