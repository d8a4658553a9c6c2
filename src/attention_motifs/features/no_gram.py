"""The feature set `no_gram`: the features of `paper` and `extended` that cost O(n^2) at most.

Of a long prompt, products of whole patterns are nearly all of the time: a Gram matrix costs O(n^3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.features.definitions import VECTOR_CONTEXTS, vector_features
from attention_motifs.features.extended import FAMILIES, columns_of
from attention_motifs.features.extended_definitions import extended_features
from attention_motifs.features.paper import PAPER
from attention_motifs.features.registry import FeatureSet

if TYPE_CHECKING:
    from jaxtyping import Float

NO_GRAM = FeatureSet(
    name="no_gram",
    features=(
        *(entry for entry in PAPER.features if entry.context in VECTOR_CONTEXTS),
        *(entry for family in FAMILIES if family.name != "alike" for entry in family.features),
    ),
    oracle="attention_motifs.features.no_gram:no_gram_features",
    cpu="attention_motifs.features.no_gram_kernels:no_gram_features",
    torch="attention_motifs.features.extended_torch:no_gram_features",
)


def no_gram_features(A: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "104"]:
    """Return the `no_gram` set of one causal pattern, in float64 and in the order of its names."""
    A = np.asarray(A, dtype=np.float64)
    extended = np.delete(extended_features(A), np.r_[columns_of("alike")])
    return np.concatenate([vector_features(A), extended])
