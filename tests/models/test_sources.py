"""Names of models, and the answers of the hub."""

from __future__ import annotations

import errno
import json
import shlex
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import errors
from hypothesis import example, given, settings
from hypothesis import strategies as st

from attention_motifs.errors import InputError, ModelError, ResourceError
from attention_motifs.extraction import load_model
from attention_motifs.models.fetch import local_folder, pull_model
from attention_motifs.models.packaged import PACKAGED
from attention_motifs.models.sources import ALIASES, ModelReference, known_models, resolve
from attention_motifs.progress import silent
from conftest import Tiny

NOWHERE = "attention-motifs-tests/no-such-model"


@settings(max_examples=40)
@given(st.text(max_size=30) | st.text("ab/.=~-_ \0", max_size=8))
@example("")
@example("a/b--c")
@example("a/b.")
@example("~nobody-of-that-name/model")
@example("x" * 5000)
@example("o/" + "x" * 95)
@example("name=\0")
@example("=")
@example("/\0")
@example("0./0")
@example("org/model.git")
def test_any_text_is_resolved_or_refused(required: str) -> None:
    try:
        reference = resolve(required)
    except InputError:
        return
    assert reference.kind in {"packaged", "hub", "folder", "gguf"}
    if reference.kind == "hub":
        huggingface_hub.utils.validate_repo_id(reference.location)


def test_aliases_stand_for_ids_that_the_hub_accepts() -> None:
    for alias, hub_id in ALIASES.items():
        assert resolve(alias) == ModelReference(alias, "hub", hub_id)
        huggingface_hub.utils.validate_repo_id(hub_id)


@pytest.mark.parametrize(
    ("unknown", "offered"),
    [
        ("gpt2small", "gpt2-small"),
        ("llama-3.2-1b", "Llama-3.2-1B"),
        ("nothing-like-it-at-all-9", "motifs models list"),
    ],
)
def test_an_unknown_name_offers_known_ones(unknown: str, offered: str) -> None:
    with pytest.raises(InputError, match=offered):
        resolve(unknown)


@pytest.mark.parametrize("wrong", [None, 5, True, ["gpt2-small"], ("a", "b"), b"gpt2-small", {}])
def test_what_is_no_name_is_refused(wrong: Any) -> None:
    with pytest.raises(InputError, match="not a name"):
        resolve(wrong)


def test_one_folder_is_one_model_by_every_path(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(tiny.folder / "a", tmp_path / "m"))
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    expected = ModelReference("m", "folder", str(folder.resolve()))
    for path in ("m", "./m", "m/", "../" + tmp_path.name + "/m", str(folder), "./link", folder):
        assert resolve(path) == expected
    assert resolve(expected.source) == expected
    monkeypatch.chdir(folder)
    assert resolve(".") == expected


