"""An atlas in an object store (S3 and compatible stores, Google, Azure), through obstore.

    <prefix>/atlas.json          that of the atlas, and `files`: size and SHA-256 of each file
    <prefix>/objects/<sha256>    the bytes of a file; written once, never changed

`atlas.json` is put last, and replaces only the version that was read (`If-Match`).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from attention_motifs.errors import InputError, MotifsError, RemoteError, require
from attention_motifs.store.inventory import FileEntry, entries_from_json
from attention_motifs.store.paths import MANIFEST
from attention_motifs.store.remote.source import Head
from attention_motifs.store.retry import persistently

T = TypeVar("T")

CHUNK = 8 << 20
"""Bytes per request: a range that fails is requested again, not the whole file."""

AT_ONCE = 4
"""Requests at the same time for one file."""

COALESCED = 64 << 10
"""Bytes between two parts of a file up to which they are read in one request."""

TIMEOUT = timedelta(seconds=60)
"""Of one request."""

RETRIES = {
    "max_retries": 4,
    "backoff": {
        "init_backoff": timedelta(milliseconds=200),
        "max_backoff": timedelta(seconds=5),
        "base": 2,
    },
    "retry_timeout": timedelta(minutes=1),
}


class _FinalError(RemoteError):
    """A failure that the next try would meet again."""


def _passes(error: Exception) -> bool:
    return isinstance(error, RemoteError) and not isinstance(error, _FinalError)


class ObjectStore:
    """An atlas under one prefix of an object store."""

    def __init__(self, url: str) -> None:
        """Take credentials, region and endpoint from the environment.

        Raises:
            InputError: if obstore is not installed, or the URL or the environment cannot be used.
        """
        from_url = require("obstore.store", f"{url}: an object store").from_url
        self.url = url
        self.writable = not url.startswith("http")
        options: dict[str, Any] = {"mkdir": True}
        if not url.startswith("file:"):
            options = {
                "client_options": {
                    "timeout": TIMEOUT,
                    "connect_timeout": timedelta(seconds=10),
                    # Given here, these options are no longer read from the environment.
                    "allow_http": os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true"),
                },
                "retry_config": RETRIES,
            }
        try:
            self._store: Any = from_url(url, **options)
        except Exception as error:
            raise InputError(
                f"{url}: cannot be used ({type(error).__name__}); check the URL, and the settings "
                "of the store in the environment (documentation: 'Store and share an atlas')"
            ) from error

    def head(self) -> Head | None:
        """Read `atlas.json`, in one request; None if there is none.

        Raises:
            RemoteError: if the store refuses, cannot be reached, has no such bucket, or holds a
                damaged one.
        """
        import obstore

        def take() -> tuple[bytes, str | None]:
            got = obstore.get(self._store, MANIFEST)
            return bytes(got.bytes()), got.meta.get("e_tag")

        try:
            raw, version = self._again(MANIFEST, take)
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise self._no_bucket() from error
            return None
        where = f"{self.url}/{MANIFEST}"
        try:
            value = json.loads(raw)
            listing = value.pop("files")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise RemoteError(
                f"{where}: damaged, or not put there by this program; commands with this --atlas "
                "and `motifs copy` write it"
            ) from error
        return Head(raw, value, entries_from_json(listing, where), version)

    def read(self, name: str, entry: FileEntry, target: Path) -> None:
        """Write the bytes of a file to `target`, in ranges, a few at a time.

        Raises:
            RemoteError: if the store refuses, cannot be reached, or does not hold it.
        """
        import obstore

        key = _key(entry)

        def take(start: int) -> bytes:
            length = min(CHUNK, entry.size - start)
            return bytes(obstore.get_range(self._store, key, start=start, length=length))

        starts = range(0, entry.size, CHUNK)
        with target.open("wb") as file, ThreadPoolExecutor(min(AT_ONCE, len(starts) or 1)) as pool:
            parts = pool.map(lambda start: self._again(name, lambda: take(start)), starts)
            try:
                for part in parts:
                    file.write(part)
            except FileNotFoundError as error:
                raise self._not_found(name, key) from error

    def read_ranges(
        self, name: str, entry: FileEntry, ranges: Sequence[tuple[int, int]]
    ) -> list[bytes] | None:
        """Read parts (start, length) of a file at the same time; near parts in one request.

        Raises:
            RemoteError: if the store refuses, cannot be reached, or does not hold the file.
        """
        import obstore

        key, (starts, lengths) = _key(entry), zip(*ranges, strict=True)

        def take() -> list[bytes]:
            parts = obstore.get_ranges(
                self._store, key, starts=starts, lengths=lengths, coalesce=COALESCED
            )
            return [bytes(part) for part in parts]

        try:
            return self._again(name, take)
        except FileNotFoundError as error:
            raise self._not_found(name, key) from error

    def _not_found(self, name: str, key: str) -> RemoteError:
        return RemoteError(
            f"{self.url}/{name}: is listed and not found ({key}); run the command that makes it "
            "again, with --force"
        )

    def store(self, entry: FileEntry, path: Path) -> None:
        """Upload the bytes under their digest; those of a large file only if it is not there."""
        import obstore

        key = _key(entry)

        def put() -> None:
            # Sending a small file again costs no more than asking for it.
            if entry.size > CHUNK:
                with contextlib.suppress(FileNotFoundError):
                    if obstore.head(self._store, key)["size"] == entry.size:
                        return
            with path.open("rb") as file:
                obstore.put(self._store, key, file, chunk_size=CHUNK, max_concurrency=4)

        try:
            self._again(key, put)
        except FileNotFoundError as error:
            raise self._no_bucket() from error

    def commit(self, raw: bytes, version: str | None) -> str | None:
        """Replace the `atlas.json` recorded for `version`; None: put the first one.

        Raises:
            RemoteError: if somebody else put one meanwhile, or the store cannot be written.
        """
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        def put() -> str | None:
            try:
                return self._plainly(MANIFEST, lambda: self._replace(raw, version), keep=True)
            except (AlreadyExistsError, PreconditionError) as error:
                now = self.head()
                if now is not None and now.raw == raw:  # our own put, whose answer was lost
                    return now.version
                raise self._overtaken() from error
            except FileNotFoundError as error:
                raise self._no_bucket() from error

        return persistently(put, _passes)

    def _replace(self, raw: bytes, version: str | None) -> str | None:
        import obstore
        from obstore.exceptions import NotSupportedError

        key = MANIFEST
        try:
            mode: Any = "create" if version is None else {"e_tag": version}
            return obstore.put(self._store, key, raw, mode=mode, use_multipart=False)["e_tag"]
        except (NotSupportedError, NotImplementedError):  # local folders
            now = self.head()
            if (now.version if now else None) != version:
                raise self._overtaken() from None
            return obstore.put(self._store, key, raw, use_multipart=False)["e_tag"]

    def _no_bucket(self) -> RemoteError:
        return _FinalError(f"{self.url}: no such bucket; make it, or check the name")

    def _overtaken(self) -> RemoteError:
        return _FinalError(
            f"{self.url}: somebody else wrote to it meanwhile, and their version stays; run the "
            "same command again to continue from it"
        )

    def _again(self, name: str, call: Callable[[], T]) -> T:
        """Call, and call again after a pause: the library does not if an answer breaks off."""
        return persistently(lambda: self._plainly(name, call), _passes)

    def _plainly(self, name: str, call: Callable[[], T], *, keep: bool = False) -> T:
        """Turn the library's errors into one line without its words, which may hold addresses.

        Args:
            name: name of the file, for the error.
            call: the request.
            keep: let errors of a failed condition through.
        """
        from obstore import exceptions

        conditions = (exceptions.AlreadyExistsError, exceptions.PreconditionError)
        try:
            return call()
        except (FileNotFoundError, MotifsError):
            raise
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
            raise _FinalError(
                f"{self.url}/{name}: the store refuses; check the credentials in the environment "
                "(AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the machine's role), and what "
                "they may do"
            ) from error
        except Exception as error:
            if keep and isinstance(error, conditions):
                raise
            raise RemoteError(
                f"{self.url}/{name}: {_reason(error)}; check the network and the settings of the "
                "store, and run the same command again; complete files are kept"
            ) from error


def _key(entry: FileEntry) -> str:
    return f"objects/{entry.sha256}"


def _reason(error: Exception) -> str:
    """Return the reason, from the few words of the library's error that are safe to repeat."""
    first = str(error).partition("\n")[0]
    text = first.partition(" - ")[2] or first  # before it are address and settings
    status = re.search(r"status(?: code)?\W{0,4}([45]\d\d)\b", text, re.IGNORECASE)
    if status:
        return f"the store answers with status {status[1]}"
    if re.search("timed? ?out|deadline", text, re.IGNORECASE):
        return "the store does not answer in time"
    if re.search("body|incomplete|length|eof|closed", text, re.IGNORECASE):
        return "the answer broke off"
    return f"the store cannot be reached ({type(error).__name__})"
