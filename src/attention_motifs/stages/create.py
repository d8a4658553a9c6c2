"""Make an atlas with its prompts, or open the one that is there with the same settings."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from attention_motifs.atlas import Atlas
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.features import feature_names
from attention_motifs.literature import load_known_heads
from attention_motifs.prompts import load_prompts, prompts_digest
from attention_motifs.stages.heads import write_heads
from attention_motifs.store import files, remote
from attention_motifs.store.settings import Configuration

if TYPE_CHECKING:
    import polars as pl

    from attention_motifs.prompts import Prompt


def prompts_table(prompts: Sequence[Prompt]) -> pl.DataFrame:
    """As written to `prompts.parquet`."""
    import polars as pl

    return pl.DataFrame(
        {
            "prompt_id": [p.prompt_id for p in prompts],
            "text": [p.text for p in prompts],
            "source": [p.source for p in prompts],
        }
    )


def create_or_resume(path: str | Path, configuration: Configuration) -> Atlas:
    """Open the atlas at `path` if it has this configuration, or make it.

    An atlas that holds no patterns yet is made anew, so that a mistake in the settings or in the
    prompts can be mended and the command run again. One that lacks some of the feature sets gains
    them: its features are then taken again.

    Raises:
        AtlasError: if an atlas of another configuration or of other prompts is there.
        InputError: if prompts or settings cannot be used.
    """
    folder = remote.folder_of(path)
    check_configuration(configuration)
    if not (folder / "atlas.json").is_file() or _is_empty(Atlas.open(folder)):
        prompts = load_prompts(configuration.prompts, configuration.n_prompts, configuration.seed)
        return Atlas.create(folder, configuration, prompts_table(prompts), prompts_digest(prompts))
    atlas = Atlas.open(folder)
    _check_same_settings(atlas, configuration)
    _check_same_prompts(atlas)
    add_feature_sets(atlas, configuration.feature_sets)
    return atlas


def add_feature_sets(atlas: Atlas, sets: Sequence[str]) -> None:
    """Let the atlas hold these feature sets besides those it has, after them.

    Raises:
        InputError: if a set is not known.
    """
    there = atlas.manifest.configuration
    joined = tuple(dict.fromkeys([*there.feature_sets, *sets]))
    feature_names(list(joined))
    if joined != there.feature_sets:
        atlas.update(configuration=replace(there, feature_sets=joined))


def _is_empty(atlas: Atlas) -> bool:
    """Whether no part of any model's features is there."""
    return not atlas.models and not any((atlas.path / "features").glob("*/part-*"))


def _check_same_settings(atlas: Atlas, configuration: Configuration) -> None:
    there = atlas.manifest.configuration
    differing = [
        f"{name} {getattr(there, name)!r}, not {getattr(configuration, name)!r}"
        for name in configuration.__dataclass_fields__
        if getattr(there, name) != getattr(configuration, name) and name != "feature_sets"
    ]
    if there.feature_sets[0] != configuration.feature_sets[0]:  # which the embedding is of
        differing.append(
            f"features {there.feature_sets[0]!r} first, not {configuration.feature_sets[0]!r}"
        )
    if differing:
        raise AtlasError(
            f"{atlas.path}: was made with {'; '.join(differing)}. Use another --atlas, the same "
            "settings, or `motifs add MODEL` to place a new model in it"
        )


def _check_same_prompts(atlas: Atlas) -> None:
    """Notice a prompts file that was changed since; one that is gone is not needed any more."""
    there = atlas.manifest.configuration
    if Path(there.prompts).is_file():
        prompts = load_prompts(there.prompts, there.n_prompts, there.seed)
        if prompts_digest(prompts) != atlas.manifest.prompts["sha256"]:
            raise AtlasError(
                f"{atlas.path}: was made when {there.prompts} held other texts; use another "
                "--atlas, or put the texts back"
            )


def check_configuration(configuration: Configuration) -> None:
    """Refuse settings that cannot work, before anything is loaded.

    Raises:
        InputError: naming the setting, its value and the mend.
    """
    from attention_motifs.models.sources import resolve

    if not isinstance(configuration, Configuration):
        raise InputError(f"configuration = {configuration!r:.80}: expected a Configuration")
    feature_names(list(configuration.feature_sets))
    named: dict[str, str] = {}
    for wanted in configuration.models:
        name = resolve(wanted).name
        if name in named:
            raise InputError(
                f"models {named[name]!r} and {wanted!r} are both called {name}; name one of them "
                "otherwise with NAME=PATH, or leave it out"
            )
        named[name] = wanted


def save_classes(atlas: Atlas, file: Path) -> int:
    """Keep a copy of a file of classes in the atlas, and label its heads by it.

    The copy takes the place of an earlier one. A run that is stopped between the copy and the
    table of heads is finished by the same call, or by the next build.

    Args:
        atlas: whose lock is held.
        file: as `load_known_heads` reads it.

    Returns:
        How many statements of the file are about heads of this atlas.

    Raises:
        InputError: if the file is missing or malformed; the atlas is left as it was.
    """
    told = load_known_heads(file).assignments[len(load_known_heads().assignments) :]
    with files.atomic(atlas.classes_path) as unfinished:
        shutil.copyfile(file, unfinished)
    write_heads(atlas)
    literature = load_known_heads(atlas.classes_path)
    sizes = {
        literature.model_name(model): (int(info["n_layers"]), int(info["n_heads"]))
        for model, info in atlas.manifest.models.items()
    }
    heads = [said.head for said in told if said.head.model in sizes]
    return sum(h.layer < sizes[h.model][0] and h.index < sizes[h.model][1] for h in heads)


def forget_classes(atlas: Atlas) -> bool:
    """Delete the atlas's own classes, and take them from its heads; False if there were none.

    Args:
        atlas: whose lock is held.
    """
    there = atlas.own_classes is not None
    files.remove(atlas.classes_path)
    write_heads(atlas)
    return there
