"""Stimuli of an atlas: what its models are run on, and the files that hold what they do on it.

Prompts are texts. Probes are sequences of token ids, such as repeated random tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from attention_motifs.errors import InputError

if TYPE_CHECKING:
    from attention_motifs.store.manifest import Manifest

N_VIEW_PROBES = 4
"""Number of probes, and of probes of a user, whose patterns are stored for viewing."""

Name = Literal["prompts", "probes"]


@dataclass(frozen=True)
class Stimuli:
    """One kind of stimuli, with the artefacts of `store.paths` that belong to it."""

    name: Name
    table: str
    """Artefact with the stimuli, before they become tokens."""
    tokens: str
    """Artefact with the tokens of a model."""
    features: str
    patterns: str
    stage: str
    """Stage that makes them: its entries in the journal are `stage:model`."""

    def count(self, manifest: Manifest) -> int:
        """Return the number of stimuli of this kind."""
        return int((manifest.prompts if self is PROMPTS else manifest.probes)["n"])

    def journal(self, model: str) -> str:
        """Return the name of the entry in the journal for one model."""
        return f"{self.stage}:{model}"


PROMPTS = Stimuli("prompts", "prompts", "tokens", "features", "patterns", "extract")
PROBES = Stimuli("probes", "probes", "probe_sequences", "probe_features", "probe_patterns", "probe")

STIMULI = {stimuli.name: stimuli for stimuli in (PROMPTS, PROBES)}


def get_stimuli(name: str) -> Stimuli:
    """Return a kind of stimuli by its name.

    Raises:
        InputError: if there is no such kind.
    """
    for stimuli in STIMULI.values():
        if stimuli.name == name:
            return stimuli
    raise InputError(f"stimuli {name!r} are not known: choose {' or '.join(STIMULI)}.")
