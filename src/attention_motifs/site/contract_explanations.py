"""The fields of a head's explanation in an exported site; see `attention_motifs.site.contract`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Motif:
    """A part of attention patterns: attention to one kind of tokens."""

    name: str
    meaning: str
    colour: str


@dataclass(frozen=True)
class ClassProbability:
    """A class and its probability for a head; those of a head need not sum to 1."""

    name: str
    probability: float


@dataclass(frozen=True)
class LabelledNeighbour:
    """A labelled head near another one."""

    row: int
    distance: float
    classes: list[str]
    source: str
    """Papers with their addresses, and measured scores."""


@dataclass(frozen=True)
class PromptOfHead:
    """A prompt, and how far the motif shares of a head on it are from their mean."""

    prompt: int
    """Index into the list of prompts."""
    departure: float
    """Half the sum of the absolute differences of the shares, 0 to 1."""
    motif: str
    """The motif that differs most."""
    share: float
    """Its share on the prompt."""


@dataclass(frozen=True)
class HeadExplanation:
    """What a head does, with the evidence, as `motifs explain` prints it."""

    sentence: str
    verdict: str
    probability: float | None
    """None if no other model has labelled heads."""
    classes: list[ClassProbability]
    """Largest first, `unknown` included; without classes below 0.5 %."""
    shares: list[float]
    """Mean share of each motif over the prompts, in the order of `Manifest.motifs`."""
    spreads: list[float]
    """Their standard deviations."""
    nearest: list[LabelledNeighbour]
    writes: dict[str, float]
    """Scores of what the head writes, and effects of ablating it."""
    typical: list[PromptOfHead]
    departs: list[PromptOfHead]
    viewed: list[int]
    """Indices of the viewable prompts, those first on which the shares are nearest to the mean."""
    null_percentile: float | None
    """Percentile of its labelled neighbours in the class if labels were dealt within layers."""
    would_change: str
