"""The feature set `paper2`: names and descriptions of the authors' later features."""

from __future__ import annotations

import math

from attention_motifs.features.definitions import VECTOR_STATISTICS
from attention_motifs.features.paper import PAPER, STATISTICS
from attention_motifs.features.registry import Feature, FeatureSet

SOURCE = "the authors' public code after the paper; not in the paper's text"

# Context -> (the vector, in LaTeX; its entries, in words; whether they are in [0, 1]).
_VECTORS = {
    "last_tok": (
        r"x_i=A_{i,n-1}",
        "the weights on the last token (zero but for the last query)",
        True,
    ),
    "prev_tok": (r"x_i=A_{i+1,i}", "the weights on the token before (the subdiagonal)", True),
    "row_entropy": (
        r"x_i=-\sum_j A_{ij}\ln\operatorname{clip}(A_{ij},10^{-9},1)",
        "the entropies of the queries in nats",
        False,
    ),
    "attn_distance": (r"x_i=\sum_j A_{ij}(i-j)", "the mean distances of attention", False),
    "row_max": (r"x_i=\max_j A_{ij}", "the largest weights of the queries", True),
    "col_sum": (r"x_j=\sum_i A_{ij}", "the attention that tokens receive", False),
}

_BOUNDED = {"skewness", "kurtosis", "entropy", "autocorr_lag1", "linreg.r2"}
"""Statistics whose range does not depend on the scale of the entries."""
_POSITIVE = {"mean", "median", "variance", "rms", "energy", "l2_norm", "psd_total_power"}


def _feature(context: str, name: str) -> Feature:
    vector, words, unit = _VECTORS[context]
    statistic = STATISTICS[name]
    unbounded = (0.0 if name in _POSITIVE else -math.inf, math.inf)
    return Feature(
        name=f"{context}.{name}",
        context=context,
        statistic=name,
        formula=rf"{statistic.formula},\quad {vector}",
        range=statistic.range if unit or name in _BOUNDED else unbounded,
        large=statistic.large.format(x=words),
        source=SOURCE,
        cost="O(n^2)",
    )


PAPER2 = FeatureSet(
    name="paper2",
    features=(
        *PAPER.features,
        *(_feature(context, name) for context in _VECTORS for name in VECTOR_STATISTICS),
        Feature(
            name="band_energy",
            context="band",
            statistic="energy",
            formula=r"\sum_{i-j\le k}A_{ij}\Big/\sum_{ij}A_{ij},\quad k=\max(1,\lfloor n/4\rfloor)",
            range=(0.0, 1.0),
            large="queries attend to tokens at most a quarter of the prompt away",
            source=SOURCE,
            cost="O(n^2)",
        ),
    ),
    oracle="attention_motifs.features.paper2_definitions:paper2_features",
    cpu="attention_motifs.features.paper2_kernels:paper2_features",
    torch="attention_motifs.features.paper2_torch:paper2_features",
)
