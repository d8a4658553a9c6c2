from __future__ import annotations

import hashlib
import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from attention_motifs.errors import InputError, ModelError
from attention_motifs.prompts import Prompt, load_prompts, prompts_digest, read_jsonl

texts = st.text(st.characters(exclude_categories=["Cs"])).filter(str.strip)
"""What a prompt may be: any text that is not blank and has no half characters."""


def lines_of(*values: Any) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


@pytest.fixture
def prompts_file(tmp_path: Path) -> Path:
    return tmp_path / "prompts.jsonl"


def refusal(data: bytes) -> str:
    """What is said of a file that must be refused."""
    with pytest.raises(InputError) as caught:
        read_jsonl(data, "p.jsonl", "p")
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 400
    return str(caught.value)


# The built-in set


def test_the_builtin_set_has_256_texts_of_many_genres() -> None:
    prompts = load_prompts("builtin")
    assert len({prompt.text for prompt in prompts}) == len(prompts) == 256
    assert len({prompt.prompt_id for prompt in prompts}) == 256
    genres = Counter(prompt.source for prompt in prompts)
    assert len(genres) >= 16
    assert max(genres.values()) <= 256 // 16, "no genre rules the embedding"
    assert all(re.fullmatch(r"builtin/[a-z-]+", source) for source in genres)


def test_builtin_texts_are_of_one_size() -> None:
    for prompt in load_prompts("builtin"):
        n_words = len(re.findall(r"\w+", prompt.text))
        assert 120 <= n_words <= 250, f"{prompt.source}: {n_words} words: {prompt.text[:60]!r}"


def test_builtin_texts_are_tagged_with_their_genre() -> None:
    for prompt in load_prompts("builtin"):
        assert prompt.meta.get("genre") == prompt.source.removeprefix("builtin/")


def test_no_two_builtin_texts_are_nearly_the_same() -> None:
    openings = Counter(prompt.text[:60] for prompt in load_prompts("builtin"))
    assert openings.most_common(1)[0][1] == 1


# Ids and digests


def test_a_prompt_id_is_the_hash_of_its_text_alone() -> None:
    prompt = Prompt("Grüße, 世界 🌍", "here", {"genre": "greeting"})
    assert prompt.prompt_id == hashlib.sha256("Grüße, 世界 🌍".encode()).hexdigest()[:16]
    assert prompt.prompt_id == Prompt("Grüße, 世界 🌍", "there").prompt_id
    assert prompt.prompt_id != Prompt("Grüße, 世界 🌍 ").prompt_id


def test_the_digest_knows_texts_and_their_order() -> None:
    a, b = Prompt("a"), Prompt("b")
    assert prompts_digest([a, b]) == prompts_digest([Prompt("a", "elsewhere"), b])
    digests = {prompts_digest(p) for p in ([], [a], [b], [a, b], [b, a], [a, a])}
    assert len(digests) == 6
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests)


# Drawing


def test_the_same_seed_draws_the_same_prompts() -> None:
    drawn = load_prompts("builtin", 20, seed=7)
    assert drawn == load_prompts("builtin", 20, seed=7)
    assert drawn != load_prompts("builtin", 20, seed=8)
    assert len({prompt.prompt_id for prompt in drawn}) == 20


def test_a_larger_draw_begins_with_the_smaller() -> None:
    assert load_prompts("builtin", 30, seed=3)[:10] == load_prompts("builtin", 10, seed=3)


def test_the_draw_does_not_change_between_versions(prompts_file: Path) -> None:
    prompts_file.write_bytes(lines_of(*({"text": letter} for letter in "abcdefgh")))
    assert [p.text for p in load_prompts(prompts_file, 4, seed=0)] == ["c", "e", "d", "g"]


def test_the_draw_spreads_over_the_genres() -> None:
    genres = {prompt.source for prompt in load_prompts("builtin", 64, seed=0)}
    assert len(genres) >= 20


