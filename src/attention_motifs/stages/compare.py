"""The stage `compare`: measurements of an atlas for each claim of the paper; nothing is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.head_distances import stored_distances_of
from attention_motifs.embedding import PatternEmbedding
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.features import feature_names
from attention_motifs.progress import Report, silent
from attention_motifs.reports.comparison_measures import (
    depth_contrast,
    head_silhouette,
    model_overlap,
    pattern_difference,
    variance_shares,
)
from attention_motifs.stages.embed import fit_embedding
from attention_motifs.stages.evaluate import computed_head_classes, literature_classes
from attention_motifs.stages.evaluation_sample import MAX_HEADS, ModelSample, draw_models
from attention_motifs.store.packed_patterns import unpack_triangle

if TYPE_CHECKING:
    import polars as pl
    from jaxtyping import Float

    from attention_motifs.evaluation import HeadClass, HeadPositions

COUNTS = (3, 10, 16)
"""Numbers of components whose share of variance the paper states (section 2.3)."""

# Prefix of the features with the matrix product of the paper's text, and of those with the product
# of its public code; the cosines `log.gram.skew` are the same in both.
_SKEW, _SKEW_COL = r"^gram\.skew\.", "gram.skew_col."
_STEPS = 6
_SAMPLED_HEADS, _SAMPLED_PROMPTS, _NEAREST = 24, 4, 5
_PAIRS = 200_000
"""Largest number of pairs of heads, drawn at random, to correlate two metrics over."""


def measure(
    atlas: Atlas, name: str | None = None, seed: int = 0, report: Report = silent
) -> dict[str, Any]:
    """Measure every claim of the paper that this atlas can answer.

    Of an atlas of more than 2,000 heads, models are drawn at random; `settings` says how many.

    Args:
        atlas: with distances by `mean`. The feature set `skew_col` adds the results of the other
            Gram matrix, and behaviour scores (`motifs score`) add classes.
        name: of the atlas in tables; default: that of its folder.
        seed: of draws and permutations.
        report: shows progress.

    Returns:
        A JSON object, described in docs/method.md; None where the atlas has no answer.

    Raises:
        AtlasError: if the stages `embed` or `distances` have not run, or a file is damaged.
    """
    from attention_motifs.distances import head_distances
    from attention_motifs.evaluation import HeadPositions

    if not isinstance(atlas, Atlas):
        raise InputError(f"atlas={atlas!r:.80}: expected an Atlas. Open one with Atlas.open(PATH)")
    sample = draw_models(atlas, seed, MAX_HEADS)
    chosen = atlas.heads["model"].is_in(sample.models)
    heads, rows = atlas.heads.filter(chosen), np.flatnonzero(chosen.to_numpy())
    positions = HeadPositions.of(heads["model"].to_list(), heads["layer"].to_list())
    stored = stored_distances_of(atlas, "mean")
    distances = {"mean": np.asarray(stored.among(rows), dtype=np.float64)}
    clouds = atlas.embedded(list(sample.models))
    with report("compare with the paper", _STEPS) as advance:
        variance, other_clouds = _variance(atlas, sample.models)
        advance(1)
        distances["cosine"] = head_distances(clouds, metric="cosine")
        if other_clouds is not None:
            distances["mean, S(A)^T S(A)"] = head_distances(other_clouds, metric="mean")
        advance(1)
        overlap = None
        if len(sample.models) > 1:
            overlap = asdict(model_overlap(clouds, list(positions.model), seed))
        advance(1)
        regions = _regions(clouds, positions, seed)
        likeness = _likeness(atlas, sample.models, distances["mean"], seed)
        advance(1)
        classes, too_few = _classes(atlas, heads, distances, positions, seed)
        advance(1)
        layers = _layers(distances["mean"], positions, seed)
        advance(1)
    return {
        "name": name or atlas.path.resolve().name,
        "settings": _settings(atlas, sample),
        "variance": variance,
        "overlap": overlap,
        "regions": regions,
        "likeness": likeness,
        "classes": classes,
        "too_few": too_few,
        "layers": layers,
        "metrics": _agreement(distances, seed),
        "carried": None,
    }


def compare(
    atlases: Sequence[Atlas], seed: int = 0, report: Report = silent
) -> list[dict[str, Any]]:
    """Measure several atlases, and how well each later one agrees with the first.

    Raises:
        AtlasError: as `measure`.
    """
    if not isinstance(atlases, Sequence):
        raise InputError(f"atlases={atlases!r:.80}: expected a list of atlases")
    measurements = [measure(atlas, seed=seed, report=report) for atlas in atlases]
    for atlas, measured in zip(atlases[1:], measurements[1:], strict=True):
        measured["carried"] = carried_over(atlases[0], atlas)
    return measurements


def carried_over(first: Atlas, other: Atlas) -> float | None:
    """Identify heads by their patterns in another atlas, of other lengths or texts.

    The patterns of the other atlas are placed in the embedding of the first, and each is assigned
    to the head with the nearest centroid.

    Args:
        first: the atlas whose embedding and centroids are used.
        other: the atlas whose patterns are assigned.

    Returns:
        Share of patterns assigned to the right head, over models that both atlases hold with the
        same weights; None if there are none, or the other atlas lacks the features.
    """
    names = list(first.embedding().feature_names)
    shared = [m for m in first.models if m in other.models and _same_weights(first, other, m)]
    if not shared or not set(names) <= set(
        feature_names(list(other.manifest.configuration.feature_sets))
    ):
        return None
    centroids = first.embedded(shared).mean(axis=0, dtype=np.float64)
    clouds = _clouds(other, first.embedding(), shared).astype(np.float64)
    square = (centroids**2).sum(axis=1)
    right = [
        (square - 2 * points @ centroids.T).argmin(axis=1) == np.arange(len(centroids))
        for points in clouds
    ]
    return float(np.mean(right))


def _same_weights(first: Atlas, other: Atlas, model: str) -> bool:
    mine, its = (a.manifest.models[model].weights_sha256 for a in (first, other))
    return mine is not None and mine == its


def _settings(atlas: Atlas, sample: ModelSample) -> dict[str, Any]:
    configuration = atlas.manifest.configuration
    lengths = [len(ids) for m in atlas.models for ids in atlas.tokens(m)["token_ids"].to_list()]
    embedding = atlas.embedding()
    n_prompts = int(atlas.manifest.prompts["n"])
    return {
        "package_version": atlas.manifest.package_version,
        "models": [
            {
                "name": name,
                "layers": info.n_layers,
                "heads": info.n_heads,
                "bos": bool(info.bos),
                "weights_sha256": info.weights_sha256,
            }
            for name, info in atlas.manifest.models.items()
        ],
        "prompts": Path(configuration.prompts).name,
        "prompts_sha256": atlas.manifest.prompts["sha256"],
        "n_prompts": n_prompts,
        "seed": configuration.seed,
        "tokens": [min(lengths), int(np.median(lengths)), max(lengths)],
        "bos": configuration.bos,
        "n_heads": len(atlas.heads),
        "drawn": None
        if sample.is_whole
        else {"models": list(sample.models), "n_heads": sample.n_heads, "seed": sample.seed},
        "n_patterns": n_prompts * len(atlas.heads),
        "feature_set": configuration.feature_sets[0],
        "columns": len(embedding.feature_names),
        "columns_kept": len(embedding.kept),
        "n_components": embedding.n_components,
    }


def _variance(
    atlas: Atlas, models: Sequence[str]
) -> tuple[list[dict[str, Any]], Float[np.ndarray, "prompts heads components"] | None]:
    """Return shares of variance under several choices, and clouds with the other Gram matrix.

    Args:
        atlas: the atlas.
        models: models that are embedded alone, and whose clouds are returned.
    """
    embedding = atlas.embedding()
    names = list(embedding.feature_names)
    variances = embedding.explained_variance
    shares = [_choice("as embedded", variances)]
    if n_constant := len(names) - len(variances):
        noise = np.concatenate([variances, np.ones(n_constant)])
        shares.append(_choice("constant columns kept, as rounding noise of variance 1", noise))
    fitted_models = [model for model, info in atlas.manifest.models.items() if not info.added]
    other_names = [re.sub(_SKEW, _SKEW_COL, name) for name in names]
    clouds = None
    if other_names != names and "skew_col" in atlas.manifest.configuration.feature_sets:
        fitted = fit_embedding(atlas, fitted_models, other_names)
        shares.append(_choice("S(A)^T S(A) for S(A) S(A)^T", fitted.explained_variance))
        clouds = _clouds(atlas, fitted, models)
    if len(fitted_models) > 1:
        shares += [
            _choice(f"{model} alone", fit_embedding(atlas, [model], names).explained_variance)
            for model in fitted_models
            if model in models
        ]
    return shares, clouds


def _choice(name: str, variances: Float[np.ndarray, " components"]) -> dict[str, Any]:
    shares = variance_shares(variances, COUNTS)
    return {
        "choice": name,
        "columns": len(variances),
        **{str(k): share for k, share in zip(COUNTS, shares, strict=True)},
    }


def _clouds(
    atlas: Atlas, fitted: PatternEmbedding, models: Sequence[str]
) -> Float[np.ndarray, "prompts heads components"]:
    """Return the head clouds in another embedding than the saved one."""
    names = list(fitted.feature_names)
    n_prompts = int(atlas.manifest.prompts["n"])
    clouds = []
    for model in models:
        rows = [
            fitted.transform(part.select(names).to_numpy(), part["n_tokens"].to_numpy())
            for part in atlas.feature_parts(model, names)
        ]
        clouds.append(np.concatenate(rows).reshape(n_prompts, -1, fitted.n_components))
    return np.concatenate(clouds, axis=1)


def _regions(
    clouds: Float[np.ndarray, "prompts heads components"], heads: HeadPositions, seed: int
) -> dict[str, Any] | None:
    """Measure whether each head's patterns form a region; None with a single prompt."""
    from attention_motifs.evaluation import identification
    from attention_motifs.evaluation import variance_shares as shares_of

    if len(clouds) < 2:
        return None
    # The last row is that of all models, or of the only one.
    named, shares = identification(clouds, heads)[-1], shares_of(clouds, heads)[-1]
    return {
        "top_1": named.top_1,
        "top_5": named.top_5,
        "chance": 1 / named.n_heads,
        "silhouette": head_silhouette(clouds, seed=seed),
        "head_share": shares.head,
    }


