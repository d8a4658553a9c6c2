"""Queries of an atlas: the nearest heads of a head, and its unusual features."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from numbers import Integral
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from attention_motifs.atlas.head_distances import AllPairs, Nearest, head_distances_of
from attention_motifs.atlas.nearness import Nearness, nearness
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.literature.behaviours import class_text, measured_classes

if TYPE_CHECKING:
    import polars as pl
    from jaxtyping import Bool, Float, Int

    from attention_motifs.atlas.folder import AtlasFolder
    from attention_motifs.head import HeadId

Scope = Literal["all", "within", "across"]


@dataclass(frozen=True)
class NearHead:
    """A neighbour of a head."""

    head: str
    distance: float
    rank: int
    """Rank among all other heads of the atlas, 1 for the nearest; filters do not change it."""
    model: str
    layer: int
    index: int
    classes: tuple[str, ...]
    """Classes in the literature."""
    percentile: float | None
    """Percentile of the distance among pairs of these two layers, 0 to 100; 50 is typical."""
    p: float | None
    """Probability that the k-th nearest of the heads that pass the filters is at least as near if
    distances are dealt at random within every pair of layers (k-th farthest with `farthest`).
    This and `percentile` are None if the atlas does not store the distances of all pairs."""
    measured: dict[str, float] = field(default_factory=dict)
    """Computed classes with the head's behaviour scores, largest first; empty if not scored."""

    @property
    def class_text(self) -> str:
        """Classes of the literature, and measured ones with their scores, for a table."""
        return class_text(self.classes, self.measured)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return {**asdict(self), "classes": list(self.classes)}


@dataclass(frozen=True)
class FeatureOfHead:
    """A feature of a head, compared with all heads of the atlas."""

    feature: str
    mean: float
    """Mean over the prompts."""
    z: float
    """z-score of the mean among the means of all heads."""
    percentile: float
    """Share of heads with a smaller mean, 0 to 100."""


Layers = Collection[int] | range | slice
"""A set of layers, or a range of them; layers are counted from 0."""


def near(
    atlas: AtlasFolder,
    head: str | HeadId | Sequence[str | HeadId],
    n: int = 10,
    metric: str = "mean",
    *,
    scope: Scope = "all",
    models: str | Sequence[str] | None = None,
    layers: Layers | None = None,
    farthest: bool = False,
    without: str | HeadId | Sequence[str | HeadId] = (),
    without_models: str | Sequence[str] = (),
) -> list[NearHead]:
    """Return the nearest heads of a head, nearest first; or those nearest to several heads.

    Args:
        atlas: with its embedding.
        head: the head, in any spelling; or several, of which the mean distance counts.
        n: number of neighbours; there are fewer if the filters leave fewer.
        metric: name of a metric; `mean` is the paper's Eq. 3. A metric that the atlas does not
            store is computed for this head. In an atlas that stores the nearest heads only, ranks
            are those among the candidates of an index (docs/scale.md).
        scope: `within` the head's model, `across` to other models, or `all`.
        models: only heads of this model or these models.
        layers: only heads of these layers: `[2, 7, 9]` are three layers, `range(2, 10)` and
            `slice(2, 10)` are the layers 2 to 9, `slice(2, None)` those from 2 on.
        farthest: return the most distant heads instead, most distant first.
        without: heads that are not returned.
        without_models: models whose heads are not returned, such as a fine-tune of the same model.

    Raises:
        InputError: if a value has another type, a model or metric is not known, or n < 1.
        HeadNotFoundError: if the atlas does not hold the head.
        AtlasError: if the embedding is missing, or a file is damaged.
    """
    if isinstance(n, bool) or not isinstance(n, Integral) or n < 1:
        raise InputError(f"-n {n!r}: give a whole number, 1 or more")
    queries = _rows(atlas, head)
    if not queries:
        raise InputError("no head is named; name one at least, such as gpt2-small:L5:H1")
    mask = _filter(atlas, queries, scope, models, layers)
    mask[_rows(atlas, without)] = False
    if without_models:
        mask &= ~np.isin(atlas.heads["model"].to_numpy(), atlas.known_models(without_models))
    distances = head_distances_of(atlas, metric)
    if len(queries) == 1:
        nearest = distances.nearest(queries[0], int(n), mask, farthest=farthest)
    else:
        nearest = distances.nearest_to_all(queries, int(n), mask, farthest=farthest)
    compared = Nearness([None] * len(nearest.heads), [None] * len(nearest.heads))
    if isinstance(distances, AllPairs) and len(nearest.heads) and len(queries) == 1:
        compared = _compared(atlas, distances, queries[0], mask, nearest, farthest=farthest)
    rows = atlas.heads[nearest.heads.tolist()].iter_rows(named=True)
    return [
        NearHead(
            head=row["head"],
            distance=float(distance),
            rank=int(rank),
            model=row["model"],
            layer=row["layer"],
            index=row["index"],
            classes=tuple(row["classes"]),
            percentile=percentile,
            p=p,
            measured=measured_classes(row),
        )
        for row, distance, rank, percentile, p in zip(
            rows, nearest.distances, nearest.ranks, compared.percentile, compared.p, strict=True
        )
    ]


