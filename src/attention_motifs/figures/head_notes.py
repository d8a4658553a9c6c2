"""Words about heads for figures and captions: motif shares, classes, scores, verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.atlas.motif_shares import SHARE, has_shares
from attention_motifs.atlas.verdicts import head_labels, model_verdicts
from attention_motifs.errors import AtlasError
from attention_motifs.evaluation.class_probabilities import UNKNOWN
from attention_motifs.features.motif_definitions import MOTIFS
from attention_motifs.literature.behaviours import class_text, measured_classes

if TYPE_CHECKING:
    from jaxtyping import Float

    from attention_motifs.atlas import Atlas


def shares_of_heads(atlas: Atlas) -> Float[np.ndarray, "heads motifs"] | None:
    """Return the mean share of each motif per head; None if the atlas holds no motif shares."""
    columns = [name + SHARE for name in MOTIFS]
    if columns[0] not in atlas.heads.columns:
        return None
    table = atlas.heads.select(columns).fill_null(float("nan")).to_numpy().astype(np.float64)
    return table if np.isfinite(table).any() else None


def motif_note(atlas: Atlas, row: int, n: int = 2) -> str:
    """Return the n largest motif shares of a head and its classes, such as `self 81 %, ...`."""
    shares = shares_of_heads(atlas)
    parts = []
    if shares is not None and np.isfinite(shares[row]).all():
        order = np.argsort(-shares[row], kind="stable")[:n]
        names = list(MOTIFS)
        parts.append(", ".join(f"{names[i]} {100 * shares[row, i]:.0f} %" for i in order))
    if classes := class_note(atlas, row):
        parts.append(classes)
    return "; ".join(parts)


def class_note(atlas: Atlas, row: int) -> str:
    """Return the classes of a head, those computed from behaviour with their score."""
    head = atlas.heads.row(row, named=True)
    return class_text(head["classes"] or (), measured_classes(head))


def verdicts_of(atlas: Atlas, rows: list[int], metric: str) -> dict[int, tuple[str, float]]:
    """Return the most probable class of heads and its probability, learnt from other models.

    Heads are left out where the atlas holds no motif shares, or too few labelled heads of other
    models to learn a class from.
    """
    if not has_shares(atlas) or len(atlas.models) < 2:
        return {}
    labels = head_labels(atlas)
    model_of = atlas.heads["model"].to_list()
    verdicts: dict[int, tuple[str, float]] = {}
    for model in dict.fromkeys(model_of[row] for row in rows):
        try:
            judged = model_verdicts(atlas, model, metric, labels)
        except AtlasError:  # without motif shares of this model
            continue
        if judged.names == (UNKNOWN,):
            continue
        place = {int(row): i for i, row in enumerate(judged.rows)}
        verdicts |= {row: judged.verdict(place[row]) for row in rows if row in place}
    return verdicts
