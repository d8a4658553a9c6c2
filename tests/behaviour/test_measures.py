"""Measures held against their definitions, written out in float64 with loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from attention_motifs.behaviour.designs import (
    LONG,
    Design,
    long_design,
    prompts_design,
    repeated_design,
)
from attention_motifs.behaviour.measures import (
    MEASURES,
    PrefixMatching,
    losses_and_divergence,
    measures_on,
)
from attention_motifs.errors import InputError

WIDTH, WORDS = 6, 13


def head_of(unembedding: np.ndarray) -> Any:
    matrix = torch.from_numpy(unembedding.astype(np.float32))

    class Head:
        n_words = len(unembedding)

        def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
            return hidden @ matrix.T

    return Head()


def log_probabilities(logits: np.ndarray) -> list[float]:
    """Logarithms of the softmax, word by word."""
    top = max(logits)
    total = sum(math.exp(x - top) for x in logits)
    return [x - top - math.log(total) for x in logits]


def loss_and_divergence_by_hand(
    unembedding: np.ndarray, ablated: np.ndarray, clean: np.ndarray, target: int
) -> tuple[float, float]:
    """Of one position: - ln q(target), and sum over words of p (ln p - ln q)."""
    log_q = log_probabilities(unembedding @ ablated)
    log_p = log_probabilities(unembedding @ clean)
    return -log_q[target], sum(math.exp(p) * (p - q) for p, q in zip(log_p, log_q, strict=True))


@pytest.mark.parametrize("logit_bytes", [1, 2 * WORDS * 4 * 3, 10**9])
@pytest.mark.parametrize(("n_ablations", "n_sequences", "n_positions"), [(1, 1, 1), (3, 2, 5)])
def test_loss_and_divergence_are_their_definitions(
    n_ablations: int, n_sequences: int, n_positions: int, logit_bytes: int
) -> None:
    rng = np.random.default_rng(0)
    unembedding = rng.normal(0, 2, (WORDS, WIDTH)).astype(np.float32).astype(np.float64)
    clean = rng.normal(size=(n_sequences, n_positions, WIDTH)).astype(np.float32)
    hidden = rng.normal(size=(n_ablations, n_sequences, n_positions, WIDTH)).astype(np.float32)
    hidden[0, 0, 0] = clean[0, 0]  # nothing changed here
    targets = rng.integers(0, WORDS, (n_sequences, n_positions))
    losses, divergences = losses_and_divergence(
        head_of(unembedding),
        torch.from_numpy(hidden),
        torch.from_numpy(clean),
        torch.from_numpy(targets),
        logit_bytes,
    )
    for a, s, n in np.ndindex(n_ablations, n_sequences, n_positions):
        loss, divergence = loss_and_divergence_by_hand(
            unembedding, hidden[a, s, n].astype(float), clean[s, n].astype(float), targets[s, n]
        )
        assert float(losses[a, s, n]) == pytest.approx(loss, abs=2e-5)
        assert float(divergences[a, s, n]) == pytest.approx(divergence, abs=2e-5)
    assert float(divergences[0, 0, 0]) == pytest.approx(0.0, abs=1e-6)


@given(
    arrays(np.float32, (2, 1, 3, WIDTH), elements=st.floats(-30, 30, width=32)),
    st.integers(0, WORDS - 1),
)
def test_losses_and_divergences_are_never_below_zero(hidden: np.ndarray, target: int) -> None:
    unembedding = np.random.default_rng(1).normal(size=(WORDS, WIDTH))
    losses, divergences = losses_and_divergence(
        head_of(unembedding),
        torch.from_numpy(hidden),
        torch.from_numpy(hidden[0]),
        torch.full((1, 3), target),
    )
    assert (losses >= 0).all()
    assert (divergences[0].abs() < 1e-4).all(), "the clean run itself"
    assert (divergences > -1e-3).all()


def test_one_word_is_foreseen_and_hidden_states_that_are_not_numbers_stay_so() -> None:
    clean = torch.ones(1, 1, WIDTH)
    targets = torch.zeros(1, 1, dtype=torch.int64)
    one = head_of(np.ones((1, WIDTH)))
    losses, divergences = losses_and_divergence(one, 2 * clean[None], clean, targets)
    assert losses.item() == divergences.item() == 0.0
    many = head_of(np.ones((WORDS, WIDTH)))
    losses, divergences = losses_and_divergence(many, clean[None] * math.nan, clean, targets)
    assert losses.isnan().all()
    assert divergences.isnan().all()
    constant, _ = losses_and_divergence(many, clean[None], clean, targets)
    assert constant.item() == pytest.approx(math.log(WORDS), abs=1e-6)


def design_of(tokens: list[int], start: int, block: int) -> Design:
    return repeated_design(np.array(tokens), range(start), 2, np.random.default_rng(0), block=block)


def prefix_matching_by_hand(
    pattern: np.ndarray, tokens: np.ndarray, start: int, block: int, step: int
) -> float:
    """Attention to the token `step` after the earlier occurrence, mean over repeated tokens."""
    masses = []
    for query in range(start + block, len(tokens)):
        earlier = [key for key in range(start, query) if tokens[key] == tokens[query]]
        keys = [key + step for key in earlier if 0 < key + step < query]
        if keys:
            masses.append(sum(float(pattern[query, key]) for key in keys))
    return sum(masses) / max(1, len(masses))


@pytest.mark.parametrize("prefix", [(), (99,), (98, 99)])
@pytest.mark.parametrize("block", [1, 2, 3, 10])
def test_prefix_matching_reads_the_token_after_and_before_the_earlier_one(
    prefix: tuple[int, ...], block: int
) -> None:
    rng = np.random.default_rng(0)
    start = len(prefix)
    if block == 1:
        with pytest.raises(InputError):
            repeated_design(np.arange(40), prefix, 2, rng, block=1)
        return
    design = repeated_design(np.arange(40), prefix, 2, rng, block=block)
    n = design.token_ids.shape[1]
    weights = np.tril(np.exp(rng.normal(0, 2, (2, 3, n, n))))
    patterns = weights / weights.sum(-1, keepdims=True)
    patterns[1, 2] *= 0.5  # a head with a sink outside the sequence
    reader = PrefixMatching(design, [(4, 2), (4, 0), (7, 1)])
    for layer in (3, 4, 7):
        reader(layer, torch.from_numpy(patterns + (layer == 7) * 0.0).float())
    after, before = reader.of([(4, 0), (4, 2), (7, 1)])
    for h, head in enumerate((0, 2, 1)):
        for s in range(2):
            for values, step in ((after, 1), (before, -1)):
                required = prefix_matching_by_hand(
                    patterns[s, head], design.token_ids[s], start, block, step
                )
                assert float(values[h, s]) == pytest.approx(required, abs=1e-6), (head, s, step)


def test_a_perfect_induction_head_matches_prefixes_and_its_feeder_the_literal_ones() -> None:
    design = design_of(list(range(40)), 7, 10)
    n = design.token_ids.shape[1]
    queries, earlier = design.pairs
    for step, expected in ((1, (1.0, 0.0)), (-1, (0.0, 1.0))):
        pattern = torch.zeros(2, 1, n, n)
        pattern[:, 0, queries, earlier + step] = 1.0
        reader = PrefixMatching(design, [(0, 0)])
        reader(0, pattern)
        after, before = reader.of([(0, 0)])
        assert (after.mean().item(), before.mean().item()) == pytest.approx(expected)


def test_designs_without_repetition_have_no_prefixes() -> None:
    reader = PrefixMatching(prompts_design([[1, 2, 3], [4, 5, 6]]), [(0, 0)])
    assert reader.heads == ()


def test_in_context_learning_is_late_loss_less_early_loss_over_windows() -> None:
    design = long_design([list(range(LONG + 20)), list(range(LONG))])
    rng = np.random.default_rng(0)
    of_token = rng.normal(5, 2, (3, 2, LONG))  # loss of each token of each sequence
    result = design.per_sequence(of_token[..., design.positions + 1])
    assert list(result) == ["in-context learning"] == measures_on("long")
    for a, s in np.ndindex(3, 2):
        late = [of_token[a, s, token] for token in range(450, 551)]
        early = [of_token[a, s, token] for token in range(40, 61)]
        required = sum(late) / 101 - sum(early) / 21
        assert result["in-context learning"][a, s] == pytest.approx(required)
    assert (design.targets[0] == design.positions + 1).all(), "positions are those before"
    with pytest.raises(InputError):
        long_design([list(range(LONG)), list(range(LONG - 1))])
    with pytest.raises(InputError):
        long_design([])


@given(st.integers(2, 60), st.integers(1, 40), st.integers(0, 3))
def test_losses_are_taken_where_copying_can_help(
    block: int, n_positions: int, n_prefix: int
) -> None:
    rng = np.random.default_rng(0)
    design = repeated_design(np.arange(100), range(777, 777 + n_prefix), 3, rng, n_positions, block)
    assert 1 <= len(design.positions) <= min(n_positions, block - 1)
    assert len(set(design.positions.tolist())) == len(design.positions)
    for row, required in zip(design.token_ids, design.targets, strict=True):
        for query, target in zip(design.positions, required, strict=True):
            before = row[:query].tolist()
            assert row[query] in before, "the token occurred before"
            assert target == row[before.index(row[query]) + 1], "and was followed by the target"
    losses = rng.normal(size=(4, 3, len(design.positions)))
    mean = design.per_sequence(losses)["loss"]
    assert mean[2, 1] == pytest.approx(sum(losses[2, 1]) / len(design.positions))


@given(st.integers(2, 50), st.integers(1, 60))
def test_prompts_are_looked_at_throughout(n: int, n_positions: int) -> None:
    design = prompts_design([list(range(n)), list(range(n, 2 * n))], n_positions)
    assert (np.diff(design.positions) > 0).all()
    assert len(design.positions) == min(n_positions, n - 1)
    assert design.positions[0] >= 0
    assert design.positions[-1] <= n - 2
    if n_positions > 1:
        assert (design.positions[0], design.positions[-1]) == (0, n - 2)
    assert (design.targets == design.positions + 1 + np.array([[0], [n]])).all()


def test_designs_refuse_what_cannot_be_measured() -> None:
    for rows in ([], [[1]], [[1, 2], [1, 2, 3]]):
        with pytest.raises(InputError):
            prompts_design(rows)
    with pytest.raises(InputError):
        repeated_design(np.arange(3), (), 1, np.random.default_rng(0), block=4)


def test_every_measure_is_taken_on_some_design_and_says_what_is_worse() -> None:
    designs = {"prompts", "repeated", "long"}
    for measure in MEASURES.values():
        assert set(measure.designs) <= designs
        assert measure.worse in (-1, 1)
    assert {name for design in designs for name in measures_on(design)} == set(MEASURES)
