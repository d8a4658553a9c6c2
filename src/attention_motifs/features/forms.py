"""Forms in which patterns are given: one array, one per layer, a cache, or prompt after prompt."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float32

_HOOK = re.compile(r"blocks\.(\d{1,5})\.attn\.hook_pattern")
"""Key of the patterns of a layer in a cache of TransformerLens."""
_OF_CACHE = re.compile(r"blocks\.\d|hook_")
"""Start of the keys of such a cache, which holds other activations too."""
_LAYER = re.compile(r"(?:.*\D)?(\d{1,5})(?:\D.*)?")

_ADVICE = (
    "Load the model with attn_implementation='eager', and call it with output_attentions=True, or "
    "use am.extract_patterns(model, prompts)"
)


def has_layers(value: Any) -> bool:
    """Return whether a value holds patterns of several layers, see `layers_of`."""
    return (
        isinstance(value, Mapping | tuple | list)
        or hasattr(value, "attentions")
        or hasattr(value, "cache_dict")
    )


def layers_of(value: Any) -> dict[int, Any]:
    """Return the patterns of each layer, in the order of the layers.

    Args:
        value: the output of a model of transformers, its `attentions` or another list with one
            entry per layer, None for layers without attention; a cache of TransformerLens; a
            mapping from layers to patterns, with numbers or names such as `L5` as keys; or the
            batches of `extract_patterns` of one prompt.

    Returns:
        Number of each layer, and its patterns, not converted. Layers without attention are left
        out.

    Raises:
        InputError: if it holds no patterns, a key names no layer, a layer comes twice, or the
            batches are of several prompts.
    """
    if hasattr(value, "attentions"):
        value = value.attentions
        if value is None:
            raise InputError(f"the output of the model holds no attentions. {_ADVICE}")
    value = getattr(value, "cache_dict", value)
    if isinstance(value, Mapping):
        pairs = _of_mapping(value)
    elif value and all(hasattr(item, "layer") and hasattr(item, "patterns") for item in value):
        pairs = _of_batches(value)
    else:
        pairs = list(enumerate(value))
    layers = {layer: patterns for layer, patterns in pairs if patterns is not None}
    if pairs and not layers:
        raise InputError(f"patterns of all layers are None: the model kept none. {_ADVICE}")
    if not layers:
        raise InputError(
            f"patterns: a {type(value).__name__} without a layer. Give one array per layer; a "
            "cache of TransformerLens holds them as blocks.0.attn.hook_pattern"
        )
    if len({layer for layer, _ in pairs}) < len(pairs):
        raise InputError(
            f"patterns name a layer twice: {[layer for layer, _ in pairs]!r:.200}. Give each layer "
            "once"
        )
    return dict(sorted(layers.items()))


def _of_mapping(value: Mapping[Any, Any]) -> list[tuple[int, Any]]:
    if any(isinstance(key, str) and _OF_CACHE.match(key) for key in value):
        hooks = [(_HOOK.fullmatch(str(key)), patterns) for key, patterns in value.items()]
        return [(int(hook[1]), patterns) for hook, patterns in hooks if hook is not None]
    return [(_layer(key), patterns) for key, patterns in value.items()]


def _of_batches(batches: Sequence[Any]) -> list[tuple[int, Any]]:
    prompts = list(dict.fromkeys(batch.prompt_id for batch in batches))
    if len(prompts) > 1:
        raise InputError(
            f"the batches are of {len(prompts)} prompts. Pass those of one: "
            "[b for b in batches if b.prompt_id == batches[0].prompt_id]"
        )
    return [(batch.layer, batch.patterns) for batch in batches]


def as_float32(patterns: Any) -> Float32[np.ndarray, "..."]:
    """Return an array or a tensor, of any type and device, as a float32 array.

    Raises:
        InputError: if it does not hold real numbers.
    """
    if hasattr(patterns, "detach"):
        patterns = patterns.detach().float().cpu().numpy()
    try:
        numbers = np.asarray(patterns)
        if numbers.dtype.kind not in "fiub":
            raise TypeError(f"of type {numbers.dtype}")
        return numbers.astype(np.float32, copy=False)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"patterns of type {type(patterns).__name__} are not real numbers. Give an array or a "
            "tensor of attention weights"
        ) from error


def is_one_by_one(value: Any) -> bool:
    """Return whether a value gives patterns of one prompt after another."""
    return isinstance(value, Iterator)


def stacked(rows: Sequence[Any], layers: Sequence[int]) -> Any:
    """Stack the rows of several layers, each with the same shape.

    Raises:
        InputError: naming the first layer that differs.
    """
    for layer, of_layer in zip(layers, rows, strict=True):
        if tuple(of_layer.shape) != tuple(rows[0].shape):
            raise InputError(
                f"patterns of layer {layer} have the leading shape {tuple(of_layer.shape[:-1])}, "
                f"those of layer {layers[0]} {tuple(rows[0].shape[:-1])}. Pass layers of different "
                "shapes one at a time"
            )
    if isinstance(rows[0], np.ndarray):
        return np.stack(rows)
    import torch

    return torch.stack([row.to(rows[0].device) for row in rows])


def tokens_of_each(tokens: Any, leading: tuple[int, ...]) -> Any:
    """Repeat the tokens of each prompt of a batch for its heads.

    Args:
        tokens: n texts, or one list of n texts per pattern or per prompt.
        leading: shape of the patterns before their last two axes; with two or more axes, the last
            are (prompts, heads).

    Returns:
        The tokens, with one list per pattern if there was one per prompt.
    """
    if len(leading) < 2 or isinstance(tokens, str) or not isinstance(tokens, Sequence):
        return tokens
    n_prompts, n_heads = leading[-2:]
    if len(tokens) != n_prompts or all(isinstance(text, str) for text in tokens):
        return tokens
    n_outer = int(np.prod(leading[:-2]))
    return [row for _ in range(n_outer) for row in tokens for _ in range(n_heads)]


def _layer(key: Any) -> int:
    if isinstance(key, int | np.integer) and not isinstance(key, bool) and key >= 0:
        return int(key)
    named = _LAYER.fullmatch(key) if isinstance(key, str) else None
    if named is None:
        raise InputError(
            f"patterns: the key {key!r:.80} names no layer. Use numbers, 0 for the first layer"
        )
    return int(named[1])
