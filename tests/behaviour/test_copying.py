"""Copying scores: their definition, and heads that copy or do the contrary by construction."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from attention_motifs.behaviour import (
    OF_OUTPUTS,
    OF_PATTERNS,
    behaviour_scores,
    copied_share,
    copying_scores,
)
from attention_motifs.errors import ModelError
from attention_motifs.extraction import load_model
from attention_motifs.models.model import LoadedModel
from conftest import Tiny
from tiny_models import make_tiny_model

N_TOKENS = 25


def share_by_hand(logits: np.ndarray, attended: np.ndarray) -> float:
    """Of one head on one sample, query by query and token by token."""
    of_attended = of_all = 0.0
    for added, attention in zip(logits, attended, strict=True):
        for logit, weight in zip(added, attention, strict=True):
            raised = max(float(logit), 0.0)
            of_attended += raised * float(weight) / float(sum(attention))
            of_all += raised
    return of_attended / of_all


@given(
    arrays(np.float64, (3, 4, 4), elements=st.floats(-5, 5, width=32, allow_subnormal=False)),
    arrays(np.float64, (3, 4, 4), elements=st.floats(0.01, 1)),
)
def test_the_share_is_its_definition(logits: np.ndarray, weights: np.ndarray) -> None:
    attended = np.tril(weights)
    result = copied_share(torch.from_numpy(logits)[None], torch.from_numpy(attended)[None])
    for head in range(3):
        if (logits[head] <= 0).all():
            assert result[0, head] == 0
            continue
        share = share_by_hand(logits[head], attended[head])
        assert float(result[0, head]) == pytest.approx(share, abs=1e-9)
        assert -1e-12 <= share <= 1 + 1e-12
        # In the paper's words: x / (x + T), scaled from 0..0.5 to -1..1.
        raised = np.maximum(logits[head], 0)
        x = (attended[head] / attended[head].sum(-1, keepdims=True) * raised).sum()
        scaled = 4 * x / (x + raised.sum()) - 1
        assert 4 * share / (1 + share) - 1 == pytest.approx(scaled, abs=1e-9)


def test_degenerate_shares() -> None:
    one = torch.ones(1, 1, 1, 1)
    assert copied_share(one, one).item() == 1.0
    assert copied_share(-one, one).item() == 0.0, "nothing is raised"
    assert copied_share(one, 0 * one).item() == 0.0, "nothing is attended to"
    assert copied_share(one * np.nan, one).isnan().all()
    half = torch.full((1, 1, 3, 3), 0.25)  # attention that a sink outside has taken from
    assert copied_share(torch.ones(1, 1, 3, 3), half).item() == pytest.approx(1 / 3)


@pytest.fixture
def built(tmp_path: Path, own_cache: Path) -> LoadedModel:
    """One layer of four heads on one-hot embeddings, each attending to the token itself.

    They write what they read; its contrary; the next word's embedding; something random.
    """
    from transformers import AutoConfig, AutoModelForCausalLM

    folder = make_tiny_model(tmp_path / "made", n_layers=1)
    n_words = json.loads((folder / "config.json").read_text())["vocab_size"]
    width = n_words + n_words % 2
    config = AutoConfig.for_model(
        "llama", vocab_size=n_words, hidden_size=width, intermediate_size=2, num_hidden_layers=1,
        num_attention_heads=4, num_key_value_heads=4, head_dim=width, tie_word_embeddings=True,
        max_position_embeddings=64,
    )  # fmt: skip
    model: Any = AutoModelForCausalLM.from_config(config)
    generator = torch.Generator().manual_seed(0)
    ways = (
        torch.eye(width),
        -torch.eye(width),
        torch.roll(torch.eye(width), 1, dims=0),
        torch.randn(width, width, generator=generator),
    )
    with torch.no_grad():
        layer = model.model.layers[0]
        model.model.embed_tokens.weight.copy_(torch.eye(width)[:n_words])
        layer.self_attn.v_proj.weight.copy_(torch.eye(width).repeat(4, 1))
        layer.self_attn.q_proj.weight.copy_(3.0 * torch.eye(width).repeat(4, 1))
        layer.self_attn.k_proj.weight.copy_(3.0 * torch.eye(width).repeat(4, 1))
        layer.self_attn.o_proj.weight.copy_(0.01 * torch.cat(ways, dim=1))
        layer.mlp.down_proj.weight.zero_()
    model.save_pretrained(folder)
    return load_model(f"made={folder}", language_head=True)


@pytest.mark.parametrize("prefix", [(), (0,), (1, 0)])
def test_heads_that_copy_by_construction_score_one_and_others_about_nothing(
    built: LoadedModel, prefix: tuple[int, ...]
) -> None:
    scores = copying_scores(built, prefix=prefix, n_samples=6)
    assert scores.shape == (6, 1, 4, 2)
    copies, contrary, shifts, random = scores.mean(axis=0)[0]
    assert copies == pytest.approx([1.0, 1.0], abs=1e-3)
    assert contrary == pytest.approx([0.0, 0.0], abs=1e-3)
    assert shifts == pytest.approx([0.0, 0.0], abs=1e-3)
    assert random == pytest.approx([1 / N_TOKENS] * 2, abs=0.02)


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_a_models_scores_are_shares_and_seeded(tiny: Tiny, own_cache: Path, name: str) -> None:
    loaded = load_model(tiny.model(name), language_head=True)
    prefix = (0,) if name == "a" else ()
    once, again = (copying_scores(loaded, prefix=prefix, seed=3, n_samples=7) for _ in range(2))
    assert np.array_equal(once, again)
    assert (once >= 0).all()
    assert (once <= 1).all()
    assert not np.array_equal(once, copying_scores(loaded, prefix=prefix, seed=4, n_samples=7))
    of_all = behaviour_scores(loaded, prefix=prefix, seed=3, n_sequences=2, designs=((12, 2),))
    of_ten = copying_scores(loaded, prefix=prefix, seed=3)
    written = slice(len(OF_PATTERNS), len(OF_PATTERNS) + len(OF_OUTPUTS))
    np.testing.assert_allclose(of_all.mean[:, :, written], of_ten.mean(axis=0))
    np.testing.assert_allclose(of_all.spread[:, :, written], of_ten.std(axis=0, ddof=1))


def test_a_model_without_its_language_head_has_scores_of_patterns_alone(
    tiny: Tiny, own_cache: Path
) -> None:
    loaded = load_model(tiny.model("a"))
    with pytest.raises(ModelError):
        copying_scores(loaded, prefix=[0])
    mean = behaviour_scores(loaded, prefix=[0], n_sequences=2, designs=((12, 2),)).mean
    assert np.isfinite(mean[:, :, : len(OF_PATTERNS)]).all()
    outputs = slice(len(OF_PATTERNS), len(OF_PATTERNS) + len(OF_OUTPUTS))
    assert np.isnan(mean[:, :, outputs]).all()
    assert np.isfinite(mean[:, :, outputs.stop :]).all()


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.parametrize("model", ["smollm2-135m-instruct"])
def test_induction_heads_of_a_real_model_copy_more_than_heads_of_their_layers(model: str) -> None:
    from attention_motifs.models.tokenizing import prefix_tokens

    loaded = load_model(model, language_head=True)
    scores = behaviour_scores(loaded, prefix=prefix_tokens(loaded), n_sequences=4)
    names = [*OF_PATTERNS, *OF_OUTPUTS]
    copying = scores.mean[:, :, names.index("copying")]
    strong = scores.mean[:, :, names.index("induction")] > 0.3
    above = [
        (copying[layer, head] > copying[layer, ~strong[layer]]).mean()
        for layer, head in np.argwhere(strong)
    ]
    assert np.mean(above) > 0.6
