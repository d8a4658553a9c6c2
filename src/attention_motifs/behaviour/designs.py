"""What ablations are measured on: sequences, and the positions of them that are looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.behaviour.sequences import repeated_sequences
from attention_motifs.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

DESIGN_NAMES = {
    "prompts": "texts of the atlas, as they were tokenized for it",
    "repeated": "a block of 50 distinct random tokens twice, looked at where copying can help",
    "long": "texts of 551 tokens, looked at early and late",
}

BLOCK, REPEATS = 50, 2
N_POSITIONS = 32
"""Positions looked at per sequence, spread evenly over those that could be: a prediction is as
wide as the vocabulary, and neighbouring positions tell much the same."""

EARLY, LATE = (40, 60), (450, 550)
"""Tokens, first and last, of the in-context learning score. Olsson et al. (2022) take the 50th and
the 500th token alone, which one sequence tells little of."""
LONG = LATE[1] + 1


@dataclass(frozen=True)
class Design:
    """Sequences of equal length, and the queries whose predictions are looked at."""

    name: str
    token_ids: Int[np.ndarray, "sequences n"]
    positions: Int[np.ndarray, " looked_at"]
    """Queries; the token that each predicts is the next one."""
    pairs: Int[np.ndarray, "two pairs"]
    """Queries whose token occurred before, and the key of that earlier occurrence; the same in
    every sequence, and empty where tokens do not repeat."""

    @property
    def targets(self) -> Int[np.ndarray, "sequences looked_at"]:
        """The tokens to be predicted."""
        return self.token_ids[:, self.positions + 1]

    def per_sequence(self, losses: Float[np.ndarray, "*batch looked_at"]) -> dict[str, np.ndarray]:
        """Turn losses at the positions into this design's measures."""
        if self.name != "long":
            return {"loss": losses.mean(axis=-1)}
        predicted = self.positions + 1
        early = (predicted >= EARLY[0]) & (predicted <= EARLY[1])
        score = losses[..., ~early].mean(axis=-1) - losses[..., early].mean(axis=-1)
        return {"in-context learning": score}


_NO_PAIRS = np.empty((2, 0), dtype=np.int64)


def prompts_design(token_ids: Sequence[Sequence[int]], n_positions: int = N_POSITIONS) -> Design:
    """Take prompts of equal length, looked at throughout.

    Raises:
        InputError: if they differ in length, or are shorter than 2 tokens.
    """
    lengths = {len(row) for row in token_ids}
    if len(lengths) != 1 or min(lengths) < 2:
        raise InputError(f"prompts of {sorted(lengths)} tokens: one length of at least 2 is needed")
    rows = np.array(token_ids, dtype=np.int64)
    return Design("prompts", rows, _spread(0, rows.shape[1] - 2, n_positions), _NO_PAIRS)


def repeated_design(
    vocabulary: Int[np.ndarray, " words"],
    first: int | None,
    n_sequences: int,
    rng: np.random.Generator,
    n_positions: int = N_POSITIONS,
    block: int = BLOCK,
) -> Design:
    """Draw blocks of distinct random tokens, each twice, after `first` if there is one.

    Copying can help from the second token of the repetition on: the first one cannot be foreseen.

    Raises:
        InputError: if the vocabulary has fewer tokens than a block, or a block fewer than 2.
    """
    rows = repeated_sequences(vocabulary, block, REPEATS, n_sequences, rng, first)
    start = int(first is not None)
    queries = np.arange(start + block, start + REPEATS * block)
    pairs = np.stack([queries, queries - block])
    return Design("repeated", rows, _spread(queries[0], queries[-1] - 1, n_positions), pairs)


def long_design(token_ids: Sequence[Sequence[int]]) -> Design:
    """Take texts of at least 551 tokens, cut to that; looked at are tokens 40-60 and 450-550.

    Raises:
        InputError: if one is shorter.
    """
    short = [len(row) for row in token_ids if len(row) < LONG]
    if short or not token_ids:
        raise InputError(f"a text of {min(short, default=0)} tokens is shorter than {LONG}")
    predicted = np.concatenate([np.arange(a, b + 1) for a, b in (EARLY, LATE)])
    rows = np.array([row[:LONG] for row in token_ids], dtype=np.int64)
    return Design("long", rows, predicted - 1, _NO_PAIRS)


def _spread(first: int, last: int, n: int) -> Int[np.ndarray, " looked_at"]:
    """At most n positions from `first` to `last`, both included, evenly spread.

    Raises:
        InputError: if none is asked for, or none is there.
    """
    n_there = last - first + 1
    if min(n, n_there) < 1:
        raise InputError(f"{min(n, n_there)} positions: at least 1 is needed")
    return np.unique(np.linspace(first, last, min(n, n_there)).round().astype(np.int64))