def test_all_prompts_come_in_their_order(prompts_file: Path) -> None:
    prompts_file.write_bytes(lines_of({"text": "b"}, {"text": "a"}, {"text": "c"}))
    for n_prompts in (None, 3):
        assert [p.text for p in load_prompts(prompts_file, n_prompts)] == ["b", "a", "c"]


def test_more_prompts_than_there_are_is_refused(prompts_file: Path) -> None:
    prompts_file.write_bytes(lines_of({"text": "a"}, {"text": "a"}, {"text": "b"}))
    with pytest.raises(InputError, match=r"--n-prompts 3: .* only 2 different") as caught:
        load_prompts(prompts_file, 3)
    assert str(prompts_file) in str(caught.value)
    assert "choose 2 or fewer" in str(caught.value)


@pytest.mark.parametrize("n_prompts", [0, -1])
def test_no_prompts_cannot_be_drawn(n_prompts: int) -> None:
    with pytest.raises(InputError, match=f"--n-prompts {n_prompts}: .* at least 1"):
        load_prompts("builtin", n_prompts)


# JSON lines


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(texts, min_size=1, unique=True),
    st.booleans(),
    st.sampled_from([b"\n", b"\r\n", b"\n\n \t\n"]),
    st.sampled_from([b"", b"\xef\xbb\xbf"]),
    st.booleans(),
)
def test_any_texts_are_read_back(
    prompts_file: Path,
    written: list[str],
    escaped: bool,
    line_break: bytes,
    mark: bytes,
    last_break: bool,
) -> None:
    lines = [json.dumps({"text": t}, ensure_ascii=escaped).encode() for t in written]
    end = line_break if last_break else b""
    prompts_file.write_bytes(mark + line_break.join(lines) + end)
    prompts = load_prompts(prompts_file)
    assert [prompt.text for prompt in prompts] == written
    assert {prompt.source for prompt in prompts} == {"prompts.jsonl"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(texts, min_size=1))
@example(["a", "b", "a"])
def test_the_first_of_equal_texts_is_kept(prompts_file: Path, written: list[str]) -> None:
    rows = [{"text": t, "meta": {"row": i}} for i, t in enumerate(written)]
    prompts_file.write_bytes(lines_of(*rows))
    kept = load_prompts(prompts_file)
    assert [prompt.text for prompt in kept] == list(dict.fromkeys(written))
    assert [prompt.meta["row"] for prompt in kept] == [written.index(p.text) for p in kept]


@given(st.binary(max_size=80))
@example(b'{"text": "a", "text": 1}')
@example(b'{"text": "a\x00b"}')
@example(b'{"text": "\\ud83d\\ude00"}')
def test_any_bytes_are_prompts_or_an_input_error(data: bytes) -> None:
    try:
        prompts = read_jsonl(data, "p.jsonl", "p")
    except InputError as error:
        message = str(error)
    else:
        message = "p.jsonl: " + "".join(prompt.prompt_id for prompt in prompts)
    assert message.startswith("p.jsonl")
    assert len(message.splitlines()) == 1


def test_meta_is_kept_where_it_is_an_object() -> None:
    data = lines_of(
        {"text": "a", "meta": {"pile_set_name": "Github"}, "url": "passed over"},
        {"text": "b", "meta": "passed over"},
        {"text": "c", "meta": None},
    )
    assert [p.meta for p in read_jsonl(data, "p", "p")] == [{"pile_set_name": "Github"}, {}, {}]


def test_one_json_list_of_objects_or_texts_is_read() -> None:
    data = json.dumps(["a", {"text": "b", "meta": {"genre": "news"}}], indent=2).encode()
    prompts = read_jsonl(data, "p.json", "p")
    assert [(p.text, p.meta, p.place) for p in prompts] == [
        ("a", {}, "p.json, entry 1"),
        ("b", {"genre": "news"}, "p.json, entry 2"),
    ]
    for wrong in ([1], [None], [["a"]], ["a", ""], [{"txt": "a"}]):
        message = refusal(json.dumps(wrong).encode())
        assert message.startswith("p.jsonl, entry ")
    assert "holds no prompts" in refusal(b"[]")


