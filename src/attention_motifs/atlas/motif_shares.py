"""Motif shares that an atlas stores: per head and prompt, and their means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.errors import AtlasError
from attention_motifs.features.motif_definitions import MOTIFS
from attention_motifs.store import files

if TYPE_CHECKING:
    from jaxtyping import Float32

    from attention_motifs.atlas.folder import AtlasFolder

SHARE = " share"
"""Ending of the columns of the heads table that hold the mean share of a motif over prompts."""
SPREAD = " spread"
"""Ending after it of the columns that hold the standard deviation over prompts."""


def motif_shares_of(atlas: AtlasFolder, model: str) -> Float32[np.ndarray, "prompts heads motifs"]:
    """Return the share of each motif in the patterns of a model, as `AtlasFolder.motif_shares`."""
    return atlas.motif_shares(model)


def read_motif_shares(
    atlas: AtlasFolder, model: str
) -> Float32[np.ndarray, "prompts heads motifs"]:
    """Read the share of each motif in the patterns of a model.

    Args:
        atlas: with motif shares.
        model: a model of the atlas.

    Returns:
        (prompts, heads, motifs) shares, float32, in the orders of `atlas.prompts`, of the heads
        and of `MOTIFS`; they sum to 1.

    Raises:
        AtlasError: if the atlas has no shares of the model, or a file is damaged.
    """
    if not has_shares(atlas):
        raise no_shares(atlas)
    n_heads = atlas.manifest.models[model].n_all_heads
    parts = []
    for block in range(atlas.n_blocks):
        file = atlas.file("motif_shares", model=model, block=block)
        table = files.read_parquet(file, columns=("head", "prompt_id", *MOTIFS))
        parts.append(table.select(list(MOTIFS)).to_numpy().reshape(-1, n_heads, len(MOTIFS)))
    shares = np.concatenate(parts)
    if len(shares) != int(atlas.manifest.prompts["n"]):
        raise AtlasError(f"{file}: shares of {len(shares)} prompts; {file.fix_damaged}")
    return shares


def has_shares(atlas: AtlasFolder) -> bool:
    """Return whether an atlas holds motif shares, complete or not."""
    return next(iter(MOTIFS)) + SHARE in atlas.heads.columns or bool(
        atlas.paths.existing("motif_shares")
    )


def no_shares(atlas: AtlasFolder) -> AtlasError:
    """Build the error for an atlas without motif shares, as earlier versions made them."""
    return AtlasError(
        f"{atlas.place}: holds no motif shares. Compute them with {atlas.paths.command('shares')}"
    )
