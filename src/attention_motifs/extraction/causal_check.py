"""The causal check that an architecture passes before its patterns are trusted.

On a few tokens it checks that every layer gives weights of the right shape, that rows are
distributions (or sum to less, with sinks), that nothing is above the diagonal, that a later token
does not change earlier rows, and that changing the weights changes the output. If our attention
function replaces that of the architecture, both must give the same output. If hooks read the
weights, the model must give the same output when its softmax returns exactly these weights.
"""

from __future__ import annotations

import contextlib
import hashlib
import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from attention_motifs import __version__
from attention_motifs.errors import ModelError, MotifsError
from attention_motifs.extraction.tap import INTERFACE, NotHeldError, run_tapped
from attention_motifs.models.architectures import has_sinks
from attention_motifs.store.cache_folder import cache_folder

if TYPE_CHECKING:
    from attention_motifs.models.model import LoadedModel

VERSION = 2
"""Raised whenever the check is extended; models that passed an earlier one are checked again."""

_N_TOKENS = 6
_TOLERANCE = {torch.float32: 1e-4, torch.float16: 5e-3, torch.bfloat16: 3e-2}

_INT8_LAYER = "Linear8bitLt"
"""Layer of bitsandbytes that treats columns with large values of any token apart."""


def causal_check(loaded: LoadedModel) -> None:
    """Raise if the tapped weights are not the model's causal softmax attention.

    Raises:
        ModelError: with the model, the layer and the reason.
    """
    tokens = torch.arange(1, _N_TOKENS + 1)[None] % loaded.model.config.vocab_size
    tolerance = _TOLERANCE.get(next(loaded.model.parameters()).dtype, 1e-4)
    patterns, hidden = _patterns(loaded, tokens)
    for layer, weights in zip(loaded.layers, patterns, strict=True):
        _check_layer(loaded, layer, weights, tolerance)
    if loaded.info.tap == "attention interface" and hidden is not None:
        _check_against_eager(loaded, tokens, hidden, tolerance)
        _check_effect(loaded, tokens, hidden)
    elif loaded.info.tap == "hook points" and hidden is not None:
        _check_effect(loaded, tokens, hidden)
    elif hidden is not None:
        _check_held(loaded, tokens, patterns, hidden, tolerance)
    changed = tokens.clone()
    changed[0, -1] = (changed[0, -1] + 7) % loaded.model.config.vocab_size
    again, _ = _patterns(loaded, changed)
    for layer, weights, before in zip(loaded.layers, again, patterns, strict=True):
        if (weights[..., :-1, :] - before[..., :-1, :]).abs().max() > tolerance:
            reason = "the last token changes the rows of earlier ones"
            if any(type(module).__name__ == _INT8_LAYER for module in loaded.model.modules()):
                reason += ", since its 8-bit layers round all tokens together; load it in 4 bits"
            raise _refusal(loaded, layer, reason)


def check_once(loaded: LoadedModel) -> None:
    """Run the causal check the first time that these weights are tapped this way."""
    from transformers import __version__ as transformers_version

    info, config = loaded.info, loaded.model.config.to_json_string()
    versions = [str(VERSION), __version__, transformers_version]
    key = [info.weights_sha256, info.tap, info.dtype, config, *versions]
    name = hashlib.sha256("\n".join(key).encode()).hexdigest()[:32]
    passed = cache_folder() / "checked" / name
    if passed.is_file():
        return
    causal_check(loaded)
    with contextlib.suppress(OSError):  # the check is quick; it is only done again
        passed.parent.mkdir(parents=True, exist_ok=True)
        passed.touch()


def _patterns(loaded: LoadedModel, tokens: Tensor) -> tuple[list[Tensor], Tensor | None]:
    kept: list[Tensor] = []
    try:
        hidden = run_tapped(
            loaded, tokens, lambda _layer, weights: kept.append(weights.float().cpu())
        )
    except MotifsError:
        raise
    except Exception as error:  # a configuration that does not fit the weights raises anything
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise _refusal(loaded, len(kept), f"it does not run ({reason})") from error
    return kept, hidden


