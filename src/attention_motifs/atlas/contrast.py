"""Two sets of prompts compared head by head: which heads treat them differently.

A head's patterns on each set are points in the space of the embedding. Their distance is the root
of the energy distance (Székely and Rizzo, 2013), which is 0 only for equal distributions. It is
compared with the distance between random splits of the same prompts into sets of the same sizes.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas.motif_shares import SHARE
from attention_motifs.atlas.prompt_labels import Where, described, labels_of, prompts_where
from attention_motifs.errors import InputError
from attention_motifs.evaluation.null import false_discovery_rates
from attention_motifs.features.arguments import whole_number
from attention_motifs.features.motif_definitions import MOTIFS
from attention_motifs.notebook import block, sentence, table

if TYPE_CHECKING:
    import polars as pl
    from jaxtyping import Float, Int

    from attention_motifs.atlas.atlas import Atlas

SIGNIFICANT = 0.05
"""Largest q of a head that the sentence counts."""

_SPLITS_PER_HEAD, _LEAST_SPLITS, _MOST_SPLITS = 40, 9_999, 99_999
"""Random splits: enough that a single head among all can reach a q of 0.05 / 2."""

_MOST_SHOWN = 10


@dataclass(frozen=True, repr=False)
class Contrast:
    """Two sets of prompts compared head by head.

    Attributes:
        heads: polars frame, one row per head, smallest p first, then the largest ratio of distance
            to noise: `head`, `distance` between its patterns on the two sets, `noise` (median of
            the distance between random splits), `noise_95` (their 95th percentile), `p`, `q`
            (Benjamini and Hochberg, over all heads); and, with motif shares, the `motif` whose mean
            share differs most, with `share` on the first set and `share_against` on the second.
        where: labels of the first set.
        against: labels of the second set.
        n_where: number of prompts of the first set.
        n_against: number of prompts of the second set.
        n_splits: number of splits; every one if `exact`.
        exact: whether every possible split was taken.
        space: block of the presets, or `embedding` for the paper's.
        within: label within whose values prompts were exchanged, if any.
        sentence: the answer in words.
    """

    heads: pl.DataFrame
    where: str
    against: str
    n_where: int
    n_against: int
    n_splits: int
    exact: bool
    space: str
    within: str | None
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object; the heads are a list of objects."""
        fields = {name: value for name, value in vars(self).items() if name != "heads"}
        return {**fields, "heads": self.heads.to_dicts()}

    def __repr__(self) -> str:
        return f"<Contrast of {self.where} and {self.against}: {self.sentence}>"

    def _repr_html_(self) -> str:
        columns = [name for name in self.heads.columns if name != "noise_95"]
        return block(
            f"{self.where} against {self.against}",
            sentence(self.sentence),
            table(columns, self.heads.select(columns).head(_MOST_SHOWN).rows()),
        )


