"""How differently a head attends on two texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float

    from attention_motifs.atlas.text_patterns import Reading


@dataclass(frozen=True)
class Difference:
    """How different the patterns of the heads of a model are on two texts.

    Attributes:
        moved: (heads,) share of attention that goes to other tokens, 0 to 1: half the sum of the
            absolute differences of a row, averaged over the queries but the first, which has one
            key. None if the texts differ in their number of tokens.
        distance: (heads,) distance between the points of the patterns, in units of the head's
            usual distance from its mean. None if the atlas has no points.
    """

    moved: Float[np.ndarray, " heads"] | None
    distance: Float[np.ndarray, " heads"] | None

    @property
    def order(self) -> Float[np.ndarray, " heads"] | None:
        """Numbers that heads are sorted by: `moved`, else `distance`."""
        return self.distance if self.moved is None else self.moved


def difference(reading: Reading, other: Reading) -> Difference:
    """Compare the patterns of one model on two texts."""
    moved = None
    if len(reading.tokens) == len(other.tokens):
        pairs = zip(reading.layers, other.layers, strict=True)
        moved = np.concatenate([moved_share(a, b) for a, b in pairs])
    distance = None
    if reading.unusual is not None and other.unusual is not None:
        apart = np.linalg.norm(reading.unusual.points - other.unusual.points, axis=1)
        usual = reading.unusual.usual
        distance = np.divide(apart, usual, out=np.zeros_like(apart), where=usual > 0)
    return Difference(moved, distance)


def moved_share(
    patterns: Float[np.ndarray, "heads n n"], others: Float[np.ndarray, "heads n n"]
) -> Float[np.ndarray, " heads"]:
    """Return the share of attention that goes to other tokens, averaged over all queries but one.

    Args:
        patterns: of some heads, rows are queries.
        others: of the same heads, of as many tokens, two or more.
    """
    apart = np.abs(patterns[:, 1:] - others[:, 1:])
    return np.asarray(apart.sum(axis=2, dtype=np.float64).mean(axis=1) / 2)
