from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from attention_motifs.errors import InputError
from attention_motifs.extraction.pattern_lens import (
    PatternLensModel,
    read_models,
    read_n_tokens,
    read_patterns,
    weights_digest,
)
from attention_motifs.prompts import Prompt

N_LAYERS, N_HEADS, N = 2, 3, 5
TEXTS = ("The cat sat.", "def f(x):", "Grüße, 世界")
HASHES = ("aGVsbG8", "d29ybGQ_-x==", "0123456789abcdef")


def attention(n: int = N, n_heads: int = N_HEADS, seed: int = 0) -> np.ndarray:
    """Causal patterns of shape 1 x heads x n x n."""
    weights = np.tril(np.random.default_rng(seed).random((1, n_heads, n, n)))
    return (weights / weights.sum(axis=-1, keepdims=True)).astype(np.float32)


def key(layer: int) -> str:
    return f"blocks.{layer}.attn.hook_pattern"


def layers(n: int = N) -> dict[str, np.ndarray]:
    return {key(layer): attention(n, seed=layer) for layer in range(N_LAYERS)}


@dataclass(frozen=True)
class Folder:
    """A pattern-lens folder with one model, whose files the tests break."""

    root: Path
    name: str = "gpt2-small"

    @property
    def model(self) -> Path:
        return self.root / self.name

    @property
    def configuration(self) -> Path:
        return self.model / "model_cfg.json"

    @property
    def prompts(self) -> Path:
        return self.model / "prompts.jsonl"

    def activations(self, i: int = 0) -> Path:
        return self.model / "prompts" / HASHES[i] / "activations.npz"

    def write(self) -> Folder:
        self.model.mkdir(parents=True)
        self.configuration.write_text(
            json.dumps({"n_layers": N_LAYERS, "n_heads": N_HEADS, "d_model": 768})
        )
        records = [
            {"text": text, "hash": hash_, "tokens": text.split(), "n_tokens": N + i}
            for i, (text, hash_) in enumerate(zip(TEXTS, HASHES, strict=True))
        ]
        self.write_prompts(*records)
        for i in range(len(TEXTS)):
            self.write_layers(layers(N + i), i)
        return self

    def write_prompts(self, *records: Any) -> None:
        self.prompts.write_bytes(b"\n".join(json.dumps(r).encode() for r in records) + b"\n")

    def write_layers(self, arrays: dict[str, np.ndarray], i: int = 0) -> None:
        self.activations(i).parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(self.activations(i), **arrays)

    def read(self) -> PatternLensModel:
        (model,) = read_models(self.root)
        return model


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "runs").write()


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """For properties; it is left as it was found."""
    return Folder(tmp_path_factory.mktemp("pattern-lens")).write()


ID = Prompt(TEXTS[0]).prompt_id


def refused(model: PatternLensModel, prompt_id: str = ID) -> str:
    """What is said of patterns that must be refused."""
    with pytest.raises(InputError) as caught:
        read_patterns(model, prompt_id)
    assert len(str(caught.value).splitlines()) == 1
    assert "activations.npz: " in str(caught.value)
    return str(caught.value)


