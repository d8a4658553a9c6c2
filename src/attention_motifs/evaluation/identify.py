"""Identification of a head by one of its attention patterns.

Features are mapped to normal scores by their ranks, and whitened by the covariance within heads
with a small ridge. The head with the nearest mean is the answer. Its probability is calibrated on
patterns whose head is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.embedding.recommended import RIDGE, RecommendedEmbedding
from attention_motifs.errors import InputError
from attention_motifs.evaluation.null import generator
from attention_motifs.features.arguments import number_array

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    Features = Float[np.ndarray, "prompts heads features"]

SMALL_RIDGE = 0.001
"""Ridge of the whitening. Distances between heads want a larger one, since noise adds up over the
directions that vary least within heads; a single pattern is named by exactly these."""

MIN_PROMPTS = 3
"""Prompts needed: a mean of one pattern would be at distance 0 from it."""

CALIBRATED_PATTERNS = 2048
"""Patterns of known heads, drawn at random, that the probabilities are calibrated on."""

FAR = 0.01
"""Share of known patterns below which a pattern is called unlike every head."""

_LOG_TEMPERATURES = (-3.0, 12.0)


@dataclass(frozen=True)
class IdentifiedHead:
    """A head that a pattern may be from."""

    head: str
    probability: float
    """Probability among the candidates, if the pattern is from one of them."""
    distance: float
    """Distance to the mean of the head's patterns, in standard deviations within heads, divided by
    the square root of the number of features."""


@dataclass(frozen=True)
class IdentifiedPattern:
    """The answer for one pattern."""

    heads: tuple[IdentifiedHead, ...]
    """Most likely heads, the most likely first."""
    share_farther: float
    """Share of patterns of known heads that are at least as far from the mean of their own head as
    this one is from the nearest mean. It is a p-value for the hypothesis that the pattern is from
    a head of the atlas."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {**asdict(self), "is_unlike_all": self.is_unlike_all}

    @property
    def is_unlike_all(self) -> bool:
        """Whether the pattern is farther from every head than nearly all known patterns."""
        return self.share_farther < FAR


@dataclass(frozen=True)
class HeadIdentifier:
    """A fitted identification of heads.

    Examples:
        >>> import numpy as np
        >>> from attention_motifs.evaluation import HeadIdentifier
        >>> rng = np.random.default_rng(0)
        >>> features = rng.normal(size=(6, 1)) + 0.1 * rng.normal(size=(12, 6, 5))  # of 6 heads
        >>> names = [f"toy:L0:H{i}" for i in range(6)]
        >>> identifier = HeadIdentifier.fit([features], [np.full(12, 64)], names)
        >>> identifier.identify(features[0, 3], 64).heads[0].head
        'toy:L0:H3'
    """

    heads: tuple[str, ...]
    embedding: RecommendedEmbedding
    """Ranks, and the whitening with the small ridge."""
    centroids: Float[np.ndarray, "heads features"]
    """Mean of the whitened patterns of each head."""
    temperature: float
    """Divides the halved squared distances; makes the probabilities those of known patterns."""
    known_distances: Float[np.ndarray, " patterns"]
    """Squared distances of known patterns to the mean of the other patterns of their head."""
    top_1: float
    """Share of known patterns, each left out of its mean, whose nearest mean is their head's."""
    top_5: float
    longest: int
    """Tokens of the longest prompt of the fit."""

    @classmethod
    def fit(
        cls,
        features: Sequence[Features],
        n_tokens: Sequence[Int[np.ndarray, " prompts"]],
        heads: Sequence[str],
        feature_names: Sequence[str] | None = None,
        *,
        seed: int = 0,
    ) -> HeadIdentifier:
        """Fit on the features of one or several models.

        Args:
            features: (prompts, heads, features) of each model, on the same prompts.
            n_tokens: (prompts,) prompt lengths in tokens, of each model.
            heads: names of all heads, in the order of the models.
            feature_names: names of the columns; default: as `RecommendedEmbedding.fit`.
            seed: seed for the draw of the patterns to calibrate on, 0 or more.

        Returns:
            The fitted identification.

        Raises:
            InputError: if the shapes do not fit together, or there are fewer than 3 prompts.
        """
        embedding = _fitted(features, n_tokens, heads, feature_names)
        white = np.concatenate(
            [
                embedding.ranked(values, lengths) @ embedding.whitening
                for values, lengths in zip(features, n_tokens, strict=True)
            ],
            axis=1,
        )
        centroids = white.mean(axis=0)
        squared, own = _left_out(white, centroids, seed)
        of_own = squared[np.arange(len(own)), own]
        nearer = (squared < of_own[:, None]).sum(axis=1)
        return cls(
            heads=tuple(heads),
            embedding=embedding,
            centroids=centroids,
            temperature=_temperature(squared, own),
            known_distances=np.sort(of_own),
            top_1=float((nearer < 1).mean()),
            top_5=float((nearer < 5).mean()),
            longest=int(max(np.max(lengths) for lengths in n_tokens)),
        )

    def identify(
        self,
        features: Float[np.ndarray, " features"],
        n_tokens: int,
        *,
        n: int = 5,
        candidates: Bool[np.ndarray, " heads"] | None = None,
    ) -> IdentifiedPattern:
        """Return the most likely heads of one pattern.

        Args:
            features: (features,) of the pattern, in the columns of the fit.
            n_tokens: number of tokens of the pattern.
            n: number of heads to return.
            candidates: (heads,) heads to choose from (default: all).

        Returns:
            The heads, the most likely first, and how usual the pattern is.

        Raises:
            InputError: if the columns differ in number, or there are no candidates.
        """
        row = number_array(features, "features", ("features",))
        chosen = np.arange(len(self.heads))
        if candidates is not None:
            chosen = np.flatnonzero(candidates)
        if not len(chosen):
            raise InputError("no head can be identified: there are no candidates. Give one or more")
        ranked = self.embedding.ranked(row[None, None, :], np.array([n_tokens]))[0, 0]
        apart = ranked @ self.embedding.whitening - self.centroids[chosen]
        squared = (apart**2).sum(axis=1)
        weights = np.exp((squared.min() - squared) / (2 * self.temperature))
        weights /= weights.sum()
        order = np.argsort(squared, kind="stable")[:n]
        farther = len(self.known_distances) - np.searchsorted(self.known_distances, squared.min())
        return IdentifiedPattern(
            tuple(
                IdentifiedHead(
                    self.heads[chosen[i]],
                    float(weights[i]),
                    float(np.sqrt(squared[i] / len(row))),
                )
                for i in order
            ),
            (int(farther) + 1) / (len(self.known_distances) + 1),
        )


