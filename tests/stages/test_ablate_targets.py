"""Classes, clusters, the long design and the statistics of `motifs ablate`, on tiny models."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from scipy.stats import false_discovery_control, spearmanr

from attention_motifs.atlas import Atlas
from attention_motifs.behaviour import CLASS_THRESHOLDS, Ablation, run_ablated
from attention_motifs.cli import main
from attention_motifs.errors import InputError
from attention_motifs.extraction import load_model
from attention_motifs.stages.ablation.ablate import ablate, sweep
from attention_motifs.stages.ablation.settings import Settings
from attention_motifs.stages.ablation.targets import class_heads, named_heads
from attention_motifs.stages.cluster import cluster
from attention_motifs.stages.run import build
from attention_motifs.stages.score import score
from attention_motifs.store.settings import Configuration
from tiny_models import make_tiny_model, texts, write_prompts

Command = Callable[..., list[dict[str, Any]]]
FEW = Settings(n_sequences=4, n_controls=5, designs=("repeated",))


@pytest.fixture(scope="module", autouse=True)
def _half_of_b_is_of_the_class(scored: Atlas):
    with pytest.MonkeyPatch.context() as patch:
        of_model = scored.heads.filter(pl.col("model") == "b")["induction"].to_numpy()
        patch.setitem(CLASS_THRESHOLDS, "induction", float(np.sort(of_model)[-4]))
        yield


@pytest.fixture(scope="module")
def scored(built: Atlas, tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    path = tmp_path_factory.mktemp("scored") / "atlas"
    shutil.copytree(built.path, path)
    atlas = Atlas.open(path)
    score(atlas)
    cluster(atlas, method="average", n_clusters=4, n_rounds=1)
    return atlas


@pytest.fixture
def scored_copy(scored: Atlas, tmp_path: Path) -> Atlas:
    shutil.copytree(scored.path, tmp_path / "atlas")
    return Atlas.open(tmp_path / "atlas")


@pytest.fixture
def command(
    scored_copy: Atlas, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run `motifs ablate ... --json` on the atlas, and give its rows."""

    def run(*words: str) -> list[dict[str, Any]]:
        few = ["--sequences", "4", "--controls", "5", "--design", "repeated", "--json"]
        monkeypatch.setattr(
            "sys.argv", ["motifs", "ablate", *words, *few, "--atlas", str(scored_copy.path)]
        )
        with pytest.raises(SystemExit) as exited:
            main()
        shown = capsys.readouterr()
        assert not exited.value.code, shown.err
        rows: list[dict[str, Any]] = json.loads(shown.out)
        return rows

    return run


def layers(heads: list[str]) -> list[str]:
    return sorted(head.split(":")[1] for head in heads)


def test_a_class_is_ablated_together_beside_its_controls(
    scored_copy: Atlas, command: Command
) -> None:
    rows = command("--class", "induction (computed)", "--model", "b")
    strong = scored_copy.heads.filter(
        pl.col("model") == "b", pl.col("induction") >= CLASS_THRESHOLDS["induction"]
    )["head"].to_list()
    sets = [row for row in rows if row["kind"] == "set"]
    assert {row["measure"] for row in sets} >= {"loss", "kl"}
    for row in sets:
        controls = [r for r in rows if r["control"] and r["measure"] == row["measure"]]
        assert (row["name"], row["heads"]) == ("induction (computed)", strong)
        assert row["n_heads"] == len(strong) == 4
        assert row["n_controls"] == len(controls) > 0
        for control in controls:
            assert layers(control["heads"]) == layers(strong)
            assert sorted(control["heads"]) != sorted(strong)
        effects = np.array([c["effect"] for c in controls])
        assert row["control_effect"] == pytest.approx(effects.mean())
        assert row["excess"] == pytest.approx(row["effect"] - effects.mean())
        harm = {"loss": 1, "kl": 1}.get(row["measure"], -1)
        as_bad = (harm * effects >= harm * row["effect"] - 1e-12).sum()
        assert row["p"] == pytest.approx((1 + as_bad) / (1 + len(effects)))
        assert row["excess_low"] <= row["excess"] + 1e-9
        assert row["excess"] <= row["excess_high"] + 1e-9
        assert row["n_tested"] == 1, "one set, one measure on one design"


