"""The direct path: what a head adds to the logits if nothing else changes.

The output of a head goes through the output projection into the residual stream (in Gemma 2 and 3
through a norm first), and from there through the final norm to the unembedding. Norms divide by a
scale that depends on the whole stream. This scale is held at its clean value, which makes the path
linear: the contributions of the parts of the stream add up to the whole.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from attention_motifs.behaviour.replay import CleanRun, clean_run, decoder_layers
from attention_motifs.errors import ModelError
from attention_motifs.extraction.tap import output_projections, run_tapped
from attention_motifs.features.numerics import fixed_numerics

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from attention_motifs.models.model import LoadedModel

_TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 6e-2}


@dataclass(frozen=True)
class PassedNorm:
    """A norm, and its input in the clean run."""

    norm: Any
    given: Float[Tensor, "sequences n width"]

    def __call__(
        self, part: Float[Tensor, "sequences n heads width"]
    ) -> Float[Tensor, "sequences n heads width"]:
        """Pass a part of the input through the norm in float32, with the scale of the whole.

        The shift of a LayerNorm belongs to no part and is left out.
        """
        whole, passed = self.given.float(), self.norm(self.given).float()
        if isinstance(self.norm, torch.nn.LayerNorm):
            part, whole = _centred(part), _centred(whole)
            gain = torch.ones(()) if self.norm.weight is None else self.norm.weight.float()
            passed = passed if self.norm.bias is None else passed - self.norm.bias.float()
        else:  # RMSNorm: ones give the gain, however the weight is stored
            gain = self.norm(torch.ones_like(self.given[:1, :1]))[0, 0].float()
        gain = gain.to(whole.device)
        scale = passed.norm(dim=-1) / (whole * gain).norm(dim=-1).clamp(min=1e-30)
        out: Tensor = part * gain * scale[:, :, None, None]
        return out

    def check(self, name: str) -> None:
        """Check that the whole input, passed as a part, gives the norm's output.

        Raises:
            ModelError: if it does not, since the norm is of another kind.
        """
        passed = self.norm(self.given).float()
        bias = getattr(self.norm, "bias", None)
        shift = bias.float() if isinstance(bias, Tensor) else 0.0
        again = self(self.given.float()[:, :, None])[:, :, 0] + shift
        tolerance = _TOLERANCE.get(self.given.dtype, 1e-4) * float(passed.abs().max())
        if not float((again - passed).abs().max()) <= tolerance:
            raise ModelError(
                f"{name}: its norm {type(self.norm).__name__} is neither a LayerNorm nor an "
                "RMSNorm, so its heads have no known direct path."
            )


@dataclass(frozen=True)
class DirectPath:
    """The maps from the outputs of heads to the unembedding, on a batch of sequences."""

    clean: CleanRun
    """The clean run, with its patterns."""
    alone: Mapping[int, Float[Tensor, "sequences n heads d"]]
    """Per layer, the output of each head if it attended to its own token only."""
    mixing: Mapping[int, Float[Tensor, "heads d width"]]
    """Per layer, the output projection."""
    after: dict[int, PassedNorm]
    """Norms between output projection and residual stream, for layers that have one."""
    final: PassedNorm

    @fixed_numerics()
    def added(
        self, layer: int, outputs: Float[Tensor, "sequences n heads d"]
    ) -> Float[Tensor, "sequences n heads width"]:
        """Return what heads add to the residual stream, without the projection's bias."""
        part = torch.einsum("snhd,hdw->snhw", outputs.float(), self.mixing[layer])
        return self.after[layer](part) if layer in self.after else part

    def contributions(
        self, layer: int, outputs: Float[Tensor, "sequences n heads d"]
    ) -> Float[Tensor, "sequences n heads width"]:
        """Return what heads add to the input of the unembedding."""
        return self.final(self.added(layer, outputs))


@dataclass
class _Norms:
    """Norms seen during a pass, with their inputs."""

    after: dict[int, PassedNorm] = field(default_factory=dict)
    outside: list[tuple[PassedNorm, Tensor]] = field(default_factory=list)