def contrast(
    atlas: Atlas,
    where: Where,
    against: Where,
    *,
    metric: str | None = None,
    within: str | None = None,
    n_splits: int | None = None,
    seed: int = 0,
) -> Contrast:
    """Find the heads whose patterns differ between two sets of prompts.

    Args:
        atlas: with its embedding.
        where: labels of the first set, such as `{"condition": "ABBA"}`.
        against: labels of the second set.
        metric: a metric of the paper's embedding (default), or a preset, of which the first block
            of prompts is the space. The presets of this package take the mean over the heads of a
            model off each prompt, so that a head that changes moves the others a little.
        within: label that both sets share, such as the `filling` of a template: splits exchange
            prompts of equal value only, which leaves out what differs between the values.
        n_splits: number of random splits; default: 9,999, and more in an atlas of many heads. If
            there are no more different splits, every one is taken.
        seed: seed for the splits.

    Raises:
        InputError: if no prompt has the labels, a prompt is in both sets, a set has fewer than two
            prompts, the metric is not known, or no prompts can be exchanged.
        AtlasError: if the stage `embed` has not run, or a file is damaged.
    """
    first, second = prompts_where(atlas, where), prompts_where(atlas, against)
    _check(first, second, where, against)
    chosen = np.concatenate([first, second])
    is_first = np.arange(len(chosen)) < len(first)
    groups = _groups(atlas, chosen, within)
    n_heads = len(atlas.heads)
    n_random = whole_number(
        min(max(_SPLITS_PER_HEAD * n_heads, _LEAST_SPLITS), _MOST_SPLITS)
        if n_splits is None else n_splits, "n_splits", least=19,
    )  # fmt: skip
    whole_number(seed, "seed")
    splits, exact = random_splits(is_first, groups, n_random, np.random.default_rng(seed))
    space = _space(atlas, metric)
    columns: dict[str, list[Any]] = {name: [] for name in ("distance", "noise", "noise_95", "p")}
    for model in atlas.models:
        clouds = atlas.embedded([model]) if space == "embedding" else atlas.block_clouds(
            space, [model]
        )  # fmt: skip
        for head in range(clouds.shape[1]):
            observed, null = split_distances(clouds[chosen, head], is_first, splits)
            columns["distance"].append(observed)
            columns["noise"].append(float(np.median(null)))
            columns["noise_95"].append(float(np.quantile(null, 0.95)))
            # Equal splits differ by rounding alone.
            at_least = int((null >= observed * (1 - 1e-9)).sum())
            columns["p"].append(at_least / len(null) if exact else (1 + at_least) / (1 + len(null)))
    heads = _heads(atlas, columns, where, against)
    return Contrast(
        heads=heads,
        where=described(where),
        against=described(against),
        n_where=len(first),
        n_against=len(second),
        n_splits=len(splits),
        exact=exact,
        space=space,
        within=within,
        sentence=_sentence(heads, _floor(len(splits), len(first) == len(second), exact=exact)),
    )


def _floor(n_splits: int, equal_sizes: bool, *, exact: bool) -> float:
    """Return the smallest p that the splits can give."""
    if not exact:
        return 1 / (1 + n_splits)
    return (2 if equal_sizes else 1) / n_splits  # a split and its mirror image are as far apart


def _check(
    first: Int[np.ndarray, " a"], second: Int[np.ndarray, " b"], where: Where, against: Where
) -> None:
    if both := np.intersect1d(first, second).size:
        raise InputError(
            f"contrast: {both} prompts have both {described(where)} and {described(against)}. "
            "Give labels that no prompt has both of"
        )
    for places, labels in ((first, where), (second, against)):
        if len(places) < 2:
            raise InputError(
                f"contrast: one prompt alone has {described(labels)}, and two at least are needed. "
                "Give labels of more prompts"
            )


def _groups(
    atlas: Atlas, chosen: Int[np.ndarray, " prompts"], within: str | None
) -> Int[np.ndarray, " prompts"]:
    """Return a number per prompt; prompts of equal number are exchanged."""
    if within is None:
        return np.zeros(len(chosen), dtype=np.int64)
    labels = labels_of(atlas)
    values = [labels[i].get(within) if isinstance(within, str) else None for i in chosen.tolist()]
    if any(value is None for value in values):
        raise InputError(
            f"within={within!r:.60}: {sum(value is None for value in values)} of the "
            f"{len(values)} prompts lack this label. Leave within out, or name another label"
        )
    return np.unique([repr(value) for value in values], return_inverse=True)[1]


def random_splits(
    is_first: np.ndarray[Any, np.dtype[np.bool_]],
    groups: Int[np.ndarray, " prompts"],
    n: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray[Any, np.dtype[np.bool_]], bool]:
    """Return splits of prompts into sets of the same sizes, within groups.

    Args:
        is_first: whether each prompt is in the first set.
        groups: number of the group of each prompt.
        n: number of splits.
        rng: source of random numbers.

    Returns:
        (splits, prompts), whether each prompt is in the first set; and whether these are all
        possible splits, each once, rather than random ones.

    Raises:
        InputError: if there is only one split.
    """
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    sizes = [(len(of), int(is_first[of].sum())) for of in members]
    n_possible = math.prod(math.comb(total, k) for total, k in sizes)
    if n_possible == 1:
        raise InputError(
            "contrast: no prompts can be exchanged, since each group has prompts of one set only. "
            "Leave within out, or name a label that both sets share"
        )
    if n_possible <= n:
        listed = np.zeros((n_possible, len(is_first)), dtype=bool)
        each = [
            itertools.combinations(of.tolist(), k)
            for of, (_, k) in zip(members, sizes, strict=True)
        ]
        for row, parts in enumerate(itertools.product(*each)):
            listed[row, [i for part in parts for i in part]] = True
        return listed, True
    splits = np.zeros((n, len(is_first)), dtype=bool)
    for of, (_, k) in zip(members, sizes, strict=True):
        order = rng.random((n, len(of))).argsort(axis=1)[:, :k]
        np.put_along_axis(splits, of[order], values=True, axis=1)
    return splits, False


