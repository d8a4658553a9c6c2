"""The table of heads: one row per head of every model of an atlas."""

from __future__ import annotations

from attention_motifs.atlas import Atlas
from attention_motifs.head import HeadId
from attention_motifs.store import files
from attention_motifs.store.manifest import ModelRecord


def heads_of(info: ModelRecord) -> list[HeadId]:
    """Return the heads of a model that the atlas holds, layer by layer."""
    return [HeadId(info.name, layer, i) for layer in info.layers for i in range(info.n_heads)]


def write_heads(atlas: Atlas) -> None:
    """Write `heads.parquet`; heads that were in it keep the columns that later stages added."""
    import polars as pl

    from attention_motifs.literature import classes_of

    tables = []
    classes_file = atlas.paths.own_classes
    for model, info in atlas.manifest.models.items():
        heads = heads_of(info)
        last = max(info.n_layers - 1, 1)
        tables.append(
            pl.DataFrame(
                {
                    "head": [str(h) for h in heads],
                    "model": [model] * len(heads),
                    "layer": pl.Series([h.layer for h in heads], dtype=pl.Int32),
                    "index": pl.Series([h.index for h in heads], dtype=pl.Int32),
                    "depth": pl.Series([h.layer / last for h in heads], dtype=pl.Float32),
                    "classes": pl.Series(classes_of(heads, classes_file), dtype=pl.List(pl.String)),
                }
            )
        )
    table = pl.concat(tables)
    if atlas.file("heads").is_file():
        old = files.read_parquet(atlas.file("heads"))
        later = [name for name in old.columns if name not in table.columns]
        table = table.join(old.select("head", *later), on="head", how="left", maintain_order="left")
        if table.equals(old):
            return
    atlas.write_heads(table)
