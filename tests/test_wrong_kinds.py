"""Public functions with arguments of another kind: an error of ours, and never a stack trace."""

from __future__ import annotations

import inspect
import random
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import attention_motifs as am
from attention_motifs import figures
from attention_motifs.reports.comparison_page import comparison_page
from synthetic_atlas import make_synthetic_atlas

N_TRIES = 600

KINDS: tuple[Any, ...] = (
    None, True, 0, -1, 3, 10**30, 1.5, float("nan"), "", " ", "x", "no/such/file", "\0", "\udcff",
    b"bytes", (), (1, 2), [], ["x"], [None], [[1], [2, 3]], {}, {"x": 1}, set(), object(), len,
    np.array([]), np.array("x"), np.zeros((2, 2)), np.zeros(3, complex), Path("missing.txt"),
    pl.DataFrame(), range(3), "synthetic-0:L0:H0", "synthetic-0", "mean", "paper",
)  # fmt: skip


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> am.Atlas:
    path = tmp_path_factory.mktemp("kinds") / "atlas"
    return make_synthetic_atlas(path, n_layers=2, n_heads=1, n_prompts=4, n_tokens=6)


def calls(atlas: am.Atlas, folder: Path) -> list[tuple[Callable[..., Any], dict[str, Any]]]:
    """Return functions, each with arguments of the right kind."""
    rng = np.random.default_rng(0)
    pattern = np.tril(rng.random((2, 5, 5)))
    pattern /= pattern.sum(axis=2, keepdims=True)
    features, lengths = rng.random((6, 3, 4)), np.full(6, 5)
    flat = {"features": features[:, 0], "n_tokens": lengths}
    embedding = am.PatternEmbedding.fit(features[:, 0])
    recommended = am.RecommendedEmbedding.fit(features, lengths)
    head, prompt = "synthetic-0:L0:H0", atlas.view_prompts()[0]
    figure = figures.variance_explained(atlas)
    return [
        (am.Atlas.open, {"path": atlas.path}),
        (am.Configuration, {"models": ("a",)}),
        (am.HeadId, {"model": "a", "layer": 0, "index": 0}),
        (am.HeadId.parse, {"text": head}),
        (am.Prompt, {"text": "a"}),
        (am.ablate, {"path": atlas.path, "heads": head}),
        (am.add, {"path": folder / "none", "model": "none"}),
        (am.atlas_from_patterns, {"path": folder / "arrays", "patterns": pattern[None]}),
        (am.build, {"path": folder / "none", "configuration": am.Configuration(models=("none",))}),
        (am.score, {"path": atlas.path}),
        (am.remove, {"path": folder / "none", "model": "none"}),
        (am.compute_features, {"patterns": pattern, "features": "paper"}),
        (am.diff, {"atlas": atlas, "a": "synthetic-0", "b": "org/synthetic-1"}),
        (am.extract_patterns, {"model": "none", "prompts": "a"}),
        (am.feature, {"name": "kind.of"}),
        (am.feature_names, {"set": "paper"}),
        (am.head_distances, {"embedded": rng.random((3, 4, 2)), "metric": "mean"}),
        (am.known_heads, {}),
        (am.label_heads, {"model": "synthetic-0", "atlas": atlas}),
        (am.load_model, {"model": "none"}),
        (am.load_prompts, {}),
        (am.metric_names, {}),
        (am.prompts_from_template, {"template": "lists", "n": 2}),
        (am.save_prompts, {"prompts": [am.Prompt("a")], "path": folder / "prompts.jsonl"}),
        (am.PatternEmbedding.fit, flat),
        (am.PatternEmbedding.load, {"path": folder / "none"}),
        (embedding.transform, flat),
        (am.RecommendedEmbedding.fit, {"features": features, "n_tokens": lengths}),
        (am.RecommendedEmbedding.load, {"path": folder / "none"}),
        (recommended.place, {"features": features, "n_tokens": lengths}),
        (atlas.near, {"head": head}),
        (atlas.head, {"head": head}),
        (atlas.pattern, {"head": head, "prompt_id": prompt}),
        (atlas.distances, {"metric": "mean"}),
        (atlas.embedded, {"models": ["synthetic-0"]}),
        (atlas.tokens, {"model": "synthetic-0"}),
        (atlas.head_index, {"head": head}),
        (am.track, {"atlas": atlas, "runs": {"run": {0: "synthetic-0", 1: "synthetic-0"}}}),
        (atlas.features, {"heads": head}),
        (atlas.patterns, {"head": head}),
        (atlas.where, {"where": {"source": "synthetic/hostile"}}),
        (atlas.contrast, {"where": {"parity": 0}, "against": {"parity": 1}}),
        (am.view, {"patterns": pattern, "tokens": list("abcde")}),
        (atlas.view, {"head": head, "prompt": prompt}),
        (figures.save, {"figure": figure, "folder": folder, "name": "figure"}),
        (figures.typical_heads, {"atlas": atlas}),
        (figures.embedding_points, {"atlas": atlas}),
        (figures.heads_in_order, {"atlas": atlas}),
        (figures.variance_table, {"atlas": atlas}),
        (comparison_page, {"atlases": []}),
    ]


def parameters(function: Callable[..., Any]) -> list[str]:
    taking = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    listed = inspect.signature(function).parameters.values()
    return [p.name for p in listed if p.kind in taking and p.name not in {"report", "executor"}]


def test_every_public_function_is_tried(atlas: am.Atlas, tmp_path: Path) -> None:
    tried = [function for function, _ in calls(atlas, tmp_path)]
    tried += [getattr(function, "__self__", None) for function in tried]
    values = {name: getattr(am, name) for name in am.__all__ if name != "__version__"}
    untried = {name for name, value in values.items() if not any(value is t for t in tried)}
    assert untried == {
        "MotifsError",
        "PatternBatch",
        "PatternView",
        "feature_sets",
    }  # an error, an output, no argument


@pytest.mark.filterwarnings("ignore")
def test_arguments_of_another_kind_raise_our_errors(
    atlas: am.Atlas, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = random.Random(0)  # noqa: S311
    tries = [
        (function, arguments, name, kind)
        for function, arguments in calls(atlas, tmp_path)
        for name in parameters(function)
        for kind in KINDS
    ]
    outcomes = {"refused": 0, "accepted": 0}
    faults = []
    for function, arguments, name, kind in rng.sample(tries, min(N_TRIES, len(tries))):
        try:
            result = function(**{**arguments, name: kind})
            if isinstance(result, types.GeneratorType):
                next(result, None)
            outcomes["accepted"] += 1
        except am.MotifsError:
            outcomes["refused"] += 1
        except Exception as error:  # noqa: BLE001
            faults.append(f"{function.__qualname__}({name}={kind!r:.60}): {error!r:.200}")
    assert not faults, "\n".join(faults)
    assert min(outcomes.values()) > N_TRIES // 20, outcomes
