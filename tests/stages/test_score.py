"""Behaviour scores in the heads table."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from attention_motifs import behaviour
from attention_motifs.atlas import Atlas
from attention_motifs.behaviour import (
    BEHAVIOURS,
    OF_PATTERNS,
    behaviour_scores,
    common_tokens,
    repeated_sequences,
    score_patterns,
)
from attention_motifs.errors import InputError
from attention_motifs.extraction import load_model, run_tapped
from attention_motifs.models.tokenizing import prefix_tokens
from attention_motifs.stages.heads import write_heads
from attention_motifs.stages.motif_parts import write_share_columns
from attention_motifs.stages.run import add
from attention_motifs.stages.score import SPREAD, score
from attention_motifs.store import files
from conftest import Tiny, contents
from tiny_models import make_tiny_model

COLUMNS = [column for name in BEHAVIOURS for column in (name, name + SPREAD)]
DESIGN = ((12, 2),)


@pytest.fixture(scope="module", autouse=True)
def _few_short_sequences(own_cache: Path):
    with pytest.MonkeyPatch.context() as patch:
        defaults = {**behaviour.behaviour_scores.__kwdefaults__, "n_sequences": 3}
        patch.setattr(behaviour.behaviour_scores, "__kwdefaults__", {**defaults, "designs": DESIGN})
        yield


@pytest.fixture(scope="module")
def scored(built: Atlas, tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    path = tmp_path_factory.mktemp("scored") / "atlas"
    shutil.copytree(built.path, path)
    atlas = Atlas.open(path)
    score(atlas)
    return atlas


def test_scores_are_those_of_the_model_by_head(scored: Atlas, built: Atlas, tiny: Tiny) -> None:
    assert scored.heads.columns == [*built.heads.columns, *COLUMNS]
    assert scored.heads.select(built.heads.columns).equals(built.heads)
    for model in ("a", "b"):
        loaded = load_model(tiny.model(model), language_head=True)
        expected = behaviour_scores(loaded, prefix=prefix_tokens(loaded))
        of_model = scored.heads.filter(pl.col("model") == model)
        for i, name in enumerate(BEHAVIOURS):
            assert np.array_equal(of_model[name], expected.mean[:, :, i].ravel().astype(np.float32))
            spread = expected.spread[:, :, i].ravel().astype(np.float32)
            assert np.array_equal(of_model[name + SPREAD], spread)
    assert scored.heads.select(COLUMNS).null_count().sum_horizontal().item() == 0


def test_scores_of_a_model_are_those_of_its_patterns_one_by_one(tiny: Tiny) -> None:
    loaded = load_model(tiny.model("b"))
    prefix = prefix_tokens(loaded)
    designs = ((12, 2), (8, 3))
    result = behaviour_scores(loaded, prefix=prefix, n_sequences=6, designs=designs, seed=5)
    rng = np.random.default_rng(5)
    scores = []
    for length, times in designs:
        words = common_tokens(loaded)
        for tokens in repeated_sequences(words, length, times, 6, rng, prefix):
            layers: list[np.ndarray] = []

            def keep(_layer: int, weights: torch.Tensor, kept: list = layers, t=tokens) -> None:
                kept.append(score_patterns(weights[0].numpy(), t))

            run_tapped(loaded, torch.from_numpy(tokens[None]), keep)
            scores.append(np.stack(layers))
    of_patterns = slice(len(OF_PATTERNS))
    assert np.allclose(result.mean[..., of_patterns], np.mean(scores, axis=0), atol=1e-5)
    assert np.allclose(result.spread[..., of_patterns], np.std(scores, axis=0, ddof=1), atol=1e-5)


def test_scoring_again_writes_nothing(scored: Atlas) -> None:
    before = {n: (scored.path / n).stat().st_mtime_ns for n in contents(scored.path)}
    score(Atlas.open(scored.path))
    assert {n: (scored.path / n).stat().st_mtime_ns for n in contents(scored.path)} == before


def test_scores_without_the_whole_prefix_are_made_again(copy: Atlas, tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "d", n_layers=1)
    path = folder / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    before = tokenizer["post_processor"]["single"]
    again = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    tokenizer["post_processor"]["single"] = [again, *before]
    path.write_text(json.dumps(tokenizer))
    atlas = add(copy.path, f"d={folder}")
    assert atlas.tokens("d")["token_ids"][0].to_list()[:2] == [0, 0]
    score(atlas, models=["a", "d"])
    scores = atlas.heads
    # The journal of an earlier version, which put one token before the sequences.
    inputs = {
        model: {
            "weights": atlas.manifest.models[model].weights_sha256,
            "seed": 0,
            "bos": True,
            "version": 2,
        }
        for model in ("a", "d")
    }
    stages = {f"score:{model}": files.digest(value) for model, value in inputs.items()}
    atlas.update(stages={**atlas.manifest.stages, **stages})
    atlas.write_heads(atlas.heads.with_columns(pl.lit(0.5, pl.Float32).alias("induction")))
    score(atlas, models=["a", "d"])
    of_d = atlas.heads.filter(pl.col("model") == "d")["induction"]
    assert of_d.equals(scores.filter(pl.col("model") == "d")["induction"])
    assert set(atlas.heads.filter(pl.col("model") == "a")["induction"]) == {0.5}  # one BOS token


def test_scores_lost_with_the_heads_table_are_made_again(
    scored: Atlas, built: Atlas, tmp_path: Path
) -> None:
    shutil.copytree(scored.path, tmp_path / "atlas")
    atlas = Atlas.open(tmp_path / "atlas")
    atlas.file("heads").path.unlink()
    write_heads(atlas)
    write_share_columns(atlas)
    assert atlas.heads.equals(built.heads)
    score(atlas)
    assert atlas.heads.equals(scored.heads)


def test_one_model_alone_leaves_the_others_empty(copy: Atlas, scored: Atlas) -> None:
    score(copy, models=["b"])
    for model, empty in (("a", True), ("b", False)):
        of_model = copy.heads.filter(pl.col("model") == model).select(COLUMNS)
        assert bool(of_model.null_count().row(0)[0]) is empty
    score(copy)
    assert copy.heads.equals(scored.heads)


def test_an_added_local_model_is_found_at_its_recorded_path(copy: Atlas, tiny: Tiny) -> None:
    atlas = add(copy.path, tiny.model("c"))
    score(atlas)
    assert not atlas.heads.select(COLUMNS).null_count().sum_horizontal().item()


def test_models_that_cannot_be_scored_are_named(
    copy: Atlas, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="model 'c' cannot be scored: this atlas has a, b"):
        score(copy, models=[tiny.model("c")])
    make_tiny_model(tmp_path / "a", seed=9)
    with pytest.raises(InputError, match="its weights changed since"):
        score(copy, models=[f"a={tmp_path / 'a'}"])
    models = {m: replace(info, kind="pattern-lens") for m, info in copy.manifest.models.items()}
    copy.update(models=models)
    with pytest.raises(InputError, match="its patterns were imported, there is no model to score"):
        score(copy)


def test_a_context_too_short_for_the_sequences_is_told(tmp_path: Path) -> None:
    short = load_model(str(make_tiny_model(tmp_path / "short", architecture="gpt2", context=24)))
    with pytest.raises(InputError, match="24 tokens is shorter than the sequences of 25"):
        behaviour_scores(short, prefix=(0,))
    assert behaviour_scores(short, prefix=()).mean.shape == (2, 2, len(BEHAVIOURS))
