"""Probes of an atlas: their files, their settings, and the stage that adds them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from attention_motifs.atlas import IMPORTED, Atlas
from attention_motifs.atlas.check import check_atlas
from attention_motifs.cli import main
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.extraction import for_each_layer, load_model
from attention_motifs.features import compute_features, feature_names
from attention_motifs.models.tokenizing import TokenizedPrompt, prefix_tokens
from attention_motifs.stages import extract as extraction
from attention_motifs.stages.create import create_or_resume
from attention_motifs.stages.distances import add_presets
from attention_motifs.stages.probe import probe
from attention_motifs.stages.run import add, build
from attention_motifs.store import files
from conftest import Tiny, contents
from tiny_models import make_tiny_model


def without_probes(copy: Atlas) -> Atlas:
    """As an atlas that an earlier version wrote."""
    value = files.read_json(copy.path / "atlas.json")
    del value["probes"]
    for name in ("n_probes", "probe_tokens", "probe_file", "probe_seed"):
        del value["configuration"][name]
    value["stages"] = {k: v for k, v in value["stages"].items() if not k.startswith("probe:")}
    files.write_json(copy.path / "atlas.json", value)
    shutil.rmtree(copy.path / "probes")
    (copy.path / "probes.parquet").unlink()
    record = copy.path / "digests.jsonl"
    lines = record.read_text().splitlines(keepends=True)[1:]  # without the digest of the others
    record.write_text("".join(line for line in lines if '"probes' not in line))
    return Atlas.open(copy.path)


def own_file(folder: Path, lines: Sequence[object]) -> str:
    path = folder / "own.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    return str(path)


def test_features_of_probes_are_those_of_their_sequences(built: Atlas, tiny: Tiny) -> None:
    assert built.has_probes()
    assert built.probes["prompt_id"].to_list() == ["probe-01", "probe-02", "probe-03"]
    names = feature_names("extended")
    for model, bos in (("a", 1), ("b", 1)):
        table = built.probe_sequences(model)
        loaded = load_model(tiny.model(model))
        assert prefix_tokens(loaded) == tuple(table["token_ids"][0][:bos])
        assert built.n_probe_parts(model) == 1
        (part,) = built.feature_parts(model, names, stimuli="probes")
        assert part["n_tokens"].unique().to_list() == [40]
        sequences = [
            TokenizedPrompt(row["prompt_id"], tuple(row["token_ids"]), tuple(row["tokens"]))
            for row in table.iter_rows(named=True)
        ]
        result = np.empty((len(sequences), loaded.info.n_layers, loaded.info.n_heads, len(names)))

        def sink(layer: int, positions: Sequence[int], patterns: object, out=result) -> None:
            for i, pattern in zip(positions, patterns, strict=True):
                out[i, layer] = compute_features(pattern, "extended").numpy()

        for_each_layer(loaded, sequences, sink)
        stored = part.select(names).to_numpy().reshape(result.shape)
        np.testing.assert_allclose(stored, result, rtol=1e-5, atol=1e-6)


def test_repeat_lengths_and_seed_are_recorded(built: Atlas) -> None:
    table = built.probe_sequences("a")
    for row in table.iter_rows(named=True):
        body = row["token_ids"][1:]
        length = row["repeat_length"]
        assert body[length:] == body[:-length]
        assert len(row["tokens"]) == len(row["token_ids"]) == 40
    assert built.manifest.configuration.probe_seed == 0


def test_patterns_of_a_few_probes_are_kept(built: Atlas) -> None:
    assert built.view_probes() == ["probe-01", "probe-02", "probe-03"]
    pattern = built.pattern("a:L1:H0", "probe-02")
    assert pattern.shape == (40, 40)
    np.testing.assert_allclose(pattern.sum(axis=1), 1, atol=0.05)


def test_an_atlas_with_probes_passes_its_check_and_a_second_build_keeps_it(
    copy: Atlas, tiny: Tiny
) -> None:
    assert check_atlas(copy) == []
    before = contents(copy.path)
    build(copy.path, tiny.configuration())
    assert contents(copy.path) == before


def test_an_old_atlas_opens_without_probes_and_gains_those_of_a_new_one(
    copy: Atlas, built: Atlas
) -> None:
    old = without_probes(copy)
    assert not old.has_probes()
    assert old.n_probe_parts("a") == 0
    assert old.view_probes() == []
    assert check_atlas(old) == []
    with pytest.raises(AtlasError, match="motifs probe"):
        next(old.feature_parts("a", stimuli="probes"))
    with Atlas.lock(old.path):
        probe(old, settings={"n_probes": 3, "probe_tokens": 40})
    assert contents(old.path) == contents(built.path)


def test_building_an_old_atlas_again_adds_probes(copy: Atlas, built: Atlas, tiny: Tiny) -> None:
    old = without_probes(copy)
    build(old.path, tiny.configuration())
    assert contents(old.path) == contents(built.path)


def test_an_added_model_is_run_on_the_same_probes(copy: Atlas, tiny: Tiny) -> None:
    before = contents(copy.path / "probes")
    grown = add(copy.path, tiny.model("c"))
    assert grown.has_probes("c")
    (part,) = grown.feature_parts("c", [], stimuli="probes")
    assert len(part) == 3 * 4
    after = contents(copy.path / "probes")
    assert {name: data for name, data in after.items() if not name.startswith("c")} == before
    assert check_atlas(grown) == []


@pytest.mark.parametrize("kept", ["a/part-00000.parquet", "b/part-00000.parquet"])
def test_a_lost_part_comes_back_the_same(copy: Atlas, tiny: Tiny, kept: str) -> None:
    before = contents(copy.path)
    (copy.path / "probes" / kept).unlink()
    with Atlas.lock(copy.path):
        probe(copy)
    assert contents(copy.path) == before


def test_a_run_that_stops_between_two_models_continues(
    tiny: Tiny, built: Atlas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(built.path, tmp_path / "atlas")
    atlas = without_probes(Atlas.open(tmp_path / "atlas"))
    write, calls = extraction.write_part, []

    def stopping(*arguments: object) -> None:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(extraction, "write_part", stopping)
    settings = {"n_probes": 3, "probe_tokens": 40}
    with Atlas.lock(atlas.path), pytest.raises(KeyboardInterrupt):
        probe(atlas, settings=settings)
    atlas = Atlas.open(atlas.path)
    assert atlas.has_probes("a")
    assert not atlas.has_probes()
    with pytest.raises(AtlasError, match="motifs probe"):
        next(atlas.feature_parts("b", stimuli="probes"))
    written: list[object] = []
    monkeypatch.setattr(
        extraction, "write_part", lambda *a: (written.append(a[1].model), write(*a))
    )
    with Atlas.lock(atlas.path):
        probe(atlas)
    assert written == ["b"]
    assert contents(atlas.path) == contents(built.path)


def test_other_settings_replace_the_probes(copy: Atlas) -> None:
    tokens = copy.probe_sequences("a")["token_ids"].to_list()
    with Atlas.lock(copy.path):
        probe(copy, settings={"n_probes": 2, "probe_seed": 7})
    assert copy.probe_sequences("a")["token_ids"].to_list() != tokens[:2]
    assert [p.name for p in (copy.path / "probes" / "a" / "patterns").iterdir()] != []
    assert len(list((copy.path / "probes" / "a" / "patterns").iterdir())) == 2
    with Atlas.lock(copy.path):
        probe(copy, settings={"n_probes": 20, "probe_seed": 0})
        add_presets(copy)
    assert copy.n_probe_parts("a") == 2
    assert copy.probe_sequences("a")["token_ids"].to_list()[:3] == tokens
    assert check_atlas(copy) == []


def test_a_change_of_the_probes_runs_all_models_also_if_some_are_named(copy: Atlas) -> None:
    with Atlas.lock(copy.path):
        probe(copy, settings={"n_probes": 2}, models=["a"])
    assert copy.has_probes()
    assert [len(copy.probe_sequences(model)) for model in copy.models] == [2, 2]


def test_probes_of_a_user_are_texts_each_repeated_as_asked(copy: Atlas, tmp_path: Path) -> None:
    lines = [
        {"text": "one two three", "repeats": 3},
        {"text": "apple: 3\npear: 7\napple:"},
        {"text": "((a) (b (c)))" * 40},
    ]
    with Atlas.lock(copy.path):
        probe(copy, settings={"n_probes": 0, "probe_file": own_file(tmp_path, lines)})
        add_presets(copy)
    table = copy.probe_sequences("a")
    assert table["prompt_id"].to_list() == ["own-01", "own-02", "own-03"]
    repeated = table["token_ids"][0].to_list()
    length = table["repeat_length"][0]
    assert len(repeated) == 1 + 3 * length
    assert repeated[1 : 1 + length] * 3 == repeated[1:]
    assert table["repeat_length"].to_list()[1:] == [0, 0]
    assert len(table["token_ids"][2]) == 40
    assert "".join(table["tokens"][1][1:]) == lines[1]["text"]
    assert check_atlas(copy) == []
    (tmp_path / "own.jsonl").unlink()  # the atlas has the texts
    shutil.rmtree(copy.path / "probes" / "b")
    with Atlas.lock(copy.path):
        probe(copy)
    assert copy.has_probes()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ({"text": "a b", "repeats": 0}, "'repeats' is 0"),
        ({"text": "a b", "repeats": True}, "'repeats' is True"),
        ({"text": "a b", "repeats": "2"}, "'repeats' is '2'"),
        ({"texts": "a b"}, "line 1"),
        ({"text": "  "}, "line 1"),
    ],
)
def test_a_malformed_file_of_probes_changes_nothing(
    copy: Atlas, tmp_path: Path, line: object, problem: str
) -> None:
    before = contents(copy.path)
    with Atlas.lock(copy.path), pytest.raises(InputError, match=problem):
        probe(copy, settings={"probe_file": own_file(tmp_path, [line])})
    assert contents(copy.path) == before


def test_what_cannot_be_probed_is_refused_with_the_reason(copy: Atlas, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no probes to run"):
        probe(copy, settings={"n_probes": 0})
    with pytest.raises(InputError, match="no such prompts file"):
        probe(copy, settings={"probe_file": str(tmp_path / "nothing")})
    with pytest.raises(InputError, match="n_probe"):
        probe(copy, settings={"n_probe": 3})
    with pytest.raises(InputError, match="'nobody' is not in this atlas"):
        probe(copy, models=["nobody"])
    with pytest.raises(InputError, match="stimuli 'texts'"):
        next(copy.feature_parts("a", stimuli="texts"))


def test_a_model_of_a_short_context_gets_shorter_probes(tiny: Tiny, tmp_path: Path) -> None:
    short = make_tiny_model(tmp_path / "short", context=26)
    configuration = tiny.configuration(
        models=(f"short={short}",), n_prompts=2, probe_tokens=128, n_view_prompts=0
    )
    atlas = build(tmp_path / "atlas", configuration, metrics=["mean"])
    table = atlas.probe_sequences("short")
    assert table["token_ids"].list.len().to_list() == [26] * 3
    assert table["repeat_length"].to_list() == [12] * 3
    assert atlas.view_probes() == []
    assert check_atlas(atlas) == []


def test_a_build_without_probes_writes_none(tiny: Tiny, tmp_path: Path) -> None:
    configuration = tiny.configuration(models=(tiny.model("a"),), n_prompts=2, n_probes=0)
    atlas = build(tmp_path / "atlas", configuration, metrics=["mean"])
    assert not (atlas.path / "probes").exists()
    assert not (atlas.path / "probes.parquet").exists()
    assert not atlas.has_probes()
    assert check_atlas(atlas) == []


def test_other_probes_than_those_of_the_atlas_are_refused_by_a_build(
    copy: Atlas, tiny: Tiny, tmp_path: Path
) -> None:
    for settings in ({"n_probes": 0}, {"probe_seed": 4}, {"probe_tokens": 41}):
        with Atlas.lock(copy.path), pytest.raises(AtlasError, match=next(iter(settings))):
            create_or_resume(copy.path, tiny.configuration(**settings))
    file = own_file(tmp_path, [{"text": "a b a b"}])
    with Atlas.lock(copy.path), pytest.raises(AtlasError, match="motifs probe"):
        create_or_resume(copy.path, tiny.configuration(probe_file=file))


@pytest.mark.parametrize("damage", ["lost", "rows", "sequences"])
def test_the_check_finds_damaged_probes(copy: Atlas, damage: str) -> None:
    part = copy.file("probe_features", model="b", block=0).path
    if damage == "lost":
        part.unlink()
    elif damage == "rows":
        pl.read_parquet(part).head(-1).write_parquet(part)
    else:
        part = copy.file("probe_sequences", model="b").path
        table = pl.read_parquet(part)
        table.with_columns(prompt_id=pl.Series(["x", "y", "z"])).write_parquet(part)
    finding = check_atlas(copy)[0]
    assert str(part) in finding
    assert "motifs probe" in finding


def test_imported_patterns_have_no_probes_and_say_why(copy: Atlas) -> None:
    old = without_probes(copy)
    old.update(configuration=replace(old.manifest.configuration, prompts=IMPORTED))
    with pytest.raises(AtlasError, match="patterns were imported"):
        probe(old)
    with pytest.raises(AtlasError, match="patterns were imported"):
        next(old.feature_parts("a", stimuli="probes"))


def test_the_command_adds_probes_and_says_how_many(
    copy: Atlas, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = without_probes(copy)
    options = ["--n-probes", "2", "--probe-tokens", "32", "--device", "cpu"]
    monkeypatch.setattr("sys.argv", ["motifs", "probe", "--atlas", str(old.path), *options])
    with pytest.raises(SystemExit) as exited:
        main()
    assert exited.value.code in (0, None)
    assert "2 probes of a, b" in capsys.readouterr().out
    assert Atlas.open(old.path).has_probes()


def test_the_commands_mistakes_are_one_line_and_change_nothing(
    copy: Atlas, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(copy.path)
    for options in (["--n-probes", "0"], ["--probe-file", "nothing.jsonl"], ["--model", "nobody"]):
        monkeypatch.setattr("sys.argv", ["motifs", "probe", "--atlas", str(copy.path), *options])
        with pytest.raises(SystemExit) as exited:
            main()
        assert exited.value.code not in (0, None)
        error = capsys.readouterr().err
        assert options[-1] in error
        assert "Traceback" not in error
    assert contents(copy.path) == before


def test_a_probe_is_shown_in_the_terminal(
    built: Atlas, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["show", "a:L0:H1", "--prompt", "probe-02", "--atlas", str(built.path)]
    monkeypatch.setattr("sys.argv", ["motifs", *words])
    with pytest.raises(SystemExit) as exited:
        main()
    assert exited.value.code in (0, None)
    assert "on prompt probe-02 (40 tokens)" in capsys.readouterr().out
