"""Clouds of presets: the concatenated form against the weighted mean of the cosines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from attention_motifs.distances import definitions, head_distances
from attention_motifs.embedding.presets import (
    PRESETS,
    Block,
    Preset,
    Segment,
    concatenated,
    get_preset,
    on_prompts,
)
from attention_motifs.errors import InputError
from attention_motifs.store.settings import Configuration

Blocks = tuple[list[np.ndarray[Any, Any]], list[float], list[bool]]


@st.composite
def blocks(draw: st.DrawFn) -> Blocks:
    """Clouds of one to three blocks, often with clouds of zero; the prompts are shared."""
    n_heads, n_prompts = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    numbers = st.floats(-100, 100, width=32).map(lambda v: round(v, 1))
    clouds, weights, by_prompt = [], [], []
    for _ in range(draw(st.integers(1, 3))):
        by_prompt.append(draw(st.booleans()))
        n_stimuli = n_prompts if by_prompt[-1] else draw(st.integers(1, 3))
        shape = (n_stimuli, n_heads, draw(st.integers(1, 3)))
        clouds.append(draw(hnp.arrays(np.float32, shape, elements=numbers)))
        weights.append(draw(st.floats(0.1, 10)))
    return clouds, weights, by_prompt


def segments(built: Blocks) -> list[Segment]:
    clouds, weights, by_prompt = built
    return [
        Segment(c.shape[0], c.shape[2], w / sum(weights), p)
        for c, w, p in zip(clouds, weights, by_prompt, strict=True)
    ]


def oracle(built: Blocks, prompts: list[int] | None = None) -> np.ndarray[Any, Any]:
    clouds, weights, by_prompt = built
    wide = [
        c.astype(np.float64)[prompts if p and prompts is not None else slice(None)]
        for c, p in zip(clouds, by_prompt, strict=True)
    ]
    n = wide[0].shape[1]
    result = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if i != j:
                x, y = [c[:, i] for c in wide], [c[:, j] for c in wide]
                result[i, j] = definitions.preset(x, y, weights)
    return result


@given(built=blocks())
def test_the_cosine_of_vectors_is_the_weighted_mean_of_cosines(built: Blocks) -> None:
    vectors = concatenated(built[0], segments(built))
    assert vectors.dtype == np.float32
    got = head_distances(vectors, "recommended")
    np.testing.assert_allclose(got, oracle(built), atol=2e-6)


@given(built=blocks(), data=st.data())
def test_some_prompts_restrict_the_blocks_of_prompts_alone(
    built: Blocks, data: st.DataObject
) -> None:
    n_prompts = next((c.shape[0] for c, p in zip(built[0], built[2], strict=True) if p), 1)
    prompts = data.draw(st.lists(st.integers(0, n_prompts - 1), min_size=1, max_size=4))
    vectors = concatenated(built[0], segments(built))[0]
    some = on_prompts(vectors, segments(built), np.array(prompts))
    got = head_distances(some[None], "recommended")
    np.testing.assert_allclose(got, oracle(built, prompts), atol=5e-6)


def test_without_zero_clouds_the_definition_is_the_plain_weighted_mean() -> None:
    rng = np.random.default_rng(0)
    x, y = ([rng.normal(size=(3, 2)), rng.normal(size=(5, 4))] for _ in range(2))
    parts = [definitions.natural(a, b) for a, b in zip(x, y, strict=True)]
    assert definitions.preset(x, y, [3, 1]) == pytest.approx(0.75 * parts[0] + 0.25 * parts[1])


def test_presets_are_known_by_name_and_share_their_blocks() -> None:
    assert [block.name for block in get_preset("recommended").blocks] == ["natural", "probes"]
    for name, preset in PRESETS.items():
        assert preset.name == name
        assert preset.description
        assert sum(preset.shares) == pytest.approx(1)
    ridges = {name: [block.ridge for block in preset.blocks] for name, preset in PRESETS.items()}
    assert ridges["natural"] == ridges["probes"] == [0.1]
    assert max(ridges["recommended"]) < 0.1
    earlier = get_preset("recommended", Configuration(models="a", preset_version=1))
    assert [block.ridge for block in earlier.blocks] == [0.1, 0.1]
    assert get_preset("recommended", Configuration(models="a")) == PRESETS["recommended"]
    half = Preset("half", "", (Block(weight=1), Block("probes", weight=3)))
    assert half.shares == (0.25, 0.75)
    assert Block("probes", "paper").name == "probes-paper"
    with pytest.raises(InputError, match="did you mean natural"):
        get_preset("naturl")
