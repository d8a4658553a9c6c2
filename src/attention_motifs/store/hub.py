"""The Hugging Face hub as a place of atlases: names of repositories, and what can go wrong.

Tokens come from where the hub's client finds them (`HF_TOKEN`, or `hf auth login`) and stay in
it: no error of ours repeats what a server or the client said, and the client's own warnings,
which hold signed addresses, are not printed.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from attention_motifs.errors import InputError, MotifsError, RemoteError, ResourceError
from attention_motifs.store.inventory import FileEntry, entries_from_json
from attention_motifs.store.manifest import SCHEMA_VERSION

T = TypeVar("T")

DIGESTS = "files.json"
"""File of a published atlas that lists the others with their sizes and SHA-256."""

PAUSES = (1.0, 4.0)
"""Seconds before a call that failed for a passing reason is tried again."""

_PASSING = {408, 429, 500, 502, 503, 504}


def repository(text: str) -> str:
    """Return `org/name` from `org/name`, `datasets/org/name` or an `hf://` address of either.

    Raises:
        InputError: if it cannot be the name of a repository.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    name = text.removeprefix("hf://").removeprefix("datasets/").removesuffix("/")
    try:
        if name.count("/") != 1:
            raise HFValidationError(name)
        validate_repo_id(name)
    except HFValidationError as error:
        raise InputError(
            f"{text[:120]!r}: not the name of a repository on the hub; write org/name"
        ) from error
    return name


def passes(error: BaseException) -> bool:
    """Whether the same call may succeed a little later."""
    from httpx2 import TransportError
    from huggingface_hub.errors import HfHubHTTPError

    if isinstance(error, HfHubHTTPError):
        return status_of(error) in _PASSING
    if isinstance(error, (TransportError, ConnectionError, TimeoutError)):
        return True
    return error.__cause__ is not None and passes(error.__cause__)  # the client wraps them


def status_of(error: BaseException) -> int | None:
    """HTTP status that an error of the hub's client tells of."""
    return getattr(getattr(error, "response", None), "status_code", None)


def persistently(call: Callable[[], T]) -> T:
    """Call, and call again after a pause where the failure is one that passes."""
    for pause in PAUSES:
        try:
            return call()
        except Exception as error:
            if not passes(error):
                raise
            time.sleep(pause)
    return call()


@contextlib.contextmanager
def talking_to_hub(name: str, folder: Path | None = None) -> Iterator[None]:
    """Turn what the hub's client raises into errors of one line.

    Args:
        name: of the repository, for the errors.
        folder: that is written to.

    Raises:
        RemoteError: if the hub refuses, cannot be reached or is without the repository.
        ResourceError: if the disk is full.
    """
    from logging import CRITICAL

    from huggingface_hub import errors
    from huggingface_hub.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity(CRITICAL)
    try:
        yield
    except MotifsError:
        raise
    except errors.GatedRepoError as error:
        raise RemoteError(
            f"{name}: gated; ask for access on its page, and log in with `hf auth login`"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise RemoteError(f"{name}: has no such revision; check it on its page") from error
    except errors.RepositoryNotFoundError as error:
        raise RemoteError(
            f"{name}: no such dataset on the hub, or a private one; check the name, or log in "
            "with `hf auth login` (or set HF_TOKEN)"
        ) from error
    except errors.EntryNotFoundError as error:
        if _unreachable(error):
            raise _cannot_reach(name, error) from error
        raise RemoteError(
            f"{name}: holds no atlas that `motifs publish` put there (a file is missing)"
        ) from error
    except Exception as error:
        raise _told(name, folder, error) from error
    finally:
        logging.set_verbosity(level)


def _unreachable(error: Exception) -> bool:
    """The client says that a file is not in its cache where the hub does not answer."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    return isinstance(error, LocalEntryNotFoundError)


def _cannot_reach(name: str, error: Exception) -> RemoteError:
    return RemoteError(
        f"{name}: the hub cannot be reached ({type(error).__name__}); check the network and run "
        "the same command again, what has come over is kept"
    )


def _told(name: str, folder: Path | None, error: Exception) -> MotifsError:
    from attention_motifs.store.files import is_full_disk

    if is_full_disk(error):
        return ResourceError(
            f"{folder or name}: no space left on the disk; free some and run the same command again"
        )
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    status = status_of(error)
    if status in (401, 403):
        return RemoteError(
            f"{name}: the hub refuses ({status}); log in with `hf auth login`, or set HF_TOKEN, "
            "with a token that may do this"
        )
    if status in (409, 412):
        return RemoteError(
            f"{name}: somebody else changed it meanwhile; nothing was published, run the same "
            "command again"
        )
    if status is not None:
        return RemoteError(
            f"{name}: the hub answers with status {status}; run the same command again later, what "
            "has come over is kept"
        )
    return _cannot_reach(name, error)


def read_digests(path: Path, name: str) -> dict[str, FileEntry]:
    """Read `files.json` of a repository.

    Raises:
        RemoteError: if it is damaged, of another schema, or without an atlas.
    """
    where = f"{name}, {DIGESTS}"
    try:
        value: Any = json.loads(path.read_bytes())
        version = value["schema_version"]
        told = value["files"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RemoteError(f"{where}: damaged; ask who published it to do so again") from error
    if version != SCHEMA_VERSION:
        raise RemoteError(
            f"{where}: schema version {str(version)[:20]}, this program reads {SCHEMA_VERSION}; "
            "use the version of attention-motifs that published it"
        )
    entries = entries_from_json(told, where)
    if "atlas.json" not in entries:
        raise RemoteError(f"{where}: lists no atlas.json, so it holds no atlas")
    return entries
