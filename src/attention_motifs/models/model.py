"""A loaded model, and what an atlas records of it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from attention_motifs.models import architectures
from attention_motifs.models.language_head import LanguageHead
from attention_motifs.models.packaged import sha256_of


@dataclass(frozen=True)
class ModelInfo:
    """What an atlas records of a model. It holds no path of the machine."""

    name: str
    kind: str
    location: str
    """Hub id, requirement of the package, or the last part of a local path."""
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

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ModelInfo:
        """Read what `to_json` wrote; other keys are passed over."""
        return cls(**{k: value[k] for k in cls.__dataclass_fields__})


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory, in evaluation mode."""

    model: Any
    """transformers' base model."""
    tokenizer: Any
    info: ModelInfo
    head: LanguageHead | None = None
    """From hidden states to logits, where it was asked for."""


def weights_sha256(folder: Path) -> str:
    """SHA-256 of the weights: of one file's content, or over the hashes of several.

    The hub's cache names the content of large files by their SHA-256; it is taken from there.
    """
    hashes = []
    for path in sorted(folder.glob("*.safetensors")):
        target = path.resolve().name
        hashes.append(target if re.fullmatch(r"[0-9a-f]{64}", target) else sha256_of(path))
    if len(hashes) == 1:
        return hashes[0]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()
