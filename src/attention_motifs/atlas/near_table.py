"""The answer of `Atlas.near`: a polars frame that a notebook shows with a picture of each head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from attention_motifs.atlas.folder import AtlasFolder
from attention_motifs.atlas.near_patterns import IDENTIFICATION
from attention_motifs.atlas.queries import NearHead
from attention_motifs.atlas.thumbnails import thumbnails
from attention_motifs.errors import MotifsError
from attention_motifs.head import HeadId
from attention_motifs.literature.behaviours import class_text
from attention_motifs.notebook import Markup, block, table

_SCHEMA: dict[str, Any] = {
    "rank": pl.Int64,
    "head": pl.String,
    "distance": pl.Float64,
    "percentile": pl.Float64,
    "p": pl.Float64,
    "classes": pl.List(pl.String),
    "measured": pl.String,
    "model": pl.String,
    "layer": pl.Int64,
    "index": pl.Int64,
}
_MOST_ROWS = 50
"""Rows that a notebook shows."""


class NearHeads(pl.DataFrame):
    """Heads near a head or patterns, nearest first: one row per head.

    A polars frame, with `to_pandas` and all else that polars has. Notebooks show each head with
    its most typical pattern; tables made from this one are shown as polars shows them.

    Columns:
        rank: rank among all other heads of the atlas, 1 for the nearest; filters do not change it.
        head: name of the head.
        distance: distance by the metric.
        percentile: percentile of the distance among pairs of these two layers, 0 to 100; null if
            the atlas does not store the distances of all pairs.
        p: chance of so many heads at least as near; null where `percentile` is.
        classes: classes in the literature.
        measured: computed classes with the head's behaviour scores.
        model, layer, index: place of the head.
    """

    title = ""
    """Title in a notebook."""
    queries: tuple[str, ...] = ()
    """Heads of the atlas that these are near to, shown above them."""
    pictures_of: Callable[[], dict[str, Markup]] | None = None
    """Function that returns the pictures; None in a table made from this one."""

    def _repr_html_(self, **options: Any) -> str:
        if self.pictures_of is None:  # a part of a table, which knows no atlas
            return super()._repr_html_(**options)
        try:
            pictures = self.pictures_of()
        except MotifsError:  # the atlas has moved since
            pictures = {}
        listed = self.iter_rows(named=True)
        rows: list[list[Any]] = [[None, pictures.get(q), q, *[None] * 4] for q in self.queries]
        rows += [
            [
                *(row["rank"], pictures.get(row["head"]), row["head"], row["distance"]),
                *(row["percentile"], row["p"]),
                ", ".join([*row["classes"], *filter(None, [row["measured"]])]),
            ]
            for _, row in zip(range(_MOST_ROWS), listed, strict=False)
        ]
        columns = ["rank", "pattern", "head", "distance", "percentile", "p", "classes"]
        more = self.height - _MOST_ROWS
        note = "" if not pictures else "Each pattern is the most typical that the atlas keeps. "
        note += f"{more} more heads are not shown." if more > 0 else ""
        return block(self.title, table(columns, rows), note=note)


def of_heads(
    atlas: AtlasFolder,
    nearest: Sequence[NearHead],
    head: str | HeadId | Sequence[str | HeadId],
    metric: str,
    *,
    farthest: bool = False,
) -> NearHeads:
    """Return the table of the heads near a head or several.

    Args:
        atlas: the atlas, whose patterns are shown.
        nearest: the heads.
        head: the head or heads they are near to.
        metric: by which they are near.
        farthest: whether they are the farthest instead.
    """
    heads = [head] if isinstance(head, str | HeadId) else head
    names = dict.fromkeys(str(HeadId.parse(query)) for query in heads)
    which = "Farthest from" if farthest else "Nearest to"
    n_others = len(atlas.heads) - len(names)
    title = f"{which} {', '.join(names)} by {metric}, of {n_others} heads"
    return _table(atlas, nearest, title, tuple(names))


def of_patterns(atlas: AtlasFolder, nearest: Sequence[NearHead], metric: str | None) -> NearHeads:
    """Return the table of the heads near given patterns.

    Args:
        atlas: the atlas, whose patterns are shown.
        nearest: the heads.
        metric: by which they are near; None for the distance of `identify`.
    """
    by = metric or IDENTIFICATION
    return _table(atlas, nearest, f"Nearest to the patterns by {by}, of {len(atlas.heads)} heads")


def _table(
    atlas: AtlasFolder, nearest: Sequence[NearHead], title: str, queries: tuple[str, ...] = ()
) -> NearHeads:
    rows = [
        (
            *(near.rank, near.head, near.distance, near.percentile, near.p),
            *(list(near.classes), class_text((), near.measured)),
            *(near.model, near.layer, near.index),
        )
        for near in nearest
    ]
    frame = NearHeads(rows, schema=_SCHEMA, orient="row")
    frame.title, frame.queries = title, queries
    shown = [*queries, *(near.head for near in nearest[:_MOST_ROWS])]
    frame.pictures_of = lambda: thumbnails(atlas, shown)
    return frame
