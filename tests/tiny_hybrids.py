"""Tiny hybrids of random weights: models with softmax attention in some layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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


def make_tiny_hybrid(folder: Path, family: str, seed: int = 3) -> Path:
    """Write a hybrid of three layers of four heads, with a tokenizer; return its folder."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    make_tiny_model(folder)
    (folder / "model.safetensors").unlink()
    settings, _ = FAMILIES[family]
    sizes = {**SIZES, "vocab_size": 300, "max_position_embeddings": 256}
    config = AutoConfig.for_model(family, initializer_range=0.4, **{**sizes, **settings})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder
