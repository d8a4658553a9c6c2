"""Models in memory made ready to be tapped: a twin that shares the weights, and its record."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from attention_motifs.errors import InputError, ModelError
from attention_motifs.extraction import tap
from attention_motifs.extraction.causal_check import check_once
from attention_motifs.extraction.hooked import HookedHead, HookedModel
from attention_motifs.extraction.twin import twin_of
from attention_motifs.models import architectures
from attention_motifs.models.identity import identity_in_memory
from attention_motifs.models.language_head import LanguageHead, without_head
from attention_motifs.models.model import LoadedModel, ModelInfo
from attention_motifs.models.tokenizing import check_max_tokens

if TYPE_CHECKING:
    from attention_motifs.models.in_memory import ModelInMemory

_PLAIN = {"output_attentions": False, "output_hidden_states": False, "return_dict": True}
"""Settings of the twin that a user may have set otherwise."""


def load_from_memory(
    held: ModelInMemory,
    *,
    language_head: bool = False,
    max_tokens: int | None = None,
    softmax_only: bool = False,
) -> LoadedModel:
    """Make a model in memory ready to be tapped, without changing it.

    It runs on its device and in its number format, with its adapters and quantised layers, and with
    its own products: its patterns are those that it computes itself with eager attention.

    Args:
        held: the model and its tokenizer.
        language_head: whether the language-model head is needed too.
        max_tokens: length of the prompts, if known.
        softmax_only: whether softmax attention in some of the layers is enough.

    Raises:
        InputError: if `max_tokens` exceeds the context.
        ModelError: if the model cannot be copied or tapped, or has no language-model head.
    """
    if held.is_hooked:
        loaded = _hooked(held, language_head=language_head)
        _check_length(loaded, max_tokens)
        check_once(loaded)
        return loaded
    inner = _without_peft(held)
    architectures.check_configuration(
        held.name, inner.config, of_class=True, softmax_only=softmax_only
    )
    refusals: list[ModelError] = []
    config = inner.config.get_text_config(decoder=True)
    hybrid = architectures.is_hybrid(config)
    for way in architectures.taps_to_try(config.model_type, hybrid=hybrid):
        try:
            loaded = _tapped(held, inner, way, language_head=language_head)
            _check_length(loaded, max_tokens)
            check_once(loaded)
        except ModelError as error:
            refusals.append(error)
        else:
            return loaded
    raise refusals[-1]


def _check_length(loaded: LoadedModel, max_tokens: int | None) -> None:
    if max_tokens is not None:
        check_max_tokens(loaded.info.name, loaded.model.config, max_tokens)


def _without_peft(held: ModelInMemory) -> Any:
    """Return the model of transformers in a model of peft, with the adapter's layers in it."""
    if not hasattr(held.model, "peft_config"):
        return held.model
    if not hasattr(held.model, "get_base_model"):
        return held.model  # a model of transformers that loaded an adapter itself
    config = held.model.active_peft_config
    if getattr(config, "is_prompt_learning", False):
        raise InputError(
            f"{held.name}: its adapter is of the kind {config.peft_type}, which puts tokens before "
            "the prompt that are in no text. Give a model with a LoRA adapter, or the base model"
        )
    return held.model.get_base_model()


def _tapped(
    held: ModelInMemory, inner: Any, way: architectures.Tap, *, language_head: bool
) -> LoadedModel:
    tap.register()
    whole = twin_of(inner, shared=(held.tokenizer,))
    for config in {
        id(m.config): m.config for m in whole.modules() if hasattr(m, "config")
    }.values():
        for setting, value in _PLAIN.items():
            if getattr(config, setting, value) != value:
                setattr(config, setting, value)
    whole.set_attn_implementation(tap.INTERFACE if way == "attention interface" else "eager")
    base, head = _parts(held.name, whole, language_head=language_head)
    model = architectures.text_model(held.name, base)
    n_layers, n_heads = architectures.layers_and_heads(held.name, model.config)
    info = replace(
        _info(held, way),
        architecture=model.config.model_type,
        n_layers=n_layers,
        n_heads=n_heads,
        n_parameters=sum(p.numel() for p in model.parameters()),
        device=model.device.type,
        softmax_layers=architectures.layers_of_hybrid(model.config),
    )
    return LoadedModel(model, held.tokenizer, info, head)


def _parts(name: str, whole: Any, *, language_head: bool) -> tuple[Any, LanguageHead | None]:
    """Return the base model, and the language-model head if it is needed."""
    base = whole.base_model
    if not language_head:
        return base, None
    if base is whole or whole.get_output_embeddings() is None:
        raise ModelError(
            f"{name}: the model has no language-model head, so that outputs of heads cannot be "
            "measured. Give the whole model, such as one of AutoModelForCausalLM"
        )
    return without_head(whole)


def _hooked(held: ModelInMemory, *, language_head: bool) -> LoadedModel:
    twin = twin_of(held.model, shared=(held.tokenizer,))
    model = HookedModel(twin, held.name).eval()
    head = None
    if language_head:
        head = HookedHead(twin, twin.W_U.detach().T)
    info = replace(
        _info(held, "hook points"),
        architecture=model.config.model_type,
        n_layers=model.config.num_hidden_layers,
        n_heads=model.config.num_attention_heads,
        n_parameters=sum(p.numel() for p in model.parameters()),
        device=model.device.type,
    )
    return LoadedModel(model, held.tokenizer, info, head)


def _info(held: ModelInMemory, way: architectures.Tap) -> ModelInfo:
    identity = identity_in_memory(held)
    return ModelInfo(
        name=identity.name,
        kind=identity.kind,
        location=identity.location,
        revision=None,
        weights_sha256=identity.weights_sha256,
        tokenizer_sha256=identity.tokenizer_sha256,
        licence=None,
        architecture="",
        n_layers=0,
        n_heads=0,
        n_parameters=0,
        dtype=identity.dtype,
        device="",
        tap=way,
        config_sha256=identity.config_sha256,
    )
