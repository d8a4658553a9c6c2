"""The stage `cluster`: distances between heads to clusters, their stability and names."""

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
"""Default number of clusters of a hierarchical method."""


@dataclass(frozen=True)
class ClusterReport:
    """A clustering with its stability, names and composition."""

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
        metric: whose distances are clustered; `ward` uses head means in the metric's space.
        n_clusters: number of clusters of a hierarchical method; default: 16, or one per head.
        height: height at which to cut the tree instead.
        n_rounds: draws of half of the prompts for the stability; 0 for none.
        seed: of the draws, and of Leiden.
        report: shows progress.
        parameters: further parameters of `clustering.cluster`.

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
            clustering = c.cluster_neighbours(
                stored.neighbours, stored.rows, method=method, **settings
            )
            recompute = _recluster(stored, clustering, advance)
        else:
            matrix = np.asarray(atlas.distances(metric))
            clouds = clouds_for(atlas, metric)
            means = clouds.mean(axis=0) if method == "ward" else None
            clustering = c.cluster(matrix, method=method, embeddings=means, **settings)
            recompute = _recompute(clouds, clustering, metric, advance)
        advance(1)
        stable = None
        distinct = distinct_prompts(atlas)
        if n_rounds > 0 and len(distinct) >= 2:
            stable = c.stability(
                clustering,
                lambda drawn: recompute(distinct[drawn]),
                len(distinct),
                n_rounds=n_rounds,
                seed=seed,
            )
    heads: list[str] = atlas.heads["head"].to_list()
    names = c.carry_over(
        c.read_names(atlas.file("cluster_names").fetch()), heads, clustering.labels
    )
    c.export_clustering(
        atlas.file("clusters", method=method).path,
        clustering,
        heads,
        names=names,
        stability=stable,
        metric=metric,
    )
    _write_labels(atlas, method, clustering)
    composition = c.compositions(
        clustering.labels,
        models=atlas.heads["model"].to_list(),
        depths=atlas.heads["depth"].to_list(),
        classes=atlas.heads["classes"].to_list(),
    )
    return ClusterReport(clustering, stable, names, composition)


Recompute = Callable[["Int[np.ndarray, ' sample']"], np.ndarray[Any, Any]]


def _recompute(
    clouds: Float[np.ndarray, "prompts heads components"],
    clustering: Clustering,
    metric: str,
    advance: Advance,
) -> Recompute:
    """Return the function that computes the input of the clustering on some of the prompts."""
    from attention_motifs.distances import head_distances

    def recompute(prompts: Int[np.ndarray, " sample"]) -> np.ndarray[Any, Any]:
        advance(1)
        if clustering.method == "ward":
            return np.asarray(clouds[prompts].mean(axis=0))
        return head_distances(clouds[prompts], metric=metric)

    return recompute


def _recluster(stored: NearestHeads, clustering: Clustering, advance: Advance) -> Recompute:
    """Return the function that clusters on some of the prompts, with the stored neighbours."""
    from attention_motifs.clustering import cluster_neighbours

    def recluster(prompts: Int[np.ndarray, " sample"]) -> np.ndarray[Any, Any]:
        advance(1)
        neighbours, rows = stored.on(prompts)
        parameters: dict[str, Any] = dict(clustering.parameters)
        return cluster_neighbours(neighbours, rows, method=clustering.method, **parameters).labels

    return recluster


def _write_labels(atlas: Atlas, method: str, clustering: Clustering) -> None:
    """Write the linkage and the labels to files, and the labels to a column of the heads."""
    import polars as pl

    if clustering.linkage is not None:
        files.write_array(atlas.file("linkage", method=method), clustering.linkage)
    labels = pl.Series(f"cluster ({method})", clustering.labels, dtype=pl.Int32)
    table = atlas.heads.with_columns(labels)
    atlas.write_heads(table)
    columns = [name for name in table.columns if name.startswith("cluster (")]
    files.write_parquet(atlas.file("labels"), table.select("head", *columns))


def name_cluster(atlas: Atlas, method: str, number: int, name: str, note: str = "") -> None:
    """Name a cluster; later clusterings inherit the name by overlap.

    Args:
        atlas: the caller holds its lock.
        method: of the clustering.
        number: of the cluster.
        name: of the cluster.
        note: remark on the cluster.

    Raises:
        InputError: if there is no such clustering or cluster, or the name is not usable.
    """
    from attention_motifs import clustering as c

    column = f"cluster ({method})"
    if column not in atlas.heads.columns:
        raise InputError(
            f"no clusters by {method} yet; run {atlas.paths.command(f'cluster --method {method}')}"
        )
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
