"""Differences between two models of an atlas: which head became which, and which heads changed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.blocks import clouds_of
from attention_motifs.atlas.head_distances import head_distances_of
from attention_motifs.atlas.motif_shares import SHARE, SPREAD
from attention_motifs.errors import InputError
from attention_motifs.evaluation.matching import match_heads, match_limits
from attention_motifs.evaluation.null import generator
from attention_motifs.features.motif_definitions import MOTIFS
from attention_motifs.literature.behaviours import CLASS_THRESHOLDS
from attention_motifs.notebook import block, sentence, table

if TYPE_CHECKING:
    from jaxtyping import Float, Int

N_SPLITS = 5
"""Random splits of the prompts over which the noise of a head is averaged."""
N_PROMPTS = 5
"""Prompts listed."""
_MOST_SHOWN = 10
"""Changed heads that a notebook shows."""
DIFFERENT = 0.1
"""Smallest change of a motif share or of a behaviour score that counts."""


@dataclass(frozen=True)
class HeadChange:
    """A head of the first model and its match in the second.

    Attributes:
        head: name of the head.
        match: name of its match; None if no head of the second model is near enough.
        distance: between the two; None without a match.
        threshold: largest distance at which a head would be its match; None if any would.
        noise: distance between the patterns of `head` on two random halves of the prompts.
        changed: whether there is a reason in `reasons`.
        reasons: why the head counts as changed, compared with its match or, without one, with the
            head at its place: `moved` (farther than the noise), `class` (a computed class gained or
            lost, by a score that differs by 0.1), `motif` (a share that differs by 0.1 and by more
            than its noise); `no match` if neither exists.
        same_layer_match: match if heads may only be matched within their layer; None without one,
            or if the models differ in their number of layers.
        place: head of the second model at the same place; None if the models differ in shape.
        place_distance: distance to it.
        classes: computed classes of the head, and of the one that it is compared with; None if a
            score is missing.
        motif: motif whose share differs most; None without motif shares.
        shares: share of this motif in the head, and in the one that it is compared with.
    """

    head: str
    match: str | None
    distance: float | None
    threshold: float | None
    noise: float
    changed: bool
    reasons: tuple[str, ...]
    same_layer_match: str | None
    place: str | None
    place_distance: float | None
    classes: tuple[tuple[str, ...], tuple[str, ...]] | None
    motif: str | None
    shares: tuple[float, float] | None


@dataclass(frozen=True)
class PromptChange:
    """A prompt, the mean distance of matched heads on it, and the head that differs most.

    Distances are those of embedded patterns (the terms of the paper's Eq. 3).
    """

    prompt_id: str
    text: str
    distance: float
    head: str


@dataclass(frozen=True, repr=False)
class ModelDiff:
    """Two models compared head by head.

    Attributes:
        first: name of the first model.
        second: name of the second.
        metric: how heads are compared.
        heads: heads of the first model, in their order.
        new: heads of the second model without a match.
        prompts: prompts on which matched heads differ most, most first.
        sentence: the answer in words.
    """

    first: str
    second: str
    metric: str
    heads: tuple[HeadChange, ...]
    new: tuple[str, ...]
    prompts: tuple[PromptChange, ...]
    sentence: str

    def to_json(self) -> list[dict[str, Any]]:
        """Return the heads as a list of JSON objects."""
        listed: list[dict[str, Any]] = json.loads(json.dumps([asdict(h) for h in self.heads]))
        return listed

    def __repr__(self) -> str:
        return f"<ModelDiff of {self.first} and {self.second}: {self.sentence}>"

    def _repr_html_(self) -> str:
        changed = [h for h in self.heads if h.changed]
        rows = [[h.head, h.match, h.distance, h.noise, ", ".join(h.reasons)] for h in changed]
        more = len(changed) - _MOST_SHOWN
        return block(
            f"{self.first} and {self.second}, by {self.metric}",
            sentence(self.sentence),
            table(["changed head", "match", "distance", "noise", "why"], rows[:_MOST_SHOWN]),
            note=f"{more} more heads changed." if more > 0 else "",
        )


def diff(atlas: Atlas | str | Path, a: str, b: str, *, metric: str | None = None) -> ModelDiff:
    """Match the heads of two models of an atlas one to one, and find those that changed.

    Args:
        atlas: with the embedding of both models; or its folder or URL.
        a: name of the first model, such as the one before fine-tuning.
        b: name of the second.
        metric: how heads are compared; default: the best that the atlas stores.

    Returns:
        Every head of `a` with its match, its distance and its noise; the prompts on which the
        models differ most.

    Raises:
        InputError: if a model or the metric is not known, or the atlas has one prompt only.
        AtlasError: if the stage `embed` has not run, or a file is damaged.

    Example:
        >>> import attention_motifs as am
        >>> atlas = am.Atlas.open("demo-atlas")
        >>> model = atlas.models[0]
        >>> [head.head for head in am.diff(atlas, model, model).heads if head.changed]
        []
    """
    opened = atlas if isinstance(atlas, Atlas) else Atlas.open(atlas)
    opened.known_models([a, b])
    if int(opened.manifest.prompts["n"]) < 2:
        raise InputError(
            f"{opened.place}: has one prompt, so that the noise of a head cannot be measured. "
            "Build an atlas with two prompts or more"
        )
    metric = opened.best_metric if metric is None else metric
    pair = _Pair(opened, a, b, metric)
    matches, limits = pair.matched(same_layer=False)
    within = pair.matched(same_layer=True)[0] if pair.same_depth else np.full(len(matches), -1)
    noise = split_half_noise(opened, metric, a)
    changes = tuple(
        _change(pair, i, int(matches[i]), int(within[i]), float(limits[i]), float(noise[i]))
        for i in range(len(matches))
    )
    new = tuple(name for j, name in enumerate(pair.names[1]) if j not in set(matches.tolist()))
    prompts = _prompts(opened, pair, matches)
    return ModelDiff(a, b, metric, changes, new, prompts, _sentence(pair, changes, len(new)))


class _Pair:
    """Two models of an atlas: their heads, and the distances between them."""

    def __init__(self, atlas: Atlas, a: str, b: str, metric: str) -> None:
        held = head_distances_of(atlas, metric)
        model = atlas.heads["model"].to_numpy()
        rows = [np.flatnonzero(model == name) for name in (a, b)]
        from_each = [held.rows(r) for r in rows]
        self.models = (a, b)
        self.between: Float[np.ndarray, "first second"] = from_each[0][:, rows[1]]
        self.inside = [d[:, r] for d, r in zip(from_each, rows, strict=True)]
        self.table = [atlas.heads[r.tolist()].to_dicts() for r in rows]
        self.names = [[row["head"] for row in table] for table in self.table]
        self.layers = [np.array([row["layer"] for row in table]) for table in self.table]
        records = [atlas.manifest.models[name] for name in (a, b)]
        self.same_depth = records[0].layers == records[1].layers
        self.same_shape = self.same_depth and records[0].n_heads == records[1].n_heads
        self.n_prompts = int(atlas.manifest.prompts["n"])

    def matched(
        self, *, same_layer: bool
    ) -> tuple[Int[np.ndarray, " first"], Float[np.ndarray, " first"]]:
        """Return the match of every head of the first model, -1 for none, and its threshold."""

        def allowed(left: int, right: int) -> Any:
            layers = self.layers[left][:, None] == self.layers[right][None, :]
            return layers if same_layer else np.ones_like(layers)

        limits = match_limits(self.between, self.inside, allowed)
        preferred = np.eye(len(self.names[0]), dtype=bool) if self.same_shape else None
        matches = match_heads(self.between, limits, allowed=allowed(0, 1), preferred=preferred)
        return matches, limits.max(axis=1)


def split_half_noise(
    atlas: Atlas, metric: str, model: str, *, n_splits: int = N_SPLITS, seed: int = 0
) -> Float[np.ndarray, " heads"]:
    """Return the distance of each head from itself on other prompts.

    The prompts are split at random into halves, and probes too. The patterns of the head on one
    half are compared with those on the other half, by the same metric as heads are.

    Args:
        atlas: with the embedding of the model; two prompts or more.
        metric: name of a metric or preset.
        model: a model of the atlas.
        n_splits: splits over which the distance is averaged.
        seed: seed for the splits.

    Returns:
        (heads,) mean distance over the splits, float64.

    Raises:
        InputError: if the metric is not known.
        AtlasError: if the stage `embed` has not run, or a file is damaged.
    """
    from attention_motifs.distances import candidate_distances
    from attention_motifs.embedding.presets import concatenated, separated

    clouds = clouds_of(atlas, metric, [model])
    segments = clouds.segments
    blocks = separated(clouds.array, segments) if segments else [clouds.array]
    n_heads = clouds.array.shape[1]
    pairs = np.stack([np.arange(n_heads), n_heads + np.arange(n_heads)], axis=1)
    rng = generator(seed, "noise", model)
    total = np.zeros(n_heads)
    for _ in range(n_splits):
        halves = [_halves(block, rng) for block in blocks]
        joined = halves[0]
        if segments:
            shorter = [replace(s, n_stimuli=len(h)) for s, h in zip(segments, halves, strict=True)]
            joined = concatenated(halves, shorter)
        total += candidate_distances(joined, pairs, metric)
    return total / n_splits


def _halves(
    block: Float[np.ndarray, "stimuli heads columns"], rng: np.random.Generator
) -> Float[np.ndarray, "half two_heads columns"]:
    """Return the heads on one half of the stimuli, then the heads on the other half."""
    order = rng.permutation(len(block))
    half = max(1, len(block) // 2)
    return np.concatenate([block[order[:half]], block[order[-half:]]], axis=1)


def _change(
    pair: _Pair, i: int, match: int, within: int, threshold: float, noise: float
) -> HeadChange:
    first, names = pair.table[0][i], pair.names[1]
    reasons, classes, motif, shares = [], None, None, None
    other = match if match >= 0 else i if pair.same_shape else None
    if other is None:
        reasons.append("no match")
    else:
        second = pair.table[1][other]
        if float(pair.between[i, other]) > noise:
            reasons.append("moved")
        classes, differ = _classes(first, second)
        if differ:
            reasons.append("class")
        motif, shares, differ = _motif(first, second, pair.n_prompts)
        if differ:
            reasons.append("motif")
    return HeadChange(
        head=pair.names[0][i],
        match=names[match] if match >= 0 else None,
        distance=float(pair.between[i, match]) if match >= 0 else None,
        threshold=threshold if np.isfinite(threshold) else None,
        noise=noise,
        changed=bool(reasons),
        reasons=tuple(reasons),
        same_layer_match=names[within] if within >= 0 else None,
        place=names[i] if pair.same_shape else None,
        place_distance=float(pair.between[i, i]) if pair.same_shape else None,
        classes=classes,
        motif=motif,
        shares=shares,
    )


def _classes(
    first: Mapping[str, Any], second: Mapping[str, Any]
) -> tuple[tuple[tuple[str, ...], tuple[str, ...]] | None, bool]:
    """Return the computed classes of two heads, and whether one is clearly gained or lost."""
    scored = {
        name: (first[name], second[name])
        for name in CLASS_THRESHOLDS
        if isinstance(first.get(name), float) and isinstance(second.get(name), float)
    }
    if not scored:
        return None, False
    members = [
        tuple(name for name, score in scored.items() if score[k] >= CLASS_THRESHOLDS[name])
        for k in (0, 1)
    ]
    crossed = set(members[0]) ^ set(members[1])
    differ = any(abs(scored[name][0] - scored[name][1]) >= DIFFERENT for name in crossed)
    return (members[0], members[1]), differ


def _motif(
    first: Mapping[str, Any], second: Mapping[str, Any], n_prompts: int
) -> tuple[str | None, tuple[float, float] | None, bool]:
    """Return the motif whose share differs most, its shares, and whether that is a change."""
    shares = {
        name: (first[name + SHARE], second[name + SHARE])
        for name in MOTIFS
        if isinstance(first.get(name + SHARE), float)
        and isinstance(second.get(name + SHARE), float)
    }
    if not shares:
        return None, None, False
    name = max(shares, key=lambda motif: abs(shares[motif][0] - shares[motif][1]))
    spread = first.get(name + SHARE + SPREAD) or 0.0
    # Two halves of n / 2 prompts have means that differ by 2 spreads over the root of n.
    noise = 2 * spread / np.sqrt(n_prompts)
    change = abs(shares[name][0] - shares[name][1])
    return name, shares[name], bool(change >= DIFFERENT and change > noise)


def _prompts(
    atlas: Atlas, pair: _Pair, matches: Int[np.ndarray, " first"]
) -> tuple[PromptChange, ...]:
    """Return the prompts on which matched heads differ most."""
    matched = np.flatnonzero(matches >= 0)
    if not len(matched):
        return ()
    first = atlas.embedded([pair.models[0]])[:, matched].astype(np.float64)
    second = atlas.embedded([pair.models[1]])[:, matches[matched]]
    distances = np.linalg.norm(first - second, axis=2)
    means, table = distances.mean(axis=1), atlas.prompts
    order = np.argsort(-means, kind="stable")[:N_PROMPTS].tolist()
    return tuple(
        PromptChange(
            table["prompt_id"][i],
            " ".join(table["text"][i].split())[:60],
            float(means[i]),
            pair.names[0][matched[int(distances[i].argmax())]],
        )
        for i in order
        if means[i] > 0
    )


def _sentence(pair: _Pair, changes: Sequence[HeadChange], n_new: int) -> str:
    n, matched = len(changes), [c for c in changes if c.match is not None]
    counts = Counter(reason for c in changes for reason in c.reasons)
    names = {
        "moved": "moved farther than their noise",
        "class": "changed class",
        "motif": "changed their motif shares",
        "no match": "without a match or a place",
    }
    n_changed = sum(c.changed for c in changes)
    what = ", ".join(f"{counts[key]} {text}" for key, text in names.items() if counts[key])
    place = ""
    if pair.same_shape:
        place = f", {sum(c.match == c.place for c in matched)} of them at the same place"
    return (
        f"{len(matched)} of {n} heads of {pair.models[0]} have a match in {pair.models[1]}{place}; "
        f"{n - len(matched)} have none. {n_new} heads of {pair.models[1]} are unmatched. "
        f"{n_changed} heads changed" + (f" ({what})." if what else ".")
    )
