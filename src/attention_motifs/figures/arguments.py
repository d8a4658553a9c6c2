"""Checks of the arguments that the figures share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attention_motifs.atlas import Atlas
from attention_motifs.errors import InputError
from attention_motifs.head import HeadId


def check_atlas(atlas: object) -> None:
    """Refuse anything but an open atlas.

    Raises:
        InputError: naming the value.
    """
    if not isinstance(atlas, Atlas):
        raise InputError(f"atlas={atlas!r:.80}: expected an Atlas. Open one with Atlas.open(PATH)")


def list_heads(heads: Sequence[str | HeadId] | str | HeadId | None) -> list[str | HeadId]:
    """Return heads as a list; a single name is one head, None is no head.

    Raises:
        InputError: if the value is no sequence.
    """
    if heads is None:
        return []
    if isinstance(heads, str | HeadId):
        return [heads]
    if not isinstance(heads, Iterable):
        raise InputError(f"heads={heads!r:.80}: expected a list of heads")
    return list(heads)
