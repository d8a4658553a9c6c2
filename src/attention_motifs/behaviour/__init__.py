"""Behaviour of heads: scores on random tokens, and effects of ablation.

The names below are loaded when first used, since importing torch takes seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attention_motifs.behaviour.ablation import (
        METHODS,
        NEEDS_CALIBRATION,
        Ablation,
        Calibration,
        calibrate,
        replay_ablated,
        run_ablated,
    )
    from attention_motifs.behaviour.copying import copied_share, copying_scores
    from attention_motifs.behaviour.designs import (
        DESIGN_NAMES,
        Design,
        long_design,
        prompts_design,
        repeated_design,
    )
    from attention_motifs.behaviour.measures import MEASURES, measures_on
    from attention_motifs.behaviour.scores import (
        CLASS_THRESHOLDS,
        DESIGNS,
        N_SEQUENCES,
        BehaviourScores,
        behaviour_scores,
        computed_classes,
        score_patterns,
    )
    from attention_motifs.behaviour.sequences import common_tokens, repeated_sequences
    from attention_motifs.behaviour.sweep import SweepPlan, measure_block, memory_needed
    from attention_motifs.literature.behaviours import BEHAVIOURS, OF_OUTPUTS, OF_PATTERNS

_NAMES = {
    "ablation": (
        "METHODS", "NEEDS_CALIBRATION", "Ablation", "Calibration", "calibrate", "replay_ablated",
        "run_ablated",
    ),
    "copying": ("copied_share", "copying_scores"),
    "designs": ("DESIGN_NAMES", "Design", "long_design", "prompts_design", "repeated_design"),
    "measures": ("MEASURES", "measures_on"),
    "scores": (
        "BEHAVIOURS", "CLASS_THRESHOLDS", "DESIGNS", "N_SEQUENCES", "OF_OUTPUTS", "OF_PATTERNS",
        "BehaviourScores", "behaviour_scores", "computed_classes", "score_patterns",
    ),
    "sequences": ("common_tokens", "repeated_sequences"),
    "sweep": ("SweepPlan", "measure_block", "memory_needed"),
}  # fmt: skip
_WHERE = {name: module for module, names in _NAMES.items() for name in names}

__all__ = [
    "BEHAVIOURS",
    "CLASS_THRESHOLDS",
    "DESIGNS",
    "DESIGN_NAMES",
    "MEASURES",
    "METHODS",
    "NEEDS_CALIBRATION",
    "N_SEQUENCES",
    "OF_OUTPUTS",
    "OF_PATTERNS",
    "Ablation",
    "BehaviourScores",
    "Calibration",
    "Design",
    "SweepPlan",
    "behaviour_scores",
    "calibrate",
    "common_tokens",
    "computed_classes",
    "copied_share",
    "copying_scores",
    "long_design",
    "measure_block",
    "measures_on",
    "memory_needed",
    "prompts_design",
    "repeated_design",
    "repeated_sequences",
    "replay_ablated",
    "run_ablated",
    "score_patterns",
]


def __getattr__(name: str) -> Any:
    """Load a name when it is first asked for."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
