"""Atlases of patterns in memory: every form of them gives the same atlas."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import attention_motifs as am
from attention_motifs.errors import InputError


def random_patterns(*shape: int, n: int = 9, seed: int = 0) -> np.ndarray:
    scores = np.random.default_rng(seed).random((*shape, n, n)) ** 4
    scores *= np.tril(np.ones((n, n)))
    return (scores / scores.sum(axis=-1, keepdims=True)).astype(np.float32)


PATTERNS = random_patterns(2, 6, 3)  # layers, prompts, heads


def one_prompt_at_a_time() -> Iterator[Any]:
    for prompt in range(PATTERNS.shape[1]):
        yield tuple(torch.from_numpy(PATTERNS[:, prompt]))


FORMS = {
    "a tuple of tensors": lambda: tuple(torch.from_numpy(PATTERNS)),
    "an output of a model": lambda: SimpleNamespace(attentions=tuple(torch.from_numpy(PATTERNS))),
    "one array": lambda: PATTERNS,
    "a mapping": lambda: {1: PATTERNS[1], 0: PATTERNS[0]},
    "a cache": lambda: SimpleNamespace(
        cache_dict={f"blocks.{i}.attn.hook_pattern": PATTERNS[i] for i in (0, 1)}
        | {"blocks.0.hook_resid_pre": np.zeros((6, 9, 4))}
    ),
    "an iterator": one_prompt_at_a_time,
}


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory, own_cache: Path) -> am.Atlas:
    folder = tmp_path_factory.mktemp("arrays") / "atlas"
    return am.atlas_from_patterns(folder, list(PATTERNS), name="m", metrics=["mean"])


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_atlas(form: str, direct: am.Atlas, tmp_path: Path) -> None:
    atlas = am.atlas_from_patterns(tmp_path / "a", FORMS[form](), name="m", metrics=["mean"])
    assert atlas.heads["head"].to_list() == direct.heads["head"].to_list()
    np.testing.assert_array_equal(atlas.distances("mean"), direct.distances("mean"))


def test_features_are_those_of_the_patterns(direct: am.Atlas) -> None:
    names = am.feature_names("paper")
    stored = next(iter(direct.feature_parts("m", names))).select(names).to_numpy()
    expected = am.compute_features(PATTERNS.transpose(1, 0, 2, 3, 4), "paper")
    np.testing.assert_allclose(stored, expected.reshape(stored.shape), rtol=1e-5, atol=1e-6)


def test_prompts_may_have_other_lengths_and_models_share_them(tmp_path: Path) -> None:
    def prompts(seed: int) -> Iterator[Any]:
        for n in (6, 7, 8, 9):
            yield random_patterns(2, 3, n=n, seed=seed + n)

    tokens = [[f" t{n}{i}" for i in range(n)] for n in (6, 7, 8, 9)]
    with pytest.warns(UserWarning, match="tokens"):
        atlas = am.atlas_from_patterns(
            tmp_path / "atlas", {"a": prompts(0), "b": prompts(1)}, tokens=tokens, metrics=["mean"]
        )
    assert atlas.models == ("a", "b")
    assert atlas.prompts["text"][0] == "".join(tokens[0])
    assert atlas.tokens("b")["tokens"][3].to_list() == tokens[3]


def test_a_second_call_changes_nothing(direct: am.Atlas) -> None:
    before = {p: p.stat().st_mtime_ns for p in direct.path.rglob("part-*")}
    am.atlas_from_patterns(direct.path, PATTERNS, name="m", metrics=["mean"])
    assert before == {p: p.stat().st_mtime_ns for p in direct.path.rglob("part-*")}


@pytest.mark.parametrize(
    ("patterns", "options", "message"),
    [
        (PATTERNS[0, 0, 0], {}, "shape"),
        ((None, None), {}, "eager"),
        (SimpleNamespace(attentions=None), {}, "eager"),
        ((), {}, "without a layer"),
        (iter(()), {}, "no prompt"),
        ({0: PATTERNS[0], 2: PATTERNS[1]}, {}, "layers 0, 2"),
        ([PATTERNS[0], PATTERNS[1, :3]], {}, "shapes"),
        (-PATTERNS, {}, "not causal"),
        (PATTERNS, {"name": "../x"}, "not usable"),
        (PATTERNS, {"tokens": [["a"]]}, "rows"),
        (PATTERNS, {"prompts": ["a", "b"]}, "one entry per prompt"),
        (PATTERNS, {"prompts": ["a"] * 6}, "same text"),
        (PATTERNS, {"tokens": "abc"}, "list"),
        (PATTERNS, {"feature_sets": ("paper", "tokens")}, "texts of the tokens"),
        (3, {}, "cannot be used"),
    ],
)
def test_what_cannot_be_used_is_refused(
    patterns: Any, options: Any, message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        am.atlas_from_patterns(tmp_path / "atlas", patterns, **options)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "atlas").rglob("part-*"))
