"""Explanation of a head in words, with the evidence: the answer of `motifs explain`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas.head_distances import head_distances_of
from attention_motifs.atlas.motif_shares import motif_shares_of
from attention_motifs.atlas.verdicts import (
    Labels,
    ModelVerdicts,
    head_labels,
    model_verdicts,
    null_percentile,
)
from attention_motifs.evaluation.class_probabilities import UNKNOWN, ClassModel, with_unknown
from attention_motifs.features.motif_definitions import MOTIFS
from attention_motifs.literature import known_heads
from attention_motifs.literature.behaviours import (
    BEHAVIOURS,
    CLASS_THRESHOLDS,
    OF_OUTPUTS,
)

if TYPE_CHECKING:
    from jaxtyping import Float

    from attention_motifs.atlas.atlas import Atlas
    from attention_motifs.atlas.folder import AtlasFolder
    from attention_motifs.head import HeadId

N_NEAREST = 5
"""Labelled heads listed."""
N_PROMPTS = 2
"""Prompts listed at each end."""

_NAMED_FROM = 0.1
"""Smallest share that the sentence names."""

_GOES_TO = {
    "first token": "the first token",
    "self": "the token itself",
    "previous token": "the token before",
    "same token": "earlier occurrences of the same token",
    "after same token": "the tokens that followed earlier occurrences of the same token",
    "separators": "punctuation and line breaks",
    "fixed offset": "the token a fixed number of places back",
    "local window": "the last 8 tokens",
    "uniform": "all tokens evenly",
    "residual": "tokens that no motif explains",
}


@dataclass(frozen=True)
class LabelledHead:
    """A labelled head near the head that is explained.

    Attributes:
        head: its name.
        distance: distance by the metric of the explanation.
        classes: its classes, or none.
        source: paper and address, or the measured score.
    """

    head: str
    distance: float
    classes: tuple[str, ...]
    source: str


@dataclass(frozen=True)
class PromptOfHead:
    """A prompt and how far the head's motif shares on it are from their mean.

    Attributes:
        prompt_id: the prompt.
        text: its first words.
        departure: half the sum of the absolute differences of the shares, 0 to 1.
        motif: the motif that differs most.
        share: share of this motif on the prompt.
    """

    prompt_id: str
    text: str
    departure: float
    motif: str
    share: float


@dataclass(frozen=True)
class Explanation:
    """What a head does, with the evidence; every number is of the atlas.

    Attributes:
        head: name of the head.
        verdict: most probable class, or `unknown`.
        probability: probability of the verdict; None if no other model has labelled heads.
        classes: classes and their probabilities, largest first, `unknown` included.
        motifs: mean share of each motif over the prompts; they sum to 1.
        spread: standard deviation of each share over the prompts.
        nearest: labelled heads nearest to it, of any model.
        sentence: what its patterns do.
        measured: behaviour scores of the head itself, if it was scored.
        known: statements of the literature about this head: class, paper, url, conflict.
        writes: scores of what the head writes, and effects of ablating it, by name.
        typical: prompts on which its shares are nearest to their mean.
        departs: prompts on which they are farthest.
        null_percentile: percentile of the votes for the verdict if labels were dealt within layers.
        would_change: what would change the verdict.
        metric: metric of `nearest` and of the votes.
    """

    head: str
    verdict: str
    probability: float | None
    classes: list[tuple[str, float]]
    motifs: dict[str, float]
    spread: dict[str, float]
    nearest: list[LabelledHead]
    sentence: str
    measured: dict[str, float]
    known: list[dict[str, str]]
    writes: dict[str, float]
    typical: list[PromptOfHead]
    departs: list[PromptOfHead]
    null_percentile: float | None
    would_change: str
    metric: str

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object; the classes and the nearest heads are lists of objects."""
        value = asdict(self)
        value["classes"] = [{"class": name, "probability": p} for name, p in self.classes]
        value["nearest"] = [
            {
                "head": near.head,
                "distance": near.distance,
                "class": ", ".join(near.classes) or "none",
                "source": near.source,
            }
            for near in self.nearest
        ]
        return value


