"""Patterns in the forms that people hold them, as one array per layer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.errors import InputError

if TYPE_CHECKING:
    from jaxtyping import Float32

_LAYER = re.compile(r"(?:.*\D)?(\d{1,5})(?:\D.*)?")
_CACHE_KEY = re.compile(r"blocks\.(\d{1,5})\.attn\.hook_pattern")
_ABOVE = 1e-6
"""Largest weight above the diagonal that counts as zero."""
_SUM = 1.02
"""Largest sum of a row: bfloat16 rounds each weight by up to 0.4 %."""

_FORMS = (
    "Pass (n, n), (heads, n, n), (layers, heads, n, n), a list with one (heads, n, n) or "
    "(1, heads, n, n) per layer, a mapping from layer to such an array, or a TransformerLens cache"
)

Layers = list[tuple[int, Any]]
"""Number of each layer, and its patterns: an array or a tensor (heads, n, n)."""


def read_layers(patterns: Any) -> Layers:
    """Return the patterns of each layer, not yet converted.

    Args:
        patterns: an array or tensor (n, n), (heads, n, n), (layers, heads, n, n) or
            (layers, 1, heads, n, n); a sequence with one (heads, n, n) or (1, heads, n, n) per
            layer, None for layers without; a mapping from layer to such an array, with numbers or
            names such as `blocks.5.attn.hook_pattern` as keys; batches of `extract_patterns`.

    Raises:
        InputError: if it has another form, holds several prompts, or the layers differ in length.
    """
    if hasattr(patterns, "shape"):
        layers = _of_array(patterns if hasattr(patterns, "detach") else as_float32(patterns))
    elif hasattr(patterns, "items"):
        layers = _of_mapping(patterns)
    elif isinstance(patterns, Iterable) and not isinstance(patterns, str | bytes):
        layers = _of_sequence(list(patterns))
    else:
        raise InputError(f"patterns of type {type(patterns).__name__} cannot be shown. {_FORMS}")
    if not layers:
        raise InputError(f"patterns hold no layer. {_FORMS}")
    lengths = sorted({int(array.shape[-1]) for _, array in layers})
    if len(lengths) > 1:
        raise InputError(
            f"patterns have {lengths[0]} tokens in one layer and {lengths[-1]} in another. Pass "
            "patterns of one prompt"
        )
    if lengths[0] == 0 or any(array.shape[0] == 0 for _, array in layers):
        raise InputError("patterns hold no token or no head. Pass at least one of each")
    return layers


def _of_array(array: Any) -> Layers:
    dimensions = len(array.shape)
    if dimensions in (4, 5):
        return [(layer, _heads(part, f"layer {layer}")) for layer, part in enumerate(array)]
    return [(0, _heads(array, "patterns"))]


def _of_mapping(patterns: Mapping[Any, Any]) -> Layers:
    items = list(patterns.items())
    cached = [(match, value) for key, value in items if (match := _CACHE_KEY.fullmatch(str(key)))]
    if cached:  # a TransformerLens cache holds other activations too
        layers = [(int(match[1]), value) for match, value in cached]
    else:
        layers = [(_layer_of(key), value) for key, value in items]
    numbers = [layer for layer, _ in layers]
    if len(set(numbers)) < len(numbers):
        raise InputError(f"patterns name a layer twice: keys {list(patterns)!r:.200}")
    return [(layer, _heads(value, f"layer {layer}")) for layer, value in sorted_by_layer(layers)]


def sorted_by_layer(layers: Iterable[tuple[int, Any]]) -> Layers:
    """Return layers in the order of their numbers."""
    return sorted(layers, key=lambda item: item[0])


def _layer_of(key: Any) -> int:
    if isinstance(key, int | np.integer) and not isinstance(key, bool) and key >= 0:
        return int(key)
    match = _LAYER.fullmatch(key) if isinstance(key, str) else None
    if match is None:
        raise InputError(f"key {key!r:.80} of the patterns names no layer. Use the layer's number")
    return int(match[1])


def _of_sequence(items: Sequence[Any]) -> Layers:
    if not items:
        return []
    if all(hasattr(item, "layer") and hasattr(item, "patterns") for item in items):
        prompts = {item.prompt_id for item in items}
        if len(prompts) > 1:
            raise InputError(
                f"the batches are of {len(prompts)} prompts. Pass those of one: "
                "[b for b in batches if b.prompt_id == batches[0].prompt_id]"
            )
        return [
            (item.layer, _heads(item.patterns, f"layer {item.layer}"))
            for item in sorted(items, key=lambda item: item.layer)
        ]
    if not any(hasattr(item, "shape") for item in items):
        try:
            array = np.asarray(items, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise InputError(f"patterns are {items!r:.80}, not numbers. {_FORMS}") from error
        return _of_array(array)
    if all(hasattr(item, "shape") and len(item.shape) == 2 for item in items):
        return [(0, np.stack([as_float32(item) for item in items]))]
    return [
        (layer, _heads(item, f"layer {layer}"))
        for layer, item in enumerate(items)
        if item is not None  # transformers gives None for layers without attention
    ]


def _heads(array: Any, what: str) -> Any:
    """Return (heads, n, n) from (n, n), (heads, n, n) or (1, heads, n, n)."""
    shape = tuple(getattr(array, "shape", ()))
    if len(shape) == 4 and shape[0] > 1:
        raise InputError(
            f"{what} holds {shape[0]} prompts: its shape is {shape}. Pass one prompt: "
            "[layer[0] for layer in patterns]"
        )
    if len(shape) not in (2, 3, 4) or shape[-1] != shape[-2]:
        raise InputError(f"{what} of shape {shape} cannot be shown. {_FORMS}")
    return array[None] if len(shape) == 2 else array if len(shape) == 3 else array[0]


def as_float32(array: Any) -> Float32[np.ndarray, "..."]:
    """Return an array or a tensor, of any type and device, as a float32 array."""
    if hasattr(array, "detach"):
        array = array.detach().float().cpu().numpy()
    try:
        numbers = np.asarray(array)
        if numbers.dtype.kind not in "fiub":
            raise TypeError(f"of type {numbers.dtype}")
        return numbers.astype(np.float32, copy=False)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"patterns of type {type(array).__name__} are not real numbers. {_FORMS}"
        ) from error


def check_layer(layer: int, patterns: Float32[np.ndarray, "heads n n"]) -> None:
    """Check that the patterns of a layer are causal attention.

    Raises:
        InputError: if a weight is NaN, negative or above the diagonal, or a row sums to more than
            1; the head is named.
    """
    for head, pattern in enumerate(patterns):
        name = f"L{layer}:H{head}"
        if not np.isfinite(pattern).all():
            raise InputError(f"the pattern of {name} holds NaN or infinity. Pass finite weights")
        if pattern.min() < 0:
            raise _scores(name, "negative weights")
        if np.triu(pattern, 1).max() > _ABOVE:
            raise InputError(
                f"the pattern of {name} has weight above the diagonal. The viewer shows causal "
                "attention: queries are rows, and attend to themselves and to earlier tokens"
            )
        if pattern.sum(axis=1).max() > _SUM:
            raise _scores(name, "rows that sum to more than 1")


def _scores(name: str, what: str) -> InputError:
    return InputError(
        f"the pattern of {name} has {what}. Pass attention weights after the softmax, not scores"
    )
