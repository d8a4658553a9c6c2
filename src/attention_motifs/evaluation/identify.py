"""Identification of a head by one of its attention patterns.

Features are mapped to normal scores by their ranks, and whitened by the covariance within heads
with a small ridge. The head with the nearest mean is the answer. Its probability is calibrated on
patterns whose head is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.embedding.recommended import RecommendedEmbedding
from attention_motifs.errors import InputError
from attention_motifs.evaluation.null import generator
from attention_motifs.features.arguments import number_array
from attention_motifs.notebook import block, table

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

_UNLIKE = "unlike every head of the atlas"

_LOG_TEMPERATURES = (-3.0, 12.0)

_PATTERNS_AT_A_TIME = 64
"""Known patterns whose weights of all heads are in memory at a time."""


@dataclass(frozen=True)
class IdentifiedHead:
    """A head that a pattern may be from."""

    head: str
    probability: float
    """Probability among the candidates, if the pattern is from one of them."""
    distance: float
    """Distance to the mean of the head's patterns, in standard deviations within heads, divided by
    the square root of the number of features."""


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        heads = ", ".join(f"{x.head} ({x.probability:.2f})" for x in self.heads[:3])
        return f"<IdentifiedPattern: {heads}{'; ' + _UNLIKE if self.is_unlike_all else ''}>"

    def _repr_html_(self) -> str:
        rows = [[x.head, x.probability, x.distance] for x in self.heads]
        return block(
            f"The pattern is {_UNLIKE}" if self.is_unlike_all else "The pattern may be from",
            table(["head", "probability", "distance"], rows),
            note=f"{self.share_farther:.1%} of the patterns of known heads are as far from their "
            "own head.",
        )


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
    ranks: RecommendedEmbedding
    """Maps features to normal scores."""
    whitening: Float[np.ndarray, "features features"]
    """(W + ridge I)^(-1/2), symmetric, of the covariance W within heads."""
    centred: bool
    """Whether the mean over the heads of a model is subtracted on each prompt. The patterns of all
    heads of a model on a prompt are then identified together."""
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
        centred: bool = False,
        seed: int = 0,
    ) -> HeadIdentifier:
        """Fit on the features of one or several models.

        Args:
            features: (prompts, heads, features) of each model, on the same prompts.
            n_tokens: (prompts,) prompt lengths in tokens, of each model.
            heads: names of all heads, in the order of the models.
            feature_names: names of the columns; default: as `RecommendedEmbedding.fit`.
            centred: whether all heads of a model on a prompt will be identified together, which
                is more accurate: what the prompt does to all heads is subtracted.
            seed: seed for the draw of the patterns to calibrate on, 0 or more.

        Returns:
            The fitted identification.

        Raises:
            InputError: if the shapes do not fit together, or there are fewer than 3 prompts.
        """
        ranks = _fitted_ranks(features, n_tokens, heads, feature_names)
        ranked = np.concatenate(
            [
                _centred(ranks.ranked(values, lengths), centred)
                for values, lengths in zip(features, n_tokens, strict=True)
            ],
            axis=1,
        )
        whitening = _whitening(ranked)
        white = ranked @ whitening
        centroids = white.mean(axis=0)
        squared, head_of = _left_out(white, centroids, seed)
        of_own = squared[np.arange(len(head_of)), head_of]
        nearer = (squared < of_own[:, None]).sum(axis=1)
        return cls(
            heads=tuple(heads),
            ranks=ranks,
            whitening=whitening,
            centred=centred,
            centroids=centroids,
            temperature=_temperature(squared, head_of),
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
        """Return the most likely heads of one pattern, by a fit that is not centred.

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
        return self.identify_all(row[None], n_tokens, n=n, candidates=candidates)[0]

    def identify_all(
        self,
        features: Float[np.ndarray, "patterns features"],
        n_tokens: int,
        *,
        n: int = 5,
        candidates: Bool[np.ndarray, " heads"] | None = None,
    ) -> list[IdentifiedPattern]:
        """Return the most likely heads of each of several patterns of one length.

        Args:
            features: (patterns, features), in the columns of the fit. If the fit is centred: of all
                heads of one model on one prompt.
            n_tokens: as `identify`.
            n: as `identify`.
            candidates: as `identify`.

        Returns:
            One answer per pattern.

        Raises:
            InputError: as `identify`.
        """
        rows = number_array(features, "features", ("patterns", "features"))
        chosen = np.arange(len(self.heads))
        if candidates is not None:
            chosen = np.flatnonzero(candidates)
        if not len(chosen):
            raise InputError("no head can be identified: there are no candidates. Give one or more")
        if not len(rows):
            return []
        ranked = _centred(self.ranks.ranked(rows[None], np.array([n_tokens])), self.centred)[0]
        points, means = ranked @ self.whitening, self.centroids[chosen]
        answers = []
        for point in points:
            squared = ((point - means) ** 2).sum(axis=1)
            answers.append(self._answer(squared, [self.heads[i] for i in chosen], n))
        return answers

    def distances(
        self, features: Float[np.ndarray, "patterns features"], n_tokens: int
    ) -> Float[np.ndarray, "patterns heads"]:
        """Return the distance from each pattern to the mean of each head, of one length.

        Args:
            features: (patterns, features), in the columns of the fit.
            n_tokens: as `identify`.

        Raises:
            InputError: if the columns differ in number.
        """
        rows = number_array(features, "features", ("patterns", "features"))
        ranked = _centred(self.ranks.ranked(rows[None], np.array([n_tokens])), self.centred)[0]
        points = ranked @ self.whitening
        return np.stack([np.linalg.norm(point - self.centroids, axis=1) for point in points])

    def _answer(
        self, squared: Float[np.ndarray, " candidates"], heads: Sequence[str], n: int
    ) -> IdentifiedPattern:
        """Return the answer for the squared distances of a pattern to the candidates."""
        weights = np.exp((squared.min() - squared) / (2 * self.temperature))
        weights /= weights.sum()
        scaled = np.sqrt(squared / self.centroids.shape[1])
        order = np.argsort(squared, kind="stable")[:n]
        n_known = len(self.known_distances)
        farther = n_known - int(np.searchsorted(self.known_distances, squared.min()))
        return IdentifiedPattern(
            tuple(IdentifiedHead(heads[i], float(weights[i]), float(scaled[i])) for i in order),
            (farther + 1) / (n_known + 1),
        )


