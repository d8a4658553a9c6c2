"""`atlas.json`: the settings of an atlas, its models, and the journal of its stages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any

from msgspec import Meta

from attention_motifs.errors import AtlasError, InputError
from attention_motifs.head import check_model_name
from attention_motifs.store import earlier_names, files
from attention_motifs.store.settings import Configuration
from attention_motifs.store.validated_json import convert, shown

SCHEMA_VERSION = 1

Count = Annotated[int, Meta(ge=0, le=2**48)]
Positive = Annotated[int, Meta(ge=1, le=2**20)]

IMPORTED = "pattern-lens"
"""Value of the setting `prompts` in an atlas whose patterns were imported."""


NO_PROBES: Mapping[str, Any] = {"n": 0, "sha256": ""}
"""Value of `probes` in an atlas without probes."""


@dataclass(frozen=True)
class ModelRecord:
    """Facts about one model of an atlas. It holds no path of the machine but `wanted`."""

    name: str
    kind: str
    """`packaged`, `hub`, `folder`, `gguf`, `memory` for a model that was given as an object, or
    `pattern-lens` for imported patterns."""
    n_layers: Positive
    n_heads: Positive
    """Query heads per layer."""
    weights_sha256: str
    tokenizer_sha256: str | None = None
    config_sha256: str | None = None
    """Digest of the settings that change patterns; None for packaged and GGUF models."""
    location: str | None = None
    """Hub id, requirement of the package, the last part of a local path, or a class."""
    revision: str | None = None
    """Commit on the hub."""
    licence: str | None = None
    architecture: str | None = None
    """`model_type` in transformers."""
    n_parameters: int | None = None
    """Without the language-model head."""
    dtype: str | None = None
    """The dtype it ran in; None for imported patterns."""
    device: str | None = None
    tap: str | None = None
    bos: bool | None = None
    """Whether its prompts begin with a BOS token."""
    set_aside: tuple[str, ...] = ()
    """Settings and files of the model's folder that were set aside."""
    added: bool = False
    """Whether it was placed in an embedding that was fitted without it."""
    wanted: str | None = None
    """Name or path under which the user requested it, where the configuration has none."""
    softmax_layers: Annotated[tuple[Count, ...], Meta(min_length=1)] | None = None
    """Numbers of the layers that were read, of a hybrid; None for all layers."""

    @property
    def layers(self) -> tuple[int, ...]:
        """Numbers of the layers whose heads the atlas holds, in the order of its tables."""
        return tuple(range(self.n_layers)) if self.softmax_layers is None else self.softmax_layers

    @property
    def row_of_layer(self) -> dict[int, int]:
        """Row of each layer in arrays (layers, heads) of the model, such as `Atlas.triangles`."""
        return {layer: row for row, layer in enumerate(self.layers)}

    def place_of(self, layer: int, index: int) -> tuple[int, int]:
        """Return the place of a head in arrays (layers, heads) of the model."""
        return self.row_of_layer[layer], index

    @property
    def n_all_heads(self) -> int:
        """Heads of all layers."""
        return len(self.layers) * self.n_heads

    @property
    def is_local(self) -> bool:
        """Whether it is read from a folder or file of the user."""
        return self.kind in ("folder", "gguf")

    @property
    def is_imported(self) -> bool:
        """Whether its patterns were imported, so that there is no model to run."""
        return self.kind == IMPORTED

    @classmethod
    def from_json(cls, value: Mapping[str, Any], where: str = "model record") -> ModelRecord:
        """Read a record; unknown keys are passed over.

        Args:
            value: a JSON object; older atlases may lack the keys that have a default.
            where: name of the value in errors.

        Raises:
            InputError: if a key is missing or its value is of another type.
        """
        record = convert(dict(value), cls, where)
        layers = record.softmax_layers
        if layers is not None and list(layers) != sorted({*layers} & {*range(record.n_layers)}):
            raise InputError(
                f"{where}: 'softmax_layers' is {shown(list(layers))}; give numbers from 0 to "
                f"{record.n_layers - 1}, in order"
            )
        return record

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object of the facts that are known."""
        return {k: v for k, v in asdict(self).items() if v is not None}


@dataclass(frozen=True)
class Manifest:
    """`atlas.json`. It holds no times and no machine's paths: equal runs write equal files."""

    configuration: Configuration
    package_version: str
    prompts: Mapping[str, Any]
    """`n` and `sha256` of the prompts."""
    models: Mapping[str, ModelRecord]
    """Records by name, in the order of the heads."""
    imputed: Mapping[str, Mapping[str, int]]
    """Per model: how many values of which feature were not finite."""
    stages: Mapping[str, str]
    """Journal: the digest of the inputs that each finished stage was computed from."""
    probes: Mapping[str, Any] = field(default_factory=lambda: dict(NO_PROBES))
    """`n` and `sha256` of the probes, before they become tokens of a model."""
    schema_version: int = SCHEMA_VERSION
    has_earlier_names: bool = False
    """Whether the files on disk have the names of an earlier version; not written."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object; the order of the models is in a list of its own."""
        value = asdict(replace(self, models={}))
        value["models"] = {name: record.to_json() for name, record in self.models.items()}
        value["model_order"] = list(self.models)
        del value["has_earlier_names"]
        return value