def test_a_cluster_is_ablated_together_beside_its_controls(
    scored_copy: Atlas, command: Command
) -> None:
    labels = scored_copy.heads.filter(pl.col("model") == "b")
    sizes = labels.group_by("cluster (average)").len().sort("len")
    chosen = int(sizes["cluster (average)"][0])
    members = labels.filter(pl.col("cluster (average)") == chosen)["head"].to_list()
    rows = command("--cluster", f"average:{chosen}", "--model", "b")
    sets = [row for row in rows if row["kind"] == "set"]
    assert {row["name"] for row in sets} == {f"cluster {chosen} (average)"}
    assert all(row["heads"] == members for row in sets)
    assert all(layers(r["heads"]) == layers(members) for r in rows if r["control"])


def test_controls_of_nearest_heads_leave_out_the_anchor(
    scored_copy: Atlas, command: Command
) -> None:
    rows = command("--near", "b:L1:H1", "-n", "2", "--metric", "cosine")
    assert any(row["control"] for row in rows)
    for row in rows:
        assert (row["metric"], row["anchor"]) == ("cosine", "b:L1:H1")
        assert "b:L1:H1" not in row["heads"]
    swept = sweep(scored_copy, "b", FEW, anchors=["b:L1:H1"], n_nearest=2)
    effects = swept.filter(pl.col("kind") == "head", pl.col("measure") == "loss")
    alone = dict(effects.select("name", "effect").iter_rows())
    groups = swept.filter(
        pl.col("kind") == "group", pl.col("measure") == "loss", pl.col("anchor") == "b:L1:H1"
    )
    for row in groups.iter_rows(named=True):
        means = [
            np.mean([e for h, e in alone.items() if h[:5] == near[:5] and h != "b:L1:H1"])
            for near in row["heads"]
        ]
        assert row["control_effect"] == pytest.approx(
            np.mean(means), abs=0.05 * float(np.ptp(effects["effect"].to_numpy()))
        )


