"""The stages that prepare the explorer: projections, clusters, evaluation, and its files."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from importlib.util import find_spec

from attention_motifs.atlas import Atlas
from attention_motifs.errors import InputError
from attention_motifs.progress import Report, silent
from attention_motifs.site.export import Exported, export_site
from attention_motifs.stages.stage import Stage, under_lock

MOST_HEADS = 2000
"""Number of heads up to which projections, clusters and evaluation are made by default, since
their time grows with the square of the number of heads and more."""

NEIGHBOURHOODS = (8, 16, 32)
"""Sizes of neighbourhoods, among them the paper's 16 (section 3.1)."""
BEST_NEIGHBOURHOOD = 16
"""Size of neighbourhoods of the maps by the best metric of the atlas."""
CLUSTERINGS = ("average", "hdbscan", "leiden")
METRIC = "mean"
_ROUNDS = 10
N_BOOTSTRAPS = 50
"""A quarter of the default of `motifs evaluate`, for time."""

# Methods that need an optional package.
_NEEDS = {"umap": "umap", "leiden": "igraph"}


@under_lock
def explore(
    atlas: Atlas, *, n_neighbors: Sequence[int] = NEIGHBOURHOODS, report: Report = silent
) -> Exported:
    """Project, cluster and evaluate the heads, and write the explorer.

    Results of the same inputs are kept. Methods whose package is not installed are left out. An
    atlas of more than 2,000 heads, or without the distances of Eq. 3, only gets the explorer, which
    names the missing results and the commands that make them.

    Args:
        atlas: the atlas to write to.
        n_neighbors: sizes of the neighbourhoods of the projections.
        report: shows progress.

    Raises:
        AtlasError, ResourceError: as the stages.
    """
    few = 2 <= len(atlas.heads) <= MOST_HEADS
    if few and METRIC in atlas.metrics():
        _make(atlas, n_neighbors, report)
    return export_site(atlas, report=report)


def _make(atlas: Atlas, n_neighbors: Sequence[int], report: Report) -> None:
    from attention_motifs.stages.cluster import cluster
    from attention_motifs.stages.evaluate import evaluate
    from attention_motifs.stages.project import project

    journal = {k: v for k, v in atlas.manifest.stages.items() if k.startswith(("dist", "score"))}
    methods = installed_projections()
    clusterings = [name for name in CLUSTERINGS if _installed(name)]
    inputs = [4, journal, atlas.models, methods, clusterings, list(n_neighbors)]
    outputs = (atlas.file("projections"), atlas.file("evaluation"))
    stage = Stage("explore", inputs, "explore", outputs)
    columns = [f"cluster ({method})" for method in clusterings]
    if stage.is_finished(atlas) and set(columns) <= set(atlas.heads.columns):
        return
    if not atlas.file("projections").is_file() or "explore" in atlas.manifest.stages:
        project(
            atlas, metric=METRIC, methods=methods, n_neighbors=n_neighbors, report=report
        )  # projections that a user made with other settings are kept
        best = atlas.best_metric
        if best != METRIC:
            project(
                atlas,
                metric=best,
                methods=methods,
                n_neighbors=(BEST_NEIGHBOURHOOD,),
                each_model=False,
                report=report,
            )
    for method in clusterings:
        cluster(atlas, method=method, metric=METRIC, n_rounds=_ROUNDS, report=report)
    with contextlib.suppress(
        InputError
    ):  # without classes there is nothing to evaluate, and the explorer says so
        evaluate(atlas, n_bootstraps=N_BOOTSTRAPS, report=report)
    stage.record(atlas)


def installed_projections() -> list[str]:
    """Return the methods of projection whose packages are installed."""
    from attention_motifs.projection import PROJECTIONS

    return [name for name in PROJECTIONS if _installed(name)]


def _installed(method: str) -> bool:
    return method not in _NEEDS or find_spec(_NEEDS[method]) is not None
