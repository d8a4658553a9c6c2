"""All measurements of one metric in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from attention_motifs.errors import InputError
from attention_motifs.evaluation.clouds import identification, variance_shares
from attention_motifs.evaluation.query_sets import HeadPositions
from attention_motifs.evaluation.recovery import (
    MIN_HEADS,
    N_NEIGHBOURS,
    N_PERMUTATIONS,
    HeadClass,
    TooFew,
    class_recovery,
)
from attention_motifs.evaluation.regression import neighbour_regression
from attention_motifs.evaluation.reliability import N_SPLITS, split_half
from attention_motifs.evaluation.table import (
    Evaluation,
    Row,
    identification_rows,
    recovery_rows,
    regression_rows,
    reliability_rows,
    variance_rows,
    with_false_discovery_rates,
)

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float, Int


@dataclass(frozen=True)
class Settings:
    """Settings of the evaluation; equal inputs and settings give an equal table."""

    n_permutations: int = N_PERMUTATIONS
    n_neighbours: int = N_NEIGHBOURS
    min_heads: int = MIN_HEADS
    n_splits: int = N_SPLITS
    n_held_out: int | None = None
    """Prompts held out for the identification of heads; None holds out all in turn."""
    seed: int = 0


@dataclass(frozen=True)
class Evidence:
    """Data to evaluate with; rows that need a missing part are left out."""

    classes: Sequence[HeadClass] = ()
    scores: Mapping[str, Float[np.ndarray, " heads"]] = field(default_factory=dict)
    """Behaviour scores by name; NaN for heads without a score."""
    clouds: Float[np.ndarray, "prompts heads components"] | None = None
    """Embedded patterns, in the embedding of the metric."""
    distances_on: (
        Callable[[Int[np.ndarray, " prompts"]], Float[np.ndarray, "heads heads"]] | None
    ) = None
    """A function that returns the metric's distances on the prompts of these indices."""
    n_prompts: int = 0
    """Number of prompts of `distances_on`."""


def evaluate(
    distances: Float[np.ndarray, "heads heads"],
    heads: HeadPositions,
    evidence: Evidence,
    *,
    metric: str,
    settings: Settings | None = None,
) -> Evaluation:
    """Measure how well a metric brings together heads with the same behaviour.

    The rows are in this order: classes and scores, within every model and then between models;
    identification and shares of variance of the patterns; split-half reliability.

    Args:
        distances: (heads, heads) finite distances; rows are queries.
        heads: model and layer of every head.
        evidence: classes, scores, clouds, and a function of distances on some prompts.
        metric: name of the metric, for the record.
        settings: settings (default `Settings()`).

    Returns:
        The table.

    Raises:
        InputError: if shapes disagree, a number is not finite or out of range, or two classes have
            the same kind and name.
    """
    settings = settings or Settings()
    heads.check(distances)
    _check_names(evidence.classes)
    rows, too_few = _distance_rows(distances, heads, evidence, settings)
    if evidence.clouds is not None:
        rows += identification_rows(
            identification(
                evidence.clouds, heads, n_held_out=settings.n_held_out, seed=settings.seed
            )
        )
        rows += variance_rows(variance_shares(evidence.clouds, heads))
    if evidence.distances_on is not None:
        halves = split_half(
            evidence.distances_on,
            evidence.n_prompts,
            heads,
            n_splits=settings.n_splits,
            seed=settings.seed,
        )
        rows += reliability_rows(halves)
    return Evaluation(metric, asdict(settings), with_false_discovery_rates(rows), tuple(too_few))


def _distance_rows(
    distances: Float[np.ndarray, "heads heads"],
    heads: HeadPositions,
    evidence: Evidence,
    settings: Settings,
) -> tuple[list[Row], list[TooFew]]:
    """Return the rows of classes and of scores, and those with too few heads."""
    recovered, small_classes = class_recovery(
        distances,
        evidence.classes,
        heads,
        n_permutations=settings.n_permutations,
        n_neighbours=settings.n_neighbours,
        min_heads=settings.min_heads,
        seed=settings.seed,
    )
    predicted, small_models = neighbour_regression(
        distances,
        evidence.scores,
        heads,
        n_permutations=settings.n_permutations,
        n_neighbours=settings.n_neighbours,
        seed=settings.seed,
    )
    rows = [
        *recovery_rows(recovered, settings.n_neighbours),
        *regression_rows(predicted, settings.n_neighbours),
    ]
    return rows, [*small_classes, *small_models]


def _check_names(classes: Sequence[HeadClass]) -> None:
    seen = set()
    for head_class in classes:
        key = (head_class.name, head_class.kind)
        if key in seen:
            raise InputError(
                f"class {head_class.name!r} ({head_class.kind}) is given twice. Merge the two, or "
                "rename one."
            )
        seen.add(key)
