"""Names that a person gives to clusters; a new cut inherits them by overlap.

A name is stored with the heads of its cluster at the time, not with a cluster number, which the
next cut would change. The names of a cut are computed from the overlap each time, so a name that
fits no cluster is not lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from attention_motifs.errors import InputError
from attention_motifs.head import HeadId
from attention_motifs.store.files import Location, write_json
from attention_motifs.store.validated_json import read_document

if TYPE_CHECKING:
    from jaxtyping import Float, Int

SCHEMA = 1
THRESHOLD = 0.3
_LONGEST = 80


class ClusterName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A name of a cluster, with the heads that were in the cluster when it was named.

    Attributes:
        name: one line of at most 80 characters.
        members: heads of the cluster when it was named, sorted.
        models: models whose heads were clustered then, sorted.
        note: remark of the person.
    """

    name: str
    members: tuple[str, ...]
    models: tuple[str, ...] = ()
    note: str = ""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The object that the file of names holds."""

    schema: int
    names: tuple[ClusterName, ...] = ()


@dataclass(frozen=True, slots=True)
class NamedClusters:
    """Names that the clusters of one cut inherit.

    Attributes:
        names: name by cluster number; clusters without a name are omitted.
        overlaps: Jaccard index of name and cluster by cluster number, threshold to 1.
        unassigned: names that fit no cluster, in their order.
    """

    names: Mapping[int, str]
    overlaps: Mapping[int, float]
    unassigned: tuple[str, ...]


def carry_over(
    names: Sequence[ClusterName],
    heads: Sequence[str],
    labels: Int[np.ndarray, " heads"],
    threshold: float = THRESHOLD,
) -> NamedClusters:
    """Assign names to the clusters of a cut by largest overlap.

    The overlap of a name and a cluster is their Jaccard index, over the heads that both could
    contain: heads of the cut whose models were in the atlas when the name was given. Names and
    clusters are paired one to one so that the sum of overlaps is largest (Kuhn, 1955).

    Args:
        names: names, returned by `read_names`.
        heads: (H,) names of heads, in the order of the labels.
        labels: (H,) cluster numbers of the cut; -1 inherits nothing.
        threshold: smallest overlap that counts; above 0, at most 1.

    Raises:
        InputError: if the threshold is out of range, or heads and labels differ in length.
    """
    from scipy.optimize import linear_sum_assignment

    if not 0 < threshold <= 1:
        raise InputError(f"threshold {threshold}: give an overlap above 0, up to 1")
    if len(heads) != len(labels):
        raise InputError(f"{len(heads)} heads, {len(labels)} labels: give one label per head")
    overlap = _overlaps(names, heads, labels)
    overlap[overlap < threshold] = 0.0
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    pairs = [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if overlap[r, c] > 0]
    taken = {row for row, _ in pairs}
    return NamedClusters(
        names={c: names[r].name for r, c in pairs},
        overlaps={c: float(overlap[r, c]) for r, c in pairs},
        unassigned=tuple(n.name for i, n in enumerate(names) if i not in taken),
    )


def _overlaps(
    names: Sequence[ClusterName], heads: Sequence[str], labels: Int[np.ndarray, " heads"]
) -> Float[np.ndarray, "names clusters"]:
    models = np.array([HeadId.parse(head).model for head in heads], dtype=str)
    result = np.zeros((len(names), int(np.max(labels, initial=-1)) + 1))
    for i, name in enumerate(names):
        named = np.isin(np.array(heads, dtype=str), name.members)
        known = np.isin(models, name.models)
        for number in range(result.shape[1]):
            cluster = (labels == number) & known
            either = int((named | cluster).sum())
            result[i, number] = int((named & cluster).sum()) / either if either else 0.0
    return result


def name_cluster(
    names: Sequence[ClusterName],
    heads: Sequence[str],
    labels: Int[np.ndarray, " heads"],
    cluster: int,
    name: str,
    note: str = "",
) -> list[ClusterName]:
    """Name a cluster of a cut; its inherited name, and an equal name elsewhere, are removed.

    Raises:
        InputError: if the cluster is not in the cut, or the name is blank or not one short line.
    """
    if cluster < 0 or not (labels == cluster).any():
        count = int(np.max(labels, initial=-1)) + 1
        raise InputError(f"cluster {cluster}: this cut has {count} clusters, numbered from 0")
    name = checked_name(name)
    inherited = carry_over(names, heads, labels).names.get(cluster)
    members = sorted(h for h, label in zip(heads, labels, strict=True) if label == cluster)
    models = sorted({HeadId.parse(head).model for head in heads})
    kept = [n for n in names if n.name not in (name, inherited)]
    return [*kept, ClusterName(name, tuple(members), tuple(models), note)]


def add_names(names: Sequence[ClusterName], more: Sequence[ClusterName]) -> list[ClusterName]:
    """Add names to others; of equal names, the added one stays."""
    added = {entry.name for entry in more}
    return [*(entry for entry in names if entry.name not in added), *more]


def remove_name(names: Sequence[ClusterName], name: str) -> list[ClusterName]:
    """Remove a name.

    Raises:
        InputError: if no cluster has that name.
    """
    kept = [n for n in names if n.name != name]
    if len(kept) == len(names):
        given = ", ".join(repr(n.name) for n in names) or "none"
        raise InputError(f"no cluster is named {name!r}; names given: {given}")
    return kept


def checked_name(name: str) -> str:
    """Return a name of a cluster without blanks at its ends.

    Raises:
        InputError: if it is not one short line.
    """
    name = name.strip()
    if not name or len(name) > _LONGEST or not name.isprintable():
        raise InputError(
            f"cluster name {name[:_LONGEST]!r}: give one line of 1 to {_LONGEST} characters"
        )
    return name


def read_names(path: Path) -> list[ClusterName]:
    """Read the names; a missing file holds none.

    Raises:
        InputError: if the file is malformed; the message names file, entry and fix.
    """
    if not path.exists():
        return []
    names: list[ClusterName] = []
    for number, entry in enumerate(read_document(path, _File, SCHEMA).names):
        try:
            name = _normalised(entry)
            if name.name in {earlier.name for earlier in names}:
                raise InputError(f"the name {name.name!r} is given twice; change one")
        except InputError as error:
            raise InputError(f"{path}: names[{number}]: {error}") from error
        names.append(name)
    return names


def _normalised(entry: ClusterName) -> ClusterName:
    """Check the name and its heads, and sort the heads and models."""
    name = checked_name(entry.name)
    members = [HeadId.parse(head) for head in entry.members]
    if not members:
        raise InputError("'members' is empty; list the heads of the cluster, or remove the name")
    return ClusterName(
        name,
        tuple(sorted({str(head) for head in members})),
        tuple(sorted({*entry.models, *(head.model for head in members)})),
        entry.note,
    )


def write_names(path: Location, names: Sequence[ClusterName]) -> None:
    """Write the names; the file is replaced atomically.

    Raises:
        InputError: if a name occurs twice.
        ResourceError: if the file cannot be written.
    """
    if len({n.name for n in names}) < len(names):
        raise InputError(f"{path}: a name is given twice; change one")
    entries: list[dict[str, Any]] = [
        {"name": n.name, "members": list(n.members), "models": list(n.models), "note": n.note}
        for n in names
    ]
    write_json(path, {"schema": SCHEMA, "names": entries})