def test_prompts_know_their_lines() -> None:
    prompts = read_jsonl(GOOD + b"\n" + lines_of({"text": "b"}), "p.jsonl", "p")
    assert [p.place for p in prompts] == ["p.jsonl, line 1", "p.jsonl, line 3"]


@pytest.mark.parametrize("source", [3, None, {"text": "a"}, b"builtin", 1.5])
def test_a_source_of_another_kind_is_refused(source: Any) -> None:
    with pytest.raises(InputError, match="expected 'builtin', 'pile-10k', the path"):
        load_prompts(source)


@pytest.mark.parametrize("value", ["3", 1.5, True, [3], -1])
def test_numbers_of_another_kind_are_refused(value: Any) -> None:
    with pytest.raises(InputError, match=r"--n-prompts .* whole number of at least 1"):
        load_prompts("builtin", value)
    with pytest.raises(InputError, match=r"--seed .* whole number of at least 0"):
        load_prompts("builtin", 4, seed=value)


GOOD = b'{"text": "good"}\n'

BROKEN_LINES = {
    "no JSON": (b"{text: 1}", "not JSON"),
    "cut off": (b'{"text": "a', "not JSON"),
    "two on a line": (b'{"text": "a"} {"text": "b"}', "not JSON"),
    "nested too deep": (b"[" * 200_000, "not JSON"),
    "number too long": (b'{"text": "a", "n": ' + b"1" * 5_000 + b"}", "not JSON"),
    "control character": (b'{"text": "a\x00b"}', "not JSON"),
    "UTF-16": ('{"text": "a"}'.encode("utf-16"), "not UTF-8"),
    "Latin-1": ('{"text": "é"}'.encode("latin-1"), r"not UTF-8 \(byte 10\)"),
    "no object": (b'"text"', "no string 'text'"),
    "list": (b'["text"]', "no string 'text'"),
    "no text": (b'{"meta": {}}', "no string 'text'"),
    "other case": (b'{"Text": "a"}', "no string 'text'"),
    "number": (b'{"text": 1}', "no string 'text'"),
    "null": (b'{"text": null}', "no string 'text'"),
    "empty": (b'{"text": ""}', "text is empty"),
    "blank": (b'{"text": " \\n\\t\\u2003"}', "text is empty"),
    "high surrogate": (b'{"text": "ab\\ud83d"}', "surrogate at 2"),
    "low surrogate": (b'{"text": "\\ude00ab"}', "surrogate at 0"),
}


@pytest.mark.parametrize("case", BROKEN_LINES)
def test_a_broken_line_is_named_by_its_number(case: str) -> None:
    line, reason = BROKEN_LINES[case]
    message = refusal(GOOD + b"\n" + GOOD.strip() + b"\r\n" + line + b"\n" + GOOD)
    assert message.startswith("p.jsonl, line 4: ")
    assert re.search(reason, message)


@pytest.mark.parametrize("data", [b"", b"\n \r\n\t\n", b"\xef\xbb\xbf"])
def test_a_file_without_prompts_is_refused(data: bytes) -> None:
    assert "holds no prompts" in refusal(data)


@pytest.mark.parametrize("name", ["", "nothing.jsonl", ".", "builtins", "a\0b"])
def test_a_missing_file_is_named_with_what_else_there_is(name: str) -> None:
    with pytest.raises(InputError, match="no such prompts file") as caught:
        load_prompts(name)
    assert "'builtin' or 'pile-10k'" in str(caught.value)


def test_a_text_in_the_place_of_a_file_is_refused_in_one_short_line() -> None:
    with pytest.raises(InputError, match="cannot be read") as caught:
        load_prompts("Once upon a time " * 500)
    assert len(str(caught.value)) < 400
    assert "'builtin' or 'pile-10k'" in str(caught.value)


