"""Fetch a published atlas from the hub: the listed files, verified by their digests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from attention_motifs import __version__
from attention_motifs.atlas import Atlas
from attention_motifs.atlas.check import check_atlas
from attention_motifs.errors import AtlasError, InputError, RemoteError
from attention_motifs.progress import Report, silent
from attention_motifs.store import files, hub, recorded_digests
from attention_motifs.store.inventory import FileEntry, atlas_files, difference
from attention_motifs.store.paths import MANIFEST

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_NOTES = ".cache"
"""Folder in which the hub's client records the files fetched so far; deleted at the end."""


def fetch(
    repository: str,
    out: Path | None = None,
    *,
    revision: str | None = None,
    report: Report = silent,
) -> Atlas:
    """Fetch an atlas into a folder and verify it; another run continues an interrupted one.

    `atlas.json` is written last: the folder holds an atlas only when all other files are verified.

    Args:
        repository: `org/name`.
        out: new folder (default: the name of the repository).
        revision: branch, tag or commit (default: the newest commit).
        report: shows progress.

    Returns:
        The fetched atlas.

    Raises:
        InputError: if the name or the folder cannot be used.
        RemoteError: if the hub refuses, cannot be reached, or a file differs from its digest.
        AtlasError: if the check of the atlas finds a problem.
        ResourceError: if the disk is full.
    """
    name = hub.repository(repository)
    target = out or Path(name.partition("/")[2])
    _check_target(target)
    with Atlas.lock(target, new=True):
        with hub.talking_to_hub(name, target), files.writable_folder(target):
            _download(name, target, revision, report)
        files.remove(target / hub.DIGESTS)
        files.remove(target / _NOTES)
        recorded_digests.write_all(target, atlas_files(target))
        atlas = Atlas.open(target)
        findings = check_atlas(atlas, report)
    if findings:
        raise AtlasError(
            f"{target}: fetched completely, but the check found problems: {findings[0]}. Run "
            f"{atlas.paths.command('check')} to list all"
        )
    return atlas


def _check_target(target: Path) -> None:
    if (target / MANIFEST).is_file() and not (target / _NOTES).is_dir():
        raise InputError(f"--out {target}: already holds an atlas; name a new folder")
    if target.exists() and not target.is_dir():
        raise InputError(f"--out {target}: is a file; name a folder")
    begun = (target / _NOTES / "huggingface").is_dir()
    if target.is_dir() and not begun and {p.name for p in target.iterdir()} - {".lock"}:
        raise InputError(f"--out {target}: is not empty; name a new folder")


def _download(name: str, target: Path, revision: str | None, report: Report) -> None:
    from huggingface_hub import HfApi

    api = HfApi(library_name="attention-motifs", library_version=__version__)
    commit = str(hub.persistently(lambda: api.dataset_info(name, revision=revision)).sha)
    # Fetched again each time: it has no digest by which a file of an earlier run is verified.
    files.remove(target / hub.DIGESTS)
    listed = hub.read_digests(_fetch_file(api, name, commit, target, hub.DIGESTS), name)
    rest = sorted(listed.keys() - {MANIFEST})
    with report(f"fetch {len(listed)} files of {name}", 1):
        hub.persistently(
            lambda: api.snapshot_download(
                name, repo_type="dataset", revision=commit, local_dir=target, allow_patterns=rest
            )
        )
    _verify(api, name, commit, target, listed, rest, report)
    _fetch_file(api, name, commit, target, MANIFEST)
    _verify(api, name, commit, target, listed, [MANIFEST], silent)


def _fetch_file(api: HfApi, name: str, commit: str, target: Path, file: str) -> Path:
    """Download one file, unless it is already in the folder."""
    path = hub.persistently(
        lambda: api.hf_hub_download(
            name, file, repo_type="dataset", revision=commit, local_dir=target
        )
    )
    return Path(path)


def _verify(
    api: HfApi,
    name: str,
    commit: str,
    target: Path,
    listed: Mapping[str, FileEntry],
    names: Iterable[str],
    report: Report,
) -> None:
    """Compare files with their digests; one that differs is fetched once more."""
    chosen = list(names)
    with report("verify digests", len(chosen)) as advance:
        for file in chosen:
            path = target / file
            if not path.is_file() or difference(path, listed[file]):
                files.remove(path)
                _fetch_file(api, name, commit, target, file)
                if differs := difference(path, listed[file]):
                    files.remove(target / MANIFEST)
                    raise RemoteError(
                        f"{name}: {file} differs from the published digest after two downloads "
                        f"({differs}). Ask its publisher to publish the atlas again"
                    )
            advance(1)
