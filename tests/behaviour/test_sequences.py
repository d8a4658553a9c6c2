"""Probe sequences: drawn from a seed, repeated exactly, of lengths that nothing else uses."""

from __future__ import annotations

import importlib
import pkgutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention_motifs import behaviour, evaluation
from attention_motifs.behaviour import DESIGNS, copying, designs
from attention_motifs.behaviour.sequences import REPEAT_LENGTHS, probe_sequence
from attention_motifs.errors import InputError

WORDS = np.arange(100, 400)


@given(
    number=st.integers(0, 40),
    n_tokens=st.integers(8, 300),
    n_prefix=st.integers(0, 3),
    n_words=st.integers(2, 120),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_probe_is_a_prefix_and_distinct_tokens_that_repeat(
    number: int, n_tokens: int, n_prefix: int, n_words: int, seed: int
) -> None:
    prefix = tuple(range(n_prefix))
    ids, length = probe_sequence(
        WORDS[:n_words], number, n_tokens=n_tokens, prefix=prefix, seed=seed
    )
    assert len(ids) == n_tokens
    assert tuple(ids[:n_prefix]) == prefix
    body = ids[n_prefix:]
    assert len(set(body[:length].tolist())) == length
    assert set(body.tolist()) <= set(WORDS[:n_words].tolist())
    assert (body[length:] == body[:-length]).all()
    assert 2 * length <= len(body)


def test_at_the_default_length_every_block_has_its_own_length() -> None:
    lengths = [probe_sequence(WORDS, number, prefix=(0,))[1] for number in range(16)]
    assert lengths == [*REPEAT_LENGTHS, *REPEAT_LENGTHS]


def test_a_probe_depends_on_seed_and_number_alone() -> None:
    once, again = (probe_sequence(WORDS, 3, seed=5)[0] for _ in range(2))
    assert np.array_equal(once, again)
    assert not np.array_equal(once, probe_sequence(WORDS, 3, seed=6)[0])
    assert not np.array_equal(once, probe_sequence(WORDS, 3 + len(REPEAT_LENGTHS), seed=5)[0])


def test_no_score_no_ablation_and_no_evaluation_uses_the_length_of_a_probe() -> None:
    used = {length for length, _ in DESIGNS} | {designs.BLOCK, copying.N_TOKENS}
    for package in (behaviour, evaluation):
        for result in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            used |= set(getattr(importlib.import_module(result.name), "BLOCK_LENGTHS", ()))
    assert not used & set(REPEAT_LENGTHS)
    assert len(set(REPEAT_LENGTHS)) == len(REPEAT_LENGTHS)


@pytest.mark.parametrize(("words", "n_tokens"), [(WORDS[:1], 128), (WORDS, 4)])
def test_what_has_no_room_for_a_repetition_is_refused(words: np.ndarray, n_tokens: int) -> None:
    with pytest.raises(InputError, match="--n-probes 0"):
        probe_sequence(words, 0, n_tokens=n_tokens, prefix=(0,))
