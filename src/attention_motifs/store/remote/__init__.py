"""Atlases that lie elsewhere: object stores and the hub (docs/sharing.md).

A remote atlas is a folder in the cache into which files come when they are first read; all else
works on that folder as on any other. Nothing here is loaded before a URL is used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from attention_motifs.errors import AtlasError
from attention_motifs.progress import Report, silent
from attention_motifs.store.remote.lazy_path import LazyPath
from attention_motifs.store.remote.source import Source, checked, is_url

if TYPE_CHECKING:
    from attention_motifs.store.remote.tree import Tree, WorkTree

__all__ = ["LazyPath", "folder_of", "held", "is_url", "sent", "show_progress", "work_folder"]

_held: dict[str, WorkTree] = {}
"""Atlases that this process holds for writing, by URL."""

_progress: list[Report] = [silent]


def show_progress(report: Report) -> None:
    """Report what is fetched and uploaded."""
    _progress[0] = report


def _source(url: str) -> Source:
    if url.startswith("hf://"):
        from attention_motifs.store.remote.hub_source import HubSource

        return HubSource(url)
    from attention_motifs.store.remote.object_store import ObjectStore

    return ObjectStore(url)


def folder_of(path: str | Path) -> Path:
    """Return the folder of an atlas: a path as it is; of a URL, the copy on this machine.

    That is the copy being written, where this process holds the atlas, and else the atlas as it
    is now.

    Raises:
        InputError: if the URL cannot be used.
        AtlasError: if there is no atlas.
        RemoteError: if the place refuses or cannot be reached.
    """
    if not is_url(path):
        return path if isinstance(path, Path) else Path(path)
    from attention_motifs.store.remote.tree import open_tree

    url = checked(str(path))
    tree: Tree | None = _held.get(url) or open_tree(_source(url), _progress[0])
    if tree is None:
        raise AtlasError(
            f"{url}: holds no atlas (no atlas.json); make one with `motifs build --atlas {url}`, "
            "or name another with --atlas"
        )
    return tree.path


def work_folder(path: str | Path) -> Path:
    """Return the folder whose lock stands for the atlas on this machine."""
    if not is_url(path):
        return Path(path)
    from attention_motifs.store.remote.tree import folder_of_url

    return folder_of_url(checked(str(path))) / "work"


@contextlib.contextmanager
def held(path: str | Path) -> Iterator[None]:
    """Let `folder_of` return a copy to write to, and send what a block that ends well wrote.

    The caller holds the lock of `work_folder`. For a folder nothing is done.

    Raises:
        InputError: if the place is only read.
        RemoteError: if it refuses, cannot be reached, or somebody else wrote meanwhile.
    """
    if not is_url(path):
        yield
        return
    from attention_motifs.store.remote.tree import WorkTree, writing

    url = checked(str(path))
    source = _source(url)
    if not source.writable:
        source.commit(b"", None)  # says why, and what to do
    tree = WorkTree(source, _progress[0])
    with writing(tree):
        _held[url] = tree
        try:
            yield
        finally:
            del _held[url]


@contextlib.contextmanager
def sent(path: Path) -> Iterator[None]:
    """Send what was written in the copy of a remote atlas, with what the block writes.

    For a folder nothing is done.

    Raises:
        AtlasError: if the copy is one for reading; the block is then not begun.
        RemoteError: if the place cannot be written, or somebody else wrote meanwhile.
    """
    origin = path.origin() if isinstance(path, LazyPath) else None
    tree = _held.get(origin[0].url) if origin else None
    if origin is not None and tree is not origin[0]:
        raise AtlasError(
            f"{path}: was opened for reading; run the command that makes what is missing with this "
            "--atlas, or open it again within `Atlas.lock(URL)`"
        )
    yield
    if tree is not None:
        tree.push()
