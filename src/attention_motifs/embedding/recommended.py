"""The embedding of a block of the presets (docs/distances.md).

Each feature is mapped to a standard normal by its rank among the fitted
patterns of about the same length. The space is then whitened by the covariance within heads (WCCN,
Hatch and Stolcke 2006, with heads for speakers and prompts for utterances). The mean over the heads
of a model is subtracted on each prompt. No label and no behaviour score is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.embedding.moments import WithinGroupMoments, bin_of
from attention_motifs.embedding.quantiles import ExactQuantiles, QuantileSketch
from attention_motifs.errors import InputError
from attention_motifs.features.arguments import name_list, number_array, whole_numbers
from attention_motifs.features.compute import one_blas_thread
from attention_motifs.store.fitted_files import Fitted, FittedFormat, integers, strings
from attention_motifs.store.paths import ARTEFACTS
from attention_motifs.store.presets import RIDGE as RIDGE
from attention_motifs.store.settings import LENGTH_BINS

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    Features = Float[np.ndarray, "prompts heads features"]
    Lengths = Int[np.ndarray, " prompts"]

FEATURE_SET = "extended"
"""The feature set whose names are the default."""

N_QUANTILES = 257
"""Quantiles kept per feature and bin of lengths; 33 and 4097 measured the same."""

_COLUMNS_AT_A_TIME = 16
"""Features whose values are in memory at a time while their quantiles are computed."""

EXACT_ROWS = 4_000_000
"""Number of patterns up to which quantiles are exact: a group of columns takes 256 MB."""

_FORMAT = FittedFormat(
    name="recommended preset",
    version=1,
    arrays=("bins", "quantiles", "whitening"),
    values={"feature_names": strings, "length_bins": integers, "n_rows": int},
    fix=f"run `motifs {ARTEFACTS['block'].command}`",
)

ReadParts = Callable[[Sequence[str]], Iterator[tuple["Features", "Lengths", str]]]
"""A function from names of features to parts: values, tokens per prompt, and the model's name.
Parts of a model have the same heads and different prompts."""


@dataclass(frozen=True)
class RecommendedEmbedding(Fitted):
    """The fitted embedding of a block: quantiles per feature and length, and the whitening.

    New models are placed by the saved embedding, which is never refitted.

    Examples:
        >>> import numpy as np
        >>> from attention_motifs import RecommendedEmbedding
        >>> features = np.random.default_rng(0).normal(size=(20, 6, 4))
        >>> n_tokens = np.full(20, 64)
        >>> embedding = RecommendedEmbedding.fit(features, n_tokens)
        >>> embedding.place(features, n_tokens).shape
        (20, 6, 4)
    """

    _format = _FORMAT

    feature_names: tuple[str, ...]
    """Names of all F columns, in order."""
    length_bins: tuple[int, ...]
    """Edges of the bins of prompt lengths, in tokens."""
    bins: Int[np.ndarray, " seen"]
    """Bins with fitted patterns, increasing; prompts of another length use the nearest bin."""
    quantiles: Float[np.ndarray, "seen features knots"]
    """Quantiles of the fitted values, at the probabilities (k + 1/2) / knots."""
    whitening: Float[np.ndarray, "features features"]
    """(W + ridge I)^(-1/2), symmetric, of the pooled within-head covariance W."""
    n_rows: int
    """Number of patterns that it was fitted on."""

    @classmethod
    def fit(
        cls,
        features: Features,
        n_tokens: Lengths,
        feature_names: Sequence[str] | None = None,
        *,
        length_bins: Sequence[int] = LENGTH_BINS,
    ) -> RecommendedEmbedding:
        """Fit on the patterns of all heads together.

        Args:
            features: (prompts, heads, features); values that are not finite are left out.
            n_tokens: (prompts,) prompt lengths in tokens.
            feature_names: names of the columns. The default is the feature set `extended` if it
                has as many columns, else `feature0`, `feature1`...
            length_bins: edges of bins of prompt lengths, within which features are ranked.

        Returns:
            The fitted embedding.

        Raises:
            InputError: if the shapes do not fit together or there are no patterns.
        """
        features, n_tokens = _check(features, n_tokens)
        names = _names(feature_names, features.shape[2])

        def read(columns: Sequence[str]) -> Iterator[tuple[Features, Lengths, str]]:
            yield features[:, :, [names.index(name) for name in columns]], n_tokens, ""

        return cls.fit_parts(read, names, length_bins=length_bins)

    @classmethod
    @one_blas_thread()
    def fit_parts(
        cls,
        read: ReadParts,
        feature_names: Sequence[str],
        *,
        length_bins: Sequence[int] = LENGTH_BINS,
        sketch: bool = False,
        done: Callable[[], None] = lambda: None,
    ) -> RecommendedEmbedding:
        """Fit on parts that are read several times, to bound the memory.

        Args:
            read: a function that yields the parts; see `ReadParts`.
            feature_names: names of all columns.
            length_bins: edges of bins of prompt lengths, within which features are ranked.
            sketch: whether to estimate quantiles by sketches of bounded size, with rank errors of
                `quantiles.RANK_ERROR` that differ between runs. By default quantiles are exact
                and a few columns of all patterns are in memory.
            done: called after each of the `passes(F)` passes over the parts.

        Raises:
            InputError: if there are no patterns.
        """
        names = tuple(feature_names)
        edges = tuple(whole_numbers(length_bins, "length bins"))
        step = len(names) if sketch else _COLUMNS_AT_A_TIME
        kind = QuantileSketch if sketch else ExactQuantiles
        quantiles: list[np.ndarray] = []
        for start in range(0, len(names), step):
            group = names[start : start + step]
            collected = kind(len(group))
            quantiles.append(_quantiles(read(group), collected, edges))
            done()
        ranked = cls(
            feature_names=names,
            length_bins=edges,
            bins=collected.bins,
            quantiles=np.concatenate(quantiles, axis=1),
            whitening=np.eye(len(names)),
            n_rows=collected.n_rows,
        )
        within = WithinGroupMoments(len(names))
        for values, n_tokens, model in read(names):
            within.update(ranked.ranked(values, n_tokens), model)
        done()
        return replace(ranked, whitening=_inverse_root(within.covariance(), RIDGE))

    def ranked(self, features: Features, n_tokens: Lengths) -> Features:
        """Map each feature to a standard normal by its rank among the fitted values.

        The map is linear between quantiles. Equal quantiles share the mean of their probabilities.
        Values beyond the fitted ones, and infinite ones, are clipped. NaN becomes 0, the median.

        Args:
            features: (prompts, heads, features), the columns that the embedding was fitted on.
            n_tokens: (prompts,) prompt lengths in tokens.

        Returns:
            (prompts, heads, features) in float64.

        Raises:
            InputError: if the columns differ in number, or the shapes do not fit together.
        """
        features, n_tokens = _check(features, n_tokens)
        n_features = len(self.feature_names)
        if features.shape[2] != n_features:
            raise InputError(
                f"features have shape {features.shape}. This embedding was fitted on {n_features} "
                f"columns: give (prompts, heads, {n_features})."
            )
        bins = bin_of(n_tokens, self.length_bins, len(features))
        serving = np.abs(self.bins[None, :] - bins[:, None]).argmin(axis=1)
        scores = np.zeros(features.shape)
        for b in np.unique(serving):
            prompts = serving == b
            for f, (values, normal) in enumerate(self._maps[b]):
                x = features[prompts, :, f].astype(np.float64)
                scores[prompts, :, f] = np.where(np.isnan(x), 0.0, np.interp(x, values, normal))
        return scores

    @one_blas_thread()
    def place(self, features: Features, n_tokens: Lengths) -> Features:
        """Place the patterns of one model in the embedding.

        Args:
            features: (prompts, heads, features) of all heads of the model. The mean over the heads
                is subtracted on each prompt.
            n_tokens: (prompts,) prompt lengths in tokens.

        Returns:
            Head clouds for `metric="natural"`: (prompts, heads, features) in float32.

        Raises:
            InputError: if the columns differ in number, or the shapes do not fit together.
        """
        white = self.ranked(features, n_tokens) @ self.whitening
        return np.asarray((white - white.mean(axis=1, keepdims=True)).astype(np.float32))

    @one_blas_thread()
    def with_ridge(
        self, clouds: Float[np.ndarray, "stimuli heads features"], ridge: float
    ) -> Float[np.ndarray, "stimuli heads features"]:
        """Return clouds as if the whitening had another ridge.

        Args:
            clouds: (stimuli, heads, features) as `place` returns them, of one model.
            ridge: the other ridge, above 0; the variances of features are 1.

        Returns:
            (stimuli, heads, features) in float32.
        """
        if ridge == RIDGE:
            return clouds
        roots, directions = np.linalg.eigh(self.whitening)
        within = np.maximum(roots**-2 - RIDGE, 0)
        change = (directions / (roots * np.sqrt(within + ridge))) @ directions.T
        return np.asarray(clouds @ change.astype(np.float32))

    @cached_property
    def _maps(self) -> list[list[tuple[np.ndarray, np.ndarray]]]:
        """Distinct quantiles and their normal scores, per bin and feature."""
        from scipy.special import ndtri

        n = self.quantiles.shape[2]
        probabilities = (np.arange(n) + 0.5) / n
        maps: list[list[tuple[np.ndarray, np.ndarray]]] = []
        for of_bin in self.quantiles:
            maps.append([])
            for values in of_bin:
                distinct, group, count = np.unique(values, return_inverse=True, return_counts=True)
                mean = np.bincount(group.reshape(-1), probabilities) / count
                maps[-1].append((distinct, ndtri(mean)))
        return maps

    def _fits_together(self) -> bool:
        e = self
        n_features = len(e.feature_names)
        return bool(
            e.bins.ndim == 1
            and e.bins.size > 0
            and e.bins.dtype == np.int64
            and (np.diff(e.bins) > 0).all()
            and e.bins[0] >= 0
            and e.bins[-1] <= len(e.length_bins)
            and list(e.length_bins) == sorted(set(e.length_bins))
            and e.quantiles.ndim == 3
            and e.quantiles.shape[:2] == (e.bins.size, n_features)
            and e.quantiles.shape[2] > 0
            and e.quantiles.dtype == np.float64
            and np.isfinite(e.quantiles).all()
            and (np.diff(e.quantiles, axis=2) >= 0).all()
            and e.whitening.shape == (n_features, n_features)
            and e.whitening.dtype == np.float64
            and np.isfinite(e.whitening).all()
        )


def passes(n_features: int, *, sketch: bool = False) -> int:
    """Return how often `fit_parts` reads the parts: once per group of columns, and once more."""
    return (1 if sketch else len(_starts(n_features))) + 1


def _starts(n_features: int) -> range:
    return range(0, n_features, _COLUMNS_AT_A_TIME)


def _quantiles(
    parts: Iterator[tuple[Features, Lengths, str]],
    collected: ExactQuantiles | QuantileSketch,
    edges: tuple[int, ...],
) -> Float[np.ndarray, "seen columns knots"]:
    """Return quantiles of the finite values of each bin with rows; 0 without finite values."""
    for part, n_tokens, _ in parts:
        _check(part, n_tokens)
        bins = np.repeat(bin_of(n_tokens, edges, len(part)), part.shape[1])
        collected.update(part.reshape(-1, part.shape[2]), bins)
    if not collected.n_rows:
        raise InputError("the block cannot be fitted: there are no patterns. Give one or more.")
    return collected.quantiles((np.arange(N_QUANTILES) + 0.5) / N_QUANTILES)


def _inverse_root(
    within: Float[np.ndarray, "features features"], ridge: float
) -> Float[np.ndarray, "features features"]:
    """(within + ridge I)^(-1/2), symmetric."""
    variances, directions = np.linalg.eigh(within + ridge * np.eye(len(within)))
    root = (directions / np.sqrt(variances)) @ directions.T
    return np.asarray((root + root.T) / 2)


def _check(features: object, n_tokens: object) -> tuple[np.ndarray, np.ndarray]:
    values = number_array(features, "features", ("prompts", "heads", "features"))
    lengths = number_array(n_tokens, "numbers of tokens", ("prompts",))
    if len(lengths) != len(values) or values.size == 0:
        raise InputError(
            f"features have shape {values.shape} for {len(lengths)} prompts. Give "
            "(prompts, heads, features), all of them 1 or more."
        )
    return values, lengths


def _names(names: Sequence[str] | None, n_features: int) -> tuple[str, ...]:
    if names is None:
        from attention_motifs.features import feature_names

        extended = feature_names(FEATURE_SET)
        matching = len(extended) == n_features
        names = extended if matching else [f"feature{i}" for i in range(n_features)]
    names = name_list(names, "feature names")
    if len(names) != n_features or len(set(names)) != n_features:
        raise InputError(
            f"{len(set(names))} different feature names for {n_features} columns. "
            "Give one for each."
        )
    return tuple(names)
