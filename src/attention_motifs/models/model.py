"""A loaded model, and what an atlas records of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from attention_motifs.models import architectures
from attention_motifs.models.language_head import Head
from attention_motifs.notebook import block, table


@dataclass(frozen=True)
class ModelInfo:
    """What an atlas records of a model. It holds no path of the machine."""

    name: str
    kind: str
    location: str
    """Hub id, requirement of the package, the last part of a local path, or a class."""
    revision: str | None
    """Commit on the hub."""
    weights_sha256: str
    tokenizer_sha256: str
    licence: str | None
    architecture: str
    """`model_type` in transformers."""
    n_layers: int
    n_heads: int
    """Query heads per layer."""
    n_parameters: int
    """Without the language-model head."""
    dtype: str
    device: str
    tap: architectures.Tap
    config_sha256: str | None = None
    """Digest of the settings that change patterns; None for packaged and GGUF models."""
    set_aside: tuple[str, ...] = ()
    """Settings and files of the model's folder without effect on patterns, such as
    `output_attentions` or an adapter."""
    softmax_layers: tuple[int, ...] | None = None
    """Numbers of the layers that are read, of a hybrid; None for all layers."""

    @property
    def layers(self) -> tuple[int, ...]:
        """Numbers of the layers that are read, from 0."""
        return tuple(range(self.n_layers)) if self.softmax_layers is None else self.softmax_layers

    @property
    def source(self) -> str | None:
        """Text that `resolve` reads as this model at its revision; None for local models."""
        if self.kind == "packaged":
            return self.name
        if self.kind != "hub":
            return None
        return f"{self.name}={self.location}" + (f"@{self.revision}" if self.revision else "")

    def to_json(self) -> dict[str, Any]:
        """Return the record as a JSON object."""
        layers = None if self.softmax_layers is None else list(self.softmax_layers)
        return {**asdict(self), "set_aside": list(self.set_aside), "softmax_layers": layers}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ModelInfo:
        """Read what `to_json` wrote; other keys are ignored, newer ones have defaults."""
        values = {k: value[k] for k in cls.__dataclass_fields__ if k in value}
        layers = values.get("softmax_layers")
        values["softmax_layers"] = None if layers is None else tuple(layers)
        return cls(**{**values, "set_aside": tuple(values.get("set_aside") or ())})


@dataclass(frozen=True, repr=False)
class LoadedModel:
    """A model in memory, in evaluation mode."""

    model: Any
    """The base model of transformers; of a multimodal model, its text model."""
    tokenizer: Any
    info: ModelInfo
    head: Head | None = None
    """From hidden states to logits; None unless `load_model` was asked for it."""

    @property
    def layers(self) -> tuple[int, ...]:
        """Numbers of the layers that are read, from 0."""
        return self.info.layers

    def __repr__(self) -> str:
        info = self.info
        return (
            f"<LoadedModel {info.name}: {info.n_layers} layers of {info.n_heads} heads, "
            f"{info.architecture or info.kind}, {info.dtype} on {info.device}>"
        )

    def _repr_html_(self) -> str:
        info = self.info
        rows: list[list[Any]] = [
            ["layers", info.n_layers],
            ["heads per layer", info.n_heads],
            ["parameters without the language-model head", f"{info.n_parameters:,}"],
            ["architecture", info.architecture or info.kind],
            ["numbers", f"{info.dtype} on {info.device}"],
            ["from", info.source or info.location],
            ["licence", info.licence],
            ["SHA-256 of the weights", info.weights_sha256[:16]],
        ]
        return block(info.name, table(["", ""], rows))
