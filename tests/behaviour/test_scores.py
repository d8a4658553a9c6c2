from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention_motifs.behaviour import (
    BEHAVIOURS,
    CLASS_THRESHOLDS,
    OF_PATTERNS,
    behaviour_scores,
    common_tokens,
    computed_classes,
    repeated_sequences,
    score_patterns,
)
from attention_motifs.behaviour.sequences import shuffled_sequences
from attention_motifs.errors import InputError
from conftest import Tiny

NAMES = list(OF_PATTERNS)
BLOCK, REPEATS = 10, 3


def sequence(prefix: tuple[int, ...] = (99,)) -> np.ndarray:
    rng = np.random.default_rng(0)
    return repeated_sequences(np.arange(50), BLOCK, REPEATS, 1, rng, prefix)[0]


def head_attending(offset_of: dict[int, int], n: int) -> np.ndarray:
    pattern = np.zeros((1, n, n), dtype=np.float32)
    for query in range(n):
        pattern[0, query, offset_of.get(query, 0)] = 1.0
    return pattern


def score(pattern: np.ndarray, tokens: np.ndarray, name: str) -> float:
    return float(score_patterns(pattern, tokens)[0, NAMES.index(name)])


def test_blocks_are_distinct_and_repeated_exactly() -> None:
    tokens = sequence()
    assert tokens[0] == 99
    blocks = tokens[1:].reshape(REPEATS, BLOCK)
    assert len(set(blocks[0])) == BLOCK
    assert (blocks == blocks[0]).all()
    assert (sequence() == tokens).all()
    assert sequence((98, 99)).tolist() == [98, *tokens.tolist()]
    with pytest.raises(InputError):
        repeated_sequences(np.arange(5), 10, 2, 1, np.random.default_rng(0))


def test_perfect_heads_score_one_on_their_behaviour_alone() -> None:
    tokens = sequence()
    n = len(tokens)
    perfect = {
        "induction": {q: q - BLOCK + 1 for q in range(BLOCK + 1, n)},
        "duplicate token": {q: q - BLOCK for q in range(BLOCK + 1, n)},
        "previous token": {q: q - 1 for q in range(1, n)},
        "first-token sink": {},
        "self": {q: q for q in range(n)},
        "prefix matching (literal)": {q: q - BLOCK - 1 for q in range(BLOCK + 1, n)},
    }
    for name, offsets in perfect.items():
        pattern = head_attending(offsets, n)
        assert score(pattern, tokens, name) == pytest.approx(1.0), name
        for other in set(perfect) - {name, "first-token sink"}:
            assert score(pattern, tokens, other) == pytest.approx(0.0), (name, other)


@pytest.mark.parametrize("prefix", [(), (99,), (98, 99)])
def test_groups_come_back_in_another_order_after_gaps_of_their_own(
    prefix: tuple[int, ...],
) -> None:
    rng = np.random.default_rng(0)
    rows = shuffled_sequences(np.arange(60), 4, 12, 5, rng, prefix)
    start = len(prefix)
    assert rows.shape == (5, start + 96)
    for row in rows:
        assert tuple(row[:start]) == prefix
        block, again = row[start:].reshape(2, 48)
        assert len(set(block)) == 48
        assert sorted(block) == sorted(again)
        place = {int(token): i for i, token in enumerate(block)}
        same_next = [place[int(b)] == place[int(a)] + 1 for a, b in pairwise(again)]
        assert sum(same_next) >= 48 - 12, "tokens of a group stay together"
        gaps = {int(np.flatnonzero(row == token)[-1] - np.flatnonzero(row == token)[0])
                for token in block}  # fmt: skip
        assert len(gaps) > 5
        assert len({gap % 4 for gap in gaps}) > 1
    with pytest.raises(InputError):
        shuffled_sequences(np.arange(47), 4, 12, 1, rng, prefix)


def test_a_head_that_looks_a_fixed_distance_back_falls_with_random_gaps() -> None:
    rng = np.random.default_rng(0)
    block = repeated_sequences(np.arange(60), 25, 4, 1, rng, (99,))[0]
    shuffled = shuffled_sequences(np.arange(60), 4, 12, 20, rng, (99,))
    fixed = head_attending({q: q - 24 for q in range(24, len(block))}, len(block))
    assert score(fixed, block, "induction") == pytest.approx(1.0)
    for back in (23, 24, 49):
        fixed = head_attending({q: q - back for q in range(back, 97)}, 97)
        assert np.mean([score(fixed, row, "induction") for row in shuffled]) < 0.15
    for row in shuffled:
        first_place = {int(t): i for i, t in reversed(list(enumerate(row)))}
        after = {q: first_place[int(t)] + 1 for q, t in enumerate(row) if first_place[int(t)] < q}
        assert score(head_attending(after, 97), row, "induction") == pytest.approx(1.0)


