"""Forms in which patterns are given: one array, one per layer, a cache, or prompt after prompt."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from attention_motifs.errors import InputError

_HOOK = re.compile(r"blocks\.(\d+)\.attn\.hook_pattern")
"""Key of the patterns of a layer in a cache of TransformerLens."""

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
            entry per layer, a cache of TransformerLens, or a mapping from layers to patterns.

    Raises:
        InputError: if it holds no patterns, or a key is no layer.
    """
    if hasattr(value, "attentions"):
        value = value.attentions
        if value is None:
            raise InputError(f"the output of the model holds no attentions. {_ADVICE}")
    value = getattr(value, "cache_dict", value)
    layers = (
        {_layer(key): patterns for key, patterns in value.items() if not _is_other_hook(key)}
        if isinstance(value, Mapping)
        else dict(enumerate(value))
    )
    if not layers:
        raise InputError(
            f"patterns: a {type(value).__name__} without a layer. Give one array per layer; a "
            "cache of TransformerLens holds them as blocks.0.attn.hook_pattern"
        )
    for layer, patterns in layers.items():
        if patterns is None:
            raise InputError(f"patterns of layer {layer} are None: the model kept none. {_ADVICE}")
    return dict(sorted(layers.items()))


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


def _is_other_hook(key: Any) -> bool:
    return isinstance(key, str) and _HOOK.fullmatch(key) is None and not key.isdecimal()


def _layer(key: Any) -> int:
    hook = _HOOK.fullmatch(key) if isinstance(key, str) else None
    if hook is not None:
        return int(hook[1])
    if isinstance(key, str) or (
        isinstance(key, int | np.integer) and not isinstance(key, bool) and key >= 0
    ):
        return int(key)
    raise InputError(f"patterns: the key {key!r:.80} is no layer. Use 0 for the first layer")
