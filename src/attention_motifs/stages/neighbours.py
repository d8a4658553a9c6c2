"""The nearest heads of every head, for the stage `distances` where all pairs are too many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.blocks import clouds_of
from attention_motifs.distances import get_metric
from attention_motifs.distances.head_vectors import N_AXES
from attention_motifs.distances.index import HeadIndex
from attention_motifs.distances.neighbour_files import (
    HEADS_PER_PART,
    is_made_from,
    n_parts,
    write_part,
)
from attention_motifs.distances.neighbour_graph import Neighbours
from attention_motifs.distances.neighbours import (
    N_CANDIDATES,
    N_NEAREST,
    check_sketched,
    nearest_neighbours,
)
from attention_motifs.errors import AtlasError
from attention_motifs.progress import Advance, Report, silent
from attention_motifs.stages.stage import Stage
from attention_motifs.store import earlier_names, files

if TYPE_CHECKING:
    from jaxtyping import Float


def nearest_heads(
    atlas: Atlas,
    metric: str,
    placements: Sequence[Any],
    *,
    force: bool = False,
    report: Report = silent,
) -> None:
    """Write the nearest heads of every head, the index that finds them, and the clouds by head.

    Every file is kept if it exists and was made from the same inputs, so that a killed run
    continues.

    Args:
        atlas: with its patterns embedded; the caller holds its lock.
        metric: a metric that has head vectors.
        placements: JSON value of everything that the clouds are made from.
        force: make everything again.
        report: shows progress.

    Raises:
        InputError: if the metric has no index of nearest heads, or faiss is not installed.
        AtlasError: if the stage `embed` has not run, or the atlas lacks the features.
    """
    n_heads = len(atlas.heads)
    check_sketched(metric, n_heads)
    made_from = files.digest(
        [1, recorded_name(metric), files.digest(placements), N_NEAREST, N_CANDIDATES, N_AXES]
    )
    if force:
        remove_neighbours(atlas, metric)
    for path in atlas.paths.existing("neighbours", metric=metric):
        if not is_made_from(path, made_from):
            files.remove(path)  # of other clouds, which no reader may mistake for these
    clouds = _clouds(atlas, metric, placements, force, report)
    index = _index(atlas, metric, clouds, made_from, report)
    with report(f"nearest heads by {metric}", n_heads) as advance:
        for part in range(n_parts(n_heads)):
            heads = np.arange(part * HEADS_PER_PART, min((part + 1) * HEADS_PER_PART, n_heads))
            path = atlas.file("neighbours", metric=metric, part=part)
            if is_made_from(path, made_from):
                advance(len(heads))
                continue
            nearest = nearest_neighbours(clouds, index, heads, done=advance)
            write_part(path, Neighbours(*nearest), made_from)


def recorded_name(metric: str) -> str:
    """Return the name under which the journal records the distances by a metric.

    Earlier versions recorded those of `natural` as `recommended`, from other inputs than today's
    `recommended`; atlases that they made stay finished.
    """
    return earlier_names.EARLIER if metric == earlier_names.NOW else metric


def remove_neighbours(atlas: Atlas, metric: str) -> None:
    """Delete the nearest heads by one metric, and their index."""
    for artefact in ("neighbours", "neighbour_index"):
        for file in atlas.paths.existing(artefact, metric=metric):
            files.remove(file)


def has_all_parts(atlas: Atlas, metric: str) -> bool:
    """Return whether the files of the neighbours of all heads exist."""
    parts = range(n_parts(len(atlas.heads)))
    return all(atlas.file("neighbours", metric=metric, part=part).is_file() for part in parts)


def _clouds(
    atlas: Atlas, metric: str, placements: Sequence[Any], force: bool, report: Report
) -> Any:
    """Copy the clouds, model by model, so that those of one head are contiguous."""
    space = get_metric(metric).space
    path = atlas.file("head_clouds", space=space)

    def copy(advance: Advance) -> None:
        first = clouds_of(atlas, metric, atlas.models[:1]).array
        shape = len(atlas.heads), first.shape[0], first.shape[2]
        with files.mapped_array(path, shape) as by_head:
            row = 0
            for model in atlas.models:
                clouds = clouds_of(atlas, metric, [model]).array.transpose(1, 0, 2)
                by_head[row : row + len(clouds)] = clouds
                row += len(clouds)
                advance(1)

    title, steps = f"clouds by head, {space}", len(atlas.models)
    stage = Stage(f"clouds:{space}", placements, title, (path,), steps)
    stage.run(atlas, copy, force=force, report=report)
    return atlas.head_clouds(space)


def _index(
    atlas: Atlas,
    metric: str,
    clouds: Float[np.ndarray, "heads prompts columns"],
    made_from: str,
    report: Report,
) -> HeadIndex:
    path = atlas.file("neighbour_index", metric=metric)
    if is_made_from(path, made_from):
        try:
            return HeadIndex.load(path)
        except AtlasError:
            pass  # damaged: build it again
    with report(f"index of heads by {metric}", len(clouds)) as advance:
        index = HeadIndex.build(clouds, metric, done=advance)
    index.save(path, made_from)
    return index