@pytest.mark.parametrize("prefix", [(), (99,), (98, 99)])
def test_a_head_that_attends_to_the_first_token_alone_is_a_sink_and_nothing_else(
    prefix: tuple[int, ...],
) -> None:
    tokens = sequence(prefix)
    pattern = head_attending({}, len(tokens))
    assert score(pattern, tokens, "first-token sink") == 1
    for name in ("induction", "duplicate token", "prefix matching (literal)", "local window"):
        assert score(pattern, tokens, name) == 0, name


@pytest.mark.parametrize("prefix", [(), (99,), (98, 99)])
def test_literal_prefix_matching_is_its_definition(prefix: tuple[int, ...]) -> None:
    """Attention to the token before each earlier occurrence but the sink, over tokens with one."""
    tokens = sequence(prefix)
    n = len(tokens)
    weights = np.tril(np.exp(np.random.default_rng(0).normal(0, 2, (1, n, n))))
    pattern = weights / weights.sum(-1, keepdims=True)
    sums = []
    for query in range(n):
        earlier = [key for key in range(2, query) if tokens[key] == tokens[query]]
        if earlier:
            sums.append(sum(pattern[0, query, key - 1] for key in earlier))
    expected = sum(sums) / len(sums)
    assert score(pattern, tokens, "prefix matching (literal)") == pytest.approx(expected)


@given(st.integers(0, 2**32 - 1))
def test_scores_are_shares_of_attention(seed: int) -> None:
    tokens = sequence()
    logits = np.random.default_rng(seed).normal(0, 3, (2, len(tokens), len(tokens)))
    weights = np.tril(np.exp(logits))
    scores = score_patterns(weights / weights.sum(-1, keepdims=True), tokens)
    assert scores.shape == (2, len(OF_PATTERNS))
    assert (scores >= 0).all()
    assert (scores <= 1 + 1e-9).all()


def test_uniform_attention_scores_what_can_be_computed() -> None:
    tokens = sequence()
    n = len(tokens)
    pattern = np.tril(np.ones((1, n, n))) / np.arange(1, n + 1)[None, :, None]
    late = np.arange(2, n)
    assert score(pattern, tokens, "self") == pytest.approx((1 / (late + 1)).mean())
    repeated = np.arange(BLOCK + 1, n)
    occurrences = (repeated - 1) // BLOCK
    assert score(pattern, tokens, "induction") == pytest.approx(
        (occurrences / (repeated + 1)).mean()
    )


def test_repetition_of_the_first_token_alone_is_no_duplicate() -> None:
    tokens = np.array([*range(12), 0])
    pattern = head_attending({}, len(tokens))
    assert score(pattern, tokens, "duplicate token") == 0
    assert score(pattern, tokens, "prefix matching (literal)") == 0


def test_a_sequence_without_repetition_is_refused() -> None:
    with pytest.raises(InputError):
        score_patterns(np.eye(20)[None], np.arange(20))


def test_classes_take_scores_from_the_threshold_on_and_no_missing_ones() -> None:
    threshold = CLASS_THRESHOLDS["induction"]
    result = computed_classes({"induction": np.array([threshold, threshold - 0.01, np.nan, 1.0])})
    assert result["induction"].tolist() == [True, False, False, True]


def test_scores_of_a_model_are_seeded_and_leave_special_tokens_out(
    tiny: Tiny, own_cache: Path
) -> None:
    from attention_motifs.extraction import load_model
    from attention_motifs.models.tokenizing import prefix_tokens

    loaded = load_model(tiny.model("a"))
    assert not set(common_tokens(loaded).tolist()) & set(loaded.tokenizer.all_special_ids)
    prefix = prefix_tokens(loaded)
    once, again = (
        behaviour_scores(loaded, prefix=prefix, n_sequences=3, designs=((12, 2),)) for _ in range(2)
    )
    assert once.mean.shape == (2, 2, len(BEHAVIOURS))
    np.testing.assert_array_equal(once.mean, again.mean)
    np.testing.assert_array_equal(once.spread, again.spread)
    other = behaviour_scores(loaded, prefix=prefix, n_sequences=3, designs=((12, 2),), seed=1)
    assert not np.array_equal(once.mean, other.mean)


@pytest.mark.slow
@pytest.mark.models
def test_the_packaged_model_has_induction_heads() -> None:
    from attention_motifs.extraction import load_model
    from attention_motifs.models.tokenizing import prefix_tokens

    loaded = load_model("smollm2-135m-instruct")
    scores = behaviour_scores(loaded, prefix=prefix_tokens(loaded), n_sequences=4)
    induction = scores.mean[:, :, NAMES.index("induction")]
    assert (induction > 0.4).sum() >= 5
    layers = np.argwhere(induction > 0.4)[:, 0]
    assert layers.min() > 5  # induction needs a layer before it, and is seen in the middle
