"""Query and candidate heads: within each model, and between models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.errors import InputError
from attention_motifs.features.arguments import number_array

if TYPE_CHECKING:
    from jaxtyping import Float, Int

ALL_MODELS = "all models"
"""Label of a row over the heads of all models."""


@dataclass(frozen=True)
class HeadPositions:
    """Model and layer of every head, in the order of the distance matrix."""

    model: tuple[str, ...]
    layer: tuple[int, ...]

    @classmethod
    def of(cls, model: Sequence[str], layer: Sequence[int]) -> HeadPositions:
        """Build from two columns of the heads table.

        Raises:
            InputError: if the columns differ in length or are empty.
        """
        if len(model) != len(layer) or not len(model):
            raise InputError(
                f"there are {len(model)} models and {len(layer)} layers. Give one of each per "
                "head, for 1 head or more."
            )
        return cls(tuple(str(name) for name in model), tuple(int(number) for number in layer))

    def __len__(self) -> int:
        return len(self.model)

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models in order of appearance."""
        return tuple(dict.fromkeys(self.model))

    @property
    def layers(self) -> Int[np.ndarray, " heads"]:
        """Layer of every head."""
        return np.array(self.layer)

    def heads_of(self, model: str) -> Int[np.ndarray, " heads"]:
        """Return the rows of a model's heads."""
        return np.flatnonzero(np.array(self.model) == model)

    def check(self, distances: Float[np.ndarray, "heads heads"]) -> None:
        """Refuse distances that cannot be ranked.

        Raises:
            InputError: if the matrix is not square with one row per head, or a distance between
                two heads is not finite.
        """
        values = number_array(distances, "distances", ("heads", "heads"))
        if values.shape != (len(self), len(self)):
            raise InputError(
                f"distances have shape {values.shape}. Give ({len(self)}, {len(self)}), a row "
                "per head."
            )
        if not np.isfinite(values).all():
            n_bad = int((~np.isfinite(values)).sum())
            raise InputError(
                f"{n_bad} distances are not finite. Use a metric that was computed for all pairs."
            )


@dataclass(frozen=True)
class Scope:
    """Query heads and the candidate heads that each of them ranks."""

    label: str
    """A model, or `A -> B`: queries in A, candidates in B."""
    queries: Int[np.ndarray, " queries"]
    candidates: Int[np.ndarray, " candidates"]

    @property
    def within(self) -> bool:
        """Whether queries and candidates are the heads of one model."""
        return self.queries is self.candidates


def scopes(heads: HeadPositions) -> Iterator[Scope]:
    """Yield each model by itself, then every ordered pair of models."""
    rows = {model: heads.heads_of(model) for model in heads.models}
    for model, of_model in rows.items():
        yield Scope(model, of_model, of_model)
    for a, of_a in rows.items():
        for b, of_b in rows.items():
            if a != b:
                yield Scope(f"{a} -> {b}", of_a, of_b)
