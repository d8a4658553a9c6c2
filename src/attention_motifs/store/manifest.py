"""`atlas.json`: what an atlas was asked to hold, and the journal of its stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

SCHEMA_VERSION = 1

FEATURE_SETS = ("paper", "extended")
"""Sets of an atlas unless told otherwise: the paper embedding is of the first, the preset
`recommended` of `extended`."""


@dataclass(frozen=True)
class Configuration:
    """What an atlas was asked to hold; fixed when it is made."""

    models: tuple[str, ...]
    """As the user named them, in order: the models the embedding is fitted on."""
    prompts: str = "builtin"
    n_prompts: int | None = None
    seed: int = 0
    max_tokens: int = 128
    bos: str = "auto"
    dtype: str = "float32"
    """As asked for, also `auto`. What each model ran in is told with it, in `Manifest.models`."""
    feature_sets: tuple[str, ...] = FEATURE_SETS
    n_components: int = 16
    length_bins: tuple[int, ...] = ()
    n_view_prompts: int = 8
    """Prompts, the first of the list, whose patterns are kept for viewing."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Configuration:
        """Read what `asdict` wrote, lists back to tuples."""
        known = {f.name for f in fields(cls)}
        arguments: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in value.items() if k in known
        }
        return cls(**arguments)


@dataclass(frozen=True)
class Manifest:
    """`atlas.json`. It holds no times and no machine's paths: equal runs write equal files."""

    configuration: Configuration
    package_version: str
    prompts: Mapping[str, Any]
    """`n` and `sha256` of the prompts."""
    models: Mapping[str, Mapping[str, Any]]
    """Per model, in the order of the heads: its `ModelInfo`, and `added` if placed later."""
    imputed: Mapping[str, Mapping[str, int]]
    """Per model: how many values of which feature were not finite."""
    stages: Mapping[str, str]
    """Journal: the digest of the inputs that each finished stage was computed from."""
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; the order of the models is kept in a list of its own."""
        value = asdict(self)
        value["model_order"] = list(self.models)
        return value