def explain(atlas: Atlas, head: str | HeadId, metric: str | None = None) -> Explanation:
    """Explain a head: its motifs, its class with a probability, and the evidence for both.

    Args:
        atlas: with motif shares, and behaviour scores or known heads.
        head: the head, in any spelling.
        metric: how heads are compared; default: the best metric that the atlas stores.

    Raises:
        HeadNotFoundError: if the atlas does not hold the head.
        InputError: if the metric is not known.
        AtlasError: if the atlas lacks motif shares, or a file is damaged.
    """
    metric = atlas.best_metric if metric is None else metric
    query = atlas.head_index(head)
    row = atlas.heads.row(query, named=True)
    labels = head_labels(atlas)
    verdicts = model_verdicts(atlas, row["model"], metric, labels)
    place = query - int(verdicts.rows[0])
    verdict, probability = verdicts.verdict(place)
    shares = motif_shares_of(atlas, row["model"])[:, place].astype(np.float64)
    typical, departs = _prompts(atlas, shares)
    ranked = sorted(
        zip(verdicts.names, verdicts.probabilities[place].tolist(), strict=True),
        key=lambda pair: -pair[1],
    )
    return Explanation(
        head=row["head"],
        verdict=verdict,
        probability=probability if verdicts.fitted else None,
        classes=ranked if verdicts.fitted else [],
        motifs=dict(zip(MOTIFS, np.nanmean(shares, axis=0).tolist(), strict=True)),
        spread=dict(zip(MOTIFS, np.nanstd(shares, axis=0).tolist(), strict=True)),
        nearest=_nearest(atlas, query, metric, labels),
        sentence=sentence(np.nanmean(shares, axis=0), np.nanstd(shares, axis=0), len(shares)),
        measured={n: row[n] for n in BEHAVIOURS if row.get(n) is not None and n not in OF_OUTPUTS},
        known=_known(atlas, row["model"], row["head"]),
        writes=_writes(atlas, row),
        typical=typical,
        departs=departs,
        null_percentile=null_percentile(
            labels, atlas, verdicts.voters[place], verdict, row["model"]
        ),
        would_change=would_change(verdicts, place),
        metric=metric,
    )


def sentence(
    mean: Float[np.ndarray, " motifs"], spread: Float[np.ndarray, " motifs"], n_prompts: int
) -> str:
    """Return one sentence about the largest shares.

    Args:
        mean: mean share of each motif, in the order of `MOTIFS`.
        spread: standard deviation of each.
        n_prompts: number of prompts.
    """
    names = list(MOTIFS)
    residual = names.index("residual")
    order = [int(i) for i in np.argsort(-mean, kind="stable") if int(i) != residual]
    named = [i for i in order if mean[i] >= _NAMED_FROM][:4] or order[:1]
    parts = [f"{_GOES_TO[names[i]]} ({100 * mean[i]:.0f} % ± {100 * spread[i]:.0f})" for i in named]
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    prompts = f"{n_prompts} prompts" if n_prompts != 1 else "one prompt"
    return (
        f"On {prompts}, it attends to {listed}; no motif explains {100 * mean[residual]:.0f} % of "
        "its attention."
    )


