"""The pattern tap: passes every layer's attention weights to a function while the model runs.

There are three ways. Through the attention interface of transformers, our attention function is
called for every layer and computes the eager attention of the architecture. Architectures that do
not use the interface run with their own eager attention, and forward hooks on the attention
modules read the weights from their outputs. Models of TransformerLens are read at their hook
points. Each way one layer's weights are in memory at a time.

The outputs of the heads, before the output projection mixes them, can be read and replaced in the
same call, or with hooks as the inputs of the output projection.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from attention_motifs.errors import ModelError
from attention_motifs.extraction.attention import (
    Scoring,
    attention_output,
    attention_weights,
    head_blocks,
    hides_later_keys,
)
from attention_motifs.features.numerics import fixed_numerics

if TYPE_CHECKING:
    from attention_motifs.models.model import LoadedModel

INTERFACE = "attention_motifs"
"""The name under which our attention function is registered with transformers."""

LayerSink = Callable[[int, Tensor], Any]
"""Takes a layer and its patterns (B, H, n, n). A tensor that it returns replaces the patterns in
the forward pass, but only through the attention interface."""

HeadSink = Callable[[int, Tensor, int], Any]
"""As `LayerSink`, for patterns (B, h, n, n) of some heads that follow each other, and the number of
the first of them."""

OutputSink = Callable[[int, Tensor], Any]
"""Takes a layer and its heads' outputs (B, n, H, d), which it may keep or change in place. A
tensor that it returns replaces them in the forward pass."""

OUTPUT_PROJECTIONS = ("o_proj", "out_proj", "c_proj", "dense", "wo")
"""Names of the matrix that mixes the heads' outputs, by architecture."""

_active = threading.local()