def _fitted_ranks(
    features: Sequence[Features],
    n_tokens: Sequence[Int[np.ndarray, " prompts"]],
    heads: Sequence[str],
    feature_names: Sequence[str] | None,
) -> RecommendedEmbedding:
    """Return the ranks of the features of all models together."""
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

    return RecommendedEmbedding.fit_parts(lambda columns: iter(read(columns)), names)


def _centred(ranked: Features, centred: bool) -> Features:
    """Subtract the mean over the heads of a model on each prompt, if `centred`."""
    return ranked - ranked.mean(axis=1, keepdims=True) if centred else ranked


def _whitening(ranked: Features) -> Float[np.ndarray, "features features"]:
    """Return (W + ridge I)^(-1/2) of the covariance W within heads."""
    apart = (ranked - ranked.mean(axis=0)).reshape(-1, ranked.shape[2])
    within = apart.T @ apart / len(apart) + SMALL_RIDGE * np.eye(ranked.shape[2])
    variances, directions = np.linalg.eigh(within)
    return np.asarray((directions / np.sqrt(variances)) @ directions.T)


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
    head_of = chosen % n_heads
    points = white.reshape(-1, n_features)[chosen]
    origin = centroids.mean(axis=0)  # where rounding is least
    x, c = points - origin, centroids - origin
    squared = -2 * x @ c.T  # changed in place: with many heads it is most of the memory
    squared += (x**2).sum(axis=1)[:, None]
    squared += (c**2).sum(axis=1)
    # Without the pattern x, the mean c of n patterns is c + (c - x) / (n - 1).
    factor = (n_prompts / (n_prompts - 1)) ** 2
    squared[np.arange(len(head_of)), head_of] = factor * ((points - centroids[head_of]) ** 2).sum(
        axis=1
    )
    return np.maximum(squared, 0.0, out=squared), head_of


def _temperature(
    squared: Float[np.ndarray, "patterns heads"], head_of: Int[np.ndarray, " patterns"]
) -> float:
    """Return the temperature under which the known heads are most likely."""
    from scipy.optimize import minimize_scalar

    least = squared.min(axis=1)
    of_own = squared[np.arange(len(head_of)), head_of] - least

    def surprise(log_temperature: float) -> float:
        scale = 2 * np.exp(log_temperature)
        total = 0.0
        for start in range(0, len(squared), _PATTERNS_AT_A_TIME):
            some = slice(start, start + _PATTERNS_AT_A_TIME)
            weights = (least[some, None] - squared[some]) / scale
            sums = np.exp(weights, out=weights).sum(axis=1)
            total += float((np.log(sums) + of_own[some] / scale).sum())
        return total / len(squared)

    result = minimize_scalar(surprise, bounds=_LOG_TEMPERATURES, method="bounded")
    return float(np.exp(result.x))
