"""The stage `embed`: features to the pattern embedding and to the blocks of the presets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas import BLOCK_SIZE, Atlas
from attention_motifs.atlas.blocks import blocks_of, n_stimuli
from attention_motifs.atlas.queries import by_prompt
from attention_motifs.atlas.stimuli import get_stimuli
from attention_motifs.embedding import PatternEmbedding
from attention_motifs.embedding.moments import LengthBinnedMoments
from attention_motifs.embedding.presets import Block
from attention_motifs.embedding.recommended import (
    EXACT_ROWS,
    ReadParts,
    RecommendedEmbedding,
    passes,
)
from attention_motifs.errors import AtlasError
from attention_motifs.features import feature_names
from attention_motifs.progress import Advance, Report, silent
from attention_motifs.stages.stage import Stage, under_lock
from attention_motifs.store import files
from attention_motifs.store.presets import PRESET_VERSION

if TYPE_CHECKING:
    import polars as pl


@under_lock
def embed(atlas: Atlas, *, force: bool = False, report: Report = silent) -> PatternEmbedding:
    """Fit the pattern embedding, and place all patterns in it.

    It is fitted on the models of the configuration; models that `motifs add` added are placed in
    it. The blocks of the presets are fitted where the atlas has their features and probes.

    Args:
        atlas: with its features.
        force: fit again although nothing changed, and use the newest presets of the package.
        report: shows progress.

    Returns:
        The pattern embedding of the first feature set.

    Raises:
        AtlasError: if a model is not extracted yet, or a file is missing or damaged.
    """
    fitted = [m for m, info in atlas.manifest.models.items() if not info.added]
    configuration = atlas.manifest.configuration
    if len(fitted) < len(configuration.models):
        raise AtlasError(
            f"{atlas.place}: has the patterns of {len(fitted)} of {len(configuration.models)} "
            f"models; run {atlas.paths.extract_command()}, or leave a model out with "
            f"{atlas.paths.command('remove MODEL')}"
        )
    if force and configuration.preset_version != PRESET_VERSION:
        configuration = replace(configuration, preset_version=PRESET_VERSION)
        atlas.update(configuration=configuration)
    inputs = {
        "extracted": [atlas.manifest.stages.get(f"extract:{m}") for m in fitted],
        "n_components": configuration.n_components,
        "length_bins": configuration.length_bins,
    }
    steps = len(fitted) * atlas.n_blocks
    stage = Stage("embed", inputs, "fit the embedding", steps=steps)

    def fit(advance: Advance) -> None:
        fit_embedding(atlas, fitted, advance=advance).save(
            (atlas.file("embedding_settings"), atlas.file("embedding"))
        )

    stage.run(atlas, fit, force=force, report=report)
    embedding = atlas.embedding()
    with atlas.batched_updates():
        for model in atlas.models:
            place(atlas, model, embedding, force=force, report=report)
    for block in blocks_of(atlas):
        embed_block(atlas, block, fitted, force=force, report=report)
    return embedding


def fit_embedding(
    atlas: Atlas,
    models: Sequence[str],
    names: Sequence[str] | None = None,
    *,
    advance: Advance = lambda _steps: None,
) -> PatternEmbedding:
    """Fit an embedding with the settings of the atlas; nothing is written.

    Args:
        atlas: with the features of the models.
        models: names of the models to fit on.
        names: features; default: those of the first feature set.
        advance: called after each part.
    """
    configuration = atlas.manifest.configuration
    columns = list(names or feature_names(configuration.feature_sets[0]))
    moments = LengthBinnedMoments(len(columns), configuration.length_bins)
    for model in models:
        for part in atlas.feature_parts(model, columns):
            moments.update(part.select(columns).to_numpy(), part["n_tokens"].to_numpy())
            advance(1)
    return PatternEmbedding.from_moments(moments, configuration.n_components, columns)


def place(
    atlas: Atlas,
    model: str,
    embedding: PatternEmbedding,
    *,
    force: bool = False,
    report: Report = silent,
) -> None:
    """Write the embedded patterns of one model, and count the imputed values.

    Args:
        atlas: with its features.
        model: name of the model.
        embedding: the saved embedding of the atlas.
        force: write again although nothing changed.
        report: shows progress.
    """
    import polars as pl

    journal, path = atlas.manifest.stages, atlas.file("embedded", model=model)
    inputs = [journal.get("embed"), journal.get(f"extract:{model}")]
    title = f"embed the patterns of {model}"
    names = list(embedding.feature_names)
    columns = [f"pc{i}" for i in range(embedding.n_components)]
    counts = np.zeros(len(names), dtype=np.int64)

    def write(advance: Advance) -> dict[str, Any]:
        def tables() -> Iterator[pl.DataFrame]:
            for part in atlas.feature_parts(model, names):
                features = part.select(names).to_numpy()
                counts[:] += (~np.isfinite(features)).sum(axis=0)
                rows = embedding.transform(features, part["n_tokens"].to_numpy())
                values = pl.DataFrame(rows, schema=columns, orient="row")
                yield part.select("head", "prompt_id").hstack(values)
                advance(1)

        files.write_parquet_parts(path, tables())
        imputed = {name: int(count) for name, count in zip(names, counts, strict=True) if count}
        return {"imputed": {**atlas.manifest.imputed, model: imputed}}

    stage = Stage(f"place:{model}", inputs, title, (path,), atlas.n_blocks)
    stage.run(atlas, write, force=force, report=report)


def embed_block(
    atlas: Atlas, block: Block, fitted: Sequence[str], *, force: bool, report: Report = silent
) -> None:
    """Fit a block of the presets, and place all patterns in it.

    Args:
        atlas: with its features.
        block: the block; the atlas has its features.
        fitted: models to fit on; all models are placed.
        force: fit again although nothing changed.
        report: shows progress.
    """
    names = feature_names(block.features)
    stimuli = get_stimuli(block.stimuli)
    inputs = {
        "extracted": [atlas.manifest.stages.get(stimuli.journal(m)) for m in fitted],
        "features": names,
        "version": 1,
    }
    sketch = _n_patterns(atlas, block, fitted) > EXACT_ROWS

    def fit(advance: Advance) -> None:
        embedding = RecommendedEmbedding.fit_parts(
            _reader(atlas, block, fitted), names, sketch=sketch, done=lambda: advance(1)
        )
        settings = atlas.file("block_settings", block=block.name)
        embedding.save((settings, atlas.file("block", block=block.name)))

    title, steps = f"fit the block {block.name}", passes(len(names), sketch=sketch)
    stage = Stage(f"fit-block:{block.name}", inputs, title, steps=steps)
    stage.run(atlas, fit, force=force, report=report)
    embedding = atlas.block(block.name)
    with atlas.batched_updates():
        for model in atlas.models:
            _place_in_block(atlas, model, block, embedding, force=force, report=report)


def _n_patterns(atlas: Atlas, block: Block, models: Sequence[str]) -> int:
    n_heads = sum(atlas.manifest.models[model].n_all_heads for model in models)
    return n_stimuli(atlas, block.stimuli) * n_heads


def _reader(atlas: Atlas, block: Block, models: Sequence[str]) -> ReadParts:
    def read(columns: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray, str]]:
        for model in models:
            for part in atlas.feature_parts(model, columns, block.stimuli):
                yield *by_prompt(atlas, model, part, columns), model

    return read


def _place_in_block(
    atlas: Atlas,
    model: str,
    block: Block,
    embedding: RecommendedEmbedding,
    *,
    force: bool,
    report: Report,
) -> None:
    """Write the patterns of one model in the space of a block."""
    import polars as pl

    journal = atlas.manifest.stages
    path = atlas.file("block_clouds", block=block.name, model=model)
    stimuli = get_stimuli(block.stimuli)
    inputs = [journal.get(f"fit-block:{block.name}"), journal.get(stimuli.journal(model))]
    names = list(embedding.feature_names)
    columns = [f"w{i}" for i in range(len(names))]

    def write(advance: Advance) -> None:
        def tables() -> Iterator[pl.DataFrame]:
            for part in atlas.feature_parts(model, names, block.stimuli):
                placed = embedding.place(*by_prompt(atlas, model, part, names))
                values = pl.DataFrame(placed.reshape(-1, len(names)), schema=columns, orient="row")
                yield part.select("head", "prompt_id").hstack(values)
                advance(1)

        files.write_parquet_parts(path, tables())

    title = f"place the patterns of {model} in the block {block.name}"
    n_parts = -(-n_stimuli(atlas, block.stimuli) // BLOCK_SIZE)
    stage = Stage(f"place-block:{block.name}:{model}", inputs, title, (path,), n_parts)
    stage.run(atlas, write, force=force, report=report)
