"""Architectures: how each is tapped, which are refused and why, and the parts of a model.

`docs/own-model.md` shows this table. An architecture that is not in it is tried by
`output_attentions`, then through the attention interface, and the causal check decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from attention_motifs.errors import ModelError

Tap = Literal["attention interface", "output_attentions", "hook points"]
"""The last is for models of TransformerLens."""


@dataclass(frozen=True)
class Architecture:
    """Treatment of one `model_type` of transformers."""

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

_NOT_CAUSAL = "it is an encoder: its attention is not causal, a token attends to later ones"
_NOT_SOFTMAX = "it has no softmax attention to take patterns of"
_TWO_STACKS = (
    "it has two stacks, an encoder and a decoder, and only models of one decoder are taken"
)
_SOFTMAX_LAYERS = {"attention", "chunked_attention", "full_attention", "sliding_attention"}
_PARALLEL_LAYER = "hybrid"
"""Kind of a layer with softmax attention and another block next to it, as in Falcon-H1."""
_PART_OF_IT = "Read its softmax layers alone with --softmax-only (softmax_only=True in Python)"

_ENCODERS = (
    "albert", "bert", "bert-generation", "big_bird", "camembert", "convbert", "data2vec-text",
    "deberta", "deberta-v2", "distilbert", "electra", "ernie", "eurobert", "funnel", "ibert",
    "longformer", "megatron-bert", "mobilebert", "modernbert", "mpnet", "nomic_bert", "rembert",
    "roberta", "roberta-prelayernorm", "roc_bert", "roformer", "squeezebert", "xlm-roberta",
    "xlm-roberta-xl", "xmod",
)  # fmt: skip

REFUSED: dict[str, str] = {
    **dict.fromkeys(_ENCODERS, _NOT_CAUSAL),
    **dict.fromkeys(("falcon_mamba", "mamba", "mamba2", "rwkv", "xlstm"), _NOT_SOFTMAX),
    **dict.fromkeys(("bart", "mt5", "t5", "umt5"), _TWO_STACKS),
}


def check_configuration(
    name: str, config: Any, *, of_class: bool = False, softmax_only: bool = False
) -> None:
    """Refuse architectures that have no causal softmax attention in every layer.

    Args:
        name: of the model, for errors.
        config: of the whole model, of which the text decoder may be a part.
        of_class: whether the model exists already, so that transformers need not know its class.
        softmax_only: whether softmax attention in some of the layers is enough.

    Raises:
        ModelError: with the reason.
    """
    kind = config.model_type
    reason = REFUSED.get(kind)
    if reason is None and getattr(config, "is_encoder_decoder", False):
        reason = _TWO_STACKS
    if reason is None:
        reason = _reason_in(config.get_text_config(decoder=True), softmax_only=softmax_only)
    if reason is None and not of_class and not _generates_text(config):
        reason = "transformers has no model of it that predicts the next token of a text"
    if reason is not None:
        raise ModelError(f"{name}: the architecture {kind} is refused: {reason}")


def _reason_in(text_config: Any, *, softmax_only: bool) -> str | None:
    """Return why the layers of a text decoder are refused, or None."""
    if is_hybrid(text_config):
        if not _softmax_layers(text_config):
            return _NOT_SOFTMAX
        if not softmax_only:
            kinds = ", ".join(sorted(_other_kinds(text_config))) or "mamba"
            return f"some of its layers have no softmax attention ({kinds}). {_PART_OF_IT}"
    if getattr(text_config, "use_bidirectional_attention", None) in (True, "all"):
        return _NOT_CAUSAL
    return None


def is_hybrid(text_config: Any) -> bool:
    """Return whether some layers of a text decoder hold another block than softmax attention."""
    is_mamba = any(key.startswith("mamba_") for key in text_config.to_dict())
    return is_mamba or bool(_other_kinds(text_config))


def layers_of_hybrid(text_config: Any) -> tuple[int, ...] | None:
    """Return the numbers of the softmax layers of a hybrid, from 0; None for other architectures.

    Args:
        text_config: of the text decoder.
    """
    return _softmax_layers(text_config) if is_hybrid(text_config) else None


def _softmax_layers(text_config: Any) -> tuple[int, ...]:
    """Return the layers with softmax attention: all where the configuration names no kinds."""
    kinds = _layer_kinds(text_config)
    if not kinds:
        return tuple(range(text_config.num_hidden_layers))
    softmax = _SOFTMAX_LAYERS | {_PARALLEL_LAYER}
    return tuple(layer for layer, kind in enumerate(kinds) if kind in softmax)


def _other_kinds(text_config: Any) -> set[str]:
    """Return the kinds of layers without softmax attention alone."""
    return set(_layer_kinds(text_config)) - _SOFTMAX_LAYERS


def _layer_kinds(text_config: Any) -> list[str]:
    for key in ("layer_types", "layers_block_type", "block_types"):
        if kinds := getattr(text_config, key, None):
            return [str(kind) for kind in kinds]
    return []


def _generates_text(config: Any) -> bool:
    return any(type(config) in auto._model_mapping for auto in _language_model_classes())


def _language_model_classes() -> list[Any]:
    """Return the automatic classes of models with a language-model head: of text, and of more."""
    import transformers

    names = ("AutoModelForCausalLM", "AutoModelForImageTextToText", "AutoModelForMultimodalLM")
    return [getattr(transformers, name) for name in names if hasattr(transformers, name)]


def language_model_class(name: str, config: Any) -> Any:
    """Return the automatic class that loads a model together with its language-model head.

    Raises:
        ModelError: if transformers has none for this architecture.
    """
    for auto in _language_model_classes():
        if type(config) in auto._model_mapping:
            return auto
    raise ModelError(
        f"{name}: its heads cannot be ablated: transformers has no language-model head for the "
        f"architecture {config.model_type}; patterns and features can be taken"
    )


def text_model(name: str, model: Any) -> Any:
    """Return the part of a model that reads text: itself, or the decoder in a multimodal model.

    Raises:
        ModelError: if a multimodal model has no such part.
    """
    config = model.config.get_text_config(decoder=True)
    if config is model.config:
        return model
    from transformers import PreTrainedModel

    for module in model.modules():
        if isinstance(module, PreTrainedModel) and module.config is config:
            return module
    for module in model.modules():
        kind = getattr(getattr(module, "config", None), "model_type", None)
        if isinstance(module, PreTrainedModel) and kind == config.model_type:
            return module
    raise ModelError(
        f"{name}: its architecture {model.config.model_type} holds no text model of type "
        f"{config.model_type} that could be run by itself"
    )


def taps_to_try(model_type: str, *, hybrid: bool = False) -> tuple[Tap, ...]:
    """Return the ways to tap an architecture; the first that passes the causal check is taken.

    Of a hybrid, only the attention interface knows which layer an attention module is in.

    An architecture that is not in the table runs with its own eager attention if that can be
    tapped, because our attention function would ignore what is special to it.
    """
    if hybrid:
        return ("attention interface",)
    known = TESTED.get(model_type)
    return (known.tap,) if known else ("output_attentions", "attention interface")


def has_sinks(model: Any) -> bool:
    """Return whether the architecture has attention sinks, so that rows may sum to less than 1."""
    return any(name.rpartition(".")[2] == "sinks" for name, _ in model.named_parameters())


def layers_and_heads(name: str, config: Any) -> tuple[int, int]:
    """Return the numbers of layers and of query heads per layer.

    Raises:
        ModelError: if the configuration does not state them.
    """
    n_layers, n_heads = (
        getattr(config, key, None) for key in ("num_hidden_layers", "num_attention_heads")
    )
    if not isinstance(n_layers, int) or not isinstance(n_heads, int):
        raise ModelError(
            f"{name}: its configuration ({config.model_type}) does not state one number of layers "
            "and one of heads"
        )
    return n_layers, n_heads
