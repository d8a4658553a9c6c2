"""Embedded patterns to distances of heads: the stage `distances`."""

from __future__ import annotations

from collections.abc import Sequence

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.head_distances import clouds_for
from attention_motifs.distances.neighbour_graph import DENSE_LIMIT
from attention_motifs.embedding.recommended import FEATURE_SET
from attention_motifs.progress import Report, silent
from attention_motifs.stages.neighbours import has_all_parts, nearest_heads
from attention_motifs.store import files

STANDARD_METRICS = ("mean", "cosine")
"""Computed unless told otherwise, and `recommended` where the atlas has its features."""

_STEPS = 100
"""Of the progress bar."""


def standard_metrics(feature_sets: Sequence[str]) -> tuple[str, ...]:
    """Return the metrics computed unless told otherwise, for an atlas of these feature sets."""
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
        atlas: with its patterns embedded.
        metric: a name of `metric_names()`.
        budget_seconds: refuse all pairs that would take longer; by default ten minutes.
        dense_limit: with more heads than this, the nearest heads of each are kept instead of all
            pairs (docs/nearest.md).
        force: compute again what is there.
        report: shows progress.

    Raises:
        InputError: if the metric is not known, would take longer than the budget, or has no
            neighbours from an index where all pairs are too many.
        AtlasError: if the stage `embed` has not run, or the atlas lacks the features.
    """
    from attention_motifs.distances import get_metric, head_distances

    placed = "recommended" if get_metric(metric).space == "recommended" else "place"
    placements = [(m, atlas.manifest.stages.get(f"{placed}:{m}")) for m in atlas.models]
    stage = f"distances:{metric}"
    dense = len(atlas.heads) <= dense_limit
    inputs = files.digest([metric, placements] if dense else [metric, placements, "nearest"])
    there = atlas.distances_path(metric).is_file() if dense else has_all_parts(atlas, metric)
    if atlas.is_finished(stage, inputs) and there and not force:
        return
    if not dense:
        nearest_heads(atlas, metric, files.digest(placements), force=force, report=report)
        files.remove(atlas.distances_path(metric))
        atlas.finish(stage, inputs)
        return
    clouds = clouds_for(atlas, metric)
    path, shape = atlas.distances_path(metric), (clouds.shape[1],) * 2
    with (
        report(f"distances by {metric}", _STEPS) as advance,
        files.mapped_array(path, shape) as matrix,
    ):
        shown = 0

        def progress(done: int, total: int) -> None:
            nonlocal shown
            reached = done * _STEPS // max(total, 1)
            advance(reached - shown)
            shown = reached

        head_distances(clouds, metric, budget_seconds=budget_seconds, progress=progress, out=matrix)
    files.remove(atlas.neighbours_folder(metric))
    atlas.finish(stage, inputs)
