"""Remote atlases: object stores and the hub, read and written through a copy in the cache.

Files are fetched into the copy when they are first read (docs/sharing.md). Nothing here is loaded
before a URL is used.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from attention_motifs.errors import AtlasError, InputError
from attention_motifs.progress import Report, silent
from attention_motifs.store.paths import MANIFEST, AtlasPaths
from attention_motifs.store.remote.source import Source, checked, is_url

if TYPE_CHECKING:
    from attention_motifs.store.remote.tree import WorkTree

__all__ = ["held", "is_url", "paths_of", "send_all", "sent", "show_progress", "work_folder"]

_held: dict[str, WorkTree] = {}
"""Copies that this process holds the lock of, by URL."""

_progress: list[Report] = [silent]


def show_progress(report: Report) -> None:
    """Report downloads and uploads."""
    _progress[0] = report


def _source(url: str) -> Source:
    if url.startswith("hf://"):
        from attention_motifs.store.remote.hub_source import HubSource

        return HubSource(url)
    from attention_motifs.store.remote.object_store import ObjectStore

    return ObjectStore(url)


def paths_of(path: str | Path) -> AtlasPaths:
    """Return the files of an atlas by its folder or URL.

    For a URL they are those of a copy on this machine: the copy being written if this process
    holds the atlas, otherwise one for reading.

    Raises:
        InputError: if the URL cannot be used.
        AtlasError: if the URL holds no atlas.
        RemoteError: if the place refuses or cannot be reached.
    """
    _check_kind(path)
    if not is_url(path):
        return AtlasPaths(Path(path))
    from attention_motifs.store.remote.tree import open_tree

    url = checked(str(path))
    tree = _held.get(url) or open_tree(_source(url), _progress[0])
    if tree is None:
        raise AtlasError(
            f"{url}: holds no atlas (no {MANIFEST}); make one with `motifs build --atlas {url}`, "
            "or name another with --atlas"
        )
    return AtlasPaths(tree.folder, tree)


def _check_kind(path: object) -> None:
    if not isinstance(path, str | os.PathLike):
        raise InputError(
            f"atlas {path!r:.80} is a {type(path).__name__}: give the path of its folder, or its "
            "URL, as a str"
        )
    if "\0" in os.fsdecode(path):
        raise InputError(f"atlas {str(path)!r:.80}: no path holds a NUL character. Remove it")


def work_folder(path: str | Path) -> Path:
    """Return the folder on this machine whose lock stands for the atlas."""
    _check_kind(path)
    if not is_url(path):
        return Path(path)
    from attention_motifs.store.remote.tree import folder_of_url

    return folder_of_url(checked(str(path))) / "work"


@contextlib.contextmanager
def held(path: str | Path) -> Iterator[None]:
    """Make `paths_of` return a copy to write to, and send its changes when the block ends well.

    The caller holds the lock of `work_folder`. A folder needs nothing.

    Raises:
        InputError: if the place can only be read.
        RemoteError: if it refuses, cannot be reached, or somebody else wrote meanwhile.
    """
    if not is_url(path):
        yield
        return
    from attention_motifs.store.remote.tree import WorkTree

    url = checked(str(path))
    source = _source(url)
    if not source.writable:
        source.commit(b"", None)  # raises the reason, and what to do
    tree = WorkTree(source, _progress[0])
    tree.begin()
    _held[url] = tree
    try:
        yield
    finally:
        del _held[url]
    tree.push()


def send_all(folder: Path, url: str) -> None:
    """Send all files of an atlas in a folder to a URL that this process holds (`held`).

    Raises:
        AtlasError: if a file of it is a link.
        RemoteError: if the place cannot be written, or somebody else wrote meanwhile.
    """
    _held[checked(url)].push_from(folder)


@contextlib.contextmanager
def sent(paths: AtlasPaths) -> Iterator[None]:
    """Send the changes in the copy of a remote atlas after the block; a folder needs nothing.

    Raises:
        AtlasError: if the copy is one for reading; the block is then not begun.
        RemoteError: if the place cannot be written, or somebody else wrote meanwhile.
    """
    tree = None if paths.origin is None else _held.get(paths.origin.url)
    if tree is not paths.origin:
        raise AtlasError(
            f"{paths.place}: was opened for reading; run the command that makes what is missing "
            f"with {paths.option}, or open it again within `Atlas.lock(URL)`"
        )
    yield
    if tree is not None:
        tree.push()
