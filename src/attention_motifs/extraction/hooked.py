"""Models of TransformerLens, read at their hook points.

`HookedTransformer` (versions 1 and 2) and `TransformerBridge` (from version 3) name the same hook
points: `blocks.{layer}.attn.hook_pattern` holds the patterns, and `hook_z` the heads' outputs.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from attention_motifs.errors import ModelError

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from attention_motifs.extraction.tap import LayerSink, OutputSink

_PATTERN, _OUTPUT = "blocks.{}.attn.hook_pattern", "blocks.{}.attn.hook_z"


class HookedConfig:
    """Settings of a model of TransformerLens, under the names of transformers."""

    def __init__(self, cfg: Any) -> None:
        self.model_type = f"TransformerLens {getattr(cfg, 'original_architecture', None) or ''}"
        self.model_type = self.model_type.strip()
        self.num_hidden_layers = int(cfg.n_layers)
        self.num_attention_heads = int(cfg.n_heads)
        self.num_key_value_heads = getattr(cfg, "n_key_value_heads", None)
        self.hidden_size = int(cfg.d_model)
        self.intermediate_size = getattr(cfg, "d_mlp", None)
        self.max_position_embeddings = int(cfg.n_ctx)
        self.vocab_size = int(cfg.d_vocab)
        self.settings = {key: str(value) for key, value in sorted(vars(cfg).items())}

    def to_json_string(self) -> str:
        """Return the settings as JSON."""
        return json.dumps(self.settings)


class HookedModel(torch.nn.Module):
    """A model of TransformerLens that runs and is read as a base model of transformers is.

    Args:
        hooked: the twin of the user's model.

    Raises:
        ModelError: if a layer has no hook point for patterns.
    """

    def __init__(self, hooked: Any, name: str) -> None:
        super().__init__()
        self.hooked = hooked
        self.config = HookedConfig(hooked.cfg)
        points = hooked.hook_dict
        self.points: dict[str, Any] = {}
        for layer in range(self.config.num_hidden_layers):
            for form in (_PATTERN, _OUTPUT):
                key = form.format(layer)
                if key not in points:
                    raise ModelError(
                        f"{name}: refused, layer {layer} has no hook point {key}, so that its "
                        "patterns cannot be read. Give the model of transformers instead"
                    )
                self.points[key] = points[key]

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(self.parameters()).device

    def get_input_embeddings(self) -> Any:
        """Return the object whose `weight` holds one row per token."""
        return _Embedding(self.hooked.W_E)

    def forward(
        self, input_ids: Int[Tensor, "B n"], attention_mask: Tensor | None = None, **_options: Any
    ) -> tuple[Float[Tensor, "B n width"]]:
        """Return the last hidden states: the input of the unembedding."""
        seen: list[Tensor] = []

        def look(_module: Any, inputs: tuple[Tensor, ...]) -> None:
            seen.append(inputs[0])
            raise _SeenError

        options: dict[str, Any] = {"return_type": "logits"}
        if attention_mask is not None and not bool(attention_mask.all()):
            options["attention_mask"] = attention_mask
        handle = self.hooked.unembed.register_forward_pre_hook(look)
        try:
            with contextlib.suppress(_SeenError):
                self.hooked(input_ids, **options)
        finally:
            handle.remove()
        return (seen[0],)

    @contextlib.contextmanager
    def sending_to(self, sink: LayerSink, output_sink: OutputSink | None) -> Iterator[None]:
        """Give patterns and outputs to sinks, which may replace them, for the time of the block."""

        def hook_of(layer: int, take: Callable[[int, Tensor], Any]) -> Callable[..., Any]:
            def hook(_module: Any, _inputs: Any, value: Tensor) -> Any:
                returned = take(layer, value)
                return returned.to(value) if isinstance(returned, Tensor) else None

            return hook

        def changed(layer: int, value: Tensor) -> Tensor:
            n_heads = self.config.num_attention_heads
            output = value.reshape(*value.shape[:2], n_heads, -1).clone()
            returned = output_sink(layer, output) if output_sink is not None else None
            return (returned if isinstance(returned, Tensor) else output).reshape(value.shape)

        handles = []
        for layer in range(self.config.num_hidden_layers):
            point = self.points[_PATTERN.format(layer)]
            handles.append(point.register_forward_hook(hook_of(layer, sink)))
            if output_sink is not None:
                point = self.points[_OUTPUT.format(layer)]
                handles.append(point.register_forward_hook(hook_of(layer, changed)))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


@dataclass(frozen=True)
class HookedHead:
    """The unembedding of a model of TransformerLens: from hidden states to logits."""

    hooked: Any
    unembedding: Float[Tensor, "words width"]
    """The matrix from hidden states to logits."""

    def __call__(self, hidden: Float[Tensor, "rows n width"]) -> Float[Tensor, "rows n words"]:
        """Return the logits in float32, as the model computes them."""
        logits: Tensor = self.hooked.unembed(hidden).float()
        cap = getattr(self.hooked.cfg, "output_logits_soft_cap", 0.0) or 0.0
        return cap * torch.tanh(logits / cap) if cap > 0 else logits

    @property
    def n_words(self) -> int:
        """Width of the logits."""
        return int(self.unembedding.shape[0])


@dataclass(frozen=True)
class _Embedding:
    weight: Tensor


class _SeenError(Exception):
    """Leaves the forward pass before the unembedding."""
