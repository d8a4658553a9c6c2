"""The models of a large atlas that an evaluation measures, drawn at random."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.evaluation.label_scores import LABEL_KINDS
from attention_motifs.evaluation.regression import SCORE
from attention_motifs.evaluation.table import MAP, S5, WITHIN
from attention_motifs.features.arguments import whole_number
from attention_motifs.memory import require_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attention_motifs.atlas import Atlas
    from attention_motifs.evaluation import Evaluation, Row

MAX_HEADS = 2000
"""Heads up to which an atlas is evaluated as a whole: the paper's six models have 1,520."""

MAX_MODELS = 24
"""Models of a sample at most, since every model is compared with every other."""

_BYTES_PER_PAIR = 64
"""Counted, besides the sums over sources: distances, their resamples, ranks and their tables."""


@dataclass(frozen=True)
class ModelSample:
    """The models that are measured, of those of an atlas."""

    models: tuple[str, ...]
    """In the order of the atlas."""
    n_heads: int
    n_all_models: int
    n_all_heads: int
    seed: int

    @property
    def is_whole(self) -> bool:
        """Whether all models are measured."""
        return len(self.models) == self.n_all_models


def draw_models(atlas: Atlas, seed: int, max_heads: int = MAX_HEADS) -> ModelSample:
    """Draw models at random, each as likely as every other, up to a number of heads.

    Whole models are drawn, because ranks and nulls are within models. They are taken in random
    order until the next one would exceed the number; the first is always taken.

    Args:
        atlas: with its models.
        seed: seed for the order, 0 or more.
        max_heads: number of heads up to which models are drawn.

    Returns:
        All models if they have at most `max_heads` heads.

    Raises:
        InputError: if a number is out of range.
    """
    whole_number(max_heads, "max_heads", least=1)
    sizes = {model: atlas.manifest.models[model].n_all_heads for model in atlas.models}
    total = sum(sizes.values())
    chosen = list(sizes)
    if total > max_heads:
        order = np.random.default_rng([whole_number(seed, "seed"), 3]).permutation(len(sizes))
        heads_before = np.cumsum([sizes[chosen[i]] for i in order])
        n = int(np.searchsorted(heads_before, max_heads, side="right"))
        drawn = {chosen[i] for i in order[: min(max(n, 1), MAX_MODELS)]}
        chosen = [model for model in chosen if model in drawn]
    n_heads = sum(sizes[model] for model in chosen)
    return ModelSample(tuple(chosen), n_heads, len(sizes), total, seed)


def require_room(atlas: Atlas, sample: ModelSample, n_metrics: int) -> None:
    """Refuse an evaluation that would use more than the limit of memory.

    The distances of the heads are summed once for each source of prompts.

    Args:
        atlas: with its prompts.
        sample: the models that are measured.
        n_metrics: number of metrics.

    Raises:
        ResourceError: with the estimate.
    """
    n_sources = max(atlas.prompts["source"].n_unique(), 1)
    if n_sources == 1:  # each prompt is then a source
        n_sources = len(atlas.prompts)
    # A preset has two blocks at most; all metrics are in memory at the same time.
    needed = (_BYTES_PER_PAIR + 2 * 4 * n_sources * n_metrics) * sample.n_heads**2
    require_memory(
        needed,
        f"evaluate {sample.n_heads} heads by {n_metrics} metrics",
        "Give fewer metrics, or a smaller --max-heads",
    )


def with_sample(result: Evaluation, sample: ModelSample) -> Evaluation:
    """Return an evaluation that states the sample first, with the error of its means.

    Args:
        result: the evaluation of the drawn models.
        sample: the drawn models.

    Returns:
        The evaluation unchanged if all models were measured.
    """
    if sample.is_whole:
        return result
    n = len(sample.models)
    statement = (
        f"Measured on {n} of {sample.n_all_models} models ({sample.n_heads:,} of "
        f"{sample.n_all_heads:,} heads), drawn at random with seed {sample.seed}."
    )
    errors = [
        f"{name} +- {margin:.2f}"
        for name in (S5, MAP)
        if (margin := _margin(result.rows, result.reference, name, sample)) is not None
    ]
    if errors:
        statement += (
            f" Means over all models within (95 %, from the spread over the drawn models, "
            f"`{result.reference}`): {', '.join(errors)}."
        )
    settings = {**result.settings, "models": list(sample.models), "n_models": sample.n_all_models}
    return replace(result, answer=(statement, *result.answer), settings=settings)


def _margin(rows: Sequence[Row], metric: str, statistic: str, sample: ModelSample) -> float | None:
    """Return half the width of the 95 % interval of the mean over models; None if undefined.

    Student's t with the correction for drawing without replacement.
    """
    from scipy.stats import t

    labelled = any(row.kind in LABEL_KINDS for row in rows)
    kinds = set(LABEL_KINDS) if labelled else {SCORE}
    values: dict[str, list[float]] = {}
    for row in rows:
        is_shown = (row.metric, row.statistic, row.setting) == (metric, statistic, WITHIN)
        if is_shown and row.kind in kinds and row.value is not None:
            values.setdefault(row.model, []).append(row.value)
    means = [float(np.mean(of_model)) for of_model in values.values()]
    n, n_all = len(means), sample.n_all_models
    if n < 2:
        return None
    error = float(np.std(means, ddof=1)) * np.sqrt((1 - n / n_all) / n)
    return float(t.ppf(0.975, n - 1) * error)
