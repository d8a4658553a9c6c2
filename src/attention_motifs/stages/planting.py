"""Planted atlases: copies of an atlas in which rules are blended into the patterns of some heads.

The models run once. The patterns of a block of prompts, or of probes, are kept until they are
blended at every strength.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas import BLOCK_SIZE, Atlas
from attention_motifs.atlas.stimuli import PROBES, PROMPTS, Stimuli
from attention_motifs.evaluation.baselines import Embedding
from attention_motifs.evaluation.planted import PlantedHeads, blend
from attention_motifs.progress import Advance, Report
from attention_motifs.prompts import Prompt, prompts_digest
from attention_motifs.stages.heads import write_heads
from attention_motifs.stages.model_source import load_for, source_on, wanted_model
from attention_motifs.stages.parts import (
    PatternSource,
    Sink,
    begin_model,
    finish_model,
    finish_probes,
    positions_of,
    write_part,
)
from attention_motifs.store import files

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from attention_motifs.store.manifest import ModelRecord

    Clouds = dict[tuple[str, float], Float[np.ndarray, "prompts heads columns"]]

LAYERS_ALONE = "layer alone"
"""Name of the distance between the depths of layers; it should find no host."""

COLUMN = "planted"
"""Column of the heads table of a planted atlas: the rule of a host."""

_KEPT_BYTES = 2 << 30
"""Patterns of a block that are kept; where they take more, the model runs at every strength."""

RunBlock = Callable[[Sequence[int], Sink], None]


@dataclass(frozen=True)
class Planting:
    """Settings of the planting."""

    planted: PlantedHeads
    n_prompts: int
    embeddings: Sequence[Embedding]
    device: str
    report: Report


def plant(
    atlas: Atlas, folder: Path, strengths: Sequence[float], planting: Planting
) -> tuple[list[Atlas], Clouds]:
    """Write one planted atlas per strength, as far as features.

    Args:
        atlas: read, not written.
        folder: folder of the planted atlases.
        strengths: weights of the rules.
        planting: settings.

    Returns:
        The atlases, and the clouds of each embedding by its name and the strength.
    """
    atlases = [_empty(atlas, folder / f"strength-{s:g}", planting.n_prompts) for s in strengths]
    stimuli = (PROMPTS, PROBES) if atlas.manifest.probes["n"] else (PROMPTS,)
    n_blocks = sum(_n_blocks(atlases[0], kind) for kind in stimuli)
    clouds: dict[tuple[str, float], list[np.ndarray]] = {}
    first = 0
    n_steps = len(atlas.models) * n_blocks * len(strengths)
    with planting.report("patterns and features of planted heads", n_steps) as advance:
        for model, info in atlas.manifest.models.items():
            rules = planting.planted.rule[first : first + info.n_all_heads]
            first += info.n_all_heads
            advice = f"run {atlas.paths.command(f'build --model {model}=PATH')}"
            requested = wanted_model(atlas, model, advice)
            loaded = load_for(atlases[0], requested, planting.device, dtype=info.dtype)
            tables = [_Vectors(info, planting) for _ in strengths]
            for kind in stimuli:
                source = source_on(atlases[0], loaded, kind)
                of_layers = rules.reshape(len(info.layers), info.n_heads)
                _plant_model(atlases, strengths, source, of_layers, tables, advance)
            for strength, table in zip(strengths, tables, strict=True):
                for embedding in planting.embeddings:
                    key = embedding.name, strength
                    clouds.setdefault(key, []).append(table.clouds(embedding.name))
    for planted_atlas in atlases:
        _write_heads(atlas, planted_atlas, planting.planted)
    return atlases, {key: np.concatenate(parts, axis=1) for key, parts in clouds.items()}


def _n_blocks(atlas: Atlas, stimuli: Stimuli) -> int:
    return -(-stimuli.count(atlas.manifest) // BLOCK_SIZE)


def _plant_model(
    atlases: Sequence[Atlas],
    strengths: Sequence[float],
    source: PatternSource,
    rules: Int[np.ndarray, "layers heads"],
    tables: Sequence[_Vectors],
    advance: Advance,
) -> None:
    """Write the parts of one model on its prompts or probes, at every strength."""
    run = _kept(source)
    sources = [_blended(source, run, rules, strength) for strength in strengths]
    for planted_atlas in atlases:
        begin_model(planted_atlas, source)
    for block in range(_n_blocks(atlases[0], source.stimuli)):
        for planted_atlas, of_strength, table in zip(atlases, sources, tables, strict=True):
            write_part(planted_atlas, of_strength, block)
            if source.stimuli is PROMPTS:
                table.add(of_strength, positions_of(planted_atlas, block))
            advance(1)
    for planted_atlas in atlases:
        if source.stimuli is PROMPTS:
            # Planted atlases are fitted on all of their models.
            finish_model(planted_atlas, source.model, source.info)
        else:
            finish_probes(planted_atlas, source.model, source.info)


def _empty(atlas: Atlas, folder: Path, n_prompts: int) -> Atlas:
    """Create an atlas with the first prompts and the probes of another, and no models yet."""
    table = atlas.prompts.head(n_prompts)
    prompts = [Prompt(row["text"], row["source"]) for row in table.iter_rows(named=True)]
    recorded = atlas.manifest.configuration
    configuration = replace(
        recorded,
        models=tuple(atlas.models),
        n_prompts=n_prompts,
        n_view_prompts=min(1, recorded.n_view_prompts),
    )
    with Atlas.lock(folder, new=True):
        empty = Atlas.create(folder, configuration, table, prompts_digest(prompts))
        if atlas.manifest.probes["n"]:
            files.write_parquet(empty.file("probes"), atlas.probes)
            empty.update(probes=atlas.manifest.probes)
    return empty


def _write_heads(atlas: Atlas, planted_atlas: Atlas, planted: PlantedHeads) -> None:
    """Write the heads table, with the rule of every host and the scores of the real heads."""
    import polars as pl

    write_heads(planted_atlas)
    later = [name for name in atlas.heads.columns if name not in planted_atlas.heads.columns]
    table = planted_atlas.heads.hstack(atlas.heads.select(later))
    planted_atlas.write_heads(table.with_columns(pl.Series(COLUMN, planted.names, dtype=pl.String)))


def _kept(source: PatternSource) -> RunBlock:
    """Return `run_block` of a source that runs the model once for repeated calls."""
    kept: dict[tuple[int, ...], list[tuple[int, list[int], np.ndarray[Any, Any]]]] = {}
    n_heads = source.info.n_all_heads

    def run_block(positions: Sequence[int], sink: Sink) -> None:
        key = tuple(positions)
        n_bytes = 4 * n_heads * sum(len(source.tokens[i][0]) ** 2 for i in key)
        if n_bytes > _KEPT_BYTES:
            source.run_block(positions, sink)
            return
        if key not in kept:
            kept.clear()
            parts: list[tuple[int, list[int], np.ndarray[Any, Any]]] = []

            def keep(layer: int, indices: Sequence[int], patterns: Any) -> None:
                parts.append((layer, list(indices), _copied(patterns)))

            source.run_block(positions, keep)
            kept[key] = parts
        for layer, indices, patterns in kept[key]:
            sink(layer, indices, patterns)

    return run_block


def _copied(patterns: Any) -> np.ndarray[Any, Any]:
    """Return patterns as an array of float32 of its own."""
    if hasattr(patterns, "detach"):
        patterns = patterns.detach().float().cpu().numpy()
    return np.array(patterns, dtype=np.float32)


def _blended(
    source: PatternSource,
    run_block: RunBlock,
    rules: Int[np.ndarray, "layers heads"],
    strength: float,
) -> PatternSource:
    """Return a source whose hosts follow their rules."""
    row_of_layer = source.info.row_of_layer

    def run(positions: Sequence[int], sink: Sink) -> None:
        def blended(layer: int, indices: Sequence[int], patterns: Any) -> None:
            values = _copied(patterns)
            for row, i in enumerate(indices):
                token_ids, tokens = source.tokens[positions[i]]
                of_layer = rules[row_of_layer[layer]]
                values[row] = blend(values[row], of_layer, token_ids, tokens, strength)
            sink(layer, indices, values)

        run_block(positions, blended)

    return replace(source, run_block=run, run_heads=None)


class _Vectors:
    """Vectors of one model's patterns on prompts, by every embedding, at one strength."""

    def __init__(self, info: ModelRecord, planting: Planting) -> None:
        self._row_of_layer = info.row_of_layer
        self._shape = len(info.layers), info.n_heads
        self._embeddings = planting.embeddings
        self._n_prompts = planting.n_prompts
        self._arrays: dict[str, Float[np.ndarray, "prompts layers heads columns"]] = {}

    def add(self, source: PatternSource, positions: Sequence[int]) -> None:
        """Embed the patterns of some prompts."""

        def sink(layer: int, indices: Sequence[int], patterns: Any) -> None:
            for row, i in enumerate(indices):
                for embedding in self._embeddings:
                    n_prompts = min(self._n_prompts, embedding.n_prompts or self._n_prompts)
                    if positions[i] < n_prompts:
                        rows = embedding.apply(patterns[row])
                        shape = (n_prompts, *self._shape, rows.shape[1])
                        array = self._arrays.setdefault(embedding.name, np.zeros(shape, np.float32))
                        array[positions[i], self._row_of_layer[layer]] = rows

        source.run_block(positions, sink)

    def clouds(self, name: str) -> Float[np.ndarray, "prompts heads columns"]:
        """Return the vectors of one embedding."""
        array = self._arrays[name]
        return array.reshape(len(array), -1, array.shape[-1])
