"""The stage `embed`: features to the pattern embedding and to the preset `recommended`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.queries import by_prompt
from attention_motifs.embedding import PatternEmbedding
from attention_motifs.embedding.moments import LengthBinnedMoments
from attention_motifs.embedding.recommended import (
    EXACT_ROWS,
    FEATURE_SET,
    ReadParts,
    RecommendedEmbedding,
    passes,
)
from attention_motifs.errors import AtlasError
from attention_motifs.features import feature_names
from attention_motifs.progress import Advance, Report, silent
from attention_motifs.stages.stage import Stage
from attention_motifs.store import files

if TYPE_CHECKING:
    import polars as pl


def embed(atlas: Atlas, *, force: bool = False, report: Report = silent) -> PatternEmbedding:
    """Fit the pattern embedding, and place all patterns in it.

    It is fitted on the models of the configuration; models that `motifs add` added are placed in
    it. An atlas with the features `extended` also gets the preset `recommended`.

    Args:
        atlas: with its features; the caller holds its lock.
        force: fit again although nothing changed.
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
            f"models; run {atlas.paths.extract_command()}"
        )
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
    for model in atlas.models:
        place(atlas, model, embedding, force=force, report=report)
    if FEATURE_SET in configuration.feature_sets:
        _recommend(atlas, fitted, force=force, report=report)
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
        atlas: the caller holds its lock.
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


def _recommend(atlas: Atlas, fitted: Sequence[str], *, force: bool, report: Report) -> None:
    """Fit the preset `recommended`, and place all patterns in it."""
    names = feature_names(FEATURE_SET)
    inputs = {
        "extracted": [atlas.manifest.stages.get(f"extract:{m}") for m in fitted],
        "features": names,
        "version": 1,
    }
    sketch = _n_patterns(atlas, fitted) > EXACT_ROWS

    def fit(advance: Advance) -> None:
        recommended = RecommendedEmbedding.fit_parts(
            _reader(atlas, fitted), names, sketch=sketch, done=lambda: advance(1)
        )
        recommended.save((atlas.file("recommended_settings"), atlas.file("recommended")))

    title, steps = "fit the preset recommended", passes(len(names), sketch=sketch)
    stage = Stage("recommended", inputs, title, steps=steps)
    stage.run(atlas, fit, force=force, report=report)
    recommended = atlas.recommended()
    for model in atlas.models:
        place_recommended(atlas, model, recommended, force=force, report=report)


def _n_patterns(atlas: Atlas, models: Sequence[str]) -> int:
    shapes = [atlas.manifest.models[model] for model in models]
    n_heads = sum(info.n_all_heads for info in shapes)
    return int(atlas.manifest.prompts["n"]) * n_heads


def _reader(atlas: Atlas, models: Sequence[str]) -> ReadParts:
    def read(columns: Sequence[str]) -> Iterator[tuple[np.ndarray, np.ndarray, str]]:
        for model in models:
            for part in atlas.feature_parts(model, columns):
                yield *by_prompt(atlas, model, part, columns), model

    return read


def place_recommended(
    atlas: Atlas,
    model: str,
    recommended: RecommendedEmbedding,
    *,
    force: bool = False,
    report: Report = silent,
) -> None:
    """Write the patterns of one model in the space of the preset `recommended`.

    Args:
        atlas: the caller holds its lock.
        model: name of the model.
        recommended: the saved preset of the atlas.
        force: write again although nothing changed.
        report: shows progress.
    """
    import polars as pl

    journal, path = atlas.manifest.stages, atlas.file("recommended_clouds", model=model)
    inputs = [journal.get("recommended"), journal.get(f"extract:{model}")]
    names = list(recommended.feature_names)
    columns = [f"w{i}" for i in range(len(names))]

    def write(advance: Advance) -> None:
        def tables() -> Iterator[pl.DataFrame]:
            for part in atlas.feature_parts(model, names):
                placed = recommended.place(*by_prompt(atlas, model, part, names))
                values = pl.DataFrame(placed.reshape(-1, len(names)), schema=columns, orient="row")
                yield part.select("head", "prompt_id").hstack(values)
                advance(1)

        files.write_parquet_parts(path, tables())

    title = f"place the patterns of {model} by recommended"
    stage = Stage(f"recommended:{model}", inputs, title, (path,), atlas.n_blocks)
    stage.run(atlas, write, force=force, report=report)
