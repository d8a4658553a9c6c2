"""Queries by example: the heads whose patterns are nearest to given patterns of one head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas.identify import checked_patterns, fit_identifier, identifying_features
from attention_motifs.atlas.queries import NearHead
from attention_motifs.errors import InputError
from attention_motifs.features import compute_features
from attention_motifs.features.arguments import whole_number
from attention_motifs.literature.behaviours import measured_classes

if TYPE_CHECKING:
    from jaxtyping import Float

    from attention_motifs.atlas.folder import AtlasFolder

IDENTIFICATION = "identification"
"""Name of the distance of patterns on any prompts: to the centroid of each head, see `identify`."""


def near_patterns(
    atlas: AtlasFolder,
    patterns: Any,
    n: int = 10,
    metric: str | None = None,
    *,
    tokens: Sequence[Sequence[str]] | None = None,
    models: str | Sequence[str] | None = None,
    without_models: str | Sequence[str] = (),
) -> list[NearHead]:
    """Return the heads of an atlas that are nearest to patterns of one head, nearest first.

    Args:
        atlas: with its features; with its embedding for a metric.
        patterns: (B, n_tokens, n_tokens), or a sequence of (n_tokens, n_tokens) of any lengths:
            attention weights after the softmax, rows are queries.
        n: number of heads to return; there are fewer if the filters leave fewer.
        metric: a metric of the paper's embedding, such as `mean` (Eq. 3): the patterns are then
            those of the head on all prompts of the atlas, in their order. Default: the prompts may
            be any; the distance is that from the patterns to the centroid of each head in the
            space of `identify`, averaged over the patterns.
        tokens: texts of the tokens of each pattern; needed if the features of the atlas read them.
        models: only heads of this model or these models.
        without_models: models whose heads are not returned.

    Returns:
        The heads, with rank, distance and classes; without percentile and p.

    Raises:
        InputError: if the values are no attention patterns, the metric cannot be used, or a model
            is not in the atlas.
        AtlasError: if the atlas lacks the features or the embedding, or a part is damaged.
    """
    whole_number(n, "n", least=1)
    each = _each(patterns)
    if tokens is not None and len(tokens) != len(each):
        raise InputError(
            f"tokens are those of {len(tokens)} prompts, and there are {len(each)} patterns. "
            "Give one list of texts per pattern"
        )
    if metric is None:
        distances = _from_centroids(atlas, each, tokens)
    else:
        distances = _by_metric(atlas, each, metric, tokens)
    model_of = atlas.heads["model"].to_numpy()
    mask = np.isfinite(distances)
    if models is not None:
        mask &= np.isin(model_of, atlas.known_models(models))
    if without_models:
        mask &= ~np.isin(model_of, atlas.known_models(without_models))
    order = np.argsort(distances, kind="stable")
    places = np.flatnonzero(mask[order])[:n]
    return [
        NearHead(
            head=row["head"],
            distance=float(distances[order[place]]),
            rank=int(place) + 1,
            model=row["model"],
            layer=row["layer"],
            index=row["index"],
            classes=tuple(row["classes"]),
            percentile=None,
            p=None,
            measured=measured_classes(row),
        )
        for place in places.tolist()
        for row in [atlas.heads.row(int(order[place]), named=True)]
    ]


def _each(patterns: Any) -> list[Float[np.ndarray, "n n"]]:
    """Return the patterns as a list of float32 matrices.

    Raises:
        InputError: if there is none, or one of them is no attention pattern.
    """
    n_axes = len(getattr(patterns, "shape", ()))
    if n_axes > 3:
        raise InputError(
            f"patterns have {n_axes} axes, which are those of many heads. Give "
            "the patterns of one head: (prompts, tokens, tokens)"
        )
    if not n_axes and not isinstance(patterns, Sequence):
        raise InputError(f"patterns are a {type(patterns).__name__}. Give arrays (tokens, tokens)")
    listed = [patterns] if n_axes == 2 else list(patterns)
    if not listed:
        raise InputError("no pattern is given. Give one or more of shape (tokens, tokens)")
    return [checked_patterns(pattern)[0] for pattern in listed]


def _features(
    patterns: Sequence[Float[np.ndarray, "n n"]],
    names: Sequence[str],
    tokens: Sequence[Sequence[str]] | None,
) -> Float[np.ndarray, "patterns features"]:
    return np.stack(
        [
            compute_features(p, names, tokens=None if tokens is None else list(tokens[i]))
            for i, p in enumerate(patterns)
        ]
    )


def _from_centroids(
    atlas: AtlasFolder,
    patterns: Sequence[Float[np.ndarray, "n n"]],
    tokens: Sequence[Sequence[str]] | None,
) -> Float[np.ndarray, " heads"]:
    """Return the mean distance from the patterns to the centroid of each head."""
    columns = identifying_features(atlas)
    fitted = {len(p): fit_identifier(atlas, n_tokens=len(p)) for p in patterns}
    total = np.zeros(len(atlas.heads))
    for i, pattern in enumerate(patterns):
        identifier = fitted[len(pattern)]
        cut = np.ascontiguousarray(pattern[: identifier.longest, : identifier.longest])
        texts = None if tokens is None else [tokens[i][: len(cut)]]
        row = _features([cut], columns, texts)
        total += identifier.distances(row, len(cut))[0]
    return total / len(patterns)


def _by_metric(
    atlas: AtlasFolder,
    patterns: Sequence[Float[np.ndarray, "n n"]],
    metric: str,
    tokens: Sequence[Sequence[str]] | None,
) -> Float[np.ndarray, " heads"]:
    """Return the distances by a metric of the paper's embedding, on the prompts of the atlas."""
    from attention_motifs.distances import distances_from, get_metric, metric_names

    if get_metric(metric).space != "embedding":
        raise InputError(
            f"metric {metric!r} cannot compare given patterns: it is a preset, which needs more "
            f"than the patterns of one head. Choose one of {', '.join(metric_names('embedding'))}, "
            f"or leave it out"
        )
    n_prompts = int(atlas.manifest.prompts["n"])
    if len(patterns) != n_prompts:
        raise InputError(
            f"metric {metric!r} compares patterns on the {n_prompts} prompts of {atlas.place}, and "
            f"{len(patterns)} patterns are given. Give one per prompt, in the order of "
            f"{atlas.paths.command('prompts')}, or leave the metric out"
        )
    embedding = atlas.embedding()
    rows = _features(patterns, embedding.feature_names, tokens)
    cloud = embedding.transform(rows, np.array([len(p) for p in patterns]))
    clouds = np.concatenate([atlas.embedded(), cloud[:, None]], axis=1)
    return np.asarray(distances_from(clouds, len(atlas.heads), metric)[0, :-1], dtype=np.float64)
