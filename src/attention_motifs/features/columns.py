"""The columns of a result, grouped by the feature set that computes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.errors import InputError
from attention_motifs.features.registry import BUILT_IN_SETS, built_in_set, user_set
from attention_motifs.features.validation import feature_value

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

Columns = list[tuple[str, str]]
"""(feature, its set) of each column."""

Texts = tuple[str, ...]
"""Texts of the tokens of one prompt."""


class Group:
    """The columns of a result that come from one feature set.

    Attributes:
        set_name: the set.
        positions: their places in the result.
        names: their features.
        sources: their places in a row of a built-in set; empty for a user's set.
        reads_tokens: whether the features are of a pattern with the texts of its tokens.
    """

    def __init__(self, set_name: str, columns: Columns) -> None:
        self.set_name = set_name
        positions = [i for i, (_, of_set) in enumerate(columns) if of_set == set_name]
        self.positions = _as_slice(positions)
        self.names = [columns[i][0] for i in positions]
        self.built_in = set_name in BUILT_IN_SETS
        self.sources: slice | list[int] = []
        self.reads_tokens = False
        if self.built_in:
            feature_set = built_in_set(set_name)
            index = {f.name: i for i, f in enumerate(feature_set.features)}
            self.sources = _as_slice([index[name] for name in self.names])
            self.reads_tokens = feature_set.reads_tokens

    def kernel(self, kind: str) -> Callable[..., Any]:
        """Return the kernel of a built-in set: `cpu` or `torch`."""
        return built_in_set(self.set_name).function(kind)

    def parts(
        self, kind: str, chunk: Any, texts: Sequence[Texts] | None
    ) -> Iterator[tuple[slice, Any]]:
        """Yield the rows of a chunk of patterns, prompt by prompt where the texts are read.

        Args:
            kind: kernel of the set, which is built in: `cpu` or `torch`.
            chunk: (b, n, n) patterns.
            texts: those of each pattern; not None if they are read.
        """
        kernel = self.kernel(kind)
        if not self.reads_tokens or texts is None:
            yield slice(len(chunk)), kernel(chunk)[:, self.sources]
            return
        start = 0
        for text, patterns in groupby(texts):
            run = slice(start, start + len(list(patterns)))
            yield run, kernel(chunk[run], text)[:, self.sources]
            start = run.stop


def _as_slice(places: list[int]) -> slice | list[int]:
    """Return places that follow each other as a slice, by which arrays are copied faster."""
    in_order = places == list(range(places[0], places[0] + len(places)))
    return slice(places[0], places[0] + len(places)) if in_order else places


def groups_of(columns: Columns) -> list[Group]:
    """Return the groups of the columns of a result, in the order of their first column."""
    return [Group(name, columns) for name in dict.fromkeys(name for _, name in columns)]


def user_rows(
    patterns: Float[np.ndarray, "b n n"], finite: Bool[np.ndarray, " b"], group: Group
) -> Float[np.ndarray, "b F"]:
    """Call a user's functions on each finite pattern; the rows of the others are NaN."""
    functions = user_set(group.set_name).functions
    rows = np.full((len(patterns), len(group.names)), np.nan)
    for i in np.flatnonzero(finite):
        pattern = np.tril(patterns[i]).astype(np.float64)
        pattern.flags.writeable = False
        for j, name in enumerate(group.names):
            try:
                value = functions[name](pattern)
            except Exception as error:
                raise InputError(
                    f"feature {name!r} failed on a pattern of {pattern.shape[0]} tokens: "
                    f"{type(error).__name__}: {error}. Its function must return a number"
                ) from error
            rows[i, j] = feature_value(name, value)
    return rows
