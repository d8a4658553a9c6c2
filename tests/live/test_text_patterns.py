"""`atlas.on(text)` on an atlas of tiny models: patterns, table, difference, errors."""

from __future__ import annotations

import gc
import json
import shutil
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import attention_motifs as am
from attention_motifs.atlas import Atlas
from attention_motifs.errors import AtlasError, InputError, MotifsError
from attention_motifs.live.keep import keep, kept_prompts
from attention_motifs.live.models import MAX_BYTES
from attention_motifs.prompts import load_prompts
from conftest import Tiny
from synthetic_atlas import make_synthetic_atlas

TEXT = "one two three one two three one two three one two three one two three, said the cat."


@pytest.fixture
def own(built: Atlas, tmp_path: Path) -> Atlas:
    """A copy of the atlas that may be changed."""
    return Atlas.open(shutil.copytree(built.path, tmp_path / "an atlas"))


def test_patterns_are_those_of_the_extraction(built: Atlas, tiny: Tiny) -> None:
    read = built.on(TEXT)
    assert read.models == ("a", "b")
    for name in ("a", "b"):
        n = 0
        for batch in am.extract_patterns(tiny.model(name), TEXT, max_tokens=256):
            for head, pattern in zip(batch.heads, batch.patterns, strict=True):
                assert np.abs(read.patterns(head) - pattern.numpy()).max() < 1e-6
                n += 1
        assert n == built.manifest.models[name].n_all_heads


def test_features_on_a_prompt_are_those_that_the_atlas_holds(built: Atlas) -> None:
    row = built.prompts.row(5, named=True)
    read = built.on(row["text"], model="b", max_tokens=24).features
    stored = next(built.feature_parts("b"))
    stored = stored.filter(stored["prompt_id"] == row["prompt_id"])
    assert read["head"].to_list() == stored["head"].to_list()
    for name in read.columns[2:]:
        np.testing.assert_allclose(read[name], stored[name], rtol=1e-3, atol=1e-4)


def test_prompts_of_the_atlas_are_usual_and_a_repeated_word_is_not(built: Atlas) -> None:
    usual = [built.on(text, max_tokens=24).table for text in built.prompts["text"].head(8)]
    odd = built.on(" the" * 40, max_tokens=24).table
    n = len(built.heads)
    assert all(len(table) == n for table in (*usual, odd))
    assert odd["unusual"].median() > 2 * max(table["unusual"].median() for table in usual)
    for table in (*usual, odd):
        assert table["unusual"].is_sorted(descending=True)
        assert set(table["head"]) == set(built.heads["head"])
        assert table["share"].is_between(1 / 21, 1).all()


def test_short_texts_are_compared_with_prompts_of_their_length(built: Atlas) -> None:
    short = built.on("one two three one two")
    (first, second) = short.readings
    assert first.unusual is not None
    assert f"cut to {len(first.tokens)} tokens" in first.sentence
    assert first.model, second.model == built.models
    # A prompt itself, cut, is near its own cloud.
    text = built.prompts["text"][0]
    cut = built.on(text, max_tokens=10).readings[0]
    assert cut.is_cut
    assert np.median(cut.unusual.share) > 0.25  # type: ignore[union-attr]


def test_two_texts_are_compared_head_by_head(built: Atlas) -> None:
    same = built.on(TEXT, against=TEXT).table
    assert same["moved"].max() == 0
    assert same["between"].max() == 0
    other = TEXT.replace("cat", "dog")
    read = built.on(TEXT, against=other)
    assert read.table["moved"].is_sorted(descending=True)
    head = read.table["head"][0]
    a, b = read.patterns(head), built.on(other).patterns(head)
    moved = np.abs(a[1:] - b[1:]).sum(axis=1).mean() / 2
    assert read.table["moved"][0] == pytest.approx(moved, rel=1e-5)
    longer = built.on(TEXT, against=TEXT + TEXT).table
    assert longer["moved"].null_count() == len(longer)
    assert longer["between"].is_sorted(descending=True)


