"""Comparison of two heads: the motifs, features and prompts that make them near or far."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas.head_distances import head_distances_of
from attention_motifs.atlas.queries import head_feature_means
from attention_motifs.atlas.verdicts import mean_shares
from attention_motifs.errors import InputError
from attention_motifs.features.motif_definitions import MOTIFS
from attention_motifs.notebook import block, sentence, table

if TYPE_CHECKING:
    from attention_motifs.atlas.atlas import Atlas
    from attention_motifs.atlas.folder import AtlasFolder
    from attention_motifs.head import HeadId

N_LISTED = 5
"""Features listed of each kind."""
N_PROMPTS = 3
"""Prompts listed at each end."""

_DIFFERENT = 0.1
"""Smallest difference of shares that the sentence names."""


@dataclass(frozen=True)
class PairOnPrompt:
    """Two heads on one prompt.

    Attributes:
        prompt_id: the prompt.
        text: its first words.
        distance: distance of the two embedded patterns (the term of the paper's Eq. 3).
    """

    prompt_id: str
    text: str
    distance: float


@dataclass(frozen=True)
class PairOnFeature:
    """Two heads in one feature: z-scores of their means among the means of all heads."""

    feature: str
    head: float
    other: float


@dataclass(frozen=True, repr=False)
class Why:
    """What makes two heads near or far.

    Attributes:
        head: name of the first head.
        other: name of the second.
        metric: how they are compared.
        distance: by this metric.
        percentile: share of the other heads of the atlas that are nearer to `head` than `other` is,
            in percent.
        motifs: share of each motif in the patterns of `head` and of `other`.
        alike: features in which both differ from the other heads in the same way, most first.
        apart: features in which they differ most from each other.
        near_prompts: prompts on which their patterns are nearest.
        far_prompts: prompts on which they are farthest.
        sentence: the answer in words.
    """

    head: str
    other: str
    metric: str
    distance: float
    percentile: float
    motifs: dict[str, tuple[float, float]]
    alike: list[PairOnFeature]
    apart: list[PairOnFeature]
    near_prompts: list[PairOnPrompt]
    far_prompts: list[PairOnPrompt]
    sentence: str

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(self)

    def __repr__(self) -> str:
        return f"<Why {self.head} and {self.other}: {self.sentence}>"

    def _repr_html_(self) -> str:
        features = [
            [kind, pair.feature, pair.head, pair.other]
            for kind, pairs in (("alike", self.alike), ("apart", self.apart))
            for pair in pairs
        ]
        prompts = [
            [kind, pair.text, pair.distance]
            for kind, pairs in (("near", self.near_prompts), ("far", self.far_prompts))
            for pair in pairs
        ]
        motifs = [[name, *pair] for name, pair in self.motifs.items()]
        return block(
            f"{self.head} and {self.other}: {self.distance:.4g} by {self.metric}",
            sentence(self.sentence),
            table(["motif", self.head, self.other], motifs),
            table(["z-scores", "feature", self.head, self.other], features),
            table(["patterns", "prompt", "distance"], prompts),
        )


def why(atlas: Atlas, head: str | HeadId, other: str | HeadId, metric: str | None = None) -> Why:
    """Compare two heads: which motifs, features and prompts make them near or far.

    Args:
        atlas: with its embedding and motif shares.
        head: a head, in any spelling.
        other: another one.
        metric: how they are compared; default: the best metric that the atlas stores.

    Raises:
        HeadNotFoundError: if the atlas does not hold one of them.
        InputError: if both are the same, or the metric is not known.
        AtlasError: if the atlas lacks the embedding or motif shares, or a file is damaged.
    """
    metric = atlas.best_metric if metric is None else metric
    a, b = atlas.head_index(head), atlas.head_index(other)
    names: list[str] = atlas.heads["head"].to_list()
    if a == b:
        raise InputError(f"{names[a]}: both heads are the same; name two heads")
    row = head_distances_of(atlas, metric).row(a)
    others = np.delete(row, a)
    percentile = float(100 * np.mean(others < row[b]))
    shares = mean_shares(atlas)[[a, b]]
    motifs = {name: (float(shares[0, i]), float(shares[1, i])) for i, name in enumerate(MOTIFS)}
    alike, apart = _features(atlas, a, b)
    prompts = _prompts(atlas, a, b)
    n = min(N_PROMPTS, len(prompts) // 2)
    return Why(
        names[a],
        names[b],
        metric,
        float(row[b]),
        percentile,
        motifs,
        alike,
        apart,
        prompts[:n],
        prompts[::-1][:n],
        _sentence(percentile, motifs),
    )


def _features(
    atlas: AtlasFolder, a: int, b: int
) -> tuple[list[PairOnFeature], list[PairOnFeature]]:
    names = atlas.embedding().feature_names
    means = head_feature_means(atlas, names)
    spread = means.std(axis=0)
    z = np.divide(
        means - means.mean(axis=0), spread, out=np.zeros_like(means), where=spread > 1e-12
    )
    same = np.where(z[a] * z[b] > 0, np.minimum(np.abs(z[a]), np.abs(z[b])), 0.0)
    different = np.abs(z[a] - z[b])

    def listed(size: Any) -> list[PairOnFeature]:
        order = np.argsort(-size, kind="stable")[:N_LISTED]
        return [
            PairOnFeature(names[i], float(z[a, i]), float(z[b, i])) for i in order if size[i] > 0
        ]

    return listed(same), listed(different)


def _prompts(atlas: AtlasFolder, a: int, b: int) -> list[PairOnPrompt]:
    """Return all prompts, those on which the patterns are nearest first."""
    models = atlas.heads["model"].to_list()
    clouds = []
    for row in (a, b):
        place = row - models.index(models[row])
        clouds.append(atlas.embedded([models[row]])[:, place].astype(np.float64))
    distances = np.linalg.norm(clouds[0] - clouds[1], axis=1)
    table = atlas.prompts
    prompts = []
    for i in np.argsort(distances, kind="stable").tolist():
        text = " ".join(table["text"][i].split())[:60]
        prompts.append(PairOnPrompt(table["prompt_id"][i], text, float(distances[i])))
    return prompts


def _sentence(percentile: float, motifs: dict[str, tuple[float, float]]) -> str:
    common = {name: min(pair) for name, pair in motifs.items() if name != "residual"}
    shared = max(common, key=lambda name: common[name])
    overlap = sum(min(pair) for pair in motifs.values())
    differing = [
        f"{name} ({100 * a:.0f} and {100 * b:.0f} %)"
        for name, (a, b) in sorted(motifs.items(), key=lambda item: -abs(item[1][0] - item[1][1]))
        if abs(a - b) >= _DIFFERENT
    ][:3]
    differences = f"they differ in {', '.join(differing)}" if differing else "no motif differs much"
    return (
        f"{percentile:.0f} % of the other heads are nearer. Their motif shares agree in "
        f"{100 * overlap:.0f} % of their attention, most of all in {shared}; {differences}."
    )
