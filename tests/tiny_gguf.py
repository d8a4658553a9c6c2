"""A GGUF file written from a tiny llama, as llama.cpp's converter writes one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

_LAYER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
"""Names of transformers, and those of llama.cpp."""


def permuted(weights: np.ndarray, n_heads: int) -> np.ndarray:
    """Rows of queries and keys in the order of llama.cpp's rotary positions."""
    width = weights.shape[0] // n_heads
    halves = weights.reshape(n_heads, 2, width // 2, weights.shape[1])
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(weights.shape)


def write_gguf(
    path: Path,
    folder: Path,
    *,
    vocabulary: str = "gpt-2",
    without: str = "",
    scaled: str = "",
    parts: int = 1,
) -> Path:
    """Write the llama in `folder` as a GGUF file.

    Args:
        path: of the file.
        folder: of the model.
        vocabulary: name of the pre-tokenizer.
        without: name of a tensor that is left out.
        scaled: how the rotary embedding is scaled: `linear`, `factors`, `ones` (factors that change
            nothing), `none`, or only `mentioned` in the description.
        parts: number of parts that the file claims to be one of.
    """
    import gguf
    from safetensors.numpy import load_file

    config = json.loads((folder / "config.json").read_text())
    tokenizer = json.loads((folder / "tokenizer.json").read_text())["model"]
    weights = load_file(folder / "model.safetensors")
    n_layers, n_heads = config["num_hidden_layers"], config["num_attention_heads"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(n_layers)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(n_heads)
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_rope_dimension_count(config["hidden_size"] // n_heads)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(vocabulary)
    tokens = sorted(tokenizer["vocab"], key=tokenizer["vocab"].__getitem__)
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in {"<s>", "</s>"} else 1 for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(True)
    named = {
        "token_embd.weight": weights["model.embed_tokens.weight"],
        "output_norm.weight": weights["model.norm.weight"],
        "output.weight": weights["lm_head.weight"],
    }
    for layer in range(n_layers):
        for theirs, name in _LAYER.items():
            values = weights[f"model.layers.{layer}.{theirs}.weight"]
            if name in {"attn_q", "attn_k"}:
                values = permuted(values, n_heads)
            named[f"blk.{layer}.{name}.weight"] = values
    if scaled in {"factors", "ones"}:
        factors = np.ones(4, dtype=np.float32)
        named["rope_freqs.weight"] = factors * 8 if scaled == "factors" else factors
    if scaled == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(4.0)
    if scaled == "none":
        writer.add_rope_scaling_type(gguf.RopeScalingType.NONE)
    if scaled == "mentioned":
        writer.add_description("see llama.rope.scaling.type and rope_freqs.weight")
    if parts > 1:
        writer.add_uint16("split.count", parts)
    for name, values in named.items():
        if name != without:
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