def _compared(
    atlas: AtlasFolder,
    distances: AllPairs,
    query: int,
    mask: Bool[np.ndarray, " heads"],
    nearest: Nearest,
    *,
    farthest: bool,
) -> Nearness:
    """Compare the nearest heads with the pairs of the same layers."""
    model_and_layer = atlas.heads.select("model", "layer").to_numpy()
    layer = np.unique(model_and_layer.astype(str), axis=0, return_inverse=True)[1].reshape(-1)
    mates = np.flatnonzero(layer == layer[query])
    return nearness(
        distances.rows(mates), query, mates, layer, mask, nearest.heads, farthest=farthest
    )


def _rows(atlas: AtlasFolder, heads: str | HeadId | Sequence[str | HeadId]) -> list[int]:
    """Return the rows of a head, or of several without repetition, in `Atlas.heads`."""
    if isinstance(heads, Sequence) and not isinstance(heads, str):
        return list(dict.fromkeys(atlas.head_index(head) for head in heads))
    return [atlas.head_index(heads)]


def _filter(
    atlas: AtlasFolder,
    queries: Sequence[int],
    scope: str,
    models: str | Sequence[str] | None,
    layers: Layers | None,
) -> Bool[np.ndarray, " heads"]:
    model_of = atlas.heads["model"].to_numpy()
    layer_of = atlas.heads["layer"].to_numpy()
    mask = np.ones(len(model_of), dtype=bool)
    of_queries = np.isin(model_of, model_of[list(queries)])
    if scope == "within":
        mask &= of_queries
    elif scope == "across":
        mask &= ~of_queries
    elif scope != "all":
        raise InputError(f"--scope {scope!r}: choose all, within or across")
    if models is not None:
        mask &= np.isin(model_of, atlas.known_models(models))
    if layers is not None:
        mask &= np.isin(layer_of, _numbers(layers, int(layer_of.max()) + 1))
    return mask


def _numbers(layers: Layers, n_layers: int) -> list[int]:
    """Return the layers that are meant, of an atlas whose deepest model has `n_layers`."""
    if isinstance(layers, slice):
        with contextlib.suppress(TypeError, ValueError):
            return list(range(n_layers)[layers])
    elif isinstance(layers, Collection) and not isinstance(layers, str | bytes | dict):
        numbers = list(layers)
        if all(isinstance(i, Integral) and not isinstance(i, bool) for i in numbers):
            return [int(i) for i in numbers]
    raise InputError(
        f"layers {layers!r:.80}: give a list of layers, such as [2, 7, 9], or a range, such as "
        "range(2, 10)"
    )