def register() -> None:
    """Register our attention function and the eager mask that goes with it (idempotent)."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, eager_mask

    AttentionInterface.register(INTERFACE, tapped_attention)
    AttentionMaskInterface.register(INTERFACE, eager_mask)


def tapped_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,  # noqa: ARG001 - models run in evaluation mode
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_ignored: Any,
) -> tuple[Tensor, Tensor | None]:
    """Compute eager attention, and pass the weights to the active sink.

    Args:
        module: the attention module, which knows its layer.
        query: (B, query heads, n, d).
        key: (B, key heads, n, d); key heads divide query heads.
        value: as the keys.
        attention_mask: added to the scores; it also holds the sliding window.
        scaling: of the scores; by default one over the root of d.
        dropout: not used.
        softcap: scores become softcap * tanh(scores / softcap), as in Gemma 2.
        s_aux: one score per head of a sink outside the sequence, as in gpt-oss; rows then sum to
            less than 1.

    Returns:
        The output (B, n, query heads, d), and no weights.
    """
    batch, n_heads, n_queries, width = query.shape
    key_heads, n_keys = key.shape[1:3]
    groups = n_heads // key_heads
    scoring = Scoring(
        scale=width**-0.5 if scaling is None else scaling,
        mask=None if attention_mask is None else attention_mask[..., :n_keys],
        softcap=softcap,
        sinks=None if s_aux is None else s_aux.reshape(key_heads, groups),
    )
    # Queries that share a key head are stacked, so that keys are not repeated.
    grouped = query.reshape(batch, key_heads, groups, n_queries, width)
    hides = hides_later_keys(scoring.mask, n_queries, n_keys)
    layer = int(module.layer_idx)  # type: ignore[arg-type]

    def output_of(keys: slice, within: slice) -> Tensor:
        """Return the outputs (B, h, n, d) of some heads, after the sink has their weights."""
        weights = attention_weights(
            grouped[:, keys, within],
            key[:, keys],
            scoring.of(keys, within, (key_heads, groups)),
            hides_later=hides,
        )
        replaced = _pass_weights(layer, weights.flatten(1, 2), keys.start * groups + within.start)
        if replaced is None:
            output = attention_output(weights, value[:, keys], hides_later=hides)
        else:  # by any others, which may attend to later keys
            replaced = replaced.view(weights.shape)
            output = attention_output(replaced, value[:, keys], hides_later=False)
        return output.flatten(1, 2)

    fitting = _head_bytes() // (4 * batch * n_queries * n_keys)
    outputs = [output_of(*block) for block in head_blocks(key_heads, groups, fitting)]
    output = outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)
    return _pass_output(layer, output.transpose(1, 2).contiguous()), None


def _pass_weights(layer: int, weights: Tensor, first_head: int) -> Tensor | None:
    sink: HeadSink | None = getattr(_active, "sink", None)
    returned = None if sink is None else sink(layer, weights, first_head)
    return returned if isinstance(returned, Tensor) else None


def _head_bytes() -> int:
    """Return the bytes of weights that are computed at once, unless those of one head are more."""
    limit: int | None = getattr(_active, "head_bytes", None)
    return _NO_LIMIT if limit is None else limit


_NO_LIMIT = 1 << 62


def _pass_output(layer: int, output: Tensor) -> Tensor:
    sink: OutputSink | None = getattr(_active, "output_sink", None)
    returned = None if sink is None else sink(layer, output)
    return returned if isinstance(returned, Tensor) else output


@contextlib.contextmanager
def _sending_to(
    sink: HeadSink, output_sink: OutputSink | None, head_bytes: int | None
) -> Iterator[None]:
    _active.sink, _active.output_sink, _active.head_bytes = sink, output_sink, head_bytes
    try:
        yield
    finally:
        _active.sink = _active.output_sink = _active.head_bytes = None


class _Enough(Exception):  # noqa: N818 - not an error: the requested layers are done
    """Leaves the forward pass early."""


@fixed_numerics()
def run_tapped(
    loaded: LoadedModel,
    token_ids: Tensor,
    sink: LayerSink | HeadSink,
    attention_mask: Tensor | None = None,
    stop_after_layer: int | None = None,
    *,
    output_sink: OutputSink | None = None,
    held: Callable[[int], Tensor] | None = None,
    first_layer: int = 0,
    head_bytes: int | None = None,
) -> Tensor | None:
    """Run the model without its language-model head, and pass each layer's patterns to `sink`.

    Args:
        loaded: the model.
        token_ids: (B, n).
        sink: called once per layer, in order, with patterns (B, query heads, n, n) on the model's
            device; it must copy what it keeps. Through the attention interface they are float32, as
            the softmax gives them; else of the model's dtype.
        attention_mask: (B, n), 0 where the batch is padded (on the right).
        stop_after_layer: leave the pass after this layer.
        output_sink: called once per layer, in order, with the heads' inputs to the output
            projection (default: none).
        held: returns the patterns (B, H, n, n) that replace those of a layer; the sink gets these.
            Where hooks tap the model, they replace the result of its softmax.
        first_layer: the first layer that the pass runs, if earlier ones are skipped.
        head_bytes: pass the patterns of some heads at a time, of up to so many bytes or of one
            head, to a `HeadSink` (default: whole layers, to a `LayerSink`). Where hooks tap the
            model, the heads of a layer come together.

    Returns:
        The last hidden states (B, n, width), or None if stopped early.

    Raises:
        ModelError: if a layer did not give its weights.
        NotHeldError: if patterns are to be held and a layer calls no softmax.
    """
    seen: list[int] = []

    def watched(layer: int, weights: Tensor, first_head: int = 0) -> Any:
        is_last = head_bytes is None or first_head + weights.shape[1] == loaded.info.n_heads
        if is_last:
            seen.append(layer)
        kept = weights if held is None else held(layer).to(weights)
        returned = sink(layer, kept, *(() if head_bytes is None else (first_head,)))
        if layer == stop_after_layer and is_last:
            raise _Enough
        if isinstance(returned, Tensor):
            return returned
        return None if held is None else kept

    device = loaded.model.get_input_embeddings().weight.device  # where modules are on several
    # Without a mask transformers warns of texts that begin or end with the padding token.
    mask = torch.ones_like(token_ids) if attention_mask is None else attention_mask
    inputs = {
        "input_ids": token_ids.to(device),
        "attention_mask": mask.to(device),
        "use_cache": False,
    }
    try:
        with torch.inference_mode():
            if loaded.info.tap == "attention interface":
                with _sending_to(watched, output_sink, head_bytes):
                    hidden = loaded.model(**inputs)[0]
            elif loaded.info.tap == "hook points":
                with loaded.model.sending_to(watched, output_sink):
                    hidden = loaded.model(**inputs)[0]
            else:
                with (
                    _hooked(loaded, watched),
                    _outputs_hooked(loaded, output_sink),
                    _softmax_held(loaded, held),
                ):
                    hidden = loaded.model(**inputs, output_attentions=True)[0]
    except _Enough:
        return None
    _check_layers(loaded, seen, [layer for layer in loaded.layers if layer >= first_layer])
    return hidden  # type: ignore[no-any-return]


def _check_layers(loaded: LoadedModel, seen: list[int], expected: list[int]) -> None:
    """Refuse a pass in which some layer did not give its weights once."""
    if seen != expected:
        raise ModelError(
            f"{loaded.info.name}: attention weights came from layers {seen}, not from each of "
            f"{len(expected)} once; the architecture {loaded.info.architecture} cannot be tapped"
        )


@contextlib.contextmanager
def _hooked(loaded: LoadedModel, sink: LayerSink) -> Iterator[None]:
    """Pass the weights in the outputs of the attention modules to a sink, and drop them there."""
    modules = attention_modules(loaded.model, loaded.layers)

    def hook_of(layer: int) -> Callable[..., Any]:
        def hook(_module: torch.nn.Module, _inputs: Any, outputs: Any) -> Any:
            weights = _weights_in(outputs)
            if weights is None:
                raise ModelError(
                    f"{loaded.info.name}: layer {layer} returned no attention weights; the "
                    f"architecture {loaded.info.architecture} cannot be tapped"
                )
            sink(layer, weights)
            # An empty tensor instead, so that the model's own list of attentions stays small.
            return type(outputs)(o.new_empty(0) if o is weights else o for o in outputs)

        return hook

    # Before the hooks of transformers, which keep the outputs of every layer.
    handles = [m.register_forward_hook(hook_of(i), prepend=True) for i, m in modules.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class NotHeldError(ModelError):
    """A layer calls no softmax whose result patterns could replace."""


class _HeldSoftmax(TorchFunctionMode):
    """Replaces the result of the softmax by given patterns."""

    def __init__(self, patterns: Tensor) -> None:
        super().__init__()
        self.patterns = patterns
        self.used = False

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:  # shapes are those of the function called
        result = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") != "softmax":
            return result
        given = self.patterns
        if result.shape[-2:] != given.shape[-2:] or result.numel() != given.numel():
            return result
        self.used = True
        return given.to(result).reshape(result.shape)


@contextlib.contextmanager
def _softmax_held(loaded: LoadedModel, held: Callable[[int], Tensor] | None) -> Iterator[None]:
    """Hold the patterns of architectures that do not use the interface, at their softmax."""
    if held is None:
        yield
        return

    def with_held(layer: int, forward: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            with _HeldSoftmax(held(layer)) as mode:
                result = forward(*arguments, **named)
            if not mode.used:
                raise NotHeldError(
                    f"{loaded.info.name}: layer {layer} takes no softmax that could be held; its "
                    f"architecture {loaded.info.architecture} cannot be run with held patterns"
                )
            return result

        return run

    modules = attention_modules(loaded.model, loaded.layers)
    with contextlib.ExitStack() as stack:
        for layer, module in modules.items():
            stack.enter_context(forward_replaced(module, with_held(layer, module.forward)))
        yield


@contextlib.contextmanager
def forward_replaced(module: torch.nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Make a module run another function instead of its `forward`, for the time of the block."""
    attributes = vars(module)  # some classes pass what is set to a module inside them
    before = attributes.get("forward")
    attributes["forward"] = forward
    try:
        yield
    finally:
        if before is None:
            del attributes["forward"]  # that of the class is used again
        else:
            attributes["forward"] = before


