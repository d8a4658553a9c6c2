"""Patterns of some heads at a time are those of whole layers, to the bit."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from attention_motifs.errors import ModelError
from attention_motifs.extraction import for_each_layer, load_model, stream, tap
from attention_motifs.extraction.attention import Scoring, attention_weights, head_blocks
from attention_motifs.features.threads import cores_of_pass, running_pass
from attention_motifs.models.model import LoadedModel
from attention_motifs.models.tokenizing import TokenizedPrompt, tokenize
from attention_motifs.stages.model_source import source_of
from attention_motifs.stages.parts import _features
from conftest import Tiny
from tiny_models import save_family, texts


def prompts_of(loaded: LoadedModel, n_prompts: int = 3) -> list[TokenizedPrompt]:
    named = [(f"p{i}", text) for i, text in enumerate(texts(n_prompts))]
    return tokenize(loaded, named, max_tokens=20)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 90))
def test_blocks_hold_every_head_once_in_their_order(
    key_heads: int, groups: int, fitting: int
) -> None:
    heads = np.arange(key_heads * groups).reshape(key_heads, groups)
    blocks = [heads[block].ravel() for block in head_blocks(key_heads, groups, fitting)]
    assert np.concatenate(blocks).tolist() == heads.ravel().tolist()
    assert max(map(len, blocks)) <= max(1, fitting)


@pytest.mark.parametrize("mask_heads", [1, 6])
def test_settings_of_some_heads_are_those_of_all(mask_heads: int) -> None:
    torch.manual_seed(0)
    query, key = torch.randn(2, 3, 2, 9, 4), torch.randn(2, 3, 9, 4)
    mask = torch.randn(1, mask_heads, 9, 9) + torch.full((9, 9), -1e30).triu(1)
    scoring = Scoring(scale=0.5, mask=mask, sinks=torch.randn(3, 2))
    whole = attention_weights(query, key, scoring, hides_later=False)
    for keys, within in head_blocks(3, 2, 1):
        part = scoring.of(keys, within, (3, 2))
        weights = attention_weights(query[:, keys, within], key[:, keys], part, hides_later=False)
        torch.testing.assert_close(weights, whole[:, keys, within])


# Grouped queries, a sink in the softmax, a soft cap.
@pytest.mark.parametrize("family", ["llama", "gpt_oss", "gemma2"])
@pytest.mark.parametrize("n_heads", [1, 3])
def test_patterns_of_some_heads_are_those_of_the_layer(
    family: str, n_heads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_model(save_family(tmp_path / family, family), device="cpu")
    prompts = [TokenizedPrompt("p0", tuple(range(2, 22)), ("?",) * 20)]
    whole: dict[int, Tensor] = {}
    parts: dict[int, list[Tensor]] = {}
    for_each_layer(loaded, prompts, lambda layer, _, x: whole.__setitem__(layer, x.clone()))

    def keep(layer: int, _positions: Sequence[int], patterns: Tensor, first_head: int) -> None:
        before = parts.setdefault(layer, [])
        assert first_head == sum(part.shape[1] for part in before)
        before.append(patterns.clone())

    n_bytes = 4 * n_heads * len(prompts[0].token_ids) ** 2
    monkeypatch.setattr(stream, "_bytes_at_once", lambda *_: n_bytes)
    for_each_layer(loaded, prompts, keep, by_heads=True)
    assert len(parts) == len(whole) == 3
    for layer, patterns in whole.items():
        assert len(parts[layer]) > 1
        assert max(part.shape[1] for part in parts[layer]) <= n_heads
        assert torch.equal(torch.cat(parts[layer], dim=1), patterns)


def test_a_pattern_that_holds_nan_is_named_by_its_head(
    tiny: Tiny, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_model(tiny.model("b"), device="cpu")
    computed = tap.attention_weights

    def broken(query: Tensor, *rest: Any, **named: Any) -> Tensor:
        weights = computed(query, *rest, **named)
        calls.append(len(calls))
        return weights * torch.nan if len(calls) == 2 else weights

    calls: list[int] = []
    monkeypatch.setattr(tap, "attention_weights", broken)
    monkeypatch.setattr(stream, "_bytes_at_once", lambda *_: 1)
    with pytest.raises(ModelError, match="b:L0:H1"):
        for_each_layer(loaded, prompts_of(loaded, 1), lambda *_: None, by_heads=True)


def test_features_and_progress_do_not_depend_on_the_heads_at_once(
    tiny: Tiny, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_model(tiny.model("b"), device="cpu")
    source = source_of(loaded, prompts_of(loaded), tiny.configuration(max_tokens=20))
    whole = _features(source, range(3), ["paper"], {}, None, None)
    monkeypatch.setattr(stream, "_bytes_at_once", lambda *_: 1)
    steps: list[float] = []
    assert np.array_equal(_features(source, range(3), ["paper"], {}, None, steps.append), whole)
    assert sum(steps) == pytest.approx(3)
    assert len(steps) >= len(loaded.layers)


def test_a_pass_takes_the_cores_that_no_other_pass_needs(tiny: Tiny, own_cache: Path) -> None:
    loaded = load_model(tiny.model("b"), device="cpu")
    together = threading.Barrier(2)
    shares: list[int] = []

    def sink(*_: Any) -> None:
        shares.append(cores_of_pass(4))

    def waiting_sink(layer: int, *_: Any) -> None:
        if layer == 0:
            together.wait(timeout=60)
            sink()
            together.wait(timeout=60)

    for_each_layer(loaded, prompts_of(loaded, 1), sink, at_once=2)
    assert set(shares) == {4}
    shares.clear()
    cut = [TokenizedPrompt(p.prompt_id, p.token_ids[: 12 + i], p.tokens)
           for i, p in enumerate(prompts_of(loaded, 2))]  # fmt: skip
    for_each_layer(loaded, cut, waiting_sink, at_once=2)
    assert shares == [2, 2]
    with running_pass(), running_pass(), running_pass():
        assert [cores_of_pass(cores) for cores in (1, 3, 4)] == [1, 1, 2]
