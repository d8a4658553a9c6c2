"""Attention patterns: loading a model and running prompts through it.

The public names are imported on first use, because importing torch and transformers takes seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attention_motifs.extraction.loading import identify_model, load_model, resolve_dtype
    from attention_motifs.extraction.stream import (
        PatternBatch,
        extract_patterns,
        for_each_layer,
        most_at_once,
    )
    from attention_motifs.extraction.tap import run_tapped
    from attention_motifs.models.identity import ModelIdentity
    from attention_motifs.models.sources import resolve
    from attention_motifs.models.tokenizing import tokenize

_MODULES = {
    "ModelIdentity": "models.identity",
    "PatternBatch": "extraction.stream",
    "extract_patterns": "extraction.stream",
    "for_each_layer": "extraction.stream",
    "identify_model": "extraction.loading",
    "load_model": "extraction.loading",
    "most_at_once": "extraction.stream",
    "resolve": "models.sources",
    "resolve_dtype": "extraction.loading",
    "run_tapped": "extraction.tap",
    "tokenize": "models.tokenizing",
}

__all__ = [
    "ModelIdentity",
    "PatternBatch",
    "extract_patterns",
    "for_each_layer",
    "identify_model",
    "load_model",
    "most_at_once",
    "resolve",
    "resolve_dtype",
    "run_tapped",
    "tokenize",
]


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"attention_motifs.{_MODULES[name]}"), name)
