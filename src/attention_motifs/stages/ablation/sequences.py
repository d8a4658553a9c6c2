"""The sequences that ablations are measured on, and those that they are calibrated on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.errors import InputError
from attention_motifs.stages.ablation.settings import Settings

if TYPE_CHECKING:
    from jaxtyping import Int

    from attention_motifs.behaviour import Design
    from attention_motifs.models.model import LoadedModel

MIN_CALIBRATION, MAX_CALIBRATION = 1, 32
"""Sequences to calibrate on: the least, and as many as are of use."""

_NAMES = {"prompts": "prompts", "repeated": "repeated sequences", "long": "long texts"}


@dataclass(frozen=True)
class DesignSequences:
    """Sequences of one design that are measured, and other ones to calibrate on.

    A mean over another design would replace a head's output by one that it never has on this
    design, and so exaggerate the effect.
    """

    design: Design
    calibration: Int[np.ndarray, "others n"]
    """Token ids of sequences that are not measured."""

    def reference(self, method: str) -> str:
        """Describe what replaces the outputs, such as `mean over 32 other prompts`."""
        name = _NAMES[self.design.name]
        others = f"{len(self.calibration)} other {name}"
        return {
            "mean": f"mean over {others}",
            "mean-position": f"mean by position over {others}",
            "resample": f"output on one of the other {name}",
            "zero": "zero",
            "pattern-preserving": "zero, patterns held",
        }[method]


def sequences_of(atlas: Atlas, loaded: LoadedModel, settings: Settings) -> list[DesignSequences]:
    """Return the sequences of each design.

    Args:
        atlas: with the model's tokens.
        loaded: the model.
        settings: designs, number of sequences and seed.

    Raises:
        InputError: if the atlas has too few prompts of full length or, for the design `long`, too
            few long texts; or if the model's context is too short.
    """
    from attention_motifs import behaviour as b
    from attention_motifs.evaluation.null import generator
    from attention_motifs.models.tokenizing import prefix_tokens

    table = atlas.tokens(loaded.info.name)
    rows: list[list[int]] = table["token_ids"].to_list()
    longest = max(len(row) for row in rows)
    full = [row for row in rows if len(row) == longest]
    order = generator(settings.seed, "prompts").permutation(len(full))
    n = min(settings.n_sequences, len(full) - MIN_CALIBRATION)
    if n < 2:
        raise InputError(
            f"{atlas.place}: {len(full)} prompts have the full {longest} tokens, 3 or more are "
            "needed to ablate; build with more or longer prompts"
        )
    chosen = [full[i] for i in order]
    prefix = prefix_tokens(loaded, atlas.manifest.configuration.bos)
    sequences = []
    for name in settings.designs:
        if name == "prompts":
            of_design = DesignSequences(
                b.prompts_design(chosen[:n]), _rows(chosen[n : n + MAX_CALIBRATION])
            )
        elif name == "repeated":
            words = b.common_tokens(loaded)
            measured, others = (
                b.repeated_design(words, prefix, size, generator(settings.seed, *names))
                for size, *names in (
                    (settings.n_sequences, "repeated"),
                    (MAX_CALIBRATION, "repeated", "calibration"),
                )
            )
            of_design = DesignSequences(measured, others.token_ids)
        else:
            of_design = _long(_long_texts(atlas, loaded, prefix), settings)
        _require_context(loaded, of_design.design)
        sequences.append(of_design)
    return sequences


def _rows(token_ids: Sequence[Sequence[int]]) -> Int[np.ndarray, "rows n"]:
    return np.array(token_ids, dtype=np.int64)


def _long(texts: list[list[int]], settings: Settings) -> DesignSequences:
    """Split long texts into those that are measured and those to calibrate on."""
    from attention_motifs.behaviour import long_design

    n = min(settings.n_sequences, len(texts) - MIN_CALIBRATION)
    measured = long_design(texts[:n])
    return DesignSequences(measured, long_design(texts[n : n + MAX_CALIBRATION]).token_ids)


def _long_texts(atlas: Atlas, loaded: LoadedModel, prefix: Sequence[int]) -> list[list[int]]:
    """Texts of the atlas long enough by themselves: joined ones would not be one context."""
    from attention_motifs.behaviour.designs import LONG

    rows = []
    for text in atlas.prompts["text"].to_list():
        ids = loaded.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        row = [*prefix, *ids]
        if len(row) >= LONG:
            rows.append(row)
    if len(rows) < 2 + MIN_CALIBRATION:
        raise InputError(
            f"--design long: {len(rows)} texts of {atlas.place} have the {LONG} tokens that it "
            f"needs, of {2 + MIN_CALIBRATION} or more. Leave it out, or build an atlas with longer "
            "texts."
        )
    return rows


def _require_context(loaded: LoadedModel, design: Design) -> None:
    n = int(design.token_ids.shape[1])
    context = getattr(loaded.model.config, "max_position_embeddings", None)
    if isinstance(context, int) and context < n:
        raise InputError(
            f"{loaded.info.name}: its context is {context} tokens, --design {design.name} needs {n}"
        )
