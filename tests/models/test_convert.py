"""GGUF files, written here from a tiny model, against the model they were written from."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from attention_motifs.errors import ModelError, ResourceError
from attention_motifs.extraction import load_model, run_tapped
from attention_motifs.models.convert import RECORD, convert_gguf, is_converted, quiet_transformers
from attention_motifs.store.cache_folder import cache_folder
from conftest import Tiny
from tiny_gguf import write_gguf


def patterns_of(expected: str, ids: torch.Tensor) -> torch.Tensor:
    kept: list[torch.Tensor] = []
    run_tapped(load_model(expected, device="cpu"), ids, lambda _layer, w: kept.append(w.clone()))
    return torch.stack(kept)


def test_a_gguf_file_gives_the_patterns_of_the_model_it_was_made_from(
    tiny: Tiny, own_cache: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_gguf(tmp_path / "tiny-copy.gguf", tiny.folder / "a")
    ids = torch.tensor([[0, 40, 41, 42, 17, 250, 99]])
    result = patterns_of(str(path), ids)
    assert capfd.readouterr().err == ""  # no bars but our own
    torch.testing.assert_close(result, patterns_of(tiny.model("a"), ids), rtol=0, atol=1e-6)
    info = load_model(str(path)).info
    assert (info.kind, info.name, info.location) == ("gguf", "tiny-copy", "tiny-copy.gguf")
    assert info.weights_sha256 != load_model(tiny.model("a")).info.weights_sha256
    text = "The cat sat on the mat."
    ours, theirs = load_model(str(path)).tokenizer, load_model(tiny.model("a")).tokenizer
    assert ours(text)["input_ids"] == theirs(text)["input_ids"]


def test_a_gguf_file_is_converted_once(
    tiny: Tiny, own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from attention_motifs.models import convert

    path = write_gguf(tmp_path / "once.gguf", tiny.folder / "a")
    load_model(str(path))

    def refuse(*_arguments: Any) -> None:
        raise AssertionError("converted again")

    monkeypatch.setattr(convert, "_convert", refuse)
    assert load_model(f"again={path}").info.name == "again"
    monkeypatch.setattr(convert, "CONVERSION", convert.CONVERSION + 1)
    with pytest.raises(AssertionError, match="converted again"):
        load_model(str(path))


def test_the_converted_folder_is_complete_and_follows_the_umask(tiny: Tiny, tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m.gguf", tiny.folder / "a")
    (tmp_path / "TERMS").write_text("be kind")
    target = tmp_path / "out" / "m"
    target.mkdir(parents=True)
    (target / "left-over").write_text("of an older conversion")
    umask = os.umask(0o027)
    try:
        convert_gguf(path, target, {"licence": "kind"}, tmp_path / "TERMS")
    finally:
        os.umask(umask)
    assert is_converted(target)
    assert json.loads((target / RECORD).read_text())["licence"] == "kind"
    assert (target / "TERMS").read_text() == "be kind"
    assert not (target / "left-over").exists()
    assert target.stat().st_mode & 0o777 == 0o750
    assert {p.stat().st_mode & 0o777 for p in target.iterdir()} == {0o640}
    assert [p.name for p in target.parent.iterdir()] == ["m"]
    for text in ("not JSON", "[]", '{"conversion": 0}'):
        (target / RECORD).write_text(text)
        assert not is_converted(target)


@pytest.mark.parametrize(("vocabulary", "digits"), [("smollm", 4), ("gpt-2", 1)])
def test_digits_are_split_where_the_vocabulary_says_so(
    tiny: Tiny, tmp_path: Path, vocabulary: str, digits: int
) -> None:
    from transformers import AutoTokenizer

    path = write_gguf(tmp_path / "m.gguf", tiny.folder / "a", vocabulary=vocabulary)
    convert_gguf(path, tmp_path / "m", {})
    splitter = AutoTokenizer.from_pretrained(tmp_path / "m").backend_tokenizer.pre_tokenizer
    assert len(splitter.pre_tokenize_str("1871")) == digits


@pytest.mark.parametrize(
    ("changes", "statements"),
    [
        ({"without": "blk.1.attn_q.weight"}, "1 weights are missing, first layers.1.self_attn"),
        ({"scaled": "linear"}, "rotary embedding is scaled"),
        ({"scaled": "factors"}, "rotary embedding is scaled"),
        ({"parts": 3}, "one of 3 parts of a split model"),
    ],
)
def test_what_transformers_would_read_wrongly_is_refused(
    tiny: Tiny, tmp_path: Path, changes: dict[str, Any], statements: str
) -> None:
    path = write_gguf(tmp_path / "m.gguf", tiny.folder / "a", **changes)
    with pytest.raises(ModelError, match=statements):
        convert_gguf(path, tmp_path / "out" / "m", {})
    assert not list(tmp_path.glob("out/*"))


def test_a_split_file_is_named_as_split(tiny: Tiny, tmp_path: Path) -> None:
    path = write_gguf(tmp_path / "m-00002-of-00003.gguf", tiny.folder / "a")
    with pytest.raises(ModelError, match="is part 2 of 3 of a split model"):
        convert_gguf(path, tmp_path / "out" / "m", {})


@pytest.mark.parametrize("scaled", ["none", "ones", "mentioned"])
def test_what_only_mentions_scaling_is_no_scaling(tiny: Tiny, tmp_path: Path, scaled: str) -> None:
    convert_gguf(
        write_gguf(tmp_path / "m.gguf", tiny.folder / "a", scaled=scaled), tmp_path / "m", {}
    )


@pytest.mark.parametrize("content", [b"", b"other bytes", b"version https://git-lfs"])
def test_what_is_no_gguf_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.gguf").write_bytes(content)
    with pytest.raises(ModelError, match=r"m\.gguf: is (not a GGUF file|a Git LFS pointer)"):
        convert_gguf(tmp_path / "m.gguf", tmp_path / "out" / "m", {})
    assert not list(tmp_path.glob("out/*"))


def test_a_changed_gguf_file_or_conversion_is_noticed(
    tiny: Tiny, own_cache: Path, tmp_path: Path
) -> None:
    path = write_gguf(tmp_path / "m.gguf", tiny.folder / "a")
    before = load_model(str(path))
    weights_before = {n: w.clone() for n, w in before.model.state_dict().items()}
    (target,) = (p for p in (cache_folder() / "models").iterdir()
                 if p.name == f"gguf-{before.info.weights_sha256[:16]}")  # fmt: skip
    weights = target / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 0xFF
    weights.write_bytes(bytes(content))
    again = load_model(str(path))  # converted anew, since the source is there
    for name, weight in weights_before.items():
        assert weight.equal(again.model.state_dict()[name])
    write_gguf(path, tiny.folder / "a", vocabulary="smollm")
    assert load_model(str(path)).info.weights_sha256 != before.info.weights_sha256


@pytest.mark.parametrize("share", [0.01, 0.6, 0.99])
def test_a_file_cut_short_is_refused_and_leaves_nothing(
    tiny: Tiny, tmp_path: Path, share: float
) -> None:
    whole = write_gguf(tmp_path / "whole.gguf", tiny.folder / "a").read_bytes()
    path = tmp_path / "m.gguf"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ModelError, match=r"m\.gguf: (cannot be read as|is not a) GGUF") as caught:
        convert_gguf(path, tmp_path / "out" / "m", {})
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("out/*"))


def test_too_little_disk_is_told_before_converting(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    monkeypatch.setenv("ATTENTION_MOTIFS_CACHE", str(tmp_path / "cache"))
    usage = shutil._ntuple_diskusage(10, 9, 1)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    with pytest.raises(ResourceError, match=r"conversion of m\.gguf.*GB of disk.*are free"):
        load_model(str(write_gguf(tmp_path / "m.gguf", tiny.folder / "a")))


def test_what_a_killed_conversion_left_is_cleared_away(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTENTION_MOTIFS_CACHE", str(tmp_path / "cache"))
    path = write_gguf(tmp_path / "m.gguf", tiny.folder / "a")
    load_model(str(path))
    (target,) = (cache_folder() / "models").glob("gguf-*")
    unfinished = target.parent / f".unfinished-{target.name}-abc"
    unfinished.mkdir()
    (unfinished / "model.safetensors").write_bytes(b"half")
    (target / RECORD).unlink()
    load_model(str(path))
    assert is_converted(target)
    assert not unfinished.exists()


def test_transformers_is_silenced_for_the_while_alone(capfd: pytest.CaptureFixture[str]) -> None:
    from transformers import modeling_gguf_pytorch_utils as theirs
    from transformers.utils import logging

    bar, level, shown = theirs.tqdm, logging.get_verbosity(), logging.is_progress_bar_enabled()

    def load() -> None:
        with quiet_transformers():
            assert list(theirs.tqdm([1, 2], desc="Converting")) == [1, 2]
            logging.get_logger("transformers.something").warning("be warned")
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        load()
    assert capfd.readouterr().err == ""
    assert theirs.tqdm is bar
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == (level, shown)