def why_nothing_is_near(
    atlas: AtlasFolder,
    head: str | HeadId | Sequence[str | HeadId],
    *,
    scope: str = "all",
    models: str | Sequence[str] | None = None,
    layers: Layers | None = None,
) -> str:
    """Return one line on why `near` with these filters returns no head.

    Args:
        atlas: the atlas.
        head: the head or heads.
        scope: as for `near`.
        models: as for `near`.
        layers: as for `near`.

    Raises:
        InputError: as `near`.
    """
    queries = _rows(atlas, head)
    mask = _filter(atlas, queries, scope, models, None)
    mask[queries] = False
    table = atlas.heads.filter(mask)
    if table.is_empty():
        return f"no other head passes the filters; the atlas holds {', '.join(atlas.models)}"
    if layers is None:
        return "the distances to all other heads are infinite"
    held = []
    for name in atlas.models:
        layer_of = table.filter(table["model"] == name)["layer"].to_list()
        if layer_of:
            held.append(f"{name} has layers {min(layer_of)} to {max(layer_of)}")
    return f"no other head is in these layers: {', '.join(held)}"


def unusual_features(atlas: AtlasFolder, head: str | HeadId, n: int = 10) -> list[FeatureOfHead]:
    """Return the features in which a head differs most from all heads, largest |z| first.

    Args:
        atlas: with its embedding.
        head: the head, in any spelling.
        n: number of features.

    Raises:
        HeadNotFoundError: if the atlas does not hold the head.
        AtlasError: if a part of the features is missing or damaged.
    """
    query = atlas.head_index(head)
    names = atlas.embedding().feature_names
    means = head_feature_means(atlas, names)
    spread = means.std(axis=0)
    z = np.divide(
        means[query] - means.mean(axis=0), spread, out=np.zeros(len(names)), where=spread > 1e-12
    )
    smaller = (means < means[query]).mean(axis=0) * 100.0
    order = np.argsort(-np.abs(z), kind="stable")[:n]
    return [
        FeatureOfHead(names[i], float(means[query, i]), float(z[i]), float(smaller[i]))
        for i in order
    ]


def head_feature_means(
    atlas: AtlasFolder, names: Sequence[str]
) -> Float[np.ndarray, "heads features"]:
    """Return the mean of each feature over the prompts, per head, in the order of `atlas.heads`.

    Values that are not finite are left out; a feature that is never finite for a head gives 0.

    Args:
        atlas: with the features of all models.
        names: features.
    """
    per_model = []
    for model in atlas.models:
        info = atlas.manifest.models[model]
        n_heads = info.n_all_heads
        total, count = np.zeros((2, n_heads, len(names)))
        for part in atlas.feature_parts(model, names):
            values = by_prompt(atlas, model, part, names)[0].astype(np.float64)
            total += np.nansum(np.where(np.isfinite(values), values, np.nan), axis=0)
            count += np.isfinite(values).sum(axis=0)
        per_model.append(total / np.maximum(count, 1))
    return np.concatenate(per_model)


def by_prompt(
    atlas: AtlasFolder, model: str, part: pl.DataFrame, columns: Sequence[str]
) -> tuple[Float[np.ndarray, "prompts heads columns"], Int[np.ndarray, " prompts"]]:
    """Return the features of a part by prompt and head, and the number of tokens per prompt.

    Raises:
        AtlasError: if the part does not hold every head on every prompt.
    """
    info = atlas.manifest.models[model]
    n_heads = info.n_all_heads
    if len(part) % n_heads:
        raise AtlasError(
            f"{atlas.place}: a part of the features of {model} has {len(part)} rows, which is no "
            f"multiple of its {n_heads} heads. Find the file with {atlas.paths.command('check')}"
        )
    values = part.select(columns).to_numpy().reshape(-1, n_heads, len(columns))
    return values, part["n_tokens"].to_numpy()[::n_heads]