def _check_layer(loaded: LoadedModel, layer: int, weights: Tensor, tolerance: float) -> None:
    shape = (1, loaded.info.n_heads, _N_TOKENS, _N_TOKENS)
    if tuple(weights.shape) != shape:
        raise _refusal(loaded, layer, f"weights have shape {tuple(weights.shape)}, not {shape}")
    if not torch.isfinite(weights).all():
        raise _refusal(loaded, layer, "weights hold NaN; try --dtype float32")
    if weights.triu(1).abs().max() > 0:
        raise _refusal(loaded, layer, "its attention is not causal: a token sees later ones")
    sums = weights.sum(dim=-1)
    low, high = float(sums.min()), float(sums.max())
    may_be_less = has_sinks(loaded.model)
    if weights.min() < 0 or high > 1 + tolerance or (low < 1 - tolerance and not may_be_less):
        raise _refusal(loaded, layer, f"rows sum to {low:.3f} to {high:.3f}: not a softmax")


def _check_against_eager(
    loaded: LoadedModel, tokens: Tensor, hidden: Tensor, tolerance: float
) -> None:
    """Check that our attention function gives the output of the model's own."""
    model = loaded.model
    model.set_attn_implementation("eager")
    try:
        with torch.inference_mode():
            expected = model(input_ids=tokens.to(model.device), use_cache=False)[0]
    finally:
        model.set_attn_implementation(INTERFACE)
    if (hidden - expected).abs().max() > tolerance * expected.abs().max().clamp(min=1.0):
        raise _refusal(
            loaded, loaded.layers[-1], "the output is not that of its own eager attention"
        )


def _check_effect(loaded: LoadedModel, tokens: Tensor, hidden: Tensor) -> None:
    """Check that attending to the first token alone, in the last layer, changes the output."""

    def first_token_only(layer: int, weights: Tensor) -> Any:
        return _on_first_token(weights) if layer == loaded.layers[-1] else None

    _require_changed(loaded, hidden, run_tapped(loaded, tokens, first_token_only))


def _check_held(
    loaded: LoadedModel, tokens: Tensor, patterns: list[Tensor], hidden: Tensor, tolerance: float
) -> None:
    """Check that the model uses the tapped weights: held at the softmax, they give its output."""
    last = loaded.layers[-1]
    changed = [*patterns[:last], _on_first_token(patterns[last])]

    def run(held: list[Tensor]) -> Tensor | None:
        return run_tapped(loaded, tokens, lambda *_: None, held=lambda layer: held[layer])

    try:
        again = run(patterns)
    except NotHeldError:
        warnings.warn(
            f"{loaded.info.name}: its architecture {loaded.info.architecture} takes no softmax "
            "that could be held, so that it is not known whether it computes with these patterns; "
            "their shape, rows and causality were checked",
            stacklevel=2,
        )
        return
    if again is None or (again - hidden).abs().max() > tolerance * hidden.abs().max().clamp(min=1):
        raise _refusal(
            loaded, last, "it computes something else with the weights it returns: it uses others"
        )
    _require_changed(loaded, again, run(changed))


def _on_first_token(weights: Tensor) -> Tensor:
    changed = torch.zeros_like(weights)
    changed[..., 0] = 1.0
    return changed


def _require_changed(loaded: LoadedModel, hidden: Tensor, changed: Tensor | None) -> None:
    if changed is None or torch.equal(hidden, changed):
        raise _refusal(loaded, loaded.layers[-1], "changing the weights does not change the output")


def _refusal(loaded: LoadedModel, layer: int, reason: str) -> ModelError:
    return ModelError(
        f"{loaded.info.name}: refused, layer {layer} of its architecture "
        f"{loaded.info.architecture}, tapped by {loaded.info.tap}: {reason}"
    )
