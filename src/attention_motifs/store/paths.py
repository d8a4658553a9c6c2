"""Paths of the files of an atlas, and the commands that make them again, from `ARTEFACTS`."""

from __future__ import annotations

import glob
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from attention_motifs.errors import AtlasError
from attention_motifs.head import model_folder
from attention_motifs.store import earlier_names, files, recorded_digests
from attention_motifs.store.artefacts import ARTEFACTS as ARTEFACTS
from attention_motifs.store.manifest import IMPORTED, Manifest

if TYPE_CHECKING:
    from attention_motifs.store.inventory import FileEntry


NEEDS_MODEL = ("score", "shares", "ablate", "probe")
"""Stages that run the models again; they do not apply to an atlas of imported patterns."""

_PLACEHOLDER = re.compile(r"\{(\w+)(?::05d)?\}")


def _glob(pattern: str, parts: Mapping[str, Any]) -> str:
    """Return a glob pattern: placeholders with a value are filled, others become stars."""

    def fill(match: re.Match[str]) -> str:
        return glob.escape(_formatted(match[0], parts)) if match[1] in parts else "*"

    return _PLACEHOLDER.sub(fill, pattern)


def _formatted(pattern: str, parts: Mapping[str, Any]) -> str:
    """Fill the placeholders; a model is written as its folder is named."""
    named = {k: model_folder(v) if k == "model" else v for k, v in parts.items()}
    return pattern.format(**named)


def _parser(pattern: str) -> re.Pattern[str]:
    """Return a regular expression that reads the parts back from a name."""
    text, end = "", 0
    for match in _PLACEHOLDER.finditer(pattern):
        values = r"\d{5,}" if match[0].endswith(":05d}") else "[^/]+"
        text += f"{re.escape(pattern[end : match.start()])}(?P<{match[1]}>{values})"
        end = match.end()
    return re.compile(text + re.escape(pattern[end:]))


def _values(pattern: str, match: re.Match[str]) -> dict[str, Any]:
    """Return what the placeholders of a pattern stand for in a name."""
    values: dict[str, Any] = match.groupdict()
    for name, value in values.items():
        if f"{{{name}:" in pattern:
            values[name] = int(value)
        elif name == "model":
            values[name] = value.replace("__", "/", 1)
    return values


MANIFEST = ARTEFACTS["manifest"].pattern
"""Name of the manifest within an atlas; a folder with this file holds an atlas."""

_FIXED_NAMES = {a.pattern for a in ARTEFACTS.values() if "{" not in a.pattern}

ATLAS_FILES = tuple(
    _glob(pattern, {})
    for pattern in (
        *(a.pattern for a in ARTEFACTS.values() if a.travels),
        *earlier_names.PATTERNS.values(),
    )
)
"""Glob patterns of all that belongs to an atlas and travels with it."""


class Origin(Protocol):
    """The remote place that the files of a folder are fetched from."""

    url: str

    @property
    def listing(self) -> Mapping[str, FileEntry]:
        """All files of the atlas but those deleted here, fetched or not."""
        ...

    def has_copy(self, name: str) -> bool:
        """Return whether the folder holds a listed file, unchanged since it was fetched."""
        ...

    def fetch(self, name: str) -> None:
        """Fetch a listed file into the folder, in place of a damaged copy."""
        ...

    def read_ranges(self, name: str, ranges: Sequence[tuple[int, int]]) -> list[bytes] | None:
        """Read parts (start, length) of a listed file; None if it must be fetched instead."""
        ...

    def forget(self, name: str) -> None:
        """Note that a file was deleted here."""
        ...


