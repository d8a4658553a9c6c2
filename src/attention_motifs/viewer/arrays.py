"""Patterns of one prompt for the viewer: one (heads, n, n) per layer, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.errors import InputError
from attention_motifs.features.forms import as_float32, has_layers, layers_of

if TYPE_CHECKING:
    from jaxtyping import Float32

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
            layer, or any other form that `features.forms.layers_of` reads.

    Raises:
        InputError: if it has another form, holds several prompts, or the layers differ in length.
    """
    if hasattr(patterns, "shape"):
        layers = _of_array(patterns if hasattr(patterns, "detach") else as_float32(patterns))
    elif has_layers(patterns):
        layers = _of_layers(patterns)
    else:
        raise InputError(f"patterns of type {type(patterns).__name__} cannot be shown. {_FORMS}")
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


def _of_layers(patterns: Any) -> Layers:
    if isinstance(patterns, list | tuple) and patterns:
        if all(len(getattr(item, "shape", ())) == 2 for item in patterns):  # heads of one layer
            return [(0, np.stack([as_float32(item) for item in patterns]))]
        if all(isinstance(item, list | tuple | int | float | str) for item in patterns):
            try:
                return _of_array(np.asarray(patterns, dtype=np.float32))
            except (TypeError, ValueError) as error:
                raise InputError(f"patterns are {patterns!r:.80}, not numbers. {_FORMS}") from error
    return [(layer, _heads(item, f"layer {layer}")) for layer, item in layers_of(patterns).items()]


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
