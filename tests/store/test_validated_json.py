from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_motifs.clustering import read_names
from attention_motifs.errors import InputError
from attention_motifs.literature import load_known_heads
from attention_motifs.store.validated_json import parse_document

KEYS = st.sampled_from(
    ["schema", "names", "name", "members", "models", "groups", "classes", "sources", "layers"]
) | st.sampled_from(
    ["assignments", "head", "model", "class", "source", "key", "title", "url", "evidence", "colour"]
)
LEAVES = st.none() | st.booleans() | st.integers(-2, 3) | st.floats() | st.text(max_size=5)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4)
)


@pytest.mark.parametrize("read", [read_names, load_known_heads])
@settings(max_examples=150)
@given(value=st.dictionaries(KEYS, VALUES, max_size=5), whole=st.booleans(), noise=st.binary())
def test_whatever_the_file_holds_the_error_is_one_line(
    tmp_path_factory: pytest.TempPathFactory, read, value: dict, whole: bool, noise: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "anything.json"
    text = json.dumps({**value, "schema": 1}).encode()
    path.write_bytes(text if whole else text[: len(noise)] + noise)
    raised = ""
    try:
        read(path)
    except InputError as error:
        raised = str(error)
    assert not raised or raised.startswith(str(path))
    assert "\n" not in raised


def test_a_byte_order_mark_is_no_trouble(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'\xef\xbb\xbf{"schema": 1, "names": []}')
    assert read_names(path) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"[" * 100_000, "not JSON"),
        (b'{"schema": 1, "a": {"b": 1, "b": 2}}', "'b' is given twice"),
        (b'{"schema": "1"}', '"schema" is \'1\'; write "schema": 1'),
        (b"7", "is 7; give an object"),
    ],
)
def test_what_is_refused(text: bytes, words: str) -> None:
    with pytest.raises(InputError) as raised:
        parse_document(text, "mine.json", dict, 1)
    assert str(raised.value).startswith("mine.json: ")
    assert words in str(raised.value)
