"""All measurements of an atlas's metrics in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from attention_motifs.errors import InputError, did_you_mean
from attention_motifs.evaluation.answer import answer
from attention_motifs.evaluation.class_intervals import class_replicates
from attention_motifs.evaluation.clouds import identification, variance_shares
from attention_motifs.evaluation.headline import headline, with_differences
from attention_motifs.evaluation.key_groups import group_tests
from attention_motifs.evaluation.label_rows import LabelRows, key_of, label_rows, with_interval
from attention_motifs.evaluation.label_scores import LabelScores, LabelTable, label_reliability
from attention_motifs.evaluation.query_sets import HeadPositions
from attention_motifs.evaluation.recovery import (
    MIN_HEADS,
    N_PERMUTATIONS,
    HeadClass,
    TooFew,
    class_recovery,
)
from attention_motifs.evaluation.regression import neighbour_regression
from attention_motifs.evaluation.reliability import N_SPLITS, half_agreement, split_half
from attention_motifs.evaluation.resampling import ResampledDistances, half_counts
from attention_motifs.evaluation.table import (
    Evaluation,
    Row,
    TagAgreement,
    class_rows,
    identification_rows,
    number,
    reliability_rows,
    score_rows,
    variance_rows,
    with_false_discovery_rates,
)
from attention_motifs.features.arguments import whole_number

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float, Int

N_BOOTSTRAPS = 200


@dataclass(frozen=True)
class Settings:
    """Settings of the evaluation; equal inputs and settings give an equal table."""

    n_permutations: int = N_PERMUTATIONS
    n_bootstraps: int = N_BOOTSTRAPS
    """Bootstrap replicates; 0 leaves out intervals and differences."""
    min_heads: int = MIN_HEADS
    """Smallest number of heads of a class of the literature in the model that is ranked."""
    n_splits: int = N_SPLITS
    n_held_out: int | None = None
    """Prompts held out for the identification of heads; None holds out all in turn."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the numbers of resamples.

        Raises:
            InputError: if a number of resamples is no whole number, or is out of range.
        """
        whole_number(self.n_bootstraps, "n_bootstraps")
        whole_number(self.n_permutations, "n_permutations", least=1)


@dataclass(frozen=True)
class Transferred:
    """Distances between the heads of one model, in a space fitted on another."""

    fitted_on: str
    model: str
    distances: Float[np.ndarray, "heads heads"]
    resampled: ResampledDistances | None = None


@dataclass(frozen=True)
class MetricDistances:
    """One metric: its distances, and what else can be measured with it."""

    distances: Float[np.ndarray, "heads heads"]
    """(heads, heads) finite distances; rows are queries."""
    resampled: ResampledDistances | None = None
    """The same distances as a function of resampled stimuli. Without it, intervals are over label
    sequences and query heads only."""
    transferred: Sequence[Transferred] = ()
    clouds: Float[np.ndarray, "prompts heads components"] | None = None
    """Patterns in the space of the metric."""
    distances_on: (
        Callable[[Int[np.ndarray, " prompts"]], Float[np.ndarray, "heads heads"]] | None
    ) = None
    """A function that returns the distances on the prompts of these indices."""
    n_prompts: int = 0
    """Number of prompts of `distances_on`."""


@dataclass(frozen=True)
class Evidence:
    """Data to evaluate with; rows that need a missing part are left out."""

    labels: Sequence[LabelScores] = ()
    """Scores on input that no metric has seen."""
    detectors: Mapping[str, Float[np.ndarray, "heads behaviours"]] = field(default_factory=dict)
    """Per model: the scores on the atlas's own prompts, in the order of the labels' names."""
    key_groups: Mapping[str, int] = field(default_factory=dict)
    """Per model: number of key groups per layer; models without grouped keys are left out."""
    classes: Sequence[HeadClass] = ()
    scores: Mapping[str, Float[np.ndarray, " heads"]] = field(default_factory=dict)
    """Scores of the heads table by name; NaN for heads without a score."""
    tags: Sequence[TagAgreement] = ()
    missing: Sequence[str] = ()
    """What could not be measured, and why."""


def evaluate(
    metrics: Mapping[str, MetricDistances],
    heads: HeadPositions,
    evidence: Evidence,
    *,
    reference: str | None = None,
    settings: Settings | None = None,
    advance: Callable[[int], Any] = lambda _steps: None,
) -> Evaluation:
    """Measure how well metrics bring together heads that do the same.

    The rows of each metric are in this order: labels within models, between models and by transfer;
    classes and scores; identification and shares of variance; agreement of halves.

    Args:
        metrics: distances by name of the metric.
        heads: model and layer of every head.
        evidence: labels, classes and scores of the heads.
        reference: the metric that differences are taken from (default: the last one).
        settings: settings (default `Settings()`).
        advance: called with 1 after each metric.

    Returns:
        The table.

    Raises:
        InputError: if shapes disagree, a number is not finite or out of range, two classes have
            the same kind and name, or the reference is not among the metrics.
    """
    settings = settings or Settings()
    if not metrics:
        raise InputError("there is no metric to evaluate. Give the distances of at least one.")
    reference = reference or list(metrics)[-1]
    check_reference(reference, list(metrics))
    _check_names(evidence.classes)
    table = LabelTable(evidence.labels, heads)
    labelled: dict[str, LabelRows] = {}
    rows: list[Row] = []
    too_few: list[TooFew] = []
    for metric, distances in metrics.items():
        heads.check(distances.distances)
        of_labels = label_rows(metric, distances, heads, table, evidence, settings)
        of_classes = class_replicates(distances, evidence.classes, heads, settings)
        labelled[metric] = replace(of_labels, replicates={**of_labels.replicates, **of_classes})
        other, small = _other_rows(metric, distances, heads, evidence, settings)
        other = [with_interval(row, of_classes.get(key_of(row))) for row in other]
        rows += [*labelled[metric].rows, *other]
        too_few = [*labelled[metric].too_few, *small]
        advance(1)
    rows = list(with_false_discovery_rates(with_differences(rows, labelled, reference)))
    lines = headline(rows, labelled, reference)
    reliable = label_reliability(evidence.labels, settings.seed)
    return Evaluation(
        metrics=tuple(metrics),
        reference=reference,
        settings=asdict(settings),
        rows=tuple(rows),
        headline=lines,
        answer=answer(rows, lines, reliable, reference),
        labels=reliable,
        tags=tuple(evidence.tags),
        missing=tuple(evidence.missing),
        too_few=tuple(too_few),
    )


def _other_rows(
    metric: str,
    given: MetricDistances,
    heads: HeadPositions,
    evidence: Evidence,
    settings: Settings,
) -> tuple[list[Row], list[TooFew]]:
    """Return the rows of classes, scores, patterns and halves, and what has too few heads."""
    recovered, small_classes = class_recovery(
        given.distances,
        evidence.classes,
        heads,
        n_permutations=settings.n_permutations,
        min_heads=settings.min_heads,
        seed=settings.seed,
    )
    predicted, small_models = neighbour_regression(
        given.distances,
        evidence.scores,
        heads,
        n_permutations=settings.n_permutations,
        seed=settings.seed,
    )
    by_groups = group_tests(
        given.distances,
        evidence.classes,
        evidence.scores,
        heads,
        evidence.key_groups,
        n_permutations=settings.n_permutations,
        seed=settings.seed,
    )
    rows = [
        replace(row, p_groups=number(by_groups[key_of(row)])) if key_of(row) in by_groups else row
        for row in (*class_rows(metric, recovered), *score_rows(metric, predicted))
    ]
    if given.clouds is not None and len(given.clouds) > 1:
        named = identification(
            given.clouds, heads, n_held_out=settings.n_held_out, seed=settings.seed
        )
        rows += identification_rows(metric, named)
        rows += variance_rows(metric, variance_shares(given.clouds, heads))
    if given.distances_on is not None and given.n_prompts > 1:
        halves = split_half(
            given.distances_on,
            given.n_prompts,
            heads,
            n_splits=settings.n_splits,
            seed=settings.seed,
        )
        rows += reliability_rows(metric, halves, "prompt")
    if given.resampled is not None and (n_each := given.resampled.units_per_half) > 0:
        pairs = [half_counts(settings.seed, split) for split in range(settings.n_splits)]
        matrices = ((given.resampled(a), given.resampled(b)) for a, b in pairs)
        rows += reliability_rows(metric, half_agreement(matrices, n_each, heads), "source")
    return rows, [*small_classes, *small_models]


def check_reference(reference: str, metrics: Sequence[str]) -> None:
    """Refuse a reference that is not among the metrics.

    Raises:
        InputError: naming it and the nearest metric.
    """
    if reference not in metrics:
        advice = did_you_mean(reference, metrics)
        raise InputError(f"reference {reference!r} is not among the metrics. {advice}")


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
