"""Evaluation of distances between heads (docs/evaluation.md).

`evaluate` compares metrics by labels that no metric has seen: S5, MAP, layer-matched nulls,
bootstrap intervals, paired differences, transfer and ceilings. `class_recovery` measures whether
the heads of a class are nearest to each other, beyond what their layers explain.
`neighbour_regression` measures whether near heads have similar scores. `identification` measures
how often a single pattern names its head; `HeadIdentifier` names it. `variance_shares` splits the
variance of patterns into head, prompt and residual. `split_half` compares distances from halves of
the prompts. No function here reads or writes a file.

The names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attention_motifs.evaluation.clouds import (
        Identification,
        VarianceShares,
        identification,
        variance_shares,
    )
    from attention_motifs.evaluation.identify import (
        HeadIdentifier,
        IdentifiedHead,
        IdentifiedPattern,
    )
    from attention_motifs.evaluation.label_scores import (
        LABEL_KINDS,
        LabelReliability,
        LabelScores,
        label_reliability,
        top_heads,
    )
    from attention_motifs.evaluation.metric_comparison import (
        Evidence,
        MetricDistances,
        Settings,
        Transferred,
        evaluate,
    )
    from attention_motifs.evaluation.null import (
        NullTest,
        false_discovery_rates,
        group_permutations,
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
    from attention_motifs.evaluation.recovery import (
        ClassRecovery,
        HeadClass,
        TooFew,
        class_recovery,
    )
    from attention_motifs.evaluation.regression import NeighbourRegression, neighbour_regression
    from attention_motifs.evaluation.reliability import SplitHalf, half_agreement, split_half
    from attention_motifs.evaluation.resampling import ResampledDistances, StimulusBlock
    from attention_motifs.evaluation.table import (
        Evaluation,
        HeadlineCell,
        HeadlineRow,
        Row,
        TagAgreement,
    )

__all__ = [
    "ALL_MODELS",
    "LABEL_KINDS",
    "RULES",
    "STRENGTHS",
    "ClassRecovery",
    "Evaluation",
    "Evidence",
    "HeadClass",
    "HeadIdentifier",
    "HeadPositions",
    "HeadlineCell",
    "HeadlineRow",
    "Identification",
    "IdentifiedHead",
    "IdentifiedPattern",
    "LabelReliability",
    "LabelScores",
    "MetricDistances",
    "NeighbourRegression",
    "NullTest",
    "PlantedHeads",
    "PlantedScore",
    "ResampledDistances",
    "Row",
    "Rule",
    "Settings",
    "SplitHalf",
    "StimulusBlock",
    "TagAgreement",
    "TooFew",
    "Transferred",
    "VarianceShares",
    "blend",
    "class_recovery",
    "evaluate",
    "false_discovery_rates",
    "group_permutations",
    "half_agreement",
    "identification",
    "label_reliability",
    "layer_matched_draws",
    "layer_permutations",
    "neighbour_regression",
    "score_planted",
    "split_half",
    "top_heads",
    "variance_shares",
]

_NAMES = {
    "clouds": ("Identification", "VarianceShares", "identification", "variance_shares"),
    "metric_comparison": ("Evidence", "MetricDistances", "Settings", "Transferred", "evaluate"),
    "identify": ("HeadIdentifier", "IdentifiedHead", "IdentifiedPattern"),
    "label_scores": (
        "LABEL_KINDS",
        "LabelReliability",
        "LabelScores",
        "label_reliability",
        "top_heads",
    ),
    "null": (
        "NullTest",
        "false_discovery_rates",
        "group_permutations",
        "layer_matched_draws",
        "layer_permutations",
    ),
    "planted": (
        "RULES",
        "STRENGTHS",
        "PlantedHeads",
        "PlantedScore",
        "Rule",
        "blend",
        "score_planted",
    ),
    "query_sets": ("ALL_MODELS", "HeadPositions"),
    "recovery": ("ClassRecovery", "HeadClass", "TooFew", "class_recovery"),
    "regression": ("NeighbourRegression", "neighbour_regression"),
    "reliability": ("SplitHalf", "half_agreement", "split_half"),
    "resampling": ("ResampledDistances", "StimulusBlock"),
    "table": ("Evaluation", "HeadlineCell", "HeadlineRow", "Row", "TagAgreement"),
}

_WHERE = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load a name of this package when it is first asked for."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
