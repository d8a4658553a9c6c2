"""Damaged files of the cache: `motifs check --cache` names them, and no build reads them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from attention_motifs.atlas.check_cache import check_cache
from attention_motifs.models import digests
from attention_motifs.models.convert import RECORD, convert_gguf, is_conversion_of
from attention_motifs.models.records import read_record
from attention_motifs.store import files, recorded_digests
from conftest import Tiny
from tiny_gguf import write_gguf


@pytest.fixture(scope="module")
def converted(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    cache = tmp_path_factory.mktemp("cache")
    path = write_gguf(cache / "m.gguf", tiny.folder / "a")
    convert_gguf(path, cache / "models" / "gguf-m", {"kind": "gguf", "sha256": "ab"})
    return cache


@pytest.fixture
def cache(converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(converted, tmp_path / "cache")
    monkeypatch.setenv("ATTENTION_MOTIFS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def flip(path: Path, position: int = -9) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def test_every_damaged_file_of_a_conversion_is_named_and_not_used(cache: Path) -> None:
    folder = cache / "models" / "gguf-m"
    assert check_cache() == []
    assert is_conversion_of(folder, "ab")
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        for damaged in (bytes([data[0] ^ 1]) + data[1:], data[:-3], b""):
            path.write_bytes(damaged)
            (finding,) = check_cache()
            assert str(path) in finding
            assert not is_conversion_of(folder, "ab")
        path.write_bytes(data)
    assert check_cache() == []


def test_every_flipped_bit_of_a_record_is_noticed(cache: Path) -> None:
    record = cache / "models" / "gguf-m" / RECORD
    data = record.read_bytes()
    values = [json.loads(data)]
    for position in range(0, len(data), 3):
        flip(record, position)
        if read := read_record(record):
            values.append(read)
        record.write_bytes(data)
    assert values == [values[0]] * len(values)


def test_a_record_of_an_earlier_version_is_read(cache: Path) -> None:
    record = cache / "models" / "gguf-m" / RECORD
    value = json.loads(record.read_bytes())
    del value["record_sha256"]
    record.write_text(json.dumps(value))
    assert check_cache() == []
    assert is_conversion_of(record.parent, "ab")


def test_a_damaged_memo_of_a_digest_is_named_and_not_used(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "_LARGE", 0)
    monkeypatch.setattr(digests, "_SETTLED_SECONDS", -1.0)
    path = cache / "m.gguf"
    sha256 = digests.current_sha256(path)
    (memo,) = (cache / "digests").iterdir()
    assert check_cache() == []
    value = files.read_json(memo)
    files.write_json(memo, {"status": value["status"], "sha256": "0" * 64})  # an earlier version's
    assert check_cache() == []
    assert digests.current_sha256(path) == sha256
    files.write_json(memo, {**value, "sha256": "0" * 64})
    assert any(str(memo) in finding for finding in check_cache())
    assert digests.current_sha256(path) == sha256
    assert check_cache() == []


def test_damaged_scores_and_copies_of_remote_files_are_named(cache: Path) -> None:
    scores = cache / "graded-scores" / "s.npy"
    scores.parent.mkdir()
    files.write_array(scores, np.ones((2, 2)))
    recorded_digests.record(scores.parent, scores.name, scores)
    entry = recorded_digests.entry_of(scores)
    stored = cache / "remote" / "place" / "objects" / entry.sha256
    copy = cache / "remote" / "place" / "state" / "s.npy"
    for path in (stored, copy):
        path.parent.mkdir(parents=True)
        shutil.copyfile(scores, path)
    assert check_cache() == []
    for path in (scores, stored, copy):
        data = path.read_bytes()
        flip(path)
        assert any(str(path) in finding for finding in check_cache())
        path.write_bytes(data)
    assert check_cache() == []
