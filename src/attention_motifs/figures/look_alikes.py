"""A head and the heads nearest to it: choice, words and numbers (figures 5, 6, 8 and 9)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.atlas import queries
from attention_motifs.atlas.head_distances import head_distances_of
from attention_motifs.features.motif_definitions import MOTIFS
from attention_motifs.figures.head_groups import head_groups
from attention_motifs.figures.head_notes import class_note, shares_of_heads, verdicts_of
from attention_motifs.figures.typical import typical_heads
from attention_motifs.literature import known_heads

if TYPE_CHECKING:
    import polars as pl

    from attention_motifs.atlas import Atlas
    from attention_motifs.atlas.queries import NearHead
    from attention_motifs.head import HeadId

# Figure -> the head that the paper shows, and the motif of a head in its place.
SHOWN_HEADS = {
    "5": ("gpt2-small:L11:H9", "same token"),
    "6": ("gpt2-small:L4:H11", "previous token"),
    "8": ("gpt2-small:L5:H2", "local window"),
    "9": ("gpt2-small:L5:H5", "after same token"),
}
NEAR_PERCENTILE = 5.0
"""Heads are near if at most this percentage of the pairs of their layers is nearer."""
_CANDIDATES = 12
"""Number of heads among which a stand-in is chosen, largest motif share first."""


@dataclass(frozen=True)
class LookAlikes:
    """A head of one figure with its nearest heads."""

    head: str
    why: str
    """Reason for the choice of the head."""
    near: tuple[NearHead, ...]

    @property
    def heads(self) -> list[str]:
        """The head, then its nearest heads."""
        return [self.head, *(near.head for near in self.near)]

    @property
    def n_near(self) -> int:
        """Number of the listed heads that are near by `NEAR_PERCENTILE`."""
        return sum(is_near(near) for near in self.near)

    @property
    def says_far(self) -> bool:
        """Whether it is known that none of the listed heads is near."""
        return not self.n_near and any(near.percentile is not None for near in self.near)


def is_near(near: NearHead) -> bool:
    """Return whether a head is nearer than all but few pairs of its layers; unknown is not near."""
    return near.percentile is not None and near.percentile <= NEAR_PERCENTILE


def nearest_to(atlas: Atlas, head: str | HeadId, n: int, why: str = "chosen") -> LookAlikes:
    """Return a head with its n nearest heads by Eq. 3."""
    name = str(atlas.heads["head"][atlas.head_index(head)])
    return LookAlikes(name, why, tuple(queries.near(atlas, name, n, "mean")))


def look_alikes(atlas: Atlas, n: int) -> dict[str, LookAlikes]:
    """Choose the heads of figures 5, 6, 8 and 9, with their n nearest heads.

    Each is the paper's head if the atlas holds it, else a head with one of the largest shares of
    the motif in question, of which no head, query or neighbour, is in another of these figures;
    if there is no such head, the one with the fewest.

    Raises:
        AtlasError: if the distances by `mean` do not exist.
    """
    names = atlas.heads["head"].to_list()
    chosen: dict[str, LookAlikes] = {}
    used: set[str] = set()
    for figure, (of_paper, motif) in SHOWN_HEADS.items():
        if of_paper in names:
            best = nearest_to(atlas, of_paper, n, "the head of the paper")
        else:
            options = [
                nearest_to(atlas, head, n, why)
                for head, why in _candidates(atlas, motif)
                if head not in {shown.head for shown in chosen.values()} or len(names) < 4
            ]
            if not options:
                continue
            best = min(options, key=lambda option: len(used & set(option.heads)))
        chosen[figure] = best
        used |= set(best.heads)
    return chosen


def _candidates(atlas: Atlas, motif: str) -> list[tuple[str, str]]:
    """Return heads with a large share of a motif, largest first, and why each is shown."""
    shares = shares_of_heads(atlas)
    names = atlas.heads["head"].to_list()
    if shares is None:
        why = "a typical head; `motifs shares` would find one with this motif"
        return [(head, why) for head in typical_heads(atlas)]
    of_motif = np.nan_to_num(shares[:, list(MOTIFS).index(motif)], nan=-1.0)
    order = np.argsort(-of_motif, kind="stable")[:_CANDIDATES]
    # A head far below the largest share would not show the motif.
    kept = [i for i in order if of_motif[i] >= 0.5 * of_motif[order[0]]]
    ranks = {int(i): rank for rank, i in enumerate(order, 1)}
    return [
        (
            names[i],
            f"{motif}: {100 * of_motif[i]:.0f} % of its attention, rank {ranks[int(i)]} here",
        )
        for i in kept
    ]


def row_notes(atlas: Atlas, shown: LookAlikes) -> dict[str, tuple[str, str]]:
    """Return the words after and under the name of each head: verdict; distance, class, score."""
    rows = [atlas.head_index(head) for head in shown.heads]
    verdicts = verdicts_of(atlas, rows, "mean")
    notes = {}
    for row, head, near in zip(rows, shown.heads, (None, *shown.near), strict=True):
        parts = [class_note(atlas, row) or "no known class"]
        if near is not None:
            parts.insert(0, _distance_note(near))
        elif shown.says_far:
            parts.insert(0, "no head is near this one")
        name, p = verdicts.get(row, ("", 0.0))
        notes[head] = (f"verdict: {name} {p:.2f}" if name else "", "; ".join(parts))
    return notes


def _distance_note(near: NearHead) -> str:
    if near.percentile is None:
        return f"distance {near.distance:.1f}"
    label = "" if is_near(near) else ", not near"
    return f"distance {near.distance:.1f} (percentile {near.percentile:.0f}{label})"


def look_alike_table(atlas: Atlas, shown: LookAlikes) -> pl.DataFrame:
    """Return the heads with their distance, known classes and sources.

    Returns:
        Columns `head`, `distance` (by Eq. 3 from the first), `percentile` (of the distance among
        pairs of the two layers, 0 to 100), `label` (of `head_groups`: known, or computed from
        behaviour), `verdict` and `probability` (learnt from other models; null without any),
        `classes`, `papers`, `urls`; the last three join several by semicolons, and are empty where
        the literature says nothing.

    Raises:
        AtlasError: if the distances by `mean` do not exist.
    """
    import polars as pl

    rows = [atlas.head_index(head) for head in shown.heads]
    distances, labels = head_distances_of(atlas, "mean").row(rows[0]), head_groups(atlas).labels
    verdicts = verdicts_of(atlas, rows, "mean")
    known = pl.concat([known_heads(model, atlas.paths.own_classes) for model in atlas.models])
    statements = [known.filter(pl.col("head") == head) for head in shown.heads]
    return pl.DataFrame(
        {
            "head": shown.heads,
            "distance": [float(distances[row]) for row in rows],
            "percentile": [None, *(near.percentile for near in shown.near)],
            "label": [labels[row] for row in rows],
            "verdict": [verdicts[row][0] if row in verdicts else None for row in rows],
            "probability": [verdicts[row][1] if row in verdicts else None for row in rows],
            **{
                name: ["; ".join(table[column].unique(maintain_order=True)) for table in statements]
                for name, column in (("classes", "class"), ("papers", "paper"), ("urls", "url"))
            },
        },
        schema_overrides={
            "percentile": pl.Float64, "verdict": pl.String, "probability": pl.Float64,
        },
    )  # fmt: skip


def look_alike_caption(atlas: Atlas, shown: LookAlikes) -> str:
    """Return the caption: the heads, how near they are, and what the literature says of them."""
    n = len(shown.near)
    known = [near.percentile for near in shown.near if near.percentile is not None]
    if not n:
        nearness = "The atlas holds no other head."
    elif not known:
        nearness = "The atlas does not hold what says how near these are by chance."
    elif shown.says_far:
        nearness = (
            f"No head is near: of the pairs of the same layers, {min(known):.0f} % or more are "
            "nearer than each head shown."
        )
    else:
        nearness = (
            f"{shown.n_near} of the {n} are near, that is, among the nearest "
            f"{NEAR_PERCENTILE:.0f} % of the pairs of the same layers; percentiles are beside the "
            "distances."
        )
    return (
        f"{shown.head} ({shown.why}) and the {n} heads nearest to it by Eq. 3. {nearness} "
        "Verdicts are the most probable class learnt from labelled heads of the other models, "
        f"with its probability. {_classes_in_words(atlas, shown)}"
    )


def _classes_in_words(atlas: Atlas, shown: LookAlikes) -> str:
    texts = [
        f"{row['head']}: {row['classes']} ({row['papers']})"
        for row in look_alike_table(atlas, shown).iter_rows(named=True)
        if row["classes"]
    ]
    if not texts:
        return "None of these heads is in the literature known here."
    return f"In the literature: {', '.join(texts)}."
