"""Arrays of an atlas with the names of their entries: features of heads, and patterns of a head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas.queries import by_prompt
from attention_motifs.atlas.thumbnails import thumbnail
from attention_motifs.errors import AtlasError, InputError, did_you_mean
from attention_motifs.features import feature_names
from attention_motifs.features.arguments import name_list
from attention_motifs.head import HeadId
from attention_motifs.notebook import block, table
from attention_motifs.store.packed_patterns import unpack_triangle
from attention_motifs.store.paths import ARTEFACTS

if TYPE_CHECKING:
    import polars as pl
    from jaxtyping import Float, UInt8

    from attention_motifs.atlas.folder import AtlasFolder

_MOST_SHOWN = 16
"""Patterns that a notebook shows."""


@dataclass(frozen=True, repr=False, eq=False)
class NamedArray:
    """An array with names for its axes and their entries. `np.asarray` gives the values.

    Attributes:
        values: the array.
        names: axis -> names of its entries, in the order of the axes.
    """

    values: Float[np.ndarray, "..."]
    names: dict[str, tuple[str, ...]]

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return tuple(map(len, self.names.values()))

    def select(self, **chosen: str | Sequence[str]) -> NamedArray:
        """Return a part of the array by names.

        Args:
            chosen: axis -> a name, which drops the axis, or a list of names.

        Raises:
            InputError: if an axis or a name is not known.

        Example:
            >>> import numpy as np
            >>> from attention_motifs.atlas.named_arrays import NamedArray
            >>> array = NamedArray(np.eye(2), {"heads": ("a", "b"), "features": ("x", "y")})
            >>> array.select(heads="b").values.tolist()
            [0.0, 1.0]
        """
        values, names = self.values, dict(self.names)
        for axis, wanted in chosen.items():
            if axis not in self.names:
                raise InputError(
                    f"axis {axis!r:.60} is not known. Choose {' or '.join(self.names)}"
                )
            single = isinstance(wanted, str)
            listed = [wanted] if isinstance(wanted, str) else name_list(wanted, axis)
            places = _places(listed, names[axis], axis)
            values = values.take(places[0] if single else places, list(names).index(axis))
            if single:
                del names[axis]
            else:
                names[axis] = tuple(listed)
        return NamedArray(values, names)

    def to_polars(self) -> pl.DataFrame:
        """Return one row per entry: its name on each axis, and `value`."""
        import polars as pl

        index = np.indices(self.shape).reshape(len(self.names), -1)
        columns = {
            axis: np.asarray(names, dtype=object)[places].tolist()
            for (axis, names), places in zip(self.names.items(), index, strict=True)
        }
        return pl.DataFrame({**columns, "value": self.values.reshape(-1)})

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return np.array(self.values, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        axes = ", ".join(f"{len(names)} {axis}" for axis, names in self.names.items())
        return f"<NamedArray of {axes or 'one number'}>"

    def _repr_html_(self) -> str:
        rows = [
            [axis, len(names), ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")]
            for axis, names in self.names.items()
        ]
        finite = self.values[np.isfinite(self.values)]
        note = f"Values from {finite.min():.4g} to {finite.max():.4g}." if finite.size else ""
        return block(repr(self), table(["axis", "length", "names"], rows), note=note)


def _places(wanted: Sequence[str], names: Sequence[str], what: str) -> list[int]:
    """Return the places of names in a list.

    Raises:
        InputError: if one is not in it.
    """
    place = {name: i for i, name in enumerate(names)}
    for name in wanted:
        if name not in place:
            raise InputError(f"{what}: {name!r:.80} is not known; {did_you_mean(name, names)}")
    return [place[name] for name in wanted]


def features(
    atlas: AtlasFolder,
    heads: str | HeadId | Sequence[str | HeadId] | None = None,
    prompts: str | Sequence[str] | None = None,
    names: str | Sequence[str] | None = None,
) -> NamedArray:
    """Return features of heads on prompts.

    Args:
        atlas: with the features of its models.
        heads: a head or several, in any spelling; default: all.
        prompts: id of a prompt, or several; default: all.
        names: features or feature sets; default: all that the atlas holds.

    Returns:
        Array (prompts, heads, features), float32, in the order in which they are named.

    Raises:
        HeadNotFoundError: if the atlas does not hold a head.
        InputError: if a prompt or a feature is not known.
        AtlasError: if there are no patterns yet, or a part is missing or damaged.
    """
    if not atlas.models:
        raise AtlasError(f"{atlas.place}: has no patterns yet; run {atlas.paths.extract_command()}")
    all_heads: list[str] = atlas.heads["head"].to_list()
    rows = list(range(len(all_heads))) if heads is None else _rows(atlas, heads)
    ids: list[str] = atlas.prompts["prompt_id"].to_list()
    listed = [prompts] if isinstance(prompts, str) else prompts
    chosen = ids if listed is None else name_list(listed, "prompts")
    of_prompts = np.array(_places(chosen, ids, "prompts"), dtype=np.int64)
    held = _held_features(atlas)
    columns = held if names is None else feature_names(names)
    _places(columns, held, f"features of {atlas.place}")
    values = np.empty((len(chosen), len(rows), len(columns)), dtype=np.float32)
    model_of = atlas.heads["model"].to_list()
    for model in dict.fromkeys(model_of[row] for row in rows):
        at = [i for i, row in enumerate(rows) if model_of[row] == model]
        first = model_of.index(model)
        in_model = [rows[i] - first for i in at]
        start = 0
        for part in atlas.feature_parts(model, columns):
            on_prompts = by_prompt(atlas, model, part, columns)[0]
            in_part = of_prompts - start
            inside = np.flatnonzero((in_part >= 0) & (in_part < len(on_prompts)))
            values[inside[:, None], at] = on_prompts[in_part[inside]][:, in_model]
            start += len(on_prompts)
    return NamedArray(
        values,
        {
            "prompts": tuple(chosen),
            "heads": tuple(all_heads[row] for row in rows),
            "features": tuple(columns),
        },
    )


def _rows(atlas: AtlasFolder, heads: str | HeadId | Sequence[str | HeadId]) -> list[int]:
    listed = [heads] if isinstance(heads, str | HeadId) else heads
    if not isinstance(listed, Sequence):
        raise InputError(f"heads={heads!r:.80}: give a head or a list of heads")
    return [atlas.head_index(head) for head in listed]


def _held_features(atlas: AtlasFolder) -> list[str]:
    part = next(atlas.feature_parts(atlas.models[0]))
    return [name for name in part.columns if name not in ARTEFACTS["features"].columns]


@dataclass(frozen=True, repr=False, eq=False)
class HeadPatterns(Mapping[str, "Float[np.ndarray, 'n n']"]):
    """Patterns of one head that an atlas keeps: a mapping from the id of a prompt to its pattern.

    A pattern is (tokens, tokens), float32; rows are queries. See `Atlas.pattern` for its precision.

    Attributes:
        head: name of the head.
        tokens: id of a prompt -> texts of its tokens.
    """

    head: str
    tokens: dict[str, tuple[str, ...]]
    packed: dict[str, UInt8[np.ndarray, " entries"]]
    """Lower triangles, as in the atlas."""

    def __getitem__(self, prompt_id: str) -> Float[np.ndarray, "n n"]:
        return unpack_triangle(self.packed[prompt_id])

    def __iter__(self) -> Iterator[str]:
        return iter(self.packed)

    def __len__(self) -> int:
        return len(self.packed)

    def __repr__(self) -> str:
        lengths = [len(tokens) for tokens in self.tokens.values()]
        spread = f"{min(lengths)} to {max(lengths)}" if len({*lengths}) > 1 else f"{lengths[0]}"
        return f"<HeadPatterns of {self.head}: {len(self)} prompts, {spread} tokens>"

    def _repr_html_(self) -> str:
        rows = [
            [thumbnail(packed, prompt), prompt, len(self.tokens[prompt]),
             "".join(self.tokens[prompt])[:80]]
            for prompt, packed in list(self.packed.items())[:_MOST_SHOWN]
        ]  # fmt: skip
        return block(repr(self), table(["pattern", "prompt", "tokens", "text"], rows))


def patterns(atlas: AtlasFolder, head: str | HeadId) -> HeadPatterns:
    """Return the patterns of a head on the prompts and probes that are kept for viewing.

    Args:
        atlas: the atlas.
        head: the head, in any spelling.

    Raises:
        HeadNotFoundError: if the atlas does not hold the head.
        AtlasError: if no patterns are kept, or a file is missing or damaged.
    """
    row = atlas.heads.row(atlas.head_index(head), named=True)
    model = row["model"]
    place = atlas.manifest.models[model].place_of(row["layer"], row["index"])
    probes = [name for name in atlas.view_probes() if atlas.has_probes(model)]
    kept = [*atlas.view_prompts(), *probes]
    if not kept:
        raise AtlasError(
            f"{atlas.place}: no patterns are kept for viewing. Build with a larger --n-view-prompts"
        )
    tables = [atlas.tokens(model), *([atlas.probe_sequences(model)] if probes else [])]
    texts = {
        i: tuple(t) for one in tables for i, t in one.select("prompt_id", "tokens").iter_rows()
    }
    return HeadPatterns(
        row["head"],
        {prompt: texts[prompt] for prompt in kept},
        {prompt: np.array(atlas.triangles(model, prompt)[place]) for prompt in kept},
    )
