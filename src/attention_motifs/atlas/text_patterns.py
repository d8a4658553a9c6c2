"""Patterns of every head on a text of the user, as `atlas.on(text)` returns them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas.text_difference import difference
from attention_motifs.errors import InputError
from attention_motifs.features import compute_features, feature_names
from attention_motifs.head import HeadId
from attention_motifs.viewer.show import Settings, Stream, build, checked_height
from attention_motifs.viewer.widget import PatternView

if TYPE_CHECKING:
    import polars as pl
    from jaxtyping import Float

    from attention_motifs.atlas.atlas import Atlas
    from attention_motifs.atlas.unusual import Unusual
    from attention_motifs.viewer.contract import ViewNote

_N_SHOWN = 10
"""Heads listed where an object is displayed."""


@dataclass(frozen=True)
class Reading:
    """Patterns of all heads of one model on one text.

    Attributes:
        model: name of the model.
        tokens: texts of its tokens.
        bos: whether the first token is BOS.
        is_cut: whether the text has more tokens than were read.
        layer_numbers: numbers of the layers.
        layers: (heads, n, n) of each layer, float32, rows are queries.
        unusual: how unusual they are; None if the atlas cannot say.
        sentence: what they were compared with, or why they were not.
    """

    model: str
    tokens: tuple[str, ...]
    bos: bool
    is_cut: bool
    layer_numbers: tuple[int, ...]
    layers: tuple[Float[np.ndarray, "heads n n"], ...]
    unusual: Unusual | None
    sentence: str

    @property
    def numbered(self) -> list[tuple[int, Float[np.ndarray, "heads n n"]]]:
        """Each layer's number and patterns."""
        return list(zip(self.layer_numbers, self.layers, strict=True))


