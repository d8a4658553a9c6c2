"""Targets of an ablation: heads by name, a class, a cluster, the nearest heads of a head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.queries import near
from attention_motifs.errors import InputError
from attention_motifs.head import HeadId
from attention_motifs.stages.evaluate import computed_head_classes, literature_classes
from attention_motifs.stages.same_model import command


@dataclass(frozen=True)
class Target:
    """Heads of one model to ablate together."""

    name: str
    heads: tuple[HeadId, ...]
    metric: str | None = None
    anchor: str | None = None

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.heads[0].model


def named_heads(atlas: Atlas, heads: Sequence[str]) -> Target:
    """Return a target of heads by their names.

    Raises:
        InputError: if the atlas lacks a head, or they are of several models.
    """
    unique = sorted({HeadId.parse(head) for head in heads})
    for head in unique:
        atlas.head_index(head)
    if len({head.model for head in unique}) != 1:
        raise InputError("heads of several models cannot be ablated together: name those of one")
    return Target(", ".join(str(head) for head in unique), tuple(unique))


def class_heads(atlas: Atlas, name: str, model: str) -> Target:
    """Return the heads of a class, of the literature or computed from behaviour scores.

    Raises:
        InputError: if there is no such class, or it has no head in the model.
    """
    classes = {c.name: c for c in _classes(atlas)}
    if name not in classes:
        raise InputError(
            f"--class {name!r} is not in this atlas: it has {', '.join(classes) or 'no classes'}"
        )
    return Target(name, _of_model(atlas, np.asarray(classes[name].members), model, name))


def cluster_heads(atlas: Atlas, cluster: str, model: str) -> Target:
    """Return the heads of a cluster, written METHOD:NUMBER.

    Raises:
        InputError: if there is no such clustering, or the cluster has no head in the model.
    """
    method, colon, number = cluster.partition(":")
    column = f"cluster ({method})"
    if not colon or not number.strip().isdigit():
        raise InputError(f"--cluster {cluster!r}: write METHOD:NUMBER, such as average:3")
    if column not in atlas.heads.columns:
        raise InputError(
            f"--cluster {cluster!r}: this atlas has no clusters by {method}; run "
            f"{command(atlas, 'cluster', '--method', method)}"
        )
    name = f"cluster {int(number)} ({method})"
    members = atlas.heads[column].fill_null(-1).to_numpy() == int(number)
    return Target(name, _of_model(atlas, members, model, name))


def near_heads(atlas: Atlas, head: str, n: int, metric: str) -> Target:
    """Return the n nearest heads of a head within its model.

    Raises:
        InputError: if the atlas lacks the head, or n < 1.
    """
    anchor = str(HeadId.parse(head))
    nearest = near(atlas, anchor, n, metric, scope="within")
    heads = tuple(sorted(HeadId.parse(found.head) for found in nearest))
    return Target(f"{len(heads)} nearest of {anchor} by {metric}", heads, metric, anchor)


def classes_of(atlas: Atlas, model: str) -> list[Target]:
    """Return all classes with two or more heads in a model."""
    rows = atlas.heads["model"].to_numpy() == model
    return [
        Target(c.name, _of_model(atlas, np.asarray(c.members), model, c.name))
        for c in _classes(atlas)
        if (np.asarray(c.members) & rows).sum() >= 2
    ]


def strongest_heads(atlas: Atlas, model: str) -> dict[str, str]:
    """Return the strongest head of every computed class that has a head in the model."""
    import polars as pl

    from attention_motifs.behaviour import CLASS_THRESHOLDS

    heads = atlas.heads.filter(pl.col("model") == model)
    strongest = {}
    for name, threshold in CLASS_THRESHOLDS.items():
        if name in heads.columns and (heads[name].max() or 0.0) >= threshold:  # type: ignore[operator]
            strongest[name] = str(heads.sort(name, descending=True)["head"][0])
    return strongest


def _classes(atlas: Atlas) -> list:  # type: ignore[type-arg]
    return [*literature_classes(atlas.heads), *computed_head_classes(atlas.heads)]


def _of_model(atlas: Atlas, members: np.ndarray, model: str, name: str) -> tuple[HeadId, ...]:
    rows = members & (atlas.heads["model"].to_numpy() == model)
    if not rows.any():
        raise InputError(f"{name} has no head in {model}")
    return tuple(HeadId.parse(h) for h in atlas.heads["head"].to_numpy()[rows])
