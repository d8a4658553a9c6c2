"""Hybrids with softmax attention in some layers: these are read under their true numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import attention_motifs as am
from attention_motifs.errors import ModelError
from attention_motifs.extraction import load_model
from tiny_hybrids import FAMILIES, make_tiny_hybrid
from tiny_models import make_tiny_model

TEXT = "one two three one two three"


@pytest.fixture(params=FAMILIES)
def hybrid(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, own_cache: Path
) -> tuple[Path, tuple[int, ...]]:
    """Folder of a hybrid of random weights, and the numbers of its softmax layers."""
    family: str = request.param
    _, layers = FAMILIES[family]
    return make_tiny_hybrid(tmp_path_factory.mktemp(family), family), layers


def test_the_softmax_layers_are_those_of_its_own_attention(
    hybrid: tuple[Path, tuple[int, ...]],
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, layers = hybrid
    loaded = load_model(f"m={folder}", softmax_only=True)
    assert loaded.layers == layers
    assert loaded.info.n_layers == 3
    batches = list(am.extract_patterns(loaded, [TEXT, "a b c d"], max_tokens=32))[: len(layers)]
    assert [batch.layer for batch in batches] == list(layers)
    assert str(batches[-1].heads[3]) == f"m:L{layers[-1]}:H3"
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        outputs = model(**tokenizer(TEXT, return_tensors="pt"), output_attentions=True)
    expected = [a for a in outputs.attentions if a is not None and a.ndim == 4][-len(layers) :]
    for batch, of_layer in zip(batches, expected, strict=True):
        np.testing.assert_allclose(batch.patterns, of_layer[0], atol=1e-5)
    in_memory = am.extract_patterns((model, tokenizer), TEXT, max_tokens=32, softmax_only=True)
    for batch, again in zip(batches, in_memory, strict=True):
        assert again.layer == batch.layer
        np.testing.assert_allclose(again.patterns, batch.patterns, atol=1e-5)
    for shown in (am.view(loaded, TEXT), am.view(model, tokenizer, TEXT)):
        assert [layer.layer for layer in shown.data.layers] == list(layers)


def test_a_hybrid_is_refused_unless_its_softmax_layers_are_asked_for(
    hybrid: tuple[Path, tuple[int, ...]],
) -> None:
    folder, _ = hybrid
    with pytest.raises(ModelError, match=r"softmax_only=True"):
        load_model(f"m={folder}")


def test_a_model_of_softmax_layers_alone_loads_with_the_option(
    tmp_path: Path, own_cache: Path
) -> None:
    folder = make_tiny_model(tmp_path / "plain")
    assert load_model(f"m={folder}", softmax_only=True).layers == (0, 1)
