"""The stage `evaluate`: how well each metric brings together heads that do the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.blocks import clouds_of, pattern_clouds
from attention_motifs.atlas.head_distances import stored_distances
from attention_motifs.errors import AtlasError
from attention_motifs.progress import Report, silent
from attention_motifs.stages.parts import distinct_prompts
from attention_motifs.store import files

if TYPE_CHECKING:
    import polars as pl
    from jaxtyping import Float, Int

    from attention_motifs.atlas.blocks import MetricClouds
    from attention_motifs.evaluation import Evaluation, HeadClass


def evaluate(
    atlas: Atlas,
    *,
    metrics: Sequence[str] | None = None,
    seed: int = 0,
    n_permutations: int | None = None,
    report: Report = silent,
) -> dict[str, Evaluation]:
    """Measure how well each metric brings together heads that do the same; see docs/evaluation.md.

    Classes of the literature and classes computed from behaviour scores are evaluated separately.
    Results are written to `evaluation.json`, which keeps those of other metrics.

    Args:
        atlas: with distances; the caller holds its lock.
        metrics: default: all that the atlas stores.
        seed: of draws and permutations.
        n_permutations: default: that of `evaluation.Settings`.
        report: shows progress.

    Raises:
        InputError: if there is nothing to evaluate with.
        AtlasError: if distances were not computed, or of the nearest heads only.
    """
    from attention_motifs.evaluation import Evidence, HeadPositions, Settings
    from attention_motifs.evaluation import evaluate as evaluate_metric

    heads = atlas.heads
    chosen = list(metrics or atlas.metrics() or stored_distances(atlas))
    if not chosen:
        raise AtlasError(
            f"{atlas.place}: has no distances yet; run {atlas.paths.command('distances')}"
        )
    positions = HeadPositions.of(heads["model"].to_list(), heads["layer"].to_list())
    settings = Settings(seed=seed) if n_permutations is None else Settings(
        seed=seed, n_permutations=n_permutations
    )  # fmt: skip
    scores = behaviour_columns(heads)
    classes = [*literature_classes(heads), *computed_head_classes(heads)]
    results = {}
    distinct = distinct_prompts(atlas)
    with report("evaluate", len(chosen)) as advance:
        for metric in chosen:
            clouds, patterns = clouds_of(atlas, metric), pattern_clouds(atlas, metric)
            if patterns is not None:
                patterns = patterns[distinct]
            results[metric] = evaluate_metric(
                np.asarray(atlas.distances(metric), dtype=np.float64),
                positions,
                Evidence(
                    classes,
                    scores,
                    patterns,
                    _distances_on(clouds, distinct, metric),
                    len(distinct),
                ),
                metric=metric,
                settings=settings,
            )
            advance(1)
    results_by_metric = read_evaluations(atlas) if atlas.file("evaluation").is_file() else {}
    results_by_metric.update({metric: result.to_json() for metric, result in results.items()})
    files.write_json(atlas.file("evaluation"), results_by_metric)
    return results


def read_evaluations(atlas: Atlas) -> dict[str, Any]:
    """Return the evaluations by metric, as JSON objects.

    Raises:
        AtlasError: if there are none, or the file is damaged.
    """
    value: dict[str, Any] = files.read_json(atlas.file("evaluation"))
    return value


def _distances_on(clouds: MetricClouds, distinct: Int[np.ndarray, " distinct"], metric: str) -> Any:
    from attention_motifs.distances import head_distances

    def recompute(prompts: Int[np.ndarray, " some"]) -> Float[np.ndarray, "heads heads"]:
        return head_distances(clouds.on(distinct[prompts]), metric=metric)

    return recompute


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