@pytest.mark.skipif(not Path("/proc/self/mem").is_file(), reason="needs a file none may read")
def test_a_file_that_cannot_be_read_is_named() -> None:
    with pytest.raises(InputError, match="/proc/self/mem: cannot be read"):
        load_prompts("/proc/self/mem")


# pile-10k


def test_the_pile_is_read_through_the_datasets_library(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_list(
        [
            {"text": "import os", "meta": {"pile_set_name": "Github"}},
            {"text": " \n", "meta": {"pile_set_name": "Blank"}},
            {"text": "We show that", "meta": {"pile_set_name": "ArXiv"}},
            {"text": "import os", "meta": {"pile_set_name": "Repeated"}},
            {"text": "no meta", "meta": None},
        ]
    )
    asked: list[tuple[str, str]] = []

    def load_dataset(name: str, split: str) -> Any:
        asked.append((name, split))
        return rows

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    prompts = load_prompts("pile-10k")
    assert asked == [("NeelNanda/pile-10k", "train")]
    assert [(p.text, p.source) for p in prompts] == [
        ("import os", "pile-10k/Github"),
        ("We show that", "pile-10k/ArXiv"),
        ("no meta", "pile-10k/unnamed"),
    ]
    assert len(load_prompts("pile-10k", 2)) == 2


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError("Couldn't reach the hub\nTraceback: ..."),
        FileNotFoundError("no such dataset"),
        ValueError(),
        RuntimeError("\n\nblank first"),
        OSError("x" * 10_000),
    ],
    ids=repr,
)
def test_without_the_network_the_pile_is_a_model_error_of_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")

    def load_dataset(name: str, split: str) -> Any:
        raise error

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(ModelError, match="pile-10k: could not be fetched") as caught:
        load_prompts("pile-10k")
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 400
    assert "--prompts builtin" in str(caught.value)


def test_the_pile_without_its_library_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match="pip install datasets"):
        load_prompts("pile-10k")


# Texts cut by characters


def test_texts_are_cut_into_pieces_without_short_ends() -> None:
    given = ["abcdefgh", "xy", "abc"]
    prompts = load_prompts(given, min_chars=2, max_chars=3)
    assert [p.text for p in prompts] == ["abc", "def", "gh", "xy"]
    assert [p.text for p in load_prompts(given, min_chars=3)] == ["abcdefgh", "abc"]
    assert [p.text for p in load_prompts(["ab    ", "cd"], max_chars=2)] == ["ab", "cd"]
    (labelled, _) = load_prompts([{"text": "abcd", "genre": "law"}], max_chars=2)
    assert labelled.meta == {"genre": "law"}


@given(st.lists(texts, min_size=1, max_size=4), st.integers(1, 9), st.integers(0, 9))
def test_pieces_have_the_lengths_that_were_asked_for(
    given_texts: list[str], least: int, more: int
) -> None:
    most = least + more
    try:
        prompts = load_prompts(given_texts, min_chars=least, max_chars=most)
    except InputError:  # no piece is long enough, or all are blank
        assert least > 1
        return
    for prompt in prompts:
        assert least <= len(prompt.text) <= most
        assert any(prompt.text in text for text in given_texts)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"min_chars": 0}, "--min-chars 0"),
        ({"max_chars": 1.5}, "--max-chars 1.5"),
        ({"max_chars": True}, "--max-chars True"),
        ({"min_chars": 5, "max_chars": 4}, "--max-chars 4"),
        ({"min_chars": 99_999}, "--min-chars 99999"),
    ],
)
def test_lengths_in_characters_that_cannot_be_used_are_refused(
    options: dict[str, Any], named: str
) -> None:
    with pytest.raises(InputError, match=named):
        load_prompts("builtin", **options)
