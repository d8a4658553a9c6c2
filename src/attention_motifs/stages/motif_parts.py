"""Files of motif shares: one part per block of prompts, and the columns of the heads table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.motif_shares import SHARE, SPREAD, motif_shares_of
from attention_motifs.features.motif_definitions import MOTIFS, key_motifs, separator_tokens
from attention_motifs.stages.heads import heads_of
from attention_motifs.store import files

if TYPE_CHECKING:
    from jaxtyping import Float, Float32

    from attention_motifs.store.manifest import ModelRecord

VERSION = 1
"""Version of the definition; parts of another version are computed again."""


class BlockShares:
    """Motif shares of the patterns of one model on the prompts of a block.

    Args:
        tokens: ids and texts of the tokens, per prompt of the block.
        info: record of the model.
    """

    def __init__(
        self, tokens: Sequence[tuple[Sequence[int], Sequence[str]]], info: ModelRecord
    ) -> None:
        self._row_of_layer = info.row_of_layer
        shape = (len(tokens), len(self._row_of_layer), info.n_heads, len(MOTIFS))
        self.shares = np.empty(shape, dtype=np.float32)
        self._bits = [key_motifs(*_identity_and_separators(*each)) for each in tokens]

    def take(
        self,
        layer: int,
        prompt: int,
        patterns: Float32[np.ndarray, "heads n n"],
        threads: int,
        first_head: int = 0,
    ) -> None:
        """Compute the shares of heads of one layer, from `first_head` on, on one prompt."""
        from attention_motifs.features.motif_kernels import batch_motif_shares

        shares = batch_motif_shares(patterns, self._bits[prompt], threads)
        heads = slice(first_head, first_head + len(patterns))
        self.shares[prompt, self._row_of_layer[layer], heads] = shares


def _identity_and_separators(ids: Sequence[int], texts: Sequence[str]) -> tuple[Any, Any]:
    """Number the tokens, by their text where imported patterns come without ids."""
    keys: Sequence[Any] = texts if -1 in ids else ids
    numbers: dict[Any, int] = {}
    identity = np.array([numbers.setdefault(key, len(numbers)) for key in keys])
    return identity, separator_tokens(texts)


def write_shares(
    atlas: Atlas,
    info: ModelRecord,
    block: int,
    prompt_ids: Sequence[str],
    shares: Float[np.ndarray, "prompts layers heads motifs"],
    inputs: str,
) -> None:
    """Write the part of one block of a model."""
    import polars as pl

    heads = [str(head) for head in heads_of(info)]
    keys = pl.DataFrame(
        {
            "head": heads * len(prompt_ids),
            "prompt_id": [p for p in prompt_ids for _ in heads],
        }
    )
    values = pl.DataFrame(shares.reshape(-1, len(MOTIFS)), schema=list(MOTIFS), orient="row")
    file = atlas.file("motif_shares", model=info.name, block=block)
    files.write_parquet(file, keys.hstack(values), {"inputs": _digest(inputs)})


def has_shares(atlas: Atlas, model: str, block: int, inputs: str) -> bool:
    """Return whether the part of a block is readable and of these inputs."""
    file = atlas.file("motif_shares", model=model, block=block)
    return file.is_file() and files.parquet_metadata(file).get("inputs") == _digest(inputs)


def _digest(inputs: str) -> str:
    return files.digest({"extract": inputs, "motifs": list(MOTIFS), "version": VERSION})


def write_share_columns(atlas: Atlas) -> None:
    """Write the mean share of each motif, and its spread over prompts, into the heads table.

    The columns are made anew from the parts of all models, so that a replaced model leaves nothing
    behind. Heads of models without parts are null.
    """
    import polars as pl

    heads = atlas.heads
    names = [name + kind for name in MOTIFS for kind in (SHARE, SHARE + SPREAD)]
    columns = {name: np.full(len(heads), np.nan, dtype=np.float32) for name in names}
    models = [m for m in atlas.models if atlas.paths.existing("motif_shares", model=m)]
    for model in models:
        shares = motif_shares_of(atlas, model).astype(np.float64)
        rows = np.flatnonzero((heads["model"] == model).to_numpy())
        for i, name in enumerate(MOTIFS):
            columns[name + SHARE][rows] = np.nanmean(shares[..., i], axis=0)
            columns[name + SHARE + SPREAD][rows] = np.nanstd(shares[..., i], axis=0)
    if not models:
        return
    # In their places if they are there, so that a run that was stopped ends in the same bytes.
    table = heads.with_columns(
        pl.Series(name, values, dtype=pl.Float32, nan_to_null=True)
        for name, values in columns.items()
    )
    if not table.equals(heads):
        atlas.write_heads(table)
