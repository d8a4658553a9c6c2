"""Digests of files: recorded before a write, compared by readers and by `motifs check`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attention_motifs import Atlas
from attention_motifs.atlas.check import check_atlas, without_digest, write_digests
from attention_motifs.errors import AtlasError, InputError, MotifsError
from attention_motifs.store import files, recorded_digests
from synthetic_atlas import make_synthetic_atlas


@pytest.fixture(autouse=True)
def _compared(
    digests_are_not_compared: Callable[..., bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded_digests, "is_changed", digests_are_not_compared)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digests") / "atlas"
    return make_synthetic_atlas(folder, n_layers=2, n_prompts=5, n_tokens=6).path


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original, tmp_path / "atlas")
    return tmp_path / "atlas"


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position % len(data)] ^= 1
    path.write_bytes(data)


def test_every_file_has_a_digest_and_the_record_is_sorted(folder: Path) -> None:
    with Atlas.lock(folder):
        pass
    first, *lines = (folder / "digests.jsonl").read_text().splitlines()
    assert json.loads(first)["lines"] == len(lines)
    names = [json.loads(line)["file"] for line in lines]
    assert names == sorted(set(names))
    assert without_digest(Atlas.open(folder)) == []
    assert check_atlas(Atlas.open(folder)) == []


@pytest.mark.parametrize("name", ["distances/mean.npy", "heads.parquet", "embedding.safetensors"])
def test_a_flipped_bit_is_refused_by_readers_and_named_by_check(folder: Path, name: str) -> None:
    flip(folder / name, -9)
    atlas = Atlas.open(folder)
    read = {
        "distances/mean.npy": lambda: atlas.distances("mean"),
        "heads.parquet": lambda: atlas.heads,
        "embedding.safetensors": atlas.embedding,
    }
    with pytest.raises(AtlasError, match="SHA-256") as caught:
        read[name]()
    assert str(folder / name) in str(caught.value)
    assert "`motifs " in str(caught.value)
    assert str(caught.value) in check_atlas(atlas)


def test_swapped_files_are_named(folder: Path) -> None:
    parts = sorted((folder / "embedded").iterdir())
    assert len(parts) == 2
    parts[0].rename(folder / "aside")
    parts[1].rename(parts[0])
    (folder / "aside").rename(parts[1])
    findings = "\n".join(check_atlas(Atlas.open(folder)))
    assert all(str(part) in findings for part in parts)


def test_a_replaced_file_is_read_by_an_atlas_that_was_opened_before(folder: Path) -> None:
    atlas = Atlas.open(folder)
    before = atlas.distances("mean")
    with Atlas.lock(folder):
        files.write_array(atlas.file("distances", metric="mean"), 2 * np.array(before))
        assert atlas.distances("mean")[0, 1] == 2 * before[0, 1]
    assert atlas.distances("mean")[0, 1] == 2 * before[0, 1]


def test_a_write_that_was_stopped_before_the_renaming_leaves_the_file_readable(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    atlas = Atlas.open(folder)
    before = (folder / "distances/mean.npy").read_bytes()

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stopped)
        with pytest.raises(KeyboardInterrupt):
            files.write_array(atlas.file("distances", metric="mean"), np.zeros((2, 2)))
    assert (folder / "distances/mean.npy").read_bytes() == before
    assert len(recorded_digests.recorded(folder)["distances/mean.npy"]) == 2
    assert Atlas.open(folder).distances("mean").any()
    with Atlas.lock(folder):
        pass
    assert len(recorded_digests.recorded(folder)["distances/mean.npy"]) == 1
    assert Atlas.open(folder).distances("mean").any()


def test_an_atlas_without_digests_is_read_and_gets_them(folder: Path) -> None:
    (folder / "digests.jsonl").unlink()
    atlas = Atlas.open(folder)
    assert atlas.heads.height
    assert check_atlas(atlas) == []
    n_files = len(without_digest(atlas))
    assert write_digests(folder) == n_files > 0
    assert without_digest(atlas) == []
    flip(folder / "heads.parquet", 40)
    with pytest.raises(AtlasError, match="SHA-256"):
        _ = Atlas.open(folder).heads


def test_a_manifest_changed_by_hand_is_refused_until_its_digest_is_recorded(folder: Path) -> None:
    text = (folder / "atlas.json").read_text()
    (folder / "atlas.json").write_text(text + " ")
    with pytest.raises(AtlasError, match="--write-digests"):
        Atlas.open(folder)
    write_digests(folder)
    assert Atlas.open(folder).heads.height


def test_digests_of_a_folder_without_an_atlas_and_of_a_url_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AtlasError, match="holds no atlas"):
        write_digests(tmp_path)
    with pytest.raises(InputError, match="--write-digests"):
        write_digests("s3://bucket/atlas")


def test_a_line_that_a_full_disk_cut_off_does_not_spoil_the_next_one(folder: Path) -> None:
    record = folder / "digests.jsonl"
    record.write_bytes(record.read_bytes() + b'{"file": "heads.parq')
    assert any(str(record) in finding for finding in check_atlas(Atlas.open(folder)))
    with Atlas.lock(folder):
        atlas = Atlas.open(folder)
        atlas.write_heads(atlas.heads.with_columns(pl.lit(1.0).alias("more")))
    assert check_atlas(Atlas.open(folder)) == []
    assert "more" in Atlas.open(folder).heads.columns


@pytest.mark.parametrize("n_lines", [1, 2, -1])
def test_a_record_cut_off_between_two_lines_is_named_until_it_is_written_anew(
    folder: Path, n_lines: int
) -> None:
    with Atlas.lock(folder):
        pass
    record = folder / "digests.jsonl"
    record.write_bytes(b"".join(record.read_bytes().splitlines(keepends=True)[:n_lines]))
    assert any(str(record) in finding for finding in check_atlas(Atlas.open(folder)))
    with Atlas.lock(folder):
        atlas = Atlas.open(folder)
        atlas.write_heads(atlas.heads.with_columns(pl.lit(1.0).alias("more")))
    assert any(str(record) in finding for finding in check_atlas(Atlas.open(folder)))
    write_digests(folder)
    assert check_atlas(Atlas.open(folder)) == []


def test_a_record_of_an_earlier_version_is_sound_and_gets_a_first_line(folder: Path) -> None:
    with Atlas.lock(folder):
        pass
    record = folder / "digests.jsonl"
    data = record.read_bytes()
    record.write_bytes(data.partition(b"\n")[2])
    assert check_atlas(Atlas.open(folder)) == []
    with Atlas.lock(folder):
        pass
    assert record.read_bytes() == data


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 10**6))
def test_a_flipped_bit_of_the_record_is_named(original: Path, position: int) -> None:
    record = original / "digests.jsonl"
    data = record.read_bytes()
    try:
        flip(record, position)
        try:
            findings = check_atlas(Atlas.open(original))
        except MotifsError as error:
            findings = [str(error)]
        assert findings
    finally:
        record.write_bytes(data)
