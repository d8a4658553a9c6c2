"""CPU kernel of the set `no_gram`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.features.compiled import compiled
from attention_motifs.features.extended_kernels import ALIKE, extended_features
from attention_motifs.features.kernels import vector_columns
from attention_motifs.features.similarity_kernels import ALIKE_FEATURES
from attention_motifs.features.statistic_kernels import COUNT, VectorWork, vector_work

if TYPE_CHECKING:
    from jaxtyping import Float


@compiled
def _vector_rows(
    patterns: Float[np.ndarray, "b n n"], tokens: VectorWork, out: Float[np.ndarray, "b columns"]
) -> None:
    for p in range(len(patterns)):
        vector_columns(patterns[p], tokens, out[p])


def no_gram_features(patterns: Float[np.ndarray, "b n n"]) -> Float[np.ndarray, "b 104"]:
    """Compute the `no_gram` set of contiguous, finite float32 patterns."""
    vectors = np.empty((len(patterns), 2 * COUNT), np.float32)
    _vector_rows(patterns, vector_work(patterns.shape[1]), vectors)
    extended = extended_features(patterns, with_alike=False)
    rest = extended[:, ALIKE + ALIKE_FEATURES :]
    return np.concatenate([vectors, extended[:, :ALIKE], rest], axis=1)
