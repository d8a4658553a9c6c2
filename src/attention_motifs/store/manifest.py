"""`atlas.json`: the settings of an atlas, its models, and the journal of its stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from attention_motifs.store.settings import Configuration

SCHEMA_VERSION = 1


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
