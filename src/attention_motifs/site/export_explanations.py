"""Export of explanations: verdicts and motif shares of all heads, and the evidence by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.explanation import explain_model
from attention_motifs.atlas.motif_shares import SHARE, motif_shares_of
from attention_motifs.atlas.verdicts import head_labels
from attention_motifs.features.motif_definitions import MOTIFS
from attention_motifs.progress import Report, silent
from attention_motifs.site.contract import Table
from attention_motifs.site.contract_explanations import (
    ClassProbability,
    HeadExplanation,
    LabelledNeighbour,
    Motif,
    PromptOfHead,
)
from attention_motifs.site.output import DataFolder, NamedColumn, codes

if TYPE_CHECKING:
    from jaxtyping import Float, Int

    from attention_motifs.atlas import explanation as of_atlas

MOTIF_COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "first token": "#3a7be0",
        "self": "#c2409f",
        "previous token": "#a67c00",
        "same token": "#7a5cff",
        "after same token": "#d55e00",
        "separators": "#008f83",
        "fixed offset": "#96664a",
        "local window": "#4b8f29",
        "uniform": "#5f86a3",
        "residual": "#7d7d7d",
    }
)
"""Colours of the motifs: at least 3:1 against the grounds of both themes."""

_DIGITS = 4
_LEAST_PROBABILITY = 0.005


@dataclass(frozen=True)
class Explanations:
    """What is written of the explanations.

    Attributes:
        metric: how heads are compared; None if the atlas holds no motif shares.
        motifs: the motifs, in the order of the shares; empty without shares.
        verdicts: table of the verdicts.
        shares: table of the motif shares.
        files: one file per layer, by model.
    """

    metric: str | None
    motifs: list[Motif]
    verdicts: Table | None
    shares: Table | None
    files: dict[str, list[str]]


def can_explain(atlas: Atlas) -> bool:
    """Return whether an atlas has an embedding, and motif shares of every head."""
    if "embed" not in atlas.manifest.stages:
        return False
    column = next(iter(MOTIFS)) + SHARE
    return column in atlas.heads.columns and atlas.heads[column].null_count() == 0


def write_explanations(atlas: Atlas, out: DataFolder, report: Report = silent) -> Explanations:
    """Write verdicts, motif shares, and one file of explanations per model and layer."""
    if not can_explain(atlas):
        return Explanations(None, [], None, None, {model: [] for model in atlas.models})
    metric, labels = atlas.best_metric, head_labels(atlas)
    rows = {head: row for row, head in enumerate(atlas.heads["head"].to_list())}
    prompts = {name: i for i, name in enumerate(atlas.prompts["prompt_id"].to_list())}
    verdicts: list[str] = []
    probabilities: list[float] = []
    written: dict[str, list[str]] = {}
    with report("explanations", len(rows)) as advance:
        for code, model in enumerate(atlas.models):
            n_heads = atlas.manifest.models[model].n_heads
            viewed = viewing_order(motif_shares_of(atlas, model), len(atlas.view_prompts()))
            layers: list[list[HeadExplanation]] = []
            for place, found in enumerate(explain_model(atlas, model, metric, labels)):
                if place % n_heads == 0:
                    layers.append([])
                layers[-1].append(_head(found, rows, prompts, viewed[place].tolist()))
                verdicts.append(found.verdict)
                learnt = found.probability is not None
                probabilities.append(found.probability if learnt else np.nan)  # type: ignore[arg-type]
                advance(1)
            written[model] = [f"explanations/{code}-{i}.json.bin" for i in range(len(layers))]
            for name, layer in zip(written[model], layers, strict=True):
                out.json(name, layer)
    motifs = [Motif(name, meaning, MOTIF_COLOURS[name]) for name, meaning in MOTIFS.items()]
    return Explanations(
        metric, motifs, _verdict_table(verdicts, probabilities, out), _shares(atlas, out), written
    )


def _verdict_table(verdicts: list[str], probabilities: list[float], out: DataFolder) -> Table:
    names = list(dict.fromkeys(verdicts))
    return out.table(
        "verdicts.bin",
        [
            ("verdict", "uint8" if len(names) < 255 else "uint16", codes(verdicts, names), names),
            ("probability", "float16", np.array(probabilities), None),
        ],
    )


def _shares(atlas: Atlas, out: DataFolder) -> Table:
    columns: list[NamedColumn] = [
        (name, "float16", atlas.heads[name + SHARE].to_numpy(), None) for name in MOTIFS
    ]
    return out.table("motif-shares.bin", columns)


def viewing_order(
    shares: Float[np.ndarray, "prompts heads motifs"], n_view: int
) -> Int[np.ndarray, "heads view_prompts"]:
    """Return the first prompts for each head, those first on which it is most itself.

    Args:
        shares: (prompts, heads, motifs) motif shares; NaN where they are not known.
        n_view: number of viewable prompts, which are the first of the atlas.

    Returns:
        (heads, n_view) indices of prompts, by how far the shares are from their mean; prompts
        without shares come last.
    """
    finite = np.isfinite(shares).all(axis=2, keepdims=True)
    total = np.where(finite, shares, 0).sum(axis=0, dtype=np.float64)
    departures = np.abs(shares[:n_view] - total / np.maximum(finite.sum(axis=0), 1)).sum(axis=2)
    return np.argsort(departures, axis=0, kind="stable").T


def _head(
    found: of_atlas.Explanation,
    rows: Mapping[str, int],
    prompts: Mapping[str, int],
    viewed: list[int],
) -> HeadExplanation:
    return HeadExplanation(
        sentence=found.sentence,
        verdict=found.verdict,
        probability=None if found.probability is None else round(found.probability, _DIGITS),
        classes=[
            ClassProbability(name, round(p, _DIGITS))
            for name, p in found.classes
            if p >= _LEAST_PROBABILITY
        ],
        shares=[round(share, _DIGITS) for share in found.motifs.values()],
        spreads=[round(spread, _DIGITS) for spread in found.spread.values()],
        nearest=[
            LabelledNeighbour(
                rows[near.head], _significant(near.distance), list(near.classes), near.source
            )
            for near in found.nearest
        ],
        writes={name: _significant(value) for name, value in found.writes.items()},
        typical=[_prompt(item, prompts) for item in found.typical],
        departs=[_prompt(item, prompts) for item in found.departs],
        viewed=viewed,
        null_percentile=None if found.null_percentile is None else round(found.null_percentile, 1),
        would_change=found.would_change,
    )


def _prompt(found: of_atlas.PromptOfHead, prompts: Mapping[str, int]) -> PromptOfHead:
    return PromptOfHead(
        prompts[found.prompt_id],
        round(found.departure, _DIGITS),
        found.motif,
        round(found.share, _DIGITS),
    )


def _significant(value: float) -> float:
    return float(f"{value:.4g}")
