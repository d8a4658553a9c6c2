"""Digests are those of the files as they are now; changes of inputs are noticed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from attention_motifs.extraction import identify_model, load_model
from attention_motifs.models import digests
from attention_motifs.models.digests import current_sha256, weights_sha256
from attention_motifs.models.identity import differences
from attention_motifs.store.manifest import ModelRecord
from conftest import Tiny


@pytest.fixture
def folder(tiny: Tiny, tmp_path: Path, own_cache: Path) -> Path:
    return Path(shutil.copytree(tiny.folder / "a", tmp_path / "m"))


def trained(folder: Path) -> None:
    """Change one number of the weights in place; size and time of modification stay the same."""
    path = folder / "model.safetensors"
    before = path.stat()
    weights = load_file(path)
    weights["model.norm.weight"][0] += 1
    save_file(weights, path, metadata={"format": "pt"})
    assert path.stat().st_size == before.st_size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def configured(folder: Path, **settings: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **settings}))


@pytest.mark.parametrize("kept", [False, True])
def test_a_model_trained_in_place_is_another_one(
    folder: Path, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kept:  # digests of files of any size and age are kept
        monkeypatch.setattr(digests, "_LARGE", 0)
        monkeypatch.setattr(digests, "_SETTLED_SECONDS", -1.0)
    before = load_model(f"m={folder}").info
    assert differences(identify_model(f"m={folder}"), before) == []
    trained(folder)
    assert differences(identify_model(f"m={folder}"), before) == ["weights"]
    after = load_model(f"m={folder}").info
    assert after.weights_sha256 == hashlib.sha256(
        (folder / "model.safetensors").read_bytes()
    ).hexdigest()  # fmt: skip
    assert after.weights_sha256 != before.weights_sha256


def test_digests_of_unchanged_files_are_not_computed_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "_LARGE", 0)
    path = folder / "model.safetensors"
    assert current_sha256(path) == current_sha256(path)  # too new to be kept
    os.utime(path, (1, 1))
    monkeypatch.setattr(digests, "_SETTLED_SECONDS", -1.0)
    first = current_sha256(path)
    monkeypatch.setattr(digests, "sha256_of", lambda _path: pytest.fail("hashed again"))
    assert current_sha256(path) == first


def test_a_cache_that_cannot_be_written_costs_only_another_hash(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("ATTENTION_MOTIFS_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(digests, "_LARGE", 0)
    monkeypatch.setattr(digests, "_SETTLED_SECONDS", -1.0)
    assert current_sha256(folder / "model.safetensors") == weights_sha256(folder)


def test_the_hubs_cache_names_files_by_their_digest(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / ("ab" * 32)).write_bytes(b"weights")
    (tmp_path / "link").symlink_to(tmp_path / "blobs" / ("ab" * 32))
    assert current_sha256(tmp_path / "link") == "ab" * 32
    (tmp_path / ("cd" * 32)).write_bytes(b"weights")  # elsewhere such a name says nothing
    (tmp_path / "other").symlink_to(tmp_path / ("cd" * 32))
    assert current_sha256(tmp_path / "other") == hashlib.sha256(b"weights").hexdigest()


def test_what_changes_patterns_changes_the_identity(folder: Path) -> None:
    record = load_model(f"m={folder}").info

    def changed() -> list[str]:
        return differences(identify_model(f"m={folder}"), record)

    configured(folder, output_attentions=True, use_cache=False, torch_dtype="bfloat16")
    assert changed() == []
    configured(folder, rms_norm_eps=0.1)
    assert changed() == ["configuration"]
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "eos_token": "<s>"}))
    assert changed() == ["tokenizer", "configuration"]
    old = ModelRecord("m", "folder", 1, 1, record.weights_sha256)  # holds no other digests
    assert differences(identify_model(f"m={folder}"), old) == []


def test_only_weights_that_are_loaded_count(folder: Path) -> None:
    before = weights_sha256(folder)
    save_file({"a": torch.zeros(2)}, folder / "adapter_model.safetensors")
    assert weights_sha256(folder) == before
