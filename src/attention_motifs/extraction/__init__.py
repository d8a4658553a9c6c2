"""Stage 2: models and prompts to attention patterns.

The names below are loaded when first used, since torch and transformers take seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from attention_motifs.extraction.importing import without_collector

if TYPE_CHECKING:
    from attention_motifs.extraction.loading import (
        LoadedModel,
        ModelInfo,
        load_model,
        resolve_dtype,
    )
    from attention_motifs.extraction.sources import (
        KnownModel,
        ModelReference,
        known_models,
        pull_model,
        resolve,
    )
    from attention_motifs.extraction.stream import (
        PatternBatch,
        extract_patterns,
        for_each_layer,
        most_at_once,
    )
    from attention_motifs.extraction.tap import run_tapped
    from attention_motifs.extraction.tokenizing import TokenizedPrompt, first_token, tokenize

_WHERE = {
    "KnownModel": "sources",
    "LoadedModel": "loading",
    "ModelInfo": "loading",
    "ModelReference": "sources",
    "PatternBatch": "stream",
    "TokenizedPrompt": "tokenizing",
    "extract_patterns": "stream",
    "first_token": "tokenizing",
    "for_each_layer": "stream",
    "known_models": "sources",
    "load_model": "loading",
    "most_at_once": "stream",
    "pull_model": "sources",
    "resolve": "sources",
    "resolve_dtype": "loading",
    "run_tapped": "tap",
    "tokenize": "tokenizing",
}

__all__ = [
    "KnownModel",
    "LoadedModel",
    "ModelInfo",
    "ModelReference",
    "PatternBatch",
    "TokenizedPrompt",
    "extract_patterns",
    "first_token",
    "for_each_layer",
    "known_models",
    "load_model",
    "most_at_once",
    "pull_model",
    "resolve",
    "resolve_dtype",
    "run_tapped",
    "tokenize",
]


def __getattr__(name: str) -> Any:
    """Load a name when it is first asked for."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with without_collector():
        module = import_module(f"{__name__}.{_WHERE[name]}")
    return getattr(module, name)
