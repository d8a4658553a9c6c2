"""Tests of loading models: their weights and settings, and the mistakes of users."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from attention_motifs.errors import InputError, ModelError, ResourceError
from attention_motifs.extraction import extract_patterns, load_model, loading, run_tapped
from attention_motifs.models.model import LoadedModel, ModelInfo
from conftest import Tiny

TEXT = "The cat sat on the mat, and the dog sat on the log."


@pytest.fixture
def folder(tiny: Tiny, tmp_path: Path, own_cache: Path) -> Path:
    return Path(shutil.copytree(tiny.folder / "a", tmp_path / "m"))


def patterns_of(loaded: LoadedModel) -> torch.Tensor:
    batches = extract_patterns(loaded, TEXT, max_tokens=16)
    return torch.stack([batch.patterns for batch in batches])


RUN_SETTINGS: dict[str, Any] = {
    "output_attentions": True,
    "output_hidden_states": True,
    "use_cache": False,
    "return_dict": False,
    "_attn_implementation": "flash_attention_2",
    "attn_implementation": "sdpa",
    "torch_dtype": "float16",
    "transformers_weights": "other.safetensors",
    "auto_map": {"AutoModel": "modeling.Own"},
    "gradient_checkpointing": True,
}


def test_settings_of_a_run_have_no_effect_and_are_recorded(folder: Path) -> None:
    plain = load_model(f"m={folder}")
    assert plain.info.set_aside == ()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **RUN_SETTINGS}))
    loaded = load_model(f"m={folder}")
    assert torch.equal(patterns_of(loaded), patterns_of(plain))
    assert loaded.model.dtype == torch.float32
    assert set(loaded.info.set_aside) == RUN_SETTINGS.keys() - {"torch_dtype"}
    assert ModelInfo.from_json(json.loads(json.dumps(loaded.info.to_json()))) == loaded.info


def test_an_adapter_in_the_folder_is_not_applied_with_peft_installed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.integrations import peft
    from transformers.models.auto import auto_factory

    plain = load_model(f"m={folder}")
    (folder / "adapter_config.json").write_text(
        json.dumps({"peft_type": "LORA", "base_model_name_or_path": str(folder), "r": 1})
    )
    save_file({"x": torch.zeros(1)}, folder / "adapter_model.safetensors")
    for module in (peft, auto_factory):
        monkeypatch.setattr(module, "is_peft_available", lambda: True)
    loaded = load_model(f"m={folder}")
    assert torch.equal(patterns_of(loaded), patterns_of(plain))
    assert loaded.info.set_aside == ("adapter_config.json",)
    assert loaded.info.weights_sha256 == plain.info.weights_sha256


def test_the_name_of_the_folder_has_no_effect(folder: Path) -> None:
    other = Path(shutil.copytree(folder, folder.parent / "bert-mistral-gpt2 [x]"))
    one, two = load_model(f"m={folder}"), load_model(f"m={other}")
    assert torch.equal(patterns_of(one), patterns_of(two))
    assert one.tokenizer(TEXT)["input_ids"] == two.tokenizer(TEXT)["input_ids"]


def test_random_merges_of_a_tokenizer_are_turned_off(folder: Path) -> None:
    expected = load_model(f"m={folder}").tokenizer(TEXT)["input_ids"]
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["dropout"] = 0.9
    content["truncation"] = {
        "direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0,
    }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(content))
    tokenizer = load_model(f"m={folder}").tokenizer
    assert tokenizer(TEXT)["input_ids"] == expected == tokenizer(TEXT)["input_ids"]


def test_settings_that_cannot_work(
    tiny: Tiny, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny.model("a")
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"dtype": "int3"}, "dtype"),
        ({"dtype": None}, "dtype"),
        ({"dtype": torch.float32}, "dtype"),
        ({"device": "nowhere"}, "not available"),
        ({"device": 5}, "device 5"),
        ({"device": None}, "device None"),
        ({"device": "meta"}, "holds no numbers"),
        ({"max_tokens": 10**6}, "the context of a is"),
        ({"max_tokens": "12"}, "whole number"),
    ]
    monkeypatch.setattr(loading, "_load", lambda _request: pytest.fail("loaded"))
    for settings, reason in wrong:
        with pytest.raises(InputError, match=reason):
            load_model(model, **settings)
    for name in (None, 5, ["a"], b"a"):
        with pytest.raises(InputError, match="not a name"):
            load_model(name)  # type: ignore[arg-type]
    monkeypatch.setattr(loading, "free_memory", lambda _device: 1000)
    with pytest.raises(ResourceError, match="memory are free"):
        load_model(model)


def test_the_record_of_a_model_holds_no_path(tiny: Tiny, own_cache: Path) -> None:
    info = load_model(tiny.model("a")).info
    assert ModelInfo.from_json(info.to_json()) == info
    assert str(tiny.folder) not in str(info.to_json())
    assert (info.n_layers, info.n_heads, info.location) == (2, 2, "a")
    old = {k: v for k, v in info.to_json().items() if k not in ("config_sha256", "set_aside")}
    assert ModelInfo.from_json(old).weights_sha256 == info.weights_sha256


# Models that see

TEXT_MODEL: dict[str, Any] = {
    "vocab_size": 300, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8, "initializer_range": 0.4,
    "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 0, "eos_token_id": 1,
}  # fmt: skip
VISION: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2,
    "image_size": 28, "patch_size": 14,
}  # fmt: skip
MULTIMODAL: dict[str, dict[str, Any]] = {
    "llava": {
        "text_config": {**TEXT_MODEL, "model_type": "llama"},
        "vision_config": {**VISION, "model_type": "clip_vision_model", "projection_dim": 16},
        "image_token_index": 2,
    },
    "idefics3": {
        "text_config": {**TEXT_MODEL, "model_type": "llama"},
        "vision_config": VISION,
        "image_token_id": 2,
        "scale_factor": 1,
    },
}


@pytest.mark.parametrize("kind", MULTIMODAL)
def test_models_that_see_give_the_patterns_of_their_text_model(
    kind: str, folder: Path, own_cache: Path
) -> None:
    from transformers import AutoConfig, AutoModelForImageTextToText

    (folder / "model.safetensors").unlink()
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **MULTIMODAL[kind])
    whole = AutoModelForImageTextToText.from_config(config, attn_implementation="eager").eval()
    whole.save_pretrained(folder)
    loaded = load_model(f"m={folder}", language_head=True)
    assert (loaded.info.n_layers, loaded.info.n_heads) == (2, 2)
    ids, kept = torch.arange(3, 15)[None], []
    hidden = run_tapped(loaded, ids, lambda _layer, weights: kept.append(weights.clone()))
    with torch.inference_mode():
        expected = whole(input_ids=ids, output_attentions=True)
        assert loaded.head is not None
        logits = loaded.head(hidden)
    for ours, theirs in zip(kept, expected.attentions, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    torch.testing.assert_close(logits, expected.logits, rtol=0, atol=1e-4)


def test_a_head_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    from attention_motifs.models.architectures import language_model_class

    with pytest.raises(ModelError, match="cannot be ablated"):
        language_model_class("m", SimpleNamespace(model_type="own"))


def test_a_temporary_folder_that_cannot_be_written_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", "/nowhere")
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere/at/all")
    with pytest.raises(ResourceError, match=r"/nowhere: cannot be written .*Set TMPDIR"):
        load_model(f"m={folder}")
