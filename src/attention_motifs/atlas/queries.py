"""Questions to an atlas: which heads are near this one, and what is this head like?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from attention_motifs.distances.neighbour_files import read_nearest, rebuild_hint
from attention_motifs.errors import AtlasError, InputError

if TYPE_CHECKING:
    import polars as pl
    from jaxtyping import Bool, Float, Int

    from attention_motifs.atlas import Atlas
    from attention_motifs.head import HeadId

Scope = Literal["all", "within", "across"]


@dataclass(frozen=True)
class NearHead:
    """One neighbour of a head."""

    head: str
    distance: float
    rank: int
    """1 for the nearest of all other heads in the atlas, whatever the filters."""
    model: str
    layer: int
    index: int
    classes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {**asdict(self), "classes": list(self.classes)}


@dataclass(frozen=True)
class FeatureOfHead:
    """How one feature of a head compares with all heads of the atlas."""

    feature: str
    mean: float
    """Over the prompts."""
    z: float
    """Mean of the head less the mean of all heads, over the spread of the heads' means."""
    percentile: float
    """Share of heads with a smaller mean, 0 to 100."""


def near(
    atlas: Atlas,
    head: str | HeadId,
    n: int = 10,
    metric: str = "mean",
    *,
    scope: Scope = "all",
    models: Sequence[str] | None = None,
    layers: tuple[int, int] | None = None,
    farthest: bool = False,
) -> list[NearHead]:
    """Return the nearest heads of `head`, nearest first.

    Args:
        atlas: with its embedding.
        head: whose neighbours are asked for.
        n: how many; fewer are returned if the filters leave fewer.
        metric: `mean` is the paper's Eq. 3; a metric whose matrix the atlas does not hold is
            computed for this head alone. Of very many heads the ranks are those among the
            candidates of an index (docs/nearest.md).
        scope: `within` the head's model, `across` to other models, or `all`.
        models: only heads of these models.
        layers: only heads of these layers, first and last included.
        farthest: the most distant heads first instead.

    Raises:
        InputError: if the head or a model is not in the atlas, or n < 1.
        AtlasError: if the embedding is missing, or a file is damaged.
    """
    if n < 1:
        raise InputError(f"-n {n}: at least 1 is needed")
    query = atlas.head_index(head)
    wanted = _filter(atlas, query, scope, models, layers)
    order, distances = _ranked(atlas, query, metric, wanted, n, farthest=farthest)
    places = np.flatnonzero(wanted[order] & np.isfinite(distances))
    chosen = places[::-1][:n] if farthest else places[:n]
    table = atlas.heads
    found = []
    for place in chosen.tolist():
        record = table.row(int(order[place]), named=True)
        found.append(
            NearHead(
                head=record["head"],
                distance=float(distances[place]),
                rank=place + 1,
                model=record["model"],
                layer=record["layer"],
                index=record["index"],
                classes=tuple(record["classes"]),
            )
        )
    return found


def _ranked(
    atlas: Atlas,
    query: int,
    metric: str,
    wanted: Bool[np.ndarray, " heads"],
    n: int,
    *,
    farthest: bool,
) -> tuple[Int[np.ndarray, " some"], Float[np.ndarray, " some"]]:
    """Other heads, nearest first, and their distances: all of them, or enough of the nearest.

    Where only the nearest heads are kept, those are looked at; then the nearest among more
    candidates of the index; then all heads.
    """
    if metric in atlas.neighbour_metrics() and not farthest:
        order, distances = read_nearest(atlas, metric, query, len(atlas.heads))
        if wanted[order].sum() >= n:
            return order, distances
        order, distances = _from_index(atlas, query, metric)
        if wanted[order].sum() >= n:
            return order, distances
    row = distance_row(atlas, query, metric)
    order = np.lexsort((np.arange(len(row)), row))
    order = order[order != query]
    return order, row[order]


_MORE_CANDIDATES, _MORE_NEAREST = 4096, 1024
"""Heads taken from the index where those kept are too few, and how many of them are ranked."""


def _from_index(
    atlas: Atlas, query: int, metric: str
) -> tuple[Int[np.ndarray, " some"], Float[np.ndarray, " some"]]:
    from attention_motifs.distances import get_metric
    from attention_motifs.distances.index import HeadIndex
    from attention_motifs.distances.neighbours import nearest_neighbours

    index = HeadIndex.load(atlas.index_path(metric), rebuild_hint(atlas, metric))
    clouds = atlas.head_clouds(get_metric(metric).space)
    if index.n_heads != len(clouds):
        raise AtlasError(
            f"{atlas.index_path(metric)}: of {index.n_heads} heads, not {len(clouds)}; "
            f"{rebuild_hint(atlas, metric)}"
        )
    heads, distances = nearest_neighbours(
        clouds, index, np.array([query]), _MORE_NEAREST, n_candidates=_MORE_CANDIDATES
    )
    return heads[0], distances[0]


