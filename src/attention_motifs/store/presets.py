"""Presets: metrics that compare heads in several spaces, called blocks (docs/distances.md).

A block is one kind of stimuli with one feature set. The distance of a preset is the weighted mean
of the distances in its blocks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from attention_motifs.errors import InputError, did_you_mean

Stimuli = Literal["prompts", "probes"]
"""Input of the models: texts, or sequences of token ids (docs/distances.md)."""

RIDGE = 0.1
"""Ridge of the stored clouds of a block: added to the variances within heads, which are about 0.3
of the total variance of 1."""

_SHORT_NAMES = {
    ("prompts", "extended"): "natural",
    ("probes", "extended"): "probes",
    ("prompts", "tokens"): "tokens",
}


@dataclass(frozen=True)
class Block:
    """One space in which heads are compared, with its weight in a preset."""

    stimuli: Stimuli = "prompts"
    features: str = "extended"
    """Name of a feature set."""
    weight: float = 1.0
    ridge: float = RIDGE
    """Ridge of the whitening with which a preset compares the clouds."""

    @property
    def name(self) -> str:
        """Name of the space; blocks that differ in weight and ridge alone share it."""
        key = self.stimuli, self.features
        return _SHORT_NAMES.get(key, f"{self.stimuli}-{self.features}")


@dataclass(frozen=True)
class Preset:
    """A metric made of weighted blocks."""

    name: str
    description: str
    blocks: tuple[Block, ...]

    @property
    def shares(self) -> tuple[float, ...]:
        """Weights of the blocks, divided by their sum."""
        total = sum(block.weight for block in self.blocks)
        return tuple(block.weight / total for block in self.blocks)


_NATURAL, _PROBES = Block("prompts", "extended"), Block("probes", "extended")

# Small ridges find weaker rules; chosen on other draws of hosts than the table of
# docs/benchmark.md, with the alternatives in benchmarks/README.md.
_TOGETHER = replace(_NATURAL, ridge=0.02), replace(_PROBES, ridge=0.01)

PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset("natural", "similar behaviour on the prompts", (_NATURAL,)),
        Preset(
            "recommended",
            "similar behaviour on the prompts and on probes",
            _TOGETHER,
        ),
        Preset("probes", "similar behaviour on probes: repeated random tokens", (_PROBES,)),
        Preset(
            "tokens",
            "recommended, and attention to similar tokens",
            (*_TOGETHER, Block("prompts", "tokens", 0.5)),
        ),
    )
}
"""Presets of the package by name, in the order of the documentation."""

PRESET_VERSION = 2
"""Version of `PRESETS`. An atlas keeps the version that it was made with."""


def _all_at(preset: Preset, ridge: float) -> Preset:
    return replace(preset, blocks=tuple(replace(block, ridge=ridge) for block in preset.blocks))


VERSIONS: Mapping[int, Mapping[str, Preset]] = {
    1: {name: _all_at(preset, RIDGE) for name, preset in PRESETS.items()},
    PRESET_VERSION: PRESETS,
}
"""Presets of the package by version."""

_LARGEST = 1e6
_NAME = re.compile("[a-z0-9][a-z0-9_-]{0,39}")
_PRESET_KEYS, _BLOCK_KEYS = ("description", "blocks"), ("stimuli", "features", "weight", "ridge")


def presets_of_user(value: object) -> tuple[Preset, ...]:
    """Check the presets that a user defines.

    Args:
        value: presets by name, as in a TOML file: `{"lines": {"description": ..., "blocks":
            [{"stimuli": ..., "features": ..., "weight": ..., "ridge": ...}]}}`; or a list of such
            objects with the key `name`, as in `atlas.json`; or a sequence of `Preset`.

    Returns:
        The presets, in their order.

    Raises:
        InputError: naming the key and the value that cannot be used, and what is expected.
    """
    if isinstance(value, Mapping):
        return tuple(_preset(name, table) for name, table in value.items())
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise _unusable("presets", value, "a table for each preset")
    presets = []
    for item in value:
        table = asdict(item) if isinstance(item, Preset) else item
        if not isinstance(table, Mapping) or "name" not in table:
            raise _unusable("presets", item, "an object with a name")
        presets.append(_preset(table["name"], {k: v for k, v in table.items() if k != "name"}))
    if len({preset.name for preset in presets}) < len(presets):
        raise InputError("presets: a name is repeated; remove one")
    return tuple(presets)


def _preset(name: object, table: object) -> Preset:
    where = f"presets.{name}"
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(
            f"{where:.80}: is not a name. Use lower-case letters, digits, '-' and '_', 40 at most"
        )
    if name in PRESETS:
        raise InputError(f"{where}: is a preset of the package. Choose another name")
    table = _table(where, table, _PRESET_KEYS)
    description = table.get("description")
    if not isinstance(description, str) or not description.strip():
        raise _unusable(f"{where}.description", description, "a text")
    blocks = table.get("blocks")
    if not isinstance(blocks, Sequence) or isinstance(blocks, str | bytes) or not blocks:
        raise _unusable(f"{where}.blocks", blocks, "a list of one block or more")
    known = tuple(_block(f"{where}.blocks[{i}]", block) for i, block in enumerate(blocks))
    if len({block.name for block in known}) < len(known):
        raise InputError(
            f"{where}.blocks: two blocks have the same stimuli and features. Remove one"
        )
    return Preset(name, description.strip(), known)


def _block(where: str, table: object) -> Block:
    table = _table(where, table, _BLOCK_KEYS)
    stimuli: Any = table.get("stimuli")
    features: Any = table.get("features", "extended")
    if stimuli not in get_args(Stimuli):
        raise _unusable(f"{where}.stimuli", stimuli, f"one of {', '.join(get_args(Stimuli))}")
    if not isinstance(features, str) or not features.strip():
        raise _unusable(f"{where}.features", features, "the name of a feature set")
    numbers = {key: table.get(key, default) for key, default in (("weight", 1.0), ("ridge", RIDGE))}
    for key, number in numbers.items():
        is_number = isinstance(number, int | float) and not isinstance(number, bool)
        if not is_number or not 0 < number <= _LARGEST:
            raise _unusable(f"{where}.{key}", number, f"a number above 0, at most {_LARGEST:g}")
    return Block(stimuli, features, float(numbers["weight"]), float(numbers["ridge"]))


def _table(where: str, table: object, keys: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(table, Mapping):
        raise _unusable(where, table, f"a table with {', '.join(keys)}")
    for key in table:
        if key not in keys:
            raise InputError(f"{where}: key {key!r:.80} is not known; {did_you_mean(key, keys)}")
    return table


def _unusable(where: str, value: object, expected: str) -> InputError:
    shown = "is missing" if value is None else f"= {value!r:.60}"
    return InputError(f"{where} {shown}: expected {expected}")
