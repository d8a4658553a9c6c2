"""Rows of the table of ablations: effects, intervals and tests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas.ablation_table import family_of
from attention_motifs.behaviour import MEASURES
from attention_motifs.evaluation.effects import (
    N_PERMUTATIONS,
    bootstrap_interval,
    compare_group,
    compare_with_controls,
    distance_against_effect,
    expected_control,
    mean_p,
    non_member_effect,
    rho_interval,
)
from attention_motifs.evaluation.null import false_discovery_rates, generator
from attention_motifs.head import HeadId
from attention_motifs.stages.ablation.targets import Target

if TYPE_CHECKING:
    import polars as pl
    from jaxtyping import Float, Int

Row = dict[str, Any]

_UNTESTED = ("kl",)
"""Measures that are not tested for a single head: a divergence is never below zero."""


@dataclass(frozen=True)
class Measured:
    """Values of one measure on one design, without and with each ablation."""

    measure: str
    clean: Float[np.ndarray, "ablations sequences"]
    ablated: Float[np.ndarray, "ablations sequences"]
    constant: Mapping[str, Any]
    """Columns that all rows share, such as experiment, model, method, design and seed."""

    @property
    def effects(self) -> Float[np.ndarray, "ablations sequences"]:
        """Value with the ablation, minus the value without."""
        return np.asarray(self.ablated - self.clean)

    @property
    def worse(self) -> int:
        """Sign of a harmful effect: 1 or -1."""
        return MEASURES[self.measure].worse

    def row(self, kind: str, name: str, which: Sequence[int], heads: Sequence[HeadId]) -> Row:
        """Return the columns of a row about the mean over some ablations.

        Args:
            kind: as in `ablation_table.KINDS`.
            name: of the head, the set or the anchor.
            which: numbers of the ablations.
            heads: ablated heads.
        """
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
    """Return one row per head of a sweep, compared with the other heads of its layer.

    The test is whether the effect differs from 0. Heads without a value, such as for prefix
    matching in the last layers, have no row.

    Args:
        measured: values of one ablation per head.
        heads: in the order of the ablations.
        layer: of each head.
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
            comparison = compare_with_controls(float(effects[i]), effects[others], measured.worse)
            rng = generator(seed, "excess", str(head), measured.measure)
            row |= _compared(comparison, *bootstrap_interval(excess, rng))
            row |= _against_non_members(float(effects[i]), comparison.control_mean)
            row["n_controls"] = len(others)
        row |= {"p": None, "p_floor": None}
        if measured.measure not in _UNTESTED:
            rng = generator(seed, "mean", str(head), measured.measure)
            row["p"], row["p_floor"] = mean_p(measured.effects[i], rng)
            row["test"] = "effect is not 0: studentised bootstrap over sequences, two-sided"
        rows.append(row)
    return rows