def split_distances(
    points: Float[np.ndarray, "prompts columns"],
    is_first: np.ndarray[Any, np.dtype[np.bool_]],
    splits: np.ndarray[Any, np.dtype[np.bool_]],
) -> tuple[float, Float[np.ndarray, " splits"]]:
    """Return the distance between two sets of points, and between splits of them.

    Args:
        points: of both sets.
        is_first: whether each is in the first set.
        splits: (splits, prompts), as `is_first`.

    Returns:
        Root of the energy distance 2 E|a - b| - E|a - a'| - E|b - b'|, of the sets and of each
        split.
    """
    from scipy.spatial.distance import pdist, squareform

    distances = squareform(pdist(points.astype(np.float64)))
    every = np.concatenate([is_first[None], splits])
    n_first = every.sum(axis=1, keepdims=True)
    weights = np.where(every, 1 / n_first, -1 / (every.shape[1] - n_first))
    energy = -np.einsum("sp,sp->s", weights @ distances, weights)
    roots = np.sqrt(np.maximum(energy, 0.0))
    return float(roots[0]), roots[1:]


def _space(atlas: Atlas, metric: str | None) -> str:
    """Return the block of a preset that reads prompts, or `embedding`."""
    from attention_motifs.atlas.blocks import preset_of

    preset = None if metric is None else preset_of(atlas, metric)
    if preset is None:
        return "embedding"
    blocks = [b.name for b in preset.blocks if b.stimuli == "prompts"]
    if not blocks:
        raise InputError(f"metric {metric!r} reads no prompts. Choose another metric")
    return blocks[0]


def _heads(
    atlas: Atlas, columns: dict[str, list[Any]], where: Where, against: Where
) -> pl.DataFrame:
    """Return the table of heads, sorted."""
    import polars as pl

    q = false_discovery_rates(columns["p"])
    frame = pl.DataFrame({"head": atlas.heads["head"], **columns, "q": q})
    names = [name + SHARE for name in MOTIFS]
    if names[0] in atlas.heads.columns:
        pair = [atlas.where(labels).heads.select(names).to_numpy() for labels in (where, against)]
        motif = np.abs(np.nan_to_num(pair[0] - pair[1])).argmax(axis=1)
        rows = np.arange(len(motif))
        frame = frame.with_columns(
            motif=pl.Series([list(MOTIFS)[i] for i in motif]),
            share=pl.Series(pair[0][rows, motif].astype(np.float64)),
            share_against=pl.Series(pair[1][rows, motif].astype(np.float64)),
        )
    ratio = pl.col("distance") / pl.col("noise").clip(lower_bound=1e-12)
    return frame.sort("p", -ratio, maintain_order=True)


def _sentence(heads: pl.DataFrame, floor: float) -> str:
    """Return the answer in words.

    Args:
        heads: the table, sorted.
        floor: smallest p that the splits can give.
    """
    n = int((heads["q"] <= SIGNIFICANT).sum())
    if floor * heads.height > SIGNIFICANT and not n:
        return (
            f"No head can reach q <= {SIGNIFICANT} alone: with so few different splits the "
            f"smallest p is {floor:.2g}. Use more prompts of each kind."
        )
    if not n:
        return f"No head of {heads.height} treats the two sets differently (q <= {SIGNIFICANT})."
    best = heads.row(0, named=True)
    text = (
        f"{n} of {heads.height} heads treat the two sets differently (q <= {SIGNIFICANT}), most of "
        f"all {best['head']}: distance {best['distance']:.3g}, {best['noise']:.3g} between random "
        "splits"
    )
    if "motif" in best:
        text += (
            f"; its attention to {best['motif']} is {100 * best['share']:.0f} % and "
            f"{100 * best['share_against']:.0f} %"
        )
    return text + "."
