"""Projections of heads to two or three dimensions.

`project` takes the distances of all pairs; `project_neighbours` takes the nearest heads of each
head, for atlases with too many heads for all pairs.
"""

from __future__ import annotations

from attention_motifs.projection.landmarks import Landmarks, landmark_scaling, project_neighbours
from attention_motifs.projection.methods import (
    DIMENSIONS,
    NEIGHBOURHOODS,
    PROJECTIONS,
    Projection,
    ProjectionMethod,
    bytes_of_all_pairs,
    classical_scaling,
    project,
    projection_plan,
)

__all__ = [
    "DIMENSIONS",
    "NEIGHBOURHOODS",
    "PROJECTIONS",
    "Landmarks",
    "Projection",
    "ProjectionMethod",
    "bytes_of_all_pairs",
    "classical_scaling",
    "landmark_scaling",
    "project",
    "project_neighbours",
    "projection_plan",
]
