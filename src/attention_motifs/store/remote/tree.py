"""Copies of a remote atlas on this machine, whose files come when they are first read.

    <cache>/remote/<URL>/objects/<sha256>   bytes of files, verified when they came
    <cache>/remote/<URL>/<state>/           for readers: the atlas as it was at one moment
    <cache>/remote/<URL>/work/              for the one writer on this machine

Files in the folders are links to the objects. What is written goes into `work` and from there to
the remote place: files first, under their digests, and `atlas.json`, which lists them, last.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
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
from attention_motifs.store.remote.lazy_path import LazyPath
from attention_motifs.store.remote.source import Head, Source

STATE = ".remote.json"
"""In `work`: what the remote place held when it was last read or written."""

LARGE = 16 << 20
"""Bytes from which the coming of one file is shown as progress."""

FOR_WORKERS = ("prompts.parquet", "heads.parquet")
"""Read by other processes of a run (docs/scale.md), which see the folder only."""

WORKERS = 4
"""Files uploaded at once."""

PAUSES = (0.5, 2.0)
"""Seconds before a file that came damaged is asked for again."""


class Tree:
    """One folder with files of a remote atlas."""

    def __init__(self, source: Source, folder: Path, head: Head | None, report: Report) -> None:
        """Take a folder as it is; `open_tree` and `WorkTree` make one."""
        self.url = source.url
        self.source = source
        self.folder = folder
        self.report = report
        self._listing: dict[str, FileEntry] = dict(head.listing) if head else {}
        self._lock = threading.Lock()

    @property
    def listing(self) -> Mapping[str, FileEntry]:
        """All files but `atlas.json`."""
        return self._listing

    @property
    def path(self) -> LazyPath:
        """The folder, through which files come."""
        return LazyPath.of(self.folder, self)

    def forget(self, name: str) -> None:
        """Refuse: others read this folder."""
        raise AtlasError(f"{self.url}: was opened for reading; {name} cannot be deleted in it")

    def fetch(self, name: str) -> None:
        """Let a file come, verify it, and link it into the folder.

        Raises:
            RemoteError: if it cannot be had, or differs from its digest three times.
            ResourceError: if the disk of the cache is full.
        """
        entry = self._listing[name]
        target = self.folder / name
        with self._lock:
            stored = self._object(entry)
            if not stored.is_file():
                self._download(name, entry, stored)
            _link(stored, target)

    def _object(self, entry: FileEntry) -> Path:
        return self.folder.parent / "objects" / entry.sha256

    def _download(self, name: str, entry: FileEntry, stored: Path) -> None:
        shown = self.report if entry.size >= LARGE else silent
        with shown(f"fetch {name}", 1), files.atomic(stored) as temporary:
            for pause in (*PAUSES, None):
                self.source.read(name, entry, temporary)
                differs = difference(temporary, entry)
                if differs is None:
                    return
                if pause is None:
                    raise RemoteError(
                        f"{self.url}/{name}: is not what atlas.json lists, three times over "
                        f"({differs}); run the command that makes it again, with --force"
                    )
                time.sleep(pause)


def _link(stored: Path, target: Path) -> None:
    """Give an object its name in a folder; copied where the disk has no links."""
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
    """Where the copies of one remote atlas are kept."""
    return cache_folder().resolve() / "remote" / files.digest(url)


def open_tree(source: Source, report: Report) -> Tree | None:
    """Return the atlas as it is now, for reading; None if there is none.

    Raises:
        RemoteError: if the place refuses or cannot be reached.
    """
    head = source.head()
    if head is None:
        return None
    folder = folder_of_url(source.url) / files.digest(head.raw.decode("utf-8", "replace"))
    if not (folder / "atlas.json").is_file():
        files.write_json(folder / "atlas.json", head.manifest)
    return Tree(source, folder, head, report)


class WorkTree(Tree):
    """The copy that a run writes to, under the lock of its folder."""

    def __init__(self, source: Source, report: Report) -> None:
        """Only name the folder; `begin` looks at what is there."""
        super().__init__(source, folder_of_url(source.url) / "work", None, report)
        self._raw: str | None = None
        self._version: str | None = None
        self._stamps: dict[str, tuple[list[int], FileEntry]] = {}
        self._deleted: set[str] = set()

    @property
    def listing(self) -> Mapping[str, FileEntry]:
        """All files but `atlas.json`, less those deleted here."""
        if not self._deleted:
            return self._listing
        return {n: e for n, e in self._listing.items() if n not in self._deleted}

    def forget(self, name: str) -> None:
        """Note that a file was deleted."""
        self._deleted.add(name)
        self._save()

    def begin(self) -> None:
        """Take what was left by an earlier run, unless somebody wrote to the place since."""
        head = self.source.head()
        raw = None if head is None else head.raw.decode("utf-8", "replace")
        self._load()
        if raw != self._raw:
            if self._unsent():
                warnings.warn(
                    f"{self.url}: was changed elsewhere; what an earlier run on this machine left "
                    "unfinished is dropped",
                    stacklevel=2,
                )
            self._clear()
        self._raw, self._version = raw, None if head is None else head.version
        self._listing = {} if head is None else dict(head.listing)
        if head is not None and not (self.folder / "atlas.json").is_file():
            files.write_json(self.folder / "atlas.json", head.manifest)
        for name in FOR_WORKERS:
            if name in self.listing and not (self.folder / name).exists():
                self.fetch(name)
        self._save()

    def push(self) -> None:
        """Send what is new, and then the state that lists it; nothing if nothing changed.

        Raises:
            RemoteError: if somebody else wrote meanwhile, or the place cannot be written.
        """
        if not (self.folder / "atlas.json").is_file():
            return
        changed = self._unsent()
        self._deleted -= changed.keys()
        listing = {**self.listing, **changed}
        manifest = files.read_json(self.folder / "atlas.json", "run the same command again")
        value = {**manifest, "files": entries_to_json(listing)}
        text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        if text == self._raw:
            return
        there = {entry.sha256 for entry in self._listing.values()}
        unsent = {e.sha256: (n, e) for n, e in changed.items() if e.sha256 not in there}
        if unsent:
            with (
                self.report(f"upload to {self.url}", len(unsent)) as advance,
                ThreadPoolExecutor(WORKERS) as pool,
            ):
                for _ in pool.map(lambda item: self._send(*item), unsent.values()):
                    advance(1)
        self._version = self.source.commit(text.encode("utf-8"), self._version)
        self._raw, self._listing, self._deleted = text, listing, set()
        self._save()

    def _send(self, name: str, entry: FileEntry) -> None:
        self.source.store(entry, self.folder / name)
        stored = self._object(entry)
        if not stored.exists():  # readers on this machine then have it already
            _link(self.folder / name, stored)

    def _unsent(self) -> dict[str, FileEntry]:
        """Files here that are not what the place lists; only new ones are read for it."""
        changed = {}
        for name, path in atlas_files(self.folder).items():
            if name == "atlas.json":
                continue
            told = path.stat()
            stamp = [told.st_size, told.st_mtime_ns, told.st_ino]
            known = self._stamps.get(name)
            entry = known[1] if known and known[0] == stamp else entry_of(path)
            self._stamps[name] = (stamp, entry)
            if self._listing.get(name) != entry or name in self._deleted:
                changed[name] = entry
        return changed

    def _clear(self) -> None:
        for path in self.folder.iterdir():
            if path.name not in (".lock", STATE):
                files.remove(path)
        self._stamps, self._deleted = {}, set()

    def _load(self) -> None:
        """Read the notes of earlier runs; without them, or damaged, nothing here is trusted."""
        path = self.folder / STATE
        try:
            value: dict[str, Any] = files.read_json(path, "")
            self._raw = value["raw"]
            listed = entries_from_json(value["listing"], str(path))
            entries = entries_from_json({n: e for n, (_, e) in value["stamps"].items()}, str(path))
            self._stamps = {n: (value["stamps"][n][0], e) for n, e in entries.items()}
            self._listing, self._deleted = listed, set(value["deleted"])
        except (AtlasError, KeyError, TypeError, ValueError, AttributeError):
            self._clear()
            self._raw = None

    def _save(self) -> None:
        stamps = {n: (stamp, entry) for n, (stamp, entry) in self._stamps.items()}
        files.write_json(
            self.folder / STATE,
            {
                "url": self.url,
                "raw": self._raw,
                "listing": entries_to_json(self._listing),
                "deleted": sorted(self._deleted),
                "stamps": {
                    n: (stamp, entries_to_json({n: entry})[n])
                    for n, (stamp, entry) in stamps.items()
                },
            },
        )


@contextlib.contextmanager
def writing(tree: WorkTree) -> Iterator[None]:
    """Work in the copy; what a block that ends well has written is sent."""
    tree.begin()
    yield
    tree.push()