def clouds_for(atlas: Atlas, metric: str) -> Float[np.ndarray, "prompts heads components"]:
    """Return what the metric is computed from, in the order of `atlas.heads`.

    Raises:
        InputError: if the metric is not known.
        AtlasError: if the stage `embed` has not run, or the atlas lacks the features.
    """
    from attention_motifs.distances import get_metric

    in_recommended = get_metric(metric).space == "recommended"
    return atlas.recommended_clouds() if in_recommended else atlas.embedded()


_SHORTLIST = 50
"""Nearest heads by Eq. 3 among which metrics are ranked that are too slow for all heads."""


def distance_row(atlas: Atlas, query: int, metric: str) -> Float[np.ndarray, " heads"]:
    """Distances from one head to all, from the stored matrix or computed now.

    Gromov-Wasserstein is computed to the nearest 50 heads by Eq. 3 only; others are infinite.

    Raises:
        InputError: if the metric is not known.
        AtlasError: if there is no embedding, or a file is damaged.
    """
    from attention_motifs.distances import candidate_distances, distances_from, get_metric
    from attention_motifs.distances.neighbours import rows_from

    get_metric(metric)
    if metric in atlas.metrics():
        return np.asarray(atlas.distances(metric)[query], dtype=np.float32)
    if metric in atlas.neighbour_metrics():
        by_head = atlas.head_clouds(get_metric(metric).space)
        return np.asarray(rows_from(by_head, np.array([query]), metric)[0])
    clouds = clouds_for(atlas, metric)
    if metric != "gromov-wasserstein":
        return np.asarray(distances_from(clouds, query, metric)[0])
    order = np.argsort(distances_from(clouds, query, "mean")[0], kind="stable")
    others = order[order != query][:_SHORTLIST]
    pairs = np.stack([np.full_like(others, query), others], axis=1)
    row = np.full(clouds.shape[1], np.inf, dtype=np.float32)
    row[query] = 0.0
    row[others] = candidate_distances(clouds, pairs, metric)
    return row


def _filter(
    atlas: Atlas,
    query: int,
    scope: Scope,
    models: Sequence[str] | None,
    layers: tuple[int, int] | None,
) -> Bool[np.ndarray, " heads"]:
    model_of = atlas.heads["model"].to_numpy()
    layer_of = atlas.heads["layer"].to_numpy()
    wanted = np.ones(len(model_of), dtype=bool)
    if scope == "within":
        wanted &= model_of == model_of[query]
    elif scope == "across":
        wanted &= model_of != model_of[query]
    elif scope != "all":
        raise InputError(f"scope {scope!r}: choose all, within or across")
    if models:
        unknown = [m for m in models if m not in atlas.models]
        if unknown:
            raise InputError(
                f"model {unknown[0]!r} is not in this atlas; it has {', '.join(atlas.models)}"
            )
        wanted &= np.isin(model_of, list(models))
    if layers:
        wanted &= (layer_of >= layers[0]) & (layer_of <= layers[1])
    return wanted


def unusual_features(atlas: Atlas, head: str | HeadId, n: int = 10) -> list[FeatureOfHead]:
    """Return the features in which a head differs most from all heads, largest |z| first.

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


def head_feature_means(atlas: Atlas, names: Sequence[str]) -> Float[np.ndarray, "heads features"]:
    """Mean of each feature over the prompts, per head, in the order of `atlas.heads`.

    Values that are not finite are left out; a feature never finite for a head gives 0.
    """
    per_model = []
    for model in atlas.models:
        info = atlas.manifest.models[model]
        n_heads = int(info["n_layers"]) * int(info["n_heads"])
        total, count = np.zeros((2, n_heads, len(names)))
        for part in atlas.feature_parts(model, names):
            values = by_prompt(atlas, model, part, names)[0].astype(np.float64)
            total += np.nansum(np.where(np.isfinite(values), values, np.nan), axis=0)
            count += np.isfinite(values).sum(axis=0)
        per_model.append(total / np.maximum(count, 1))
    return np.concatenate(per_model)


def by_prompt(
    atlas: Atlas, model: str, part: pl.DataFrame, columns: Sequence[str]
) -> tuple[Float[np.ndarray, "prompts heads columns"], Int[np.ndarray, " prompts"]]:
    """Features of a part by prompt and head, and how many tokens each prompt has."""
    info = atlas.manifest.models[model]
    n_heads = int(info["n_layers"]) * int(info["n_heads"])
    values = part.select(columns).to_numpy().reshape(-1, n_heads, len(columns))
    return values, part["n_tokens"].to_numpy()[::n_heads]