@dataclass(frozen=True)
class AtlasFile:
    """One file of an atlas, which may not exist; a remote file is fetched when it is first read."""

    paths: AtlasPaths
    artefact: str
    parts: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name within the atlas, with `/` between its parts."""
        if self.paths.has_earlier_names and self.artefact in earlier_names.PATTERNS:
            return self.paths.earlier_name(self.artefact, self.parts)
        return _formatted(ARTEFACTS[self.artefact].pattern, self.parts)

    @property
    def path(self) -> Path:
        """Path on this machine; a remote file is not fetched."""
        return self.paths.folder / self.name

    def __str__(self) -> str:
        return f"{self.paths.place}/{self.name}" if self.paths.origin else str(self.path)

    def is_file(self) -> bool:
        """Whether the file exists, here or at the remote place."""
        return self.path.is_file() or self._is_listed()

    def _is_listed(self) -> bool:
        return self.paths.origin is not None and self.name in self.paths.origin.listing

    def fetch(self) -> Path:
        """Return the path on this machine, with the file fetched if it is remote.

        A file in a folder is compared with the digest that was recorded when it was written, once
        in each process, up to a size of `recorded_digests.LARGEST_READ`. A damaged copy of a remote
        file is fetched anew.

        Raises:
            RemoteError: if it cannot be fetched.
            AtlasError: if its digest is not the recorded one.
        """
        if self.paths.origin is None:
            if recorded_digests.is_changed(self.paths.folder, self.name, self.path):
                raise self.changed()
        elif self._is_listed() and not self.paths.origin.has_copy(self.name):
            self.paths.origin.fetch(self.name)
        return self.path

    def read_ranges(self, ranges: Sequence[tuple[int, int]]) -> list[bytes] | None:
        """Read parts (start, length) of a remote file without fetching it; unverified.

        Returns:
            The parts; None if the file is on this machine, or must be fetched instead.

        Raises:
            RemoteError: if the place refuses or cannot be reached.
        """
        if self.paths.origin is None or self.path.exists() or not self._is_listed():
            return None
        return self.paths.origin.read_ranges(self.name, ranges)

    def changed(self) -> AtlasError:
        """Build the error for a file whose digest is not the recorded one."""
        by_hand = ""
        if ARTEFACTS[self.artefact].stage in ("create", "user"):
            command = self.paths.command("check --write-digests")
            by_hand = f". If you changed it yourself, run {command}"
        return AtlasError(
            f"{self}: was damaged or changed after it was written: its SHA-256 is not the recorded "
            f"one; {self.fix_damaged}{by_hand}"
        )

    def read_bytes(self) -> bytes:
        """Return the contents."""
        return files.read_bytes(self)

    def record(self, unfinished: Path) -> None:
        """Record the digest of a complete file that is about to take this one's place."""
        if self.paths.origin is None:
            recorded_digests.record(self.paths.folder, self.name, unfinished)

    def remove(self) -> None:
        """Delete the file, here and with the next upload at the remote place."""
        if self.paths.origin is not None and self._is_listed():
            self.paths.origin.forget(self.name)
        self.path.unlink(missing_ok=True)

    @property
    def fix(self) -> str:
        """Words that say how to make the file."""
        return self.paths.rebuild(self.artefact, **self.parts)

    @property
    def fix_damaged(self) -> str:
        """Words that say how to replace the file if it is damaged."""
        return f"delete it and {self.fix}" if ARTEFACTS[self.artefact].kept else self.fix


