"""Batches, order and errors of the stream of patterns."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attention_motifs.errors import InputError, ModelError
from attention_motifs.extraction import (
    extract_patterns,
    for_each_layer,
    load_model,
    loading,
    stream,
)
from attention_motifs.models.tokenizing import TokenizedPrompt, tokenize
from attention_motifs.prompts import Prompt
from conftest import Tiny
from tiny_models import texts

N_LAYERS = 3


def prompts_of(lengths: list[int]) -> list[TokenizedPrompt]:
    return [
        TokenizedPrompt(f"p{i}", (i, *range(length - 1)), ("t",) * length)
        for i, length in enumerate(lengths)
    ]


def passes(prompts: list[TokenizedPrompt], batch_tokens: int) -> list[tuple[int, list[int], Any]]:
    """What the sink is given, of a model whose patterns hold the first token of their text."""

    def run(_loaded: Any, ids: torch.Tensor, sink: Any, **_options: Any) -> None:
        n = ids.shape[1]
        for layer in range(N_LAYERS):
            sink(layer, ids[:, :1, None, None].to(torch.float32).expand(-1, 2, n, n))

    given_on: list[tuple[int, list[int], Any]] = []
    loaded: Any = SimpleNamespace(layers=tuple(range(N_LAYERS)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "run_tapped", run)
        for_each_layer(
            loaded, prompts, lambda *item: given_on.append((item[0], list(item[1]), item[2])),
            batch_tokens,
        )  # fmt: skip
    return given_on


@given(st.lists(st.integers(2, 9), max_size=30), st.integers(1, 40))
def test_each_prompt_and_layer_comes_once_among_its_equals(
    lengths: list[int], batch_tokens: int
) -> None:
    prompts = prompts_of(lengths)
    result = passes(prompts, batch_tokens)
    seen = Counter((layer, i) for layer, positions, _ in result for i in positions)
    assert seen == Counter((layer, i) for layer in range(N_LAYERS) for i in range(len(prompts)))
    for _, positions, patterns in result:
        assert len({lengths[i] for i in positions}) == 1
        assert len(positions) == 1 or sum(lengths[i] for i in positions) <= batch_tokens
        assert patterns.shape == (len(positions), 2, *[lengths[positions[0]]] * 2)
        assert patterns[:, 0, 0, 0].tolist() == positions  # each with its own text
    again = passes(prompts, batch_tokens)
    assert [item[:2] for item in again] == [item[:2] for item in result]


def test_batches_of_a_real_model_are_the_same_every_time(tiny: Tiny, own_cache: Path) -> None:
    loaded = load_model(tiny.model("b"), device="cpu")
    prompts = tokenize(loaded, [(f"p{i}", t) for i, t in enumerate(texts(6))], max_tokens=20)
    prompts = [TokenizedPrompt(p.prompt_id, p.token_ids[: 9 + i % 2], p.tokens)
               for i, p in enumerate(prompts)]  # fmt: skip

    def run(batch_tokens: int) -> dict[tuple[int, int], torch.Tensor]:
        kept: dict[tuple[int, int], torch.Tensor] = {}

        def sink(layer: int, positions: Any, patterns: torch.Tensor) -> None:
            kept.update({(layer, p): patterns[k].clone() for k, p in enumerate(positions)})

        for_each_layer(loaded, prompts, sink, batch_tokens)
        return kept

    together, again, alone = run(512), run(512), run(1)
    assert together.keys() == alone.keys()
    assert len(together) == 3 * 6
    for key, patterns in together.items():
        assert torch.equal(patterns, again[key])
        torch.testing.assert_close(patterns, alone[key], rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_patterns_are_float32_whatever_the_model_is(
    tiny: Tiny, own_cache: Path, dtype: str
) -> None:
    loaded = load_model(tiny.model("a"), device="cpu", dtype=dtype)
    for batch in extract_patterns(loaded, texts(2), max_tokens=12):
        assert batch.patterns.dtype == torch.float32
        assert batch.patterns.shape == (2, 12, 12)
        assert [str(h) for h in batch.heads] == [f"a:L{batch.layer}:H{i}" for i in range(2)]


def workers() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "attention-motifs patterns"]


def test_an_error_in_the_worker_reaches_the_consumer(tiny: Tiny, own_cache: Path) -> None:
    loaded = load_model(tiny.model("a"), device="cpu")
    with torch.no_grad():
        loaded.model.layers[1].self_attn.k_proj.weight.fill_(float("nan"))
    patterns = extract_patterns(loaded, texts(1), max_tokens=8)
    assert next(patterns).layer == 0
    with pytest.raises(ModelError, match="a:L1:H0: its pattern on prompt"):
        next(patterns)
    assert not workers()


def test_what_the_consumer_raises_ends_the_worker(tiny: Tiny, own_cache: Path) -> None:
    def consume() -> None:
        for _ in extract_patterns(load_model(tiny.model("a")), texts(12), max_tokens=16):
            raise KeyError("the consumer's own")

    with pytest.raises(KeyError):
        consume()
    assert not workers()


def test_nothing_in_gives_nothing_out(tiny: Tiny, own_cache: Path) -> None:
    assert list(extract_patterns(load_model(tiny.model("a")), [])) == []
    assert not workers()


def test_a_model_may_be_named(tiny: Tiny, own_cache: Path) -> None:
    result = list(extract_patterns(tiny.model("a"), texts(1), max_tokens=8, device="cpu"))
    assert [(b.model, b.layer) for b in result] == [("a", 0), ("a", 1)]


@pytest.mark.parametrize("prompts", ["one two three", Prompt("one two three")])
def test_a_single_text_is_one_prompt(tiny: Tiny, own_cache: Path, prompts: Any) -> None:
    batches = list(extract_patterns(load_model(tiny.model("a")), prompts))
    assert [b.prompt_id for b in batches] == [Prompt("one two three").prompt_id] * 2


@pytest.mark.parametrize(
    ("model", "prompts", "settings"),
    [
        (None, ["one two three"], {}),
        (5, ["one two three"], {}),
        ("a", None, {}),
        ("a", 5, {}),
        ("a", [1, 2], {}),
        ("a", [None], {}),
        ("a", {"text": 1}, {}),
        ("a", ["one two three"], {"max_tokens": "x"}),
        ("a", ["one two three"], {"max_tokens": 10**6}),
        ("a", ["one two three"], {"bos": None}),
    ],
)
def test_arguments_of_the_wrong_kind_are_refused_before_loading(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, model: Any, prompts: Any, settings: Any
) -> None:
    monkeypatch.setattr(loading, "_load", lambda _request: pytest.fail("loaded"))
    with pytest.raises(InputError):
        list(extract_patterns(tiny.model(model) if model == "a" else model, prompts, **settings))
