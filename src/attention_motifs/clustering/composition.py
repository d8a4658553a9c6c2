"""Composition of clusters by model, depth and known class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from attention_motifs.clustering.linkage import UNCLUSTERED
from attention_motifs.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from jaxtyping import Int

TERCILES = ("early", "middle", "late")


def depth_terciles(depths: Iterable[float]) -> list[str]:
    """Return the third of the model that each head is in: early, middle or late.

    Args:
        depths: from 0 (first layer) to 1 (last layer).

    Raises:
        InputError: if a depth is outside of 0 to 1.
    """
    result = []
    for depth in depths:
        if not 0 <= depth <= 1:
            raise InputError(f"depth {depth}: give layer / (layers - 1), from 0 to 1")
        result.append(TERCILES[min(int(3 * depth), 2)])
    return result


def composition(
    labels: Int[np.ndarray, " heads"], groups: Sequence[str | Sequence[str]], name: str = "group"
) -> pl.DataFrame:
    """Count heads by cluster and group.

    Args:
        labels: (H,) cluster numbers; unclustered heads count as a cluster -1.
        groups: group or groups of each head; a head may have none.
        name: name of the column with the group.

    Returns:
        One row per cluster and group that share a head, with columns `cluster`, `name`, `heads`
        (shared), `share_of_cluster` and `share_of_group` (both 0 to 1), and `lift`, the share of
        the cluster divided by the group's share of all heads (1: as expected by chance).
        Ordered by cluster, then by heads (descending), then by group.

    Raises:
        InputError: if labels and groups differ in length.
    """
    import polars as pl

    if len(labels) != len(groups):
        raise InputError(
            f"{len(labels)} labels, {len(groups)} heads with a {name}: give one of each per head"
        )
    of_head = [sorted({g} if isinstance(g, str) else set(g)) for g in groups]
    clusters = [int(label) for label in labels]
    sizes = Counter(clusters)
    totals = Counter(g for groups_of in of_head for g in groups_of)
    shared = Counter(
        (c, g) for c, groups_of in zip(clusters, of_head, strict=True) for g in groups_of
    )
    rows: list[dict[str, Any]] = [
        {
            "cluster": c,
            name: g,
            "heads": n,
            "share_of_cluster": n / sizes[c],
            "share_of_group": n / totals[g],
            "lift": n * len(clusters) / (sizes[c] * totals[g]),
        }
        for (c, g), n in sorted(shared.items(), key=_clustered_first)
    ]
    schema = {
        "cluster": pl.Int32,
        name: pl.String,
        "heads": pl.Int32,
        "share_of_cluster": pl.Float64,
        "share_of_group": pl.Float64,
        "lift": pl.Float64,
    }
    return pl.DataFrame(rows, schema=schema)


def _clustered_first(entry: tuple[tuple[int, str], int]) -> tuple[bool, int, int, str]:
    (label, group), n = entry
    return label == UNCLUSTERED, label, -n, group


def compositions(
    labels: Int[np.ndarray, " heads"],
    *,
    models: Sequence[str],
    depths: Sequence[float],
    classes: Sequence[Sequence[str]],
) -> dict[str, pl.DataFrame]:
    """Compute the composition by model, by tercile of depth and by known class.

    Args:
        labels: (H,) cluster numbers.
        models: model of each head.
        depths: depth of each head, 0 to 1.
        classes: known classes of each head; most heads have none.

    Returns:
        Tables under `model`, `depth` and `class`, as returned by `composition`.

    Raises:
        InputError: if the lengths differ or a depth is out of range.
    """
    return {
        "model": composition(labels, models, "model"),
        "depth": composition(labels, depth_terciles(depths), "depth"),
        "class": composition(labels, classes, "class"),
    }
