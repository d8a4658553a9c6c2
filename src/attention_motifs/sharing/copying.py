"""Copy a whole atlas from one place to another: folders, object stores, the hub."""

from __future__ import annotations

import shutil
from pathlib import Path

from attention_motifs.atlas import Atlas
from attention_motifs.errors import InputError
from attention_motifs.progress import Report, silent
from attention_motifs.store import files, remote
from attention_motifs.store.inventory import atlas_files
from attention_motifs.store.paths import MANIFEST


def copy(source: str | Path, target: str | Path, *, report: Report = silent) -> Atlas:
    """Copy an atlas; `atlas.json` comes last, and run again after a stop, it goes on.

    Args:
        source: folder or URL.
        target: folder or URL that holds no atlas yet, or that of the same atlas.
        report: shows progress.

    Returns:
        The copy, as it was written.

    Raises:
        AtlasError: if there is no atlas at `source`, or a file of it is a link.
        InputError: if another atlas is at `target`, or it is only read.
        RemoteError: if a place refuses or cannot be reached.
    """
    atlas = Atlas.open(source)
    atlas.paths.fetch_all()
    found = atlas_files(atlas.path)
    manifest = (atlas.path / MANIFEST).read_bytes()
    with Atlas.lock(target, new=True):
        folder = remote.paths_of(target).folder
        there = folder / MANIFEST
        if there.is_file() and there.read_bytes() != manifest:
            raise InputError(f"{target}: holds another atlas; name a new place")
        with report(f"copy to {target}", len(found)) as advance:
            for name in sorted(found, key=lambda name: name == MANIFEST):
                with (
                    found[name].open("rb") as read,
                    files.atomic(folder / name) as temporary,
                    temporary.open("wb") as written,
                ):
                    shutil.copyfileobj(read, written, 1 << 20)
                advance(1)
        return Atlas.open(target)
