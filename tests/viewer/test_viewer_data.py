"""Patterns in the forms that people hold, and their bytes inside a document."""

from __future__ import annotations

import base64
import zlib
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import attention_motifs as am
from attention_motifs.errors import InputError
from attention_motifs.extraction import PatternBatch
from attention_motifs.head import HeadId
from attention_motifs.store.packed_patterns import pack_triangles, unpack_triangle
from attention_motifs.viewer import (
    attention_heads,
    attention_patterns,
    head_view,
    model_view,
    packing,
)
from attention_motifs.viewer.contract import View


def softmax_patterns(*shape: int, seed: int = 0) -> np.ndarray:
    """Return causal patterns of shape (..., n, n), float32."""
    n = shape[-1]
    scores = np.random.default_rng(seed).normal(size=(*shape, n)) * 2
    scores = np.where(np.tril(np.ones((n, n), dtype=bool)), scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return (weights / weights.sum(axis=-1, keepdims=True)).astype(np.float32)


def stored(view: View, layer: int) -> np.ndarray:
    """Return the patterns of a layer as the page reads them."""
    (stored_layer,) = [item for item in view.layers if item.layer == layer]
    packed = np.frombuffer(zlib.decompress(base64.b64decode(stored_layer.data)), dtype=np.uint8)
    return unpack_triangle(packed.reshape(stored_layer.n_heads, -1))


@settings(max_examples=30)
@given(
    n=st.integers(1, 20), heads=st.integers(1, 3), layers=st.integers(1, 3), seed=st.integers(0, 99)
)
def test_stored_weights_are_within_half_a_step_of_the_root(
    n: int, heads: int, layers: int, seed: int
) -> None:
    patterns = softmax_patterns(layers, heads, n, seed=seed)
    data = am.view(patterns).data
    assert (data.side, data.n_tokens, len(data.tokens)) == (n, n, n)
    for layer in range(layers):
        error = np.abs(np.sqrt(stored(data, layer)) - np.sqrt(patterns[layer]))
        assert error.max() <= 0.5 / 255 + 1e-6


@settings(max_examples=30)
@given(n=st.integers(1, 40), side=st.integers(1, 40), seed=st.integers(0, 99))
def test_blocks_hold_the_largest_weight_of_their_tokens(n: int, side: int, seed: int) -> None:
    side = min(side, n)
    patterns = softmax_patterns(2, n, seed=seed)
    expected = np.zeros((2, side, side), dtype=np.float32)
    for query in range(n):
        for key in range(query + 1):
            block = expected[:, query * side // n, key * side // n]
            np.maximum(block, patterns[:, query, key], out=block)
    assert np.array_equal(packing.block_maxima(patterns, side), expected)
    reduced = packing.reduced_triangles(pack_triangles(patterns), n, side)
    assert np.array_equal(reduced, pack_triangles(expected))


def test_many_heads_of_a_long_prompt_are_stored_in_blocks_but_the_one_that_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(packing, "MOST_BYTES", 3000)
    monkeypatch.setattr(packing, "BLOCK_BYTES", 6000)
    patterns = softmax_patterns(2, 3, 50)
    data = am.view(patterns, head="L1:H2").data
    assert data.side == packing.stored_side(50, 6) < 50
    assert np.array_equal(
        pack_triangles(stored(data, 0)),
        pack_triangles(packing.block_maxima(patterns[0], data.side)),
    )
    (whole,) = data.whole
    packed = np.frombuffer(zlib.decompress(base64.b64decode(whole.data)), dtype=np.uint8)
    assert (whole.layer, whole.head) == (1, 2)
    assert np.array_equal(packed, pack_triangles(patterns[1, 2]))
    assert am.view(patterns[:1, :1]).data.whole == []


P = softmax_patterns(2, 3, 4)
TENSORS = tuple(torch.from_numpy(layer)[None] for layer in P)
CACHE = OrderedDict(
    [("blocks.0.hook_resid_pre", torch.zeros(1, 4, 8))]
    + [(f"blocks.{i}.attn.hook_pattern", tensor) for i, tensor in reversed([*enumerate(TENSORS)])]
)
BATCHES = [
    PatternBatch("m", i, "0" * 16, tuple(HeadId("m", i, h) for h in range(3)), torch.from_numpy(p))
    for i, p in enumerate(P)
]


@pytest.mark.parametrize(
    "patterns",
    [P, P[:, None], torch.from_numpy(P), torch.from_numpy(P).double(), P.astype(np.float64),
     TENSORS, list(P), P.tolist(), {0: P[0], 1: TENSORS[1]}, {"L1": P[1], "layer 0": P[0]},
     CACHE, BATCHES, iter(BATCHES), torch.from_numpy(P).requires_grad_()],
    ids=["array", "with a batch axis", "tensor", "float64 tensor", "float64 array", "attentions",
         "list", "nested lists", "mapping", "mapping of names", "cache", "batches", "iterator",
         "with gradients"],
)  # fmt: skip
def test_every_form_of_patterns_is_read(patterns: Any) -> None:
    data = am.view(patterns, ["a", " b", " c", " d"]).data
    assert [layer.layer for layer in data.layers] == [0, 1]
    for layer in (0, 1):
        assert np.allclose(stored(data, layer), P[layer], atol=4e-3)


def test_layers_keep_their_numbers() -> None:
    assert [layer.layer for layer in am.view({7: P[0], 3: P[1]}).data.layers] == [3, 7]
    # transformers gives None for the layers of a hybrid model that have no attention.
    data = am.view((None, TENSORS[0], None, TENSORS[1]), head=(3, 1)).data
    assert [layer.layer for layer in data.layers] == [1, 3]
    assert (data.layer, data.head) == (3, 1)
    assert [(layer.layer, layer.n_heads) for layer in am.view(P[0, 0]).data.layers] == [(0, 1)]
    half = am.view([layer.to(torch.bfloat16) for layer in TENSORS]).data
    assert np.allclose(stored(half, 1), P[1], atol=2e-2)


WITH_NAN = P.copy()
WITH_NAN[1, 2, 3, 0] = np.nan


@pytest.mark.parametrize(
    ("patterns", "word"),
    [
        (np.ones((2, 3)), "shape"),
        (WITH_NAN, "L1:H2"),
        (3 * P, "softmax"),
        (-P, "softmax"),
        (np.swapaxes(P, -1, -2), "diagonal"),
        (np.zeros((0, 4, 4)), "no token or no head"),
        (np.zeros((2, 0, 0)), "no token or no head"),
        ([np.concatenate([t, t]) for t in TENSORS], "2 prompts"),
        ([P[0], softmax_patterns(3, 5)], "tokens in one layer"),
        ({"x": P[0]}, "names no layer"),
        ({"1": P[0], 1: P[1]}, "twice"),
        ({}, "without a layer"),
        ([], "without a layer"),
        ([["a"]], "not numbers"),
        (np.zeros((2, 2), dtype=complex), "real numbers"),
        (None, "cannot be shown"),
        ([*BATCHES, PatternBatch("m", 2, "1" * 16, (), torch.from_numpy(P[0]))], "2 prompts"),
    ],
)
def test_what_is_no_pattern_is_refused_with_the_reason(patterns: Any, word: str) -> None:
    with pytest.raises(InputError, match=word):
        am.view(patterns)


@pytest.mark.parametrize(
    "arguments",
    [{"tokens": ["a"]}, {"tokens": "abcd"}, {"tokens": [1, 2, 3, 4]}, {"head": "L2:H0"},
     {"head": (0, 3)}, {"head": (0,)}, {"head": "x"}, {"scale": "cubic"}, {"theme": None},
     {"height": 3}, {"height": "tall"}, {"text": "some"}, {"atlas": "demo-atlas"}, {"model": 3}],
)  # fmt: skip
def test_arguments_that_do_not_fit_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        am.view(P, **arguments)


def test_tokens_of_vocabularies_are_shown_as_text() -> None:
    data = am.view(P, ["The", "\u0120cat", "\u0120sat", "\u010a"]).data
    assert data.tokens == ["The", " cat", " sat", "\n"]
    assert data.prompt == "The cat sat\n"


def test_calls_of_other_packages_show_the_same_patterns() -> None:
    tokens = ["a", " b", " c", " d"]
    expected = am.view(P, tokens).data
    assert attention_patterns(tokens, P[1]).data == am.view(P[1], tokens).data
    assert attention_heads(P[1], tokens, mask_upper_tri=True).data == am.view(P[1], tokens).data
    assert head_view(TENSORS, tokens).data == expected
    chosen = head_view(TENSORS, tokens, layer=1, heads=[2], prettify_tokens=False).data
    assert (chosen.layer, chosen.head) == (1, 2)
    only = head_view(TENSORS, tokens, include_layers=[1]).data
    assert [layer.layer for layer in only.layers] == [1]
    dark = model_view(TENSORS, tokens, display_mode="dark").data
    assert dark.theme == "dark"
    assert dark.layers == expected.layers
    for wrong in ({"cross_attention": TENSORS}, {"include_layers": [5]}):
        with pytest.raises(InputError):
            head_view(TENSORS, tokens, **wrong)
    with pytest.raises(InputError):
        attention_heads(P[1], tokens, colour="red")
