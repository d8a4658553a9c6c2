"""`auto` is the dtype that the weights lie in on disk, and never float16 on a CPU."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from attention_motifs.errors import InputError, ResourceError
from attention_motifs.extraction import extract_patterns, load_model, loading, resolve_dtype
from attention_motifs.models.convert import convert_gguf
from attention_motifs.models.dtypes import dtype_as_stored, stored_dtype
from conftest import Tiny
from stored_weights import copy_stored_as
from tiny_gguf import write_gguf

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("stored", "on_cpu", "on_cuda"),
    [
        (torch.float32, "float32", "float32"),
        (torch.bfloat16, "bfloat16", "bfloat16"),
        (torch.float16, "float32", "float16"),
        (torch.float64, "float32", "float32"),
    ],
)
def test_what_auto_stands_for(
    tiny: Tiny, tmp_path: Path, own_cache: Path, stored: torch.dtype, on_cpu: str, on_cuda: str
) -> None:
    folder = copy_stored_as(tiny.folder / "a", tmp_path / "m", stored)
    assert stored_dtype(folder) == stored
    assert dtype_as_stored(folder, CPU) == on_cpu
    assert dtype_as_stored(folder, CUDA) == on_cuda
    assert resolve_dtype(str(folder), "auto", device="cpu") == on_cpu
    assert resolve_dtype(str(folder), "float16", device="cpu") == "float16", "as it was asked for"
    loaded = load_model(str(folder), device="cpu", dtype="auto")
    assert loaded.info.dtype == on_cpu
    assert {p.dtype for p in loaded.model.parameters()} == {getattr(torch, on_cpu)}


def test_patterns_by_auto_are_those_of_the_dtype_it_stands_for(
    tiny: Tiny, tmp_path: Path, own_cache: Path
) -> None:
    folder = copy_stored_as(tiny.folder / "a", tmp_path / "m", torch.bfloat16)
    text = "The cat sat on the mat, and the dog sat on the log."

    def patterns(dtype: str) -> torch.Tensor:
        result = extract_patterns(str(folder), [text], device="cpu", dtype=dtype)
        return torch.stack([batch.patterns for batch in result])

    assert torch.equal(patterns("auto"), patterns("bfloat16"))
    assert not torch.equal(patterns("auto"), patterns("float32"))


def test_most_of_the_numbers_decide(tiny: Tiny, tmp_path: Path) -> None:
    norms = copy_stored_as(tiny.folder / "a", tmp_path / "norms", torch.bfloat16, only="norm")
    assert stored_dtype(norms) == torch.float32
    rest = copy_stored_as(tiny.folder / "a", tmp_path / "rest", torch.bfloat16, only="proj")
    shutil.copy(rest / "model.safetensors", rest / "model-2.safetensors")
    names = {"a": torch.zeros(999, 99, dtype=torch.bfloat16), "b": torch.zeros(9, dtype=torch.bool)}
    save_file(names, rest / "model-3.safetensors")  # sharded: all files of the index count
    (rest / "model.safetensors").rename(rest / "model-1.safetensors")
    index = {"weight_map": {f"w{i}": f"model-{i}.safetensors" for i in (1, 2, 3)}}
    (rest / "model.safetensors.index.json").write_text(json.dumps(index))
    assert stored_dtype(rest) == torch.bfloat16


def test_of_equally_many_numbers_the_wider_dtype(tmp_path: Path) -> None:
    halves = {"a": torch.zeros(4, dtype=torch.bfloat16), "b": torch.zeros(2, 2)}
    save_file(halves, tmp_path / "model.safetensors")
    assert stored_dtype(tmp_path) == torch.float32


def test_quantised_weights_do_not_count_but_their_scales_do(tmp_path: Path) -> None:
    numbers = {"weight": torch.zeros(64, dtype=torch.uint8)}
    save_file(numbers, tmp_path / "model.safetensors")
    assert stored_dtype(tmp_path) is None
    assert dtype_as_stored(tmp_path, CPU) == "float32"
    save_file({**numbers, "scale": torch.ones(1).bfloat16()}, tmp_path / "model.safetensors")
    assert dtype_as_stored(tmp_path, CPU) == "bfloat16"


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, b"\x02" + b"\0" * 7 + b"{]", b"\0" * 4096])
def test_a_damaged_header_tells_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    assert stored_dtype(tmp_path) is None


def test_a_converted_model_is_stored_in_float32(tiny: Tiny, tmp_path: Path) -> None:
    gguf = write_gguf(tmp_path / "m.gguf", tiny.folder / "a")
    convert_gguf(gguf, tmp_path / "converted", {})
    assert dtype_as_stored(tmp_path / "converted", CPU) == "float32"
    message = json.loads((tmp_path / "converted" / "config.json").read_text())
    assert message.get("dtype") in (None, "float32")


def test_memory_is_asked_for_by_what_auto_stands_for(
    tiny: Tiny, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy_stored_as(tiny.folder / "a", tmp_path / "m", torch.bfloat16)
    size = (folder / "model.safetensors").stat().st_size
    monkeypatch.setattr(loading, "free_memory", lambda _device: int(1.5 * size))
    load_model(str(folder), device="cpu", dtype="auto")
    with pytest.raises(ResourceError, match="GB as float32"):
        load_model(str(folder), device="cpu", dtype="float32")


def test_other_words_are_refused_with_those_that_are_known(tiny: Tiny, own_cache: Path) -> None:
    with pytest.raises(InputError, match="dtype 'half': choose float32, bfloat16, float16 or auto"):
        load_model(tiny.model("a"), dtype="half")
