"""Tables of the literature's records: known heads, classes, conflicts and colours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attention_motifs.errors import InputError
from attention_motifs.head import HeadId
from attention_motifs.literature.records import Assignment, load_known_heads

if TYPE_CHECKING:
    import polars as pl

UNKNOWN_COLOUR = "#BBBBBB"
"""Colour of heads of no known class (the grey of Paul Tol's bright scheme)."""


COMPUTED_COLOURS = {"first-token sink": "#332288", "self": "#117733"}
"""Colours of behaviours that no group of the literature covers (Tol's muted scheme)."""


def known_heads(model: str | None = None, extra: Path | None = None) -> pl.DataFrame:
    """Return the classes of heads in the literature, one row per head, class and source.

    A head is in a class if any source assigns it (paper, section 3.1). If another source lists all
    heads of this class in this model, but not this head, `conflict` names that source.

    Args:
        model: keep the rows of this model only, given by any of its names; the rows carry the name
            given. There are no rows for a model that the literature does not cover.
        extra: path of a class file of your own, added to the package's.

    Returns:
        Columns `model`, `head`, `layer`, `index`, `class`, `group`, `paper`, `url`, `evidence`,
        `note`, `conflict` ("" where the sources agree), `threshold` (the source's rule), `score`
        (null where the source has none), `seen` (where it was read) and `tier` (1: the authors'
        own statement), in the order of the files.

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
    if model is not None and not isinstance(model, str):
        raise InputError(f"model is {model!r}. Give the name of a model, such as 'gpt2-small'.")
    name = None if model is None else literature.model_name(model)
    chosen = [a for a in literature.assignments if name in (None, a.head.model)]
    omitted = _omitted(chosen)
    rows = []
    for assignment in chosen:
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
                "evidence": assignment.evidence,
                "note": assignment.note or source.note,
                "conflict": "; ".join([*disagree, *filter(None, [assignment.conflict])]),
                "threshold": assignment.threshold,
                "score": assignment.score,
                "seen": assignment.seen,
                "tier": assignment.tier,
            }
        )
    return pl.DataFrame(rows, schema=_columns())


def _columns() -> dict[str, type[pl.DataType]]:
    import polars as pl

    texts = ("class", "group", "paper", "url", "evidence", "note", "conflict", "threshold")
    return {
        **dict.fromkeys(("model", "head"), pl.String),
        **dict.fromkeys(("layer", "index"), pl.Int32),
        **dict.fromkeys(texts, pl.String),
        "score": pl.Float64,
        "seen": pl.String,
        "tier": pl.Int32,
    }


def _omitted(assignments: Sequence[Assignment]) -> dict[tuple[HeadId, str], list[str]]:
    """Map each head and class to the sources that cover class and model, but omit the head.

    A source that gives the first heads of a longer list covers none.
    """
    covering: dict[tuple[str, str], list[str]] = {}
    listing: dict[tuple[HeadId, str], set[str]] = {}
    for assignment in assignments:
        keys = covering.setdefault((assignment.head.model, assignment.head_class), [])
        if assignment.source not in keys and not assignment.partial:
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
    omitted = _omitted(literature.assignments)
    assigned: dict[tuple[HeadId, str], list[Assignment]] = {}
    for assignment in literature.assignments:
        assigned.setdefault((assignment.head, assignment.head_class), []).append(assignment)
    rows = []
    for (head, name), omits in omitted.items():
        listing = assigned[head, name]
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
        A list for each head, in the order of the class list, but classes that it has by a place in
        a ranking of attention scores alone last; empty for most heads.

    Raises:
        InputError: if the class file is malformed.
    """
    literature = load_known_heads(extra)
    # head -> class -> whether a place in a ranking is all that speaks for it
    known: dict[HeadId, dict[str, bool]] = {}
    for a in literature.assignments:
        ranked = a.partial and a.evidence == "attention score"
        of_head = known.setdefault(a.head, {})
        of_head[a.head_class] = of_head.get(a.head_class, True) and ranked
    order = {name: i for i, name in enumerate(literature.classes)}
    names = {head.model: literature.model_name(head.model) for head in heads}
    per_head = (known.get(HeadId(names[h.model], h.layer, h.index), {}) for h in heads)
    return [sorted(of, key=lambda name, of=of: (of[name], order[name])) for of in per_head]  # type: ignore[misc]


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
