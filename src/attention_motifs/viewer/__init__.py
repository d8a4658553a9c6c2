"""A viewer of attention patterns for notebooks and HTML files, in one call.

`attention_patterns`, `attention_heads`, `head_view` and `model_view` are called as the functions of
the same names in CircuitsVis and BertViz, so that moving over is one import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attention_motifs.viewer.other_calls import (
        attention_heads,
        attention_patterns,
        head_view,
        model_view,
    )
    from attention_motifs.viewer.show import view
    from attention_motifs.viewer.widget import PatternView

_MODULES = {
    "PatternView": "widget",
    "attention_heads": "other_calls",
    "attention_patterns": "other_calls",
    "head_view": "other_calls",
    "model_view": "other_calls",
    "view": "show",
}

__all__ = [
    "PatternView",
    "attention_heads",
    "attention_patterns",
    "head_view",
    "model_view",
    "view",
]


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
