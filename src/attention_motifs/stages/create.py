"""Atlases made with their prompts, or opened with the same settings; classes of a user."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from attention_motifs.atlas import Atlas
from attention_motifs.distances import register_preset
from attention_motifs.errors import AtlasError, InputError, ModelError, ResourceError
from attention_motifs.features import feature_names
from attention_motifs.literature import load_known_heads
from attention_motifs.prompts import load_prompts, meta_json, prompts_digest
from attention_motifs.stages.heads import write_heads
from attention_motifs.stages.probe_sequences import (
    PROBE_SETTINGS,
    probes_table,
    set_probes,
    table_digest,
)
from attention_motifs.stages.same_model import command, name_of, recorded_name
from attention_motifs.stages.stage import under_lock
from attention_motifs.store import files, remote
from attention_motifs.store.paths import ARTEFACTS, MANIFEST
from attention_motifs.store.settings import Configuration

if TYPE_CHECKING:
    import polars as pl

    from attention_motifs.embedding.presets import Preset
    from attention_motifs.prompts import Prompt


def prompts_table(prompts: Sequence[Prompt]) -> pl.DataFrame:
    """As written to `prompts.parquet`; the column `meta` is left out if no prompt has labels."""
    import polars as pl

    labels = [meta_json(p.meta) for p in prompts]
    return pl.DataFrame(
        {
            "prompt_id": [p.prompt_id for p in prompts],
            "text": [p.text for p in prompts],
            "source": [p.source for p in prompts],
            **({"meta": pl.Series(labels, dtype=pl.String)} if any(labels) else {}),
        }
    )


def create_or_resume(path: str | Path, configuration: Configuration) -> Atlas:
    """Open the atlas at `path` if it has this configuration, or make it.

    An atlas without patterns is made again, so that a mistake in the settings or in the prompts can
    be corrected. An atlas that lacks some of the feature sets gains them. A model is known by its
    name, and prompts by their texts, however their paths are written.

    Args:
        path: folder of the atlas, or its URL.
        configuration: settings of the atlas.

    Raises:
        AtlasError: if the folder holds an atlas of other settings or of other prompts.
        InputError: if prompts or settings cannot be used.
    """
    check_configuration(configuration)
    if not (remote.paths_of(path).folder / MANIFEST).is_file() or _is_empty(Atlas.open(path)):
        prompts = _prompts_of(configuration)
        _check_lengths(prompts, configuration)
        atlas = Atlas.create(path, configuration, prompts_table(prompts), prompts_digest(prompts))
        set_probes(atlas, configuration)
        return atlas
    atlas = Atlas.open(path)
    _check_same_settings(atlas, configuration)
    _check_same_prompts(atlas, configuration)
    _check_same_probes(atlas, configuration)
    _find_models_again(atlas, configuration)
    add_feature_sets(atlas, configuration.feature_sets)
    if not atlas.manifest.configuration.has_probes:
        set_probes(atlas, configuration)
    add_presets(atlas, configuration.presets)
    return atlas


def _prompts_of(configuration: Configuration) -> list[Prompt]:
    c = configuration
    return load_prompts(
        c.prompts, c.n_prompts, c.seed, min_chars=c.min_chars, max_chars=c.max_chars
    )


def check_folder(path: str | Path, *, force: bool = False) -> None:
    """Refuse to write a new atlas among other files.

    Args:
        path: folder of the atlas, or its URL.
        force: whether to write among other files all the same.

    Raises:
        InputError: if the folder exists, holds files, and holds no atlas, or `force` is no bool.
        ResourceError: if the folder cannot be read.
    """
    if not isinstance(force, bool):
        raise InputError(f"force={force!r:.80}: expected True or False")
    folder = remote.work_folder(path)
    if force or remote.is_url(path) or not folder.is_dir():
        return
    try:
        names = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
    except PermissionError as error:
        raise ResourceError(
            f"{folder}: no permission to read it. Ask its owner for access, or name another folder"
        ) from error
    # An atlas that was interrupted when it was new has its prompts alone, with their digest.
    of_new_atlas = {ARTEFACTS[artefact].pattern for artefact in ("prompts", "digests")}
    if MANIFEST not in names and not of_new_atlas.issuperset(names):
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        raise InputError(
            f"{folder}: holds other files ({shown}) and no atlas. Name a new folder with --atlas, "
            "or write the atlas among them with --force (force=True)"
        )


_SHORT = 40
"""Characters of a text that may be one token."""


def _check_lengths(prompts: Sequence[Prompt], configuration: Configuration) -> None:
    """Refuse prompts that are too short for a pattern, before the weights of a model are loaded.

    Raises:
        InputError: naming the file and the line of the first one.
    """
    from attention_motifs.extraction.loading import load_tokenizer
    from attention_motifs.models.tokenizing import count_tokens

    short = [prompt for prompt in prompts if len(prompt.text) <= _SHORT]
    for model in configuration.models if short else ():
        try:
            tokenizer = load_tokenizer(model)
        except (ModelError, ResourceError):  # loading the model says more
            continue
        for prompt in short:
            n_tokens = count_tokens(tokenizer, prompt.text, configuration.bos)
            if n_tokens < 2:
                raise InputError(
                    f"{prompt.place or f'prompt {prompt.prompt_id}'}: the text {prompt.text!r} has "
                    f"{n_tokens} token(s) with {model}; a pattern needs at least 2. Remove or "
                    "lengthen the text"
                )


@under_lock
def add_feature_sets(atlas: Atlas, sets: Sequence[str]) -> None:
    """Add feature sets to those of the atlas, after them.

    Args:
        atlas: the atlas to write to.
        sets: names of feature sets.

    Raises:
        InputError: if a set is not known.
    """
    configuration = atlas.manifest.configuration
    joined = tuple(dict.fromkeys([*configuration.feature_sets, *sets]))
    feature_names(list(joined))
    if joined != configuration.feature_sets:
        atlas.update(configuration=replace(configuration, feature_sets=joined))


@under_lock
def add_presets(atlas: Atlas, presets: Sequence[Preset]) -> None:
    """Add presets to those of the atlas; those of the same names are replaced.

    Args:
        atlas: the atlas to write to.
        presets: presets of the user.

    Raises:
        InputError: if the atlas lacks a feature set or probes, or a name is that of a metric.
    """
    configuration = atlas.manifest.configuration
    joined = {preset.name: preset for preset in (*configuration.presets, *presets)}
    if tuple(joined.values()) != configuration.presets:
        for preset in joined.values():
            register_preset(preset.name, preset.description)
        atlas.update(configuration=replace(configuration, presets=tuple(joined.values())))


def _is_empty(atlas: Atlas) -> bool:
    """Return whether the atlas has no part of any model's features."""
    return not atlas.models and not atlas.paths.existing("features")


