"""The viewer under the names and arguments of CircuitsVis and BertViz.

Replace `from circuitsvis.attention import attention_patterns` or `from bertviz import head_view` by
`from attention_motifs.viewer import ...`. Arguments that change colours or choose a subset of heads
are read where the viewer has the same notion, and refused by name where it has not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attention_motifs.errors import InputError
from attention_motifs.viewer.arrays import read_layers
from attention_motifs.viewer.show import view
from attention_motifs.viewer.widget import PatternView


def attention_patterns(tokens: Sequence[str], attention: Any) -> PatternView:
    """Show the heads of one layer, called as `circuitsvis.attention.attention_patterns`.

    Args:
        tokens: texts of the tokens.
        attention: (heads, queries, keys), or any other form that `view` reads.

    Raises:
        InputError: as `view`.
    """
    return view(attention, tokens)


def attention_heads(attention: Any, tokens: Sequence[str], **options: Any) -> PatternView:
    """Show the heads of one layer, called as `circuitsvis.attention.attention_heads`.

    Args:
        attention: (heads, queries, keys), or any other form that `view` reads.
        tokens: texts of the tokens.
        options: those of CircuitsVis about colours and the upper triangle have no effect.

    Raises:
        InputError: as `view`, or for an option that CircuitsVis does not have.
    """
    _check(options, _CIRCUITSVIS, "attention_heads")
    return view(attention, tokens)


def head_view(
    attention: Any = None,
    tokens: Sequence[str] | None = None,
    *,
    layer: int | None = None,
    heads: Sequence[int] | None = None,
    include_layers: Sequence[int] | None = None,
    **options: Any,
) -> PatternView:
    """Show the heads of all layers, called as `bertviz.head_view`.

    Args:
        attention: one (1, heads, n, n) per layer, or any other form that `view` reads.
        tokens: texts of the tokens.
        layer: layer of the head shown first.
        heads: the first of these is shown first.
        include_layers: layers that are shown; default: all.
        options: `prettify_tokens` and `html_action` have no effect.

    Raises:
        InputError: as `view`, or for an option that BertViz does not have, or whose views of
            encoders the viewer does not have.
    """
    _check(options, _BERTVIZ, "head_view")
    layers = dict(read_layers(attention))
    if include_layers is not None:
        if missing := [number for number in include_layers if number not in layers]:
            raise InputError(f"include_layers names layer {missing[0]}, which has no patterns")
        layers = {number: layers[number] for number in include_layers}
    shown = None
    if layer is not None or heads:
        shown = (min(layers) if layer is None else layer, heads[0] if heads else 0)
    return view(layers, tokens, head=shown)


def model_view(
    attention: Any = None,
    tokens: Sequence[str] | None = None,
    *,
    display_mode: str = "auto",
    include_layers: Sequence[int] | None = None,
    include_heads: Sequence[int] | None = None,
    **options: Any,
) -> PatternView:
    """Show the heads of all layers, called as `bertviz.model_view`.

    Args:
        attention: one (1, heads, n, n) per layer, or any other form that `view` reads.
        tokens: texts of the tokens.
        display_mode: `light` or `dark`; default: that of the system.
        include_layers: layers that are shown; default: all.
        include_heads: the first of these is shown first.
        options: `prettify_tokens` and `html_action` have no effect.

    Raises:
        InputError: as `head_view`.
    """
    shown = head_view(
        attention, tokens, include_layers=include_layers, heads=include_heads, **options
    )
    return view_again(shown, display_mode)


def view_again(shown: PatternView, theme: Any) -> PatternView:
    """Return the same view in another theme.

    Raises:
        InputError: if there is no such theme.
    """
    from dataclasses import replace

    from attention_motifs.viewer.show import Settings

    return replace(shown, data=replace(shown.data, theme=Settings(theme=theme).theme))


_CIRCUITSVIS = {
    "attention_head_names",
    "mask_upper_tri",
    "max_value",
    "min_value",
    "negative_color",
    "positive_color",
}
_BERTVIZ = {"html_action", "prettify_tokens"}


def _check(options: dict[str, Any], known: set[str], name: str) -> None:
    if unknown := sorted(set(options) - known):
        raise InputError(f"{name} does not know {unknown[0]}=: it shows causal self-attention")
