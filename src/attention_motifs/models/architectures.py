"""Where architectures differ: how each is tapped, and which are refused, with the reason.

`docs/model-families.md` shows this table. An architecture that is not in it is tried by
`output_attentions`, then through the attention interface, and the causal check decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from attention_motifs.errors import ModelError

Tap = Literal["attention interface", "output_attentions"]


@dataclass(frozen=True)
class Architecture:
    """How one `model_type` of transformers is treated."""

    tap: Tap
    note: str = ""


TESTED: dict[str, Architecture] = {
    "gpt2": Architecture("attention interface"),
    "gpt_neox": Architecture("attention interface"),
    "llama": Architecture("attention interface"),
    "gemma": Architecture("attention interface"),
    "gemma2": Architecture("attention interface", "soft cap on the scores; sliding windows"),
    "gemma3_text": Architecture("attention interface", "sliding windows"),
    "qwen2": Architecture("attention interface"),
    "qwen3": Architecture("attention interface"),
    "mistral": Architecture("attention interface", "sliding window"),
    "phi": Architecture("attention interface"),
    "opt": Architecture("attention interface"),
    "gpt_oss": Architecture("attention interface", "sinks: rows sum to less than 1"),
    "gpt_neo": Architecture("output_attentions", "local windows in every second layer"),
    "bloom": Architecture("output_attentions"),
    "falcon": Architecture("output_attentions"),
    "gptj": Architecture("output_attentions"),
}

_NOT_CAUSAL = "its attention is not causal: a token sees later ones"
_NOT_SOFTMAX = "it has no softmax attention to take patterns of"
_TWO_STACKS = "it is an encoder and a decoder; only decoders are taken"
_SOFTMAX_LAYERS = {"attention", "chunked_attention", "full_attention", "sliding_attention"}

REFUSED: dict[str, str] = {
    "albert": _NOT_CAUSAL,
    "bert": _NOT_CAUSAL,
    "deberta": _NOT_CAUSAL,
    "deberta-v2": _NOT_CAUSAL,
    "distilbert": _NOT_CAUSAL,
    "electra": _NOT_CAUSAL,
    "modernbert": _NOT_CAUSAL,
    "roberta": _NOT_CAUSAL,
    "xlm-roberta": _NOT_CAUSAL,
    "falcon_mamba": _NOT_SOFTMAX,
    "mamba": _NOT_SOFTMAX,
    "mamba2": _NOT_SOFTMAX,
    "rwkv": _NOT_SOFTMAX,
    "bart": _TWO_STACKS,
    "mt5": _TWO_STACKS,
    "t5": _TWO_STACKS,
}


def check_configuration(name: str, config: Any) -> None:
    """Refuse architectures that have no causal softmax attention in every layer.

    Args:
        name: what errors call the model.
        config: of the whole model, of which the text decoder may be a part.

    Raises:
        ModelError: with the reason.
    """
    kind = config.model_type
    reason = REFUSED.get(kind)
    if reason is None and getattr(config, "is_encoder_decoder", False):
        reason = _TWO_STACKS
    config = config if reason else config.get_text_config(decoder=True)
    others = set(getattr(config, "layer_types", None) or ()) - _SOFTMAX_LAYERS
    if reason is None and others:
        reason = f"some of its layers have no softmax attention ({', '.join(sorted(others))})"
    if reason is None and getattr(config, "use_bidirectional_attention", False):
        reason = _NOT_CAUSAL
    if reason is not None:
        raise ModelError(f"{name}: the architecture {kind} is refused: {reason}")


def taps_to_try(model_type: str) -> tuple[Tap, ...]:
    """Ways to tap an architecture, the first that passes the causal check being taken.

    An architecture that is not known runs with its own eager attention if that can be tapped,
    since ours would pass over what is special to it.
    """
    known = TESTED.get(model_type)
    return (known.tap,) if known else ("output_attentions", "attention interface")


def has_sinks(model: Any) -> bool:
    """Whether rows of patterns may sum to less than 1, by the architecture's own doing."""
    return any(name.rpartition(".")[2] == "sinks" for name, _ in model.named_parameters())


def layers_and_heads(name: str, config: Any) -> tuple[int, int]:
    """Return the numbers of layers and of query heads per layer.

    Raises:
        ModelError: if the configuration does not tell.
    """
    n_layers, n_heads = (
        getattr(config, key, None) for key in ("num_hidden_layers", "num_attention_heads")
    )
    if not isinstance(n_layers, int) or not isinstance(n_heads, int):
        raise ModelError(
            f"{name}: its configuration ({config.model_type}) does not tell one number of layers "
            "and of heads"
        )
    return n_layers, n_heads
