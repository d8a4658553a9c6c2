"""The labels of the evaluation: scores of all heads on input that no metric has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.errors import MotifsError
from attention_motifs.evaluation.label_scores import LABEL_KINDS, RANDOM_TOKENS, LabelScores
from attention_motifs.executors import LOCAL, Executor, Job
from attention_motifs.progress import Report, silent
from attention_motifs.prompts import Prompt
from attention_motifs.stages.score import load_scored_model
from attention_motifs.store import files
from attention_motifs.store.paths import AtlasFile

if TYPE_CHECKING:
    import polars as pl
    from jaxtyping import Float, Int

    from attention_motifs.behaviour.labels import LabelTexts
    from attention_motifs.models.model import LoadedModel

DETECTOR = "prompts"
"""The kind of scores on the prompts of the atlas itself: those of the perfect detector."""

_RUNNABLE = ("packaged", "hub", "folder", "gguf", "memory")
"""Kinds of models that can be run again."""

_VERSION = 1
_KEYS = ("head", "sequence")


@dataclass(frozen=True)
class DrawnLabels:
    """The labels that an atlas holds."""

    labels: list[LabelScores] = field(default_factory=list)
    detectors: dict[str, Float[np.ndarray, "heads behaviours"]] = field(default_factory=dict)
    key_groups: dict[str, int] = field(default_factory=dict)
    """Key groups per layer of models that have fewer of them than heads."""
    missing: list[str] = field(default_factory=list)
    """Labels that could not be drawn, and why."""


def draw_labels(
    atlas: Atlas,
    *,
    texts: Sequence[Prompt] | None = None,
    seed: int = 0,
    device: str = "auto",
    run_models: bool = True,
    models: Sequence[str] | None = None,
    executor: Executor = LOCAL,
    report: Report = silent,
) -> DrawnLabels:
    """Return the labels of an atlas, and draw those that it does not hold yet.

    Each kind of labels of a model has a file, so that a stopped run continues with the next.

    Args:
        atlas: with its tokens; the caller holds its lock.
        texts: texts that the labels are drawn from, without those that are prompts of the atlas
            (default: the built-in ones).
        seed: seed for the choice of texts and the random tokens.
        device: `auto`, `cpu`, `cuda`...
        run_models: whether to draw labels; else only those in the atlas are returned.
        models: names of the models that are labelled; default: all.
        executor: runs the models, one job each; default: this process.
        report: shows progress.

    Raises:
        JobsFailedError: from an executor whose workers failed.
    """
    from attention_motifs.behaviour.labels import unseen_texts

    chosen = unseen_texts(set(atlas.prompts["prompt_id"].to_list()), texts, seed)
    ids = [prompt.prompt_id for prompt in (*chosen.repeated, *chosen.plain)]
    kinds = [kind for kind in LABEL_KINDS if ids or kind == RANDOM_TOKENS]
    drawn = DrawnLabels()
    if not ids:
        drawn.missing.append(
            "labels on texts: fewer than eight texts are not prompts of this atlas. Give others "
            f"with {atlas.paths.command('evaluate --texts FILE')}"
        )
    jobs: list[Job] = []
    shared = executor.share(atlas, str(atlas.path.resolve()))
    # In this process, every job shows its own progress.
    inner, outer = executor.share(report, silent), executor.share(silent, report)
    inputs_of: dict[str, dict[str, str]] = {}
    for model in atlas.models if models is None else models:
        inputs = {kind: _inputs(atlas, model, kind, ids, seed) for kind in (*kinds, DETECTOR)}
        todo = [kind for kind in inputs if not _is_drawn(atlas, model, kind, inputs[kind])]
        if todo and atlas.manifest.models[model].kind not in _RUNNABLE:
            drawn.missing.append(f"labels of {model}: its patterns were imported without the model")
            continue
        if todo and not run_models:
            drawn.missing.append(
                f"labels of {model}: not drawn. Run {atlas.paths.command('evaluate')}"
            )
        elif todo:
            kinds_left = {kind: inputs[kind] for kind in todo}
            arguments = (shared, model, kinds_left, chosen, seed, device, inner)
            function = f"{__name__}:draw_model"
            jobs.append(Job(f"labels of {model}", function, arguments, loads=model))
        inputs_of[model] = inputs
    if jobs:
        with outer(f"labels of {', '.join(job.loads for job in jobs)}", len(jobs)) as advance:
            try:
                reasons = executor.run(jobs, advance)
            finally:
                executor.close()
        drawn.missing.extend(
            f"labels of {job.loads}: {reason}"
            for job, reason in zip(jobs, reasons, strict=True)
            if reason
        )
    for model, inputs in inputs_of.items():
        _read(atlas, model, inputs, drawn)
    return drawn


def _inputs(atlas: Atlas, model: str, kind: str, texts: Sequence[str], seed: int) -> str:
    """Return the digest of everything that labels depend on."""
    record = atlas.manifest.models[model]
    values = {
        "version": _VERSION,
        "weights": record.weights_sha256,
        "tokenizer": record.tokenizer_sha256,
        "config": record.config_sha256,
        "dtype": record.dtype,
        "bos": atlas.manifest.configuration.bos,
        "kind": kind,
        "seed": seed,
    }
    if kind == DETECTOR:
        values |= {
            "prompts": atlas.manifest.prompts["sha256"],
            "max_tokens": atlas.manifest.configuration.max_tokens,
        }
    elif kind != RANDOM_TOKENS:
        values |= {"texts": list(texts)}
    return files.digest(values)


def _file(atlas: Atlas, model: str, kind: str) -> AtlasFile:
    return atlas.file("label_scores", model=model, kind=kind.replace(" ", "-"))


def _is_drawn(atlas: Atlas, model: str, kind: str, inputs: str) -> bool:
    file = _file(atlas, model, kind)
    try:
        return file.is_file() and files.parquet_metadata(file).get("inputs") == inputs
    except MotifsError:
        return False  # a damaged file is drawn again


def draw_model(
    atlas: Atlas | str,
    model: str,
    inputs: dict[str, str],
    texts: LabelTexts,
    seed: int,
    device: str,
    report: Report = silent,
) -> str:
    """Run one model on the sequences of some kinds, and write a file for each.

    It runs in any process that sees the folder of the atlas.

    Args:
        atlas: the atlas or its path.
        model: its name in the atlas.
        inputs: digest of the inputs of each kind to draw.
        texts: texts of the labels.
        seed: of the random tokens.
        device: `auto`, `cpu`, `cuda`...
        report: shows progress.

    Returns:
        Why the model could not be run; empty if it was.
    """
    from attention_motifs.behaviour.labels import key_groups, label_scores
    from attention_motifs.models.tokenizing import prefix_tokens

    opened = atlas if isinstance(atlas, Atlas) else Atlas.open(atlas)
    try:
        loaded = load_scored_model(opened, model, None, device, report)
        prefix = prefix_tokens(loaded, opened.manifest.configuration.bos)
        sequences = {
            kind: _sequences(opened, model, loaded, kind, texts, prefix, seed) for kind in inputs
        }
        with report(f"labels of {model}", sum(map(len, sequences.values()))) as advance:
            for kind, rows in sequences.items():
                scores = label_scores(loaded, rows, advance)
                metadata = {"inputs": inputs[kind], "key_groups": str(key_groups(loaded))}
                table = _table(opened, model, scores)
                files.write_parquet(_file(opened, model, kind), table, metadata=metadata)
    except MotifsError as error:
        return str(error)
    return ""


def _sequences(
    atlas: Atlas,
    model: str,
    loaded: LoadedModel,
    kind: str,
    texts: LabelTexts,
    prefix: tuple[int, ...],
    seed: int,
) -> list[Int[np.ndarray, " n"]]:
    from attention_motifs.behaviour.labels import detector_sequences, label_sequences

    if kind == DETECTOR:
        return detector_sequences(atlas.tokens(model)["token_ids"].to_list())
    return label_sequences(loaded, kind, prefix=prefix, texts=texts, seed=seed)


def _table(
    atlas: Atlas, model: str, scores: Float[np.ndarray, "sequences heads behaviours"]
) -> pl.DataFrame:
    import polars as pl

    from attention_motifs.behaviour.labels import BEHAVIOURS

    heads = atlas.heads.filter(pl.col("model") == model)["head"].to_list()
    n = len(scores)
    keys = pl.DataFrame(
        {
            "head": heads * n,
            "sequence": pl.Series([i for i in range(n) for _ in heads], dtype=pl.Int32),
        }
    )
    values = pl.DataFrame(
        scores.reshape(-1, scores.shape[2]), schema=list(BEHAVIOURS), orient="row"
    )
    return keys.hstack(values)


def _read(atlas: Atlas, model: str, inputs: dict[str, str], drawn: DrawnLabels) -> None:
    """Add the labels of one model that the atlas holds."""
    n_heads = atlas.manifest.models[model].n_all_heads
    for kind, digest in inputs.items():
        if not _is_drawn(atlas, model, kind, digest):
            continue
        file = _file(atlas, model, kind)
        table = files.read_parquet(file)
        names = tuple(name for name in table.columns if name not in _KEYS)
        values = table.select(names).to_numpy().astype(np.float64)
        scores = values.reshape(-1, n_heads, len(names))
        if not len(scores):
            continue
        n_groups = int(files.parquet_metadata(file)["key_groups"])
        if n_groups < atlas.manifest.models[model].n_heads:
            drawn.key_groups[model] = n_groups
        if kind == DETECTOR:
            drawn.detectors[model] = scores.mean(axis=0)
        else:
            drawn.labels.append(LabelScores(model, kind, names, scores))
