"""Designs of ablation measurements: token sequences, and the positions that are evaluated."""

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
    "prompts": "texts of the atlas, with their tokens as stored",
    "repeated": "a block of 50 distinct random tokens twice, evaluated where copying can help",
    "long": "texts of 551 tokens, evaluated early and late",
}

BLOCK, REPEATS = 50, 2
N_POSITIONS = 32
"""Number of positions evaluated per sequence, evenly spread: a prediction is as wide as the
vocabulary, and neighbouring positions carry much the same information."""

EARLY, LATE = (40, 60), (450, 550)
"""First and last token of the two ranges of the in-context learning score. Olsson et al. (2022) use
the 50th and the 500th token only, which is noisy for a single sequence."""
LONG = LATE[1] + 1


@dataclass(frozen=True)
class Design:
    """Sequences of equal length, and the queries whose predictions are evaluated."""

    name: str
    token_ids: Int[np.ndarray, "sequences n"]
    positions: Int[np.ndarray, " looked_at"]
    """Queries; each predicts the next token."""
    pairs: Int[np.ndarray, "two pairs"]
    """Queries whose token occurred before, and the key of the earlier occurrence; the same in every
    sequence, and empty if tokens do not repeat."""

    @property
    def targets(self) -> Int[np.ndarray, "sequences looked_at"]:
        """The tokens to be predicted."""
        return self.token_ids[:, self.positions + 1]

    def per_sequence(self, losses: Float[np.ndarray, "*batch looked_at"]) -> dict[str, np.ndarray]:
        """Return the measures of this design from losses at its positions."""
        if self.name != "long":
            return {"loss": losses.mean(axis=-1)}
        predicted = self.positions + 1
        early = (predicted >= EARLY[0]) & (predicted <= EARLY[1])
        score = losses[..., ~early].mean(axis=-1) - losses[..., early].mean(axis=-1)
        return {"in-context learning": score}


_NO_PAIRS = np.empty((2, 0), dtype=np.int64)


def prompts_design(token_ids: Sequence[Sequence[int]], n_positions: int = N_POSITIONS) -> Design:
    """Build a design from prompts of equal length, evaluated at all positions.

    Raises:
        InputError: if the lengths differ, or are below 2 tokens.
    """
    lengths = {len(row) for row in token_ids}
    if len(lengths) != 1 or min(lengths) < 2:
        raise InputError(f"prompts have {sorted(lengths)} tokens. Give one length of 2 or more.")
    rows = np.array(token_ids, dtype=np.int64)
    return Design("prompts", rows, _spread(0, rows.shape[1] - 2, n_positions), _NO_PAIRS)


def repeated_design(
    vocabulary: Int[np.ndarray, " words"],
    prefix: Sequence[int],
    n_sequences: int,
    rng: np.random.Generator,
    n_positions: int = N_POSITIONS,
    block: int = BLOCK,
) -> Design:
    """Build a design of blocks of distinct random tokens, each twice, after a prefix.

    Copying helps from the second token of the repetition on; the first one cannot be predicted.

    Raises:
        InputError: if the vocabulary is smaller than a block, or a block has fewer than 2 tokens.
    """
    rows = repeated_sequences(vocabulary, block, REPEATS, n_sequences, rng, prefix)
    start = len(prefix)
    queries = np.arange(start + block, start + REPEATS * block)
    pairs = np.stack([queries, queries - block])
    return Design("repeated", rows, _spread(queries[0], queries[-1] - 1, n_positions), pairs)


def long_design(token_ids: Sequence[Sequence[int]]) -> Design:
    """Build a design from texts cut to 551 tokens, evaluated at tokens 40-60 and 450-550.

    Raises:
        InputError: if a text is shorter, or there is none.
    """
    short = [len(row) for row in token_ids if len(row) < LONG]
    if short or not token_ids:
        raise InputError(f"a text has {min(short, default=0)} tokens. Give {LONG} or more.")
    predicted = np.concatenate([np.arange(a, b + 1) for a, b in (EARLY, LATE)])
    rows = np.array([row[:LONG] for row in token_ids], dtype=np.int64)
    return Design("long", rows, predicted - 1, _NO_PAIRS)


def _spread(first: int, last: int, n: int) -> Int[np.ndarray, " looked_at"]:
    """Return at most n evenly spread positions from `first` to `last`, both included.

    Raises:
        InputError: if there are none, or n is below 1.
    """
    n_available = last - first + 1
    if min(n, n_available) < 1:
        raise InputError(f"{min(n, n_available)} positions would be evaluated. Give 1 or more.")
    return np.unique(np.linspace(first, last, min(n, n_available)).round().astype(np.int64))