def _likeness(
    atlas: Atlas, models: Sequence[str], distances: Float[np.ndarray, "heads heads"], seed: int
) -> dict[str, Any] | None:
    """Compare how patterns differ from those of the nearest heads and from those of all heads."""
    prompts = atlas.view_prompts()[:_SAMPLED_PROMPTS]
    n_heads = len(distances)
    if not prompts or n_heads <= _NEAREST:
        return None
    rng = np.random.default_rng(seed)
    sampled = np.sort(rng.permutation(n_heads)[:_SAMPLED_HEADS])
    ranked = distances + np.diag(np.full(n_heads, np.inf))
    nearest, every = [], []
    for prompt in prompts:
        try:
            patterns = _patterns(atlas, models, prompt)
        except ValueError:  # the tokenizers of the models give different numbers of tokens
            continue
        for head in sampled:
            difference = pattern_difference(patterns[head], patterns)
            nearest.append(difference[np.argsort(ranked[head], kind="stable")[:_NEAREST]].mean())
            every.append(np.delete(difference, head).mean())
    if not nearest:
        return None
    return {
        "nearest": float(np.mean(nearest)),
        "all": float(np.mean(every)),
        "n_nearest": _NEAREST,
        "n_heads": len(sampled),
        "n_prompts": len(nearest) // len(sampled),
    }


