"""Features to the pattern embedding and to the preset `recommended`: the stage `embed`.

Both are fitted and filled part by part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

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
from attention_motifs.progress import Report, silent
from attention_motifs.store import files

if TYPE_CHECKING:
    import polars as pl


def embed(atlas: Atlas, *, force: bool = False, report: Report = silent) -> PatternEmbedding:
    """Fit the embedding on the atlas's own models, and place all patterns in it.

    If the atlas has the features `extended`, the same is done for the preset `recommended`.
    Models that `motifs add` brought are placed, never fitted on.

    Returns:
        The pattern embedding, of the first feature set.

    Raises:
        AtlasError: if a model is not extracted yet, or a file is missing or damaged.
    """
    fitted = [m for m, info in atlas.manifest.models.items() if not info.get("added")]
    if len(fitted) < len(atlas.manifest.configuration.models):
        raise AtlasError(
            f"{atlas.path}: has the patterns of {len(fitted)} of "
            f"{len(atlas.manifest.configuration.models)} models; {atlas.extract_command()}"
        )
    inputs = files.digest(
        {
            "extracted": [atlas.manifest.stages.get(f"extract:{m}") for m in fitted],
            "n_components": atlas.manifest.configuration.n_components,
            "length_bins": atlas.manifest.configuration.length_bins,
        }
    )
    if atlas.is_finished("embed", inputs) and not force:
        embedding = atlas.embedding()
    else:
        embedding = _fit(atlas, fitted, report)
        embedding.save(atlas.embedding_path)
        atlas.finish("embed", inputs)
    for model in atlas.models:
        place(atlas, model, embedding, force=force, report=report)
    if FEATURE_SET in atlas.manifest.configuration.feature_sets:
        _recommend(atlas, fitted, force=force, report=report)
    return embedding


def _fit(atlas: Atlas, models: Sequence[str], report: Report) -> PatternEmbedding:
    configuration = atlas.manifest.configuration
    names = feature_names(configuration.feature_sets[0])
    moments = LengthBinnedMoments(len(names), configuration.length_bins)
    with report("fit the embedding", len(models) * atlas.n_blocks) as advance:
        for model in models:
            for part in atlas.feature_parts(model, names):
                moments.update(part.select(names).to_numpy(), part["n_tokens"].to_numpy())
                advance(1)
    return PatternEmbedding.from_moments(moments, configuration.n_components, names)


def place(
    atlas: Atlas,
    model: str,
    embedding: PatternEmbedding,
    *,
    force: bool = False,
    report: Report = silent,
) -> None:
    """Write the embedded patterns of one model, by the embedding as it is; count the imputed."""
    import polars as pl

    inputs = files.digest(
        [atlas.manifest.stages.get("embed"), atlas.manifest.stages.get(f"extract:{model}")]
    )
    stage, path = f"place:{model}", atlas.embedded_path(model)
    if atlas.is_finished(stage, inputs) and path.is_file() and not force:
        return
    names = list(embedding.feature_names)
    columns = [f"pc{i}" for i in range(embedding.n_components)]
    counts = np.zeros(len(names), dtype=np.int64)
    with report(f"embed the patterns of {model}", atlas.n_blocks) as advance:

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
    atlas.update(
        imputed={**atlas.manifest.imputed, model: imputed},
        stages={**atlas.manifest.stages, stage: inputs},
    )


def _recommend(atlas: Atlas, fitted: Sequence[str], *, force: bool, report: Report) -> None:
    """Fit the preset `recommended`, and place all patterns in it."""
    names = feature_names(FEATURE_SET)
    inputs = files.digest(
        {
            "extracted": [atlas.manifest.stages.get(f"extract:{m}") for m in fitted],
            "features": names,
            "version": 1,
        }
    )
    if atlas.is_finished("recommended", inputs) and not force:
        recommended = atlas.recommended()
    else:
        sketch = _n_patterns(atlas, fitted) > EXACT_ROWS
        with report("fit the preset recommended", passes(len(names), sketch=sketch)) as advance:
            recommended = RecommendedEmbedding.fit_parts(
                _reader(atlas, fitted), names, sketch=sketch, done=lambda: advance(1)
            )
        recommended.save(atlas.recommended_path)
        atlas.finish("recommended", inputs)
    for model in atlas.models:
        place_recommended(atlas, model, recommended, force=force, report=report)


def _n_patterns(atlas: Atlas, models: Sequence[str]) -> int:
    shapes = [atlas.manifest.models[model] for model in models]
    n_heads = sum(int(info["n_layers"]) * int(info["n_heads"]) for info in shapes)
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
    """Write the patterns of one model in the space of the preset `recommended`, as it is."""
    import polars as pl

    stages = atlas.manifest.stages
    inputs = files.digest([stages.get("recommended"), stages.get(f"extract:{model}")])
    stage, path = f"recommended:{model}", atlas.recommended_clouds_path(model)
    if atlas.is_finished(stage, inputs) and path.is_file() and not force:
        return
    names = list(recommended.feature_names)
    columns = [f"w{i}" for i in range(len(names))]
    with report(f"place the patterns of {model} by recommended", atlas.n_blocks) as advance:

        def tables() -> Iterator[pl.DataFrame]:
            for part in atlas.feature_parts(model, names):
                placed = recommended.place(*by_prompt(atlas, model, part, names))
                values = pl.DataFrame(placed.reshape(-1, len(names)), schema=columns, orient="row")
                yield part.select("head", "prompt_id").hstack(values)
                advance(1)

        files.write_parquet_parts(path, tables())
    atlas.finish(stage, inputs)
