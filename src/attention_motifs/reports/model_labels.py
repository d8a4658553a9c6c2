"""Labels of all heads of a model: verdicts, scores and motif shares in one table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.head_distances import head_distances_of
from attention_motifs.atlas.verdicts import Labels, head_labels, mean_shares, model_verdicts
from attention_motifs.errors import InputError
from attention_motifs.features.motif_definitions import MOTIFS
from attention_motifs.literature.behaviours import class_text, measured_classes
from attention_motifs.models.identity import differences, identity_in_memory
from attention_motifs.models.in_memory import in_memory, is_model_object
from attention_motifs.store.paths import MANIFEST

_DEFAULTS = (Path("atlas"), Path("demo-atlas"))

if TYPE_CHECKING:
    import polars as pl
    from jaxtyping import Float, Int

    from attention_motifs.models.sources import ModelLike


def label_heads(
    model: ModelLike, atlas: Atlas | str | Path | None = None, *, metric: str | None = None
) -> pl.DataFrame:
    """Return the labels of all heads of a model of an atlas.

    Args:
        model: name of the model in the atlas, or the object in memory that the atlas was made with,
            such as `{"mine": (model, tokenizer)}`.
        atlas: the atlas, or its folder or URL; default: `atlas` or `demo-atlas` in the current
            folder.
        metric: of the distances to labelled heads; default: the best that the atlas stores.

    Returns:
        One row per head: `head`, `layer`, `index`, `verdict`, `probability` (null without labelled
        heads of other models), `classes` (of the literature), `measured` (computed classes with
        their scores), `nearest` and `distance` (nearest labelled head), then the mean share of each
        motif.

    Raises:
        InputError: if the model is not in the atlas, or has other weights than it was made with, or
            the metric is not known.
        AtlasError: if there is no atlas, or it holds no motif shares.

    Example:
        >>> import attention_motifs as am
        >>> atlas = am.Atlas.open("demo-atlas")
        >>> table = am.label_heads(atlas.models[0], atlas)
        >>> table.columns[:5]
        ['head', 'layer', 'index', 'verdict', 'probability']
    """
    folder = _default_folder() if atlas is None else atlas
    opened = folder if isinstance(folder, Atlas) else Atlas.open(folder)
    name: Any = _name_in(opened, model) if is_model_object(model) else model
    if not isinstance(name, str):
        raise InputError(f"model={name!r:.80}: expected the name of a model of the atlas")
    chosen = opened.best_metric if metric is None else metric
    return label_table(opened, name, chosen, head_labels(opened))


def _name_in(atlas: Atlas, model: ModelLike) -> str:
    """Return the name in an atlas of a model in memory, after comparing its weights.

    Raises:
        InputError: if the atlas does not hold it.
    """
    held = in_memory(model)
    adding = f"am.add({str(atlas.place)!r}, {{{held.name!r}: (model, tokenizer)}}"
    record = atlas.manifest.models.get(held.name)
    if record is None:
        raise InputError(
            f"{held.name}: this model is not in {atlas.place}, which has "
            f"{', '.join(atlas.models)}. Add it with {adding})"
        )
    if changed := differences(identity_in_memory(held), record):
        raise InputError(
            f"{held.name}: its {' and '.join(changed)} changed since {atlas.place} was made with "
            f"it. Place it again with {adding}, replace=True)"
        )
    return held.name


def _default_folder() -> Path:
    return next((p for p in _DEFAULTS if (p / MANIFEST).is_file()), _DEFAULTS[0])


def label_table(atlas: Atlas, model: str, metric: str, labels: Labels) -> pl.DataFrame:
    """Return the table of `label_heads`.

    Args:
        atlas: the atlas.
        model: one of its models.
        metric: of the distances to labelled heads.
        labels: of the atlas.
    """
    import polars as pl

    verdicts = model_verdicts(atlas, model, metric, labels)
    rows = verdicts.rows
    chosen = [verdicts.verdict(place) for place in range(len(rows))]
    learnt = verdicts.fitted is not None
    nearest, distances = _nearest_labelled(atlas, metric, rows, labels)
    heads = atlas.heads[rows.tolist()]
    names: list[str] = atlas.heads["head"].to_list()
    shares = mean_shares(atlas)[rows]
    return pl.DataFrame(
        {
            "head": heads["head"],
            "layer": heads["layer"],
            "index": heads["index"],
            "verdict": [name for name, _ in chosen],
            "probability": pl.Series([p if learnt else None for _, p in chosen], dtype=pl.Float64),
            "classes": heads["classes"],
            "measured": [
                class_text((), measured_classes(row)) for row in heads.iter_rows(named=True)
            ],
            "nearest": pl.Series([names[i] if i >= 0 else None for i in nearest], dtype=pl.String),
            "distance": pl.Series(distances, dtype=pl.Float64, nan_to_null=True),
            **{f"{name} share": shares[:, i] for i, name in enumerate(MOTIFS)},
        }
    )


def _nearest_labelled(
    atlas: Atlas, metric: str, rows: Int[np.ndarray, " heads"], labels: Labels
) -> tuple[Int[np.ndarray, " heads"], Float[np.ndarray, " heads"]]:
    """Return the nearest labelled head of each head, -1 if there is none, and its distance."""
    held = head_distances_of(atlas, metric)
    nearest, distances = np.full(len(rows), -1), np.full(len(rows), np.nan)
    for place, near in enumerate(held.nearest_of_each(rows, 1, labels.in_a_class)):
        if len(near.heads):
            nearest[place], distances[place] = near.heads[0], near.distances[0]
    return nearest, distances