@pytest.mark.parametrize(
    "name", ["lr=1e-4", "lr=1e-4/step-500", "my model", "run__3", "m[1]", "müller", "a (copy)"]
)
def test_a_folder_of_any_name_is_found_and_can_be_named(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = Path(shutil.copytree(tiny.folder / "a", tmp_path / name))
    monkeypatch.chdir(tmp_path)
    for source in (f"x={folder}", f"x={name}", f"x=./{name}"):
        assert resolve(source) == ModelReference("x", "folder", str(folder.resolve()))
    for path in (name, f"./{name}", str(folder)):
        try:
            assert resolve(path).location == str(folder.resolve())
        except InputError as error:  # the advice is a command that works when pasted
            advised = shlex.split(str(error).partition("--model ")[2])[0]
            assert resolve(advised).location == str(folder.resolve())
    assert load_model(f"x={folder}").info.location == folder.name


def test_known_names_go_before_folders_and_names_before_paths(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny.folder / "a", tmp_path / "gpt2-small")
    monkeypatch.chdir(tmp_path)
    assert resolve("./gpt2-small").kind == "folder"
    assert resolve("gpt2-small").kind == "hub"
    assert resolve("org/mine=gpt2-small").name == "org/mine"
    assert resolve("mine=gpt2-small").kind == "folder"
    assert resolve("mine=gpt2-medium") == ModelReference("mine", "hub", ALIASES["gpt2-medium"])
    assert resolve("mine=smollm2-135m-instruct").kind == "packaged"
    for source, reason in [
        ("my model=gpt2-small", "is not usable"),
        ("x=", "no source"),
        ("x=./nowhere", "no such model"),
        ("x=nowhere", "no such model"),
    ]:
        with pytest.raises(InputError, match=reason):
            resolve(source)


def test_gguf_files_are_known_by_their_ending_in_any_case(tmp_path: Path) -> None:
    for name in ("my.gguf", "MY.GGUF"):
        (tmp_path / name).write_bytes(b"GGUF")
        assert resolve(str(tmp_path / name)).kind == "gguf"
        assert resolve(f"x={tmp_path / name}").name == "x"
    # The hub's cache keeps files under their digests, and links to them by their names.
    (tmp_path / "blob").write_bytes(b"GGUF")
    (tmp_path / "linked.gguf").symlink_to(tmp_path / "blob")
    reference = resolve(str(tmp_path / "linked.gguf"))
    assert (reference.name, reference.kind) == ("linked", "gguf")
    assert resolve(reference.location) == reference


@pytest.mark.parametrize(
    ("text", "name", "location", "revision"),
    [
        ("acme/tiny", "acme/tiny", "acme/tiny", None),
        ("acme/tiny@step1000", "acme/tiny-step1000", "acme/tiny", "step1000"),
        ("acme/tiny@refs/pr/3", "acme/tiny-refs-pr-3", "acme/tiny", "refs/pr/3"),
        (f"acme/tiny@{'2' * 40}", f"acme/tiny-{'2' * 12}", "acme/tiny", "2" * 40),
        ("late=acme/tiny@step1000", "late", "acme/tiny", "step1000"),
        ("pythia-14m@step3", "pythia-14m-step3", "EleutherAI/pythia-14m", "step3"),
    ],
)
def test_revisions_of_the_hub_are_models_of_their_own(
    text: str, name: str, location: str, revision: str | None
) -> None:
    expected = ModelReference(name, "hub", location, revision)
    assert resolve(text) == expected
    assert resolve(expected.source) == expected
    with pytest.raises(InputError, match="revision"):
        resolve("acme/tiny@../../etc")


def test_revisions_are_loaded_from_the_cache_without_a_network(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_cache: Path
) -> None:
    cache = tmp_path / "models--acme--tiny"
    for folder, sha, name in (("a", "1" * 40, "main"), ("c", "2" * 40, "step1000")):
        shutil.copytree(tiny.folder / folder, cache / "snapshots" / sha)
        (cache / "refs").mkdir(exist_ok=True)
        (cache / "refs" / name).write_text(sha)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    info, late = load_model("acme/tiny").info, load_model("acme/tiny@step1000").info
    assert (info.revision, late.revision) == ("1" * 40, "2" * 40)
    assert info.weights_sha256 != late.weights_sha256
    assert late.source is not None
    assert load_model(late.source).info == late  # what an atlas records finds the same weights


def test_known_models_are_described_before_fetching(own_cache: Path) -> None:
    rows = {model.name: model for model in known_models()}
    assert rows.keys() == {*PACKAGED, *ALIASES}
    smol = rows["smollm2-135m-instruct"].to_json()
    assert (smol["n_layers"], smol["n_heads"], smol["licence"], smol["cached"]) == (
        30, 9, "Apache-2.0", False,
    )  # fmt: skip
    assert rows["gpt2-small"].n_layers == 12
    assert rows["opt-125m"].n_layers is None
    json.dumps([row.to_json() for row in rows.values()])


# The hub, without a connection to it


def hub_error(kind: type[Exception]) -> Exception:
    """Make one without the response of a server that its class asks for."""
    return kind.__new__(kind, "line one\nline two")


@pytest.mark.parametrize(
    ("error", "kind", "statements"),
    [
        (
            hub_error(errors.GatedRepoError),
            ModelError,
            f"gated; accept its licence at .*/{NOWHERE} and",
        ),
        (hub_error(errors.RepositoryNotFoundError), ModelError, "not on the hub, or private"),
        (hub_error(errors.LocalEntryNotFoundError), ModelError, "cannot be reached.*packaged mo"),
        (hub_error(errors.HfHubHTTPError), ModelError, "cannot be reached"),
        (ConnectionResetError("reset"), ModelError, "cannot be reached"),
        (RuntimeError("of the HTTP library"), ModelError, "cannot be reached"),
        (OSError(errno.ENOSPC, "full"), ResourceError, "no space left.*HF_HOME"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_goes_wrong_in_a_download_is_one_line(
    error: Exception, kind: type[Exception], statements: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise error

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", refuse)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(kind, match=statements) as caught:
        pull_model(NOWHERE)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(NOWHERE)


def test_without_a_network_the_client_itself_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="not in the cache, and the hub cannot be reached"):
        local_folder(resolve(NOWHERE), silent)


def test_a_model_too_large_for_the_disk_is_refused_before_the_download(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = [
        SimpleNamespace(rfilename="model-1.safetensors", size=6_000_000_000),
        SimpleNamespace(rfilename="model-2.safetensors", size=2_000_000_000),
        SimpleNamespace(rfilename="pytorch_model.bin", size=9_000_000_000),
    ]
    info = SimpleNamespace(siblings=files)
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_a, **_k: info)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    usage = shutil._ntuple_diskusage(10, 9, 7_000_000_000)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda *_a, **_k: pytest.fail("downloaded")
    )
    with pytest.raises(ResourceError, match=r"needs 8\.0 GB of disk and 7\.0 GB are free"):
        pull_model(NOWHERE)


def test_only_what_is_read_is_downloaded(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: dict[str, Any] = {}

    def download(hub_id: str, **options: Any) -> str:
        asked.update(options, hub_id=hub_id)
        return str(tiny.folder / "a")

    monkeypatch.setattr(
        huggingface_hub.HfApi, "model_info", lambda *_a, **_k: SimpleNamespace(siblings=None)
    )
    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert pull_model("gpt2-small").startswith("gpt2-small: in ")
    assert asked["hub_id"] == "openai-community/gpt2"
    repository = ["config.json", "model.safetensors", "pytorch_model.bin", "tf_model.h5",
                  "consolidated.safetensors", "onnx/decoder.json", "merges.txt", "run.py",
                  "original/model.safetensors", "tokenizer.model"]  # fmt: skip
    kept = huggingface_hub.utils.filter_repo_objects(
        repository,
        allow_patterns=asked["allow_patterns"],
        ignore_patterns=asked["ignore_patterns"],
    )
    assert sorted(kept) == ["config.json", "merges.txt", "model.safetensors", "tokenizer.model"]
