from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from attention_motifs.errors import InputError
from attention_motifs.head import HeadId
from attention_motifs.literature import load_known_heads
from attention_motifs.literature.records import EVIDENCE

SOURCE = {"key": "me2026", "title": "My heads", "url": "https://example.org/", "evidence": "manual"}
GROUP = {"name": "mine", "colour": "#123456"}
CLASS = {"name": "comma", "group": "mine", "description": "attends to commas"}
SAID = {"model": "org/my-model", "head": "L1:H2", "class": "comma", "source": "me2026"}


def write(path: Path, **lists: Any) -> Path:
    whole = {"sources": [SOURCE], "groups": [GROUP], "classes": [CLASS], "assignments": [SAID]}
    path.write_text(json.dumps({"schema": 1, **whole, **lists}), encoding="utf-8")
    return path


COUNTS = {
    ("wang2022-ioi", "gpt2-small"): {
        "previous token": 2,
        "duplicate token": 3,
        "induction": 4,
        "s-inhibition": 4,
        "name mover": 3,
        "negative name mover": 2,
        "backup name mover": 8,
    },
    ("krzyzanowski2024-sae", "gpt2-small"): {
        "induction": 5,
        "previous token": 1,
        "copy suppression": 1,
        "duplicate token": 2,
        "successor": 1,
        "long-range context": 1,
    },
    ("hanna2023-greater-than", "gpt2-small"): {"year identifier": 7, "static-year retriever": 3},
    ("mcdougall2023-copy-suppression", "gpt2-small"): {"copy suppression": 2},
    ("heimersheim2023-docstring", "attn-only-4l"): {"docstring circuit": 6},
    ("todd2023-function-vectors", "gpt-j-6b"): {"function vector": 10},
    ("todd2023-function-vectors", "llama-2-7b"): {"function vector": 10},
    ("todd2023-function-vectors", "llama-2-13b"): {"function vector": 5},
    ("todd2023-function-vectors", "llama-2-70b"): {"function vector": 5},
    ("wu2024-retrieval", "llama-2-7b-80k"): {"retrieval": 10},
}


def test_how_many_heads_each_source_puts_in_each_class() -> None:
    said = Counter((a.source, a.head.model, a.head_class) for a in load_known_heads().assignments)
    wanted = {(*of, name): n for of, classes in COUNTS.items() for name, n in classes.items()}
    assert said == wanted
    assert said.total() == 95


def test_sizes_of_the_models() -> None:
    sizes = {m.name: (m.n_layers, m.n_heads) for m in load_known_heads().models.values()}
    assert sizes == {
        "gpt2-small": (12, 12),
        "attn-only-4l": (4, 8),
        "gpt-j-6b": (28, 16),
        "llama-2-7b": (32, 32),
        "llama-2-13b": (40, 40),
        "llama-2-70b": (80, 64),
        "llama-2-7b-80k": (32, 32),
    }


def test_every_record_is_used_and_described() -> None:
    literature = load_known_heads()
    assert {a.source for a in literature.assignments} == set(literature.sources)
    assert {a.head_class for a in literature.assignments} == set(literature.classes)
    assert {c.group for c in literature.classes.values()} == set(literature.groups)
    assert {a.head.model for a in literature.assignments} == set(literature.models)
    assert all(c.description for c in literature.classes.values())
    assert all(g.description and g.scheme for g in literature.groups.values())
    assert all(s.url and s.evidence in EVIDENCE for s in literature.sources.values())


def test_a_users_file_stands_beside_and_may_refer_to_the_packages(tmp_path: Path) -> None:
    own = [
        SAID,
        # written with a hub id, and with a class and a source of the package
        {**SAID, "model": "OpenAI-Community/gpt2", "head": "L5H1", "class": "induction"},
        {**SAID, "model": "gpt2", "head": "L0:H7", "class": "comma", "source": "wang2022-ioi"},
    ]
    literature = load_known_heads(write(tmp_path / "mine.json", assignments=own))
    assert [str(a.head) for a in literature.assignments[95:]] == [
        "org/my-model:L1:H2",
        "gpt2-small:L5:H1",
        "gpt2-small:L0:H7",
    ]
    assert literature.classes["comma"].group == "mine"
    # the package's records are as before
    assert len(load_known_heads().assignments) == 95
    assert "comma" not in load_known_heads().classes