def refused_folder(root: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_models(root)
    assert len(str(caught.value).splitlines()) == 1
    assert str(root) in str(caught.value)
    return str(caught.value)


# A sound folder


def test_models_prompts_and_tokens_are_read(folder: Folder) -> None:
    model = folder.read()
    assert (model.name, model.n_layers, model.n_heads) == ("gpt2-small", N_LAYERS, N_HEADS)
    assert [prompt.text for prompt in model.prompts] == list(TEXTS)
    assert {prompt.source for prompt in model.prompts} == {"pattern-lens/runs"}
    assert [model.hashes[prompt.prompt_id] for prompt in model.prompts] == list(HASHES)
    assert model.tokens[ID] == ("The", "cat", "sat.")


def test_patterns_come_back_layer_by_layer(folder: Folder) -> None:
    model = folder.read()
    for i, prompt in enumerate(model.prompts):
        patterns = read_patterns(model, prompt.prompt_id)
        assert patterns.dtype == np.float32
        assert np.array_equal(patterns, np.concatenate(list(layers(N + i).values())))
        assert read_n_tokens(model, prompt.prompt_id) == N + i


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_other_activations_and_other_precisions_are_taken(
    folder: Folder, save: Any, dtype: type
) -> None:
    arrays = {name: array.astype(dtype) for name, array in layers().items()}
    save(folder.activations(), **arrays, **{"blocks.0.hook_resid_pre": np.ones((1, N, 8))})
    patterns = read_patterns(folder.read(), ID)
    assert patterns.shape == (N_LAYERS, N_HEADS, N, N)
    assert np.allclose(patterns, np.concatenate(list(layers().values())), atol=1e-3)


def test_the_order_in_the_file_does_not_matter(folder: Folder) -> None:
    folder.write_layers(dict(reversed(layers().items())))
    assert np.array_equal(read_patterns(folder.read(), ID)[1], layers()[key(1)][0])


def test_rows_may_sum_to_less_than_one(folder: Folder) -> None:
    folder.write_layers({name: 0.5 * array for name, array in layers().items()})
    assert np.allclose(read_patterns(folder.read(), ID).sum(axis=-1), 0.5, atol=1e-6)


def test_several_models_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("pythia-1b", "google/gemma-2-2b", "Llama-3.2-1B", "google/gemma-2b"):
        Folder(tmp_path, name).write()
    (tmp_path / "not-a-model").mkdir()
    names = [model.name for model in read_models(tmp_path)]
    assert names == ["Llama-3.2-1B", "google/gemma-2-2b", "google/gemma-2b", "pythia-1b"]


def test_patterns_of_a_model_of_an_organisation_are_read(tmp_path: Path) -> None:
    model = Folder(tmp_path, "meta-llama/Llama-3.2-1B").write().read()
    assert model.name == "meta-llama/Llama-3.2-1B"
    assert read_patterns(model, ID).shape == (N_LAYERS, N_HEADS, N, N)


def test_repeated_texts_and_blank_lines_are_passed_over(folder: Folder) -> None:
    records = [
        {"text": TEXTS[0], "hash": HASHES[0]},
        {"text": TEXTS[1], "hash": HASHES[1], "tokens": "no list"},
        {"text": TEXTS[0], "hash": "another"},
    ]
    folder.prompts.write_text("\r\n\n".join(map(json.dumps, records)) + "\n\n")
    model = folder.read()
    assert [prompt.text for prompt in model.prompts] == list(TEXTS[:2])
    assert model.hashes[ID] == HASHES[0]
    assert model.tokens == {prompt.prompt_id: () for prompt in model.prompts}


def test_the_digest_changes_with_the_files(folder: Folder) -> None:
    before = weights_digest(folder.read())
    assert weights_digest(folder.read()) == before
    folder.write_layers(layers(N + 1))
    changed = weights_digest(folder.read())
    assert changed != before
    folder.activations().unlink()
    assert weights_digest(folder.read()) not in (before, changed)


# Broken folders


def test_a_folder_without_models_is_refused(tmp_path: Path) -> None:
    assert "no <model>/model_cfg.json" in refused_folder(tmp_path)
    assert "no <model>/model_cfg.json" in refused_folder(tmp_path / "not" / "there")


def test_a_model_folder_whose_name_is_no_model_is_refused(tmp_path: Path) -> None:
    Folder(tmp_path, "my model").write()
    with pytest.raises(InputError, match="model name 'my model' is not usable"):
        read_models(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        "null",
        "{}",
        '{"n_layers": 2}',
        '{"n_layers": "two", "n_heads": 3}',
        '{"n_layers": null, "n_heads": 3}',
        '{"n_layers": [2], "n_heads": 3}',
        '{"n_layers": Infinity, "n_heads": 3}',
        '{"n_layers": NaN, "n_heads": 3}',
        '{"n_layers": 0, "n_heads": 3}',
        '{"n_layers": 2, "n_heads": -1}',
        "[" * 200_000,
    ],
    ids=lambda text: text[:40],
)
def test_a_broken_configuration_is_named(folder: Folder, text: str) -> None:
    folder.configuration.write_text(text)
    assert "model_cfg.json: no numbers n_layers and n_heads" in refused_folder(folder.root)


