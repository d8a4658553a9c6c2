"""What a finished atlas is looked at with: projections, clusters, evaluation, and the site."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from importlib.util import find_spec

from attention_motifs.atlas import Atlas
from attention_motifs.errors import InputError
from attention_motifs.progress import Report, silent
from attention_motifs.site.export import Exported, export_site
from attention_motifs.store import files

MOST_HEADS = 2000
"""Heads up to which projections, clusters and evaluation are made without being asked for: their
time grows with the square of the heads and more."""

NEIGHBOURHOODS = (8, 16, 32)
"""With the paper's 16 (section 3.1)."""
CLUSTERINGS = ("average", "hdbscan", "leiden")
METRIC = "mean"
_ROUNDS = 10

# Methods that need a package which not everyone installs.
_NEEDS = {"umap": "umap", "leiden": "igraph"}


def explore(
    atlas: Atlas, *, n_neighbors: Sequence[int] = NEIGHBOURHOODS, report: Report = silent
) -> Exported:
    """Project, cluster and evaluate the heads, and export the site; the caller holds the lock.

    What was made before from the same inputs is kept. Methods whose package is not installed
    are left out, and so is all but the site for an atlas of more than 2,000 heads or of one
    without the distances of Eq. 3: the site says what is missing, and which command makes it.

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
    inputs = files.digest([2, journal, atlas.models, methods, clusterings, list(n_neighbors)])
    if atlas.is_finished("explore", inputs) and _is_there(atlas, clusterings):
        return
    if not atlas.projections_path.is_file() or "explore" in atlas.manifest.stages:
        project(
            atlas, metric=METRIC, methods=methods, n_neighbors=n_neighbors, report=report
        )  # what a person projected with other settings is left as it is
    for method in clusterings:
        cluster(atlas, method=method, metric=METRIC, n_rounds=_ROUNDS, report=report)
    with contextlib.suppress(InputError):  # nothing to evaluate with: the site says so
        evaluate(atlas, report=report)
    atlas.finish("explore", inputs)


def installed_projections() -> list[str]:
    """Methods of projection whose packages are installed."""
    from attention_motifs.projection import PROJECTIONS

    return [name for name in PROJECTIONS if _installed(name)]


def _installed(method: str) -> bool:
    return method not in _NEEDS or find_spec(_NEEDS[method]) is not None


def _is_there(atlas: Atlas, clusterings: list[str]) -> bool:
    """Whether the files are there, which may have been deleted since."""
    columns = atlas.heads.columns
    return (
        atlas.projections_path.is_file()
        and atlas.evaluation_path.is_file()
        and all(f"cluster ({method})" in columns for method in clusterings)
    )
