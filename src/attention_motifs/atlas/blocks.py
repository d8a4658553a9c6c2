"""Blocks of the presets in an atlas, and the clouds that a metric compares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.atlas.stimuli import get_stimuli
from attention_motifs.distances import get_metric, metric_names
from attention_motifs.embedding.presets import (
    Block,
    Preset,
    Segment,
    concatenated,
    known_presets,
    on_prompts,
    separated,
)
from attention_motifs.errors import AtlasError, InputError, did_you_mean
from attention_motifs.store.manifest import IMPORTED
from attention_motifs.store.presets import RIDGE, Stimuli

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from attention_motifs.atlas.folder import AtlasFolder
    from attention_motifs.embedding.recommended import RecommendedEmbedding

    Clouds = Float[np.ndarray, "stimuli heads columns"]


BEST_METRICS = ("recommended", "natural", "cosine", "mean")
"""Metrics that find heads of one behaviour, the best first (docs/distances.md)."""


@dataclass(frozen=True)
class MetricClouds:
    """The head clouds that a metric compares, on all prompts or on some of them.

    Attributes:
        array: (points, heads, columns) float32; a point is a prompt or probe, or the whole vector
            of a head by a preset of several blocks.
        by_prompt: whether the points are the prompts.
        segments: places of the blocks in the vectors; empty unless there are several blocks.
    """

    array: Float[np.ndarray, "points heads columns"]
    by_prompt: bool = True
    segments: tuple[Segment, ...] = ()

    def on(self, prompts: Int[np.ndarray, " some"]) -> Float[np.ndarray, "points heads columns"]:
        """Return the clouds on some of the prompts; probes stay whole.

        Args:
            prompts: indices of prompts.
        """
        if self.segments:
            return on_prompts(self.array[0], self.segments, prompts)[None]
        return self.array[prompts] if self.by_prompt else self.array

    def restricted(self, prompts: Int[np.ndarray, " some"]) -> MetricClouds:
        """Return `on(prompts)` as clouds whose prompts are numbered anew."""
        segments = tuple(
            replace(segment, n_stimuli=len(prompts)) if segment.by_prompt else segment
            for segment in self.segments
        )
        return MetricClouds(self.on(prompts), self.by_prompt, segments)

    def changed(self, change: Callable[[Clouds], Clouds]) -> MetricClouds:
        """Return clouds with those of each block changed.

        Args:
            change: a function from the clouds of one block, (stimuli, heads, columns), to others
                of the same shape.
        """
        if not self.segments:
            return replace(self, array=np.asarray(change(self.array), dtype=np.float32))
        blocks = [change(block) for block in separated(self.array, self.segments)]
        return replace(self, array=concatenated(blocks, self.segments))


def clouds_of(atlas: AtlasFolder, metric: str, models: Sequence[str] | None = None) -> MetricClouds:
    """Return the head clouds that a metric compares, in the order of `Atlas.heads`.

    Args:
        atlas: with its embedding.
        metric: name of a metric or preset.
        models: names of models; default: all.

    Raises:
        InputError: if the metric is not known.
        AtlasError: if the stage `embed` has not run, or the atlas lacks features or probes.
    """
    preset = preset_of(atlas, metric)
    if preset is None:
        return MetricClouds(atlas.embedded(models))
    require(atlas, metric)
    clouds = [block_clouds(atlas, block, models) for block in preset.blocks]
    if len(clouds) == 1:
        return described(atlas, preset, clouds[0])
    return described(atlas, preset, concatenated(clouds, segments_of(atlas, preset)))


def described(
    atlas: AtlasFolder, preset: Preset | None, array: Float[np.ndarray, "points heads columns"]
) -> MetricClouds:
    """Return clouds together with what their points are.

    Args:
        atlas: the atlas of the heads.
        preset: the preset that compares them; None for a metric on the paper's embedding.
        array: clouds of `clouds_of`, such as those in a file.
    """
    if preset is None:
        return MetricClouds(array)
    if len(preset.blocks) == 1:
        return MetricClouds(array, by_prompt=preset.blocks[0].stimuli == "prompts")
    return MetricClouds(array, segments=segments_of(atlas, preset))


def pattern_clouds(
    atlas: AtlasFolder, metric: str, models: Sequence[str] | None = None
) -> Float[np.ndarray, "prompts heads columns"] | None:
    """Return the points of single patterns in the space of a metric, to identify heads by them.

    The columns are those of the blocks of prompts, times the root of their weights.

    Args:
        atlas: with its embedding.
        metric: name of a metric or preset.
        models: names of models; default: all.

    Returns:
        (prompts, heads, columns) float32; None for a preset without a block of prompts.

    Raises:
        InputError, AtlasError: as `clouds_of`.
    """
    preset = preset_of(atlas, metric)
    if preset is None:
        return atlas.embedded(models)
    blocks = [block for block in preset.blocks if block.stimuli == "prompts"]
    clouds = [block_clouds(atlas, block, models) for block in blocks]
    if len(clouds) < 2:
        return clouds[0] if clouds else None
    weighted = [c * np.float32(b.weight**0.5) for c, b in zip(clouds, blocks, strict=True)]
    return np.concatenate(weighted, axis=2)


def preset_of(atlas: AtlasFolder, metric: str) -> Preset | None:
    """Return the preset of this name; None for a metric on the paper's embedding.

    Raises:
        InputError: if the metric is not known.
    """
    preset = known_presets(atlas.manifest.configuration).get(metric)
    if preset is None and get_metric(metric).space != "embedding":
        raise InputError(
            f"metric {metric!r} is a preset that {atlas.place} does not define. Run "
            f"{atlas.paths.command('metrics')} for those that it has"
        )
    return preset


def segments_of(atlas: AtlasFolder, preset: Preset) -> tuple[Segment, ...]:
    """Return the places of the blocks of a preset in its vectors."""
    return tuple(
        Segment(
            n_stimuli(atlas, block.stimuli),
            len(fitted_block(atlas, block).feature_names),
            share,
            block.stimuli == "prompts",
        )
        for block, share in zip(preset.blocks, preset.shares, strict=True)
    )


def n_stimuli(atlas: AtlasFolder, stimuli: Stimuli) -> int:
    """Return the number of prompts or of probes."""
    return get_stimuli(stimuli).count(atlas.manifest)


def n_points(atlas: AtlasFolder, space: str) -> int:
    """Return the number of points of each cloud in a space: `embedding`, or of a preset."""
    preset = known_presets(atlas.manifest.configuration).get(space)
    if preset is None:
        return n_stimuli(atlas, "prompts")
    return n_stimuli(atlas, preset.blocks[0].stimuli) if len(preset.blocks) == 1 else 1


def blocks_of(atlas: AtlasFolder) -> list[Block]:
    """Return the blocks of all presets that the atlas has the features for, each once."""
    presets = known_presets(atlas.manifest.configuration).values()
    blocks = {block.name: block for preset in presets for block in preset.blocks}
    return [block for block in blocks.values() if not _lacking(atlas, block)]


def block_named(atlas: AtlasFolder, name: str) -> Block:
    """Return a block of the presets by its name, with the ridge of its stored clouds.

    Raises:
        InputError: if no preset of this atlas has such a block.
    """
    presets = known_presets(atlas.manifest.configuration).values()
    blocks = {block.name: block for preset in presets for block in preset.blocks}
    if name not in blocks:
        raise InputError(f"block {name!r:.80} is not known; {did_you_mean(name, blocks)}")
    return replace(blocks[name], weight=1.0, ridge=RIDGE)


def fitted_block(atlas: AtlasFolder, block: Block) -> RecommendedEmbedding:
    """Return the fitted embedding of a block.

    Raises:
        AtlasError: if the atlas lacks features or probes, the stage `embed` has not run since they
            came, or a file is damaged.
    """
    from attention_motifs.embedding.recommended import RecommendedEmbedding

    if lacking := _lacking(atlas, block):
        raise AtlasError(f"{atlas.place}: {lacking}")
    file = atlas.file("block", block=block.name)
    return RecommendedEmbedding.load((atlas.file("block_settings", block=block.name), file))


def block_clouds(
    atlas: AtlasFolder, block: Block, models: Sequence[str] | None = None
) -> Float[np.ndarray, "stimuli heads features"]:
    """Return the head clouds in the space of a block, float32.

    Args:
        atlas: with its embedding.
        block: the block.
        models: names of models; default: all.

    Raises:
        AtlasError: as `fitted_block`.
    """
    fitted, n = fitted_block(atlas, block), n_stimuli(atlas, block.stimuli)
    if block.ridge == RIDGE:
        return atlas.clouds("block_clouds", models, n, block=block.name)
    # Model by model, so that the values of a model do not depend on the others.
    of_models = [
        fitted.with_ridge(atlas.clouds("block_clouds", [model], n, block=block.name), block.ridge)
        for model in (atlas.models if models is None else atlas.known_models(models))
    ]
    return np.concatenate(of_models, axis=1)


def require(atlas: AtlasFolder, metric: str) -> None:
    """Refuse a preset of which the atlas lacks a block.

    Raises:
        InputError: if the metric is not known.
        AtlasError: naming what is missing, and the command that adds it.
    """
    if lacking := lacks(atlas, metric):
        raise AtlasError(f"{atlas.place}: {lacking}")


def lacks(atlas: AtlasFolder, metric: str) -> str:
    """Return what the atlas lacks for a metric and how to add it; empty if it lacks nothing.

    Raises:
        InputError: if the metric is not known.
    """
    preset = preset_of(atlas, metric)
    missing = [_lacking(atlas, block, metric) for block in (preset.blocks if preset else ())]
    return next(filter(None, missing), "")


def _lacking(atlas: AtlasFolder, block: Block, metric: str = "") -> str:
    """Return what the atlas lacks to make a block, with the command that adds it."""
    paths, needs = atlas.paths, f"the metric {metric!r}" if metric else f"the block {block.name!r}"
    if block.features not in atlas.manifest.configuration.feature_sets:
        extract = paths.extract_command(sets=(block.features,))
        return (
            f"has no features of the set {block.features!r}, which {needs} needs; "
            f"run {extract}, then {paths.command('embed')}"
        )
    if block.stimuli == "prompts" or atlas.has_probes():
        return ""
    if atlas.manifest.configuration.prompts == IMPORTED:
        return (
            f"has no probes, which {needs} needs: its patterns were imported, and there are no "
            "models to run; use --metric natural"
        )
    return f"has no probes, which {needs} needs; run {paths.command('probe')}"


@dataclass(frozen=True)
class DescribedMetric:
    """A metric or preset, as one atlas has it."""

    name: str
    description: str
    """In what heads at a small distance are similar."""
    blocks: dict[str, float]
    """Share of each block of a preset; empty for a metric on the paper's embedding."""
    is_stored: bool
    """Whether the distances are stored; otherwise they are computed when they are asked for."""
    lacks: str
    """What the atlas lacks for it, and the command that adds it; empty if it lacks nothing."""


def described_metrics(atlas: AtlasFolder) -> list[DescribedMetric]:
    """Return all metrics and presets, those first that find heads of one behaviour best."""
    presets = known_presets(atlas.manifest.configuration)
    names = [name for name in metric_names() if get_metric(name).space == "embedding"]
    names = list(dict.fromkeys([*(n for n in BEST_METRICS if n in presets), *presets, *names]))
    stored = {*atlas.metrics(), *atlas.neighbour_metrics()}
    described = []
    for name in names:
        preset = presets.get(name)
        description = preset.description if preset else get_metric(name).description
        shares = zip(preset.blocks, preset.shares, strict=True) if preset else ()
        blocks = {block.name: share for block, share in shares}
        described.append(
            DescribedMetric(name, description, blocks, name in stored, lacks(atlas, name))
        )
    return described