def test_a_class_must_have_a_head_in_the_model(
    scored_copy: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_a = scored_copy.heads.filter(pl.col("model") == "a")["induction"].to_list()
    monkeypatch.setitem(CLASS_THRESHOLDS, "induction", max(of_a) + 1e-3)
    with pytest.raises(InputError, match=r"induction \(computed\) has no head in a"):
        class_heads(scored_copy, "induction (computed)", "a")


def test_several_heads_ablated_together_are_a_whole_run_without_them(scored_copy: Atlas) -> None:
    """The effect of a set is that of the plain run, ablated by definition, sequence by sequence."""
    target = named_heads(scored_copy, ["b:L0:H1", "b:L2:H0"])
    settings = Settings(n_sequences=4, n_controls=3, designs=("prompts",), methods=("zero",))
    rows = ablate(scored_copy, target, settings)
    row = rows.filter(pl.col("kind") == "set", pl.col("measure") == "loss").row(0, named=True)
    loaded = load_model(_model(scored_copy, "b"), language_head=True)
    parts = list((scored_copy.path / "ablations").rglob("part-*.parquet"))
    stored = pl.read_parquet(parts[0])["loss"].to_numpy().reshape(2, -1, 4)[:, 0]
    tokens = scored_copy.tokens("b")["token_ids"].to_list()
    result = []
    for ids in tokens:
        ids_ = torch.tensor([ids])
        both = []
        for ablation in (Ablation(()), Ablation(((0, 1), (2, 0)))):
            hidden = run_ablated(loaded, ids_, ablation, "zero")
            with torch.inference_mode():
                logits = loaded.head(hidden)[0, :-1].double()  # type: ignore[misc]
            losses = -torch.log_softmax(logits, dim=-1)[torch.arange(len(ids) - 1), ids_[0, 1:]]
            both.append(float(losses.mean()))
        result.append(both)
    nearest = np.abs(np.array(result)[:, None, :] - stored.T[None]).max(axis=2)
    assert (nearest.min(axis=0) < 1e-5).all(), "each stored sequence is one of the prompts"
    assert row["effect"] == pytest.approx(float((stored[1] - stored[0]).mean()))


def _model(atlas: Atlas, name: str) -> str:
    (source,) = [m for m in atlas.manifest.configuration.models if m.startswith(f"{name}=")]
    return source


def test_a_sweep_asks_about_more_heads_and_every_p_is_corrected(scored_copy: Atlas) -> None:
    rows = sweep(scored_copy, "b", FEW, anchors=["b:L0:H2"], n_nearest=2)
    names = set(rows.filter(pl.col("kind") == "group")["name"].to_list())
    assert {
        f"2 nearest of b:L0:H2 by {m}" for m in ("mean", "cosine", "natural", "recommended")
    } <= names
    correlations = rows.filter(pl.col("kind") == "distance", pl.col("anchor") == "b:L0:H2")
    assert len(correlations) == 4 * len(set(rows["measure"].to_list()))
    alone = rows.filter(pl.col("kind") == "head", pl.col("measure") == "loss")
    effects = dict(alone.select("name", "effect").iter_rows())
    index = [scored_copy.head_index(head) for head in effects if head != "b:L0:H2"]
    for row in correlations.filter(pl.col("measure") == "loss").iter_rows(named=True):
        distances = np.asarray(scored_copy.distances(row["metric"]))[
            scored_copy.head_index("b:L0:H2")
        ][index]
        others = [effect for head, effect in effects.items() if head != "b:L0:H2"]
        assert row["effect"] == pytest.approx(spearmanr(distances, others)[0])
        assert row["ci_low"] < row["ci_high"]
    for (family,), tests in scored_copy.ablations.drop_nulls("p").group_by("family"):
        p, q = (tests[column].to_numpy() for column in ("p", "q"))
        assert q == pytest.approx(false_discovery_control(p)), family
        assert set(tests["n_tested"].to_list()) == {len(p)}
    with pytest.raises(InputError, match=r"--near a:L0:H0: is not of b, whose heads are swept"):
        sweep(scored_copy, "b", FEW, anchors=["a:L0:H0"])


def test_a_run_on_another_design_leaves_the_rows_of_the_first(scored_copy: Atlas) -> None:
    target = named_heads(scored_copy, ["b:L1:H0"])
    first = ablate(scored_copy, target, FEW)
    second = ablate(scored_copy, target, Settings(**{**vars(FEW), "designs": ("prompts",)}))
    assert set(scored_copy.ablations["design"].to_list()) == {"repeated", "prompts"}
    assert len(scored_copy.ablations) == len(first) + len(second)
    assert {
        family.rpartition(", ")[2] for family in scored_copy.ablations["family"].drop_nulls()
    } == {
        "repeated",
        "prompts",
    }


def test_the_long_design_is_late_loss_less_early_loss(tmp_path: Path, own_cache: Path) -> None:
    model = make_tiny_model(tmp_path / "long", n_layers=2, n_heads=2, seed=5, context=640)
    prompts = write_prompts(tmp_path / "prompts.jsonl", texts(6, n_repeats=40))
    configuration = Configuration(
        models=(f"long={model}",), prompts=str(prompts), max_tokens=24, n_view_prompts=1
    )
    atlas = build(tmp_path / "atlas", configuration)
    score(atlas)
    settings = Settings(n_sequences=3, n_controls=2, designs=("long",), methods=("zero",))
    rows = ablate(atlas, named_heads(atlas, ["long:L1:H0"]), settings)
    row = rows.filter(pl.col("kind") == "set").row(0, named=True)
    assert (row["measure"], row["design"]) == ("in-context learning", "long")
    assert (row["n_sequences"], row["n_positions"]) == (3, 21 + 101)
    loaded = load_model(f"long={model}", language_head=True)
    scores = []
    for text in atlas.prompts["text"].to_list()[:3]:
        ids = [loaded.tokenizer.bos_token_id]
        ids = (ids + loaded.tokenizer(text, add_special_tokens=False)["input_ids"])[:551]
        both = []
        for ablation in (Ablation(()), Ablation(((1, 0),))):
            hidden = run_ablated(loaded, torch.tensor([ids]), ablation, "zero")
            with torch.inference_mode():
                log_p = torch.log_softmax(loaded.head(hidden)[0].double(), dim=-1)  # type: ignore[misc]
            loss = {t: -float(log_p[t - 1, ids[t]]) for t in range(1, 551)}
            late = np.mean([loss[t] for t in range(450, 551)])
            both.append(late - np.mean([loss[t] for t in range(40, 61)]))
        scores.append(both)
    clean, ablated = np.mean(scores, axis=0)
    assert row["clean"] == pytest.approx(clean, abs=1e-4)
    assert row["effect"] == pytest.approx(ablated - clean, abs=1e-4)
