"""Which heads ask and which heads are ranked: within each model, and from model to model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

ALL_MODELS = "all models"
"""Label of a row that takes the heads of every model together."""


@dataclass(frozen=True)
class HeadPositions:
    """Model and layer of every head, in the order of the distance matrix."""

    model: tuple[str, ...]
    layer: tuple[int, ...]

    @classmethod
    def of(cls, model: Sequence[str], layer: Sequence[int]) -> HeadPositions:
        """Take columns of the heads table.

        Raises:
            InputError: if the two differ in length or there is no head.
        """
        if len(model) != len(layer) or not len(model):
            raise InputError(
                f"{len(model)} models and {len(layer)} layers are given: one of each per head "
                "is expected"
            )
        return cls(tuple(str(name) for name in model), tuple(int(number) for number in layer))

    def __len__(self) -> int:
        return len(self.model)

    @property
    def models(self) -> tuple[str, ...]:
        """The models in order of appearance."""
        return tuple(dict.fromkeys(self.model))

    @property
    def layers(self) -> Int[np.ndarray, " heads"]:
        """Layers as an array."""
        return np.array(self.layer)

    def heads_of(self, model: str) -> Int[np.ndarray, " heads"]:
        """Rows of one model's heads."""
        return np.flatnonzero(np.array(self.model) == model)

    def check(self, distances: Float[np.ndarray, "heads heads"]) -> None:
        """Refuse distances that cannot be ranked.

        Raises:
            InputError: if the matrix is not square with one row per head, or a distance between
                two heads is not finite.
        """
        if distances.shape != (len(self), len(self)):
            raise InputError(
                f"distances have shape {distances.shape}: ({len(self)}, {len(self)}), one row per "
                "head, is expected"
            )
        if not np.isfinite(distances).all():
            n_bad = int((~np.isfinite(distances)).sum())
            raise InputError(
                f"{n_bad} distances are not finite: evaluate a metric that was computed for all "
                "pairs of heads"
            )


@dataclass(frozen=True)
class Scope:
    """Heads that ask (queries) and heads that are ranked for them (candidates)."""

    label: str
    """A model, or `A -> B`: queries in A, candidates in B."""
    queries: Int[np.ndarray, " queries"]
    candidates: Int[np.ndarray, " candidates"]

    @property
    def within(self) -> bool:
        """Whether queries and candidates are the heads of one model."""
        return self.queries is self.candidates


def scopes(heads: HeadPositions) -> Iterator[Scope]:
    """Each model by itself, then every ordered pair of models."""
    rows = {model: heads.heads_of(model) for model in heads.models}
    for model, of_model in rows.items():
        yield Scope(model, of_model, of_model)
    for a, of_a in rows.items():
        for b, of_b in rows.items():
            if a != b:
                yield Scope(f"{a} -> {b}", of_a, of_b)
