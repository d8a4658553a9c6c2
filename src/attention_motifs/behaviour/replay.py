"""A stored clean run, and runs that differ from it from some layer on.

Changing a head of layer l changes nothing before that layer. A clean run stores the input of every
layer, and a replay starts from there, for several changes at once, each a copy of the batch. The
model's own forward pass does the rest (masks, positions, norms), so no part of an architecture is
written again here: skipped layers return their input.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from attention_motifs.errors import ModelError
from attention_motifs.extraction.tap import (
    LayerSink,
    OutputSink,
    attention_modules,
    forward_replaced,
    output_projections,
    run_tapped,
)

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from attention_motifs.models.model import LoadedModel

_TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 6e-2}
"""Tolerance of the check, relative to the largest hidden state, for other batches and sums."""


@dataclass(frozen=True)
class CleanRun:
    """The start of a replay: a batch of sequences of equal length."""

    token_ids: Int[Tensor, "sequences n"]
    inputs: tuple[Float[Tensor, "sequences n width"], ...]
    """Input of each layer: the residual stream."""
    outputs: Mapping[int, Float[Tensor, "sequences n heads d"]]
    """Per layer with heads: output of each head, which is the input of the output projection."""
    patterns: Mapping[int, Float[Tensor, "sequences heads n n"]]
    """Per layer with heads; empty if they were not kept."""
    hidden: Float[Tensor, "sequences n width"]
    """The last hidden states, after the final norm."""
    forms: tuple[Callable[[Tensor], Any], ...]
    """Functions that turn hidden states into the return value of each layer."""


def clean_run(
    loaded: LoadedModel,
    token_ids: Int[Tensor, "sequences n"],
    *,
    keep_patterns: bool = False,
    sink: LayerSink | None = None,
) -> CleanRun:
    """Run the unchanged model, and keep the input of every layer and the output of every head.

    Args:
        loaded: the model.
        token_ids: sequences of equal length.
        keep_patterns: whether to keep the patterns, L H n^2 numbers per sequence.
        sink: receives the patterns.

    Raises:
        ModelError: if the layers cannot be found or tapped.
    """
    inputs: list[Tensor] = []
    forms: list[Callable[[Tensor], Any]] = []
    outputs: dict[int, Tensor] = {}
    patterns: dict[int, Tensor] = {}

    def before(_module: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        inputs.append(_hidden_among(arguments, named))

    def after(_module: Any, _arguments: Any, returned: Any) -> None:
        forms.append(_form(returned))

    def keep(layer: int, output: Tensor) -> None:
        outputs[layer] = output

    def look(layer: int, weights: Tensor) -> None:
        if keep_patterns:
            patterns[layer] = weights.clone()
        if sink is not None:
            sink(layer, weights)

    layers = decoder_layers(loaded)
    handles = [layer.register_forward_pre_hook(before, with_kwargs=True) for layer in layers]
    handles += [layer.register_forward_hook(after) for layer in layers]
    try:
        hidden = run_tapped(loaded, token_ids, look, output_sink=keep)
    finally:
        for handle in handles:
            handle.remove()
    complete = len(inputs) == len(forms) == len(layers) and len(outputs) == len(loaded.layers)
    if hidden is None or not complete:
        raise ModelError(
            f"{loaded.info.name}: {len(inputs)} layer inputs and {len(outputs)} head outputs were "
            f"seen in {len(layers)} layers, so its heads cannot be ablated."
        )
    return CleanRun(token_ids, tuple(inputs), outputs, patterns, hidden, tuple(forms))


def replay(
    loaded: LoadedModel,
    clean: CleanRun,
    first_layer: int,
    output_sink: OutputSink,
    *,
    n_copies: int = 1,
    positions: Int[Tensor, " looked_at"] | None = None,
    hold_patterns: bool = False,
    sink: LayerSink | None = None,
) -> Float[Tensor, "copies*sequences looked_at width"]:
    """Run from a layer on, with the heads' outputs changed by `output_sink`.

    Args:
        loaded: the model of the clean run.
        clean: the clean run.
        first_layer: the first layer in which something changes.
        output_sink: receives the outputs (copies * sequences, n, heads, d) of each layer from there
            on, first all sequences of the first copy; it changes them in place or returns others.
        n_copies: number of copies of the batch.
        positions: positions whose last hidden states are returned (default: all).
        hold_patterns: whether to hold every pattern at that of the clean run.
        sink: receives the patterns in the same form; those of the first layer, which equal the
            clean ones, may be missing.

    Returns:
        The last hidden states at the positions.

    Raises:
        ModelError: if patterns are to be held that the clean run did not keep, or that cannot be.
    """
    if hold_patterns and not clean.patterns:
        raise ModelError(f"{loaded.info.name}: patterns cannot be held, the clean run kept none.")

    def repeated(tensor: Tensor) -> Tensor:
        return tensor.repeat(n_copies, *(1,) * (tensor.ndim - 1))

    # Hybrids may have a gate before the output projection, and blocks that mix positions.
    fast = loaded.info.tap == "attention interface" and loaded.info.softmax_layers is None
    with contextlib.ExitStack() as stack:
        _skip_layers(stack, loaded, clean, first_layer, repeated)
        if fast:
            _skip_attention(stack, loaded, clean, first_layer, repeated, output_sink)
        if fast and positions is not None:
            _narrow_last_layer(stack, loaded, clean, positions)
        hidden = run_tapped(
            loaded,
            repeated(clean.token_ids),
            sink or (lambda _layer, _weights: None),
            output_sink=output_sink,
            held=(lambda layer: repeated(clean.patterns[layer])) if hold_patterns else None,
            first_layer=first_layer + fast,
        )
    assert hidden is not None  # noqa: S101 - no layer was asked to stop the pass
    return hidden if positions is None else hidden[:, positions]


def check_replay(loaded: LoadedModel, clean: CleanRun) -> None:
    """Check that a replay without a change gives the hidden states of the clean run.

    Raises:
        ModelError: if it does not, for example if layers return more than one stream.
    """
    tolerance = _TOLERANCE.get(clean.hidden.dtype, 1e-4) * float(clean.hidden.abs().max())
    for first_layer in (loaded.layers[len(loaded.layers) // 2], loaded.layers[-1]):
        again = replay(loaded, clean, first_layer, lambda _layer, _output: None)
        worst = float((again - clean.hidden).abs().max())
        if not worst <= tolerance:
            raise ModelError(
                f"{loaded.info.name}: run again from layer {first_layer} on without a change, its "
                f"hidden states differ by {worst:.2g}. Its architecture "
                f"{loaded.info.architecture} cannot be ablated."
            )


def decoder_layers(loaded: LoadedModel) -> list[torch.nn.Module]:
    """Return all layers of the model, in order, of which some hold the attention modules.

    Raises:
        ModelError: if they are not in one list.
    """
    attention = attention_modules(loaded.model, loaded.layers)
    for module in loaded.model.modules():
        if not isinstance(module, torch.nn.ModuleList) or len(module) != loaded.info.n_layers:
            continue
        if all(any(m is a for m in module[i].modules()) for i, a in attention.items()):
            return list(module)
    raise ModelError(
        f"{loaded.info.name}: the layers of its architecture {loaded.info.architecture} were not "
        "found, so its heads cannot be ablated."
    )


def _skip_layers(
    stack: contextlib.ExitStack,
    loaded: LoadedModel,
    clean: CleanRun,
    first_layer: int,
    repeated: Callable[[Tensor], Tensor],
) -> None:
    """Make the layers before `first_layer` return their input, and the last one the clean input."""

    def standing_in(layer: int) -> Callable[..., Any]:
        def forward(*arguments: Any, **named: Any) -> Any:
            hidden = _hidden_among(arguments, named)
            if layer == first_layer - 1:
                hidden = repeated(clean.inputs[first_layer])
            return clean.forms[layer](hidden)

        return forward

    for layer, module in enumerate(decoder_layers(loaded)[:first_layer]):
        stack.enter_context(forward_replaced(module, standing_in(layer)))


def _skip_attention(
    stack: contextlib.ExitStack,
    loaded: LoadedModel,
    clean: CleanRun,
    layer: int,
    repeated: Callable[[Tensor], Tensor],
    output_sink: OutputSink,
) -> None:
    """Replace the first layer's attention by the projection of its heads' known outputs."""
    attention = attention_modules(loaded.model, loaded.layers)[layer]
    projection = output_projections(loaded.model, loaded.layers)[layer]

    def forward(*_arguments: Any, **_named: Any) -> Any:
        output = repeated(clean.outputs[layer])
        returned = output_sink(layer, output)
        output = returned if isinstance(returned, Tensor) else output
        return projection(output.flatten(2)), None

    stack.enter_context(forward_replaced(attention, forward))


def _narrow_last_layer(
    stack: contextlib.ExitStack, loaded: LoadedModel, clean: CleanRun, positions: Tensor
) -> None:
    """Run the part after the last layer's attention on some positions; the rest becomes zero."""
    layer = decoder_layers(loaded)[-1]
    attention = attention_modules(loaded.model, loaded.layers)[loaded.layers[-1]]
    layer_forward, attention_forward = layer.forward, attention.forward

    def forward(*arguments: Any, **named: Any) -> Any:
        hidden = _hidden_among(arguments, named)
        attended: list[Any] = []

        def until_here(*given: Any, **also: Any) -> Any:
            attended.append(attention_forward(*given, **also))
            raise _AttendedError

        def known(*_given: Any, **_also: Any) -> Any:
            output, *rest = attended[0]
            return (output[:, positions], *rest)

        with forward_replaced(attention, until_here), contextlib.suppress(_AttendedError):
            layer_forward(*arguments, **named)
        narrow = hidden[:, positions]
        with forward_replaced(attention, known):
            returned = (
                layer_forward(narrow, *arguments[1:], **named)
                if arguments
                else layer_forward(**{**named, "hidden_states": narrow})
            )
        whole = torch.zeros_like(hidden)
        whole[:, positions] = returned if isinstance(returned, Tensor) else returned[0]
        return clean.forms[-1](whole)

    stack.enter_context(forward_replaced(layer, forward))


class _AttendedError(Exception):
    """Leaves a layer once its attention has run."""


def _hidden_among(arguments: tuple[Any, ...], named: dict[str, Any]) -> Tensor:
    """Return the hidden states among the arguments of a layer."""
    hidden: Tensor = arguments[0] if arguments else named["hidden_states"]
    return hidden


def _form(returned: Any) -> Callable[[Tensor], Any]:
    """Return a function from hidden states to a layer's return value of the same form."""
    if isinstance(returned, Tensor):
        return lambda hidden: hidden
    rest = [o.new_empty(0) if isinstance(o, Tensor) else o for o in returned[1:]]
    return lambda hidden: type(returned)((hidden, *rest))
