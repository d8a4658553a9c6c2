"""Prompts by their labels: which prompts of an atlas have given values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.errors import AtlasError, InputError, did_you_mean

if TYPE_CHECKING:
    from jaxtyping import Int

    from attention_motifs.atlas.folder import AtlasFolder

Where = Mapping[str, Any]
"""Key -> value that a prompt must have, or a list of values of which it must have one."""

_MOST_LISTED = 12


def labels_of(atlas: AtlasFolder) -> list[dict[str, Any]]:
    """Return the labels of every prompt, with its `source` unless a label has that name.

    Raises:
        AtlasError: if the file of the prompts is damaged.
    """
    labels = []
    for source, meta in atlas.prompts.select("source", "meta").iter_rows():
        try:
            held = json.loads(meta) if meta else {}
        except (ValueError, RecursionError) as error:
            file = atlas.file("prompts")
            raise AtlasError(
                f"{file}: labels are not JSON ({error}); {file.fix_damaged}"
            ) from error
        labels.append({"source": source, **(held if isinstance(held, dict) else {})})
    return labels


def prompts_where(atlas: AtlasFolder, where: Where) -> Int[np.ndarray, " some"]:
    """Return the places of the prompts that have all of the given labels, in `Atlas.prompts`.

    Values are compared as text, so that `3` and `"3"` are equal; a prompt whose label is a list has
    every value in it.

    Args:
        atlas: the atlas.
        where: key -> value, or list of allowed values.

    Raises:
        InputError: if there is no condition, no prompt has the key, or none has the values.
    """
    if not isinstance(where, Mapping) or not where:
        raise InputError(f"where={where!r:.60}: give labels, such as {{'genre': 'law'}}")
    labels = labels_of(atlas)
    mask = np.ones(len(labels), dtype=bool)
    for key, value in where.items():
        held = {text for of_prompt in labels for text in label_values(of_prompt.get(str(key)))}
        if not held:
            known = sorted({name for of_prompt in labels for name in of_prompt})
            raise InputError(
                f"where: no prompt of {atlas.place} has the label {str(key)[:60]!r}; "
                f"{did_you_mean(str(key)[:60], known)}"
            )
        allowed = label_values(value)
        if not allowed & held:
            raise InputError(
                f"where: no prompt of {atlas.place} has {key}={', '.join(sorted(allowed)):.60}. "
                f"Its values are {_listed(held)}"
            )
        mask &= [bool(label_values(of_prompt.get(str(key))) & allowed) for of_prompt in labels]
    if not mask.any():
        raise InputError(
            f"where: no prompt of {atlas.place} has all of {described(where)}. Leave one out"
        )
    return np.flatnonzero(mask)


def described(where: Where) -> str:
    """Return conditions as they are written on the command line."""
    return ", ".join(f"{key}={_listed(label_values(value))}" for key, value in where.items())


def parsed_where(texts: Sequence[str] | None, option: str = "--where") -> dict[str, list[str]]:
    """Read KEY=VALUE; a key that is named again allows another value.

    Args:
        texts: as given on the command line.
        option: name of the option, for errors.

    Raises:
        InputError: if a text has no `=`, or nothing before it.
    """
    where: dict[str, list[str]] = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise InputError(f"{option} {text[:60]!r}: write KEY=VALUE, such as genre=law")
        where.setdefault(key.strip(), []).append(value.strip())
    return where


def label_values(value: Any) -> set[str]:
    """Return the values of a label as texts: those of a list, or the value itself."""
    if value is None:
        return set()
    values = value if isinstance(value, list | tuple | set | frozenset) else [value]
    return {v if isinstance(v, str) else json.dumps(v, default=str) for v in values}


def _listed(values: set[str]) -> str:
    shown = sorted(values)[:_MOST_LISTED]
    return "|".join(v[:40] for v in shown) + ("|..." if len(values) > len(shown) else "")
