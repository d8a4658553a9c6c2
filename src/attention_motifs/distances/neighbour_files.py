"""Files of the nearest heads of every head (docs/scale.md)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.distances.neighbour_graph import Neighbours
from attention_motifs.errors import AtlasError
from attention_motifs.store import files

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from attention_motifs.store.paths import AtlasPaths

HEADS_PER_PART = 65_536
"""Heads per part, the unit that is complete or absent and that an interrupted run repeats."""


def n_parts(n_heads: int) -> int:
    """Return the number of parts for this many heads; the last one may be smaller."""
    return -(-n_heads // HEADS_PER_PART)


def metadata(**about: str) -> dict[str, str]:
    """Return the metadata of a file as a single entry, since safetensors may reorder several."""
    return {"about": json.dumps(about, sort_keys=True)}


def about(entries: Mapping[str, str]) -> dict[str, Any]:
    """Read what `metadata` returned; empty if it cannot be read."""
    try:
        value = json.loads(entries.get("about", ""))
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def write_part(path: files.Location, part: Neighbours, inputs: str) -> None:
    """Write the neighbours of the heads of a part, with the digest of their inputs."""
    arrays = {"heads": part.heads, "distances": part.distances}
    files.write_tensors(path, arrays, metadata(inputs=inputs))


def is_made_from(path: files.Location, inputs: str) -> bool:
    """Return whether a part or an index exists, is whole and was made from these inputs."""
    try:
        return about(files.tensors_metadata(path)).get("inputs") == inputs
    except AtlasError:
        return False


def read_part(paths: AtlasPaths, metric: str, part: int, n_heads: int) -> Neighbours:
    """Read the neighbours of one part of the heads.

    Raises:
        AtlasError: if the file is missing or damaged, or holds another number of heads.
    """
    file = paths.file("neighbours", metric=metric, part=part)
    arrays, _ = files.read_tensors(file)
    heads, distances = arrays.get("heads"), arrays.get("distances")
    rows = min(HEADS_PER_PART, n_heads - part * HEADS_PER_PART)
    if (
        heads is None
        or distances is None
        or heads.dtype != np.int32
        or distances.dtype != np.float32
        or heads.ndim != 2
        or heads.shape != distances.shape
        or len(heads) != rows
    ):
        raise AtlasError(f"{file}: not the neighbours of {rows} heads; {file.fix_damaged}")
    if heads.size and (heads.min() < 0 or heads.max() >= n_heads):
        raise AtlasError(f"{file}: names heads outside 0..{n_heads - 1}; {file.fix_damaged}")
    return Neighbours(heads, distances)


def read_neighbours(paths: AtlasPaths, metric: str, n_heads: int) -> Neighbours:
    """Read the neighbours of all heads.

    Raises:
        AtlasError: as `read_part`, or if the parts hold different numbers of neighbours.
    """
    parts = [read_part(paths, metric, part, n_heads) for part in range(n_parts(n_heads))]
    if len({part.heads.shape[1] for part in parts}) != 1:
        raise AtlasError(
            f"{paths.place}: the parts by {metric!r} hold different numbers of neighbours; "
            f"{paths.rebuild('neighbours', metric=metric)}"
        )
    return Neighbours(
        np.concatenate([part.heads for part in parts]),
        np.concatenate([part.distances for part in parts]),
    )


def read_nearest(
    paths: AtlasPaths, metric: str, head: int, n_heads: int
) -> tuple[Int[np.ndarray, " nearest"], Float[np.ndarray, " nearest"]]:
    """Read the neighbours of one head without reading the rest of its part.

    Raises:
        AtlasError: if the file is missing or damaged.
    """
    part, row = divmod(head, HEADS_PER_PART)
    file = paths.file("neighbours", metric=metric, part=part)
    heads = files.read_tensor_part(file, "heads", row)
    distances = files.read_tensor_part(file, "distances", row)
    if (
        heads.shape != distances.shape
        or heads.dtype != np.int32
        or (heads.size and (heads.min() < 0 or heads.max() >= n_heads))
    ):
        raise AtlasError(
            f"{file}: not the neighbours of heads 0..{n_heads - 1}; {file.fix_damaged}"
        )
    return heads, distances
