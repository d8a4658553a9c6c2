"""Check the cache: converted models, fetched scores and copies of remote atlases."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from attention_motifs.errors import AtlasError
from attention_motifs.models import adapters, convert
from attention_motifs.models.digests import is_memo, sha256_of
from attention_motifs.models.records import changed_file, read_record
from attention_motifs.progress import Report, silent
from attention_motifs.store import files, recorded_digests
from attention_motifs.store.cache_folder import cache_folder
from attention_motifs.store.paths import MANIFEST

_RECORDS = (convert.RECORD, adapters.RECORD)


def check_cache(report: Report = silent) -> list[str]:
    """Return the damaged files of the cache, one line each; an empty list if there is none.

    Every file with a digest is read in full. The cache of the model hub is not part of it.

    Args:
        report: shows progress.
    """
    cache = cache_folder()
    steps = [
        *((_check_model, folder) for folder in _folders(cache / "models")),
        *((_check_scores, folder) for folder in _folders(cache) if folder.name == "graded-scores"),
        *((_check_memos, folder) for folder in _folders(cache) if folder.name == "digests"),
        *((_check_copies, folder) for folder in _folders(cache / "remote")),
    ]
    findings: list[str] = []
    with report("check the cache", len(steps)) as advance:
        for check, folder in steps:
            findings.extend(check(folder))
            advance(1)
    return findings


def _folders(folder: Path) -> list[Path]:
    """Return the folders within a folder, except temporary ones."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _files(folder: Path) -> Iterator[Path]:
    """Return what is in a folder and its folders, except temporary files and locks."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and (path.is_symlink() or not path.is_dir()):
            yield path


def _damaged(path: Path, folder: Path | None = None) -> str:
    """Return a finding: what is damaged, and how the next run makes it anew."""
    return (
        f"{path}: is damaged. Run `rm -r {shlex.quote(str(folder or path))}`; the next command "
        "that needs it makes or fetches it anew"
    )


def _sha256(path: Path) -> str:
    """Return the digest of a file; an empty text if it cannot be read."""
    try:
        return sha256_of(path)
    except OSError:
        return ""


def _check_model(folder: Path) -> Iterator[str]:
    path = next((folder / name for name in _RECORDS if (folder / name).exists()), None)
    record = read_record(path) if path else {}
    if path is None or not record:
        yield _damaged(path or folder, folder)
    elif name := changed_file(path, record, sha256_of):
        yield _damaged(folder / name, folder)


def _check_scores(folder: Path) -> Iterator[str]:
    record = folder / recorded_digests.RECORD
    if record.exists() and recorded_digests.is_damaged(folder):
        yield _damaged(record, folder)
    for name, entries in recorded_digests.recorded(folder).items():
        if _sha256(folder / name) not in {entry.sha256 for entry in entries}:
            yield _damaged(folder / name)


def _check_memos(folder: Path) -> Iterator[str]:
    for path in _files(folder):
        try:
            is_sound = is_memo(files.read_json(path))
        except AtlasError:
            is_sound = False
        if not is_sound:
            yield _damaged(path)


def _check_copies(folder: Path) -> Iterator[str]:
    """Compare the files of a remote atlas with their names, which are digests.

    The files of readers are links to them, or copies. Those of a writer may not be sent yet.
    """
    objects = folder / "objects"
    digests = {path.name for path in _files(objects)}
    for path in _files(folder):
        if path.parent == objects:
            if _sha256(path) != path.name:
                yield _damaged(path)
        elif path.relative_to(folder).parts[0] == "work" or path.name == MANIFEST:
            continue
        elif not _is_link(path) and _sha256(path) not in digests:
            yield _damaged(path)
    for path in _folders(objects):
        yield _damaged(path)


def _is_link(path: Path) -> bool:
    """Return whether a file has a second name, under which it is compared."""
    return not path.is_symlink() and path.stat().st_nlink > 1