def test_a_configuration_that_is_not_utf8_is_named(folder: Folder) -> None:
    folder.configuration.write_bytes(b'{"n_layers": 2, "n_heads": 3, "name": "\xff"}')
    assert "model_cfg.json: " in refused_folder(folder.root)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "a", "hash"', "not JSON"),
        (b"[" * 200_000, "not JSON"),
        (b'{"text": "a", "hash": "a", "n": ' + b"1" * 5_000 + b"}", "not JSON"),
        (b'"text"', "no string 'text'"),
        (b'{"hash": "abc"}', "no string 'text'"),
        (b'{"text": 1, "hash": "abc"}', "no string 'text'"),
        (b'{"text": "\\ud800", "hash": "abc"}', "surrogate"),
        (b'{"text": "a"}', "no 'hash'"),
        (b'{"text": "a", "hash": 7}', "no 'hash'"),
        (b'{"text": "a", "hash": ""}', "no 'hash'"),
        (b'{"text": "a", "hash": "."}', "no 'hash'"),
        (b'{"text": "a", "hash": ".."}', "no 'hash'"),
        (b'{"text": "a", "hash": "../../x"}', "no 'hash'"),
        (b'{"text": "a", "hash": "/etc"}', "no 'hash'"),
        (b'{"text": "a", "hash": "a/b"}', "no 'hash'"),
        (b'{"text": "a", "hash": "a\\\\b"}', "no 'hash'"),
        (b'{"text": "a", "hash": "a\\u0000"}', "no 'hash'"),
        (b'{"text": "a", "hash": "a\\n"}', "no 'hash'"),
        ('{"text": "a", "hash": "é５"}'.encode(), "no 'hash'"),
        (b'{"text": "a", "hash": "' + b"a" * 65 + b'"}', "no 'hash'"),
    ],
    ids=lambda value: value[:45].decode("utf-8", "replace") if isinstance(value, bytes) else value,
)
def test_a_broken_line_is_named_by_its_number(folder: Folder, line: bytes, reason: str) -> None:
    folder.prompts.write_bytes(b'{"text": "good", "hash": "abc"}\n\n' + line + b"\n")
    message = refused_folder(folder.root)
    assert "prompts.jsonl, line 3: " in message
    assert reason in message


def test_prompts_that_are_missing_are_named(folder: Folder) -> None:
    folder.prompts.write_text(" \n\n")
    assert "prompts.jsonl: holds no prompts" in refused_folder(folder.root)
    folder.prompts.write_bytes(b'{"text": "\xff", "hash": "abc"}')
    assert "prompts.jsonl: not UTF-8 (byte 10)" in refused_folder(folder.root)
    folder.prompts.unlink()
    assert "prompts.jsonl: cannot be read" in refused_folder(folder.root)


@settings(max_examples=200)
@given(st.text(max_size=70))
@example("../" + "a" * 20)
def test_no_hash_leads_out_of_the_folder(shared_folder: Folder, hash_: str) -> None:
    before = shared_folder.prompts.read_bytes()
    try:
        shared_folder.write_prompts({"text": "a", "hash": hash_})
        model = shared_folder.read()
    except InputError:
        return
    finally:
        shared_folder.prompts.write_bytes(before)
    assert Path(model.hashes[Prompt("a").prompt_id]).name == hash_
    assert hash_ not in (".", "..")


# Broken patterns


def test_patterns_that_are_missing_are_named(folder: Folder) -> None:
    model = folder.read()
    shutil.rmtree(folder.activations().parent)
    assert "Run pattern-lens on this prompt again" in refused(model)
    with pytest.raises(InputError, match="no such file"):
        read_n_tokens(model, ID)
    read_patterns(model, Prompt(TEXTS[1]).prompt_id)


@pytest.mark.parametrize("layer", range(N_LAYERS))
def test_a_missing_layer_is_named(folder: Folder, layer: int) -> None:
    arrays = layers()
    del arrays[key(layer)]
    folder.write_layers(arrays)
    assert key(layer) in refused(folder.read())


@pytest.mark.parametrize(
    "shape",
    [
        (),
        (N,),
        (N_HEADS, N, N),
        (2, N_HEADS, N, N),
        (1, N_HEADS + 1, N, N),
        (1, N_HEADS - 1, N, N),
        (1, N_HEADS, N, N + 1),
        (1, N_HEADS, N + 1, N + 1),
        (1, N_HEADS, 0, 0),
        (1, 1, N_HEADS, N, N),
    ],
)
@pytest.mark.parametrize("layer", range(N_LAYERS))
def test_a_wrong_shape_is_refused(folder: Folder, shape: tuple[int, ...], layer: int) -> None:
    folder.write_layers({**layers(), key(layer): np.zeros(shape, dtype=np.float32)})
    assert re.search(r"shape|\b0 token", refused(folder.read()))


