"""The nearest heads of every head, where all pairs are too many: part of the stage `distances`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.distances import get_metric
from attention_motifs.distances.head_vectors import N_AXES
from attention_motifs.distances.index import HeadIndex
from attention_motifs.distances.neighbour_files import (
    HEADS_PER_PART,
    is_made_from,
    n_parts,
    rebuild_hint,
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
from attention_motifs.progress import Report, silent
from attention_motifs.store import files

if TYPE_CHECKING:
    from jaxtyping import Float


def nearest_heads(
    atlas: Atlas, metric: str, inputs: str, *, force: bool = False, report: Report = silent
) -> None:
    """Write the nearest heads of every head, the index that found them, and the clouds by head.

    Every file is made from the one before and kept if it is there from the same inputs, so that
    a killed run goes on.

    Args:
        atlas: with its patterns embedded.
        metric: one that has a sketch.
        inputs: digest of what the clouds are made from.
        force: make everything again.
        report: shows progress.

    Raises:
        InputError: if the metric has no neighbours from an index, or faiss is not installed.
        AtlasError: if the stage `embed` has not run, or the atlas lacks the features.
    """
    n_heads = len(atlas.heads)
    check_sketched(metric, n_heads)
    space = get_metric(metric).space
    made_from = files.digest([1, metric, inputs, N_NEAREST, N_CANDIDATES, N_AXES])
    if force:
        files.remove(atlas.neighbours_folder(metric))
    for path in atlas.neighbours_folder(metric).glob("part-*.safetensors"):
        if not is_made_from(path, made_from):
            files.remove(path)  # of other clouds: no reader may take it for one of these
    clouds = _clouds(atlas, space, inputs, force, report)
    index = _index(atlas, metric, clouds, made_from, report)
    with report(f"nearest heads by {metric}", n_heads) as advance:
        for part in range(n_parts(n_heads)):
            heads = np.arange(part * HEADS_PER_PART, min((part + 1) * HEADS_PER_PART, n_heads))
            path = atlas.neighbours_path(metric, part)
            if is_made_from(path, made_from):
                advance(len(heads))
                continue
            found = nearest_neighbours(clouds, index, heads, done=advance)
            write_part(path, Neighbours(*found), made_from)


def has_all_parts(atlas: Atlas, metric: str) -> bool:
    """Whether the neighbours of all heads are there, from whatever clouds."""
    parts = range(n_parts(len(atlas.heads)))
    return all(atlas.neighbours_path(metric, part).is_file() for part in parts)


def _clouds(atlas: Atlas, space: str, inputs: str, force: bool, report: Report) -> Any:
    """Copy the clouds so that those of one head lie together, model by model."""
    path, stage = atlas.head_clouds_path(space), f"clouds:{space}"
    if force or not atlas.is_finished(stage, inputs) or not path.is_file():
        read = atlas.recommended_clouds if space == "recommended" else atlas.embedded
        first = read(atlas.models[:1])
        shape = len(atlas.heads), first.shape[0], first.shape[2]

        with (
            report(f"clouds by head, {space}", len(atlas.models)) as advance,
            files.mapped_array(path, shape) as by_head,
        ):
            row = 0
            for model in atlas.models:
                clouds = read([model]).transpose(1, 0, 2)
                by_head[row : row + len(clouds)] = clouds
                row += len(clouds)
                advance(1)
        atlas.finish(stage, inputs)
    return atlas.head_clouds(space)


def _index(
    atlas: Atlas,
    metric: str,
    clouds: Float[np.ndarray, "heads prompts columns"],
    made_from: str,
    report: Report,
) -> HeadIndex:
    path = atlas.index_path(metric)
    if is_made_from(path, made_from):
        try:
            return HeadIndex.load(path, rebuild_hint(atlas, metric))
        except AtlasError:
            pass  # damaged: made again
    with report(f"index of heads by {metric}", len(clouds)) as advance:
        index = HeadIndex.build(clouds, metric, done=advance)
    index.save(path, made_from)
    return index
