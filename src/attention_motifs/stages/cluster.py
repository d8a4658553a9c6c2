"""The stage `cluster`: distances between heads to clusters, their stability and names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.blocks import clouds_of
from attention_motifs.atlas.head_distances import (
    AllPairs,
    NearestHeads,
    NearestOfAllPairs,
    all_pairs_or_nearest,
    stored_distances_of,
)
from attention_motifs.distances.neighbours import N_NEAREST
from attention_motifs.errors import InputError
from attention_motifs.memory import require_memory
from attention_motifs.progress import Report, silent
from attention_motifs.stages.parts import distinct_prompts
from attention_motifs.stages.stage import under_lock
from attention_motifs.store import files

if TYPE_CHECKING:
    import polars as pl
    from jaxtyping import Float, Int

    from attention_motifs.atlas.blocks import MetricClouds
    from attention_motifs.clustering import (
        Clustering,
        ClusterName,
        NamedClusters,
        Stability,
        Validity,
    )

N_CLUSTERS = 16
"""Default number of clusters of a hierarchical method."""

ALL_PAIRS_OF_DRAWS = 8192
"""Heads up to which Leiden's stability computes all pairs on every draw of prompts. Its clusters
are the same with the nearest heads, whose time grows with the heads and not with their square."""


@dataclass(frozen=True)
class ClusterReport:
    """A clustering with its stability, validity, names and composition."""

    clustering: Clustering
    stability: Stability | None
    validity: Validity
    names: NamedClusters
    composition: dict[str, pl.DataFrame]


@under_lock
def cluster(
    atlas: Atlas,
    /,
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
        n_rounds: draws of half of the prompts for the stability; 0 for none. With draws, the
            stability is compared with that of data without clusters (`clustering.validity`).
        seed: of the draws, and of Leiden.
        report: shows progress.
        parameters: further parameters of `clustering.cluster`.

    Raises:
        InputError: if a parameter is not usable, or igraph is missing for Leiden.
        AtlasError: if the distances were not computed.
        ResourceError: if the method needs all pairs, and they would use more than the limit of
            memory; `leiden`, `single` and `hdbscan` then use the nearest heads, with a warning.
    """
    from attention_motifs import clustering as c

    if n_clusters is None and height is None and method not in {"hdbscan", "leiden"}:
        n_clusters = min(N_CLUSTERS, len(atlas.heads))
    settings = {"n_clusters": n_clusters, "height": height, "seed": seed, **parameters}
    with report(f"clusters by {method}", 1) as advance:
        on_prompts = _on_prompts(atlas, metric, method, settings)
        advance(1)
    clustering = on_prompts.clustering
    stable, valid = _checked(atlas, on_prompts, n_rounds, seed, report)
    heads: list[str] = atlas.heads["head"].to_list()
    names = c.carry_over(
        c.read_names(atlas.file("cluster_names").fetch()), heads, clustering.labels
    )
    value = c.clustering_json(
        clustering, heads, names=names, stability=stable, validity=valid, metric=metric,
        on_nearest_heads=on_prompts.reference is None,
    )  # fmt: skip
    files.write_json(atlas.file("clusters", method=method), value)
    _write_labels(atlas, method, clustering)
    composition = c.compositions(
        clustering.labels,
        models=atlas.heads["model"].to_list(),
        depths=atlas.heads["depth"].to_list(),
        classes=atlas.heads["classes"].to_list(),
    )
    return ClusterReport(clustering, stable, valid, names, composition)


Recompute = Callable[["Int[np.ndarray, ' sample']"], np.ndarray[Any, Any]]
Reference = Callable[[int], tuple["Clustering", Recompute]]


@dataclass(frozen=True)
class _OnPrompts:
    """A clustering, and the same clustering on other data."""

    clustering: Clustering
    recompute: Recompute
    """From numbers of prompts to what `clustering.stability` takes."""
    with_seed: Callable[[int], Int[np.ndarray, " heads"]] | None
    """From a seed to the labels on all prompts; None for methods without a seed."""
    reference: Callable[[Int[np.ndarray, " distinct"]], Reference] | None
    """From the prompts that differ to the clustering of data without clusters; None if the atlas
    stores the nearest heads alone."""


def _checked(
    atlas: Atlas, on_prompts: _OnPrompts, n_rounds: int, seed: int, report: Report
) -> tuple[Stability | None, Validity]:
    """Measure the stability of a clustering, and compare it with data without clusters."""
    from attention_motifs import clustering as c

    clustering = on_prompts.clustering
    distinct = distinct_prompts(atlas)
    sources = atlas.prompts["source"].gather(distinct).to_list()
    stable = None
    if n_rounds > 0 and len(distinct) >= 2:
        with report("clusters of halves of the prompts", n_rounds) as advance:

            def recompute(drawn: Int[np.ndarray, " sample"]) -> np.ndarray[Any, Any]:
                advance(1)
                return on_prompts.recompute(distinct[drawn])

            stable = c.stability(clustering, recompute, len(distinct), n_rounds=n_rounds, seed=seed)
    with report("validity of the clusters", 1) as advance:
        valid = c.validity(
            clustering,
            stable,
            lambda drawn: on_prompts.recompute(distinct[drawn]),
            sources,
            with_seed=on_prompts.with_seed if stable else None,
            reference=on_prompts.reference(distinct) if on_prompts.reference else None,
            seed=seed,
        )
        advance(1)
    return stable, valid


