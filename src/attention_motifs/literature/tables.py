"""The records as tables: known heads, classes, conflicts and colours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attention_motifs.head import HeadId
from attention_motifs.literature.records import Literature, load_known_heads

if TYPE_CHECKING:
    import polars as pl

UNKNOWN_COLOUR = "#BBBBBB"
"""Heads of no known class (the grey of Paul Tol's bright scheme)."""


COMPUTED_COLOURS = {"first-token sink": "#332288", "self": "#117733"}
"""Behaviours that no group of the literature covers (Tol's muted scheme)."""


def known_heads(model: str | None = None, extra: Path | None = None) -> pl.DataFrame:
    """What the literature says, one row for each source's word on a head.

    A head is in a class if any source says so (paper, section 3.1). Where a source that lists
    heads of this class in this model leaves the head out, `conflict` names it.

    Args:
        model: only this model, by any of its names; the rows carry the name asked for. A model
            that the literature does not mention has no rows.
        extra: a file of your own beside the package's.

    Returns:
        Columns `model`, `head`, `layer`, `index`, `class`, `group`, `paper`, `url`, `evidence`,
        `note` and `conflict` ("" where all agree), in the order of the files.

    Raises:
        InputError: if the user's file is malformed.
    """
    import polars as pl

    literature = load_known_heads(extra)
    omitted = _omitted(literature)
    wanted = None if model is None else literature.model_name(model)
    rows = []
    for said in literature.assignments:
        if wanted not in (None, said.head.model):
            continue
        head = HeadId(model or said.head.model, said.head.layer, said.head.index)
        source = literature.sources[said.source]
        disagree = [f"not in {key}" for key in omitted[said.head, said.head_class]]
        rows.append(
            {
                "model": head.model,
                "head": str(head),
                "layer": head.layer,
                "index": head.index,
                "class": said.head_class,
                "group": literature.classes[said.head_class].group,
                "paper": source.title,
                "url": source.url,
                "evidence": source.evidence,
                "note": said.note or source.note,
                "conflict": "; ".join([*disagree, *filter(None, [said.conflict])]),
            }
        )
    text = ("model", "head", "class", "group", "paper", "url", "evidence", "note", "conflict")
    columns = ("model", "head", "layer", "index", *text[2:])
    schema = {name: pl.String if name in text else pl.Int32 for name in columns}
    return pl.DataFrame(rows, schema=schema)


def _omitted(literature: Literature) -> dict[tuple[HeadId, str], list[str]]:
    """For each head of each class, the sources that list others of the class and model only."""
    covering: dict[tuple[str, str], list[str]] = {}
    listing: dict[tuple[HeadId, str], set[str]] = {}
    for said in literature.assignments:
        keys = covering.setdefault((said.head.model, said.head_class), [])
        if said.source not in keys:
            keys.append(said.source)
        listing.setdefault((said.head, said.head_class), set()).add(said.source)
    return {
        (head, name): [key for key in covering[head.model, name] if key not in says]
        for (head, name), says in listing.items()
    }


def conflict_table(extra: Path | None = None) -> pl.DataFrame:
    """Heads about which the sources disagree, one row per head and class.

    Returns:
        Columns `head`, `class`, `says` (keys of the sources that list the head), `omits` (keys of
        those that list others of the class and model, but not this head) and `note` (a
        disagreement known from elsewhere).

    Raises:
        InputError: if the user's file is malformed.
    """
    import polars as pl

    literature = load_known_heads(extra)
    omitted = _omitted(literature)
    rows = []
    for (head, name), omits in omitted.items():
        said = [a for a in literature.assignments if (a.head, a.head_class) == (head, name)]
        notes = [a.conflict for a in said if a.conflict]
        if omits or notes:
            rows.append(
                {
                    "head": str(head),
                    "class": name,
                    "says": [a.source for a in said],
                    "omits": omits,
                    "note": "; ".join(notes),
                }
            )
    keys = pl.List(pl.String)
    text = pl.String()
    schema = {"head": text, "class": text, "says": keys, "omits": keys, "note": text}
    return pl.DataFrame(rows, schema=schema)


def classes_of(heads: Sequence[HeadId], extra: Path | None = None) -> list[list[str]]:
    """List the known classes of each head, by any source; for most heads none.

    Args:
        heads: under any name of their model.
        extra: a file of your own beside the package's.

    Returns:
        A list for each head, classes in the order of the class list.

    Raises:
        InputError: if the user's file is malformed.
    """
    literature = load_known_heads(extra)
    known: dict[HeadId, set[str]] = {}
    for said in literature.assignments:
        known.setdefault(said.head, set()).add(said.head_class)
    names = {head.model: literature.model_name(head.model) for head in heads}
    found = (known.get(HeadId(names[h.model], h.layer, h.index), set()) for h in heads)
    return [[name for name in literature.classes if name in classes] for classes in found]


def class_table(extra: Path | None = None) -> pl.DataFrame:
    """List the classes, for `motifs classes`.

    Returns:
        Columns `class`, `group`, `colour`, `description`, `heads` (how many, each counted once),
        `models` and `sources` (lists).

    Raises:
        InputError: if the user's file is malformed.
    """
    import polars as pl

    literature = load_known_heads(extra)
    rows = []
    for head_class in literature.classes.values():
        said = [a for a in literature.assignments if a.head_class == head_class.name]
        rows.append(
            {
                "class": head_class.name,
                "group": head_class.group,
                "colour": literature.groups[head_class.group].colour,
                "description": head_class.description,
                "heads": len({a.head for a in said}),
                "models": list(dict.fromkeys(a.head.model for a in said)),
                "sources": list(dict.fromkeys(a.source for a in said)),
            }
        )
    text = dict.fromkeys(("class", "group", "colour", "description"), pl.String)
    lists = dict.fromkeys(("models", "sources"), pl.List(pl.String))
    return pl.DataFrame(rows, schema={**text, "heads": pl.Int32, **lists})


def group_colours(extra: Path | None = None) -> dict[str, str]:
    """Colour of each group, #RRGGBB, the same in every figure and page.

    Raises:
        InputError: if the user's file is malformed.
    """
    return {group.name: group.colour for group in load_known_heads(extra).groups.values()}


def class_colours(extra: Path | None = None) -> dict[str, str]:
    """Colour of each class: that of its group.

    Raises:
        InputError: if the user's file is malformed.
    """
    colours = group_colours(extra)
    return {c.name: colours[c.group] for c in load_known_heads(extra).classes.values()}
