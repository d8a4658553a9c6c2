"""A clean run that is kept, and runs that differ from it from some layer on.

Changing a head of layer l leaves everything before that layer as it was. A clean run keeps what
comes into every layer; a replay starts from there, for several changes at once, each a copy of
the batch. The model's own forward pass does the rest (masks, positions, norms), so that nothing
of an architecture is written again here: layers that need not run hand on what they are given.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
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
"""Of the check, relative to the largest hidden state: other batches, other orders of sums."""


@dataclass(frozen=True)
class CleanRun:
    """What a replay starts from: one batch of sequences of equal length."""

    token_ids: Int[Tensor, "sequences n"]
    inputs: tuple[Float[Tensor, "sequences n width"], ...]
    """What comes into each layer: the residual stream."""
    outputs: tuple[Float[Tensor, "sequences n heads d"], ...]
    """What each head hands to the output projection."""
    patterns: tuple[Float[Tensor, "sequences heads n n"], ...]
    """Per layer; empty unless asked for."""
    hidden: Float[Tensor, "sequences n width"]
    """The last hidden states, after the final norm."""
    forms: tuple[Callable[[Tensor], Any], ...]
    """Turns hidden states into what each layer returns."""


def clean_run(
    loaded: LoadedModel,
    token_ids: Int[Tensor, "sequences n"],
    *,
    keep_patterns: bool = False,
    sink: LayerSink | None = None,
) -> CleanRun:
    """Run the model as it is, and keep what comes into every layer and out of every head.

    Args:
        loaded: the model.
        token_ids: sequences of equal length.
        keep_patterns: keep the patterns too, L H n^2 numbers per sequence.
        sink: looks at the patterns.

    Raises:
        ModelError: if the layers cannot be found or tapped.
    """
    inputs: list[Tensor] = []
    forms: list[Callable[[Tensor], Any]] = []
    outputs: list[Tensor] = []
    patterns: list[Tensor] = []

    def before(_module: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        inputs.append(_hidden_among(arguments, named))

    def after(_module: Any, _arguments: Any, returned: Any) -> None:
        forms.append(_form(returned))

    def keep(_layer: int, output: Tensor) -> None:
        outputs.append(output)

    def look(layer: int, weights: Tensor) -> None:
        if keep_patterns:
            patterns.append(weights.clone())
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
    if hidden is None or not len(inputs) == len(outputs) == len(forms) == len(layers):
        raise ModelError(
            f"{loaded.info.name}: {len(inputs)} layers and {len(outputs)} heads' outputs were seen "
            f"in {len(layers)} layers; its heads cannot be ablated"
        )
    return CleanRun(token_ids, tuple(inputs), tuple(outputs), tuple(patterns), hidden, tuple(forms))


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
        loaded: the model that the clean run is of.
        clean: what is known of the layers before.
        first_layer: the first in which something changes.
        output_sink: given the outputs (copies * sequences, n, heads, d) of each layer from there
            on, first all sequences of the first copy; it changes them in place or returns others.
        n_copies: how often the batch is run side by side.
        positions: whose last hidden states are wanted; by default all.
        hold_patterns: let every pattern be that of the clean run.
        sink: given the patterns, likewise; perhaps not those of the first layer, which are as
            in the clean run.

    Returns:
        The last hidden states at the positions.

    Raises:
        ModelError: if patterns are to be held that the clean run did not keep, or cannot be.
    """
    if hold_patterns and not clean.patterns:
        raise ModelError(f"{loaded.info.name}: the clean run kept no patterns that could be held")

    def repeated(tensor: Tensor) -> Tensor:
        return tensor.repeat(n_copies, *(1,) * (tensor.ndim - 1))

    fast = loaded.info.tap == "attention interface"
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
    assert hidden is not None  # noqa: S101 - the pass was not told to stop early
    return hidden if positions is None else hidden[:, positions]


