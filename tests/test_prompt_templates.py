"""Prompts from templates, lists and frames: their texts, labels and spans."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import attention_motifs as am
from attention_motifs.cli import main
from attention_motifs.errors import InputError, ResourceError
from attention_motifs.prompt_templates import prompt_templates
from attention_motifs.prompts import Prompt, load_prompts, meta_json

TEMPLATES = sorted(prompt_templates())
ENTRY = st.text(min_size=1, max_size=6).filter(lambda text: text.strip())


def spans_of(prompt: Prompt) -> dict[str, set[str]]:
    """Return what stands at the spans of each slot."""
    return {
        slot: {prompt.text[start:end] for start, end in spans}
        for slot, spans in prompt.meta["spans"].items()
    }


@pytest.mark.parametrize("name", TEMPLATES)
def test_built_in_templates(name: str) -> None:
    template = prompt_templates()[name]
    prompts = am.prompts_from_template(name, 12)
    assert len({prompt.text for prompt in prompts}) == 12
    conditions = list(template.conditions)
    assert [prompt.meta["condition"] for prompt in prompts] == conditions * (12 // len(conditions))
    for prompt in prompts:
        for slot, filled in spans_of(prompt).items():
            entries = template.fillings[slot.partition(".")[0].rstrip("0123456789")]
            texts = {t for e in entries for t in (e.values() if isinstance(e, dict) else [e])}
            assert len(filled) == 1
            assert filled <= texts
    assert prompts == am.prompts_from_template(name, 12)
    assert prompts != am.prompts_from_template(name, 12, seed=1)
    assert [p.text for p in prompts[:4]] == [p.text for p in am.prompts_from_template(name, 4)]


@given(st.lists(ENTRY, min_size=3, max_size=6, unique=True), st.integers(0, 99), st.integers(1, 6))
def test_spans_give_back_the_filled_text(entries: list[str], seed: int, n: int) -> None:
    texts = {"A": "{{{word1}}} - {word2}{word1}", "B": "{word2}\n{word3}"}
    prompts = am.prompts_from_template(texts, 2 * n, fillings={"word": entries}, seed=seed)
    for first, second in zip(prompts[::2], prompts[1::2], strict=True):
        a, b = spans_of(first), spans_of(second)
        one, two, three = (next(iter(s)) for s in (a["word1"], a["word2"], b["word3"]))
        assert first.text == f"{{{one}}} - {two}{one}"
        assert second.text == f"{two}\n{three}"
        assert len({one, two, three}) == 3
        assert first.meta["filling"] == second.meta["filling"]


def test_every_filling_can_be_asked_for_and_no_more() -> None:
    fillings = {"a": ["x", "y", "z"]}
    prompts = am.prompts_from_template("{a1}{a2}", 6, fillings=fillings)
    assert sorted(p.text for p in prompts) == ["xy", "xz", "yx", "yz", "zx", "zy"]
    with pytest.raises(InputError, match="6 different fillings, and 7 are needed"):
        am.prompts_from_template("{a1}{a2}", 7, fillings=fillings)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"template": "listz"}, "did you mean lists"),
        ({"template": "no slot at all"}, "has no slot"),
        ({"template": "{name1} met"}, "no list 'name' is given"),
        ({"template": "{0}", "fillings": {"a": ["x"]}}, "is no slot"),
        ({"template": "{a!r}", "fillings": {"a": ["x"]}}, "is no slot"),
        ({"template": "{a", "fillings": {"a": ["x"]}}, "Write a brace"),
        ({"template": "{a.en}", "n": 1, "fillings": {"a": ["x"]}}, "no text of that name"),
        ({"template": "{a}", "n": 1, "fillings": {"a": [{"en": "x"}]}}, "no text of that name"),
        ({"template": "{a}", "fillings": {"a": "xyz"}}, "is no list"),
        ({"template": "{a}", "fillings": {"a": []}}, "is no list"),
        ({"template": "{a}", "fillings": [1]}, "give a mapping"),
        ({"template": {}}, "give a name"),
        ({"template": 3}, "give a name"),
        ({"template": "lists", "n": 3}, "multiple of 2, such as 4"),
        ({"template": "lists", "n": 0}, "whole number"),
        ({"template": "lists", "seed": -1}, "whole number"),
    ],
)
def test_mistakes_are_named(arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        am.prompts_from_template(**arguments)


# Lists and frames

ROWS: list[dict[str, Any]] = [
    {"text": "The court ruled.", "genre": "law", "year": 1990},
    {"text": "The ball rolled.", "genre": "sport", "year": None},
]
META = [{"genre": "law", "year": 1990}, {"genre": "sport"}]


@pytest.mark.parametrize(
    "source",
    [ROWS, pl.DataFrame(ROWS), pd.DataFrame(ROWS), tuple(ROWS)],
    ids=["list", "polars", "pandas", "tuple"],
)
def test_lists_and_frames_are_prompts_with_labels(source: Any) -> None:
    prompts = load_prompts(source)
    assert [p.text for p in prompts] == [row["text"] for row in ROWS]
    assert [p.meta for p in prompts] == META
    assert load_prompts(source, 1, seed=3)[0] in prompts


def test_texts_prompts_sources_and_nested_labels() -> None:
    frame = pl.DataFrame({"text": ["a b"], "source": ["mine"], "meta": [{"x": 1}], "y": [[1, 2]]})
    (prompt,) = load_prompts(frame)
    assert (prompt.source, prompt.meta) == ("mine", {"x": 1, "y": [1, 2]})
    given = Prompt("c d", "other", {"z": True})
    again = load_prompts(["a b", given, "a b"])
    assert [(p.text, p.source, p.meta) for p in again] == [
        ("a b", "list", {}), ("c d", "other", {"z": True}),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ([], "the list is empty"),
        (pl.DataFrame({"text": []}), "the list is empty"),
        (pl.DataFrame({"body": ["a"]}), "none of the name 'text'"),
        ([3], "give a text, a Prompt, or a mapping"),
        ([""], "the text is empty"),
        ([{"genre": "law"}], "has no string 'text'"),
        (["\ud800"], "half a character"),
        ({"text": "a"}, "expected"),
        (range(3), "expected"),
    ],
)
def test_lists_that_are_no_prompts_are_refused(source: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        load_prompts(source)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(st.dictionaries(st.text(max_size=4), JSON, max_size=3))
def test_labels_become_standard_json(meta: dict[str, Any]) -> None:
    text = meta_json(meta)
    assert (text is None) == (not meta)
    if text is not None:
        assert text.encode("ascii")
        assert set(json.loads(text, parse_constant=pytest.fail)) == set(meta)


def test_prompts_are_saved_with_their_labels(tmp_path: Path) -> None:
    prompts = am.prompts_from_template("indirect-objects", 4)
    file = am.save_prompts(prompts, tmp_path / "names.jsonl")
    again = load_prompts(file)
    assert [(p.text, p.meta) for p in again] == [(p.text, p.meta) for p in prompts]
    with pytest.raises(ResourceError, match="cannot be written"):
        am.save_prompts(prompts, tmp_path / "none" / "names.jsonl")
    with pytest.raises(InputError):
        am.save_prompts(["text"], tmp_path / "x.jsonl")  # type: ignore[list-item]


def test_the_command_line_makes_prompts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["motifs", "make-prompts", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), capsys.readouterr().out

    file = tmp_path / "names.jsonl"
    assert run("indirect-objects", "-n", "8", "--out", str(file))[0] == 0
    assert len(load_prompts(file)) == 8
    _, out = run("{a1} or {a2}", "--fill", "a=x,y,z", "-n", "2", "--json")
    assert {row["meta"]["condition"] for row in json.loads(out)} == {"own"}
    _, out = run()
    assert all(name in out for name in TEMPLATES)
    assert run("{a1}", "--fill", "a")[0] == 2
    assert run("indirect-objects", "-n", "3")[0] == 2
