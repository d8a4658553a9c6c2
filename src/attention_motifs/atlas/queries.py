"""Questions to an atlas: which heads are near this one, and what is this head like?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from attention_motifs.atlas.head_distances import head_distances_of
from attention_motifs.errors import InputError

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
    mask = _filter(atlas, query, scope, models, layers)
    nearest = head_distances_of(atlas, metric).nearest(query, n, mask, farthest=farthest)
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
        )
        for row, distance, rank in zip(rows, nearest.distances, nearest.ranks, strict=True)
    ]


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
