"""Tables of the literature's records: known heads, classes, conflicts and colours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attention_motifs.errors import InputError
from attention_motifs.head import HeadId
from attention_motifs.literature.records import Literature, load_known_heads

if TYPE_CHECKING:
    import polars as pl

UNKNOWN_COLOUR = "#BBBBBB"
"""Colour of heads of no known class (the grey of Paul Tol's bright scheme)."""


COMPUTED_COLOURS = {"first-token sink": "#332288", "self": "#117733"}
"""Colours of behaviours that no group of the literature covers (Tol's muted scheme)."""


def known_heads(model: str | None = None, extra: Path | None = None) -> pl.DataFrame:
    """Return the classes of heads in the literature, one row per head, class and source.

    A head is in a class if any source assigns it (paper, section 3.1). If another source lists
    heads of this class in this model, but not this head, `conflict` names that source.

    Args:
        model: keep the rows of this model only, given by any of its names; the rows carry the name
            given. There are no rows for a model that the literature does not cover.
        extra: path of a class file of your own, added to the package's.

    Returns:
        Columns `model`, `head`, `layer`, `index`, `class`, `group`, `paper`, `url`, `evidence`,
        `note` and `conflict` ("" where the sources agree), in the order of the files.

    Raises:
        InputError: if the model is not a name, or the class file is malformed.

    Examples:
        >>> from attention_motifs import known_heads
        >>> table = known_heads("gpt2-small")
        >>> table.filter(table["class"] == "name mover")["head"][0]
        'gpt2-small:L9:H6'
    """
    import polars as pl

    literature = load_known_heads(extra)
    omitted = _omitted(literature)
    if model is not None and not isinstance(model, str):
        raise InputError(f"model is {model!r}. Give the name of a model, such as 'gpt2-small'.")
    name = None if model is None else literature.model_name(model)
    rows = []
    for assignment in literature.assignments:
        if name not in (None, assignment.head.model):
            continue
        layer, index = assignment.head.layer, assignment.head.index
        head = HeadId(model or assignment.head.model, layer, index)
        source = literature.sources[assignment.source]
        disagree = [f"not in {key}" for key in omitted[assignment.head, assignment.head_class]]
        rows.append(
            {
                "model": head.model,
                "head": str(head),
                "layer": head.layer,
                "index": head.index,
                "class": assignment.head_class,
                "group": literature.classes[assignment.head_class].group,
                "paper": source.title,
                "url": source.url,
                "evidence": source.evidence,
                "note": assignment.note or source.note,
                "conflict": "; ".join([*disagree, *filter(None, [assignment.conflict])]),
            }
        )
    text = ("model", "head", "class", "group", "paper", "url", "evidence", "note", "conflict")
    columns = ("model", "head", "layer", "index", *text[2:])
    schema = {name: pl.String if name in text else pl.Int32 for name in columns}
    return pl.DataFrame(rows, schema=schema)


def _omitted(literature: Literature) -> dict[tuple[HeadId, str], list[str]]:
    """Map each head and class to the sources that cover class and model, but omit the head."""
    covering: dict[tuple[str, str], list[str]] = {}
    listing: dict[tuple[HeadId, str], set[str]] = {}
    for assignment in literature.assignments:
        keys = covering.setdefault((assignment.head.model, assignment.head_class), [])
        if assignment.source not in keys:
            keys.append(assignment.source)
        listed = listing.setdefault((assignment.head, assignment.head_class), set())
        listed.add(assignment.source)
    return {
        (head, name): [key for key in covering[head.model, name] if key not in sources]
        for (head, name), sources in listing.items()
    }


def conflict_table(extra: Path | None = None) -> pl.DataFrame:
    """Return the heads about which sources disagree, one row per head and class.

    Args:
        extra: path of a class file of your own, added to the package's.

    Returns:
        Columns `head`, `class`, `says` (keys of the sources that list the head), `omits` (keys of
        the sources that list heads of the class and model, but not this head) and `note` (a
        disagreement recorded with the assignment).

    Raises:
        InputError: if the class file is malformed.
    """
    import polars as pl

    literature = load_known_heads(extra)
    omitted = _omitted(literature)
    rows = []
    for (head, name), omits in omitted.items():
        listing = [a for a in literature.assignments if (a.head, a.head_class) == (head, name)]
        notes = [a.conflict for a in listing if a.conflict]
        if omits or notes:
            rows.append(
                {
                    "head": str(head),
                    "class": name,
                    "says": [a.source for a in listing],
                    "omits": omits,
                    "note": "; ".join(notes),
                }
            )
    keys = pl.List(pl.String)
    text = pl.String()
    schema = {"head": text, "class": text, "says": keys, "omits": keys, "note": text}
    return pl.DataFrame(rows, schema=schema)


def classes_of(heads: Sequence[HeadId], extra: Path | None = None) -> list[list[str]]:
    """Return the known classes of each head, from any source.

    Args:
        heads: heads under any name of their model.
        extra: path of a class file of your own, added to the package's.

    Returns:
        A list for each head, in the order of the class list; empty for most heads.

    Raises:
        InputError: if the class file is malformed.
    """
    literature = load_known_heads(extra)
    known: dict[HeadId, set[str]] = {}
    for assignment in literature.assignments:
        known.setdefault(assignment.head, set()).add(assignment.head_class)
    names = {head.model: literature.model_name(head.model) for head in heads}
    per_head = (known.get(HeadId(names[h.model], h.layer, h.index), set()) for h in heads)
    return [[name for name in literature.classes if name in classes] for classes in per_head]


def class_table(extra: Path | None = None) -> pl.DataFrame:
    """Return the classes of the literature.

    Args:
        extra: path of a class file of your own, added to the package's.

    Returns:
        Columns `class`, `group`, `colour`, `description`, `heads` (number of distinct heads),
        `models` and `sources` (lists).

    Raises:
        InputError: if the class file is malformed.
    """
    import polars as pl

    literature = load_known_heads(extra)
    rows = []
    for head_class in literature.classes.values():
        members = [a for a in literature.assignments if a.head_class == head_class.name]
        rows.append(
            {
                "class": head_class.name,
                "group": head_class.group,
                "colour": literature.groups[head_class.group].colour,
                "description": head_class.description,
                "heads": len({a.head for a in members}),
                "models": list(dict.fromkeys(a.head.model for a in members)),
                "sources": list(dict.fromkeys(a.source for a in members)),
            }
        )
    text = dict.fromkeys(("class", "group", "colour", "description"), pl.String)
    lists = dict.fromkeys(("models", "sources"), pl.List(pl.String))
    return pl.DataFrame(rows, schema={**text, "heads": pl.Int32, **lists})


def group_colours(extra: Path | None = None) -> dict[str, str]:
    """Return the colour of each group as #RRGGBB, the same in every figure and page.

    Raises:
        InputError: if the class file is malformed.
    """
    return {group.name: group.colour for group in load_known_heads(extra).groups.values()}


def class_colours(extra: Path | None = None) -> dict[str, str]:
    """Return the colour of each class: that of its group.

    Raises:
        InputError: if the class file is malformed.
    """
    colours = group_colours(extra)
    return {c.name: colours[c.group] for c in load_known_heads(extra).classes.values()}
