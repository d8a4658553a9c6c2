"""Small pictures of heads for notebooks: the most typical of the patterns that an atlas keeps."""

from __future__ import annotations

import contextlib
import html
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.atlas.head_page import png_url
from attention_motifs.errors import MotifsError
from attention_motifs.notebook import Markup

if TYPE_CHECKING:
    from jaxtyping import Int, UInt8

    from attention_motifs.atlas.folder import AtlasFolder

_SIDE = 56
"""Largest number of rows of a picture, in pixels."""


def thumbnails(atlas: AtlasFolder, heads: Iterable[str]) -> dict[str, Markup]:
    """Return a picture of each head on its most typical prompt, as HTML.

    A head is left out if the atlas keeps no pattern of it, or its file cannot be read.

    Args:
        atlas: the atlas.
        heads: names of heads of the atlas.
    """
    rows = dict(zip(atlas.heads["head"].to_list(), atlas.heads.iter_rows(named=True), strict=True))
    by_model: dict[str, list[str]] = defaultdict(list)
    for head in dict.fromkeys(heads):
        by_model[rows[head]["model"]].append(head)
    pictures: dict[str, Markup] = {}
    kept = atlas.view_prompts()
    for model, names in by_model.items() if kept else ():
        record = atlas.manifest.models[model]
        places = [record.place_of(rows[name]["layer"], rows[name]["index"]) for name in names]
        typical = typical_prompts(atlas, model, [a * record.n_heads + b for a, b in places])
        for prompt in np.unique(typical).tolist():
            with contextlib.suppress(MotifsError):
                packed = atlas.triangles(model, kept[prompt])
                for i in np.flatnonzero(typical == prompt).tolist():
                    pictures[names[i]] = thumbnail(packed[places[i]], f"{names[i]}, {kept[prompt]}")
    return pictures


def typical_prompts(atlas: AtlasFolder, model: str, heads: list[int]) -> Int[np.ndarray, " heads"]:
    """Return the kept prompt on which the pattern of each head is nearest to the head's mean.

    Args:
        atlas: with patterns kept for viewing.
        model: one of its models.
        heads: numbers of heads in the model.

    Returns:
        Places in `view_prompts`; all 0 if the atlas has no embedded patterns.
    """
    try:
        clouds = atlas.embedded([model])[:, heads].astype(np.float64)
    except MotifsError:
        return np.zeros(len(heads), dtype=np.int64)
    from_mean = np.linalg.norm(clouds - clouds.mean(axis=0), axis=2)
    return np.asarray(from_mean[: len(atlas.view_prompts())].argmin(axis=0))


def thumbnail(packed: UInt8[np.ndarray, " entries"], title: str) -> Markup:
    """Return a picture of a packed pattern; of a long one, the largest weight of each block.

    Args:
        packed: lower triangle, as in the atlas.
        title: text that a pointer shows, not yet escaped.
    """
    text = html.escape(title, quote=True)
    return Markup(f'<img alt="pattern of {text}" title="{text}" src="{png_url(packed, _SIDE)}">')
