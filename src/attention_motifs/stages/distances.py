"""The stage `distances`: embedded patterns to distances between heads."""

from __future__ import annotations

from collections.abc import Sequence

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.head_distances import clouds_for
from attention_motifs.distances.neighbour_graph import DENSE_LIMIT
from attention_motifs.embedding.recommended import FEATURE_SET
from attention_motifs.progress import Advance, Report, silent
from attention_motifs.stages.neighbours import has_all_parts, nearest_heads, remove_neighbours
from attention_motifs.stages.stage import Stage
from attention_motifs.store import files

STANDARD_METRICS = ("mean", "cosine")
"""Default metrics; `recommended` is added where the atlas has its features."""

_STEPS = 100
"""Length of the progress bar."""


def standard_metrics(feature_sets: Sequence[str]) -> tuple[str, ...]:
    """Return the default metrics of an atlas with these feature sets."""
    more = ("recommended",) if FEATURE_SET in feature_sets else ()
    return (*STANDARD_METRICS, *more)


def distances(
    atlas: Atlas,
    metric: str = "mean",
    *,
    budget_seconds: float | None = None,
    dense_limit: int = DENSE_LIMIT,
    force: bool = False,
    report: Report = silent,
) -> None:
    """Compute the distances of all pairs of heads by one metric, or of the nearest heads only.

    Args:
        atlas: with its patterns embedded; the caller holds its lock.
        metric: a name of `metric_names()`.
        budget_seconds: longest time for all pairs, in seconds; default: ten minutes.
        dense_limit: number of heads above which the nearest heads of each are stored instead of
            all pairs (docs/scale.md).
        force: compute again although nothing changed.
        report: shows progress.

    Raises:
        InputError: if the metric is not known, would take longer than the budget, or has no
            index of nearest heads where all pairs are too many.
        AtlasError: if the stage `embed` has not run, or the atlas lacks the features.
    """
    from attention_motifs.distances import get_metric, head_distances

    placed = "recommended" if get_metric(metric).space == "recommended" else "place"
    placements = [(m, atlas.manifest.stages.get(f"{placed}:{m}")) for m in atlas.models]
    path = atlas.file("distances", metric=metric)
    name, title = f"distances:{metric}", f"distances by {metric}"
    if len(atlas.heads) > dense_limit:
        stage = Stage(name, [metric, placements, "nearest"], title)

        def find(_advance: Advance) -> None:
            nearest_heads(atlas, metric, placements, force=force, report=report)
            files.remove(path)

        again = force or not has_all_parts(atlas, metric)
        stage.run(atlas, find, force=again)  # its parts show progress
        return
    stage = Stage(name, [metric, placements], title, (path,), _STEPS)

    def compute(advance: Advance) -> None:
        clouds = clouds_for(atlas, metric)
        shown = 0

        def progress(done: int, total: int) -> None:
            nonlocal shown
            reached = done * _STEPS // max(total, 1)
            advance(reached - shown)
            shown = reached

        with files.mapped_array(path, (clouds.shape[1],) * 2) as matrix:
            head_distances(
                clouds, metric, budget_seconds=budget_seconds, progress=progress, out=matrix
            )
        remove_neighbours(atlas, metric)

    stage.run(atlas, compute, force=force, report=report)
