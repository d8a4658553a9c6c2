"""The layer-matched permutation null, p-values, and q-values."""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.errors import InputError
from attention_motifs.features.arguments import number_array, whole_number

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

_ROUNDING = 1e-9
"""Margin within which a null value equals the observed one: the statistics are discrete, and the
same set of heads summed in another order must not count as smaller."""


@dataclass(frozen=True)
class NullTest:
    """A statistic and its permutation null; every number is NaN if the statistic is undefined."""

    value: float
    null_mean: float
    null_95: float
    """The smallest null value that at least 95 % of the null values do not exceed."""
    p: float
    """(1 + draws at least as large as `value`) / (1 + draws); one-sided."""


def generator(seed: int, *names: str) -> np.random.Generator:
    """Return the random generator of one row of the table, independent of the other rows.

    Raises:
        InputError: if the seed is not a whole number of 0 or more.
    """
    whole_number(seed, "seed")
    return np.random.default_rng([seed, zlib.crc32("\0".join(names).encode())])


def layer_matched_draws(
    members: Bool[np.ndarray, " heads"],
    layer: Int[np.ndarray, " heads"],
    n_draws: int,
    rng: np.random.Generator,
) -> Int[np.ndarray, "draws members"]:
    """Draw sets of heads with as many heads in every layer as the class has.

    All heads are of one model. Within a layer every set of that size is equally likely, and layers
    are independent. A layer that holds members only is in every draw, so its part of the class is
    compared with itself. If every layer is such, all draws equal the class and its p is 1.

    Returns:
        Indices of heads, one row per draw; rows are not sorted.
    """
    parts = [np.empty((n_draws, 0), dtype=np.int64)]
    for number in np.unique(layer[members]):
        of_layer = np.flatnonzero(layer == number)
        n_members = int(members[of_layer].sum())
        keys = rng.random((n_draws, len(of_layer)))
        parts.append(of_layer[np.argsort(keys, axis=1)[:, :n_members]])
    return np.concatenate(parts, axis=1)


ENUMERATED = 1000
"""Largest number of arrangements that are enumerated instead of drawn at random."""


def other_arrangements(
    members: Bool[np.ndarray, " heads"], layer: Int[np.ndarray, " heads"]
) -> Int[np.ndarray, "sets members"]:
    """Return all sets with as many heads in every layer as the class, except the class itself.

    Returns:
        Indices of heads, one row per set; `n_arrangements` - 1 rows.
    """
    per_layer = [
        itertools.combinations(np.flatnonzero(layer == number), int(members[layer == number].sum()))
        for number in np.unique(layer[members])
    ]
    sets = [
        [int(head) for heads in parts for head in heads] for parts in itertools.product(*per_layer)
    ]
    rows = np.array(sets, dtype=np.int64).reshape(len(sets), int(members.sum()))
    return rows[~members[rows].all(axis=1)]


def null_sets(
    members: Bool[np.ndarray, " heads"],
    layer: Int[np.ndarray, " heads"],
    n_draws: int,
    rng: np.random.Generator,
) -> Int[np.ndarray, "sets members"]:
    """Return the null of a class: every other arrangement if they are few, else random draws.

    With at most `ENUMERATED` arrangements the test is exact, and p is a multiple of one over their
    number. A class without another arrangement is compared with itself.
    """
    arrangements = n_arrangements(members, layer)
    if 1 < arrangements <= ENUMERATED:
        return other_arrangements(members, layer)
    return layer_matched_draws(members, layer, n_draws, rng)


def layer_permutations(
    layer: Int[np.ndarray, " heads"], n_draws: int, rng: np.random.Generator
) -> Int[np.ndarray, "draws heads"]:
    """Draw permutations of the heads of a model that keep every head in its layer."""
    permutations = np.empty((n_draws, len(layer)), dtype=np.int64)
    for number in np.unique(layer):
        of_layer = np.flatnonzero(layer == number)
        keys = rng.random((n_draws, len(of_layer)))
        permutations[:, of_layer] = of_layer[np.argsort(keys, axis=1)]
    return permutations


def group_permutations(
    layer: Int[np.ndarray, " heads"],
    group: Int[np.ndarray, " heads"],
    n_draws: int,
    rng: np.random.Generator,
) -> Int[np.ndarray, "draws heads"]:
    """Draw permutations of the heads of a model that keep layers and key groups.

    Heads that share keys are alike by construction. The key groups of a layer change places, and
    the heads within each group too, so that heads of one group stay in one group. With one key
    group per layer these are all permutations within the layer.

    Args:
        layer: (heads,) layer of every head.
        group: (heads,) key group of every head; groups of a layer have the same size.
        n_draws: number of permutations.
        rng: source of randomness.

    Raises:
        InputError: if groups of a layer differ in size.
    """
    permutations = np.empty((n_draws, len(layer)), dtype=np.int64)
    for number in np.unique(layer):
        of_layer = np.flatnonzero(layer == number)
        names, sizes = np.unique(group[of_layer], return_counts=True)
        if len(set(sizes.tolist())) > 1:
            raise InputError(
                f"key groups of layer {number} have {sizes.tolist()} heads. Give groups of one "
                "size."
            )
        by_group = np.stack([of_layer[group[of_layer] == name] for name in names])
        places = np.argsort(rng.random((n_draws, len(names))), axis=1)
        within = np.argsort(rng.random((n_draws, *by_group.shape)), axis=2)
        drawn = np.take_along_axis(by_group[places], within, axis=2)
        permutations[:, by_group.ravel()] = drawn.reshape(n_draws, -1)
    return permutations


def n_arrangements(members: Bool[np.ndarray, " heads"], layer: Int[np.ndarray, " heads"]) -> int:
    """Return the number of different draws: the product of binomials over the layers.

    p cannot be much below one over this number.
    """
    return math.prod(
        math.comb(int((layer == number).sum()), int(members[layer == number].sum()))
        for number in np.unique(layer)
    )


def compare(value: float, null: Float[np.ndarray, " draws"]) -> NullTest:
    """Compare a statistic, larger meaning better, with its null; NaN if the statistic is NaN.

    Undefined null values must be replaced before.
    """
    if math.isnan(value):
        return NullTest(math.nan, math.nan, math.nan, math.nan)
    at_least = int((null >= value - _ROUNDING).sum())
    return NullTest(
        value=float(value),
        null_mean=float(null.mean()),
        null_95=float(np.quantile(null, 0.95, method="inverted_cdf")),
        p=(1 + at_least) / (1 + len(null)),
    )


def false_discovery_rates(p: Sequence[float]) -> list[float]:
    """Return the Benjamini-Hochberg q-value (1995) of every p, in the given order.

    NaN stays NaN and does not count as a test.

    Raises:
        InputError: if a p is outside 0 to 1.
    """
    from scipy.stats import false_discovery_control

    values = number_array(p, "p-values", ("tests",)).astype(np.float64)
    q = np.full(len(values), np.nan)
    defined = np.flatnonzero(~np.isnan(values))
    if (values[defined] < 0).any() or (values[defined] > 1).any():
        raise InputError("p-values hold numbers outside 0 to 1. Give probabilities.")
    if len(defined):
        q[defined] = false_discovery_control(values[defined])
    return [float(x) for x in q]
