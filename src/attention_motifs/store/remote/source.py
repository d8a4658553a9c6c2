"""What a place of atlases on a network must be able to do, and how its URL is written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from attention_motifs.errors import InputError
from attention_motifs.store.inventory import FileEntry

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_COLLAPSED = re.compile(r"(s3|gs|az|abfss?|hf|https?):/[^/]")

SCHEMES = ("s3", "gs", "az", "abfs", "abfss", "http", "https", "file", "hf")


@dataclass(frozen=True)
class Head:
    """The state of an atlas at one moment; all else follows from it."""

    raw: bytes
    """What was read: equal bytes, equal atlas."""
    manifest: Mapping[str, Any]
    """`atlas.json` as it is in a folder."""
    listing: Mapping[str, FileEntry]
    """Every other file."""
    version: str | None
    """By which the place tells whether somebody wrote since."""


class Source(Protocol):
    """A place that holds one atlas."""

    url: str
    writable: bool

    def head(self) -> Head | None:
        """Read the state; None if there is no atlas."""
        ...

    def read(self, name: str, entry: FileEntry, target: Path) -> None:
        """Write the bytes of a file to `target`, whatever they are."""
        ...

    def store(self, entry: FileEntry, path: Path) -> None:
        """Keep the bytes of a file under their digest; nobody sees them yet."""
        ...

    def commit(self, raw: bytes, version: str | None) -> str | None:
        """Let a state take the place of the one of `version`; return its own version."""
        ...


def is_url(path: object) -> bool:
    """Whether a place is named by a URL.

    Raises:
        InputError: if it was one before it was made a `Path`, which joins the two slashes.
    """
    if isinstance(path, Path) and _COLLAPSED.match(str(path)):
        raise InputError(f"{path}: give a URL as a text; a Path takes it for a folder")
    return isinstance(path, str) and _URL.match(path) is not None


def checked(url: str) -> str:
    """Return the URL without a slash at its end.

    Raises:
        InputError: if it is not one that we read, or holds a password: URLs are printed.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in SCHEMES:
        raise InputError(f"{url[:100]!r}: not a URL of a kind that is read: {', '.join(SCHEMES)}")
    place = rest.partition("/")[0]
    hub_revision = scheme == "hf" and "@" not in place
    if "?" in rest or "#" in rest or "%" in rest or ("@" in rest and not hub_revision):
        raise InputError(
            f"--atlas {scheme}://...: holds a query, a fragment, a user or an escape; write "
            "scheme, bucket and prefix alone, and leave credentials to the environment "
            "(documentation: 'Store and share an atlas')"
        )
    if not rest.strip("/") or ".." in rest.split("/"):
        raise InputError(f"{url[:100]!r}: write bucket and prefix, such as s3://bucket/my-atlas")
    return url.rstrip("/")
