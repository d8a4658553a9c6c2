"""Head clouds for the tests of distances."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from attention_motifs.distances import definitions, random_directions
from attention_motifs.distances.metrics import SLICED_DIRECTIONS
from attention_motifs.store.presets import PRESETS

FAST = ("mean", "cosine", "natural", "centroid", "wasserstein", "sliced-wasserstein", "energy")


def gaussian(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@st.composite
def clouds(draw: st.DrawFn, max_heads: int = 5) -> np.ndarray:
    """Small clouds, often with equal points and equal heads."""
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, max_heads), st.integers(1, 5)))
    numbers = st.floats(-1000, 1000, width=32).map(lambda v: round(v, 2))
    return draw(hnp.arrays(np.float32, shape, elements=numbers))


def oracle(embedded: np.ndarray, metric: str) -> np.ndarray:
    """Distances of all pairs by the plain float64 definition; the diagonal is set to 0."""
    wide = embedded.astype(np.float64)
    n = wide.shape[1]
    result = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if i != j:
                result[i, j] = pair_oracle(wide[:, i], wide[:, j], metric)
    return result


def pair_oracle(x: np.ndarray, y: np.ndarray, metric: str) -> float:
    if metric == "sliced-wasserstein":
        directions = random_directions(SLICED_DIRECTIONS, x.shape[1])
        return definitions.sliced_wasserstein(x, y, directions)
    if metric in PRESETS:
        return definitions.natural(x, y)
    return getattr(definitions, metric.replace("-", "_"))(x, y)


def relative_error(got: np.ndarray, want: np.ndarray) -> float:
    """Largest error, relative to each number."""
    off = ~np.eye(len(want), dtype=bool)
    return float((np.abs(got - want)[off] / want[off]).max())
