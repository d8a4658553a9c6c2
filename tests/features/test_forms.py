"""Features of patterns in the forms that other libraries give, with their leading axes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import attention_motifs as am
from attention_motifs.errors import InputError
from attention_motifs.extraction import PatternBatch

N = 7
SCORES = np.random.default_rng(3).random((2, 3, 4, N, N)) * np.tril(np.ones((N, N)))
PATTERNS = (SCORES / SCORES.sum(axis=-1, keepdims=True)).astype(np.float32)
TOKENS = [[f" {b}{i}" for i in range(N)] for b in range(3)]
TOKENS[1][4] = TOKENS[1][2]


def flat() -> Any:
    return am.compute_features(PATTERNS.reshape(-1, N, N)).reshape(2, 3, 4, -1)


@pytest.mark.parametrize(
    "value",
    [
        PATTERNS,
        list(PATTERNS),
        {1: PATTERNS[1], 0: PATTERNS[0]},
        SimpleNamespace(attentions=tuple(PATTERNS)),
        {f"blocks.{i}.attn.hook_pattern": PATTERNS[i] for i in (1, 0)},
        SimpleNamespace(
            cache_dict={
                "blocks.0.hook_resid_pre": None,
                **{f"blocks.{i}.attn.hook_pattern": PATTERNS[i] for i in (0, 1)},
            }
        ),
        {"L1": PATTERNS[1], "layer 0": PATTERNS[0]},
        (None, PATTERNS[0], None, PATTERNS[1]),
        [PatternBatch("m", i, "0" * 16, (), PATTERNS[i]) for i in (1, 0)],
    ],
    ids=["array", "list", "mapping", "output", "hooks", "cache", "names", "hybrid", "batches"],
)
def test_leading_axes_are_kept(value: Any) -> None:
    np.testing.assert_allclose(am.compute_features(value), flat(), rtol=1e-5, atol=1e-6)


def test_tensors_give_tensors_and_an_iterator_a_list() -> None:
    rows = am.compute_features(tuple(torch.from_numpy(PATTERNS)))
    assert isinstance(rows, torch.Tensor)
    np.testing.assert_allclose(rows.numpy(), flat(), rtol=1e-5, atol=1e-6)
    prompts = am.compute_features(PATTERNS[:, b] for b in range(3))
    assert len(prompts) == 3
    np.testing.assert_allclose(prompts[2], flat()[:, 2], rtol=1e-5, atol=1e-6)


def test_tokens_may_be_given_per_prompt() -> None:
    rows = am.compute_features(list(PATTERNS), "tokens", tokens=TOKENS)
    for b, texts in enumerate(TOKENS):
        own = am.compute_features(PATTERNS[:, b], "tokens", tokens=texts)
        np.testing.assert_allclose(rows[:, b], own, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(0, 5, 5), (2, 0, 5, 5), (1, 1, 1, 1)])
def test_empty_and_smallest_batches(shape: tuple[int, ...]) -> None:
    for patterns in (np.ones(shape, np.float32), torch.ones(shape, dtype=torch.float64)):
        rows = am.compute_features(patterns, "paper")
        assert tuple(rows.shape) == (*shape[:-2], 94)


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        [None],
        ["a"],
        {"a": PATTERNS[0]},
        {-1: PATTERNS[1]},
        {"0": PATTERNS[0], 0: PATTERNS[1]},
        {"blocks.0.hook_resid_pre": PATTERNS[0]},
        [PatternBatch("m", 0, str(i) * 16, (), PATTERNS[i]) for i in (1, 0)],
        [PATTERNS[0], PATTERNS[0, :2]],
        SimpleNamespace(attentions=None),
        np.ones(3, np.float32),
        np.ones((2, 3, 4), np.float32),
    ],
)
def test_other_values_are_refused(value: Any) -> None:
    with pytest.raises(InputError):
        am.compute_features(value)
