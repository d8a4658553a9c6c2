"""Measuring what distances between heads are worth (docs/evaluation.md).

Are the heads of a class one another's nearest, beyond what their layers alone bring about
(`class_recovery`); do near heads behave alike (`neighbour_regression`); is a head known by one
pattern (`identification`); how much of a pattern is the head's doing (`variance_shares`); would
other prompts have given the same distances (`split_half`). `evaluate` puts all in one table.
Pure functions on arrays; nothing here reads or writes a file.
"""

from __future__ import annotations

from attention_motifs.evaluation.clouds import (
    Identification,
    VarianceShares,
    identification,
    variance_shares,
)
from attention_motifs.evaluation.evaluate import Evidence, Settings, evaluate
from attention_motifs.evaluation.null import (
    NullTest,
    false_discovery_rates,
    layer_matched_draws,
    layer_permutations,
)
from attention_motifs.evaluation.query_sets import ALL_MODELS, HeadPositions
from attention_motifs.evaluation.recovery import ClassRecovery, HeadClass, TooFew, class_recovery
from attention_motifs.evaluation.regression import NeighbourRegression, neighbour_regression
from attention_motifs.evaluation.reliability import SplitHalf, split_half
from attention_motifs.evaluation.table import Evaluation, Row

__all__ = [
    "ALL_MODELS",
    "ClassRecovery",
    "Evaluation",
    "Evidence",
    "HeadClass",
    "HeadPositions",
    "Identification",
    "NeighbourRegression",
    "NullTest",
    "Row",
    "Settings",
    "SplitHalf",
    "TooFew",
    "VarianceShares",
    "class_recovery",
    "evaluate",
    "false_discovery_rates",
    "identification",
    "layer_matched_draws",
    "layer_permutations",
    "neighbour_regression",
    "split_half",
    "variance_shares",
]
