"""Named pattern types: the file by which names of clusters travel to the authors' tool and back.

Their program writes a cut of a clustering as one JSON object: `meta` (how it was cut), `stats`
(sizes), `types` (number, name and description of each cluster), `assignments` (cluster of each
head) and, from their page, `selection` (heads that were marked).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from attention_motifs.clustering.linkage import UNCLUSTERED
from attention_motifs.clustering.methods import Clustering
from attention_motifs.clustering.names import ClusterName, NamedClusters, checked_name
from attention_motifs.errors import InputError
from attention_motifs.head import HeadId
from attention_motifs.store.validated_json import convert, parse

UNNAMED = "none"
"""Name and description of a type that nobody has named."""
MISC = "misc"
"""Name of the heads that are in no cluster; their number is -1, as here."""


class _Type(msgspec.Struct, frozen=True):
    id: int
    name: str = UNNAMED
    description: str = UNNAMED


class _Meta(msgspec.Struct, frozen=True):
    cut_height: float | None = None
    n_clusters: int | None = None
    linkage_method: str | None = None
    clustering_path: str | None = None
    created_at: str | None = None
    min_cluster_size: int | None = None


class _File(msgspec.Struct, frozen=True):
    """The keys of the file that are read; others are ignored."""

    types: tuple[_Type, ...]
    assignments: dict[str, int]
    meta: _Meta = _Meta()


def pattern_types_json(
    clustering: Clustering,
    heads: Sequence[str],
    names: NamedClusters | None = None,
    notes: Sequence[ClusterName] = (),
    *,
    path: str = "",
    selection: Sequence[str] = (),
) -> dict[str, Any]:
    """Return a clustering as the object of a file of named pattern types.

    Args:
        clustering: clustering of H heads.
        heads: (H,) names of the heads, in the order of the labels.
        names: result of `carry_over`.
        notes: names with remarks, which become the descriptions.
        path: file of the clustering, recorded in `meta`.
        selection: heads to mark.

    Raises:
        InputError: if heads and labels differ in length.
    """
    labels = clustering.labels.tolist()
    if len(heads) != len(labels):
        raise InputError(f"{len(heads)} heads, {len(labels)} labels: give one label per head")
    numbers = sorted(set(labels))
    given = dict(names.names) if names else {}
    described = {entry.name: entry.note for entry in notes if entry.note}
    height = clustering.parameters.get("height")
    types = [
        {
            "id": number,
            "name": MISC if number == UNCLUSTERED else given.get(number, UNNAMED),
            "description": "heads in no cluster"
            if number == UNCLUSTERED
            else described.get(given.get(number, ""), UNNAMED),
        }
        for number in numbers
    ]
    return {
        "meta": {
            "cut_height": None if height is None else float(height),
            "n_clusters": len(numbers),
            "linkage_method": clustering.method,
            "clustering_path": path,
            "created_at": datetime.now(UTC).isoformat(),
            "min_cluster_size": clustering.parameters.get("min_size"),
        },
        "stats": {
            "n_heads": len(heads),
            "cluster_sizes": {str(number): labels.count(number) for number in numbers},
        },
        "types": types,
        "assignments": dict(zip(heads, labels, strict=True)),
        "selection": {"heads": list(selection)},
    }


def read_pattern_types(path: Path) -> list[ClusterName]:
    """Read the names of a file of named pattern types.

    Types without a name (`none`) and the heads in no cluster (-1) are left out.

    Args:
        path: the file, from this program or from the authors'.

    Returns:
        The names with the heads of their clusters and the models of the file.

    Raises:
        InputError: if the file is missing or malformed, a head is in a type that is not defined, a
            name is given to two types, or no type has a name. The message names file, key, value
            and fix.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    value = parse(data, str(path))
    if isinstance(value, dict) and {"schema", "names"} <= value.keys():
        raise InputError(
            f"{path}: holds the names that an atlas keeps. Copy it to clusters/names.json of the "
            "atlas, or write a file that --names reads with `motifs cluster --export pattern-types`"
        )
    file = convert(value, _File, str(path))
    members: dict[int, list[str]] = {}
    for number, entry in enumerate(file.types):
        if entry.id in members:
            raise InputError(f"{path}: types[{number}]: id {entry.id} is used twice; change one")
        members[entry.id] = []
    for head, number in file.assignments.items():
        try:
            name = str(HeadId.parse(head))
        except InputError as error:
            raise InputError(f"{path}: assignments: {error}") from error
        if number not in members:
            raise InputError(
                f"{path}: assignments[{head!r}]: no type has the id {number}; add it to 'types', "
                f"or give one of {', '.join(map(str, sorted(members)))}"
            )
        members[number].append(name)
    models = tuple(sorted({HeadId.parse(head).model for head in file.assignments}))
    names: list[ClusterName] = []
    for number, entry in enumerate(file.types):
        if entry.name.strip() in ("", UNNAMED) or entry.id == UNCLUSTERED:
            continue
        where = f"{path}: types[{number}]"
        try:
            text = checked_name(entry.name)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        if text in {earlier.name for earlier in names}:
            raise InputError(f"{where}: the name {text!r} is given twice; change one")
        if not members[entry.id]:
            raise InputError(
                f"{where}: no head in 'assignments' has the id {entry.id} of {text!r}; assign "
                "one, or remove the type"
            )
        note = "" if entry.description == UNNAMED else entry.description
        names.append(ClusterName(text, tuple(sorted(members[entry.id])), models, note))
    if not names:
        raise InputError(
            f"{path}: no type has a name: all are {UNNAMED!r}. Write a name into one of the "
            f"{len(file.types)} entries of 'types'"
        )
    return names
