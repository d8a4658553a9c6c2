"""Checks of the arguments that the figures share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.errors import InputError
from attention_motifs.head import HeadId

if TYPE_CHECKING:
    from jaxtyping import Int


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
    try:
        return list(heads)
    except TypeError as error:
        raise InputError(f"heads={heads!r:.80}: expected a list of heads") from error


def list_prompts(prompts: Sequence[str] | str) -> list[str]:
    """Return ids of prompts as a list; a single id is one prompt.

    Raises:
        InputError: if the value is no sequence of ids.
    """
    ids = [prompts] if isinstance(prompts, str) else prompts
    if not isinstance(ids, Iterable) or not all(isinstance(prompt, str) for prompt in ids):
        raise InputError(f"prompts={prompts!r:.80}: expected a list of the ids of prompts")
    return list(ids)


def check_count(name: str, value: object, least: int = 1) -> int:
    """Return a whole number of at least `least`.

    Raises:
        InputError: naming the argument and its value.
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise InputError(f"{name}={value!r:.80}: expected a whole number of {least} or more")
    return int(value)


MAX_DRAWN = 4000
"""Largest number of heads whose pairs a figure draws or compares."""


def regular_sample(n: int) -> Int[np.ndarray, " some"]:
    """Return every k-th of n rows, with the smallest k that gives at most `MAX_DRAWN`."""
    return np.arange(0, n, max(1, -(-n // MAX_DRAWN)))