def group_row(
    measured: Measured, heads: Sequence[HeadId], layer: Int[np.ndarray, " heads"], target: Target
) -> Row | None:
    """Return the row of a group of heads, each ablated alone, compared with layer-matched draws.

    Nearest heads are compared with heads that could have been nearest, so not with the anchor.

    Args:
        measured: values of one ablation per head.
        heads: in the order of the ablations.
        layer: of each head.
        target: the group.

    Returns:
        None if no head of the group has a value.
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
    comparison = compare_group(effects, members, layer, measured.worse, rng)
    excess = measured.effects[members].mean(axis=0) - expected_control(
        measured.effects, members, layer
    )
    low, high = bootstrap_interval(excess, generator(seed, "excess", target.name))
    return {
        **row,
        **_compared(comparison, low, high),
        **_against_non_members(
            comparison.effect, float(non_member_effect(effects, members, layer))
        ),
        "metric": target.metric,
        "anchor": target.anchor,
        "n_controls": comparison.n_controls,
        "test": "does more harm than heads of the same layers: drawn within layers, one-sided",
    }


def candidate_layers(
    heads: Sequence[HeadId], layer: Int[np.ndarray, " heads"], target: Target
) -> Int[np.ndarray, " heads"]:
    """Return the layers to draw controls from; the anchor of nearest heads has none (-1)."""
    if target.anchor is None:
        return layer
    return np.where([str(head) == target.anchor for head in heads], -1, layer)


def set_rows(
    measured: Measured, target: Target, controls: Sequence[tuple[HeadId, ...]]
) -> list[Row]:
    """Return the rows of a set ablated together and of its controls.

    Args:
        measured: values of the set (first) and of the controls.
        target: the set.
        controls: heads of each control.
    """
    row = measured.row("set", target.name, [0], target.heads)
    means = measured.effects.mean(axis=1)
    comparison = compare_with_controls(float(means[0]), means[1:], measured.worse)
    low = high = math.nan
    if len(controls):
        excess = measured.effects[0] - measured.effects[1:].mean(axis=0)
        rng = generator(measured.constant["seed"], "excess", target.name)
        low, high = bootstrap_interval(excess, rng)
    targets = set(target.heads)
    apart = [
        mean for mean, heads in zip(means[1:], controls, strict=True) if not targets & set(heads)
    ]
    disjoint = float(np.mean(apart)) if apart else math.nan
    about = {"metric": target.metric, "anchor": target.anchor}
    rows = [
        {
            **row,
            **_compared(comparison, low, high),
            **_against_non_members(float(means[0]), disjoint),
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
    """Return the row on the correlation of the distance to a head with the effect.

    Args:
        measured: values of one ablation per head.
        heads: in the order of the ablations.
        layer: of each head.
        distances: from the anchor to each head.
        anchor: name of the head, which is left out itself.
        metric: name of the metric.
    """
    rng = generator(measured.constant["seed"], "distance", anchor, metric, measured.measure)
    others = np.array([str(head) != anchor for head in heads])
    effects = measured.effects.mean(axis=1)
    used = np.where(others, distances, np.nan)
    comparison = distance_against_effect(used, effects, layer, measured.worse, rng)
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
        "effect": comparison.effect,
        "ci_low": low,
        "ci_high": high,
        **_compared(comparison, math.nan, math.nan),
        "n_controls": N_PERMUTATIONS,
        "test": "near heads do more harm: effects permuted within layers, one-sided",
    }


def _against_non_members(effect: float, others: float) -> Row:
    """Return the size of an effect relative to controls that hold no target head."""
    return {"others_effect": others, "others_excess": effect - others}


def _compared(comparison: Any, low: float, high: float) -> Row:
    return {
        "control_effect": comparison.control_mean,
        "control_low": comparison.control_low,
        "control_high": comparison.control_high,
        "excess": comparison.excess,
        "excess_low": low,
        "excess_high": high,
        "standardised": comparison.standardised,
        "p": comparison.p,
        "p_floor": comparison.p_floor,
    }


def corrected(table: pl.DataFrame) -> pl.DataFrame:
    """Return the table with the family of every p, and q and the number of tests by family.

    Real effects of one kind of question would otherwise lower q for another kind: with many of
    them, true nulls have a q of 0.05 or less far more often than in 5 % of tables.
    """
    import polars as pl

    families = [
        family_of(row)
        for row in table.select("kind", "anchor", "measure", "design").iter_rows(named=True)
    ]
    p = table["p"].fill_null(math.nan).to_numpy()
    q = np.full(len(p), math.nan)
    n_tested = np.zeros(len(p), dtype=np.int64)
    for family in {family for family in families if family is not None}:
        rows = np.array([family == of_row for of_row in families])
        q[rows] = false_discovery_rates(p[rows].tolist())
        n_tested[rows] = np.isfinite(p[rows]).sum()
    return table.with_columns(
        pl.Series("family", families, dtype=pl.String),
        pl.Series("q", q, dtype=pl.Float64).fill_nan(None),
        pl.Series("n_tested", n_tested, dtype=pl.Int32),
    )
