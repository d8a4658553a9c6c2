"""The stage `score`: behaviour scores of all heads into `heads.parquet`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.errors import InputError, ModelError
from attention_motifs.executors import LOCAL, Executor, Job
from attention_motifs.models.sources import resolve
from attention_motifs.progress import Report, silent
from attention_motifs.stages.model_source import dtype_in, reads_softmax_only, wanted_model
from attention_motifs.stages.same_model import changed_model, changes
from attention_motifs.stages.stage import Stage, under_lock

if TYPE_CHECKING:
    import polars as pl

    from attention_motifs.behaviour import BehaviourScores
    from attention_motifs.models.model import LoadedModel

SPREAD = " spread"
"""Ending of the columns that hold the standard deviation over sequences."""


@under_lock
def score(
    atlas: Atlas,
    *,
    seed: int = 0,
    device: str = "auto",
    models: Sequence[str] | None = None,
    force: bool = False,
    executor: Executor = LOCAL,
    report: Report = silent,
) -> None:
    """Score the heads of the atlas's models on random tokens.

    Columns are named as in `behaviour.BEHAVIOURS`, with ` spread` after the name for the
    standard deviation over sequences. Heads of models that were not scored are null, and so are
    copying scores of models without a language-model head or a known direct path.

    Args:
        atlas: the atlas to write to.
        seed: of the draw of tokens.
        device: `auto`, `cpu`, `cuda`...
        models: names in the atlas, or names and paths as the user gives them; default: all.
        force: score again although nothing changed.
        executor: runs the models, one job each; default: this process.
        report: shows progress.

    Raises:
        InputError: if a model is not in the atlas, has other weights than it was made with, or a
            context too short for the sequences; or if all patterns were imported.
        ModelError, ResourceError: if a model cannot be loaded.
        JobsFailedError: from an executor, if some models could not be scored.
    """
    imported = {m for m, i in atlas.manifest.models.items() if i.kind == "pattern-lens"}
    if imported == set(atlas.models):
        raise InputError(f"{atlas.place}: its patterns were imported, there is no model to score")
    jobs: list[Job] = []
    stages: list[Stage] = []
    shared = executor.share(atlas, str(atlas.path.resolve()))
    # In this process, every job shows its own progress.
    inner, outer = executor.share(report, silent), executor.share(silent, report)
    for requested in models or [model for model in atlas.models if model not in imported]:
        model = requested if requested in atlas.models else resolve(requested).name
        if model not in atlas.models or model in imported:
            usable = ", ".join(name for name in atlas.models if name not in imported)
            raise InputError(f"model {model!r} cannot be scored: this atlas has {usable}")
        info = atlas.manifest.models[model]
        inputs = {
            "weights": info.weights_sha256,
            "seed": seed,
            "bos": info.bos,
            "version": 2,
            **_longer_prefix(atlas, model),
        }
        stage = Stage(f"score:{model}", inputs, f"score {model}")
        if stage.is_finished(atlas) and _has_scores(atlas, model) and not force:
            continue
        path = None if requested in atlas.models else requested
        function = f"{__name__}:score_model"
        arguments = (shared, model, path, seed, device, inner)
        jobs.append(Job(stage.title, function, arguments, loads=model))
        stages.append(stage)

    def done(position: int, scores: BehaviourScores) -> None:
        atlas.write_heads(_with_scores(atlas.heads, scores))
        stages[position].record(atlas)

    if jobs:
        with outer(f"behaviour of {', '.join(job.loads for job in jobs)}", len(jobs)) as advance:
            try:
                executor.run(jobs, advance, done)
            finally:
                executor.close()


def _longer_prefix(atlas: Atlas, model: str) -> dict[str, list[int]]:
    """Return the prefix of a model's prompts as inputs of its scores, if it is several tokens.

    Earlier versions put only the BOS token before the sequences: such scores are made again, and
    those of all other models stay. The prefix is what the prompts begin with in common.
    """
    if not atlas.manifest.models[model].bos:
        return {}
    columns = zip(*atlas.tokens(model)["token_ids"].to_list(), strict=False)
    prefix = [ids[0] for ids in itertools.takewhile(lambda ids: len(set(ids)) == 1, columns)]
    return {"prefix": prefix} if len(prefix) > 1 else {}


def _has_scores(atlas: Atlas, model: str) -> bool:
    """Return whether the heads table, which may have been written again, has the scores."""
    import polars as pl

    from attention_motifs.behaviour import BEHAVIOURS, OF_PATTERNS

    of_model = atlas.heads.filter(pl.col("model") == model)
    columns = {name: (name, name + SPREAD) for name in BEHAVIOURS}
    has_columns = all(column in of_model.columns for both in columns.values() for column in both)
    return has_columns and not any(
        of_model[c].null_count() for name in OF_PATTERNS for c in columns[name]
    )


def score_model(
    atlas: Atlas | str,
    model: str,
    requested: str | None,
    seed: int,
    device: str,
    report: Report = silent,
) -> BehaviourScores:
    """Score one model in any process that sees the folder of the atlas; nothing is written.

    Args:
        atlas: the atlas or its path.
        model: its name in the atlas.
        requested: path of a local model, as NAME=PATH; None: as the atlas knows it.
        seed: of the draw of tokens.
        device: `auto`, `cpu`, `cuda`...
        report: shows progress.
    """
    from attention_motifs.behaviour import behaviour_scores
    from attention_motifs.models.tokenizing import prefix_tokens

    opened = atlas if isinstance(atlas, Atlas) else Atlas.open(atlas)
    try:
        loaded = load_scored_model(opened, model, requested, device, report, language_head=True)
    except ModelError:  # the weights may be of a base model alone
        loaded = load_scored_model(opened, model, requested, device, report)
    prefix = prefix_tokens(loaded, opened.manifest.configuration.bos)
    return behaviour_scores(loaded, prefix=prefix, seed=seed, report=report)


def load_scored_model(
    atlas: Atlas,
    model: str,
    requested: str | None,
    device: str,
    report: Report,
    *,
    language_head: bool = False,
) -> LoadedModel:
    """Load a model of the atlas again, with the same weights, tokenizer and configuration.

    Raises:
        InputError: if it is not in the atlas, changed, or is not found.
        ModelError, ResourceError: if it cannot be loaded.
    """
    from attention_motifs.extraction import load_model

    if model not in atlas.models:
        raise InputError(f"model {model!r} is not in this atlas; it has {', '.join(atlas.models)}")
    asked = requested or wanted_model(atlas, model, f"add --model {model}=PATH")
    loaded = load_model(
        asked,
        device=device,
        dtype=dtype_in(atlas, model),
        language_head=language_head,
        softmax_only=reads_softmax_only(atlas, model),
        report=report,
    )
    if changed := changes(atlas, replace(loaded.info, name=model)):
        raise changed_model(atlas, asked, model, changed)
    return loaded


def _with_scores(heads: pl.DataFrame, scores: BehaviourScores) -> pl.DataFrame:
    """Return the heads with the scores of one model; scores of other models do not change."""
    import polars as pl

    from attention_motifs.behaviour import BEHAVIOURS

    rows = np.flatnonzero(heads["model"].to_numpy() == scores.model)
    columns = []
    for i, name in enumerate(BEHAVIOURS):
        for column, table in ((name, scores.mean), (name + SPREAD, scores.spread)):
            values = (
                heads[column].to_numpy().copy()
                if column in heads.columns
                else np.full(len(heads), np.nan, dtype=np.float32)
            )
            values[rows] = table[:, :, i].reshape(-1)
            columns.append(pl.Series(column, values, dtype=pl.Float32, nan_to_null=True))
    return heads.with_columns(columns)
