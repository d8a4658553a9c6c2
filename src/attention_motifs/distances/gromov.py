"""Gromov-Wasserstein distance of two head clouds, from the POT library (extra `transport`).

The metric compares the distances within each cloud only, so it can match clouds in different
spaces (Memoli, Found. Comput. Math. 11, 2011; suggested in the paper's section 4.1).
"""

from __future__ import annotations

from itertools import starmap
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.errors import require
from attention_motifs.features.compute import one_blas_thread

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from attention_motifs.distances.registry import Prepared


def _pot() -> Any:
    return require("ot", "metric 'gromov-wasserstein'")


def gromov_prepare(embedded: Float[np.ndarray, "prompts heads components"]) -> Prepared:
    """Convert the clouds to float64; raise at once if POT is missing."""
    _pot()
    return (embedded.astype(np.float64),)


def gromov_pairs(
    prepared: Prepared, left: Int[np.ndarray, " pairs"], right: Int[np.ndarray, " pairs"]
) -> Float[np.ndarray, " pairs"]:
    """Compute the Gromov-Wasserstein distance of each listed pair.

    The problem is not convex: the conditional-gradient solver is started from the product
    coupling, from the 1-Wasserstein pairing and from the pairing of points whose sorted inner
    distances are most alike; the least of the three bounds the true distance from above.
    The position of a cloud enters by the second start only, and can lower the bound only.
    """
    from scipy.spatial.distance import cdist

    from attention_motifs.distances.assignment import optimal_columns

    ot = _pot()
    points = prepared[0]
    n = points.shape[0]
    weights = np.full(n, 1.0 / n)

    def distance(i: int, j: int) -> float:
        # Use one order for (i, j) and (j, i), since the path of the solver depends on it.
        x, y = points[:, min(i, j)], points[:, max(i, j)]
        within_x, within_y = cdist(x, x), cdist(y, y)
        profiles = cdist(np.sort(within_x, axis=1), np.sort(within_y, axis=1))
        starts = [None] + [np.eye(n)[optimal_columns(cost)] / n for cost in (cdist(x, y), profiles)]
        values = [
            float(
                ot.gromov.gromov_wasserstein2(
                    within_x, within_y, weights, weights, "square_loss", symmetric=True, G0=start
                )
            )
            for start in starts
        ]
        return float(np.sqrt(max(min(values), 0.0)))

    pairs = zip(left.tolist(), right.tolist(), strict=True)
    # Threads cost more than they save on matrices this small, several times over on a busy machine.
    with one_blas_thread():
        return np.fromiter(starmap(distance, pairs), np.float64, count=left.size)
