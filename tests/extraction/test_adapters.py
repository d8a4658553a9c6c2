"""Adapters that peft itself saved: without effect next to merged weights; alone, merged."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from attention_motifs.errors import ModelError
from attention_motifs.extraction import extract_patterns, load_model
from attention_motifs.models import adapters
from tiny_models import make_tiny_model

TEXT = "one two three one two three"


@pytest.fixture(scope="module")
def peft() -> Any:
    """Imported by the process that runs these tests only: it takes seconds."""
    return pytest.importorskip("peft")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("adapters") / "base")


@pytest.fixture(scope="module")
def adapter(peft: Any, base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an adapter that changes patterns, as peft saves it."""
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("adapter") / "adapter"
    config = peft.LoraConfig(target_modules=["q_proj"], r=2, init_lora_weights=False)
    torch.manual_seed(0)
    model = peft.get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    model.save_pretrained(folder)
    return folder


def patterns_of(folder: Path | str) -> np.ndarray:
    batches = extract_patterns(f"m={folder}", TEXT)
    return np.stack([np.asarray(batch.patterns) for batch in batches])


def test_an_adapter_next_to_weights_has_no_effect(
    base: Path, adapter: Path, tmp_path: Path, own_cache: Path
) -> None:
    folder = tmp_path / "both"
    shutil.copytree(base, folder)
    for file in adapter.iterdir():
        if not (folder / file.name).exists():
            shutil.copy(file, folder)
    assert load_model(f"m={folder}").info.set_aside == ("adapter_config.json",)
    np.testing.assert_array_equal(patterns_of(folder), patterns_of(base))


def test_merged_weights_give_the_patterns_of_base_and_adapter(
    peft: Any, base: Path, adapter: Path, tmp_path: Path, own_cache: Path
) -> None:
    from transformers import AutoTokenizer

    model = peft.AutoPeftModelForCausalLM.from_pretrained(adapter)
    merged = tmp_path / "merged"
    model.merge_and_unload().save_pretrained(merged)
    AutoTokenizer.from_pretrained(base).save_pretrained(merged)
    alone = patterns_of(merged)
    assert np.abs(alone - patterns_of(base)).max() > 1e-3
    # peft leaves the adapter in the folder of a model that was trained further.
    for file in adapter.iterdir():
        if not (merged / file.name).exists():
            shutil.copy(file, merged)
    np.testing.assert_array_equal(patterns_of(merged), alone)


def test_an_adapter_alone_is_merged_with_its_base_model_once(
    peft: Any,
    base: Path,
    adapter: Path,
    tmp_path: Path,
    own_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = peft.AutoPeftModelForCausalLM.from_pretrained(adapter)
    expected = patterns_of_model(model)
    for folder in (adapter, with_config(adapter, base, tmp_path / "with config=1")):
        np.testing.assert_allclose(patterns_of(folder), expected, atol=1e-6)
    info = load_model(f"m={adapter}").info
    assert (info.name, info.kind, info.location) == ("m", "folder", "adapter")
    assert load_model(adapter).info.weights_sha256 == info.weights_sha256
    (weights,) = (own_cache / "models").glob("adapter-*/model.safetensors")
    data = weights.read_bytes()
    weights.write_bytes(data[:-1] + bytes([data[-1] ^ 64]))  # damaged, so it is merged anew
    np.testing.assert_allclose(patterns_of(adapter), expected, atol=1e-6)
    monkeypatch.setattr(adapters, "_merge", None)  # it is merged once
    np.testing.assert_allclose(patterns_of(adapter), expected, atol=1e-6)


def patterns_of_model(model: Any) -> np.ndarray:
    """Patterns of a peft model that runs with its adapter, from its own eager attention."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model.active_peft_config.base_model_name_or_path)
    model.set_attn_implementation("eager")
    with torch.no_grad():
        outputs = model(**tokenizer(TEXT, return_tensors="pt"), output_attentions=True)
    return np.stack([layer[0].numpy() for layer in outputs.attentions])


def with_config(adapter: Path, base: Path, folder: Path) -> Path:
    shutil.copytree(adapter, folder)
    shutil.copy(base / "config.json", folder)
    return folder


def test_an_adapter_on_the_hub_is_merged_with_its_base_model_there(
    base: Path, adapter: Path, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, folder, sha in (("base", base, "1" * 40), ("lora", adapter, "2" * 40)):
        cache = tmp_path / f"models--acme--{name}"
        shutil.copytree(folder, cache / "snapshots" / sha)
        (cache / "refs").mkdir()
        (cache / "refs" / "main").write_text(sha)
    path = tmp_path / "models--acme--lora" / "snapshots" / ("2" * 40) / "adapter_config.json"
    settings = json.loads(path.read_text())
    path.write_text(json.dumps({**settings, "base_model_name_or_path": "acme/base"}))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    info = load_model("acme/lora").info
    assert (info.name, info.kind, info.revision) == ("acme/lora", "hub", "2" * 40)
    np.testing.assert_array_equal(patterns_of("acme/lora"), patterns_of(adapter))
    assert info.source is not None
    assert load_model(info.source).info == info  # what an atlas records finds the same weights


def test_another_adapter_is_another_model(base: Path, adapter: Path, own_cache: Path) -> None:
    before = load_model(f"m={adapter}").info.weights_sha256
    settings = json.loads((adapter / "adapter_config.json").read_text())
    stronger = adapter.with_name("stronger")
    shutil.copytree(adapter, stronger)
    (stronger / "adapter_config.json").write_text(
        json.dumps({**settings, "lora_alpha": 4 * settings["lora_alpha"]})
    )
    assert load_model(f"m={stronger}").info.weights_sha256 != before
    assert np.abs(patterns_of(stronger) - patterns_of(adapter)).max() > 1e-3


def test_an_adapter_whose_file_lacks_weights_is_refused(
    adapter: Path, tmp_path: Path, own_cache: Path
) -> None:
    folder = tmp_path / "partial"
    shutil.copytree(adapter, folder)
    weights = load_file(folder / "adapter_model.safetensors")
    save_file(dict(list(weights.items())[2:]), folder / "adapter_model.safetensors")
    with pytest.raises(ModelError, match=r"peft cannot merge them .*missing adapter keys"):
        load_model(f"m={folder}")


def test_what_cannot_be_merged_is_refused_with_the_reason(
    base: Path, adapter: Path, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(change: dict[str, Any], reason: str, missing: str = "") -> None:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        shutil.copytree(adapter, folder)
        settings = json.loads((folder / "adapter_config.json").read_text())
        (folder / "adapter_config.json").write_text(json.dumps({**settings, **change}))
        if missing:
            (folder / missing).unlink()
        with pytest.raises(ModelError, match=reason):
            load_model(f"m={folder}")

    refused({"base_model_name_or_path": ""}, "base_model_name_or_path cannot be read")
    refused({"base_model_name_or_path": "no-such-model"}, "its base model is not available here")
    refused({"base_model_name_or_path": str(adapter)}, "itself an adapter")
    refused({"peft_type": "UNKNOWN"}, "peft cannot merge them")
    refused({}, "are missing", missing="adapter_model.safetensors")
    monkeypatch.setitem(sys.modules, "peft", None)
    refused({"r": 3}, r"pip install peft")
