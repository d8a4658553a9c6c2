"""What an atlas says about every head of a model, for the viewer: verdicts and nearest heads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.atlas.explanation import sentence
from attention_motifs.atlas.head_distances import head_distances_of
from attention_motifs.atlas.motif_shares import has_shares, motif_shares_of
from attention_motifs.atlas.verdicts import model_verdicts
from attention_motifs.viewer.contract import ViewNear, ViewNote

if TYPE_CHECKING:
    from attention_motifs.atlas.atlas import Atlas

N_NEAR = 5
"""Nearest heads of each head."""


def head_notes(atlas: Atlas, model: str) -> tuple[str, list[ViewNote]]:
    """Return the metric, and a note on each head of a model.

    A part that the atlas does not hold (motif shares, distances) is empty in the notes.

    Args:
        atlas: the atlas.
        model: one of its models.

    Raises:
        InputError: if the model is not in the atlas.
        AtlasError: if a file is damaged.
    """
    atlas.known_models(model)
    metric = atlas.best_metric
    heads = atlas.heads
    rows = np.flatnonzero(heads["model"].to_numpy() == model)
    names: list[str] = heads["head"].to_list()
    verdicts = model_verdicts(atlas, model, metric) if has_shares(atlas) else None
    shares = motif_shares_of(atlas, model).astype(np.float64) if verdicts else None
    held = head_distances_of(atlas, metric) if _has_distances(atlas, metric) else None
    everyone = np.ones(len(names), dtype=bool)
    notes = []
    for place, row in enumerate(rows.tolist()):
        verdict, probability = verdicts.verdict(place) if verdicts else ("", 1.0)
        does, near = "", []
        if shares is not None:
            mean, spread = np.nanmean(shares[:, place], axis=0), np.nanstd(shares[:, place], axis=0)
            does = sentence(mean, spread, len(shares))
        if held is not None:
            nearest = held.nearest(row, N_NEAR, everyone)
            pairs = zip(nearest.heads, nearest.distances, strict=True)
            near = [ViewNear(names[near_row], float(distance)) for near_row, distance in pairs]
        notes.append(
            ViewNote(
                layer=int(heads["layer"][row]),
                head=int(heads["index"][row]),
                verdict=verdict,
                probability=probability if verdicts and verdicts.fitted else None,
                sentence=does,
                near=near,
            )
        )
    return metric, notes


def _has_distances(atlas: Atlas, metric: str) -> bool:
    return metric in {*atlas.metrics(), *atlas.neighbour_metrics()}