def test_a_result_shows_itself_and_its_patterns(built: Atlas) -> None:
    read = built.on("</script><b>one two three one two three</b>", model="a")
    assert "</script>" in repr(read)
    assert read.table["head"][0] in repr(read)
    assert "<table" in read._repr_html_()
    view = read.view()
    assert (view.data.model, len(view.data.notes)) == ("a", 4)
    assert f"L{view.data.layer}:H{view.data.head}" in read.table["head"][0]
    assert "</script><b>" not in view.html
    with pytest.raises(InputError, match="model='b'"):
        read.patterns("b:L0:H0")
    with pytest.raises(InputError, match="L9:H9"):
        read.view("a:L9:H9")
    with pytest.raises(InputError, match="scale"):
        read.view(scale="none")


@pytest.mark.parametrize(
    ("text", "options", "word"),
    [
        ("", {}, "empty"),
        ("  \n", {}, "empty"),
        (5, {}, "no text"),
        (b"bytes", {}, "no text"),
        ("half \ud800", {}, "surrogate"),
        ("x" * (MAX_BYTES + 1), {}, "bytes"),
        (TEXT, {"against": ""}, "empty"),
        (TEXT, {"model": "c"}, "not in this atlas"),
        (TEXT, {"model": 5}, "list of names"),
        (TEXT, {"max_tokens": 1}, "max_tokens"),
        (TEXT, {"max_tokens": "many"}, "max_tokens"),
        (TEXT, {"max_tokens": 10_000}, "context"),
        (TEXT, {"device": "abacus"}, "device"),
    ],
)
def test_mistakes_are_named(built: Atlas, text: object, options: dict, word: str) -> None:
    with pytest.raises(MotifsError, match=word):
        built.on(text, **options)


