"""The stage `evaluate`: how well each metric brings together heads that do the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.blocks import BEST_METRICS
from attention_motifs.atlas.head_distances import stored_distances, stored_distances_of
from attention_motifs.atlas.prompt_labels import Where
from attention_motifs.errors import AtlasError
from attention_motifs.evaluation.label_scores import RANDOM_TOKENS
from attention_motifs.executors import LOCAL, Executor
from attention_motifs.progress import Report, silent
from attention_motifs.stages.evaluation_sample import (
    MAX_HEADS,
    draw_models,
    require_room,
    with_sample,
)
from attention_motifs.stages.label import DrawnLabels, draw_labels
from attention_motifs.stages.metric_distances import metric_distances
from attention_motifs.stages.stage import under_lock
from attention_motifs.store import files

if TYPE_CHECKING:
    import polars as pl
    from jaxtyping import Float

    from attention_motifs.evaluation import Evaluation, Evidence, HeadClass, TagAgreement
    from attention_motifs.prompts import Prompt


@under_lock
def evaluate(
    atlas: Atlas,
    *,
    metrics: Sequence[str] | None = None,
    reference: str | None = None,
    run_models: bool = True,
    texts: Sequence[Prompt] | None = None,
    where: Where | None = None,
    seed: int = 0,
    n_permutations: int | None = None,
    n_bootstraps: int | None = None,
    max_heads: int = MAX_HEADS,
    device: str = "auto",
    executor: Executor = LOCAL,
    report: Report = silent,
) -> Evaluation:
    """Measure how well each metric brings together heads that do the same; see docs/evaluation.md.

    Labels are scores of the heads on input that no metric has seen. The models are run for those
    that the atlas does not hold yet, and the scores are kept in the atlas. The result is written to
    `evaluation.json`, in place of an earlier one; with `where` it is not written. Of a large atlas,
    models are drawn at random; the answer and the settings record it.

    Args:
        atlas: with distances.
        metrics: default: all that the atlas stores.
        reference: the metric that differences are taken from; default: `recommended` if it is
            among the metrics, else `natural`, else the last one.
        run_models: whether to draw labels that are missing.
        texts: texts that the labels are drawn from; default: the built-in ones.
        where: labels, such as `{"genre": "law"}`, of the prompts to compare on; default: all.
        seed: of labels, resamples and permutations.
        n_permutations: default: that of `evaluation.Settings`.
        n_bootstraps: default: that of `evaluation.Settings`; 0 leaves out intervals.
        max_heads: of an atlas with more heads, models with at most this many are drawn.
        device: on which the models run: `auto`, `cpu`, `cuda`...
        executor: runs the models for labels, one job each; default: this process.
        report: shows progress.

    Raises:
        InputError: if a number is out of range, the reference is not among the metrics, or no
            prompt has the labels.
        AtlasError: if distances were not computed.
        ResourceError: if the drawn models would use more than the limit of memory.
        JobsFailedError: from an executor whose workers failed.
    """
    from attention_motifs.evaluation import HeadPositions, Settings
    from attention_motifs.evaluation import evaluate as evaluate_metrics
    from attention_motifs.evaluation.metric_comparison import check_reference

    heads, compared = atlas.heads, atlas if where is None else atlas.where(where)
    chosen = _stored_metrics(atlas, compared, metrics)  # refused before the models run
    if reference is not None:
        check_reference(reference, chosen)
    sample = draw_models(atlas, seed, max_heads)
    require_room(compared, sample, len(chosen))
    heads = heads.filter(heads["model"].is_in(sample.models))
    positions = HeadPositions.of(heads["model"].to_list(), heads["layer"].to_list())
    given = {"n_permutations": n_permutations, "n_bootstraps": n_bootstraps}
    settings = Settings(seed=seed, **{k: v for k, v in given.items() if v is not None})
    drawn = draw_labels(
        atlas, texts=texts, seed=seed, device=device, run_models=run_models, models=sample.models,
        executor=executor, report=report,
    )  # fmt: skip
    with report("evaluate", 2 * len(chosen)) as advance:
        measured = {}
        for metric in chosen:
            measured[metric] = metric_distances(
                compared, metric, transfer=bool(drawn.labels), models=sample.models
            )
            advance(1)
        result = evaluate_metrics(
            measured, positions, _evidence(heads, drawn), settings=settings, advance=advance,
            reference=reference or _reference(chosen),
        )  # fmt: skip
    result = with_sample(result, sample)
    if where is None:
        files.write_json(atlas.file("evaluation"), result.to_json())
    return result


def _stored_metrics(
    atlas: Atlas, compared: Atlas, metrics: Sequence[str] | str | None
) -> list[str]:
    """Return the metrics to evaluate, whose distances are stored: the given ones, or all.

    Raises:
        AtlasError: if there are none, or a file is damaged.
    """
    given = [metrics] if isinstance(metrics, str) else metrics
    chosen = list(dict.fromkeys(given or atlas.metrics() or stored_distances(atlas)))
    if not chosen:
        raise AtlasError(
            f"{atlas.place}: has no distances yet; run {atlas.paths.command('distances')}"
        )
    for metric in chosen:
        stored_distances_of(compared, metric)
    return chosen


def _evidence(heads: pl.DataFrame, drawn: DrawnLabels) -> Evidence:
    """Return the labels, classes and scores of the heads of an atlas."""
    from attention_motifs.evaluation import Evidence

    return Evidence(
        labels=drawn.labels,
        detectors=drawn.detectors,
        key_groups=drawn.key_groups,
        classes=literature_classes(heads),
        scores=behaviour_columns(heads),
        tags=tag_agreement(heads, drawn),
        missing=drawn.missing,
    )


def _reference(metrics: Sequence[str]) -> str:
    """Return the best metric by the order of the package, or else the last one."""
    return next((name for name in BEST_METRICS if name in metrics), metrics[-1])


def tag_agreement(heads: pl.DataFrame, drawn: DrawnLabels) -> list[TagAgreement]:
    """Compare the thresholded classes of the heads table with the same on other random tokens."""
    from attention_motifs.behaviour import CLASS_THRESHOLDS
    from attention_motifs.evaluation import TagAgreement
    from attention_motifs.evaluation.label_scores import jaccard

    scores = behaviour_columns(heads)
    model_of = heads["model"].to_numpy()
    rows = []
    for label in drawn.labels:
        if label.kind != RANDOM_TOKENS:
            continue
        for name, again in zip(label.names, label.mean().T, strict=True):
            if name not in CLASS_THRESHOLDS or name not in scores:
                continue
            first = scores[name][model_of == label.model]
            if np.isnan(first).any():
                continue
            tagged, drawn_again = (x >= CLASS_THRESHOLDS[name] for x in (first, again))
            share = jaccard(tagged, drawn_again)
            rows.append(
                TagAgreement(
                    label.model,
                    name,
                    int(tagged.sum()),
                    int(drawn_again.sum()),
                    None if np.isnan(share) else share,
                )
            )
    return rows


def behaviour_columns(heads: pl.DataFrame) -> dict[str, Float[np.ndarray, " heads"]]:
    """Return the behaviour scores of the heads table; heads without scores are NaN."""
    from attention_motifs.behaviour import BEHAVIOURS

    return {
        name: heads[name].fill_null(float("nan")).to_numpy().astype(np.float64)
        for name in BEHAVIOURS
        if name in heads.columns
    }


def literature_classes(heads: pl.DataFrame) -> list[HeadClass]:
    """Return the classes of the literature that have a head in this atlas."""
    from attention_motifs.evaluation import HeadClass

    listed: list[list[str]] = heads["classes"].to_list()
    names = sorted({name for of_head in listed for name in of_head})
    return [
        HeadClass(name, "literature", np.array([name in of_head for of_head in listed]))
        for name in names
    ]


def computed_head_classes(heads: pl.DataFrame) -> list[HeadClass]:
    """Return the classes by behaviour on repeated random tokens, such as `induction (computed)`."""
    from attention_motifs.behaviour import computed_classes
    from attention_motifs.evaluation import HeadClass

    scores = behaviour_columns(heads)
    if not scores:
        return []
    return [
        HeadClass(f"{name} (computed)", "computed", members)
        for name, members in computed_classes(scores).items()
    ]