@dataclass(frozen=True, repr=False)
class TextPatterns:
    """Patterns of the heads of an atlas on a text, as `atlas.on` returns it.

    Attributes:
        atlas: the atlas.
        text: the text.
        readings: one per model: its tokens, and its patterns layer by layer.
        against: the other text, if there is one.
        others: as `readings`, of the other text.
    """

    atlas: Atlas
    text: str
    readings: tuple[Reading, ...]
    against: str | None = None
    others: tuple[Reading, ...] = ()
    _kept: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models."""
        return tuple(reading.model for reading in self.readings)

    @property
    def table(self) -> pl.DataFrame:
        """One row per head, the most unusual first; with `against`, the most different first.

        `unusual` is in standard deviations: how much farther the head's pattern is from the mean of
        its patterns in the atlas (`distance`) than they usually are (`usual`). `share` is the share
        of the atlas's prompts that are at least as far. `moved` is the share of attention that goes
        to other tokens on the other text; `between`, the distance of the two patterns in units of
        `usual`. A column that cannot be computed is null.
        """
        if "table" not in self._kept:
            self._kept["table"] = _table(self)
        table: pl.DataFrame = self._kept["table"]
        return table

    def patterns(self, head: str | HeadId) -> Float[np.ndarray, "n n"]:
        """Return the pattern of a head on the text, float32, rows are queries.

        Raises:
            InputError: if the head is not among those that were run.
        """
        reading, head_id = self._reading(head)
        layer = reading.layers[reading.layer_numbers.index(head_id.layer)]
        return np.asarray(layer[head_id.index])

    @property
    def features(self) -> pl.DataFrame:
        """One row per head in the order of the atlas: head, model, and its features."""
        import polars as pl

        if "features" not in self._kept:
            sets = list(self.atlas.manifest.configuration.feature_sets)
            parts = []
            for reading in self.readings:
                patterns = np.concatenate(reading.layers)
                values = compute_features(patterns, sets, tokens=list(reading.tokens))
                keys = {"head": _heads(reading), "model": [reading.model] * len(values)}
                numbers = pl.DataFrame(values, schema=feature_names(sets), orient="row")
                parts.append(pl.DataFrame(keys).hstack(numbers))
            self._kept["features"] = pl.concat(parts)
        table: pl.DataFrame = self._kept["features"]
        return table

    def view(
        self, head: str | HeadId | None = None, *, height: int = 720, **settings: Any
    ) -> PatternView:
        """Show the patterns of a model, in a notebook or as a file.

        Args:
            head: shown first; default: the first of `table`.
            height: height in a notebook, in CSS pixels.
            settings: `scale`, `colours`, `first_token` and `theme`, as in `attention_motifs.view`.

        Raises:
            InputError: if the head is not among those that were run, or a setting is not known.
        """
        reading, head_id = self._reading(self.table["head"][0] if head is None else head)
        metric, notes = self._notes(reading.model)
        stream = Stream(
            shape=[(layer, len(patterns)) for layer, patterns in reading.numbered],
            layers=reading.numbered,
            tokens=reading.tokens,
            prompt=self.text,
            model=reading.model,
            bos=reading.bos,
        )
        return PatternView(
            build(stream, head_id, Settings(**settings), metric, notes), checked_height(height)
        )

    def _notes(self, model: str) -> tuple[str, list[ViewNote]]:
        """Return the notes of the atlas on the heads of a model, read once."""
        key = f"notes of {model}"
        if key not in self._kept:
            self._kept[key] = self.atlas.head_notes(model)
        notes: tuple[str, list[ViewNote]] = self._kept[key]
        return notes

    def _reading(self, head: str | HeadId) -> tuple[Reading, HeadId]:
        head_id = head if isinstance(head, HeadId) else HeadId.parse(head)
        self.atlas.head_index(head_id)
        for reading in self.readings:
            if reading.model == head_id.model:
                return reading, head_id
        raise InputError(
            f"{head_id}: its model was not run on this text. Run it with "
            f"atlas.on(text, model={head_id.model!r})"
        )

    def __repr__(self) -> str:
        first = ", ".join(self._first(3))
        sort = "unusual" if self.against is None else "different"
        shown = f"{self.text:.40}" + ("..." if len(self.text) > 40 else "")
        return f"<TextPatterns {shown!r}: {len(self.table)} heads; most {sort}: {first}>"

    def _repr_html_(self) -> str:
        return str(self.table.head(_N_SHOWN)._repr_html_())

    def _first(self, n: int) -> list[str]:
        heads: list[str] = self.table["head"].head(n).to_list()
        return heads


def _heads(reading: Reading) -> list[str]:
    return [
        str(HeadId(reading.model, layer, index))
        for layer, patterns in reading.numbered
        for index in range(len(patterns))
    ]


def _table(of: TextPatterns) -> pl.DataFrame:
    import polars as pl

    others: Sequence[Reading | None] = of.others or [None] * len(of.readings)
    parts = [_rows(of, a, b) for a, b in zip(of.readings, others, strict=True)]
    table = pl.concat(parts)
    keys = ["unusual"] if of.against is None else ["moved", "between"]
    return table.sort(keys, descending=True, nulls_last=True, maintain_order=True)


def _rows(of: TextPatterns, reading: Reading, other: Reading | None) -> pl.DataFrame:
    """Return the rows of one model, in the order of its heads."""
    import polars as pl

    heads = _heads(reading)
    _, notes = of._notes(reading.model)
    numbers: dict[str, Float[np.ndarray, " heads"] | None] = {}
    if other is not None:
        apart = difference(reading, other)
        numbers |= {"moved": apart.moved, "between": apart.distance}
    unusual = reading.unusual
    numbers |= {
        "unusual": None if unusual is None else unusual.deviations,
        "share": None if unusual is None else unusual.share,
        "distance": None if unusual is None else unusual.distance,
        "usual": None if unusual is None else unusual.usual,
    }
    none = [None] * len(heads)
    columns = {
        name: pl.Series(name, none if values is None else values.tolist(), dtype=pl.Float64)
        for name, values in numbers.items()
    }
    verdicts = {
        "verdict": pl.Series([note.verdict or None for note in notes], dtype=pl.String),
        "probability": pl.Series([note.probability for note in notes], dtype=pl.Float64),
    }
    places = {
        "model": [reading.model] * len(heads),
        "layer": [note.layer for note in notes],
        "index": [note.head for note in notes],
    }
    return pl.DataFrame({"head": heads, **columns, **verdicts, **places})