def test_models_stay_in_memory_as_long_as_the_atlas(
    built: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    atlas = Atlas.open(built.path)
    first = atlas.on(TEXT, model="a")
    monkeypatch.setattr("attention_motifs.live.models.load_for", None)
    again = atlas.on(TEXT, model="a")
    assert again.table.equals(first.table)
    from attention_motifs.live.on_text import _live

    kept = weakref.ref(_live[atlas]["auto"])
    del atlas, first, again
    gc.collect()
    assert kept() is None


def test_an_atlas_without_an_embedding_still_shows_patterns(own: Atlas) -> None:
    for file in (own.file("embedding").path, own.file("block", block="natural").path):
        file.unlink()
    read = own.on(TEXT, model="a")
    assert read.readings[0].unusual is None
    assert "embed" in read.readings[0].sentence
    assert read.table["unusual"].null_count() == len(read.table)
    assert read.patterns("a:L0:H0").shape == (len(read.readings[0].tokens),) * 2


def test_an_atlas_without_blocks_uses_the_paper_s_embedding(own: Atlas) -> None:
    own.file("block", block="natural").path.unlink()
    read = own.on(TEXT, model="a").readings[0]
    assert "paper" in read.sentence
    assert read.unusual is not None
    assert read.unusual.points.shape[1] == own.embedding().n_components


def test_a_model_that_changed_or_cannot_run_is_refused(own: Atlas, tmp_path: Path) -> None:
    record = own.manifest.models["a"]
    changed = json.loads(own.file("manifest").path.read_text())
    changed["models"]["a"]["weights_sha256"] = "0" * 64
    own.file("manifest").path.write_text(json.dumps(changed))
    with pytest.raises(InputError, match="weights changed"):
        Atlas.open(own.path).on(TEXT, model="a")
    assert record.weights_sha256 != "0" * 64
    synthetic = make_synthetic_atlas(tmp_path / "synthetic")
    with pytest.raises(MotifsError, match="synthetic-0"):
        synthetic.on(TEXT)


def test_a_kept_text_is_a_prompt_of_the_next_build(own: Atlas, tmp_path: Path) -> None:
    before = {p.name: p.read_bytes() for p in own.path.iterdir() if p.is_file()}
    kept = keep(own.path, TEXT)
    assert (kept.is_new, kept.n_kept) == (True, 1)
    again = keep(own.path, TEXT)
    assert (again.is_new, again.n_kept, again.prompt_id) == (False, 1, kept.prompt_id)
    assert not keep(own.path, own.prompts["text"][3]).is_new
    assert keep(own.path, "two\nlines \u2028 \U0001f600").n_kept == 2
    after = {p.name: p.read_bytes() for p in own.path.iterdir() if p.is_file()}
    others = {".lock", "digests.jsonl"}
    assert {k: v for k, v in after.items() if k in before and k not in others} == {
        k: v for k, v in before.items() if k not in others
    }
    prompts = load_prompts(own.path / kept.file)
    texts = [p.text for p in prompts]
    assert texts == [TEXT, "two\nlines \u2028 \U0001f600", *own.prompts["text"].to_list()]
    assert [p.text for p in kept_prompts(own)] == texts[:2]
    words = kept.command.split()
    assert words[:2] == ["motifs", "build"]
    assert "--max-tokens 24" in kept.command
    assert f"--prompts '{own.path / kept.file}'" in kept.command


@pytest.mark.slow
def test_the_command_of_a_kept_text_builds_an_atlas(
    own: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shlex

    from typer.testing import CliRunner

    from attention_motifs.cli.app import app

    kept = keep(own.path, TEXT)
    words = shlex.split(kept.command)
    result = CliRunner().invoke(app, [*words[1:], "--metric", "mean"])
    assert result.exit_code == 0, result.output
    with_kept = Atlas.open(words[words.index("--atlas") + 1])
    assert with_kept.models == own.models
    assert with_kept.prompts["text"].to_list() == [TEXT, *own.prompts["text"].to_list()]
    assert with_kept.view_prompts()[0] == kept.prompt_id
    settings = {"max_tokens", "n_view_prompts", "n_probes", "probe_tokens", "feature_sets"}
    for name in settings:
        recorded = with_kept.manifest.configuration
        assert getattr(recorded, name) == getattr(own.manifest.configuration, name)


def test_settings_without_an_option_are_in_the_command_of_a_kept_text(
    tmp_path: Path,
) -> None:
    import shlex

    from attention_motifs.cli.configuration_file import build_plan, read_configuration
    from attention_motifs.store.presets import Block, Preset

    preset = Preset("lines", "similar lines", (Block("prompts", "extended", 2.0),))
    atlas = make_synthetic_atlas(tmp_path / "atlas", presets=(preset,))
    bins = (4, 8, 16)
    own = replace(atlas.manifest.configuration, length_bins=bins)
    with Atlas.lock(atlas.path):
        atlas.update(configuration=own)
        models = {n: replace(r, kind="hub") for n, r in atlas.manifest.models.items()}
        atlas.update(models=models)
    words = shlex.split(keep(atlas.path, TEXT).command)
    assert words[words.index("--n-prompts") + 1] == str(1 + len(atlas.prompts))
    values = read_configuration(words[words.index("--config") + 1])
    plan = build_plan({**values, "prompts": "builtin"}).configuration
    assert plan.length_bins == bins
    assert plan.presets == (preset,)
    assert plan.max_tokens == own.max_tokens


def test_labels_of_prompts_stay_with_kept_texts(tmp_path: Path) -> None:
    atlas = make_synthetic_atlas(tmp_path / "atlas")
    with Atlas.lock(atlas.path):
        models = {n: replace(r, kind="hub") for n, r in atlas.manifest.models.items()}
        atlas.update(models=models)
    first, *rest = load_prompts(atlas.path / keep(atlas.path, TEXT).file)
    assert first.meta == {"kept": True}
    assert [prompt.meta["parity"] for prompt in rest] == [i % 2 for i in range(len(rest))]
    assert rest[0].meta["source"] == "synthetic/hostile"


def test_nothing_is_kept_while_another_run_works_on_the_atlas(own: Atlas) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with Atlas.lock(own.path), ThreadPoolExecutor(1) as other, pytest.raises(AtlasError):
        other.submit(keep, own.path, TEXT).result()
    assert not own.file("kept_prompts").is_file()
