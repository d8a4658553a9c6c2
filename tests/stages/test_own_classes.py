"""A user's classes kept in an atlas: labels, figures, site, rebuilds, forgetting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.check import check_atlas
from attention_motifs.cli import main
from attention_motifs.errors import InputError
from attention_motifs.figures.head_groups import head_groups
from attention_motifs.site import export_heads
from attention_motifs.site.export import inputs_digest
from attention_motifs.stages import create
from attention_motifs.stages.create import forget_classes, save_classes
from attention_motifs.stages.evaluate import literature_classes
from attention_motifs.stages.heads import write_heads
from synthetic_atlas import make_synthetic_atlas

HEADS = ("L0:H0", "L1:H1", "L2:H0")


@pytest.fixture
def atlas(tmp_path: Path) -> Atlas:
    return make_synthetic_atlas(tmp_path / "atlas", n_prompts=6)


def write(path: Path, **lists: Any) -> Path:
    statements = [
        {"model": "my-synthetic", "head": head, "class": "comma", "source": "me"} for head in HEADS
    ]
    elsewhere = {"model": "gpt2", "head": "L0:H0", "class": "comma", "source": "me"}
    model = {"name": "my-synthetic", "layers": 3, "heads": 2, "aliases": ["org/synthetic-1"]}
    whole = {
        "schema": 1,
        "models": [model],
        "groups": [{"name": "mine <b>", "colour": "#123456"}],
        "classes": [{"name": "comma", "group": "mine <b>"}],
        "sources": [{"key": "me", "title": "My notes", "evidence": "manual"}],
        "assignments": [*statements, elsewhere],
    }
    path.write_text(json.dumps({**whole, **lists}), encoding="utf-8")
    return path


def labelled(atlas: Atlas) -> list[str]:
    rows = atlas.heads.select("head", "classes").iter_rows()
    return [head for head, classes in rows if classes == ["comma"]]


OF_ATLAS = [f"org/synthetic-1:{head}" for head in HEADS]


def test_saved_classes_are_everywhere_and_forgotten_again(atlas: Atlas, tmp_path: Path) -> None:
    before, digest = atlas.heads, inputs_digest(atlas)
    assert save_classes(atlas, write(tmp_path / "mine.json")) == 3
    assert labelled(atlas) == labelled(Atlas.open(atlas.path)) == OF_ATLAS
    assert [c.name for c in literature_classes(atlas.heads)] == ["comma"]
    near = atlas.near(OF_ATLAS[0], n=11)
    assert set(near.filter(pl.col("classes").list.len() > 0)["head"]) == set(OF_ATLAS[1:])
    groups = head_groups(atlas)
    assert groups.labels.count("mine <b>") == 3
    assert groups.marks["mine <b>"].colour == "#123456"
    tags = export_heads.tags(atlas)
    assert [atlas.heads["head"][tag.row] for tag in tags] == OF_ATLAS
    assert {tag.paper for tag in tags} == {"My notes"}
    comma = next(c for c in export_heads.classes(atlas, tags) if c.name == "comma")
    assert (len(comma.rows), comma.colour) == (3, "#123456")
    assert comma.elsewhere == ["gpt2-small:L0:H0"]
    assert export_heads.groups(atlas)["mine <b>"] == "#123456"
    assert [tag["paper"] for tag in atlas.head(OF_ATLAS[0]).tags] == ["My notes"]
    assert inputs_digest(atlas) != digest

    assert forget_classes(atlas)
    assert not atlas.file("classes").path.exists()
    assert atlas.heads.equals(before)
    assert inputs_digest(atlas) == digest
    assert not forget_classes(atlas)


def test_a_rebuild_keeps_them(atlas: Atlas, tmp_path: Path) -> None:
    save_classes(atlas, write(tmp_path / "mine.json"))
    (tmp_path / "mine.json").unlink()
    atlas.file("heads").path.unlink()
    again = Atlas.open(atlas.path)
    write_heads(again)
    assert labelled(again) == OF_ATLAS


def test_a_run_stopped_between_the_files_is_finished(
    atlas: Atlas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: Atlas) -> None:
        raise KeyboardInterrupt

    file = write(tmp_path / "mine.json")
    with monkeypatch.context() as patch:
        patch.setattr(create, "write_heads", stop)
        with pytest.raises(KeyboardInterrupt):
            save_classes(atlas, file)
    assert labelled(atlas) == []
    save_classes(atlas, file)
    assert labelled(atlas) == OF_ATLAS
    with monkeypatch.context() as patch:
        patch.setattr(create, "write_heads", stop)
        with pytest.raises(KeyboardInterrupt):
            forget_classes(atlas)
    forget_classes(atlas)
    assert labelled(atlas) == []


def test_a_malformed_file_leaves_the_atlas_as_it_was(atlas: Atlas, tmp_path: Path) -> None:
    save_classes(atlas, write(tmp_path / "mine.json"))
    kept = atlas.file("classes").path.read_bytes()
    computed = [{"name": "self (computed)", "group": "mine <b>"}]
    group = [{"name": "a (computed)", "colour": "#123456"}]
    for lists in ({"classes": []}, {"schema": 2}, {"classes": computed}, {"groups": group}):
        with pytest.raises(InputError, match=r"bad\.json"):
            save_classes(atlas, write(tmp_path / "bad.json", **lists))
    with pytest.raises(InputError, match=r"none\.json"):
        save_classes(atlas, tmp_path / "none.json")
    assert atlas.file("classes").path.read_bytes() == kept
    assert labelled(atlas) == OF_ATLAS


def test_a_copy_damaged_by_hand_is_named_and_can_be_forgotten(atlas: Atlas, tmp_path: Path) -> None:
    save_classes(atlas, write(tmp_path / "mine.json"))
    sound = check_atlas(atlas)
    atlas.file("classes").path.write_bytes(b"\xff{")
    result = [one for one in check_atlas(atlas) if one not in sound]
    assert len(result) == 1
    assert "classes.json" in result[0]
    assert "--forget" in result[0]
    with pytest.raises(InputError, match=r"classes\.json"):
        write_heads(atlas)
    assert forget_classes(atlas)
    assert labelled(atlas) == []


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["motifs", "classes", *words])
    with pytest.raises(SystemExit) as exited:
        main()
    captured = capsys.readouterr()
    return int(exited.value.code or 0), captured.out, captured.err


def test_the_command(
    atlas: Atlas,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file, of = str(write(tmp_path / "mine.json")), ("--atlas", str(atlas.path))
    code, out, _ = run(monkeypatch, capsys, "--file", file, *of, "--save")
    assert (code, "3 of its entries" in " ".join(out.split())) == (0, True)
    _, out, _ = run(monkeypatch, capsys, *of, "--json")
    assert "comma" in {one["class"] for one in json.loads(out)}
    assert run(monkeypatch, capsys, *of, "--forget")[0] == 0
    _, out, _ = run(monkeypatch, capsys, *of, "--json")
    assert "comma" not in {one["class"] for one in json.loads(out)}
    for words in (
        ("--save",),
        ("--save", "--forget"),
        ("--forget", "--file", file),
        ("induction", "--save", "--file", file),
        ("--save", "--file", str(tmp_path / "none.json")),
    ):
        code, _, err = run(monkeypatch, capsys, *of, *words)
        assert code != 0
        assert len(err.strip().splitlines()) == 1, err
