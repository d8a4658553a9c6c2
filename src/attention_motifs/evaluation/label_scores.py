"""Labels as continuous scores of every head on every label sequence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.errors import InputError
from attention_motifs.evaluation.null import generator
from attention_motifs.evaluation.regression import spearman_rows

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from attention_motifs.evaluation.query_sets import HeadPositions

RANDOM_TOKENS, REPEATED_TEXT, PLAIN_TEXT = "random tokens", "repeated text", "plain text"

LABEL_KINDS: Mapping[str, str] = {
    RANDOM_TOKENS: "random tokens in blocks that repeat, of other lengths than the probes",
    REPEATED_TEXT: "texts that the atlas does not hold, each said twice",
    PLAIN_TEXT: "texts that the atlas does not hold",
}
"""Kinds of labels and their input, in the order of the tables."""

TOP_SHARE = 0.05
"""Share of a model's heads in the class that a score defines."""
MIN_CLASS = 3
"""Smallest class: with two heads, each query has a single relevant head."""

_SPLITS = 20


@dataclass(frozen=True)
class LabelScores:
    """Scores of all heads of one model on the sequences of one kind."""

    model: str
    kind: str
    """A key of `LABEL_KINDS`, or another name for labels of your own."""
    names: tuple[str, ...]
    """Behaviours, in the order of the last axis."""
    scores: Float[np.ndarray, "sequences heads behaviours"]

    def mean(
        self, counts: Int[np.ndarray, " sequences"] | None = None
    ) -> Float[np.ndarray, "heads behaviours"]:
        """Return the mean over the sequences, each counted as often as `counts` says."""
        weights = np.ones(len(self.scores)) if counts is None else np.asarray(counts, float)
        return np.asarray(np.tensordot(weights / weights.sum(), self.scores, axes=1), np.float64)


@dataclass(frozen=True)
class LabelReliability:
    """Agreement of a label with itself, drawn from disjoint halves of its sequences."""

    model: str
    kind: str
    name: str
    n_sequences: int
    spearman: float
    """Mean correlation of the scores of two halves; NaN if a score is constant."""
    jaccard: float
    """Mean overlap (intersection over union) of the classes that two halves define."""


def class_size(n_heads: int) -> int:
    """Return the number of heads in the class of the top 5 %, at least three."""
    return max(MIN_CLASS, round(TOP_SHARE * n_heads))


def top_heads(scores: Float[np.ndarray, " heads"]) -> Bool[np.ndarray, " heads"]:
    """Return the heads with the largest scores: 5 % of them, at least three.

    Equal scores are taken in the order of the heads.
    """
    members = np.zeros(len(scores), dtype=bool)
    members[np.argsort(-scores, kind="stable")[: class_size(len(scores))]] = True
    return members


def jaccard(a: Bool[np.ndarray, " heads"], b: Bool[np.ndarray, " heads"]) -> float:
    """Return intersection over union of two sets of heads; NaN if both are empty."""
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else float("nan")


def label_reliability(labels: Sequence[LabelScores], seed: int = 0) -> tuple[LabelReliability, ...]:
    """Measure how far labels reproduce themselves, over 20 random halves of their sequences."""
    rows = []
    for label in labels:
        n = len(label.scores)
        if n < 2:
            continue
        rng = generator(seed, "label halves", label.model, label.kind)
        correlations = np.empty((_SPLITS, len(label.names)))
        overlaps = np.empty_like(correlations)
        for i in range(_SPLITS):
            order = rng.permutation(n)
            halves = [label.scores[order[: n // 2]], label.scores[order[n // 2 : 2 * (n // 2)]]]
            a, b = (half.mean(axis=0).T for half in halves)
            correlations[i] = spearman_rows(a, b)
            overlaps[i] = [jaccard(top_heads(x), top_heads(y)) for x, y in zip(a, b, strict=True)]
        for k, name in enumerate(label.names):
            rows.append(
                LabelReliability(
                    label.model,
                    label.kind,
                    name,
                    n,
                    float(correlations[:, k].mean()),
                    float(overlaps[:, k].mean()),
                )
            )
    return tuple(rows)


class LabelTable:
    """The label scores of all models by kind and behaviour, in the order of the heads."""

    def __init__(self, labels: Sequence[LabelScores], heads: HeadPositions) -> None:
        """Check the labels.

        Raises:
            InputError: if labels are given twice, of a model without heads, of another number of
                heads, or not finite.
        """
        self.columns: list[tuple[str, str]] = list(
            dict.fromkeys((label.kind, name) for label in labels for name in label.names)
        )
        self._labels = tuple(labels)
        self._heads = heads
        seen = set()
        for label in labels:
            n_heads = len(heads.heads_of(label.model))
            where = f"labels {label.kind!r} of {label.model}"
            if (label.model, label.kind) in seen:
                raise InputError(f"{where} are given twice. Merge the two.")
            seen.add((label.model, label.kind))
            if label.scores.shape[1:] != (n_heads, len(label.names)) or not len(label.scores):
                raise InputError(
                    f"{where} have shape {label.scores.shape}. Give (sequences, {n_heads}, "
                    f"{len(label.names)}), with 1 sequence or more."
                )
            if not np.isfinite(label.scores).all():
                raise InputError(f"{where} hold values that are not finite. Give finite scores.")

    def names_of(self, kind: str) -> tuple[str, ...]:
        """Return the behaviours of a kind of labels, in the order of its scores."""
        return next(label.names for label in self._labels if label.kind == kind)

    def values(
        self, counts: Callable[[str, int], Int[np.ndarray, " sequences"]] | None = None
    ) -> Float[np.ndarray, "columns heads"]:
        """Return the mean score of every head, NaN for heads of models without the label.

        Args:
            counts: a function of the kind and its number of sequences that returns how often each
                sequence counts (default: once).
        """
        values = np.full((len(self.columns), len(self._heads)), np.nan)
        for label in self._labels:
            how_often = None if counts is None else counts(label.kind, len(label.scores))
            rows = self._heads.heads_of(label.model)
            for name, column in zip(label.names, label.mean(how_often).T, strict=True):
                values[self.columns.index((label.kind, name)), rows] = column
        return values
