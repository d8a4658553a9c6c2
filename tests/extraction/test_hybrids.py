"""Hybrids with softmax attention in some layers: these are read under their true numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import attention_motifs as am
from attention_motifs.errors import ModelError
from attention_motifs.extraction import load_model
from tiny_models import SIZES, make_tiny_model

MAMBA = {"mamba_d_state": 4, "mamba_d_conv": 2, "mamba_n_heads": 4, "mamba_d_head": 16,
         "mamba_n_groups": 1, "mamba_chunk_size": 4}  # fmt: skip
LINEAR = {"linear_num_key_heads": 2, "linear_num_value_heads": 2, "linear_key_head_dim": 8,
          "linear_value_head_dim": 8, "linear_conv_kernel_dim": 2}  # fmt: skip
ONE_OF_THREE = ["linear_attention", "full_attention", "linear_attention"]

# What a family needs besides `SIZES`, and the numbers of its softmax layers.
FAMILIES: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "falcon_h1": ({**MAMBA, "mamba_d_ssm": 64}, (0, 1, 2)),
    "jamba": (
        {
            "attn_layer_period": 3, "attn_layer_offset": 1, "num_experts": 2,
            "num_experts_per_tok": 1, "mamba_d_state": 4, "mamba_d_conv": 2, "mamba_dt_rank": 4,
            "use_mamba_kernels": False,
        },
        (1,),
    ),
    "lfm2": ({"layer_types": ["conv", "full_attention", "conv"], "conv_L_cache": 2}, (1,)),
    "qwen3_next": (
        {
            **LINEAR, "layer_types": ["linear_attention", "full_attention", "full_attention"],
            "num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 16,
            "shared_expert_intermediate_size": 16,
        },
        (1, 2),
    ),
    "olmo_hybrid": ({**LINEAR, "layer_types": ONE_OF_THREE}, (1,)),
}  # fmt: skip
TEXT = "one two three one two three"


@pytest.fixture(params=FAMILIES)
def hybrid(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, own_cache: Path
) -> tuple[Path, tuple[int, ...]]:
    """Folder of a hybrid of random weights, and the numbers of its softmax layers."""
    from transformers import AutoConfig, AutoModelForCausalLM

    family: str = request.param
    folder = make_tiny_model(tmp_path_factory.mktemp(family))
    (folder / "model.safetensors").unlink()
    settings, layers = FAMILIES[family]
    sizes = {**SIZES, "vocab_size": 300}
    config = AutoConfig.for_model(family, initializer_range=0.4, **{**sizes, **settings})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder, layers


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
    view = am.view(loaded, TEXT).data
    assert [layer.layer for layer in view.layers] == list(layers)


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
