"""Export of a clustering as JSON, for other programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attention_motifs.clustering.linkage import UNCLUSTERED
from attention_motifs.clustering.methods import Clustering
from attention_motifs.clustering.names import NamedClusters
from attention_motifs.clustering.stability import Stability
from attention_motifs.clustering.validity import Validity
from attention_motifs.errors import InputError

SCHEMA = 1


def clustering_json(
    clustering: Clustering,
    heads: Sequence[str],
    *,
    names: NamedClusters | None = None,
    stability: Stability | None = None,
    validity: Validity | None = None,
    metric: str | None = None,
    on_nearest_heads: bool = False,
) -> dict[str, Any]:
    """Return a clustering with its names and stability as a JSON object.

    Args:
        clustering: clustering of H heads.
        heads: (H,) names of the heads, in the order of the labels.
        names: result of `carry_over`.
        stability: result of `stability`.
        validity: result of `validity`.
        metric: name of the distance, recorded in the object.
        on_nearest_heads: whether the nearest heads of each head were clustered, not all pairs.

    Returns:
        `schema`, `method`, `parameters`, `metric`, `distances` (`all pairs` or
        `nearest heads`), `heads` (all, in order), `clusters` (number,
        `name` or null, `size`, `heads`, and with a stability `jaccard`), `unclustered` (heads),
        `linkage` (rows as scipy's, or null), `stability` (null, or sample, rounds, mean and
        spread of the adjusted Rand index), `validity` (null, or the fields of `Validity` and
        `warning`), `unassigned_names`.

    Raises:
        InputError: if heads and labels differ in length.
    """
    if len(heads) != len(clustering.labels):
        raise InputError(
            f"{len(heads)} heads, {len(clustering.labels)} labels: give one label per head"
        )
    members: dict[int, list[str]] = {n: [] for n in (*range(clustering.n_clusters), UNCLUSTERED)}
    for head, label in zip(heads, clustering.labels.tolist(), strict=True):
        members[label].append(head)
    clusters: list[dict[str, Any]] = []
    for number in range(clustering.n_clusters):
        entry: dict[str, Any] = {
            "cluster": number,
            "name": names.names.get(number) if names else None,
            "size": len(members[number]),
            "heads": members[number],
        }
        if stability is not None:
            entry["jaccard"] = float(stability.jaccard[number])
        clusters.append(entry)
    return {
        "schema": SCHEMA,
        "method": clustering.method,
        "parameters": dict(clustering.parameters),
        "metric": metric,
        "distances": "nearest heads" if on_nearest_heads else "all pairs",
        "heads": list(heads),
        "clusters": clusters,
        "unclustered": members[UNCLUSTERED],
        "linkage": None if clustering.linkage is None else clustering.linkage.tolist(),
        "stability": _stability(stability),
        "validity": None if validity is None else validity.to_json(),
        "unassigned_names": list(names.unassigned) if names else [],
    }


def _stability(stability: Stability | None) -> dict[str, Any] | None:
    if stability is None:
        return None
    return {
        "sample": stability.sample,
        "rounds": len(stability.adjusted_rand),
        "adjusted_rand_mean": stability.mean,
        "adjusted_rand_spread": stability.spread,
    }
