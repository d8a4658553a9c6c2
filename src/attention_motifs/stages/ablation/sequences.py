"""The sequences that ablations are measured on: of the atlas, repeated, or long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.errors import InputError
from attention_motifs.stages.ablation.settings import Settings

if TYPE_CHECKING:
    from attention_motifs.behaviour import Design
    from attention_motifs.models.model import LoadedModel

MIN_CALIBRATION, MAX_CALIBRATION = 1, 32
"""Prompts to calibrate on: the least, and as many as are of use."""


def sequences_of(
    atlas: Atlas, loaded: LoadedModel, settings: Settings
) -> tuple[list[Design], np.ndarray[Any, Any]]:
    """Sequences to measure on, and the tokens of other prompts to calibrate on.

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
    from attention_motifs.models.tokenizing import first_token

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
    first = first_token(loaded, atlas.manifest.configuration.bos)
    designs = []
    for name in settings.designs:
        if name == "prompts":
            designs.append(b.prompts_design(chosen[:n]))
        elif name == "repeated":
            rng = generator(settings.seed, "repeated")
            words = b.common_tokens(loaded)
            designs.append(b.repeated_design(words, first, settings.n_sequences, rng))
        else:
            designs.append(b.long_design(_long_texts(atlas, loaded, first, settings)))
        _require_context(loaded, designs[-1])
    return designs, np.array(chosen[n : n + MAX_CALIBRATION], dtype=np.int64)


def _long_texts(
    atlas: Atlas, loaded: LoadedModel, first: int | None, settings: Settings
) -> list[list[int]]:
    """Texts of the atlas long enough by themselves: joined ones would not be one context."""
    from attention_motifs.behaviour.designs import LONG

    found = []
    for text in atlas.prompts["text"].to_list():
        ids = loaded.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        row = ([] if first is None else [first]) + list(ids)
        if len(row) >= LONG:
            found.append(row)
    if len(found) < 2:
        raise InputError(
            f"{atlas.place}: {len(found)} of its texts have the {LONG} tokens that --design long "
            "needs, 2 or more are needed; leave it out, or build with longer texts"
        )
    return found[: settings.n_sequences]


def _require_context(loaded: LoadedModel, design: Design) -> None:
    n = int(design.token_ids.shape[1])
    context = getattr(loaded.model.config, "max_position_embeddings", None)
    if isinstance(context, int) and context < n:
        raise InputError(
            f"{loaded.info.name}: its context is {context} tokens, --design {design.name} needs {n}"
        )
