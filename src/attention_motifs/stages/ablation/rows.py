"""What was measured to rows of the table: effects, intervals and tests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.behaviour import MEASURES
from attention_motifs.evaluation.effects import (
    N_PERMUTATIONS,
    bootstrap_interval,
    compare_group,
    compare_with_controls,
    distance_against_effect,
    expected_control,
    rho_interval,
    sign_flip_p,
)
from attention_motifs.evaluation.null import false_discovery_rates, generator
from attention_motifs.head import HeadId
from attention_motifs.stages.ablation.targets import Target

if TYPE_CHECKING:
    import polars as pl
    from jaxtyping import Float, Int

Row = dict[str, Any]

_UNTESTED = ("kl",)
"""Of one head: divergence is never below zero, so that signs tell nothing."""


@dataclass(frozen=True)
class Measured:
    """One measure on one design: values without and with each ablation."""

    measure: str
    clean: Float[np.ndarray, "ablations sequences"]
    ablated: Float[np.ndarray, "ablations sequences"]
    constant: Mapping[str, Any]
    """Columns that all rows share: experiment, model, method, design, seed and the like."""

    @property
    def effects(self) -> Float[np.ndarray, "ablations sequences"]:
        """With the ablation, less without."""
        return np.asarray(self.ablated - self.clean)

    @property
    def worse(self) -> int:
        """The side on which harm lies."""
        return MEASURES[self.measure].worse

    def row(self, kind: str, name: str, which: Sequence[int], heads: Sequence[HeadId]) -> Row:
        """Columns of a row about the mean over some ablations."""
        effect = self.effects[list(which)].mean(axis=0)
        rng = generator(self.constant["seed"], "interval", kind, name, self.measure)
        low, high = bootstrap_interval(effect, rng)
        return {
            **self.constant,
            "kind": kind,
            "name": name,
            "measure": self.measure,
            "heads": [str(head) for head in heads],
            "n_heads": len(heads),
            "clean": float(self.clean[list(which)].mean()),
            "ablated": float(self.ablated[list(which)].mean()),
            "effect": float(effect.mean()),
            "ci_low": low,
            "ci_high": high,
            "control": kind == "control",
        }


def head_rows(
    measured: Measured, heads: Sequence[HeadId], layer: Int[np.ndarray, " heads"]
) -> list[Row]:
    """One row per head of a sweep, beside the others of its layer.

    Tested is whether there is an effect, by flipping signs of sequences. Heads that nothing can be
    measured of, as prefix matching in the last layers, have no row.
    """
    seed = measured.constant["seed"]
    effects = measured.effects.mean(axis=1)
    rows = []
    for i, head in enumerate(heads):
        if not np.isfinite(effects[i]):
            continue
        row = measured.row("head", str(head), [i], [head])
        others = np.flatnonzero((layer == layer[i]) & (np.arange(len(layer)) != i))
        if len(others):
            excess = measured.effects[i] - measured.effects[others].mean(axis=0)
            found = compare_with_controls(float(effects[i]), effects[others], measured.worse)
            rng = generator(seed, "excess", str(head), measured.measure)
            row |= _compared(found, *bootstrap_interval(excess, rng)) | {"n_controls": len(others)}
        row |= {"p": None, "p_floor": None}
        if measured.measure not in _UNTESTED:
            rng = generator(seed, "signs", str(head), measured.measure)
            row["p"], row["p_floor"] = sign_flip_p(measured.effects[i], rng)
            row["test"] = "effect is not 0: signs of sequences flipped, two-sided"
        rows.append(row)
    return rows


def group_row(
    measured: Measured, heads: Sequence[HeadId], layer: Int[np.ndarray, " heads"], target: Target
) -> Row | None:
    """A group of heads, each ablated alone, beside layer-matched draws; None if unmeasured.

    Nearest heads are held against others that could have been the nearest: not the anchor.
    """
    layer = candidate_layers(heads, layer, target)
    index = {head: i for i, head in enumerate(heads)}
    effects = measured.effects.mean(axis=1)
    measurable = np.isfinite(effects)
    members = np.array([index[h] for h in target.heads if measurable[index[h]]], dtype=np.int64)
    if not len(members):
        return None
    row = measured.row("group", target.name, members.tolist(), [heads[i] for i in members])
    seed = measured.constant["seed"]
    rng = generator(seed, "group", target.name, measured.measure)
    found = compare_group(effects, members, layer, measured.worse, rng)
    excess = measured.effects[members].mean(axis=0) - expected_control(
        measured.effects, members, layer
    )
    low, high = bootstrap_interval(excess, generator(seed, "excess", target.name))
    return {
        **row,
        **_compared(found, low, high),
        "metric": target.metric,
        "anchor": target.anchor,
        "n_controls": N_PERMUTATIONS,
        "test": "does more harm than heads of the same layers: drawn within layers, one-sided",
    }


def candidate_layers(
    heads: Sequence[HeadId], layer: Int[np.ndarray, " heads"], target: Target
) -> Int[np.ndarray, " heads"]:
    """Layers that controls are drawn from; the anchor of nearest heads is in none (-1)."""
    if target.anchor is None:
        return layer
    return np.where([str(head) == target.anchor for head in heads], -1, layer)


def set_rows(
    measured: Measured, target: Target, controls: Sequence[tuple[HeadId, ...]]
) -> list[Row]:
    """A set ablated together (the first ablation), and the controls (those after it)."""
    row = measured.row("set", target.name, [0], target.heads)
    means = measured.effects.mean(axis=1)
    found = compare_with_controls(float(means[0]), means[1:], measured.worse)
    low = high = math.nan
    if len(controls):
        excess = measured.effects[0] - measured.effects[1:].mean(axis=0)
        rng = generator(measured.constant["seed"], "excess", target.name)
        low, high = bootstrap_interval(excess, rng)
    about = {"metric": target.metric, "anchor": target.anchor}
    rows = [
        {
            **row,
            **_compared(found, low, high),
            **about,
            "n_controls": len(controls),
            "test": "does more harm than random sets of the same layers, one-sided",
        }
    ]
    rows += [
        {**measured.row("control", target.name, [i], heads), **about}
        for i, heads in enumerate(controls, start=1)
    ]
    return rows


def distance_row(
    measured: Measured,
    heads: Sequence[HeadId],
    layer: Int[np.ndarray, " heads"],
    distances: Float[np.ndarray, " heads"],
    anchor: str,
    metric: str,
) -> Row:
    """Does distance to a head predict the effect? The head itself is left out."""
    rng = generator(measured.constant["seed"], "distance", anchor, metric, measured.measure)
    others = np.array([str(head) != anchor for head in heads])
    effects = measured.effects.mean(axis=1)
    used = np.where(others, distances, np.nan)
    found = distance_against_effect(used, effects, layer, measured.worse, rng)
    draws = generator(measured.constant["seed"], "rho", anchor, metric, measured.measure)
    low, high = rho_interval(used, measured.effects, draws)
    return {
        **measured.constant,
        "kind": "distance",
        "name": anchor,
        "measure": measured.measure,
        "heads": [],
        "n_heads": int((np.isfinite(used) & np.isfinite(effects)).sum()),
        "metric": metric,
        "anchor": anchor,
        "control": False,
        "effect": found.effect,
        "ci_low": low,
        "ci_high": high,
        **_compared(found, math.nan, math.nan),
        "n_controls": N_PERMUTATIONS,
        "test": "near heads do more harm: effects permuted within layers, one-sided",
    }


def _compared(found: Any, low: float, high: float) -> Row:
    return {
        "control_effect": found.control_mean,
        "control_low": found.control_low,
        "control_high": found.control_high,
        "excess": found.excess,
        "excess_low": low,
        "excess_high": high,
        "standardised": found.standardised,
        "p": found.p,
        "p_floor": found.p_floor,
    }


def corrected(table: pl.DataFrame) -> pl.DataFrame:
    """Set q and the number tested over every p of the table."""
    import polars as pl

    p = table["p"].fill_null(math.nan).to_list()
    q = pl.Series("q", false_discovery_rates(p), dtype=pl.Float64).fill_nan(None)
    n_tested = int(table["p"].is_not_null().sum())
    return table.with_columns(q, pl.lit(n_tested, dtype=pl.Int32).alias("n_tested"))
