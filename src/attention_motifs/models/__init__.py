"""Models: their names, files, digests, tokenizers and the loaded model.

The public names are imported on first use, because importing torch and transformers takes seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attention_motifs.models.fetch import pull_model
    from attention_motifs.models.identity import ModelIdentity
    from attention_motifs.models.model import LoadedModel, ModelInfo
    from attention_motifs.models.sources import (
        KnownModel,
        ModelReference,
        known_models,
        resolve,
    )
    from attention_motifs.models.tokenizing import TokenizedPrompt, tokenize

_MODULES = {
    "KnownModel": "sources",
    "LoadedModel": "model",
    "ModelIdentity": "identity",
    "ModelInfo": "model",
    "ModelReference": "sources",
    "TokenizedPrompt": "tokenizing",
    "known_models": "sources",
    "pull_model": "fetch",
    "resolve": "sources",
    "tokenize": "tokenizing",
}

__all__ = [
    "KnownModel",
    "LoadedModel",
    "ModelIdentity",
    "ModelInfo",
    "ModelReference",
    "TokenizedPrompt",
    "known_models",
    "pull_model",
    "resolve",
    "tokenize",
]


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
