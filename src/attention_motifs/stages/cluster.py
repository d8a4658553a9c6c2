"""Distances of heads to clusters: the stage `cluster`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.head_distances import NearestHeads, clouds_for, stored_distances
from attention_motifs.errors import InputError
from attention_motifs.progress import Advance, Report, silent
from attention_motifs.stages.parts import distinct_prompts
from attention_motifs.store import files

if TYPE_CHECKING:
    import polars as pl
    from jaxtyping import Float, Int

    from attention_motifs.clustering import Clustering, NamedClusters, Stability

N_CLUSTERS = 16
"""Clusters of a hierarchical method when neither a number nor a height is given."""


@dataclass(frozen=True)
class ClusterReport:
    """A clustering with what is known of it."""

    clustering: Clustering
    stability: Stability | None
    names: NamedClusters
    composition: dict[str, pl.DataFrame]


def cluster(
    atlas: Atlas,
    *,
    method: str = "average",
    metric: str = "mean",
    n_clusters: int | None = None,
    height: float | None = None,
    n_rounds: int = 20,
    seed: int = 0,
    report: Report = silent,
    **parameters: Any,
) -> ClusterReport:
    """Cluster the heads; write `clusters/<method>.json`, labels, and a column of the heads.

    Args:
        atlas: with the distances of `metric`, or the nearest heads (docs/scale.md).
        method: a name in `clustering.CLUSTERINGS`.
        metric: what is clustered; `ward` works on head means in the metric's space.
        n_clusters: of a hierarchical method; by default 16, or as many as there are heads.
        height: where to cut instead.
        n_rounds: draws of half of the prompts for the stability; 0 for none.
        seed: of the draws, and of Leiden.
        report: shows progress.
        parameters: others of `clustering.cluster`.

    Raises:
        InputError: if a parameter is not usable, or igraph is missing for Leiden.
        AtlasError: if the distances were not computed.
    """
    from attention_motifs import clustering as c

    stored = stored_distances(atlas).get(metric)
    if n_clusters is None and height is None and method not in {"hdbscan", "leiden"}:
        n_clusters = min(N_CLUSTERS, len(atlas.heads))
    settings = {"n_clusters": n_clusters, "height": height, "seed": seed, **parameters}
    with report(f"clusters by {method}", n_rounds + 1) as advance:
        if isinstance(stored, NearestHeads):
            made = c.cluster_neighbours(stored.neighbours, stored.rows, method=method, **settings)
            recompute = _recluster(stored, made, advance)
        else:
            matrix = np.asarray(atlas.distances(metric))
            clouds = clouds_for(atlas, metric)
            means = clouds.mean(axis=0) if method == "ward" else None
            made = c.cluster(matrix, method=method, embeddings=means, **settings)
            recompute = _recompute(clouds, made, metric, advance)
        advance(1)
        stable = None
        distinct = distinct_prompts(atlas)
        if n_rounds > 0 and len(distinct) >= 2:
            stable = c.stability(
                made,
                lambda drawn: recompute(distinct[drawn]),
                len(distinct),
                n_rounds=n_rounds,
                seed=seed,
            )
    heads: list[str] = atlas.heads["head"].to_list()
    names = c.carry_over(c.read_names(atlas.file("cluster_names").fetch()), heads, made.labels)
    c.export_clustering(
        atlas.file("clusters", method=method).path,
        made,
        heads,
        names=names,
        stability=stable,
        metric=metric,
    )
    _write_labels(atlas, method, made)
    composition = c.compositions(
        made.labels,
        models=atlas.heads["model"].to_list(),
        depths=atlas.heads["depth"].to_list(),
        classes=atlas.heads["classes"].to_list(),
    )
    return ClusterReport(made, stable, names, composition)


Recompute = Callable[["Int[np.ndarray, ' sample']"], np.ndarray[Any, Any]]


def _recompute(
    clouds: Float[np.ndarray, "prompts heads components"],
    made: Clustering,
    metric: str,
    advance: Advance,
) -> Recompute:
    """What the clustering starts from, on some of the prompts."""
    from attention_motifs.distances import head_distances

    def recompute(prompts: Int[np.ndarray, " sample"]) -> np.ndarray[Any, Any]:
        advance(1)
        if made.method == "ward":
            return np.asarray(clouds[prompts].mean(axis=0))
        return head_distances(clouds[prompts], metric=metric)

    return recompute


def _recluster(stored: NearestHeads, made: Clustering, advance: Advance) -> Recompute:
    """The labels on some of the prompts, by the neighbours among those that are kept."""
    from attention_motifs.clustering import cluster_neighbours

    def recluster(prompts: Int[np.ndarray, " sample"]) -> np.ndarray[Any, Any]:
        advance(1)
        neighbours, rows = stored.on(prompts)
        parameters: dict[str, Any] = dict(made.parameters)
        return cluster_neighbours(neighbours, rows, method=made.method, **parameters).labels

    return recluster


def _write_labels(atlas: Atlas, method: str, made: Clustering) -> None:
    """Keep the linkage and the labels as files, and the labels as a column of the heads."""
    import polars as pl

    if made.linkage is not None:
        files.write_array(atlas.file("linkage", method=method), made.linkage)
    labels = pl.Series(f"cluster ({method})", made.labels, dtype=pl.Int32)
    table = atlas.heads.with_columns(labels)
    atlas.write_heads(table)
    columns = [name for name in table.columns if name.startswith("cluster (")]
    files.write_parquet(atlas.file("labels"), table.select("head", *columns))


def name_cluster(atlas: Atlas, method: str, number: int, name: str, note: str = "") -> None:
    """Give a cluster a name, which later cuts inherit by overlap.

    Raises:
        InputError: if there is no such clustering or cluster, or the name is not usable.
    """
    from attention_motifs import clustering as c

    column = f"cluster ({method})"
    if column not in atlas.heads.columns:
        raise InputError(f"no clusters by {method} yet; run `motifs cluster --method {method}`")
    labels = atlas.heads[column].to_numpy()
    names = c.name_cluster(
        c.read_names(atlas.file("cluster_names").fetch()),
        atlas.heads["head"].to_list(),
        labels,
        number,
        name,
        note,
    )
    c.write_names(atlas.file("cluster_names").path, names)
