"""The files of an atlas: one table of their names, contents, stages and rebuild commands.

Paths, `motifs check`, error messages, remote copies and docs/atlas.md come from this table. No
other module spells the name of a file of an atlas or the command that makes it.
"""

from __future__ import annotations

import glob
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from attention_motifs.head import model_folder
from attention_motifs.store.manifest import IMPORTED, Manifest

if TYPE_CHECKING:
    from attention_motifs.store.inventory import FileEntry


@dataclass(frozen=True)
class Artefact:
    """One kind of file of an atlas."""

    pattern: str
    """Name within the atlas; `{model}`, `{metric}` and so on stand for what differs."""
    holds: str
    """Contents, for docs/atlas.md."""
    stage: str
    """Stage that makes it; `user` for files that a person makes."""
    command: str = ""
    """Words after `motifs` that make it again; empty if no command does."""
    columns: tuple[str, ...] = ()
    """Columns that a table always has."""
    page: str = ""
    """Page of the docs with more about it."""
    kept: bool = False
    """Whether the command keeps an existing file: a damaged one is then deleted first."""
    travels: bool = True
    """Whether it is published and copied with the atlas. False for what is made from the atlas."""


ARTEFACTS: Mapping[str, Artefact] = {
    "manifest": Artefact(
        "atlas.json",
        "schema version, package version, configuration, models with the SHA-256 of their weights, "
        "digest of the prompts, counts of imputed values, journal of stages",
        "create",
    ),
    "prompts": Artefact(
        "prompts.parquet",
        "prompts in the order of every table; `prompt_id` is the first 16 hex digits of the "
        "SHA-256 of the text",
        "create",
        columns=("prompt_id", "text", "source"),
    ),
    "tokens": Artefact(
        "tokens/{model}.parquet",
        "tokens of each prompt",
        "extract",
        "extract",
        ("prompt_id", "token_ids", "tokens"),
        kept=True,
    ),
    "heads": Artefact(
        "heads.parquet",
        "one row per head: `depth` is 0 for the first layer and 1 for the last; behaviour scores "
        "add columns",
        "extract",
        "extract",
        ("head", "model", "layer", "index", "depth", "classes"),
        kept=True,
    ),
    "classes": Artefact(
        "classes.json",
        "your own classes of heads",
        "user",
        "classes --file FILE --save",
        page="known-heads.md#your-own-classes",
    ),
    "features": Artefact(
        "features/{model}/part-{block:05d}.parquet",
        "one float32 column per feature; 16 prompts per part",
        "extract",
        "extract",
        ("head", "prompt_id", "n_tokens"),
        kept=True,
    ),
    "embedding": Artefact(
        "embedding.safetensors",
        "the fitted pattern embedding: means, deviations, components",
        "embed",
        "embed --force",
    ),
    "embedding_settings": Artefact(
        "embedding.json", "columns and settings of the embedding", "embed", "embed --force"
    ),
    "recommended": Artefact(
        "recommended.safetensors",
        "the fitted preset `recommended`: quantiles per feature and length, whitening matrix",
        "embed",
        "embed --force",
        page="distances.md#the-preset-recommended",
    ),
    "recommended_settings": Artefact(
        "recommended.json",
        "columns and settings of the preset `recommended`",
        "embed",
        "embed --force",
        page="distances.md#the-preset-recommended",
    ),
    "embedded": Artefact(
        "embedded/{model}.parquet",
        "embedded patterns: `pc0`, `pc1` and so on",
        "embed",
        "embed --force",
        ("head", "prompt_id"),
    ),
    "recommended_clouds": Artefact(
        "recommended/{model}.parquet",
        "patterns in the space of the preset `recommended`: `w0`, `w1` and so on",
        "embed",
        "embed --force",
        ("head", "prompt_id"),
    ),
    "distances": Artefact(
        "distances/{metric}.npy",
        "float32, heads x heads, in the order of `heads.parquet`",
        "distances",
        "distances --metric {metric} --force",
    ),
    "neighbours": Artefact(
        "neighbours/{metric}/part-{part:05d}.safetensors",
        "instead of `distances/`, with more than 20,000 heads: the nearest heads of each head",
        "distances",
        "distances --metric {metric} --force",
        page="scale.md#many-heads",
    ),
    "neighbour_index": Artefact(
        "neighbours/{metric}/index.safetensors",
        "the index of heads, with more than 20,000 heads",
        "distances",
        "distances --metric {metric} --force",
        page="scale.md#many-heads",
    ),
    "head_clouds": Artefact(
        "neighbours/clouds-{space}.npy",
        "clouds of all heads, one head after the other, with more than 20,000 heads",
        "distances",
        "distances --metric {metric} --force",
        page="scale.md#many-heads",
    ),
    "projections": Artefact(
        "projections.parquet",
        "one row per head and projection; `scope` is a model or `all`",
        "project",
        "project --force",
        (
            "head",
            "scope",
            "method",
            "n_neighbors",
            "n_components",
            "x",
            "y",
            "z",
            "trustworthiness",
            "continuity",
            "n_pieces",
            "note",
        ),
        "maps.md",
    ),
    "labels": Artefact(
        "clusters/labels.parquet",
        "one column of cluster numbers per clustering; -1: in no cluster",
        "cluster",
        "cluster",
        ("head",),
        "maps.md#clusters",
        kept=True,
    ),
    "cluster_names": Artefact(
        "clusters/names.json",
        "names that you gave to clusters",
        "user",
        page="maps.md#composition-and-names",
    ),
    "clusters": Artefact(
        "clusters/{method}.json",
        "parameters, clusters with their heads, and stability",
        "cluster",
        "cluster --method {method}",
        page="maps.md#clusters",
        kept=True,
    ),
    "linkage": Artefact(
        "clusters/linkage-{method}.npy",
        "the tree of a hierarchical method, in scipy's form",
        "cluster",
        "cluster --method {method}",
        page="maps.md#clusters",
        kept=True,
    ),
    "evaluation": Artefact(
        "evaluation.json",
        "per metric, every row of `motifs evaluate`",
        "evaluate",
        "evaluate",
        page="evaluation.md",
        kept=True,
    ),
    "patterns": Artefact(
        "patterns/{model}/{prompt}.safetensors",
        "`triangles`, uint8 (layers, heads, n(n+1)/2): lower triangles, row by row, 255 times the "
        "square root of the entry",
        "extract",
        "extract",
        kept=True,
    ),
    "ablations": Artefact(
        "ablations.parquet",
        "effects of ablating heads: one row per head, set, control or test",
        "ablate",
        "ablate",
        page="ablation.md#the-table",
        kept=True,
    ),
    "ablation_parts": Artefact(
        "ablations/{model}/{inputs}/part-{part:05d}.parquet",
        "measurements sequence by sequence, so that a stopped sweep continues",
        "ablate",
        "ablate",
        kept=True,
    ),
    "figures": Artefact("figures", "figures", "figures", "figures", travels=False),
    "site": Artefact(
        "site",
        "the explorer, for any static host",
        "site",
        "site",
        page="explorer.md",
        travels=False,
    ),
}
"""Every file of an atlas by a short name, in the order of docs/atlas.md."""

