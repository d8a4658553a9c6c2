"""Distances, resamples and transfers of each metric of an atlas, for the evaluation."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.blocks import block_clouds, clouds_of, pattern_clouds, preset_of
from attention_motifs.atlas.head_distances import stored_distances_of
from attention_motifs.atlas.queries import by_prompt
from attention_motifs.embedding.recommended import RecommendedEmbedding
from attention_motifs.evaluation.resampling import Form, ResampledDistances, StimulusBlock
from attention_motifs.features import feature_names
from attention_motifs.stages.embed import fit_embedding
from attention_motifs.stages.parts import distinct_prompts
from attention_motifs.store.presets import Block

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from attention_motifs.atlas.blocks import MetricClouds
    from attention_motifs.evaluation import MetricDistances, Transferred
    from attention_motifs.store.presets import Stimuli

_ALL_PAIRS_OF_MODELS = 3
"""Models up to which every one is fitted on and every other tested; above, only the first is
fitted on."""

PROMPTS: Stimuli = "prompts"

_FORMS: dict[str, Form] = {"mean": "mean distance", "cosine": "cosine of means"}
"""Metrics on the paper's embedding that are sums over prompts."""


def metric_distances(
    atlas: Atlas, metric: str, *, transfer: bool = True, models: Sequence[str] | None = None
) -> MetricDistances:
    """Return the distances of a metric, with its clouds and what resamples it.

    Prompts that repeat an earlier one are left out of resamples and halves.

    Args:
        atlas: with distances by the metric.
        metric: its name.
        transfer: whether to fit the space of the metric on one model at a time, too.
        models: names of the models whose heads are compared, in the order of the atlas; default:
            all.

    Raises:
        AtlasError: if distances were not computed.
    """
    from attention_motifs.evaluation import MetricDistances

    names = atlas.models if models is None else list(models)
    distinct = distinct_prompts(atlas, names)
    preset = preset_of(atlas, metric)
    clouds = (
        [(Block(), atlas.embedded(names))]
        if preset is None
        else [(block, block_clouds(atlas, block, names)) for block in preset.blocks]
    )
    patterns = pattern_clouds(atlas, metric, names)
    rows = np.flatnonzero(np.isin(atlas.heads["model"].to_numpy(), names))
    return MetricDistances(
        np.asarray(stored_distances_of(atlas, metric).among(rows), dtype=np.float64),
        _resampled(atlas, metric, clouds, distinct),
        _transferred(atlas, metric, distinct, names) if transfer and len(names) > 1 else (),
        None if patterns is None else patterns[distinct],
        _distances_on(clouds_of(atlas, metric, names), distinct, metric),
        len(distinct),
    )


def _resampled(
    atlas: Atlas,
    metric: str,
    clouds: Sequence[tuple[Block, Float[np.ndarray, "stimuli heads components"]]],
    distinct: Int[np.ndarray, " prompts"],
) -> ResampledDistances | None:
    """Return the distances as a function of resampled stimuli; None if they are no sum."""
    form = "cosine of clouds" if preset_of(atlas, metric) else _FORMS.get(metric)
    if form is None:
        return None
    sources = atlas.prompts["source"].to_list()
    return ResampledDistances.of(
        form,
        [
            StimulusBlock(PROMPTS, points[distinct], [sources[i] for i in distinct], block.weight)
            if block.stimuli == PROMPTS
            else StimulusBlock(block.stimuli, points, None, block.weight)
            for block, points in clouds
        ],
    )


def _distances_on(
    clouds: MetricClouds, distinct: Int[np.ndarray, " prompts"], metric: str
) -> Callable[[Int[np.ndarray, " some"]], Float[np.ndarray, "heads heads"]]:
    from attention_motifs.distances import head_distances

    def recompute(prompts: Int[np.ndarray, " some"]) -> Float[np.ndarray, "heads heads"]:
        return head_distances(clouds.on(distinct[prompts]), metric=metric)

    return recompute


def _transferred(
    atlas: Atlas, metric: str, distinct: Int[np.ndarray, " prompts"], names: Sequence[str]
) -> list[Transferred]:
    """Fit the space of a metric on one model, and compute the distances within another."""
    from attention_motifs.distances import head_distances
    from attention_motifs.evaluation import Transferred

    pairs = list(itertools.permutations(names, 2))
    if len(names) > _ALL_PAIRS_OF_MODELS:
        pairs = [(names[0], model) for model in names[1:]]
    moved = []
    for fitted_on, of_pairs in itertools.groupby(pairs, key=lambda pair: pair[0]):
        models = [model for _, model in of_pairs]
        for model, clouds in zip(models, _placed(atlas, metric, fitted_on, models), strict=True):
            resampled = _resampled(atlas, metric, clouds, distinct)
            distances = (
                head_distances(clouds[0][1][distinct], metric=metric)
                if resampled is None
                else resampled()
            )
            values = np.asarray(distances, np.float64)
            moved.append(Transferred(fitted_on, model, values, resampled))
    return moved


def _placed(
    atlas: Atlas, metric: str, fitted_on: str, models: Sequence[str]
) -> list[list[tuple[Block, Float[np.ndarray, "stimuli heads components"]]]]:
    """Return the clouds of some models in the space of a metric fitted on one model."""
    preset = preset_of(atlas, metric)
    if preset is None:
        embedding = fit_embedding(atlas, [fitted_on])
        placed = []
        for model in models:
            values, n_tokens = _features(atlas, model, embedding.feature_names, PROMPTS)
            rows = embedding.transform(
                values.reshape(-1, values.shape[2]), np.repeat(n_tokens, values.shape[1])
            )
            placed.append([(Block(), rows.reshape(*values.shape[:2], -1))])
        return placed
    of_models: list[list[tuple[Block, np.ndarray]]] = [[] for _ in models]
    for block in preset.blocks:
        names = feature_names(block.features)
        fitted = RecommendedEmbedding.fit(*_features(atlas, fitted_on, names, block.stimuli), names)
        for model, clouds in zip(models, of_models, strict=True):
            stored = fitted.place(*_features(atlas, model, names, block.stimuli))
            clouds.append((block, fitted.with_ridge(stored, block.ridge)))
    return of_models


def _features(
    atlas: Atlas, model: str, names: Sequence[str], stimuli: Stimuli
) -> tuple[Float[np.ndarray, "stimuli heads features"], Int[np.ndarray, " stimuli"]]:
    columns = list(names)
    parts = [
        by_prompt(atlas, model, part, columns)
        for part in atlas.feature_parts(model, columns, stimuli=stimuli)
    ]
    features, lengths = zip(*parts, strict=True)
    return np.concatenate(features), np.concatenate(lengths)
