"""How unusual the pattern of each head is on a text, compared with its patterns in the atlas.

A pattern becomes a point in the space that the atlas compares heads in. Its distance from the mean
of the head's points is compared with the distances of these points, each from the mean of the
others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.atlas import blocks
from attention_motifs.atlas.identify import CUT_BELOW, features_of_cut, features_of_packed
from attention_motifs.errors import AtlasError
from attention_motifs.evaluation.identify import MIN_PROMPTS
from attention_motifs.features import compute_features
from attention_motifs.store.packed_patterns import pack_triangles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float, Int

    from attention_motifs.atlas import Atlas

    Points = Float[np.ndarray, "heads columns"]
    Layers = Sequence[Float[np.ndarray, "heads n n"]]

MOST_PROMPTS = 512
"""Prompts compared with at most, the first ones, which are a random sample."""

MOST_VIEWED = 32
"""Patterns kept for viewing that a short text is compared with at most."""

LARGEST = 1e3
"""Largest value of `Unusual.deviations`."""

_BLOCK = "natural"
_LEAST_SPREAD = 1e-3
"""Smallest standard deviation, as a share of the mean: a head whose patterns never change would
otherwise be unusual by rounding."""


@dataclass(frozen=True)
class Unusual:
    """How unusual the patterns of the heads of a model are on a text.

    Attributes:
        distance: (heads,) distance of the head's point from the mean of its points in the atlas.
        usual: (heads,) mean of this distance over the prompts of the atlas, each left out of the
            mean.
        deviations: (heads,) `distance` minus `usual`, in standard deviations over the prompts.
        share: (heads,) share of the prompts that are at least as far, the text included.
        points: (heads, columns) the points.
    """

    distance: Float[np.ndarray, " heads"]
    usual: Float[np.ndarray, " heads"]
    deviations: Float[np.ndarray, " heads"]
    share: Float[np.ndarray, " heads"]
    points: Points


@dataclass(frozen=True)
class Usual:
    """The clouds of the heads of a model: their means, and how far their points are from them."""

    mean: Points
    own: Float[np.ndarray, "prompts heads"]
    """Distance of each point from the mean of the head's other points."""

    @classmethod
    def of(cls, clouds: Float[np.ndarray, "prompts heads columns"]) -> Usual:
        """Return the means and distances of two or more points per head."""
        n = len(clouds)
        mean = clouds.mean(axis=0, dtype=np.float64)
        # The mean of the other points is mean + (mean - point) / (n - 1).
        own = np.stack([np.linalg.norm(points - mean, axis=1) for points in clouds])
        return cls(mean, own * (n / (n - 1)))

    def compare(self, points: Points) -> Unusual:
        """Return how unusual one point of each head is."""
        n = len(self.own)
        x = np.asarray(points, dtype=np.float64)
        distance = np.linalg.norm(x - self.mean, axis=1)
        usual = self.own.mean(axis=0)
        spread = np.maximum(self.own.std(axis=0, ddof=1), _LEAST_SPREAD * usual)
        apart = distance - usual
        deviations = np.divide(apart, spread, out=np.sign(apart) * LARGEST, where=spread > 0)
        share = (1 + (self.own >= distance).sum(axis=0)) / (n + 1)
        return Unusual(distance, usual, np.clip(deviations, -LARGEST, LARGEST), share, x)


@dataclass(frozen=True)
class Space:
    """The space in which an atlas compares the patterns of a model."""

    name: str
    columns: tuple[str, ...]
    """Features that a point is made of."""
    place: Callable[[Float[np.ndarray, "heads features"], int], Points]
    """From the features of all heads and a number of tokens to points."""
    read: Callable[[], Float[np.ndarray, "prompts heads columns"]]
    """Reads the points of the atlas."""
    lengths: Int[np.ndarray, " prompts"]
    """Tokens of the prompts."""

    @cached_property
    def whole(self) -> Usual:
        """The clouds of whole prompts."""
        return Usual.of(self.read()[:MOST_PROMPTS])