def test_a_model_of_the_user_has_its_size_and_aliases(tmp_path: Path) -> None:
    model = {"name": "my-model", "layers": 2, "heads": 3, "aliases": ["org/my-model"]}
    literature = load_known_heads(write(tmp_path / "mine.json", models=[model]))
    assert literature.assignments[-1].head == HeadId("my-model", 1, 2)
    with pytest.raises(InputError, match=r"assignments\[0\]: head 'L1:H3' .* H0 to H2"):
        load_known_heads(
            write(tmp_path / "b.json", models=[model], assignments=[{**SAID, "head": "L1:H3"}])
        )


def test_model_names() -> None:
    literature = load_known_heads()
    for name in ("gpt2-small", "gpt2", "GPT2", "openai-community/gpt2"):
        assert literature.model_name(name) == "gpt2-small"
    assert literature.model_name("EleutherAI/gpt-j-6B") == "gpt-j-6b"
    assert literature.model_name("Nobody/Knows-It") == "Nobody/Knows-It"


@pytest.mark.parametrize(
    ("lists", "words"),
    [
        ({"assignments": [SAID, SAID]}, r"assignments\[1\]: 'me2026' already"),
        ({"assignments": [{**SAID, "class": "coma"}]}, "did you mean comma"),
        ({"assignments": [{**SAID, "class": "zzzz"}]}, "class 'zzzz' is not defined"),
        ({"assignments": [{**SAID, "source": "me2027"}]}, "did you mean me2026"),
        ({"assignments": [{**SAID, "model": "a b"}]}, "model name 'a b'"),
        ({"assignments": [{**SAID, "head": "5.3"}]}, "head '5.3' .* write it as L5:H3"),
        ({"assignments": [{**SAID, "head": "x.L5:H3"}]}, "write it as L5:H3"),
        ({"assignments": [{**SAID, "head": 5}]}, "'head' is 5"),
        ({"assignments": [{**SAID, "model": "gpt2", "head": "L12:H0"}]}, "L0 to L11"),
        ({"assignments": [{**SAID, "heads": ["L1:H1"]}]}, "unknown key 'heads'; did you mean"),
        ({"assignments": [{k: v for k, v in SAID.items() if k != "model"}]}, "'model' is missing"),
        ({"assignments": SAID}, "'assignments' is .*; give a list"),
        ({"sources": [SOURCE, SOURCE]}, r"sources\[1\]: 'me2026' is already defined"),
        ({"sources": [{**SOURCE, "key": "wang2022-ioi"}]}, "'wang2022-ioi' is already defined"),
        ({"sources": [{**SOURCE, "evidence": "vibes"}]}, "choose from causal, manual"),
        ({"sources": [{**SOURCE, "url": "example.org"}]}, "not a web address"),
        ({"sources": [{**SOURCE, "title": " "}]}, "'title' is ' '; give a text that is not blank"),
        ({"groups": [{**GROUP, "colour": "red"}]}, "not #RRGGBB"),
        ({"groups": [{**GROUP, "colour": "#d55e00"}]}, "taken by 'induction'"),
        ({"groups": [GROUP, {**GROUP, "colour": "#000001"}]}, "'mine' is already defined"),
        ({"classes": [{**CLASS, "group": "minne"}]}, "did you mean mine"),
        ({"classes": [CLASS, {**CLASS, "name": "induction"}]}, "'induction' is already defined"),
        ({"models": [{"name": "gpt2", "layers": 1, "heads": 1}]}, "'gpt2' already means"),
        ({"models": [{"name": "m", "layers": 0, "heads": 1}]}, "'layers' is 0"),
        ({"models": [{"name": "m", "layers": 1, "heads": True}]}, "'heads' is True"),
        ({"evidence": []}, "unknown key 'evidence'"),
        ({"schema": 2}, 'write "schema": 1'),
    ],
)
def test_a_malformed_file_is_named_in_one_line(
    tmp_path: Path, lists: dict[str, Any], words: str
) -> None:
    path = write(tmp_path / "mine.json", **lists)
    with pytest.raises(InputError, match=words) as raised:
        load_known_heads(path)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.json: cannot be read"):
        load_known_heads(tmp_path / "nothing.json")
    with pytest.raises(InputError):
        load_known_heads(tmp_path)
