"""Readings as bytes for the page of the user's own text (`site.contract_live`)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.atlas.text_difference import difference
from attention_motifs.site.contract_live import LiveAnswer, LiveDifference, LiveReading
from attention_motifs.store.packed_patterns import pack_triangles

if TYPE_CHECKING:
    from jaxtyping import Float

    from attention_motifs.atlas.text_patterns import Reading


def answer_bytes(readings: Sequence[Sequence[Reading]]) -> bytes:
    """Return the answer to one text, or to two.

    Args:
        readings: of each text, one per model; the models are the same.
    """
    pairs = zip(*readings, strict=True) if len(readings) == 2 else ()
    answer = LiveAnswer(
        [_reading(one, text) for text, of_text in enumerate(readings) for one in of_text],
        [_difference(one, other) for one, other in pairs],
    )
    header = json.dumps(asdict(answer), ensure_ascii=True, separators=(",", ":")).encode()
    patterns = [
        pack_triangles(layer).tobytes()
        for of_text in readings
        for one in of_text
        for layer in one.layers
    ]
    return b"".join([len(header).to_bytes(4, "little"), header, *patterns])


def _reading(reading: Reading, text: int) -> LiveReading:
    unusual = reading.unusual
    relative = None
    if unusual is not None:
        usual = unusual.usual
        ones = np.ones_like(usual)  # of a head whose patterns never change
        relative = np.divide(unusual.distance, usual, out=ones, where=usual > 0)
    return LiveReading(
        model=reading.model,
        text=text,
        tokens=list(reading.tokens),
        bos=reading.bos,
        is_cut=reading.is_cut,
        layers=list(reading.layer_numbers),
        n_heads=len(reading.layers[0]),
        sentence=reading.sentence,
        unusual=_rounded(None if unusual is None else unusual.deviations),
        distance=_rounded(relative),
        share=_rounded(None if unusual is None else unusual.share),
    )


def _difference(reading: Reading, other: Reading) -> LiveDifference:
    apart = difference(reading, other)
    return LiveDifference(reading.model, _rounded(apart.moved), _rounded(apart.distance))


def _rounded(values: Float[np.ndarray, " heads"] | None) -> list[float] | None:
    return None if values is None else [round(float(value), 5) for value in values]
