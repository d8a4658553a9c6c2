"""Errors that a user can fix, and their exit codes.

The command line prints an error as one line that names the thing, its value and the fix, without
a stack trace, and ends with the error's `exit_code`.
"""

from __future__ import annotations

import difflib
import importlib
import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any

STOPPED = 130
"""Exit code after Ctrl-C, as in shells."""

BROKEN_PIPE = 141
"""Exit code when the reader of the output has gone, as in shells (128 + SIGPIPE)."""


class MotifsError(Exception):
    """Base class of all errors that a user can fix.

    Attributes:
        exit_code: exit code of the command line for this kind of error.

    Example:
        >>> import attention_motifs as am
        >>> try:
        ...     am.HeadId.parse("L18:H6")
        ... except am.MotifsError as error:
        ...     print(type(error).__name__, error.exit_code)
        InputError 2
    """

    exit_code = 1

    def __init__(self, *arguments: object) -> None:
        """Keep the message with escapes in the place of unprintable characters, such as of files.

        Args:
            *arguments: the message.
        """
        super().__init__(*(plain(a) if isinstance(a, str) else a for a in arguments))


class InputError(MotifsError, ValueError):
    """A value given by the user, such as an argument, a file or an array, cannot be used."""

    exit_code = 2


class HeadNotFoundError(InputError):
    """A head, or its model, is not in the atlas; the message offers similar names."""


class ModelError(MotifsError):
    """A model cannot be found, fetched, verified or loaded, or failed its check."""

    exit_code = 3


class AtlasError(MotifsError):
    """An atlas is missing, damaged, incomplete, in use, or has another schema version."""

    exit_code = 4


class ResourceError(MotifsError):
    """There is too little disk, memory or network for the task."""

    exit_code = 5


class RemoteError(MotifsError):
    """A hub or object store refuses, cannot be reached, or lacks an expected file."""

    exit_code = 6


class JobsFailedError(MotifsError):
    """Some jobs in other processes failed for good; all others are done."""

    exit_code = 7


EXIT_CODES: dict[int, str] = {
    0: "Success.",
    MotifsError.exit_code: "Another error.",
    InputError.exit_code: "Wrong input: an option, a name or a file of yours cannot be used.",
    ModelError.exit_code: "A model cannot be found, fetched, verified or loaded.",
    AtlasError.exit_code: "The atlas is missing, damaged, incomplete or in use; or `motifs check` "
    "found a problem.",
    ResourceError.exit_code: "Too little disk, memory or network, or a file cannot be written.",
    RemoteError.exit_code: "The hub or the object store refused or cannot be reached.",
    JobsFailedError.exit_code: "Some jobs of an executor failed; run the command again to do them.",
    STOPPED: "Stopped by Ctrl-C; run the command again to continue.",
    BROKEN_PIPE: "The reader of the output has gone, such as `head`.",
}
"""Meaning of every exit code of the command line; the docs page is made from this table."""


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


_PERHAPS_UNPRINTABLE = re.compile(r"[^\t\n -~]")
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Categories of Unicode: control and formatting characters, surrogates, line separators."""


def replace_unprintable(text: str, replacement: Callable[[str], str]) -> str:
    """Replace every character that is invisible or acts on the text around it.

    Those are control characters except tab and line feed, formatting characters (writing
    direction, joiners, zero width), line and paragraph separators, and unpaired surrogates.

    Args:
        text: any text, such as a token, a prompt or a name from a file.
        replacement: function from such a character to the text that replaces it.

    Example:
        >>> replace_unprintable("a\u202eb", lambda character: f"<{ord(character):X}>")
        'a<202E>b'
    """

    def replaced(match: re.Match[str]) -> str:
        character = match[0]
        printable = unicodedata.category(character) not in _UNPRINTABLE
        return character if printable else replacement(character)

    return _PERHAPS_UNPRINTABLE.sub(replaced, text)


def plain(text: str) -> str:
    """Write unprintable characters, such as escape sequences, as backslash escapes."""
    return replace_unprintable(text, lambda c: c.encode("unicode_escape").decode())


OPTIONAL_PACKAGES = {
    "datasets": ("datasets", "hub"),
    "faiss": ("faiss-cpu", "nearest"),
    "igraph": ("igraph", "leiden"),
    "obstore": ("obstore", "remote"),
    "ot": ("pot", "transport"),
    "ray": ("ray", "ray"),
    "umap": ("umap-learn", "umap"),
}
"""Optional modules: the package that pip installs, and the extra of attention-motifs with it."""


def require(module: str, purpose: str) -> Any:
    """Import a module of an optional package.

    Args:
        module: dotted name of the module; its first part is one of `OPTIONAL_PACKAGES`.
        purpose: what needs it, for the error.

    Returns:
        The module.

    Raises:
        InputError: if the package is not installed, with the commands that install it.
    """
    package, extra = OPTIONAL_PACKAGES[module.partition(".")[0]]
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"{purpose} needs {package}, which is not installed. Run `pip install {package}`, or "
            f"`pip install '.[{extra}]'` in a clone of attention-motifs."
        ) from error
