"""Embedded patterns to distances of heads: the stage `distances`."""

from __future__ import annotations

from collections.abc import Sequence

from attention_motifs import files
from attention_motifs.atlas import Atlas
from attention_motifs.progress import Report, silent
from attention_motifs.queries import clouds_for
from attention_motifs.recommended import FEATURE_SET

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
    force: bool = False,
    report: Report = silent,
) -> None:
    """Compute the distances of all pairs of heads by one metric.

    Raises:
        InputError: if the metric is not known, or would take longer than the budget (by default
            ten minutes).
        AtlasError: if the stage `embed` has not run, or the atlas lacks the features.
    """
    from attention_motifs.distances import get_metric, head_distances

    placed = "recommended" if get_metric(metric).space == "recommended" else "place"
    inputs = files.digest(
        [metric, [(m, atlas.manifest.stages.get(f"{placed}:{m}")) for m in atlas.models]]
    )
    stage = f"distances:{metric}"
    if atlas.is_finished(stage, inputs) and atlas.distances_path(metric).is_file() and not force:
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
    atlas.finish(stage, inputs)