@pytest.mark.parametrize("n", [0, 1])
def test_patterns_of_less_than_two_tokens_are_refused(folder: Folder, n: int) -> None:
    folder.write_layers({key(layer): np.ones((1, N_HEADS, n, n)) for layer in range(N_LAYERS)})
    assert f"patterns of {n} token" in refused(folder.read())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_named_with_their_head(folder: Folder, value: float) -> None:
    arrays = layers()
    arrays[key(1)][0, 2, 3, 1] = value
    folder.write_layers(arrays)
    assert "NaN or infinite entries at L1:H2" in refused(folder.read())


@pytest.mark.parametrize(("row", "column", "value"), [(0, 1, 1e-3), (2, 4, -0.1), (3, 1, -1e-6)])
def test_patterns_that_are_not_causal_are_refused(
    folder: Folder, row: int, column: int, value: float
) -> None:
    arrays = layers()
    arrays[key(0)][0, 1, row, column] = value
    folder.write_layers(arrays)
    assert "not causal attention" in refused(folder.read())


def test_rows_above_one_are_refused(folder: Folder) -> None:
    arrays = layers()
    arrays[key(0)][0, 1, 4] *= 1.01
    folder.write_layers(arrays)
    assert "rows sum to more than 1" in refused(folder.read())


@pytest.mark.parametrize(
    "array",
    [
        np.full((1, N_HEADS, N, N), "text"),
        np.full((1, N_HEADS, N, N), {}, dtype=object),
        np.zeros((1, N_HEADS, N, N), dtype=[("a", "f4")]),
        np.zeros((1, N_HEADS, N, N), dtype="datetime64[s]"),
    ],
    ids=["texts", "objects", "records", "dates"],
)
def test_what_is_no_array_of_numbers_is_refused(folder: Folder, array: np.ndarray) -> None:
    folder.write_layers({**layers(), key(1): array})
    assert "activations.npz: " in refused(folder.read())


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"no archive", b"\x80\x04K\x07."])
def test_what_is_no_archive_is_refused(folder: Folder, data: bytes) -> None:
    folder.activations().write_bytes(data)
    assert "cannot be read as patterns" in refused(folder.read())


def test_one_array_under_the_name_of_an_archive_is_refused(folder: Folder) -> None:
    with folder.activations().open("wb") as file:
        np.save(file, attention())
    assert "cannot be read as patterns" in refused(folder.read())


def read_damaged(folder: Folder, data: bytes) -> np.ndarray | None:
    """Read a changed copy of the first prompt's patterns; None if it is refused."""
    sound = folder.activations().read_bytes()
    try:
        folder.activations().write_bytes(data)
        model = folder.read()
        try:
            return read_patterns(model, ID)
        except InputError as error:
            message = str(error)
        assert len(message.splitlines()) == 1
        assert str(folder.activations()) in message
        return None
    finally:
        folder.activations().write_bytes(sound)


@settings(max_examples=100)
@given(st.floats(0, 1, exclude_max=True))
@example(0.0)
def test_a_truncated_archive_is_refused(shared_folder: Folder, share: float) -> None:
    data = shared_folder.activations().read_bytes()
    assert read_damaged(shared_folder, data[: int(share * len(data))]) is None


@settings(max_examples=300, derandomize=True)
@given(
    st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4
    )
)
def test_changed_bytes_are_refused_or_patterns(
    shared_folder: Folder, changes: list[tuple[float, int]]
) -> None:
    data = bytearray(shared_folder.activations().read_bytes())
    for share, byte in changes:
        data[int(share * len(data))] = byte
    patterns = read_damaged(shared_folder, bytes(data))
    assert patterns is None or patterns.shape == (N_LAYERS, N_HEADS, N, N)


def test_every_changed_byte_of_the_directory_is_survived(shared_folder: Folder) -> None:
    data = shared_folder.activations().read_bytes()
    start = data.index(b"PK\x01\x02")
    for position in range(start, len(data)):
        for byte in (0x00, 0xFF, data[position] ^ 0x01):
            changed = bytearray(data)
            changed[position] = byte
            read_damaged(shared_folder, bytes(changed))