def _check_same_settings(atlas: Atlas, configuration: Configuration) -> None:
    recorded = atlas.manifest.configuration
    differing = [
        f"{name} {getattr(recorded, name)!r}, not {getattr(configuration, name)!r}"
        for name in configuration.__dataclass_fields__
        if getattr(recorded, name) != getattr(configuration, name)
        and name
        not in ("feature_sets", "models", "presets", "preset_version", "prompts", "probe_file")
        and (name not in PROBE_SETTINGS or recorded.has_probes)
    ]
    if recorded.feature_sets[0] != configuration.feature_sets[0]:  # that of the embedding
        differing.append(
            f"features {recorded.feature_sets[0]!r} first, not {configuration.feature_sets[0]!r}"
        )
    names = [recorded_name(atlas, requested) for requested in recorded.models]
    if names != list(map(name_of, configuration.models)):
        differing.append(f"models {recorded.models!r}, not {configuration.models!r}")
    if differing:
        raise AtlasError(
            f"{atlas.place}: was made with {'; '.join(differing)}. Use another --atlas, the same "
            f"settings, {command(atlas, 'add', 'MODEL')} to place a new model in it, or "
            f"{command(atlas, 'probe')} with other settings to replace its probes"
        )


def _check_same_prompts(atlas: Atlas, configuration: Configuration) -> None:
    """Compare the texts; a prompts file that was deleted since is not needed any more."""
    recorded = atlas.manifest.configuration
    renamed = configuration.prompts != recorded.prompts
    if not renamed and not Path(recorded.prompts).is_file():
        return
    prompts = _prompts_of(configuration)
    if prompts_digest(prompts) != atlas.manifest.prompts["sha256"]:
        difference = (
            f"was made with prompts {recorded.prompts!r}, not {configuration.prompts!r}"
            if renamed
            else f"was made when {recorded.prompts} held other texts"
        )
        raise AtlasError(f"{atlas.place}: {difference}. Use another --atlas, or the same prompts")
    table = prompts_table(prompts)
    if "meta" in table.columns and not table["meta"].equals(atlas.prompts["meta"]):
        atlas.write_prompts(table)  # other labels of the same texts