def _patterns(atlas: Atlas, models: Sequence[str], prompt: str) -> Float[np.ndarray, "heads n n"]:
    """Patterns of the heads of some models on a prompt, in the order of the heads table.

    Raises:
        ValueError: if they differ in size between models.
    """
    of_model = []
    for model in models:
        packed = atlas.triangles(model, prompt)
        of_model.append(unpack_triangle(packed.reshape(-1, packed.shape[-1])))
    return np.concatenate(of_model)


def _classes(
    atlas: Atlas,
    heads: pl.DataFrame,
    distances: dict[str, Float[np.ndarray, "heads heads"]],
    positions: HeadPositions,
    seed: int,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the recovery of every class by every metric, within models, with its null."""
    from attention_motifs.evaluation import class_recovery

    known = [*literature_classes(heads), *_groups(atlas, heads), *computed_head_classes(heads)]
    rows, small = [], []
    for metric, matrix in distances.items():
        recovered, too_few = class_recovery(matrix, known, positions, seed=seed)
        rows += [
            {
                "metric": metric,
                "model": row.model,
                "name": row.name,
                "kind": row.kind,
                "n_heads": row.n_heads,
                "auroc": row.auroc.value,
                "auroc_null": row.auroc.null_mean,
                "auroc_p": row.auroc.p,
                "map": row.average_precision.value,
                "map_null": row.average_precision.null_mean,
                "map_null_95": row.average_precision.null_95,
                "p": row.average_precision.p,
                "p_floor": row.p_floor,
            }
            for row in recovered
            if row.model in atlas.models
        ]
        small = [
            {"model": row.model, "name": row.name, "n_heads": row.n_heads, "needed": row.needed}
            for row in too_few
            if row.model in atlas.models and row.n_heads
        ]
    return rows, small


def _groups(atlas: Atlas, heads: pl.DataFrame) -> list[HeadClass]:
    """Return groups of several classes of the literature, such as all kinds of name movers."""
    from attention_motifs.evaluation import HeadClass
    from attention_motifs.literature.records import load_known_heads

    known = load_known_heads(atlas.paths.own_classes).classes
    listed: list[list[str]] = heads["classes"].to_list()
    names_here = {name for of_head in listed for name in of_head if name in known}
    groups = []
    for group in sorted({known[name].group for name in names_here}):
        names = {name for name in names_here if known[name].group == group}
        if len(names) > 1:
            members = np.array([bool(names & set(of_head)) for of_head in listed])
            groups.append(HeadClass(f"{group}, all varieties", "literature", members))
    return groups


def _layers(
    distances: Float[np.ndarray, "heads heads"], positions: HeadPositions, seed: int
) -> list[dict[str, Any]]:
    contrasts = []
    for model in positions.models:
        rows = positions.heads_of(model)
        block = distances[np.ix_(rows, rows)]
        contrast = depth_contrast(block, positions.layers[rows], model, seed=seed)
        if contrast is not None:
            contrasts.append(asdict(contrast))
    return contrasts


def _agreement(
    distances: dict[str, Float[np.ndarray, "heads heads"]], seed: int
) -> list[dict[str, Any]]:
    """Return the rank correlation of the other metrics with Eq. 3 over pairs of heads."""
    from scipy.stats import spearmanr

    first, second = np.triu_indices(len(distances["mean"]), k=1)
    if len(first) < 3:
        raise AtlasError("a comparison needs at least three heads")
    drawn = np.random.default_rng(seed).permutation(len(first))[:_PAIRS]
    base = distances["mean"][first[drawn], second[drawn]]
    rows = []
    for name, matrix in distances.items():
        if name != "mean":
            value = float(spearmanr(base, matrix[first[drawn], second[drawn]]).statistic)
            rows.append({"metric": name, "spearman": value if np.isfinite(value) else None})
    return rows
