"""What a name stands for, and what the hub and a folder may answer."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import errors
from hypothesis import example, given
from hypothesis import strategies as st

from attention_motifs.errors import InputError, ModelError, ResourceError
from attention_motifs.extraction import load_model
from attention_motifs.models.packaged import PACKAGED
from attention_motifs.models.sources import ALIASES, known_models, local_folder, pull_model, resolve
from attention_motifs.progress import silent
from conftest import Tiny

NOWHERE = "attention-motifs-tests/no-such-model"


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
def test_any_name_is_understood_or_refused(wanted: str) -> None:
    try:
        reference = resolve(wanted)
    except InputError:
        return
    assert reference.kind in {"packaged", "hub", "folder", "gguf"}
    if reference.kind == "hub":
        huggingface_hub.utils.validate_repo_id(reference.location)


@pytest.mark.parametrize("alias", sorted(ALIASES))
def test_aliases_stand_for_ids_that_the_hub_accepts(alias: str) -> None:
    reference = resolve(alias)
    assert (reference.name, reference.kind) == (alias, "hub")
    huggingface_hub.utils.validate_repo_id(reference.location)


@pytest.mark.parametrize(
    ("wanted", "offered"),
    [
        ("gpt2small", "gpt2-small"),
        ("smollm2-135m", "smollm2-135m-instruct"),
        ("llama-3.2-1b", "Llama-3.2-1B"),
        ("nothing-like-it-at-all-9", "motifs models list"),
    ],
)
def test_a_name_that_is_not_known_offers_others(wanted: str, offered: str) -> None:
    with pytest.raises(InputError, match=offered):
        resolve(wanted)


def test_a_path_names_its_model_by_its_last_part_unless_told(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny.folder / "a", tmp_path / "gpt2-small")
    monkeypatch.chdir(tmp_path)
    assert resolve("./gpt2-small").kind == "folder"
    assert resolve("gpt2-small").kind == "hub"  # a known name goes before a folder of that name
    assert resolve("mine=gpt2-small").name == "mine"
    assert resolve("org/mine=gpt2-small").name == "org/mine"
    with pytest.raises(InputError, match="is not usable"):
        resolve("my model=gpt2-small")
    (tmp_path / "notes.txt").write_text("no model")
    with pytest.raises(InputError, match=r"notes\.txt: not a model"):
        resolve("./notes.txt")
    monkeypatch.chdir(tmp_path / "gpt2-small")
    assert load_model("x=.").info.location == "gpt2-small"


def test_known_models_tell_what_is_known_before_fetching(own_cache: Path) -> None:
    rows = {model.name: model for model in known_models()}
    assert rows.keys() == {*PACKAGED, *ALIASES}
    smol = rows["smollm2-135m-instruct"].to_json()
    assert (smol["n_layers"], smol["n_heads"], smol["licence"], smol["cached"]) == (
        30, 9, "Apache-2.0", False,
    )  # fmt: skip
    assert rows["gpt2-small"].n_layers == 12
    assert rows["opt-125m"].n_layers is None
    json.dumps([row.to_json() for row in rows.values()])


# Folders


@pytest.fixture
def folder(tiny: Tiny, tmp_path: Path, own_cache: Path) -> Path:
    return Path(shutil.copytree(tiny.folder / "a", tmp_path / "a"))


def one_line(wanted: Any, said: str) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        load_model(str(wanted))
    assert "\n" not in str(caught.value)


def test_weights_that_may_run_code_are_not_read(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    one_line(folder, "has no safetensors weights, and no others are read")


def test_code_that_comes_with_a_model_is_not_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Were it asked for, the question would wait for an answer.
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked whether to run code"))
    (folder / "modeling.py").write_text("raise SystemExit('it ran')")
    (folder / "config.json").write_text(
        json.dumps({"model_type": "own", "auto_map": {"AutoConfig": "modeling.OwnConfig"}})
    )
    one_line(folder, "cannot be loaded")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", "{"),
        ("config.json", "[]"),
        ("config.json", '{"model_type": "no-such-type"}'),
        ("config.json", "{}"),
        ("tokenizer.json", "{"),
        ("model.safetensors", ""),
        ("model.safetensors", "x" * 100),
    ],
)
def test_a_damaged_file_is_told_in_one_line(folder: Path, name: str, content: str) -> None:
    (folder / name).write_text(content)
    one_line(folder, "a: cannot be loaded from .*")


def test_a_folder_without_its_tokenizer_is_refused(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()
    one_line(folder, "cannot be loaded")


def test_weights_of_other_shapes_are_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["intermediate_size"] += 1
    (folder / "config.json").write_text(json.dumps(config))
    one_line(folder, "a: ")


# The hub, as far as it can be had without one


def hub_error(kind: type[Exception]) -> Exception:
    """Make one without the response of a server that its class asks for."""
    return kind.__new__(kind, "line one\nline two")


@pytest.mark.parametrize(
    ("error", "kind", "said"),
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
    error: Exception, kind: type[Exception], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise error

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", refuse)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(kind, match=said) as caught:
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


def test_a_model_too_large_for_the_disk_is_told_before_the_download(
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