def _check_same_probes(atlas: Atlas, configuration: Configuration) -> None:
    """Compare the probes; a file that was deleted since is not needed any more.

    An atlas without probes gains them.
    """
    recorded = atlas.manifest.configuration
    renamed = configuration.probe_file != recorded.probe_file
    gone = recorded.probe_file is not None and not Path(recorded.probe_file).is_file()
    if not recorded.has_probes or (not renamed and gone):
        return
    if table_digest(probes_table(configuration)) != atlas.manifest.probes["sha256"]:
        difference = (
            f"was made with probe_file {recorded.probe_file!r}, not {configuration.probe_file!r}"
            if renamed
            else f"was made when {recorded.probe_file} held other probes"
        )
        raise AtlasError(
            f"{atlas.place}: {difference}. Use the same file, or replace the probes with "
            f"{command(atlas, 'probe', '--probe-file', configuration.probe_file or 'FILE')}"
        )


def _find_models_again(atlas: Atlas, configuration: Configuration) -> None:
    """Record the present paths of local models whose recorded paths do not exist any more."""
    recorded = atlas.manifest.configuration
    models = tuple(
        old if _exists(old, name_of(new)) else new
        for old, new in zip(recorded.models, configuration.models, strict=True)
    )
    if models != recorded.models:
        atlas.update(configuration=replace(recorded, models=models))


def _exists(requested: str, name: str) -> bool:
    """Return whether an entry of the configuration names this model, seen from here."""
    from attention_motifs.models.sources import resolve

    try:
        return resolve(requested).name == name
    except InputError:
        return False


def check_configuration(configuration: Configuration) -> None:
    """Refuse settings that cannot work, before anything is loaded.

    Raises:
        InputError: if a value cannot be used, or two models have the same name.
    """
    from attention_motifs.models.sources import resolve

    if not isinstance(configuration, Configuration):
        raise InputError(f"configuration = {configuration!r:.80}: expected a Configuration")
    feature_names(list(configuration.feature_sets))
    for preset in configuration.presets:
        register_preset(preset.name, preset.description)
    named: dict[str, str] = {}
    for requested in configuration.models:
        name = resolve(requested).name
        if name in named:
            raise InputError(
                f"models {named[name]!r} and {requested!r} are both called {name}; give one of "
                "them another name with NAME=PATH, or leave it out"
            )
        named[name] = requested


@under_lock
def save_classes(atlas: Atlas, file: Path) -> int:
    """Copy a file of classes into the atlas, and label its heads by it.

    The copy replaces an earlier one. A call that was stopped is finished by the same call, or by
    the next build.

    Args:
        atlas: the atlas to write to.
        file: as `load_known_heads` reads it.

    Returns:
        Number of statements in the file about heads of this atlas.

    Raises:
        InputError: if the file is missing or malformed; the atlas is not changed.
    """
    assignments = load_known_heads(file).assignments[len(load_known_heads().assignments) :]
    with files.atomic(atlas.file("classes")) as unfinished:
        shutil.copyfile(file, unfinished)
    write_heads(atlas)
    literature = load_known_heads(atlas.file("classes").path)
    records = {literature.model_name(m): info for m, info in atlas.manifest.models.items()}
    heads = [a.head for a in assignments if a.head.model in records]
    return sum(
        h.layer in records[h.model].layers and h.index < records[h.model].n_heads for h in heads
    )


@under_lock
def forget_classes(atlas: Atlas) -> bool:
    """Delete the user's classes from the atlas, and remove the labels of its heads.

    Args:
        atlas: the atlas to write to.

    Returns:
        Whether there were any.
    """
    existed = atlas.paths.own_classes is not None
    files.remove(atlas.file("classes"))
    write_heads(atlas)
    return existed
