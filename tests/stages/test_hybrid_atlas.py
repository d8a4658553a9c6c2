"""Hybrids in an atlas: the heads of their softmax layers, under the true numbers of the layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from typer.testing import CliRunner

import attention_motifs as am
from attention_motifs.behaviour import OF_PATTERNS
from attention_motifs.behaviour.ablation import Ablation, replay_ablated, run_ablated
from attention_motifs.behaviour.replay import check_replay, clean_run
from attention_motifs.cli.app import app
from attention_motifs.errors import HeadNotFoundError, InputError, ModelError
from attention_motifs.extraction import load_model
from attention_motifs.stages.identify import model_patterns_on_text
from exported_site import stored_patterns
from tiny_hybrids import FAMILIES, make_tiny_hybrid
from tiny_models import make_tiny_model

TEXTS = [f"word {i} then {i + 1} then word {i} of the tale {i}" for i in range(8)]
LAYERS = {"mixed": [1], "next": [1, 2]}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, own_cache: Path) -> dict[str, Path]:
    """Two hybrids of three layers, and a model of softmax layers alone."""
    folder = tmp_path_factory.mktemp("hybrids")
    return {
        "mixed": make_tiny_hybrid(folder / "mixed", "lfm2"),
        "next": make_tiny_hybrid(folder / "next", "qwen3_next"),
        "plain": make_tiny_model(folder / "plain"),
    }


@pytest.fixture(scope="module")
def settings(
    folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, object]:
    prompts = tmp_path_factory.mktemp("prompts") / "prompts.jsonl"
    prompts.write_text("\n".join(json.dumps({"text": text}) for text in TEXTS))
    return {"prompts": prompts, "max_tokens": 16, "n_components": 4, "n_probes": 2,
            "probe_tokens": 16, "n_view_prompts": 1}  # fmt: skip


@pytest.fixture(scope="module")
def built(
    folders: dict[str, Path], settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> am.Atlas:
    """An atlas of one hybrid and of the other model, to which the other hybrid was added."""
    path = tmp_path_factory.mktemp("built") / "atlas"
    models = [f"mixed={folders['mixed']}", f"plain={folders['plain']}"]
    configuration = am.Configuration(models=models, softmax_only=True, **settings)
    am.build(path, configuration, metrics=["mean"])
    am.add(path, f"next={folders['next']}")
    return am.score(path)


def test_heads_keep_the_numbers_of_their_layers(built: am.Atlas) -> None:
    for model, layers in LAYERS.items():
        record = built.manifest.models[model]
        assert (record.n_layers, list(record.layers)) == (3, layers)
        heads = built.heads.filter(pl.col("model") == model)
        assert heads["layer"].unique().sort().to_list() == layers
        assert heads["depth"].unique().sort().to_list() == [layer / 2 for layer in layers]
        assert len(heads) == record.n_all_heads == 4 * len(layers)
    assert built.manifest.models["plain"].softmax_layers is None


def test_patterns_are_those_of_the_layer(built: am.Atlas, folders: dict[str, Path]) -> None:
    text = built.prompts["text"][0]
    for model, layers in LAYERS.items():
        batches = am.extract_patterns(
            f"{model}={folders[model]}", text, max_tokens=16, softmax_only=True
        )
        for batch in batches:
            assert batch.layer in layers
            kept = built.pattern(batch.heads[3], built.prompts["prompt_id"][0])
            np.testing.assert_allclose(kept, batch.patterns[3], atol=1 / 200)


def test_questions_are_answered_with_true_numbers(built: am.Atlas) -> None:
    near = built.near("mixed:L1:H2", n=3)
    assert len(near) == 3
    assert built.explain("next:L2:H0").head == "next:L2:H0"
    assert {head.partition(":H")[0] for head in built.heads["head"]} == {
        "mixed:L1", "next:L1", "next:L2", "plain:L0", "plain:L1"
    }  # fmt: skip
    with pytest.raises(HeadNotFoundError, match="mixed has layers 1 and heads 0 to 3"):
        built.near("mixed:L0:H0")
    with pytest.raises(HeadNotFoundError, match="next has layers 1, 2 and"):
        built.near("next:L0:H0")


def test_the_heads_are_scored(built: am.Atlas) -> None:
    for name in OF_PATTERNS:
        assert built.heads[name].null_count() == 0
    assert built.heads["copying"].is_null().sum() == 12  # hybrids have no known direct path


def test_the_heads_are_ablated(built: am.Atlas) -> None:
    rows = am.ablate(built.path, "next:L2:H0", designs="repeated", n_sequences=2, n_controls=1)
    assert rows["effect"].is_finite().all()


def test_a_text_is_read_by_the_softmax_layers(built: am.Atlas) -> None:
    read = built.on("one two three one two three", model="next")
    assert set(read.table["layer"]) == {1, 2}
    pattern = read.patterns("next:L2:H1")
    np.testing.assert_allclose(pattern.sum(axis=1), 1, atol=1e-5)


def test_the_pages_have_the_true_numbers(built: am.Atlas) -> None:
    result = CliRunner().invoke(app, ["site", "--atlas", str(built.path)])
    assert result.exit_code == 0, result.output
    manifest = json.loads((built.path / "site/data/manifest.json").read_text())
    models = {model["name"]: model for model in manifest["models"]}
    assert models["next"]["layers"] == [1, 2]
    assert models["next"]["n_layers"] == 3
    next_model = list(models).index("next")
    patterns = stored_patterns(built.path / "site", manifest, next_model)
    n_heads = models["next"]["n_heads"]
    assert {models["next"]["layers"][head // n_heads] for head, _ in patterns} == {1, 2}
    rows = [model["first_row"] for model in manifest["models"]]
    assert rows == [0, 4, 4 + built.manifest.models["plain"].n_all_heads]
    for command in (["report", "next"], ["export", "next:L2:H3", "--html"]):
        result = CliRunner().invoke(
            app,
            [*command, "--atlas", str(built.path), "--out", str(built.path.parent / command[0])],
        )
        assert result.exit_code == 0, result.output


def test_a_pattern_on_a_text_is_that_of_its_head(built: am.Atlas) -> None:
    patterns, place = model_patterns_on_text(built, "next:L2:H1", "one two three one two three")
    assert (patterns.shape[:2], place) == ((2, 4), 5)
    with pytest.raises(HeadNotFoundError, match="layers 1, 2"):
        model_patterns_on_text(built, "next:L0:H1", "one two three one two three")


def test_a_hybrid_is_refused_without_the_option_and_added_with_it(
    folders: dict[str, Path], settings: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="--softmax-only"):
        am.build(tmp_path / "a", am.Configuration(models=str(folders["next"]), **settings))
    path = tmp_path / "b"
    plain = am.Configuration(models=f"plain={folders['plain']}", **settings)
    am.build(path, plain, metrics=["mean"], score=False)
    with pytest.raises(ModelError, match="--softmax-only"):
        am.add(path, str(folders["mixed"]), score=False)
    added = CliRunner().invoke(
        app, ["add", str(folders["mixed"]), "--softmax-only", "--no-score", "--atlas", str(path)]
    )
    assert added.exit_code == 0, added.output
    atlas = am.Atlas.open(path)
    assert atlas.manifest.models["mixed"].softmax_layers == (1,)
    assert len(am.score(path).heads) == 8
    again = am.build(path, plain, metrics=["mean"], score=False)
    assert again.models == ("plain", "mixed")


def test_numbers_of_layers_are_checked(built: am.Atlas) -> None:
    from attention_motifs.store.manifest import ModelRecord

    record = built.manifest.models["next"].to_json()
    assert ModelRecord.from_json(record) == built.manifest.models["next"]
    for layers in ([], [2, 1], [1, 1], [3], [-1], "x"):
        with pytest.raises(InputError, match="softmax_layers"):
            ModelRecord.from_json({**record, "softmax_layers": layers})


@pytest.mark.parametrize("family", list(FAMILIES))
def test_heads_of_every_family_are_ablated_and_replayed(
    family: str, tmp_path: Path, own_cache: Path
) -> None:
    folder = make_tiny_hybrid(tmp_path / family, family)
    loaded = load_model(f"m={folder}", softmax_only=True, language_head=True)
    ids = torch.randint(2, 200, (2, 12), generator=torch.Generator().manual_seed(0))
    clean = clean_run(loaded, ids, keep_patterns=True)
    assert list(clean.outputs) == list(loaded.layers)
    check_replay(loaded, clean)
    ablation = Ablation(((loaded.layers[-1], 2),))
    for method in ("zero", "pattern-preserving"):
        whole = run_ablated(loaded, ids, ablation, method, clean=clean)
        (again,) = replay_ablated(loaded, clean, [ablation], method)
        torch.testing.assert_close(again, whole, atol=1e-4, rtol=1e-4)
        assert (whole - clean.hidden).abs().max() > 1e-3
    with pytest.raises(InputError, match="does not exist"):
        run_ablated(loaded, ids, Ablation(((7, 0),)), "zero")