def _fitted(
    features: Sequence[Features],
    n_tokens: Sequence[Int[np.ndarray, " prompts"]],
    heads: Sequence[str],
    feature_names: Sequence[str] | None,
) -> RecommendedEmbedding:
    """Return the ranks of all models together, and the whitening with the small ridge."""
    shapes = [np.shape(values) for values in features]
    n_heads = sum(shape[1] for shape in shapes if len(shape) == 3)
    if n_heads != len(heads) or len({shape[0] for shape in shapes}) != 1:
        raise InputError(
            f"features have shapes {', '.join(map(str, shapes))} for {len(heads)} heads. Give "
            "(prompts, heads, features) per model, with the same prompts"
        )
    if shapes[0][0] < MIN_PROMPTS:
        raise InputError(
            f"heads cannot be identified from {shapes[0][0]} prompts. Give {MIN_PROMPTS} or more"
        )
    names = feature_names
    if names is None:
        names = RecommendedEmbedding.fit(features[0][:1], n_tokens[0][:1]).feature_names
    parts = list(zip(features, n_tokens, strict=True))
    places = {name: i for i, name in enumerate(names)}

    def read(columns: Sequence[str]) -> list[tuple[Features, Int[np.ndarray, " prompts"], str]]:
        chosen = [places[name] for name in columns]
        return [(values[:, :, chosen], n, str(i)) for i, (values, n) in enumerate(parts)]

    fitted = RecommendedEmbedding.fit_parts(lambda columns: iter(read(columns)), names)
    return replace(fitted, whitening=_whitening(fitted.whitening, SMALL_RIDGE))


def _whitening(
    whitening: Float[np.ndarray, "features features"], ridge: float
) -> Float[np.ndarray, "features features"]:
    """Return (W + ridge I)^(-1/2), given (W + RIDGE I)^(-1/2)."""
    roots, directions = np.linalg.eigh(whitening)
    within = np.maximum(roots**-2.0 - RIDGE, 0.0)
    scaled: Float[np.ndarray, "features features"] = directions / np.sqrt(within + ridge)
    return np.asarray(scaled @ directions.T)


def _left_out(
    white: Features, centroids: Float[np.ndarray, "heads features"], seed: int
) -> tuple[Float[np.ndarray, "patterns heads"], Int[np.ndarray, " patterns"]]:
    """Return squared distances of known patterns to the means of all heads, and their heads.

    The mean of the pattern's own head is that of its other patterns. Patterns are drawn at random
    where there are more than `CALIBRATED_PATTERNS`.
    """
    n_prompts, n_heads, n_features = white.shape
    chosen = generator(seed, "known patterns").permutation(n_prompts * n_heads)
    chosen = chosen[:CALIBRATED_PATTERNS]
    own = chosen % n_heads
    points = white.reshape(-1, n_features)[chosen]
    origin = centroids.mean(axis=0)  # where rounding is least
    x, c = points - origin, centroids - origin
    squared = (x**2).sum(axis=1)[:, None] + (c**2).sum(axis=1) - 2 * x @ c.T
    # Without the pattern x, the mean c of n patterns is c + (c - x) / (n - 1).
    factor = (n_prompts / (n_prompts - 1)) ** 2
    squared[np.arange(len(own)), own] = factor * ((points - centroids[own]) ** 2).sum(axis=1)
    return np.maximum(squared, 0.0), own


def _temperature(
    squared: Float[np.ndarray, "patterns heads"], own: Int[np.ndarray, " patterns"]
) -> float:
    """Return the temperature under which the known heads are most likely."""
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    of_own = squared[np.arange(len(own)), own]

    def surprise(log_temperature: float) -> float:
        scale = 2 * np.exp(log_temperature)
        return float((logsumexp(-squared / scale, axis=1) + of_own / scale).mean())

    result = minimize_scalar(surprise, bounds=_LOG_TEMPERATURES, method="bounded")
    return float(np.exp(result.x))