def _on_prompts(atlas: Atlas, metric: str, method: str, settings: dict[str, Any]) -> _OnPrompts:
    """Cluster the heads on all prompts."""
    from attention_motifs import clustering as c

    stored = _distances_for(atlas, metric, method, settings.get("n_neighbors"))
    if isinstance(stored, NearestHeads):

        def nearest(**changed: Any) -> Clustering:
            given = settings | changed
            return c.cluster_neighbours(stored.neighbours, stored.rows, method=method, **given)

        clustering = nearest()
        seeded = _with_seed(nearest) if "seed" in clustering.parameters else None
        return _OnPrompts(clustering, _recluster(stored, clustering), seeded, None)
    matrix = np.asarray(stored.matrix)
    clouds = clouds_of(atlas, metric)
    means = clouds.array.mean(axis=0) if method == "ward" else None

    def whole(**changed: Any) -> Clustering:
        return c.cluster(matrix, method=method, embeddings=means, **(settings | changed))

    clustering = whole()

    def reference(distinct: Int[np.ndarray, " distinct"]) -> Reference:
        return lambda seed: _without_clusters(
            clouds.restricted(distinct), metric, method, settings, seed
        )

    return _OnPrompts(
        clustering,
        _recompute(clouds, method, metric),
        _with_seed(whole) if "seed" in clustering.parameters else None,
        reference,
    )


def _distances_for(
    atlas: Atlas, metric: str, method: str, n_neighbors: int | None
) -> AllPairs | NearestHeads:
    """Return the distances that a method works on within the limit of memory.

    Args:
        atlas: with the distances of the metric.
        metric: its name.
        method: the method.
        n_neighbors: neighbours of each head that Leiden uses; None for its default.

    Raises:
        ResourceError: if the method needs all pairs, and they are too many.
    """
    from attention_motifs import clustering as c

    n_heads, what = len(atlas.heads), f"cluster --method {method}"
    needed = c.bytes_of_all_pairs(method, n_heads)
    if method == "leiden" and n_heads > ALL_PAIRS_OF_DRAWS and (n_neighbors or 1) <= N_NEAREST:
        held = stored_distances_of(atlas, metric)
        return NearestOfAllPairs(held) if isinstance(held, AllPairs) else held
    if method in c.ON_NEIGHBOURS:
        return all_pairs_or_nearest(atlas, metric, needed, what)
    stored = stored_distances_of(atlas, metric)
    if not isinstance(stored, NearestHeads):
        on_neighbours = ", ".join(c.ON_NEIGHBOURS)
        require_memory(needed, f"{what} of {n_heads} heads", f"Choose from {on_neighbours}")
    return stored


def _with_seed(run: Callable[..., Clustering]) -> Callable[[int], Int[np.ndarray, " heads"]]:
    return lambda seed: run(seed=seed).labels


def _without_clusters(
    clouds: MetricClouds,
    metric: str,
    method: str,
    settings: dict[str, Any],
    seed: int,
) -> tuple[Clustering, Recompute]:
    """Cluster a draw of one Gaussian with the covariances of the clouds."""
    from attention_motifs import clustering as c

    rng = np.random.default_rng([settings["seed"], 2, seed])
    drawn = clouds.changed(lambda block: c.one_gaussian(block, rng))
    recompute, values = _recompute(drawn, method, metric), _input(drawn.array, method, metric)
    if method == "ward":
        return c.cluster(None, method=method, embeddings=values, **settings), recompute
    return c.cluster(values, method=method, **settings), recompute


def _recompute(clouds: MetricClouds, method: str, metric: str) -> Recompute:
    """Return the function that computes the input of the clustering on some of the prompts."""
    return lambda prompts: _input(clouds.on(prompts), method, metric)


def _input(
    clouds: Float[np.ndarray, "points heads columns"], method: str, metric: str
) -> np.ndarray[Any, Any]:
    """Return the input of a clustering: head means for `ward`, distances for other methods."""
    from attention_motifs.distances import head_distances

    if method == "ward":
        return np.asarray(clouds.mean(axis=0))
    return head_distances(clouds, metric=metric)


def _recluster(stored: NearestHeads, clustering: Clustering) -> Recompute:
    """Return the function that clusters on some of the prompts, with the stored neighbours."""
    from attention_motifs.clustering import cluster_neighbours

    def recluster(prompts: Int[np.ndarray, " sample"]) -> np.ndarray[Any, Any]:
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


@under_lock
def name_cluster(atlas: Atlas, method: str, number: int, name: str, note: str = "") -> None:
    """Name a cluster; later clusterings inherit the name by overlap.

    Args:
        atlas: the atlas to write to.
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
    c.write_names(atlas.file("cluster_names"), names)


@under_lock
def import_names(atlas: Atlas, path: Path) -> tuple[ClusterName, ...]:
    """Add the names of a file of named pattern types; later clusterings inherit them by overlap.

    Args:
        atlas: the atlas to write to.
        path: the file, see `clustering.read_pattern_types`. Names that the atlas has are replaced.

    Returns:
        The names with their heads, in the order of the file.

    Raises:
        InputError: if the file is missing or malformed.
    """
    from attention_motifs import clustering as c

    more = c.read_pattern_types(path)
    names = c.read_names(atlas.file("cluster_names").fetch())
    c.write_names(atlas.file("cluster_names"), c.add_names(names, more))
    return tuple(more)


def export_pattern_types(atlas: Atlas, clusters: ClusterReport, path: Path) -> None:
    """Write a clustering with its names to a file that the authors' tool reads.

    Args:
        atlas: the atlas of the clustering.
        clusters: result of `cluster`.
        path: the file; an existing one is replaced.

    Raises:
        ResourceError: if the file cannot be written.
    """
    from attention_motifs import clustering as c

    clustering = clusters.clustering
    value = c.pattern_types_json(
        clustering,
        atlas.heads["head"].to_list(),
        clusters.names,
        c.read_names(atlas.file("cluster_names").fetch()),
        path=f"clusters/{clustering.method}.json",
    )
    files.write_json(path, value)
