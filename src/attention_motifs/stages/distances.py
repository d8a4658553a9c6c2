"""The stage `distances`: embedded patterns to distances between heads."""

from __future__ import annotations

from typing import Any

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.blocks import clouds_of, lacks, preset_of, require
from attention_motifs.atlas.head_distances import stored_distances
from attention_motifs.distances.neighbour_graph import DENSE_LIMIT
from attention_motifs.embedding.presets import PRESETS, known_presets
from attention_motifs.progress import Advance, Report, silent
from attention_motifs.stages.embed import embed
from attention_motifs.stages.neighbours import (
    has_all_parts,
    nearest_heads,
    recorded_name,
    remove_neighbours,
)
from attention_motifs.stages.stage import Stage, under_lock
from attention_motifs.store import files
from attention_motifs.store.presets import RIDGE

STANDARD_METRICS = ("mean", "cosine", "natural", "recommended")
"""Default metrics; presets are left out where the atlas lacks what they need."""

_STEPS = 100
"""Length of the progress bar."""


def standard_metrics(atlas: Atlas) -> tuple[str, ...]:
    """Return the default metrics that the atlas has everything for, and its own presets."""
    of_user = [name for name in known_presets(atlas.manifest.configuration) if name not in PRESETS]
    return tuple(metric for metric in (*STANDARD_METRICS, *of_user) if not lacks(atlas, metric))


@under_lock
def add_presets(atlas: Atlas, report: Report = silent) -> None:
    """Fit the blocks that an atlas gained features or probes for, and compute their distances.

    Distances that are stored and whose blocks changed are computed again.

    Args:
        atlas: the atlas to write to; without an embedding nothing is done.
        report: shows progress.
    """
    if "embed" not in atlas.manifest.stages:
        return
    embed(atlas, report=report)
    stored = [m for m in stored_distances(atlas) if not lacks(atlas, m)]
    for metric in dict.fromkeys([*stored, *standard_metrics(atlas)]):
        distances(atlas, metric, budget_seconds=float("inf"), report=report)


@under_lock
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
    from attention_motifs.distances import head_distances

    require(atlas, metric)
    placements = _placements(atlas, metric)
    path = atlas.file("distances", metric=metric)
    name, title = f"distances:{metric}", f"distances by {metric}"
    if len(atlas.heads) > dense_limit:
        stage = Stage(name, [recorded_name(metric), placements, "nearest"], title)

        def find(_advance: Advance) -> None:
            nearest_heads(atlas, metric, placements, force=force, report=report)
            files.remove(path)

        again = force or not has_all_parts(atlas, metric)
        stage.run(atlas, find, force=again)  # its parts show progress
        return
    stage = Stage(name, [recorded_name(metric), placements], title, (path,), _STEPS)

    def compute(advance: Advance) -> None:
        clouds = clouds_of(atlas, metric).array
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


def _placements(atlas: Atlas, metric: str) -> list[Any]:
    """Return a JSON value of everything that the clouds of a metric are made from."""
    journal, preset = atlas.manifest.stages, preset_of(atlas, metric)
    if preset is None:
        return [(m, journal.get(f"place:{m}")) for m in atlas.models]
    names = [block.name for block in preset.blocks]
    placed = [[(m, journal.get(f"place-block:{b}:{m}")) for m in atlas.models] for b in names]
    made_from = placed[0] if len(placed) == 1 else [names, preset.shares, placed]
    ridges = [block.ridge for block in preset.blocks]
    # Earlier versions had one ridge, which their journals do not name.
    return made_from if set(ridges) == {RIDGE} else [ridges, made_from]
