"""Sequences of repeated common tokens, for scores, copying and ablations."""

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


def shuffled_sequences(
    vocabulary: Int[np.ndarray, " words"],
    group_length: int,
    n_groups: int,
    n_sequences: int,
    rng: np.random.Generator,
    first: int | None,
) -> Int[np.ndarray, "sequences tokens"]:
    """Draw groups of distinct tokens, and repeat all groups once in another random order.

    Every group thus comes back after a gap of its own. In sequences of one block that is repeated
    all gaps are equal, and a head that looks back by that distance looks like an induction head.
    The lengths of the groups vary, so that gaps are not all multiples of one length.

    Args:
        vocabulary: token ids to draw from.
        group_length: mean number of tokens per group, 3 or more; lengths differ by up to 2.
        n_groups: number of groups.
        n_sequences: number of sequences.
        rng: source of the draws.
        first: token put before each sequence; None for none.

    Raises:
        InputError: if the vocabulary has too few tokens.
    """
    blocks = repeated_sequences(vocabulary, group_length * n_groups, 1, n_sequences, rng, None)
    start = [] if first is None else [first]
    rows = []
    for block in blocks:
        cuts = group_length * np.arange(1, n_groups) + rng.integers(-1, 2, size=n_groups - 1)
        groups = np.split(block, cuts)
        again = [groups[i] for i in rng.permutation(n_groups)]
        rows.append(np.concatenate([start, block, *again]))
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
