"""The Hugging Face hub as a place of atlases: names of repositories, calls and their errors.

Tokens come from where the hub's client finds them (`HF_TOKEN`, or `hf auth login`) and stay in
it: no error of ours repeats a server's or the client's words, and the client's own warnings, which
hold signed addresses, are not printed.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from attention_motifs.errors import InputError, MotifsError, RemoteError, ResourceError
from attention_motifs.store.inventory import FileEntry, entries_from_json
from attention_motifs.store.manifest import SCHEMA_VERSION
from attention_motifs.store.paths import MANIFEST
from attention_motifs.store.retry import persistently as retried

T = TypeVar("T")

DIGESTS = "files.json"
"""File of a published atlas that lists the others with their sizes and SHA-256."""

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
    return error.__cause__ is not None and passes(error.__cause__)  # wrapped by the client


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status of an error of the hub's client; None if it has none."""
    return getattr(getattr(error, "response", None), "status_code", None)


def persistently(call: Callable[[], T]) -> T:
    """Return what `call` returns; try again after a pause where the failure may pass."""
    return retried(call, passes)


@contextlib.contextmanager
def talking_to_hub(name: str, folder: Path | None = None) -> Iterator[None]:
    """Turn what the hub's client raises into errors of one line.

    Args:
        name: name of the repository, for the errors.
        folder: folder that is written to.

    Raises:
        RemoteError: if the hub refuses, cannot be reached or lacks the repository.
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
        raise RemoteError(f"{name}: has no such revision; see its page for those it has") from error
    except errors.RepositoryNotFoundError as error:
        raise RemoteError(
            f"{name}: no such dataset on the hub, or a private one; check the name, or log in "
            "with `hf auth login` (or set HF_TOKEN)"
        ) from error
    except errors.EntryNotFoundError as error:
        if _unreachable(error):
            raise _cannot_reach(name, error) from error
        raise RemoteError(
            f"{name}: holds no atlas of `motifs publish` (a file is missing)"
        ) from error
    except Exception as error:
        raise _in_one_line(name, folder, error) from error
    finally:
        logging.set_verbosity(level)


def _unreachable(error: Exception) -> bool:
    """Whether the hub does not answer: the client then looks in its cache, in vain."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    return isinstance(error, LocalEntryNotFoundError)


def _cannot_reach(name: str, error: Exception) -> RemoteError:
    return RemoteError(
        f"{name}: the hub cannot be reached ({type(error).__name__}); check the network and run "
        "the same command again; complete files are kept"
    )


def _in_one_line(name: str, folder: Path | None, error: Exception) -> MotifsError:
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
            "with a token that has the right to do this"
        )
    if status in (409, 412):
        return RemoteError(
            f"{name}: somebody else changed it meanwhile; nothing was published, run the same "
            "command again"
        )
    if status is not None:
        return RemoteError(
            f"{name}: the hub answers with status {status}; run the same command again later; "
            "complete files are kept"
        )
    return _cannot_reach(name, error)


def read_digests(path: Path, name: str) -> dict[str, FileEntry]:
    """Read `files.json` of a repository.

    Raises:
        RemoteError: if it is damaged, of another schema, or lists no atlas.
    """
    where = f"{name}, {DIGESTS}"
    try:
        value: Any = json.loads(path.read_bytes())
        version = value["schema_version"]
        listed = value["files"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RemoteError(f"{where}: damaged; ask its publisher to publish it again") from error
    if version != SCHEMA_VERSION:
        raise RemoteError(
            f"{where}: schema version {str(version)[:20]}, this program reads {SCHEMA_VERSION}; "
            "use the version of attention-motifs that published it"
        )
    entries = entries_from_json(listed, where)
    if MANIFEST not in entries:
        raise RemoteError(f"{where}: lists no {MANIFEST}, so it holds no atlas")
    return entries
