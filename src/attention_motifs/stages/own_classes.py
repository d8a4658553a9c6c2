"""A user's own classes of heads, kept in the atlas (docs/known-heads.md)."""

from __future__ import annotations

import shutil
from pathlib import Path

from attention_motifs import files
from attention_motifs.atlas import Atlas
from attention_motifs.literature import load_known_heads
from attention_motifs.stages.extract import write_heads


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
