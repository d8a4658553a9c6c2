"""Folders that cannot be loaded are refused with the true reason and a remedy."""

from __future__ import annotations

import functools
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from attention_motifs.errors import InputError, ModelError
from attention_motifs.extraction import load_model
from attention_motifs.models.sources import resolve
from conftest import Tiny

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "a" * 64 + "\nsize 99\n"


@pytest.fixture
def folder(tiny: Tiny, tmp_path: Path, own_cache: Path) -> Path:
    return Path(shutil.copytree(tiny.folder / "a", tmp_path / "a [b]"))


def configured(folder: Path, **settings: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **settings}))


def shard(folder: Path) -> list[Path]:
    """Split the weights into two shards with an index."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(weights)
    index: dict[str, str] = {}
    for number, part in enumerate((names[::2], names[1::2]), 1):
        file = f"model-0000{number}-of-00002.safetensors"
        save_file({n: weights[n] for n in part}, folder / file, metadata={"format": "pt"})
        index |= dict.fromkeys(part, file)
    text = json.dumps({"metadata": {}, "weight_map": index})
    (folder / "model.safetensors.index.json").write_text(text)
    return sorted(folder.glob("model-*"))


def without_tokenizer(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name.startswith(("token", "special")):
            path.unlink()


def truncated(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def one_weight_less(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.self_attn.q_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def wrote(name: str, content: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(content)


def renamed(name: str, other: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).rename(folder / other)


CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "LFS weights": (wrote("model.safetensors", LFS), "Git LFS pointer.*git lfs pull"),
    "LFS config": (wrote("config.json", LFS), "config.json is a Git LFS pointer"),
    "LFS tokenizer": (wrote("tokenizer.json", LFS), "tokenizer.json is a Git LFS pointer"),
    "web page": (wrote("model.safetensors", "<!DOCTYPE html><html>"), "is a web page"),
    "torch under another name": (wrote("model.safetensors", "PK\x03\x04xxxx"), "PyTorch file"),
    "empty": (wrote("model.safetensors", ""), "not a safetensors file"),
    "other bytes": (wrote("model.safetensors", "x" * 100), "not a safetensors file"),
    "cut short": (truncated, "cut short: it has .* bytes and its header describes"),
    "config not JSON": (wrote("config.json", "{"), "config.json is not JSON"),
    "config a list": (wrote("config.json", "[]"), "not an object"),
    "no model_type": (wrote("config.json", "{}"), "no model_type"),
    "too deep": (lambda f: configured(f, num_hidden_layers=2**63), "more than 10,000 layers"),
    "deep": (
        lambda f: configured(
            f, model_type="x", more=functools.reduce(lambda x, _: [x], range(500), 0)
        ),
        "64 levels deep",
    ),
    "type of two lines": (
        wrote("config.json", '{"model_type": "a\\r\\nb\\u001b[31m"}'),
        r"a b\\x1b\[31m is not known",
    ),
    "unknown type": (wrote("config.json", '{"model_type": "no-such"}'), "no-such is not known"),
    "own code": (
        wrote("config.json", '{"model_type": "own", "auto_map": {"AutoConfig": "m.C"}}'),
        "needs custom code",
    ),
    "bitsandbytes": (
        lambda f: configured(f, quantization_config={"load_in_4bit": True}),
        "quantised by bitsandbytes",
    ),
    "gptq": (
        lambda f: configured(f, quantization_config={"quant_method": "gptq", "bits": 4}),
        "quantised by gptq",
    ),
    "no tokenizer": (without_tokenizer, "its tokenizer is missing"),
    "tokenizer not JSON": (wrote("tokenizer.json", "{"), "its tokenizer is not accepted"),
    "PyTorch only": (
        renamed("model.safetensors", "pytorch_model.bin"),
        "no safetensors weights, and PyTorch files such as pytorch_model.bin are not read",
    ),
    "other name": (renamed("model.safetensors", "weights.safetensors"), "only weights.safetensors"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "no safetensors weights"),
    "a shard is missing": (lambda f: shard(f)[1].unlink(), "1 of the 2 files .* are missing"),
    "bad index": (
        lambda f: (shard(f), (f / "model.safetensors.index.json").write_text("{}")),
        "cannot be read as an index",
    ),
    "a weight is missing": (one_weight_less, "1 weights .* are missing in its files"),
    "other sizes": (lambda f: configured(f, intermediate_size=33), "have other sizes"),
    "settings that do not fit": (lambda f: configured(f, hidden_size="wide"), "cannot be loaded"),
    "encoder": (lambda f: configured(f, model_type="bert"), "bert is refused: it is an encoder"),
    "two stacks": (lambda f: configured(f, model_type="t5"), "two stacks"),
    "hybrid": (
        lambda f: configured(f, model_type="jamba", attn_layer_period=2, attn_layer_offset=1),
        "some of its layers have no softmax .*softmax_only=True",
    ),
    "without softmax": (lambda f: configured(f, model_type="jamba"), "it has no softmax attention"),
    "of pictures": (lambda f: configured(f, model_type="vit"), "predicts the next token"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_reason_is_the_true_one(
    folder: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked whether to run code"))
    change, reason = CASES[case]
    change(folder)
    before = sorted(folder.iterdir())
    with pytest.raises(ModelError, match=reason) as caught:
        load_model(f"a={folder}")
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("a: ")
    assert "damaged" not in message
    assert "delete" not in message
    assert sorted(folder.iterdir()) == before


def test_shards_in_a_folder_with_brackets_load(folder: Path, tiny: Tiny) -> None:
    whole = load_model(f"a={folder}")
    shard(folder)
    sharded = load_model(f"a={folder}")
    for name, weight in whole.model.state_dict().items():
        assert weight.equal(sharded.model.state_dict()[name])


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ([], "has no config.json"),
        (["checkpoint-5/config.json", "checkpoint-20/config.json"], r"2 checkpoints.*-20'?$"),
        (["model.Q4_0.gguf"], r"GGUF files: give one, .*model\.Q4_0\.gguf"),
        (["model_index.json"], "diffusers"),
        (["params.json", "consolidated.00.pth"], "original format of its makers"),
        (["final/config.json"], "A folder in it has one"),
        (["model.safetensors"], "Copy config.json"),
    ],
)
def test_a_folder_of_another_kind_is_named_as_such(
    tmp_path: Path, files: list[str], reason: str
) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    with pytest.raises(InputError, match=reason):
        resolve(str(tmp_path))


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no model")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    for name, reason in [
        ("notes.txt", "it is a file"),
        ("nowhere", "no such model"),
        ("link", "a link to a place that does not exist"),
    ]:
        with pytest.raises(InputError, match=reason):
            resolve(f"x={tmp_path / name}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_of_others_are_not_called_damaged(folder: Path) -> None:
    (folder / "model.safetensors").chmod(0)
    with pytest.raises(ModelError, match="no permission to read model"):
        load_model(f"a={folder}")
    folder.chmod(0)
    try:
        with pytest.raises(InputError, match="no permission"):
            resolve(f"a={folder}")
    finally:
        folder.chmod(0o755)