@dataclass(frozen=True)
class AtlasPaths:
    """Files of one atlas by their short names in `ARTEFACTS`."""

    folder: Path
    """Folder of the atlas on this machine."""
    origin: Origin | None = None
    """Remote place of the atlas; None for a folder."""
    manifest: Manifest | None = field(default=None, compare=False, repr=False)

    @property
    def place(self) -> str:
        """Name of the atlas as `--atlas` takes it: a folder or a URL."""
        return str(self.folder) if self.origin is None else self.origin.url

    @property
    def option(self) -> str:
        """The option that names this atlas, quoted for a shell."""
        return f"--atlas {shlex.quote(self.place)}"

    def file(self, artefact: str, **parts: Any) -> AtlasFile:
        """Return one file, whether it exists or not.

        Args:
            artefact: a key of `ARTEFACTS`.
            parts: what its placeholders stand for.
        """
        return AtlasFile(self, artefact, parts)

    def file_named(self, name: str) -> AtlasFile | None:
        """Return the file of a name within the atlas; None if no file of an atlas has such a name.

        Args:
            name: name with `/` between its parts.
        """
        for artefact, described in ARTEFACTS.items():
            match = _parser(described.pattern).fullmatch(name)
            if match is not None and ("{" not in described.pattern or name not in _FIXED_NAMES):
                return AtlasFile(self, artefact, _values(described.pattern, match))
        return None

    def existing(self, artefact: str, **parts: Any) -> list[AtlasFile]:
        """Return the files of one kind that exist, here or at the remote place, by name.

        Args:
            artefact: a key of `ARTEFACTS`.
            parts: values of some placeholders; the others may be anything.
        """
        listed = self._listed(ARTEFACTS[artefact].pattern, parts)
        if self.has_earlier_names and artefact in earlier_names.PATTERNS:
            key = earlier_names.NAMED_BY[artefact]
            listed = [values for values in listed if values[key] != earlier_names.EARLIER]
            if parts.get(key, earlier_names.NOW) == earlier_names.NOW:
                parts = {k: v for k, v in parts.items() if k != key}
                renamed = self._listed(earlier_names.PATTERNS[artefact], parts)
                listed += [{**values, key: earlier_names.NOW} for values in renamed]
        existing = [AtlasFile(self, artefact, values) for values in listed]
        return sorted(existing, key=lambda file: file.name)

    def _listed(self, pattern: str, parts: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the values of the placeholders in every existing name that fits a pattern."""
        here = self.folder.glob(_glob(pattern, parts))
        names = {path.relative_to(self.folder).as_posix() for path in here}
        names |= set(self.origin.listing if self.origin else ())
        parse, listed = _parser(pattern), []
        for name in names - _FIXED_NAMES if "{" in pattern else names:
            match = parse.fullmatch(name)
            values = {} if match is None else _values(pattern, match)
            if match is not None and values.items() >= parts.items():
                listed.append(values)
        return listed

    @property
    def has_earlier_names(self) -> bool:
        """Whether files of the atlas have the names of an earlier version."""
        return self.manifest is not None and self.manifest.has_earlier_names

    def earlier_name(self, artefact: str, parts: Mapping[str, Any]) -> str:
        """Return the name of a file in an atlas of an earlier version.

        A renaming that was stopped leaves some files under their present names.
        """
        key, present = earlier_names.NAMED_BY[artefact], ARTEFACTS[artefact].pattern
        if parts[key] == earlier_names.NOW:
            name = _formatted(earlier_names.PATTERNS[artefact], parts)
            if (self.folder / name).exists() or (self.origin and name in self.origin.listing):
                return name
        elif parts[key] == earlier_names.EARLIER:
            # Such an atlas has no file of the present preset of this name.
            return _formatted(present, {**parts, key: f"{earlier_names.EARLIER}-of-blocks"})
        return _formatted(present, parts)

    def fetch_all(self) -> None:
        """Fetch every file of a remote atlas that is not here yet, or whose copy is damaged."""
        if self.origin is not None:
            for name in self.origin.listing:
                if not self.origin.has_copy(name):
                    self.origin.fetch(name)

    @property
    def own_classes(self) -> Path | None:
        """The file of the user's own classes of heads, or None if the atlas keeps none."""
        file = self.file("classes")
        return file.fetch() if file.is_file() else None

    def command(self, words: str) -> str:
        """Return a command for this atlas that works when it is pasted into a shell."""
        start, options, rest = words.partition(" --")
        return f"`motifs {start} {self.option}{options}{rest}`"

    def rebuild(self, artefact: str, **parts: Any) -> str:
        """Return words that say how to make a file of an atlas again.

        Args:
            artefact: a key of `ARTEFACTS`.
            parts: as for `file`; a model that was added is made by another command.
        """
        described = ARTEFACTS[artefact]
        if described.stage == "extract":
            return f"run {self.extract_command(parts.get('model'))}"
        if described.stage == "create":
            return "restore it from a copy, or build the atlas again in another folder"
        if not described.command or (self._is_imported and described.stage in NEEDS_MODEL):
            return "restore it from a copy, or delete it"
        if "space" in parts:
            parts = {"metric": "mean" if parts["space"] == "embedding" else parts["space"]}
        quoted = {name: shlex.quote(str(value)) for name, value in parts.items()}
        return f"run {self.command(described.command.format(**quoted))}"

    @property
    def _is_imported(self) -> bool:
        return self.manifest is not None and self.manifest.configuration.prompts == IMPORTED

    def extract_command(self, model: str | None = None, sets: tuple[str, ...] = ()) -> str:
        """Return the command that makes the features (of one model) again.

        Args:
            model: by default all models.
            sets: feature sets that the atlas is to gain.
        """
        record = self.manifest.models.get(model or "") if self.manifest else None
        more = "".join(f" --features {shlex.quote(name)}" for name in sets)
        if record is not None and record.added:
            requested = record.wanted or (
                f"{model}=PATH" if record.kind in ("folder", "gguf") else str(model)
            )
            return self.command(f"add {shlex.quote(requested)}")
        if self._is_imported:
            return self.command(f"import-pattern-lens DIR{more}")
        return self.command(f"extract{more}")
