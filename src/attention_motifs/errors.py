"""Errors that a user can mend: one line each, naming the thing, its value and the mend.

The command line prints them without a stack trace and leaves with `exit_code`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MotifsError(Exception):
    """A mistake or a state of the world that the user can do something about."""

    exit_code = 1


class InputError(MotifsError, ValueError):
    """A value given by the user (argument, prompts file, array) cannot be used."""

    exit_code = 2


class HeadNotFoundError(InputError):
    """A head, or its model, is not in the atlas; the message offers the nearest names."""


class ModelError(MotifsError):
    """A model cannot be found, fetched, verified, loaded or trusted."""

    exit_code = 3


class AtlasError(MotifsError):
    """An atlas is missing, of another schema, damaged, incomplete or in use."""

    exit_code = 4


class ResourceError(MotifsError):
    """Too little disk, memory or network for what was asked."""

    exit_code = 5


class RemoteError(MotifsError):
    """A hub or an object store refuses, cannot be reached, or does not hold what it should."""

    exit_code = 6


class JobsFailedError(MotifsError):
    """Some of the jobs handed to other processes failed for good; all others are done."""

    exit_code = 7


_MAX_NAMES = 8
"""Names listed in an error where none is similar."""


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return advice for a name that is not known: similar names, or else the known ones.

    Args:
        name: the unknown name.
        known: names to choose from.

    Example:
        >>> did_you_mean("meen", ["mean", "cosine"])
        'did you mean mean?'
        >>> did_you_mean("x", ["mean", "cosine"])
        'choose one of mean, cosine'
    """
    names = list(known)
    if not names:
        return "none is defined yet"
    similar = difflib.get_close_matches(str(name), names, n=3, cutoff=0.6)
    if similar:
        return f"did you mean {' or '.join(similar)}?"
    more = ", ..." if len(names) > _MAX_NAMES else ""
    return f"choose one of {', '.join(names[:_MAX_NAMES])}{more}"
