"""Identity of a model: its name, origin and the digests of its files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from attention_motifs.models.adapters import merge_record
from attention_motifs.models.convert import conversion_record
from attention_motifs.models.digests import config_sha256, tokenizer_sha256, weights_sha256
from attention_motifs.models.in_memory import MEMORY, ModelInMemory
from attention_motifs.models.sources import ModelReference

if TYPE_CHECKING:
    from attention_motifs.models.model import ModelInfo
    from attention_motifs.store.manifest import ModelRecord


@dataclass(frozen=True)
class ModelIdentity:
    """Name, origin, digests and dtype of a model: the patterns of a text depend on nothing else.

    It holds no path of the machine.
    """

    name: str
    kind: str
    location: str
    """Hub id, requirement of the package, the last part of a local path, or a class."""
    revision: str | None
    """Commit on the hub."""
    weights_sha256: str
    """Digest of the weight files; of the GGUF file for packaged and GGUF models; of the tensors for
    a model in memory."""
    tokenizer_sha256: str
    config_sha256: str | None
    """Digest of the settings that change patterns; None for packaged and GGUF models, whose
    configuration is in the GGUF file."""
    licence: str | None
    dtype: str
    """In which the model runs."""


def differences(model: ModelIdentity | ModelInfo, record: ModelRecord) -> list[str]:
    """Return which of weights, tokenizer and configuration differ from an atlas's record.

    What the record does not hold is not compared. The tokenizer of a packaged or GGUF model is not
    compared either: it is in the GGUF file, and its converted form depends on the version of
    transformers.

    Args:
        model: the model as it is now.
        record: the model in an atlas's manifest.
    """
    compared = {"weights": "weights_sha256"}
    if model.config_sha256 is not None:
        compared |= {"tokenizer": "tokenizer_sha256", "configuration": "config_sha256"}
    return [
        part
        for part, key in compared.items()
        if getattr(record, key) not in (None, getattr(model, key))
    ]


def identity_of(reference: ModelReference, folder: Path, dtype: str) -> ModelIdentity:
    """Return the identity of a model whose files are in `folder`, as they are now.

    Raises:
        ModelError: if config.json or the index of shards cannot be read.
    """
    record, merge = conversion_record(folder), merge_record(folder)
    return ModelIdentity(
        name=reference.name,
        kind=reference.kind,
        location=record.get("location") or _shown_location(reference),
        revision=merge.get("revision", _revision(folder)) if reference.kind == "hub" else None,
        weights_sha256=record.get("sha256") or merge.get("sha256") or weights_sha256(folder),
        tokenizer_sha256=tokenizer_sha256(folder),
        config_sha256=None if record else config_sha256(folder),
        licence=record.get("licence"),
        dtype=dtype,
    )


def identity_in_memory(held: ModelInMemory) -> ModelIdentity:
    """Return the identity of a model that is given as an object, as its weights are now."""
    return ModelIdentity(
        name=held.name,
        kind=MEMORY,
        location=held.location,
        revision=None,
        weights_sha256=held.weights_sha256,
        tokenizer_sha256=held.tokenizer_sha256,
        config_sha256=held.config_sha256,
        licence=None,
        dtype=held.dtype,
    )


def _shown_location(reference: ModelReference) -> str:
    return reference.location if reference.kind == "hub" else Path(reference.location).name


def _revision(folder: Path) -> str | None:
    """Return the commit of a hub snapshot, which is the name of its folder."""
    return folder.name if re.fullmatch(r"[0-9a-f]{40}", folder.name) else None
