"""Typical heads of an atlas: the medoids of groups of heads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.atlas.head_distances import stored_distances_of
from attention_motifs.figures.arguments import check_atlas, check_count, regular_sample

if TYPE_CHECKING:
    from attention_motifs.atlas import Atlas

N_TYPICAL = 6
"""Number of typical heads, which are shown by default."""


def typical_heads(atlas: Atlas, n: int = N_TYPICAL, metric: str = "mean") -> list[str]:
    """Return n typical heads: the medoids of n groups, in the order of the atlas.

    The first medoid has the smallest sum of distances, every further one is the head farthest
    from those before; then heads join their nearest medoid and each group chooses its own anew
    (k-medoids after Park and Jun 2009) until nothing changes. Of more than `MAX_DRAWN` heads, a
    regular sample is grouped.

    Raises:
        AtlasError: if the distances by `metric` do not exist or are damaged.
    """
    check_atlas(atlas)
    n = check_count("n", n)
    rows = regular_sample(len(atlas.heads))
    among = stored_distances_of(atlas, metric).among(rows)
    distances = np.nan_to_num(np.asarray(among, dtype=np.float64), nan=np.inf)
    medoids = [int(distances.sum(axis=1).argmin())]
    while len(medoids) < min(n, len(distances)):
        from_medoids = distances[medoids].min(axis=0)
        from_medoids[medoids] = -1.0
        medoids.append(int(from_medoids.argmax()))
    for _ in range(100):  # converges in a few rounds; equal distances could make a cycle
        group = distances[medoids].argmin(axis=0)
        group[medoids] = np.arange(len(medoids))
        new = []
        for g in range(len(medoids)):
            members = np.flatnonzero(group == g)
            inner = distances[np.ix_(members, members)].sum(axis=1)
            new.append(int(members[inner.argmin()]))
        if new == medoids:
            break
        medoids = new
    return [str(atlas.heads["head"][int(rows[i])]) for i in sorted(medoids)]
