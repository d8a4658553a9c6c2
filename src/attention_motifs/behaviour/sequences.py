"""Sequences of repeated common tokens, for scores and copying."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Int

    from attention_motifs.models.model import LoadedModel


def repeated_sequences(
    vocabulary: Int[np.ndarray, " words"],
    block_length: int,
    n_repeats: int,
    n_sequences: int,
    rng: np.random.Generator,
    first: int | None,
) -> Int[np.ndarray, "sequences tokens"]:
    """Draw blocks of distinct tokens, repeat them, and put `first` before them if it is given.

    Raises:
        InputError: if the vocabulary has fewer tokens than a block.
    """
    if len(vocabulary) < block_length:
        raise InputError(
            f"blocks of {block_length} distinct tokens cannot be drawn: the tokenizer has "
            f"{len(vocabulary)} common tokens."
        )
    rows = []
    for _ in range(n_sequences):
        block = rng.choice(vocabulary, size=block_length, replace=False)
        start = [] if first is None else [first]
        rows.append(np.concatenate([start, np.tile(block, n_repeats)]))
    return np.stack(rows).astype(np.int64)


def common_tokens(loaded: LoadedModel) -> Int[np.ndarray, " words"]:
    """Return the ids of tokens in the built-in prompts, without the special ones.

    Rare tokens, whose embeddings may be hardly trained, are thus left out for every tokenizer.
    """
    from attention_motifs.prompts import load_prompts

    tokenizer = loaded.tokenizer
    ids: set[int] = set()
    for prompt in load_prompts():
        ids.update(tokenizer(prompt.text, add_special_tokens=False)["input_ids"])
    return np.array(sorted(ids - set(tokenizer.all_special_ids)), dtype=np.int64)
