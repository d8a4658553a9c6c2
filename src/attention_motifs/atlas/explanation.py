"""Explanation of a head in words, with the evidence: the answer of `motifs explain`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas.head_distances import head_distances_of
from attention_motifs.atlas.motif_shares import motif_shares_of
from attention_motifs.atlas.verdicts import (
    DealtLabels,
    Labels,
    ModelVerdicts,
    dealt_labels,
    head_labels,
    model_verdicts,
)
from attention_motifs.evaluation.class_probabilities import UNKNOWN, ClassModel, with_unknown
from attention_motifs.features.motif_definitions import MOTIFS
from attention_motifs.literature import known_heads
from attention_motifs.literature.behaviours import (
    BEHAVIOURS,
    CLASS_THRESHOLDS,
    OF_OUTPUTS,
)
from attention_motifs.notebook import block, table
from attention_motifs.notebook import sentence as sentence_html

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from attention_motifs.atlas.atlas import Atlas
    from attention_motifs.atlas.folder import AtlasFolder
    from attention_motifs.atlas.head_distances import Nearest
    from attention_motifs.head import HeadId

N_NEAREST = 5
"""Labelled heads listed."""
N_PROMPTS = 2
"""Prompts listed at each end."""

_NAMED_FROM = 0.1
"""Smallest share that the sentence names."""

_SHOWN_FROM = 0.01
"""Smallest probability of a class that a notebook shows."""

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


@dataclass(frozen=True, repr=False)
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
        null_percentile: percentile of the number of nearest labelled heads in the class of the
            verdict if labels were dealt within layers.
        would_change: what would change the verdict.
        metric: metric of `nearest` and of the nearness of classes.
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

    @property
    def answer(self) -> str:
        """The verdict with its probability."""
        return self.verdict + ("" if self.probability is None else f" ({self.probability:.2f})")

    def __repr__(self) -> str:
        return f"<Explanation of {self.head}: {self.answer}. {self.sentence}>"

    def _repr_html_(self) -> str:
        prompts = [
            [kind, p.text, p.motif, p.share]
            for kind, listed in (("typical", self.typical), ("unusual", self.departs))
            for p in listed
        ]
        classes = [[name, p] for name, p in self.classes if p >= _SHOWN_FROM]
        nearest = [[x.head, x.distance, ", ".join(x.classes), x.source] for x in self.nearest]
        parts = [sentence_html(self.sentence)]
        for columns, rows in (
            (("class", "probability"), classes),
            (("nearest labelled head", "distance", "classes", "source"), nearest),
            (("behaviour", "score"), list({**self.measured, **self.writes}.items())),
            (("prompt", "first words", "motif that differs most", "share"), prompts),
        ):
            parts += [table(columns, rows)] if rows else []
        return block(f"{self.head}: {self.answer}", *parts, note=self.would_change)


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
    evidence = model_evidence(atlas, atlas.heads["model"][query], metric, head_labels(atlas))
    mask = evidence.labels.in_a_class
    mask[query] = False
    held = head_distances_of(atlas, metric)
    nearest = held.nearest(query, N_NEAREST, mask) if mask.any() else None
    return explained(evidence, query - int(evidence.verdicts.rows[0]), nearest)


def explain_model(
    atlas: AtlasFolder, model: str, metric: str, labels: Labels
) -> Iterator[Explanation]:
    """Explain every head of a model, in the order of `Atlas.heads`; see `explain`.

    In an atlas that stores the nearest heads only, the labelled heads among them are listed.

    Args:
        atlas: with motif shares, and behaviour scores or known heads.
        model: one of its models.
        metric: how heads are compared.
        labels: of the atlas.

    Raises:
        InputError, AtlasError: as `explain`.
    """
    evidence = model_evidence(atlas, model, metric, labels)
    held = head_distances_of(atlas, metric)
    each = held.nearest_of_each(evidence.verdicts.rows, N_NEAREST, labels.in_a_class)
    for place, nearest in enumerate(each):
        yield explained(evidence, place, nearest)


@dataclass(frozen=True)
class ModelEvidence:
    """What the explanations of the heads of one model are made from.

    Attributes:
        atlas: the atlas.
        metric: how heads are compared.
        labels: classes of all heads of the atlas.
        verdicts: of the heads of the model.
        shares: (prompts, heads, motifs) of the model, float64.
        dealt: labels of the other models by layer.
        known: statements of the literature by head, of each model that was asked for.
    """

    atlas: AtlasFolder
    metric: str
    labels: Labels
    verdicts: ModelVerdicts
    shares: Float[np.ndarray, "prompts heads motifs"]
    dealt: DealtLabels
    known: dict[str, dict[str, list[dict[str, str]]]] = field(default_factory=dict)

    def known_of(self, row: Mapping[str, Any]) -> list[dict[str, str]]:
        """Return the statements of the literature about a head: class, paper, url, conflict.

        Args:
            row: of the head in the table of heads.
        """
        if not row["classes"]:  # the literature need not be read
            return []
        model = row["model"]
        if model not in self.known:
            by_head: dict[str, list[dict[str, str]]] = {}
            for known in known_heads(model, self.atlas.paths.own_classes).iter_rows(named=True):
                keys = ("class", "paper", "url", "evidence", "conflict")
                by_head.setdefault(known["head"], []).append({key: known[key] for key in keys})
            self.known[model] = by_head
        return self.known[model].get(row["head"], [])


def model_evidence(atlas: AtlasFolder, model: str, metric: str, labels: Labels) -> ModelEvidence:
    """Collect what the explanations of the heads of one model are made from.

    Args:
        atlas: with motif shares, and behaviour scores or known heads.
        model: one of its models.
        metric: how heads are compared.
        labels: of the atlas.

    Raises:
        InputError: if the metric is not known.
        AtlasError: if the atlas lacks motif shares, or a file is damaged.
    """
    verdicts = model_verdicts(atlas, model, metric, labels)
    shares = motif_shares_of(atlas, model).astype(np.float64)
    return ModelEvidence(
        atlas, metric, labels, verdicts, shares, dealt_labels(atlas, labels, model)
    )


def explained(evidence: ModelEvidence, place: int, nearest: Nearest | None) -> Explanation:
    """Return the explanation of one head of a model.

    Args:
        evidence: of the model.
        place: number of the head in the model.
        nearest: labelled heads nearest to it.
    """
    verdicts = evidence.verdicts
    row = evidence.atlas.heads.row(int(verdicts.rows[place]), named=True)
    verdict, probability = verdicts.verdict(place)
    shares = evidence.shares[:, place]
    mean, spread = _mean_and_spread(shares)
    typical, departs = _prompts(evidence.atlas, shares)
    ranked = sorted(
        zip(verdicts.names, verdicts.probabilities[place].tolist(), strict=True),
        key=lambda pair: -pair[1],
    )
    return Explanation(
        head=row["head"],
        verdict=verdict,
        probability=probability if verdicts.fitted else None,
        classes=ranked if verdicts.fitted else [],
        motifs=dict(zip(MOTIFS, mean.tolist(), strict=True)),
        spread=dict(zip(MOTIFS, spread.tolist(), strict=True)),
        nearest=_nearest(evidence, nearest),
        sentence=sentence(mean, spread, len(shares)),
        measured={n: row[n] for n in BEHAVIOURS if row.get(n) is not None and n not in OF_OUTPUTS},
        known=evidence.known_of(row),
        writes=_writes(evidence.atlas, row),
        typical=typical,
        departs=departs,
        null_percentile=evidence.dealt.percentile(verdicts.voters[place], verdict),
        would_change=would_change(verdicts, place),
        metric=evidence.metric,
    )


def _mean_and_spread(
    shares: Float[np.ndarray, "prompts motifs"],
) -> tuple[Float[np.ndarray, " motifs"], Float[np.ndarray, " motifs"]]:
    """Return mean and standard deviation over the prompts with finite shares; 0 without any."""
    finite = shares[np.isfinite(shares).all(axis=1)]
    if not len(finite):
        return np.zeros(shares.shape[1]), np.zeros(shares.shape[1])
    return finite.mean(axis=0), finite.std(axis=0)


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
    between = [f" ± {100 * s:.0f}" if n_prompts > 1 else "" for s in spread]
    parts = [f"{_GOES_TO[names[i]]} ({100 * mean[i]:.0f} %{between[i]})" for i in named]
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    prompts = f"{n_prompts} prompts" if n_prompts != 1 else "one prompt"
    return (
        f"On {prompts}, it attends to {listed}; no motif explains {100 * mean[residual]:.0f} % of "
        "its attention."
    )


def would_change(verdicts: ModelVerdicts, place: int) -> str:
    """Return what would change the verdict on a head: nearest heads of a class elsewhere.

    Args:
        verdicts: of the heads of its model.
        place: number of the head among them.
    """
    if verdicts.fitted is None:
        return "Labelled heads of another model: add a scored model to the atlas."
    verdict, _ = verdicts.verdict(place)
    if not len(verdicts.voters[place]):
        return "Other motif shares; this atlas holds no distances of all pairs."
    names = [name for name in verdicts.names if name != UNKNOWN]
    tried = list(range(len(names))) if verdict == UNKNOWN else [names.index(verdict)]
    changed = _changed(verdicts, verdicts.fitted, place, tried)
    changes = [
        (abs(step), step, names[c])
        for c, of_class in zip(tried, changed, strict=True)
        for step in _STEPS[of_class][:1].tolist()
    ]
    if not changes:
        return "Nearer or farther heads alone would not change it: its motif shares decide."
    _, change, name = min(changes)
    return (
        f"The verdict would change if the nearest labelled {name} heads were "
        f"{np.exp(change):.2g} times as far as they are."
    )


_STEPS = np.array([0.05 * k * sign for k in range(1, 61) for sign in (-1, 1)])
"""Changes of the logarithm of a ratio of distances that are tried, smallest first."""


def _changed(
    verdicts: ModelVerdicts, fitted: ClassModel, place: int, classes: Sequence[int]
) -> Bool[np.ndarray, "classes steps"]:
    """Return which steps of the nearness of each class give another verdict.

    Args:
        verdicts: of the heads of a model.
        fitted: its regressions.
        place: number of the head among them.
        classes: numbers of the classes whose nearness changes.
    """
    at = len(MOTIFS) + np.array(classes, dtype=np.int64)
    numbers = np.tile(verdicts.numbers[place], (len(classes), len(_STEPS), 1))
    numbers[np.arange(len(classes)), :, at] += _STEPS
    probabilities = fitted.probabilities(numbers.reshape(-1, numbers.shape[2]))
    best = np.argmax(with_unknown(probabilities), axis=1).reshape(len(classes), -1)
    now = int(np.argmax(verdicts.probabilities[place]))
    return np.asarray(best != now)


def _nearest(evidence: ModelEvidence, nearest: Nearest | None) -> list[LabelledHead]:
    if nearest is None:
        return []
    labels, listed = evidence.labels, []
    for head, distance in zip(nearest.heads.tolist(), nearest.distances.tolist(), strict=True):
        row = evidence.atlas.heads.row(head, named=True)
        names = tuple(n for n, member in zip(labels.names, labels.members[head], strict=True)
                      if member)  # fmt: skip
        papers = [f"{k['paper']} {k['url']}" for k in evidence.known_of(row)]
        scores = [
            f"{name} score {row[name]:.2f}"
            for name in names
            if name in CLASS_THRESHOLDS and row.get(name) is not None
        ]
        listed.append(
            LabelledHead(row["head"], float(distance), names, "; ".join([*papers, *scores]))
        )
    return listed


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
    differences = shares - _mean_and_spread(shares)[0]
    departures = np.abs(differences).sum(axis=1) / 2
    order = [i for i in np.argsort(departures, kind="stable").tolist() if departures[i] >= 0]
    n, names = min(N_PROMPTS, len(order) // 2), list(MOTIFS)

    def described(i: int) -> PromptOfHead:
        motif = int(np.argmax(np.abs(differences[i])))
        row = atlas.prompts.row(i, named=True)
        text = " ".join(row["text"].split())[:60]
        return PromptOfHead(
            row["prompt_id"], text, float(departures[i]), names[motif], float(shares[i, motif])
        )

    return [described(i) for i in order[:n]], [described(i) for i in order[::-1][:n]]
