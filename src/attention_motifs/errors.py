"""Errors that a user can mend: one line each, naming the thing, its value and the mend.

The command line prints them without a stack trace and leaves with `exit_code`.
"""

from __future__ import annotations


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
