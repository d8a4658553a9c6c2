"""Comparison of the models on the disk with those that an atlas was made with."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from attention_motifs.atlas import Atlas
from attention_motifs.errors import InputError

if TYPE_CHECKING:
    from attention_motifs.extraction import ModelIdentity
    from attention_motifs.models.model import ModelInfo


def changes(atlas: Atlas, identity: ModelIdentity | ModelInfo) -> list[str]:
    """Return what differs from the model of this name in the atlas, such as `weights`."""
    from attention_motifs.models.identity import differences

    recorded = atlas.manifest.models.get(identity.name)
    if recorded is None:
        return []
    return differences(identity, recorded)


def as_recorded(atlas: Atlas, requested: str, identity: ModelIdentity) -> ModelIdentity:
    """Return the identity as the atlas records it, after checking that the model is the same.

    Args:
        atlas: read, not written.
        requested: name or path of the model, as the user gives it.
        identity: of its files as they are now.

    Raises:
        InputError: if the atlas was made with other weights or another tokenizer of this name.
    """
    if changed := changes(atlas, identity):
        raise changed_model(atlas, requested, identity.name, changed)
    recorded = atlas.manifest.models.get(identity.name)
    tokenizer = (recorded.tokenizer_sha256 if recorded else None) or identity.tokenizer_sha256
    # Atlases of earlier versions record no digest of the configuration.
    config = recorded.config_sha256 if recorded else identity.config_sha256
    return replace(identity, tokenizer_sha256=tokenizer, config_sha256=config)


def changed_model(atlas: Atlas, requested: str, name: str, changed: list[str]) -> InputError:
    """Build the error for a model that is not the one that the atlas was made with.

    Args:
        atlas: the atlas.
        requested: name or path of the model, as the user gives it.
        name: its name in the atlas.
        changed: what differs, such as `weights`.
    """
    from attention_motifs.models.in_memory import model_given

    replacing = command(atlas, "add", requested, "--replace")
    if model_given(name) is not None:
        replacing = f"am.add({str(atlas.place)!r}, {{{name!r}: (model, tokenizer)}}, replace=True)"
    removing = command(atlas, "remove", name)
    return InputError(
        f"{requested}: its {' and '.join(changed)} changed since {atlas.place} was made with it. "
        f"Run {replacing} to replace it, {removing} to remove it, or add it under another name "
        "with NAME=PATH"
    )


def command(atlas: Atlas, *words: str) -> str:
    """Return a command for this atlas that works when it is pasted into a shell."""
    return atlas.paths.command(shlex.join(words))


def name_of(requested: str) -> str:
    """Return the name that a model has in an atlas, also where its path does not exist any more.

    Args:
        requested: name or path of the model, as the user gives it.
    """
    from attention_motifs.models.sources import resolve

    name, equals, _path = requested.partition("=")
    if equals:
        return name
    try:
        return resolve(requested).name
    except InputError:
        path = Path(requested)
        return path.stem if path.suffix.lower() == ".gguf" else path.name


def recorded_name(atlas: Atlas, requested: str) -> str:
    """Return the name in the atlas of one of the models of its configuration.

    A relative path may not exist in the present working folder, where it can read as a hub id.

    Args:
        atlas: the atlas.
        requested: an entry of `models` in its configuration.
    """
    models = atlas.manifest.models
    name, equals, _path = requested.partition("=")
    path = Path(requested)
    last = path.stem if path.suffix.lower() == ".gguf" else path.name
    if name in models and (equals or not models[name].is_local):
        return name
    if last in models and models[last].is_local:
        return last
    return name_of(requested)
