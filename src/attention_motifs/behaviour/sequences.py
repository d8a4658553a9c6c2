"""Sequences of repeated common tokens, for scores, copying, ablations and probes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

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
    prefix: Sequence[int] = (),
) -> Int[np.ndarray, "sequences tokens"]:
    """Draw blocks of distinct tokens, repeat them, and put `prefix` before them.

    Args:
        vocabulary: (words,) token ids to draw from.
        block_length: number of distinct tokens.
        n_repeats: number of times that the block is in the sequence.
        n_sequences: number of sequences.
        rng: generator of the draws.
        prefix: token ids before the first block, such as BOS.

    Returns:
        (sequences, tokens) token ids.

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
        rows.append(np.concatenate([list(prefix), np.tile(block, n_repeats)]))
    return np.stack(rows).astype(np.int64)


def shuffled_sequences(
    vocabulary: Int[np.ndarray, " words"],
    group_length: int,
    n_groups: int,
    n_sequences: int,
    rng: np.random.Generator,
    prefix: Sequence[int] = (),
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
        prefix: token ids put before each sequence, such as BOS.

    Raises:
        InputError: if the vocabulary has too few tokens.
    """
    blocks = repeated_sequences(vocabulary, group_length * n_groups, 1, n_sequences, rng)
    rows = []
    for block in blocks:
        cuts = group_length * np.arange(1, n_groups) + rng.integers(-1, 2, size=n_groups - 1)
        groups = np.split(block, cuts)
        again = [groups[i] for i in rng.permutation(n_groups)]
        rows.append(np.concatenate([list(prefix), block, *again]))
    return np.stack(rows).astype(np.int64)


def common_tokens(loaded: LoadedModel) -> Int[np.ndarray, " words"]:
    """Return the ids of tokens in the built-in prompts, without the special ones.

    Rare tokens, whose embeddings may be hardly trained, are thus left out for every tokenizer.
    """
    tokenizer = loaded.tokenizer
    ids = _ids_of_prompts(tokenizer) - set(tokenizer.all_special_ids)
    return np.array(sorted(ids), dtype=np.int64)


def _ids_of_prompts(tokenizer: Any) -> set[int]:
    """Return the ids of all tokens in the built-in prompts."""
    from attention_motifs.prompts import load_prompts

    ids: set[int] = set()
    for prompt in load_prompts():
        ids.update(tokenizer(prompt.text, add_special_tokens=False)["input_ids"])
    return ids


REPEAT_LENGTHS = (17, 21, 31, 37, 41, 61, 29, 19)
"""Numbers of distinct tokens in the repeated blocks of probes, used in turn. No behaviour score and
no evaluation uses one of them, so that no result is measured on the sequences it was found by."""


def probe_sequence(
    vocabulary: Int[np.ndarray, " words"],
    number: int,
    *,
    n_tokens: int = 128,
    prefix: Sequence[int] = (),
    seed: int = 0,
) -> tuple[Int[np.ndarray, " tokens"], int]:
    """Draw one probe: distinct random tokens, repeated up to a length, after a prefix.

    A probe depends on its number and not on how many there are. Where a sequence is too short for
    two blocks of its length, or the vocabulary too small for one, the block is shorter.

    Args:
        vocabulary: (words,) token ids to draw from.
        number: number of the probe, from 0.
        n_tokens: length of the sequence in tokens, prefix included; it is cut there.
        prefix: token ids put before the first block, such as BOS.
        seed: seed for the draw, 0 or more.

    Returns:
        (tokens,) token ids, and the number of tokens after which they repeat.

    Raises:
        InputError: if the sequence has no room for a block of two tokens twice, or the vocabulary
            has fewer than two tokens.
    """
    room = n_tokens - len(prefix)
    longest = min(room // 2, len(vocabulary))
    if longest < 2:
        raise InputError(
            f"a probe of {n_tokens} tokens cannot be drawn: after {len(prefix)} tokens of prefix, "
            f"two blocks of 2 or more of the tokenizer's {len(vocabulary)} common tokens must fit. "
            "Use a larger --probe-tokens, or --n-probes 0 for no probes"
        )
    fitting = [length for length in REPEAT_LENGTHS if length <= longest] or [longest]
    length = REPEAT_LENGTHS[number % len(REPEAT_LENGTHS)]
    if length not in fitting:
        length = fitting[number % len(fitting)]
    rng = np.random.default_rng([seed, number])
    block = rng.choice(vocabulary, size=length, replace=False)
    repeated = np.tile(block, -(-room // length))[:room]
    return np.concatenate([np.asarray(prefix, dtype=np.int64), repeated]).astype(np.int64), length
