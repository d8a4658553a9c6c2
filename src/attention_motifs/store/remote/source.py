"""The interface of a remote place of atlases, and the form of its URL."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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
    """The state of a remote atlas at one moment."""

    raw: bytes
    """Bytes that were read: equal bytes, equal atlas."""
    manifest: Mapping[str, Any]
    """`atlas.json` as a folder holds it."""
    listing: Mapping[str, FileEntry]
    """Every other file."""
    version: str | None
    """Version by which the place knows whether somebody wrote since."""


class Source(Protocol):
    """A place that holds one atlas."""

    url: str
    writable: bool

    def head(self) -> Head | None:
        """Return the state; None if there is no atlas."""
        ...

    def read(self, name: str, entry: FileEntry, target: Path) -> None:
        """Write the bytes of a file to `target`, unverified."""
        ...

    def read_ranges(
        self, name: str, entry: FileEntry, ranges: Sequence[tuple[int, int]]
    ) -> list[bytes] | None:
        """Read parts (start, length) of a file, unverified; None if the place gives whole files."""
        ...

    def store(self, entry: FileEntry, path: Path) -> None:
        """Upload the bytes of a file under their digest; no reader sees them yet."""
        ...

    def commit(self, raw: bytes, version: str | None) -> str | None:
        """Replace the state recorded for `version`; return the new version."""
        ...


def is_url(path: object) -> bool:
    """Whether the name of an atlas is a URL.

    Raises:
        InputError: if it is a URL that was made a `Path`, which joins the two slashes.
    """
    if isinstance(path, Path) and _COLLAPSED.match(str(path)):
        raise InputError(
            f"{path}: a URL was given as a Path, which names a folder; give the URL as a str"
        )
    return isinstance(path, str) and _URL.match(path) is not None


def checked(url: str) -> str:
    """Return the URL without a slash at its end.

    Raises:
        InputError: if it is of another scheme, or may hold a password: URLs are printed.
    """
    scheme, _, rest = url.partition("://")
    if scheme not in SCHEMES:
        raise InputError(f"{url[:100]!r}: not a URL of a known scheme: {', '.join(SCHEMES)}")
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