def would_change(verdicts: ModelVerdicts, place: int) -> str:
    """Return what would change the verdict on a head: how its nearest labelled heads would vote.

    Args:
        verdicts: of the heads of its model.
        place: number of the head among them.
    """
    if verdicts.fitted is None:
        return "Labelled heads of another model: add a scored model to the atlas."
    verdict, _ = verdicts.verdict(place)
    n_voters = len(verdicts.voters[place])
    if not n_voters:
        return "Other motif shares; in this atlas neighbours do not vote."
    names = [name for name in verdicts.names if name != UNKNOWN]
    best: tuple[int, str] | None = None
    for name in names if verdict == UNKNOWN else [verdict]:
        at = names.index(name)
        votes = round(float(verdicts.votes[place, at]) * n_voters)
        targets = range(votes + 1, n_voters + 1) if verdict == UNKNOWN else range(votes - 1, -1, -1)
        for target in targets:
            if _verdict_with(verdicts, verdicts.fitted, place, at, target / n_voters) != verdict:
                if best is None or abs(target - votes) < best[0]:
                    best = (
                        abs(target - votes),
                        f"{target} of its {n_voters} nearest labelled "
                        f"heads were {name} heads instead of {votes}",
                    )
                break
    if best is None:
        return "No vote of its nearest labelled heads alone; its motif shares decide."
    return f"The verdict would change if {best[1]}."


def _verdict_with(
    verdicts: ModelVerdicts, fitted: ClassModel, place: int, at: int, vote: float
) -> str:
    numbers = verdicts.numbers[place : place + 1].copy()
    numbers[0, len(MOTIFS) + at] = vote
    return verdicts.names[int(np.argmax(with_unknown(fitted.probabilities(numbers))))]


def _nearest(atlas: AtlasFolder, query: int, metric: str, labels: Labels) -> list[LabelledHead]:
    mask = labels.in_a_class.copy()
    mask[query] = False
    if not mask.any():
        return []
    nearest = head_distances_of(atlas, metric).nearest(query, N_NEAREST, mask)
    labelled = []
    for head, distance in zip(nearest.heads.tolist(), nearest.distances.tolist(), strict=True):
        row = atlas.heads.row(head, named=True)
        names = tuple(np.array(labels.names, dtype=object)[labels.members[head]])
        papers = [f"{k['paper']} {k['url']}" for k in _known(atlas, row["model"], row["head"])]
        scores = [
            f"{name} score {row[name]:.2f}"
            for name in names
            if name in CLASS_THRESHOLDS and row.get(name) is not None
        ]
        labelled.append(
            LabelledHead(row["head"], float(distance), names, "; ".join([*papers, *scores]))
        )
    return labelled


def _known(atlas: AtlasFolder, model: str, head: str) -> list[dict[str, str]]:
    table = known_heads(model, atlas.paths.own_classes)
    return [
        {key: row[key] for key in ("class", "paper", "url", "evidence", "conflict")}
        for row in table.filter(table["head"] == head).iter_rows(named=True)
    ]


def _writes(atlas: AtlasFolder, row: dict[str, Any]) -> dict[str, float]:
    """Return the scores of the head's output, and the effects of ablating it alone."""
    written = {name: row[name] for name in OF_OUTPUTS if row.get(name) is not None}
    if atlas.file("ablations").is_file():
        table = atlas.ablations
        effects = table.filter((table["kind"] == "head") & (table["name"] == row["head"]))
        for effect in effects.iter_rows(named=True):
            name = f"ablation ({effect['method']}): {effect['measure']}, {effect['design']}"
            if effect["effect"] is not None:
                written[name] = effect["effect"]
    return written


def _prompts(
    atlas: AtlasFolder, shares: Float[np.ndarray, "prompts motifs"]
) -> tuple[list[PromptOfHead], list[PromptOfHead]]:
    """Return the prompts whose shares are nearest to the mean, and those farthest from it."""
    differences = shares - np.nanmean(shares, axis=0)
    departures = np.nansum(np.abs(differences), axis=1) / 2
    order = np.argsort(departures, kind="stable").tolist()
    names = list(MOTIFS)
    prompts = []
    for i in order:
        motif = int(np.nanargmax(np.abs(differences[i])))
        row = atlas.prompts.row(i, named=True)
        text = " ".join(row["text"].split())[:60]
        prompts.append(
            PromptOfHead(
                row["prompt_id"], text, float(departures[i]), names[motif], float(shares[i, motif])
            )
        )
    n = min(N_PROMPTS, len(prompts) // 2)
    return prompts[:n], prompts[::-1][:n]