@contextlib.contextmanager
def _outputs_hooked(loaded: LoadedModel, sink: OutputSink | None) -> Iterator[None]:
    """Pass the inputs of the output projections to a sink, which may replace them."""
    if sink is None:
        yield
        return
    modules = output_projections(loaded.model, loaded.layers)
    n_heads = loaded.info.n_heads

    def hook_of(layer: int) -> Callable[..., Any]:
        def hook(_module: torch.nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            joined, *rest = inputs
            output = joined.reshape(*joined.shape[:2], n_heads, -1).clone()
            returned = sink(layer, output)
            output = returned if isinstance(returned, Tensor) else output
            return (output.reshape(joined.shape), *rest)

        return hook

    handles = [m.register_forward_pre_hook(hook_of(i)) for i, m in modules.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _weights_in(outputs: Any) -> Tensor | None:
    """Return the attention weights among a module's outputs: the square one of four axes."""
    if not isinstance(outputs, tuple | list):
        return None
    for o in reversed(outputs):
        if isinstance(o, Tensor) and o.ndim == 4 and o.shape[-1] == o.shape[-2]:
            return o
    return None


def attention_modules(model: torch.nn.Module, layers: Sequence[int]) -> dict[int, torch.nn.Module]:
    """Return the outermost attention module of each layer.

    Args:
        model: the whole model or its base.
        layers: numbers of the layers that are read; of a hybrid, those with softmax attention.

    Raises:
        ModelError: if there is not one per layer.
    """
    modules: dict[str, torch.nn.Module] = {}
    for name, module in model.named_modules():
        last = name.rpartition(".")[2].lower()
        inside = any(name.startswith(outer + ".") for outer in modules)
        # Falcon calls a norm `ln_attn`, MPT a dropout `resid_attn_dropout`.
        kind = type(module).__name__
        is_other = "norm" in last or "Norm" in kind or "dropout" in last or kind == "HookPoint"
        number = getattr(module, "layer_idx", None)
        is_other |= isinstance(number, int) and number not in layers  # of a hybrid
        if not inside and ("attn" in last or "attention" in last) and not is_other:
            modules[name] = module
    if len(modules) != len(layers):
        raise ModelError(
            f"{type(model).__name__}: {len(modules)} attention modules were found in {len(layers)} "
            "layers; this architecture is not known (see 'Model families' in the documentation)"
        )
    return dict(zip(layers, modules.values(), strict=True))


def output_projections(model: torch.nn.Module, layers: Sequence[int]) -> dict[int, torch.nn.Module]:
    """Return the module of each layer that mixes the heads' outputs.

    Args:
        model: the whole model or its base.
        layers: see `attention_modules`.

    Raises:
        ModelError: if an attention module has none by a known name.
    """
    projections = {}
    for layer, attention in attention_modules(model, layers).items():
        named = {name.rpartition(".")[2]: m for name, m in attention.named_modules() if name}
        candidates = [named[name] for name in OUTPUT_PROJECTIONS if name in named]
        if len(candidates) != 1:
            raise ModelError(
                f"{type(attention).__name__}: its output projection is not known (none or several "
                f"of {', '.join(OUTPUT_PROJECTIONS)}); its heads cannot be ablated"
            )
        projections[layer] = candidates[0]
    return projections