@dataclass(frozen=True)
class _PromptsSection:
    n: Count
    sha256: str


@dataclass(frozen=True)
class _ManifestFile:
    """The parts of `atlas.json` with their types; those of the models are checked one by one."""

    configuration: dict[str, Any]
    package_version: str
    prompts: _PromptsSection
    models: dict[str, dict[str, Any]]
    model_order: list[str]
    imputed: dict[str, dict[str, Count]] = field(default_factory=dict)
    stages: dict[str, str] = field(default_factory=dict)
    probes: _PromptsSection = field(default_factory=lambda: _PromptsSection(**NO_PROBES))


def read_manifest(file: files.Location) -> Manifest:
    """Read `atlas.json`.

    Raises:
        AtlasError: if it is missing, damaged, of another schema version, or holds a value that
            cannot be used; one line with key, value and fix.
    """
    fix = "restore it from a copy, or build the atlas again in another folder"
    value = files.read_json(file, fix)
    version = value.get("schema_version") if isinstance(value, dict) else None
    if version != SCHEMA_VERSION or isinstance(version, bool):
        made_by = value.get("package_version") if isinstance(value, dict) else None
        raise AtlasError(
            f"{file}: schema version {shown(version)}, this program reads {SCHEMA_VERSION}; "
            f"use the version of attention-motifs that made it ({shown(made_by)}), or build "
            "the atlas again in another folder"
        )
    try:
        return _checked_manifest(value, str(file))
    except InputError as error:
        raise AtlasError(f"{error}; or {fix}") from error


def _checked_manifest(value: dict[str, Any], where: str) -> Manifest:
    parts = convert(value, _ManifestFile, where)
    models = {}
    for name in parts.model_order:
        try:
            check_model_name(name)
        except InputError as error:
            raise InputError(f"{where}: model_order: {error}") from error
        at = f"{where}: models.{name}"
        if name not in parts.models:
            raise InputError(f"{at}: is missing; add the record of that model")
        record = ModelRecord.from_json(parts.models[name], at)
        if name != record.name:
            raise InputError(f"{at}: 'name' is {shown(record.name)}; give {name!r}")
        models[name] = record
    if len(models) != len(parts.model_order) or models.keys() != parts.models.keys():
        raise InputError(f"{where}: 'model_order' is not the list of the models; name each once")
    if not re.fullmatch("[0-9a-f]{64}", parts.prompts.sha256):
        raise InputError(f"{where}: prompts: 'sha256' is not a SHA-256; give 64 hex digits")
    try:
        configuration = Configuration.from_json(parts.configuration)
    except InputError as error:
        raise InputError(f"{where}: configuration: {error}") from error
    return Manifest(
        configuration,
        parts.package_version,
        asdict(parts.prompts),
        models,
        parts.imputed,
        earlier_names.present_stages(parts.stages),
        asdict(parts.probes),
        has_earlier_names=earlier_names.has_earlier_names(parts.stages),
    )
