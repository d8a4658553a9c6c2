"""Checks of arguments: arrays of numbers, whole numbers, names and flags."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from attention_motifs.errors import InputError

_LONGEST = 60


def number_array(value: object, what: str, axes: Sequence[str]) -> np.ndarray:
    """Return a value as an array of real numbers.

    Args:
        value: an array, a tensor on the CPU, or nested sequences of numbers.
        what: the name of the argument in error messages, in the plural.
        axes: names of the axes, such as `("rows", "features")`.

    Returns:
        The values with one axis for each name; not a copy where none is needed.

    Raises:
        InputError: if the value holds something else than numbers, or has other axes.
    """
    expected = f"Give numbers of shape ({', '.join(axes)})."
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"{what} cannot be read as an array: {reason}. {expected}") from error
    if array.dtype.kind not in "fiu":
        raise InputError(f"{what} are {short(value)}, not an array of numbers. {expected}")
    if array.ndim != len(axes):
        raise InputError(f"{what} have shape {array.shape}. {expected}")
    return array


def whole_number(value: object, what: str, least: int = 0) -> int:
    """Return a value as a whole number.

    Raises:
        InputError: if it is not a whole number, or is below `least`.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InputError(f"{what} is {short(value)}. Give a whole number of {least} or more.")
    return int(value)


def whole_numbers(values: object, what: str) -> list[int]:
    """Return a list of whole numbers of 0 or more.

    Raises:
        InputError: if the value is no list of these.
    """
    return [whole_number(value, f"an entry of {what}") for value in _entries(values, what)]


def name_list(values: object, what: str) -> list[str]:
    """Return a list of names; a single name is no list.

    Raises:
        InputError: if the value is no list of names.
    """
    names = [] if isinstance(values, str) else _entries(values, what)
    if isinstance(values, str) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{what} are {short(values)}. Give a list of names.")
    return [str(name) for name in names]


def _entries(values: object, what: str) -> list[object]:
    try:
        if isinstance(values, Iterable) and not isinstance(values, str | bytes):
            return list(values)
    except TypeError:  # an array without axes
        pass
    raise InputError(f"{what} are {short(values)}. Give a list.")


def flag(value: object, what: str) -> bool:
    """Return True or False.

    Raises:
        InputError: if the value is neither.
    """
    if not isinstance(value, bool | np.bool_):
        raise InputError(f"{what} is {short(value)}. Give True or False.")
    return bool(value)


def short(value: object) -> str:
    """Return a value as it is written in Python, cut to one short line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