def check_replay(loaded: LoadedModel, clean: CleanRun) -> None:
    """See that a replay without a change gives the clean run's hidden states.

    Raises:
        ModelError: if it does not, as where layers hand on more than one stream.
    """
    tolerance = _TOLERANCE.get(clean.hidden.dtype, 1e-4) * float(clean.hidden.abs().max())
    for first_layer in (loaded.info.n_layers // 2, loaded.info.n_layers - 1):
        again = replay(loaded, clean, first_layer, lambda _layer, _output: None)
        worst = float((again - clean.hidden).abs().max())
        if not worst <= tolerance:
            raise ModelError(
                f"{loaded.info.name}: run again from layer {first_layer} on, with nothing changed, "
                f"its hidden states are off by {worst:.2g}; its architecture "
                f"{loaded.info.architecture} cannot be ablated"
            )


def decoder_layers(loaded: LoadedModel) -> list[torch.nn.Module]:
    """Find the layers that hold the attention modules, in order.

    Raises:
        ModelError: if they do not lie in one list.
    """
    attention = attention_modules(loaded.model, loaded.info.n_layers)
    for module in loaded.model.modules():
        if isinstance(module, torch.nn.ModuleList) and len(module) == len(attention):
            pairs = zip(module, attention, strict=True)
            if all(any(m is a for m in layer.modules()) for layer, a in pairs):
                return list(module)
    raise ModelError(
        f"{loaded.info.name}: the layers of its architecture {loaded.info.architecture} were not "
        "found; its heads cannot be ablated"
    )


def _skip_layers(
    stack: contextlib.ExitStack,
    loaded: LoadedModel,
    clean: CleanRun,
    first_layer: int,
    repeated: Callable[[Tensor], Tensor],
) -> None:
    """Let the layers before `first_layer` hand on what they are given, the last what is known."""

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
    """Make the first layer's attention the projection of its heads' outputs, which are known."""
    attention = attention_modules(loaded.model, loaded.info.n_layers)[layer]
    projection = output_projections(loaded.model, loaded.info.n_layers)[layer]

    def forward(*_arguments: Any, **_named: Any) -> Any:
        output = repeated(clean.outputs[layer])
        returned = output_sink(layer, output)
        output = returned if isinstance(returned, Tensor) else output
        return projection(output.flatten(2)), None

    stack.enter_context(forward_replaced(attention, forward))


def _narrow_last_layer(
    stack: contextlib.ExitStack, loaded: LoadedModel, clean: CleanRun, positions: Tensor
) -> None:
    """Run what follows the last layer's attention on some positions; the others become zero."""
    layer = decoder_layers(loaded)[-1]
    attention = attention_modules(loaded.model, loaded.info.n_layers)[-1]
    own_layer, own_attention = layer.forward, attention.forward

    def forward(*arguments: Any, **named: Any) -> Any:
        hidden = _hidden_among(arguments, named)
        attended: list[Any] = []

        def until_here(*given: Any, **also: Any) -> Any:
            attended.append(own_attention(*given, **also))
            raise _AttendedError

        def known(*_given: Any, **_also: Any) -> Any:
            output, *rest = attended[0]
            return (output[:, positions], *rest)

        with forward_replaced(attention, until_here), contextlib.suppress(_AttendedError):
            own_layer(*arguments, **named)
        narrow = hidden[:, positions]
        with forward_replaced(attention, known):
            returned = (
                own_layer(narrow, *arguments[1:], **named)
                if arguments
                else own_layer(**{**named, "hidden_states": narrow})
            )
        whole = torch.zeros_like(hidden)
        whole[:, positions] = returned if isinstance(returned, Tensor) else returned[0]
        return clean.forms[-1](whole)

    stack.enter_context(forward_replaced(layer, forward))


class _AttendedError(Exception):
    """Leaves a layer when its attention has run."""


def _hidden_among(arguments: tuple[Any, ...], named: dict[str, Any]) -> Tensor:
    """What a layer is given to go on with."""
    hidden: Tensor = arguments[0] if arguments else named["hidden_states"]
    return hidden


def _form(returned: Any) -> Callable[[Tensor], Any]:
    """How a layer returns its hidden states: alone, or first of several things."""
    if isinstance(returned, Tensor):
        return lambda hidden: hidden
    rest = [o.new_empty(0) if isinstance(o, Tensor) else o for o in returned[1:]]
    return lambda hidden: type(returned)((hidden, *rest))
