"""Evaluation of distances between heads (docs/evaluation.md).

`class_recovery` measures whether the heads of a class are nearest to each other, beyond what their
layers explain. `neighbour_regression` measures whether near heads have similar scores.
`identification` measures how often a single pattern names its head; `HeadIdentifier` names it.
`variance_shares` splits the variance of patterns into head, prompt and residual. `split_half`
compares distances from halves of the prompts. `evaluate` puts all of it into one table. No function
here reads or writes a file.
"""

from __future__ import annotations

from attention_motifs.evaluation.clouds import (
    Identification,
    VarianceShares,
    identification,
    variance_shares,
)
from attention_motifs.evaluation.evaluate import Evidence, Settings, evaluate
from attention_motifs.evaluation.identify import (
    HeadIdentifier,
    IdentifiedHead,
    IdentifiedPattern,
)
from attention_motifs.evaluation.null import (
    NullTest,
    false_discovery_rates,
    layer_matched_draws,
    layer_permutations,
)
from attention_motifs.evaluation.planted import (
    RULES,
    STRENGTHS,
    PlantedHeads,
    PlantedScore,
    Rule,
    blend,
    score_planted,
)
from attention_motifs.evaluation.query_sets import ALL_MODELS, HeadPositions
from attention_motifs.evaluation.recovery import ClassRecovery, HeadClass, TooFew, class_recovery
from attention_motifs.evaluation.regression import NeighbourRegression, neighbour_regression
from attention_motifs.evaluation.reliability import SplitHalf, split_half
from attention_motifs.evaluation.table import Evaluation, Row

__all__ = [
    "ALL_MODELS",
    "RULES",
    "STRENGTHS",
    "ClassRecovery",
    "Evaluation",
    "Evidence",
    "HeadClass",
    "HeadIdentifier",
    "HeadPositions",
    "Identification",
    "IdentifiedHead",
    "IdentifiedPattern",
    "NeighbourRegression",
    "NullTest",
    "PlantedHeads",
    "PlantedScore",
    "Row",
    "Rule",
    "Settings",
    "SplitHalf",
    "TooFew",
    "VarianceShares",
    "blend",
    "class_recovery",
    "evaluate",
    "false_discovery_rates",
    "identification",
    "layer_matched_draws",
    "layer_permutations",
    "neighbour_regression",
    "score_planted",
    "split_half",
    "variance_shares",
]
