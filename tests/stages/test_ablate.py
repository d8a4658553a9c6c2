"""The stage `ablate` on an atlas of tiny models."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from rich.console import Console

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.ablation_table import schema, table_of
from attention_motifs.behaviour import CLASS_THRESHOLDS, METHODS
from attention_motifs.behaviour.replay import clean_run
from attention_motifs.cli import console, main
from attention_motifs.cli.ablate import _show
from attention_motifs.errors import InputError
from attention_motifs.evaluation.null import false_discovery_rates
from attention_motifs.stages.ablation import ablate as stage
from attention_motifs.stages.ablation.ablate import ablate, sweep
from attention_motifs.stages.ablation.rows import corrected
from attention_motifs.stages.ablation.settings import Settings, checked
from attention_motifs.stages.ablation.targets import (
    class_heads,
    cluster_heads,
    named_heads,
    near_heads,
)
from attention_motifs.stages.score import score

FEW = Settings(n_sequences=5, n_controls=4, methods=("mean", "resample"))


@pytest.fixture(scope="module")
def swept(built: Atlas, tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    """The two models scored, `b` swept; its strongest head by induction is in the class."""
    path = tmp_path_factory.mktemp("swept") / "atlas"
    shutil.copytree(built.path, path)
    atlas = Atlas.open(path)
    score(atlas)
    with pytest.MonkeyPatch.context() as patch:
        of_model = atlas.heads.filter(pl.col("model") == "b")["induction"].to_numpy()
        patch.setitem(CLASS_THRESHOLDS, "induction", float(np.sort(of_model)[-4]))
        sweep(atlas, "b", FEW)
    return atlas


def test_a_sweep_has_every_head_with_intervals_tests_and_their_number(swept: Atlas) -> None:
    table = swept.ablations
    assert dict(table.schema) == schema()
    heads = table.filter(pl.col("kind") == "head", pl.col("measure") == "loss")
    assert len(heads) == 9 * 2 * 2  # heads, methods, designs
    assert heads["p"].null_count() == 0
    assert (heads["ci_low"] <= heads["effect"]).all()
    assert (heads["effect"] <= heads["ci_high"]).all()
    assert np.allclose(heads["ablated"] - heads["clean"], heads["effect"])
    for (family,), rows in table.filter(pl.col("family").is_not_null()).group_by("family"):
        assert set(rows["n_tested"].to_list()) == {rows["p"].is_not_null().sum()}, family
        p = rows["p"].drop_nulls().to_list()
        assert rows["q"].drop_nulls().to_list() == pytest.approx(false_discovery_rates(p))
    questions = {family.partition(":")[0] for family in table["family"].drop_nulls()}
    assert questions == {"heads", "classes", "nearest heads", "distance"}
    assert (table.filter(pl.col("p").is_not_null())["q"] >= table["p"].drop_nulls()).all()
    for row in heads.filter(pl.col("design") == "repeated", pl.col("method") == "mean").iter_rows(
        named=True
    ):
        layer = row["name"].rsplit(":", 1)[0]
        others = heads.filter(
            pl.col("design") == "repeated",
            pl.col("method") == "mean",
            pl.col("name").str.starts_with(f"{layer}:"),
            pl.col("name") != row["name"],
        )["effect"]
        assert row["n_controls"] == len(others) == 2
        assert row["control_effect"] == pytest.approx(others.mean())
        assert row["excess"] == pytest.approx(row["effect"] - row["control_effect"])
        assert row["excess_low"] <= row["excess"] <= row["excess_high"]
    divergence = table.filter(pl.col("measure") == "kl", pl.col("kind") == "head")
    assert (divergence["effect"] > -1e-4).all()


def test_groups_are_means_of_their_heads_beside_their_layers(swept: Atlas) -> None:
    table = swept.ablations.filter(pl.col("method") == "mean", pl.col("measure") == "loss")
    table = table.filter(pl.col("design") == "repeated")
    alone = dict(table.filter(pl.col("kind") == "head").select("name", "effect").iter_rows())
    groups = table.filter(pl.col("kind") == "group")
    assert {"mean", "cosine"} <= set(groups["metric"].to_list())
    for row in groups.iter_rows(named=True):
        assert row["effect"] == pytest.approx(np.mean([alone[h] for h in row["heads"]]))
        assert row["excess"] == pytest.approx(row["effect"] - row["control_effect"])
        assert 0 < row["p"] <= 1
    distances = table.filter(pl.col("kind") == "distance")
    assert set(distances["metric"].to_list()) == {"mean", "cosine", "natural", "recommended"}
    assert (distances["effect"].abs() <= 1).all()


def test_a_set_of_one_head_agrees_with_the_sweep_and_has_its_controls(
    swept: Atlas, tmp_path: Path
) -> None:
    shutil.copytree(swept.path, tmp_path / "atlas")
    atlas = Atlas.open(tmp_path / "atlas")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CLASS_THRESHOLDS, "induction", 2.0)
        rows = ablate(atlas, named_heads(atlas, ["b:L1:H2"]), FEW)
    keys = ["method", "measure", "design", "effect"]
    alone = swept.ablations.filter(pl.col("kind") == "head", pl.col("name") == "b:L1:H2")
    for row in rows.filter(pl.col("kind") == "set").select(keys).iter_rows():
        of = alone.filter(*(pl.col(k) == v for k, v in zip(keys[:3], row[:3], strict=True)))
        assert row[3] == pytest.approx(of["effect"][0], abs=1e-5)
    controls = rows.filter(pl.col("control"), pl.col("measure") == "loss")
    assert set(controls["name"].to_list()) == {"b:L1:H2"}
    assert {h for of in controls["heads"].to_list() for h in of} == {"b:L1:H0", "b:L1:H1"}
    assert controls["p"].null_count() == len(controls)
    assert len(atlas.ablations) == len(swept.ablations) + len(rows)
    ablate(atlas, named_heads(atlas, ["b:L1:H2"]), Settings(**{**vars(FEW), "methods": ("mean",)}))
    assert len(atlas.ablations) <= len(swept.ablations) + len(rows), "replaced, not repeated"


def test_a_mean_is_taken_over_other_sequences_of_the_design_that_is_measured(
    swept: Atlas,
) -> None:
    run = stage._Run(swept, "b", FEW, None)
    for name, of_design in run.sequences.items():
        others, measured = of_design.calibration, of_design.design.token_ids
        assert others.shape[1] == measured.shape[1]
        assert not {tuple(row) for row in others} & {tuple(row) for row in measured}, name
    repeated = run.sequences["repeated"].calibration
    assert (repeated[:, 1:51] == repeated[:, 51:]).all(), "the block comes twice"
    # The mean is that of plain runs over these sequences.
    outputs = clean_run(run.loaded, torch.from_numpy(repeated)).outputs
    calibration = run._calibration("repeated")
    for layer, output in outputs.items():
        assert torch.allclose(calibration.by_position[layer], output.mean(dim=0), atol=1e-5)
        assert torch.allclose(calibration.overall[layer], output.mean(dim=(0, 1)), atol=1e-5)
    shown = swept.ablations.filter(pl.col("kind") == "head").select("method", "design", "reference")
    n_prompts = len(run.sequences["prompts"].calibration)
    assert set(shown.unique().iter_rows()) == {
        ("mean", "prompts", f"mean over {n_prompts} other prompts"),
        ("mean", "repeated", "mean over 32 other repeated sequences"),
        ("resample", "prompts", "output on one of the other prompts"),
        ("resample", "repeated", "output on one of the other repeated sequences"),
    }


@pytest.mark.parametrize("by_family", [True, False])
def test_true_nulls_keep_their_rate_beside_many_real_effects_of_another_question(
    by_family: bool,
) -> None:
    rng = np.random.default_rng(0)
    hits = 0
    n_runs = 100
    for _ in range(n_runs):
        real = [{"kind": "head", "p": p} for p in rng.uniform(0, 0.002, 300)]
        null = [
            {"kind": "group" if by_family else "head", "anchor": "a", "p": p}
            for p in rng.random(28)
        ]
        common = {"measure": "loss", "design": "repeated"}
        table = corrected(table_of([row | common for row in real + null]))
        hits += bool((table["q"][300:] <= 0.05).any())
    rate = hits / n_runs
    assert rate < 0.1 if by_family else rate > 0.4


def test_a_stopped_run_goes_on_and_gives_the_same_rows(
    swept: Atlas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from attention_motifs import behaviour

    shutil.copytree(swept.path, tmp_path / "atlas")
    atlas = Atlas.open(tmp_path / "atlas")
    shutil.rmtree(atlas.path / "ablations")
    atlas.file("ablations").path.unlink()
    monkeypatch.setattr(stage, "_PART_ABLATIONS", 2)
    original, calls = behaviour.measure_block, []

    def stopping(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return original(*arguments, **named)

    monkeypatch.setattr(behaviour, "measure_block", stopping, raising=False)
    target = named_heads(atlas, ["b:L0:H0", "b:L1:H1"])
    with pytest.raises(KeyboardInterrupt):
        ablate(atlas, target, FEW)
    assert len(list((atlas.path / "ablations").rglob("part-*"))) == 3
    resumed = ablate(atlas, target, FEW)
    n_calls = len(calls)
    shutil.rmtree(atlas.path / "ablations")
    again = ablate(atlas, target, FEW)
    assert len(calls) - n_calls == n_calls - 1
    assert again.equals(resumed)


def test_all_methods_are_measured_together_and_shown_in_one_table(
    swept: Atlas, tmp_path: Path
) -> None:
    assert checked(Settings(methods=("all",))).methods == tuple(METHODS)
    shutil.copytree(swept.path, tmp_path / "atlas")
    atlas = Atlas.open(tmp_path / "atlas")
    target = named_heads(atlas, ["b:L1:H2"])
    few = {"n_sequences": 3, "n_controls": 1, "designs": ("repeated",)}
    ablate(atlas, target, Settings(methods=("zero", "mean-position"), **few))
    rows = ablate(atlas, target, Settings(methods=("mean",), **few))
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(console, "output", Console(file=printed, width=200))
        _show(rows, atlas.ablations)
    for reference in ("mean over 32 other", "mean by position over 32 other", "zero"):
        assert reference in printed.getvalue()


def test_targets_and_their_mistakes(swept: Atlas) -> None:
    near = near_heads(swept, "b:L2:H0", 3, "cosine")
    result = swept.near("b:L2:H0", n=3, metric="cosine", scope="within")["head"].to_list()
    assert sorted(str(h) for h in near.heads) == sorted(result)
    assert near.name == "3 nearest of b:L2:H0 by cosine"
    for call, message in (
        (lambda: named_heads(swept, ["a:L0:H0", "b:L0:H0"]), "of several models"),
        (lambda: class_heads(swept, "nothing", "a"), "--class 'nothing'"),
        (lambda: cluster_heads(swept, "average", "a"), "write METHOD:NUMBER"),
        (lambda: cluster_heads(swept, "average:1", "a"), "this atlas has no clusters by average"),
        (lambda: sweep(swept, "b", Settings(methods=("meen",))), "'meen': choose mean"),
        (lambda: sweep(swept, "b", Settings(methods=("all", "zero"))), "or all alone"),
        (lambda: sweep(swept, "b", Settings(n_sequences=1)), "at least 2 and 1"),
        (lambda: sweep(swept, "b", Settings(designs=("long",))), "--design long: 0 texts"),
        (lambda: sweep(swept, "x"), "model 'x' is not in this atlas"),
    ):
        with pytest.raises(InputError, match=message):
            call()


def test_behaviour_must_be_scored_before(copy: Atlas) -> None:
    with pytest.raises(InputError, match="b: its behaviour is not scored yet; run `motifs score"):
        ablate(copy, named_heads(copy, ["b:L0:H0"]), FEW)


def test_the_command_prints_effects_and_how_many_were_tested(
    swept: Atlas,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(swept.path, tmp_path / "atlas")
    words = ["ablate", "--near", "b:L2:H0", "-n", "2", "--sequences", "4", "--controls", "3"]
    monkeypatch.setattr("sys.argv", ["motifs", *words, "--atlas", str(tmp_path / "atlas")])
    with pytest.raises(SystemExit) as exited:
        main()
    shown = capsys.readouterr()
    assert not exited.value.code, shown.err
    assert "2 nearest of b:L2:H0" in shown.out, shown.out
    assert "sets: loss, repeated (" in shown.out
    assert "mean over 32 other repeated sequences" in shown.out
    assert "MiB beside the model" in shown.err
    monkeypatch.setattr("sys.argv", ["motifs", "ablate", "--atlas", str(tmp_path / "atlas")])
    with pytest.raises(SystemExit) as exited:
        main()
    assert exited.value.code == 2
    assert "--sweep" in capsys.readouterr().err
