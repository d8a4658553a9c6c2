"""The stage `import-pattern-lens`: patterns that pattern-lens wrote to an atlas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from attention_motifs.atlas import IMPORTED, Atlas
from attention_motifs.distances import get_metric
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.extraction.pattern_lens import (
    PatternLensModel,
    read_models,
    read_n_tokens,
    read_patterns,
    weights_digest,
)
from attention_motifs.features import feature_names
from attention_motifs.features.registry import selected, token_readers
from attention_motifs.progress import Report, silent
from attention_motifs.prompts import prompts_digest
from attention_motifs.stages.create import add_feature_sets, check_folder, prompts_table
from attention_motifs.stages.distances import distances, standard_metrics
from attention_motifs.stages.embed import embed
from attention_motifs.stages.heads import write_heads
from attention_motifs.stages.motif_parts import write_share_columns
from attention_motifs.stages.parts import PatternSource, Sink, extract_from, is_extracted
from attention_motifs.store import remote
from attention_motifs.store.manifest import ModelRecord
from attention_motifs.store.paths import MANIFEST
from attention_motifs.store.settings import FEATURE_SETS, Configuration


def import_pattern_lens(
    folder: str | Path,
    path: str | Path,
    *,
    feature_sets: tuple[str, ...] = FEATURE_SETS,
    metrics: Sequence[str] | None = None,
    force: bool = False,
    report: Report = silent,
) -> Atlas:
    """Make an atlas from patterns in a folder; a second call does what is still missing.

    Only prompts that all models share are used, since distances pair patterns by prompt. An atlas
    that lacks some of the feature sets gains them. Models whose files changed are imported again.

    Args:
        folder: what pattern-lens wrote.
        path: folder of the atlas, or its URL.
        feature_sets: names of feature sets.
        metrics: default: as for `build`.
        force: write the atlas into a folder that holds other files.
        report: shows progress.

    Raises:
        InputError: if the folder is not one of pattern-lens, its models share no prompt, or a
            feature set or metric is not known.
        AtlasError: if another atlas is at `path`.
    """
    feature_names(list(feature_sets))
    for metric in metrics or ():
        get_metric(metric)
    models = read_models(folder)
    shared = set.intersection(*(set(m.hashes) for m in models))
    prompts = [p for p in models[0].prompts if p.prompt_id in shared]
    if not prompts:
        raise InputError(f"{folder}: its models share no prompt, so heads cannot be compared")
    ids = [p.prompt_id for p in prompts]
    sources = [_source(model, ids) for model in models]
    _check_texts(sources, ids, feature_sets)
    configuration = Configuration(
        models=tuple(m.name for m in models),
        prompts=IMPORTED,
        n_prompts=len(prompts),
        feature_sets=feature_sets,
        n_probes=0,
    )
    check_folder(path, force=force)
    with Atlas.lock(path, new=True):
        if (remote.paths_of(path).folder / MANIFEST).is_file():
            atlas = Atlas.open(path)
            recorded = atlas.manifest.configuration
            if (
                replace(recorded, feature_sets=feature_sets) != configuration
                or recorded.feature_sets[0] != feature_sets[0]
                or atlas.manifest.prompts["sha256"] != prompts_digest(prompts)
            ):
                raise AtlasError(f"{path}: holds another atlas; choose another --atlas")
            add_feature_sets(atlas, feature_sets)
        else:
            atlas = Atlas.create(
                path, configuration, prompts_table(prompts), prompts_digest(prompts)
            )
        for model, source in zip(models, sources, strict=True):
            record = atlas.manifest.models.get(model.name)
            if (
                record is None
                or record.weights_sha256 != weights_digest(model)
                or not is_extracted(atlas, model.name)
            ):
                extract_from(atlas, source, report=report)
        write_heads(atlas)
        write_share_columns(atlas)
        embed(atlas, report=report)
        for metric in metrics or standard_metrics(atlas):
            distances(atlas, metric, report=report)
        return atlas


def _source(model: PatternLensModel, ids: Sequence[str]) -> PatternSource:
    tokens = [_tokens(model, prompt_id) for prompt_id in ids]

    def run_block(positions: Sequence[int], sink: Sink) -> None:
        for i, position in enumerate(positions):
            for layer, patterns in enumerate(read_patterns(model, ids[position])):
                sink(layer, [i], patterns[None])

    info = ModelRecord(model.name, IMPORTED, model.n_layers, model.n_heads, weights_digest(model))
    return PatternSource(model.name, info, tokens, run_block)


def _check_texts(
    sources: Sequence[PatternSource], ids: Sequence[str], feature_sets: Sequence[str]
) -> None:
    """Refuse features that need the texts of the tokens, for prompts without them.

    Raises:
        InputError: naming the model and the prompt.
    """
    readers = token_readers(selected(feature_sets))
    for source in sources if readers else ():
        for prompt_id, (_, texts) in zip(ids, source.tokens, strict=True):
            if not any(texts):
                raise InputError(
                    f"{source.model}: feature {readers[0]!r} needs the texts of the tokens, and "
                    f"prompt {prompt_id} has none. Give each line of prompts.jsonl its list "
                    '"tokens", or leave out the feature set'
                )


def _tokens(model: PatternLensModel, prompt_id: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return ids and texts of tokens, one per row; pattern-lens records no ids and no BOS."""
    n = read_n_tokens(model, prompt_id)
    texts = list(model.tokens[prompt_id])[:n]
    texts = ["BOS"] * (n - len(texts)) + texts if len(texts) in {n - 1, n} else [""] * n
    return tuple([-1] * n), tuple(texts)
