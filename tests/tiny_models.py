"""Small models of random weights with a real tokenizer, for runs that take a second."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TEXTS = (
    "The cat sat on the mat, and the dog sat on the log beside the old mill.",
    "def add(a, b):\n    return a + b  # the sum of a and b",
    "In the year 1871 the town had three mills, two inns and one school.",
    "She said: 'No, the ship left the harbour at dawn, and nobody waved.'",
    "Let $x$ be a prime; then $x + 1$ is even unless $x = 2$, which is odd.",
    "error 404: page not found, error 500: server on fire, error 404: again",
    "one two three one two three one two three one two three one two three",
    "Der Hund lief durch den Wald, und die Katze sah ihm lange nach.",
)
"""What the tokenizer is trained on, and what `write_prompts` draws from."""

_FIRST, _LAST = "<s>", "</s>"
_VOCABULARY = 300


def make_tiny_model(
    folder: str | Path,
    *,
    architecture: str = "llama",
    n_layers: int = 2,
    n_heads: int = 2,
    seed: int = 0,
    context: int = 256,
) -> Path:
    """Write a model that transformers loads: config, safetensors, tokenizer; return the folder.

    The weights are larger than a fresh model's, so that attention is far from uniform.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    path = Path(folder)
    tokenizer = _tokenizer()
    sizes = {
        "vocab_size": len(tokenizer),
        "hidden_size": 8 * n_heads,
        "intermediate_size": 16,
        "num_hidden_layers": n_layers,
        "num_attention_heads": n_heads,
        "num_key_value_heads": n_heads,
        "max_position_embeddings": context,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    if architecture == "gpt2":
        sizes = {**sizes, "n_inner": sizes.pop("intermediate_size")}
        del sizes["num_key_value_heads"]
    config = AutoConfig.for_model(architecture, initializer_range=0.4, **sizes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


SIZES: dict[str, Any] = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8,
    "max_position_embeddings": 64, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1,
}  # fmt: skip

# Only what a family calls by another name, or what makes it special.
FAMILIES: dict[str, dict[str, Any]] = {
    "gpt2": {"n_inner": 48},
    "gpt_neox": {},
    "llama": {},
    "gemma": {},
    "gemma2": {"sliding_window": 5, "attn_logit_softcapping": 3.0},
    "gemma3_text": {"sliding_window": 5,
                    "layer_types": ["sliding_attention", "sliding_attention", "full_attention"]},
    "qwen2": {},
    "qwen3": {},
    "mistral": {"sliding_window": 5},
    "phi": {},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32},
    "gpt_oss": {"num_local_experts": 2, "num_experts_per_tok": 1, "sliding_window": 5,
                "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]},
    "gpt_neo": {"num_layers": 3, "attention_types": [[["global", "local", "global"], 1]],
                "window_size": 5},
    "bloom": {"n_layer": 3, "n_head": 4},
    "falcon": {"new_decoder_architecture": True, "num_kv_heads": 2},
    "gptj": {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64, "rotary_dim": 4},
}  # fmt: skip


def save_family(folder: Path, family: str) -> Path:
    """Write a model of random weights of a family, with the tokenizer of the tiny models."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    make_tiny_model(folder)
    for stale in folder.glob("*.safetensors"):
        stale.unlink()
    settings = {**SIZES, **FAMILIES[family]}
    if family in {"gptj", "bloom"}:
        for name in ("num_hidden_layers", "num_attention_heads", "max_position_embeddings"):
            settings.pop(name)
    if family == "falcon":
        settings.pop("head_dim")  # it derives its own
    if family == "gpt_neo":
        settings.pop("num_hidden_layers")
        settings["num_heads"] = settings.pop("num_attention_heads")
    settings["initializer_range"] = 0.4
    config = AutoConfig.for_model(family, **settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = AutoModelForCausalLM.from_config(config)
        for name, parameter in model.named_parameters():
            if name.endswith("sinks"):
                parameter.data.normal_()
    model.save_pretrained(folder)
    return folder


def _tokenizer():  # type: ignore[no-untyped-def]
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY,
        special_tokens=[_FIRST, _LAST],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    first = tokenizer.token_to_id(_FIRST)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{_FIRST} $A", special_tokens=[(_FIRST, first)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=_FIRST, eos_token=_LAST)


def texts(n_prompts: int, n_repeats: int = 2) -> list[str]:
    """Different texts of at least 25 tokens each, the same in every call."""
    return [
        f"{i}: " + " ".join(TEXTS[(i + k) % len(TEXTS)] for k in range(n_repeats))
        for i in range(n_prompts)
    ]


def write_prompts(path: str | Path, prompts: Sequence[str]) -> Path:
    """Write a prompts file of JSON lines."""
    target = Path(path)
    target.write_text("".join(json.dumps({"text": t}) + "\n" for t in prompts), encoding="utf-8")
    return target
