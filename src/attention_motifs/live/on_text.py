"""`atlas.on(text)`: models of an atlas are loaded once, and run on a text."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING

from attention_motifs.atlas.text_patterns import Reading, TextPatterns
from attention_motifs.features.arguments import whole_number
from attention_motifs.live.models import LiveModels, checked_text, live_names

if TYPE_CHECKING:
    from attention_motifs.atlas import Atlas


def on_text(
    atlas: Atlas,
    text: str,
    *,
    against: str | None = None,
    model: str | Sequence[str] | None = None,
    max_tokens: int | None = None,
    device: str = "auto",
) -> TextPatterns:
    """Run the models of an atlas on a text, and compare the patterns with those of its prompts.

    The models stay in memory as long as `atlas` does. The atlas on disk is not changed.

    Args:
        atlas: the atlas.
        text: up to 16 KB long.
        against: another text: heads are then sorted by how differently they attend on the two.
        model: name of one model of the atlas, or of several; default: all that can run.
        max_tokens: tokens to which a text is cut (default 256, or the context of the model if it
            is shorter).
        device: `auto`, `cpu`, `cuda`... for models that are not in memory yet.

    Returns:
        A `TextPatterns`: its `table`, `patterns(head)`, `features` and `view()`.

    Raises:
        InputError: if a text is empty, too long or has fewer than two tokens, or a model is not in
            the atlas or cannot run.
        ModelError, ResourceError: if a model is not available or does not load.
    """
    checked_text(text)
    if against is not None:
        checked_text(against)
    if max_tokens is not None:
        whole_number(max_tokens, "max_tokens", least=2)
    names = live_names(atlas, model)
    live = _models_of(atlas, device)
    for name in names:
        live.load(name)

    def read(of: str) -> tuple[Reading, ...]:
        return tuple(live.read(of, name, max_tokens=max_tokens) for name in names)

    others = () if against is None else read(against)
    return TextPatterns(atlas, text, read(text), against, others)


_live: weakref.WeakKeyDictionary[Atlas, dict[str, LiveModels]] = weakref.WeakKeyDictionary()
"""Models in memory by atlas and device."""


def _models_of(atlas: Atlas, device: str) -> LiveModels:
    by_device = _live.setdefault(atlas, {})
    if device not in by_device:
        by_device[device] = LiveModels(weakref.proxy(atlas), device)
    return by_device[device]
