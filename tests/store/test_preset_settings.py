"""Presets that a user defines, checked as settings."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention_motifs.errors import InputError
from attention_motifs.store.presets import Block, Preset, presets_of_user
from attention_motifs.store.settings import Configuration

BLOCK = {"stimuli": "prompts"}
LINES = {
    "description": "x",
    "blocks": [{**BLOCK, "weight": 2}, {"stimuli": "probes", "ridge": 0.3}],
}


def test_they_are_read_from_a_table_and_from_the_manifest() -> None:
    configuration = Configuration(models="a", presets={"lines": LINES})  # type: ignore[arg-type]
    assert configuration.presets == (
        Preset(
            "lines", "x", (Block("prompts", "extended", 2.0), Block("probes", "extended", 1.0, 0.3))
        ),
    )
    written = json.loads(json.dumps(asdict(configuration)))
    assert Configuration.from_json(written) == configuration
    assert Configuration(models="a").presets == ()


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (3, "presets"),
        ("x", "presets"),
        ([3], "presets"),
        ({"Mean!": LINES}, "presets.Mean!"),
        ({"recommended": LINES}, "presets.recommended"),
        ({"a": 3}, "presets.a"),
        ({"a": {**LINES, "blokcs": 1}}, "did you mean blocks"),
        ({"a": {"blocks": [BLOCK]}}, "presets.a.description"),
        ({"a": {**LINES, "description": " "}}, "presets.a.description"),
        ({"a": {**LINES, "blocks": []}}, "presets.a.blocks"),
        ({"a": {**LINES, "blocks": [BLOCK, BLOCK]}}, "presets.a.blocks"),
        ({"a": {**LINES, "blocks": [{"stimuli": "prompt"}]}}, r"presets.a.blocks\[0\].stimuli"),
        ({"a": {**LINES, "blocks": [{**BLOCK, "weight": 0}]}}, r"presets.a.blocks\[0\].weight"),
        ({"a": {**LINES, "blocks": [{**BLOCK, "weight": True}]}}, r"presets.a.blocks\[0\].weight"),
        ({"a": {**LINES, "blocks": [{**BLOCK, "ridge": 0}]}}, r"presets.a.blocks\[0\].ridge"),
        ({"a": {**LINES, "blocks": [{**BLOCK, "wieght": 1}]}}, "did you mean weight"),
        ({"a": {**LINES, "blocks": [{**BLOCK, "features": 3}]}}, r"presets.a.blocks\[0\].features"),
        ([{"name": "a", **LINES}, {"name": "a", **LINES}], "presets"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(value: Any, key: str) -> None:
    with pytest.raises(InputError, match=key) as caught:
        presets_of_user(value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("recorded", "version"),
    [
        ({"n_probes": 16}, 1),
        ({"n_probes": 16, "preset_version": 2}, 2),
        ({}, 2),
        ({"n_probes": 0}, 2),
    ],
)
def test_an_atlas_keeps_the_presets_that_it_was_made_with(
    recorded: dict[str, int], version: int
) -> None:
    assert Configuration.from_json({"models": ["a"], **recorded}).preset_version == version


@pytest.mark.parametrize("version", [0, 3, True, "2", None])
def test_a_version_of_presets_that_is_not_known_is_refused(version: Any) -> None:
    with pytest.raises(InputError, match=r"preset_version = .*expected one of 1, 2"):
        Configuration(models="a", preset_version=version)


def test_a_block_that_the_atlas_has_nothing_for_is_refused() -> None:
    tokens: Any = {"a": {**LINES, "blocks": [{**BLOCK, "features": "skew_col"}]}}
    with pytest.raises(InputError, match=r"'skew_col'.*features = "):
        Configuration(models="a", presets=tokens)
    lines: Any = {"lines": LINES}
    with pytest.raises(InputError, match="probes"):
        Configuration(models="a", presets=lines, n_probes=0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(value=JSON | st.dictionaries(st.sampled_from(["a", "b-2"]), JSON))
def test_any_value_is_read_or_refused(value: Any) -> None:
    presets: tuple[Preset, ...] = ()
    with contextlib.suppress(InputError):
        presets = presets_of_user(value)
    assert all(isinstance(preset, Preset) for preset in presets)