NEEDS_MODEL = ("score", "ablate")
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

ATLAS_FILES = tuple(_glob(a.pattern, {}) for a in ARTEFACTS.values() if a.travels)
"""Glob patterns of all that belongs to an atlas and travels with it."""


class Origin(Protocol):
    """The remote place that the files of a folder are fetched from."""

    url: str

    @property
    def listing(self) -> Mapping[str, FileEntry]:
        """All files of the atlas but those deleted here, fetched or not."""
        ...

    def fetch(self, name: str) -> None:
        """Fetch a listed file into the folder."""
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

        Raises:
            RemoteError: if it cannot be fetched.
        """
        if self.paths.origin is not None and self._is_listed() and not self.path.exists():
            self.paths.origin.fetch(self.name)
        return self.path

    def read_bytes(self) -> bytes:
        """Return the contents."""
        return self.fetch().read_bytes()

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

    def existing(self, artefact: str, **parts: Any) -> list[AtlasFile]:
        """Return the files of one kind that exist, here or at the remote place, by name.

        Args:
            artefact: a key of `ARTEFACTS`.
            parts: values of some placeholders; the others may be anything.
        """
        pattern = ARTEFACTS[artefact].pattern
        here = self.folder.glob(_glob(pattern, parts))
        names = {path.relative_to(self.folder).as_posix() for path in here}
        names |= set(self.origin.listing if self.origin else ())
        parse, found = _parser(pattern), []
        for name in sorted(names - _FIXED_NAMES if "{" in pattern else names):
            match = parse.fullmatch(name)
            values = {} if match is None else _values(pattern, match)
            if match is not None and values.items() >= parts.items():
                found.append(AtlasFile(self, artefact, values))
        return found

    def fetch_all(self) -> None:
        """Fetch every file of a remote atlas that is not here yet."""
        if self.origin is not None:
            for name in self.origin.listing:
                if not (self.folder / name).exists():
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
            wanted = record.wanted or (
                f"{model}=PATH" if record.kind in ("folder", "gguf") else str(model)
            )
            return self.command(f"add {shlex.quote(wanted)}")
        if self._is_imported:
            return self.command(f"import-pattern-lens DIR{more}")
        return self.command(f"extract{more}")
