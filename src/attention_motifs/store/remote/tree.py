"""Copies of a remote atlas on this machine, whose files are fetched when they are first read.

    <cache>/remote/<URL>/objects/<sha256>   bytes of files, verified when they were fetched
    <cache>/remote/<URL>/<state>/           for readers: the atlas at one moment
    <cache>/remote/<URL>/work/              for the one writer on this machine

Files in the folders are links to the objects. A run writes into `work`; from there new files are
sent under their digests, and `atlas.json`, which lists them, last.
"""

from __future__ import annotations

import json
import os
import threading
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from attention_motifs.errors import AtlasError, RemoteError
from attention_motifs.progress import Report, silent
from attention_motifs.store import files
from attention_motifs.store.cache_folder import cache_folder
from attention_motifs.store.inventory import (
    FileEntry,
    atlas_files,
    difference,
    entries_from_json,
    entries_to_json,
    entry_of,
)
from attention_motifs.store.paths import ARTEFACTS, MANIFEST
from attention_motifs.store.recorded_digests import LARGEST_READ
from attention_motifs.store.remote.source import Head, Source
from attention_motifs.store.retry import persistently

STATE = ".remote.json"
"""In `work`: `atlas.json` as the remote place held it last, and the files deleted since."""

LARGE = 16 << 20
"""Bytes from which the download of one file is shown as progress."""

WHOLE = 1 << 20
"""Bytes below which a file is fetched whole, where a part is asked for."""

FOR_WORKERS = (ARTEFACTS["prompts"].pattern, ARTEFACTS["heads"].pattern)
"""Files that other processes of a run read (docs/scale.md); they see the folder alone."""

WORKERS = 4
"""Files uploaded at once."""


class _OtherBytesError(RemoteError):
    """The bytes of a file are not those that `atlas.json` lists."""


class Tree:
    """One folder with files of a remote atlas; the `Origin` of its paths."""

    def __init__(self, source: Source, folder: Path, head: Head | None, report: Report) -> None:
        """Use `open_tree`, or `WorkTree` for writing."""
        self.url = source.url
        self.source = source
        self.folder = folder
        self.report = report
        self._listing: dict[str, FileEntry] = dict(head.listing) if head else {}
        self._lock = threading.Lock()
        self._compared: set[str] = set()

    @property
    def listing(self) -> Mapping[str, FileEntry]:
        """All files but `atlas.json`."""
        return self._listing

    def forget(self, name: str) -> None:
        """Refuse: others read this folder."""
        raise AtlasError(f"{self.url}: was opened for reading; {name} cannot be deleted in it")

    def has_copy(self, name: str) -> bool:
        """Return whether the folder holds a file, unchanged since it was fetched.

        It is compared once in each process, up to a size of `recorded_digests.LARGEST_READ`.
        """
        path, entry = self.folder / name, self._listing[name]
        if name not in self._compared and path.is_file() and _is_copy(path, entry):
            self._compared.add(name)
        return name in self._compared and path.is_file()

    def fetch(self, name: str) -> None:
        """Download a file, verify it, and link it into the folder, in place of a damaged copy.

        Raises:
            RemoteError: if it cannot be fetched, or differs from its digest three times.
            ResourceError: if the disk of the cache is full.
        """
        entry = self._listing[name]
        with self._lock:
            if self.has_copy(name):
                return
            stored = self._object(entry)
            for copy in (self.folder / name, stored):
                if os.path.lexists(copy) and not (copy.is_file() and _is_copy(copy, entry)):
                    files.remove(copy)
            if not stored.is_file():
                self._download(name, entry, stored)
            _link(stored, self.folder / name)
            self._compared.add(name)

    def read_ranges(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes] | None:
        """Read parts (start, length) of a file; None if it is small, or most of it is asked for.

        Raises:
            RemoteError: if the place refuses or cannot be reached.
        """
        entry = self._listing[name]
        needed = sum(length for _, length in ranges)
        within = all(start >= 0 and start + length <= entry.size for start, length in ranges)
        if self._object(entry).is_file() or not within:
            return None
        if entry.size < WHOLE or needed > entry.size // 2:
            return None
        return self.source.read_ranges(name, entry, ranges)

    def _object(self, entry: FileEntry) -> Path:
        return self.folder.parent / "objects" / entry.sha256

    def _download(self, name: str, entry: FileEntry, stored: Path) -> None:
        shown = self.report if entry.size >= LARGE else silent
        with shown(f"fetch {name}", 1), files.atomic(stored) as temporary:

            def read() -> None:
                self.source.read(name, entry, temporary)
                if differs := difference(temporary, entry):
                    raise _OtherBytesError(
                        f"{self.url}/{name}: is not what {MANIFEST} lists, three times over "
                        f"({differs}); run the command that makes it again, with --force"
                    )

            persistently(read, lambda error: isinstance(error, _OtherBytesError))