@fixed_numerics()
def direct_path(loaded: LoadedModel, token_ids: Int[Tensor, "sequences n"]) -> DirectPath:
    """Run the model twice: unchanged, and with each head attending to its own token only.

    Args:
        loaded: the model.
        token_ids: few sequences of equal length.

    Raises:
        ModelError: if the heads' outputs or the norms cannot be observed or are of an unknown kind.
    """
    name = loaded.info.name
    if loaded.info.softmax_layers is not None:
        raise ModelError(
            f"{name}: the heads of a hybrid have no known direct path: its architecture "
            f"{loaded.info.architecture} may have a gate before the output projection."
        )
    with torch.inference_mode():
        with _watching_norms(loaded) as seen:
            clean = clean_run(loaded, token_ids, keep_patterns=True)
        finals = [
            norm
            for norm, passed in seen.outside
            if passed.shape == clean.hidden.shape and torch.equal(passed, clean.hidden)
        ]
        if not finals:
            raise ModelError(
                f"{name}: no norm returns its last hidden states, so the architecture "
                f"{loaded.info.architecture} has no known direct path."
            )
        for norm in (finals[-1], *seen.after.values()):
            norm.check(name)
        projections = output_projections(loaded.model, loaded.layers)
        mixing = {
            layer: _matrix(projections[layer], outputs) for layer, outputs in clean.outputs.items()
        }
        alone = _attending_to_one(loaded, clean)
    return DirectPath(clean, alone, mixing, seen.after, finals[-1])


def _attending_to_one(loaded: LoadedModel, clean: CleanRun) -> dict[int, Tensor]:
    """Return the output of each head with the identity as its pattern, on the clean stream.

    Sequences are run twice, next to each other. The second copy has identity patterns; its outputs
    are kept and replaced by those of the first copy.
    """
    n = len(clean.token_ids)
    outputs: dict[int, Tensor] = {}

    def held(layer: int) -> Tensor:
        pattern = clean.patterns[layer]
        return torch.cat([pattern, torch.eye(pattern.shape[-1]).to(pattern).expand_as(pattern)])

    def put_back(layer: int, output: Tensor) -> None:
        outputs[layer] = output[n:].clone()
        output[n:] = output[:n]

    twice = torch.cat([clean.token_ids, clean.token_ids])
    run_tapped(loaded, twice, lambda *_: None, output_sink=put_back, held=held)
    return outputs


def _matrix(projection: Any, outputs: Tensor) -> Tensor:
    """Return the matrix of a projection from its outputs on unit vectors, in float32."""
    n_heads, width = outputs.shape[2:]
    units = torch.eye(n_heads * width).to(outputs)
    matrix: Tensor = projection(units[None])[0] - projection(torch.zeros_like(units[None, :1]))[0]
    return matrix.float().view(n_heads, width, -1)


def _norms_in(module: torch.nn.Module) -> list[torch.nn.Module]:
    return [m for m in module.modules() if "norm" in type(m).__name__.lower()]


def _centred(tensor: Tensor) -> Tensor:
    return tensor - tensor.mean(dim=-1, keepdim=True)


@contextlib.contextmanager
def _watching_norms(loaded: LoadedModel) -> Iterator[_Norms]:
    """Record the inputs of norms outside the layers, and of those after output projections.

    A norm follows a projection if its input is the very tensor that the projection returned.
    """
    seen = _Norms()
    projected: dict[int, Any] = {}
    layers = decoder_layers(loaded)
    inside = {module for layer in layers for module in layer.modules()}
    handles = []

    def watch_projection(layer: int) -> Any:
        return lambda _module, _given, output: projected.update({layer: output})

    def watch_inside(layer: int) -> Any:
        def look(module: Any, given: Any) -> None:
            if given and layer in projected and given[0] is projected[layer]:
                seen.after[layer] = PassedNorm(module, given[0].clone())

        return look

    def watch_outside(module: Any, given: Any, passed: Any) -> None:
        seen.outside.append((PassedNorm(module, given[0].clone()), passed))

    for i, projection in output_projections(loaded.model, loaded.layers).items():
        handles.append(projection.register_forward_hook(watch_projection(i)))
        handles += [m.register_forward_pre_hook(watch_inside(i)) for m in _norms_in(layers[i])]
    handles += [
        module.register_forward_hook(watch_outside)
        for module in _norms_in(loaded.model)
        if module not in inside
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
