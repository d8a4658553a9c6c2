"""Adapters that peft itself saved: next to merged weights they have no effect; alone, refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from attention_motifs.errors import InputError, MotifsError
from attention_motifs.extraction import extract_patterns, load_model
from tiny_models import make_tiny_model

peft: Any = pytest.importorskip("peft")

TEXT = "one two three one two three"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("adapters") / "base")


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an adapter that changes patterns, as peft saves it."""
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("adapter") / "adapter"
    config = peft.LoraConfig(target_modules=["q_proj"], r=2, init_lora_weights=False)
    torch.manual_seed(0)
    model = peft.get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    model.save_pretrained(folder)
    return folder


def patterns_of(folder: Path) -> np.ndarray:
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
    base: Path, adapter: Path, tmp_path: Path, own_cache: Path
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


def test_a_folder_with_an_adapter_alone_is_refused(
    base: Path, adapter: Path, tmp_path: Path, own_cache: Path
) -> None:
    with_config = tmp_path / "with-config"
    shutil.copytree(adapter, with_config)
    shutil.copy(base / "config.json", with_config)
    shutil.copy(base / "tokenizer.json", with_config)
    for folder in (adapter, with_config):
        with pytest.raises(MotifsError, match=r"adapter .*merge") as caught:
            load_model(f"m={folder}")
        assert str(base) in str(caught.value)
        assert "damaged" not in str(caught.value)


def test_an_adapter_by_its_path_alone_is_refused(adapter: Path, own_cache: Path) -> None:
    with pytest.raises(InputError, match=r"adapter .*merge"):
        load_model(adapter)
