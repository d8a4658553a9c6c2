"""Copy a whole atlas from one place to another: folders, object stores, the hub."""

from __future__ import annotations

import shutil
from pathlib import Path

from attention_motifs.atlas import Atlas
from attention_motifs.errors import InputError
from attention_motifs.progress import Report, silent
from attention_motifs.store import files, recorded_digests, remote
from attention_motifs.store.inventory import atlas_files
from attention_motifs.store.paths import MANIFEST


def copy(source: str | Path, target: str | Path, *, report: Report = silent) -> Atlas:
    """Copy an atlas; another run continues an interrupted one. `atlas.json` is copied last.

    Args:
        source: folder or URL.
        target: folder or URL that holds no atlas yet, or the same atlas.
        report: shows progress.

    Returns:
        The copy.

    Raises:
        AtlasError: if there is no atlas at `source`, or a file of it is a link or was damaged.
        InputError: if another atlas is at `target`, or it is read-only.
        RemoteError: if a place refuses or cannot be reached.
    """
    atlas = Atlas.open(source)
    atlas.paths.fetch_all()
    paths = atlas_files(atlas.path)
    for name in paths:
        _require_unchanged(atlas, name)
    manifest = (atlas.path / MANIFEST).read_bytes()
    with Atlas.lock(target, new=True):
        folder = remote.paths_of(target).folder
        existing = folder / MANIFEST
        if existing.is_file() and existing.read_bytes() != manifest:
            raise InputError(f"{target}: holds another atlas; name another folder or URL")
        if remote.is_url(target):
            remote.send_all(atlas.path, str(target))
            return Atlas.open(target)
        with report(f"copy to {target}", len(paths)) as advance:
            for name in sorted(paths, key=lambda name: name == MANIFEST):
                with (
                    paths[name].open("rb") as original,
                    files.atomic(folder / name) as temporary,
                    temporary.open("wb") as duplicate,
                ):
                    shutil.copyfileobj(original, duplicate, 1 << 20)
                advance(1)
        recorded_digests.write_all(folder, {name: folder / name for name in paths})
        return Atlas.open(target)


def _require_unchanged(atlas: Atlas, name: str) -> None:
    """Refuse to copy a file of a folder whose digest is not the recorded one."""
    file = atlas.paths.file_named(name)
    if file is None or atlas.paths.origin is not None:
        return
    if recorded_digests.is_changed(atlas.path, name, file.path, largest=None):
        raise file.changed()