@dataclass(frozen=True)
class Comparison:
    """What patterns of one length are compared with.

    Attributes:
        space: the space.
        usual: the clouds in it.
        n_tokens: number of tokens that patterns are cut to.
        is_packed: whether the clouds are made from stored patterns, which are rounded to bytes.
        sentence: what is compared, in words.
    """

    space: Space
    usual: Usual
    n_tokens: int
    is_packed: bool
    sentence: str

    def compare(self, layers: Layers, tokens: Sequence[str]) -> Unusual:
        """Return how unusual the patterns of all heads are.

        Args:
            layers: patterns of each layer.
            tokens: texts of the tokens.
        """
        k, columns = self.n_tokens, self.space.columns
        cut = np.concatenate([layer[:, :k, :k] for layer in layers])
        if self.is_packed:
            rows = features_of_packed(pack_triangles(cut), columns)
        else:
            rows = compute_features(cut, columns, tokens=list(tokens[:k]))
        return self.usual.compare(self.space.place(rows, k))


def comparison(atlas: Atlas, model: str, space: Space, n_tokens: int) -> Comparison:
    """Return what the patterns of a model on a text are compared with.

    Features depend on the length. A text much shorter than the prompts is compared with the
    patterns kept for viewing, cut to its length, if there are three or more of them. A longer text
    is cut to the longest prompt.

    Args:
        atlas: the atlas.
        model: name of one of its models.
        space: that of the model.
        n_tokens: tokens of the text.

    Raises:
        AtlasError: if a file is missing or damaged.
    """
    low, high = int(space.lengths.min()), int(space.lengths.max())
    length = min(n_tokens, high)
    viewed = atlas.view_prompts()[:MOST_VIEWED]
    is_short = n_tokens < CUT_BELOW * low
    if is_short and len(viewed) >= MIN_PROMPTS:
        values = features_of_cut(atlas, model, space.columns, viewed, length)
        usual = Usual.of(np.stack([space.place(row, length) for row in values]))
        what = f"{len(viewed)} prompts of the atlas, cut to {length} tokens"
    else:
        usual = space.whole
        each = f"{low} tokens each" if low == high else f"{low} to {high} tokens each"
        what = f"{len(usual.own)} prompts of the atlas, {each}"
        if is_short:
            what += f"; this text has {n_tokens}, which alone makes patterns unusual"
        elif n_tokens > length:
            what += f"; of this text, the first {length} tokens are compared"
    sentence = f"Compared with {what}, in the space of {space.name}."
    return Comparison(space, usual, length, is_short and len(viewed) >= MIN_PROMPTS, sentence)


def space_of(atlas: Atlas, model: str) -> Space:
    """Return the space of the presets if the atlas has it, else that of the paper.

    Raises:
        AtlasError: if the atlas has no embedding or fewer than three prompts, or a file is damaged.
    """
    lengths = atlas.tokens(model)["token_ids"].list.len().to_numpy()
    if len(lengths) < MIN_PROMPTS:
        raise AtlasError(
            f"{atlas.place}: {len(lengths)} prompts are too few for the usual patterns of a head. "
            f"Build an atlas of {MIN_PROMPTS} or more"
        )
    if not blocks.lacks(atlas, _BLOCK) and atlas.file("block", block=_BLOCK).is_file():
        block = atlas.block(_BLOCK)
        return Space(
            f"the metric '{_BLOCK}'",
            block.feature_names,
            lambda rows, n: block.place(rows[None], np.array([n]))[0],
            lambda: atlas.block_clouds(_BLOCK, [model]),
            lengths,
        )
    embedding = atlas.embedding()
    return Space(
        "the paper's embedding",
        embedding.feature_names,
        lambda rows, n: embedding.transform(rows, np.full(len(rows), n)),
        lambda: atlas.embedded([model]),
        lengths,
    )
