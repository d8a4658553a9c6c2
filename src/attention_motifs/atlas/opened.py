"""The folder of an atlas: its lock, its manifest and its files.

`store.paths` knows the names of the files, and the stages write them.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from attention_motifs.distances import register_preset
from attention_motifs.errors import AtlasError, InputError, ResourceError
from attention_motifs.notebook import block, sentence, table
from attention_motifs.store import files, recorded_digests, remote
from attention_motifs.store.manifest import Manifest, read_manifest
from attention_motifs.store.paths import MANIFEST, AtlasFile, AtlasPaths
from attention_motifs.store.renaming import rename_earlier_files
from attention_motifs.store.settings import Configuration

if TYPE_CHECKING:
    import polars as pl

BLOCK_SIZE = 16
"""Prompts per part: the unit that is complete or absent, and is redone after a kill."""

SECONDS_BETWEEN_WRITES = 2.0
"""Between two writes of `atlas.json` within `batched_updates`: what a kill makes it repeat."""


class _Locks(threading.local):
    """Folders whose lock this thread holds."""

    def __init__(self) -> None:
        self.folders: set[Path] = set()


_locks = _Locks()


class OpenedFolder:
    """An atlas on disk. Opening reads `atlas.json` only; tables are read when they are used.

    Attributes:
        paths: its files by name.
        manifest: contents of `atlas.json`.
    """

    def __init__(self, paths: AtlasPaths, manifest: Manifest) -> None:
        """Use `Atlas.open` or `Atlas.create`."""
        self._read(paths, manifest)

    def _read(self, paths: AtlasPaths, manifest: Manifest) -> None:
        """Take the state of an atlas on disk, and forget the tables of an earlier one."""
        self.paths = replace(paths, manifest=manifest)
        self.manifest = manifest
        for preset in manifest.configuration.presets:
            register_preset(preset.name, preset.description)
        self._stamp = self._stamp_on_disk()
        self._write_after: float | None = None  # within `batched_updates`
        self._has_unwritten = False
        self._heads: pl.DataFrame | None = None  # tables that were read
        self._prompts: pl.DataFrame | None = None
        self._probes: pl.DataFrame | None = None

    def __repr__(self) -> str:
        return (
            f"<Atlas {self.place}: {', '.join(self.manifest.models) or 'no models yet'}; "
            f"{self.manifest.prompts['n']} prompts>"
        )

    def _repr_html_(self) -> str:
        rows = [
            [name, info.n_layers, info.n_all_heads, info.architecture or info.kind, info.dtype]
            for name, info in self.manifest.models.items()
        ]
        c = self.manifest.configuration
        prompts = f"{self.manifest.prompts['n']} prompts of {c.prompts}, "
        prompts += f"up to {c.max_tokens} tokens. Features: {', '.join(c.feature_sets)}."
        return block(
            f"Atlas {self.place}",
            table(["model", "layers", "heads", "architecture", "numbers"], rows),
            sentence(prompts),
            note="Ask atlas.near(head), atlas.explain(head), atlas.view(head); "
            "atlas.heads lists the heads."
            if rows
            else "It has no models yet.",
        )

    @property
    def path(self) -> Path:
        """Folder of the atlas on this machine; of a remote atlas, the copy in the cache."""
        return self.paths.folder

    @property
    def place(self) -> str:
        """Name of the atlas as `--atlas` takes it: a folder or a URL."""
        return self.paths.place

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open an existing atlas.

        Args:
            path: its folder, or a URL (docs/sharing.md); its files are fetched when read.

        Raises:
            AtlasError: if the folder holds no atlas, or one that is damaged or of another schema.
            RemoteError: if the place of the URL refuses or cannot be reached.
        """
        paths = remote.paths_of(path)
        _require_atlas(paths.folder, paths.place)
        return cls(paths, read_manifest(paths.file("manifest")))

    @classmethod
    def create(
        cls, path: str | Path, configuration: Configuration, prompts: pl.DataFrame, sha256: str
    ) -> Self:
        """Make an atlas with prompts and no models yet; the caller holds the lock."""
        from attention_motifs import __version__

        atlas = cls(
            remote.paths_of(path),
            Manifest(configuration, __version__, {"n": len(prompts), "sha256": sha256}, {}, {}, {}),
        )
        files.write_parquet(atlas.file("prompts"), prompts)
        atlas._write_manifest()
        return atlas

    def file(self, artefact: str, **parts: Any) -> AtlasFile:
        """Return a file of the atlas by its name in `store.paths`, whether it exists or not."""
        return self.paths.file(artefact, **parts)

    # The lock and the manifest

    @staticmethod
    @contextlib.contextmanager
    def lock(path: str | Path, *, new: bool = False) -> Iterator[None]:
        """Hold the atlas for writing; the system frees the lock when the process ends in any way.

        Args:
            path: folder of the atlas, or its URL, to which changes are then sent.
            new: make the folder if it does not exist; otherwise it must hold an atlas.

        Raises:
            AtlasError: if another run holds the lock, or there is no atlas.
            ResourceError: if the folder cannot be written.
        """
        folder = remote.work_folder(path)
        if not new and not remote.is_url(path):
            _require_atlas(folder, str(path))
        with locked_folder(folder, str(path)):
            files.remove_unfinished(folder)
            try:
                with remote.held(path):
                    paths = remote.paths_of(path)
                    if not new:
                        _require_atlas(paths.folder, str(path))
                    if (paths.folder / MANIFEST).is_file():
                        rename_earlier_files(paths)
                    _locks.folders.add(folder.resolve())
                    yield
            finally:
                _locks.folders.discard(folder.resolve())
                with contextlib.suppress(OSError, ResourceError):  # the next run settles it
                    recorded_digests.settle(folder)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock of this atlas, unless this thread holds it already.

        An atlas that another run changed after it was opened is read again.

        Raises:
            AtlasError: if another run holds the lock, or the atlas is gone.
            ResourceError: if the folder cannot be written.
        """
        with contextlib.ExitStack() as lock:
            if remote.work_folder(self.place).resolve() not in _locks.folders:
                lock.enter_context(self.lock(self.place))
            paths = remote.paths_of(self.place)
            if paths.origin is not self.paths.origin or self._stamp_on_disk() != self._stamp:
                self._read(paths, read_manifest(paths.file("manifest")))
            yield

    def update(self, **changes: Any) -> None:
        """Replace fields of the manifest and write it."""
        self.manifest = replace(self.manifest, **changes)
        self.paths = replace(self.paths, manifest=self.manifest)
        self._has_unwritten = True
        if self._write_after is None or time.monotonic() >= self._write_after:
            self._write_manifest()

    @contextlib.contextmanager
    def batched_updates(self) -> Iterator[None]:
        """Write the manifest every two seconds and when the block ends, not at each `update`.

        For many short steps: each write holds the records of all models. A kill loses the record
        of the steps since the last write, which are then made again. Nothing else in the block
        may open the same atlas to write.
        """
        if self._write_after is not None:
            yield
            return
        self._write_after = time.monotonic() + SECONDS_BETWEEN_WRITES
        try:
            yield
        finally:
            self._write_after = None
            if self._has_unwritten:
                self._write_manifest()

    def finish(self, stage: str, inputs: str) -> None:
        """Record in the journal that `stage` is complete for these inputs."""
        self.update(stages={**self.manifest.stages, stage: inputs})

    def is_finished(self, stage: str, inputs: str) -> bool:
        """Whether `stage` was completed from the same inputs before."""
        return self.manifest.stages.get(stage) == inputs

    def _write_manifest(self) -> None:
        with remote.sent(self.paths):
            files.write_json(self.file("manifest"), self.manifest.to_json())
        self._stamp = self._stamp_on_disk()
        self._has_unwritten = False
        if self._write_after is not None:
            self._write_after = time.monotonic() + SECONDS_BETWEEN_WRITES

    def _stamp_on_disk(self) -> tuple[int, int] | None:
        """Return what changes whenever `atlas.json` is replaced."""
        with contextlib.suppress(OSError):
            status = self.file("manifest").path.stat()
            return status.st_mtime_ns, status.st_ino
        return None

    def _mismatch(self, file: AtlasFile, why: str) -> AtlasError:
        """Build the error for a file that does not fit the atlas as it was opened."""
        if self._stamp_on_disk() != self._stamp:
            return AtlasError(
                f"{self.place}: was changed by another process after it was opened ({file.name}: "
                f"{why}); open it again with Atlas.open"
            )
        return AtlasError(f"{file}: {why}; {file.fix_damaged}")

    @property
    def models(self) -> tuple[str, ...]:
        """Models in the order of the heads."""
        return tuple(self.manifest.models)

    @property
    def n_blocks(self) -> int:
        """Blocks of prompts, the last one perhaps shorter."""
        return -(-int(self.manifest.prompts["n"]) // BLOCK_SIZE)


def _require_atlas(folder: Path, place: str) -> None:
    """Refuse a folder without `atlas.json`, and say whether it may be read at all."""
    try:
        if (folder / MANIFEST).is_file():
            return
    except PermissionError as error:
        raise AtlasError(
            f"{place}: permission denied; ask its owner for the right to read the folder"
        ) from error
    raise AtlasError(
        f"{place}: holds no atlas (no {MANIFEST}); make one with `motifs build` or "
        "`motifs demo`, or name another with --atlas"
    )


@contextlib.contextmanager
def locked_folder(folder: Path, place: str) -> Iterator[None]:
    """Hold the lock of a folder, which is made if it does not exist.

    Args:
        folder: of the atlas on this machine.
        place: name of the atlas in errors.

    Raises:
        AtlasError: if another run holds the lock.
        ResourceError: if the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / ".lock")
    try:
        with files.writable_folder(folder):
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
    except Timeout as error:
        raise AtlasError(
            f"{place}: another run is working on this atlas; wait for it, or use another "
            "--atlas (nothing was changed)"
        ) from error
    except ValueError as error:  # a NUL in its name
        raise InputError(
            f"{place!r:.80}: cannot hold an atlas ({error}). Name another folder"
        ) from error
    try:
        yield
    finally:
        lock.release()