def _with_files(manifest: Any, listing: Mapping[str, FileEntry]) -> str:
    """Return the text of `atlas.json` at a place: the manifest with the files that it lists."""
    value = {**manifest, "files": entries_to_json(listing)}
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _is_copy(path: Path, entry: FileEntry) -> bool:
    """Return whether a file agrees with its entry; of a large one, only the size is compared."""
    try:
        if entry.size > LARGEST_READ:
            return path.stat().st_size == entry.size
        return difference(path, entry) is None
    except OSError:  # which the reader reports in its own words
        return True


def _link(stored: Path, target: Path) -> None:
    """Link an object into a folder; copy it where the disk has no links."""
    with files.writable_folder(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(stored, target)
        except FileExistsError:
            pass
        except OSError:
            with files.atomic(target) as temporary:
                temporary.write_bytes(stored.read_bytes())


def folder_of_url(url: str) -> Path:
    """Return the folder of the copies of one remote atlas."""
    return cache_folder().resolve() / "remote" / files.digest(url)


def open_tree(source: Source, report: Report) -> Tree | None:
    """Return the present state of an atlas, for reading; None if there is no atlas.

    Raises:
        RemoteError: if the place refuses or cannot be reached.
    """
    head = source.head()
    if head is None:
        return None
    folder = folder_of_url(source.url) / files.digest(head.raw.decode("utf-8", "replace"))
    if not _holds(folder / MANIFEST, head.manifest):
        files.write_json(folder / MANIFEST, head.manifest)
    return Tree(source, folder, head, report)


def _holds(path: Path, value: Any) -> bool:
    try:
        return bool(files.read_json(path) == value)
    except AtlasError:
        return False


class WorkTree(Tree):
    """The copy that a run writes to, under the lock of its folder."""

    def __init__(self, source: Source, report: Report) -> None:
        """Name the folder; `begin` reads it."""
        super().__init__(source, folder_of_url(source.url) / "work", None, report)
        self._raw: str | None = None
        self._version: str | None = None
        self._deleted: set[str] = set()

    def has_copy(self, name: str) -> bool:
        """Return whether the folder holds a file; one that this run wrote is not compared."""
        path, stored = self.folder / name, self._object(self._listing[name])
        is_fetched = path.is_file() and stored.is_file() and path.samefile(stored)
        return super().has_copy(name) if is_fetched else path.is_file()

    @property
    def listing(self) -> Mapping[str, FileEntry]:
        """All files but `atlas.json`, less those deleted here."""
        return {n: e for n, e in self._listing.items() if n not in self._deleted}

    def forget(self, name: str) -> None:
        """Note that a file was deleted."""
        self._deleted.add(name)
        self._save()

    def begin(self) -> None:
        """Take up the work of an earlier run, unless somebody wrote to the place since."""
        head = self.source.head()
        raw = None if head is None else head.raw.decode("utf-8", "replace")
        known = self._load()
        if not known or raw != self._raw:
            if known and self._unsent():
                warnings.warn(
                    f"{self.url}: was changed elsewhere; unfinished work of an earlier run on this "
                    "machine is dropped",
                    stacklevel=2,
                )
            self._clear()
        self._raw, self._version = raw, None if head is None else head.version
        self._listing = {} if head is None else dict(head.listing)
        if head is not None and not (self.folder / MANIFEST).is_file():
            files.write_json(self.folder / MANIFEST, head.manifest)
        for name in FOR_WORKERS:
            if name in self.listing and not (self.folder / name).exists():
                self.fetch(name)
        self._save()

    def push(self) -> None:
        """Send new files, and then the state that lists them; nothing if nothing changed.

        Raises:
            RemoteError: if somebody else wrote meanwhile, or the place cannot be written.
        """
        if not (self.folder / MANIFEST).is_file():
            return
        changed = self._unsent()
        self._deleted -= changed.keys()
        listing = {**self.listing, **changed}
        manifest = files.read_json(self.folder / MANIFEST, "run the same command again")
        text = _with_files(manifest, listing)
        if text == self._raw:
            return
        self._upload(changed, self.folder)
        for name, entry in changed.items():
            self._keep(self.folder / name, self._object(entry))
        self._commit(text, listing)

    def push_from(self, folder: Path) -> None:
        """Send the files of an atlas in another folder, without a copy of them in the cache.

        Args:
            folder: the atlas; nothing is written to it.

        Raises:
            AtlasError: if a file of it is a link.
            RemoteError: if somebody else wrote meanwhile, or the place cannot be written.
        """
        entries = {n: entry_of(p) for n, p in atlas_files(folder).items() if n != MANIFEST}
        text = _with_files(files.read_json(folder / MANIFEST), entries)
        if text != self._raw:
            self._upload(entries, folder)
            self._commit(text, entries)
        with files.atomic(self.folder / MANIFEST) as temporary:
            temporary.write_bytes((folder / MANIFEST).read_bytes())

    def _upload(self, entries: Mapping[str, FileEntry], folder: Path) -> None:
        """Send the files of a folder whose bytes the place does not list, a few at a time."""
        remote = {entry.sha256 for entry in self._listing.values()}
        unsent = {e.sha256: (n, e) for n, e in entries.items() if e.sha256 not in remote}
        if not unsent:
            return
        with (
            self.report(f"upload to {self.url}", len(unsent)) as advance,
            ThreadPoolExecutor(WORKERS) as pool,
        ):
            sent = pool.map(lambda i: self.source.store(i[1], folder / i[0]), unsent.values())
            for _ in sent:
                advance(1)

    def _commit(self, text: str, listing: dict[str, FileEntry]) -> None:
        """Replace the state at the place by `text`, which lists these files."""
        self._version = self.source.commit(text.encode("utf-8"), self._version)
        self._raw, self._listing, self._deleted = text, listing, set()
        self._save()

    @staticmethod
    def _keep(path: Path, stored: Path) -> None:
        """Make a file and its object one: readers have it, and it is known to be unchanged."""
        if stored.exists():
            path.unlink()
            _link(stored, path)
        else:
            _link(path, stored)

    def _unsent(self) -> dict[str, FileEntry]:
        """Return the files here that differ from those the place lists.

        A link to the listed object is unchanged; any other file is read.
        """
        changed = {}
        for name, path in atlas_files(self.folder).items():
            listed = self.listing.get(name)
            if name == MANIFEST:
                continue
            if listed is not None:
                stored = self._object(listed)
                if stored.exists() and path.samefile(stored):
                    continue
            entry = entry_of(path)
            if entry != listed:
                changed[name] = entry
        return changed

    def _clear(self) -> None:
        for path in self.folder.iterdir():
            if path.name not in (".lock", STATE):
                files.remove(path)
        self._deleted = set()

    def _load(self) -> bool:
        """Read the state that an earlier run saved; False if there is none that can be read."""
        path = self.folder / STATE
        try:
            value = files.read_json(path)
            self._raw, self._deleted = value["raw"], set(value["deleted"])
            listed = {} if self._raw is None else json.loads(self._raw)["files"]
            self._listing = entries_from_json(listed, str(path))
        except (AtlasError, KeyError, TypeError, ValueError):
            return False
        return True

    def _save(self) -> None:
        files.write_json(self.folder / STATE, {"raw": self._raw, "deleted": sorted(self._deleted)})
