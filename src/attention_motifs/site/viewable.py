"""Prompts and probes whose patterns are in a site."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.stimuli import PROBES, PROMPTS, Stimuli
from attention_motifs.errors import AtlasError
from attention_motifs.store import files


@dataclass(frozen=True)
class Viewable:
    """A prompt or a probe whose patterns are in a site."""

    place: int
    """Index in the list of prompts of the site: all prompts, then the viewable probes."""
    row: int
    """Row in the table of prompts or probes."""
    prompt_id: str
    stimuli: Stimuli


def viewable(atlas: Atlas) -> list[Viewable]:
    """Return the viewable prompts, then the viewable probes."""
    n_prompts = PROMPTS.count(atlas.manifest)
    listed = [Viewable(i, i, id_, PROMPTS) for i, id_ in enumerate(atlas.view_prompts())]
    if atlas.has_probes():
        rows = {id_: i for i, id_ in enumerate(atlas.probes["prompt_id"].to_list())}
        for i, id_ in enumerate(atlas.view_probes()):
            listed.append(Viewable(n_prompts + i, rows[id_], id_, PROBES))
    return listed


def tokens_of(atlas: Atlas, model: str, shown: list[Viewable]) -> list[list[str]]:
    """Return the texts of the tokens of each, for one model."""
    of_prompts = atlas.tokens(model)["tokens"]
    of_probes = atlas.probe_sequences(model)["tokens"] if atlas.has_probes(model) else None
    texts = []
    for item in shown:
        column = of_prompts if of_probes is None or item.stimuli is PROMPTS else of_probes
        texts.append(column[item.row].to_list())
    return texts


def read_layer(
    atlas: Atlas, model: str, shown: Viewable, row: int, size: int
) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Return the packed patterns of the heads of a layer on a viewable prompt or probe.

    Args:
        atlas: an atlas with patterns.
        model: name of the model.
        shown: the prompt or probe.
        row: place of the layer among those of the atlas.
        size: bytes of one pattern.

    Raises:
        AtlasError: if the file is missing or damaged.
    """
    path = atlas.file(shown.stimuli.patterns, model=model, prompt=shown.prompt_id)
    packed = files.read_tensor_part(path, "triangles", row)
    n_heads = atlas.manifest.models[model].n_heads
    if packed.dtype != np.uint8 or packed.shape != (n_heads, size):
        raise AtlasError(
            f"{path}: does not hold the patterns of {n_heads} heads; {path.fix_damaged}"
        )
    return packed
