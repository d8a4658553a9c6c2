"""Names of files and stages in atlases of earlier versions.

These versions had one preset, `recommended`, which is called `natural` now. Their atlases are read
under the present names; the first command that writes renames the files (`store.renaming`).
"""

from __future__ import annotations

from collections.abc import Mapping

NOW, EARLIER = "natural", "recommended"
"""Present and earlier name of the preset."""

PATTERNS: Mapping[str, str] = {
    "block": "recommended.safetensors",
    "block_settings": "recommended.json",
    "block_clouds": "recommended/{model}.parquet",
    "distances": "distances/recommended.npy",
    "neighbours": "neighbours/recommended/part-{part:05d}.safetensors",
    "neighbour_index": "neighbours/recommended/index.safetensors",
    "head_clouds": "neighbours/clouds-recommended.npy",
}
"""Earlier name patterns of the files of the preset, by artefact."""

NAMED_BY: Mapping[str, str] = {
    "block": "block",
    "block_settings": "block",
    "block_clouds": "block",
    "distances": "metric",
    "neighbours": "metric",
    "neighbour_index": "metric",
    "head_clouds": "space",
}
"""Placeholder that holds the name of the preset, by artefact."""

_STAGES = {
    "recommended": "fit-block:natural",
    "distances:recommended": "distances:natural",
    "clouds:recommended": "clouds:natural",
}


def has_earlier_names(stages: Mapping[str, str]) -> bool:
    """Return whether the journal is that of an atlas with earlier names."""
    return EARLIER in stages


def present_stages(stages: Mapping[str, str]) -> dict[str, str]:
    """Return a journal with its stages under their present names."""
    if not has_earlier_names(stages):
        return dict(stages)
    return {_present_stage(stage): inputs for stage, inputs in stages.items()}


def _present_stage(stage: str) -> str:
    first, colon, model = stage.partition(":")
    if first == EARLIER and colon:
        return f"place-block:{NOW}:{model}"
    return _STAGES.get(stage, stage)
