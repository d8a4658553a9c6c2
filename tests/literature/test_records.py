from __future__ import annotations

import json
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from attention_motifs.errors import InputError
from attention_motifs.head import HeadId
from attention_motifs.literature import load_known_heads
from attention_motifs.literature.records import EVIDENCE
from attention_motifs.models.sources import ALIASES

SOURCE = {"key": "me2026", "title": "My heads", "url": "https://example.org/", "evidence": "manual"}
GROUP = {"name": "mine", "colour": "#123456"}
CLASS = {"name": "comma", "group": "mine", "description": "attends to commas"}
SAID = {"model": "org/my-model", "head": "L1:H2", "class": "comma", "source": "me2026"}

LIST = {"model": "org/my-model", "class": "comma", "source": "me2026", "heads": {"L1:H1": 0.5}}


def write(path: Path, **lists: Any) -> Path:
    whole = {"sources": [SOURCE], "groups": [GROUP], "classes": [CLASS], "assignments": [SAID]}
    path.write_text(json.dumps({"schema": 1, **whole, **lists}), encoding="utf-8")
    return path


N_ASSIGNMENTS = 2065
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
        "long prefix induction head": 1,
    },
    ("hanna2023-greater-than", "gpt2-small"): {"year identifier": 7, "static-year retriever": 3},
    ("mcdougall2023-copy-suppression", "gpt2-small"): {"copy suppression": 2},
    ("heimersheim2023-docstring", "attn-only-4l"): {"docstring circuit": 6},
    ("todd2023-function-vectors", "gpt-j-6b"): {"function vector": 10},
    ("todd2023-function-vectors", "llama-2-7b"): {"function vector": 10},
    ("todd2023-function-vectors", "llama-2-13b"): {"function vector": 10},
    ("todd2023-function-vectors", "llama-2-70b"): {"function vector": 10},
    ("wu2024-retrieval", "llama-2-7b-80k"): {"retrieval": 33},
    ("wu2024-retrieval", "Qwen/Qwen1.5-14B-Chat"): {"retrieval": 68},
    ("fu2024-headkv", "meta-llama/Meta-Llama-3-8B-Instruct"): {
        "retrieval": 50,
        "retrieval-reasoning head (R2)": 10,
    },
    ("song2024-induction", "gpt2-small"): {"induction": 10, "previous token": 10},
}


def test_how_many_heads_each_source_puts_in_each_class() -> None:
    assignments = load_known_heads().assignments
    counts = Counter((a.source, a.head.model, a.head_class) for a in assignments)
    for (source, model), classes in COUNTS.items():
        assert {
            name: n for (key, of, name), n in counts.items() if (key, of) == (source, model)
        } == classes
    assert counts.total() == N_ASSIGNMENTS


def test_every_assignment_has_its_evidence_rule_and_place() -> None:
    assignments = load_known_heads().assignments
    assert {a.evidence for a in assignments} <= set(EVIDENCE)
    assert {a.tier for a in assignments} == {1}
    scored = [a for a in assignments if a.score is not None]
    assert len(scored) > 1000
    assert all(a.threshold and a.seen for a in scored)
    retrieval = [a for a in scored if a.threshold == "mean retrieval score >= 0.1"]
    assert len(retrieval) > 800
    assert min(float(a.score or 0) for a in retrieval) >= 0.1


def test_the_packaged_file_is_compact_and_strict() -> None:
    path = resources.files("attention_motifs.literature") / "classes.json"
    data = path.read_bytes()
    assert len(data) < 150_000
    value = json.loads(data)
    assert set(value) == {
        "schema", "models", "groups", "classes", "sources", "assignments", "lists"
    }  # fmt: skip
    keys = {"model", "class", "source", "heads", "evidence", "threshold", "partial", "seen",
            "note", "conflict"}  # fmt: skip
    assert all(set(entry) <= keys for entry in value["lists"])


def test_sizes_of_the_models() -> None:
    sizes = {m.name: (m.n_layers, m.n_heads) for m in load_known_heads().models.values()}
    assert len(sizes) == 51
    assert sizes["gpt2-small"] == (12, 12)
    assert sizes["llama-2-70b"] == (80, 64)
    assert sizes["meta-llama/Llama-3.2-3B-Instruct"] == (28, 24)
    assert sizes["tiiuae/falcon-7b"] == (32, 71)


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
    of_user = [
        SAID,
        # written with a hub id, and with a class and a source of the package
        {**SAID, "model": "OpenAI-Community/gpt2", "head": "L5H1", "class": "induction"},
        {**SAID, "model": "gpt2", "head": "L0:H7", "class": "comma", "source": "wang2022-ioi"},
    ]
    literature = load_known_heads(write(tmp_path / "mine.json", assignments=of_user))
    assert [str(a.head) for a in literature.assignments[N_ASSIGNMENTS:]] == [
        "org/my-model:L1:H2",
        "gpt2-small:L5:H1",
        "gpt2-small:L0:H7",
    ]
    assert literature.classes["comma"].group == "mine"
    # the package's records are as before
    assert len(load_known_heads().assignments) == N_ASSIGNMENTS
    assert "comma" not in load_known_heads().classes


def test_a_list_gives_every_head_its_score_and_rule(tmp_path: Path) -> None:
    listed = {**LIST, "heads": {"L1:H1": 0.5, "L0:H3": None}, "threshold": "> 0.4", "tier": 2}
    literature = load_known_heads(write(tmp_path / "mine.json", lists=[listed]))
    assert [(str(a.head), a.score, a.threshold, a.tier) for a in literature.assignments[-2:]] == [
        ("org/my-model:L1:H1", 0.5, "> 0.4", 2),
        ("org/my-model:L0:H3", None, "> 0.4", 2),
    ]


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
    for name in ("gpt2-xl", "GPT2-XL", "openai-community/gpt2-xl"):
        assert literature.model_name(name) == "openai-community/gpt2-xl"
    later = "meta-llama/Llama-3.1-8B"
    assert literature.model_name("meta-llama/Meta-Llama-3.1-8B") == later
    assert literature.model_name("pythia-12b") == "EleutherAI/pythia-12b"


def test_a_base_model_and_its_instruct_model_stay_apart() -> None:
    literature = load_known_heads()
    for base, tuned in (
        ("Meta-Llama-3-8B", "Meta-Llama-3-8B-Instruct"),
        ("Llama-3.1-8B", "Llama-3.1-8B-Instruct"),
        ("Llama-2-7b-hf", "Llama-2-7b-chat-hf"),
        ("Mistral-7B-v0.3", "Mistral-7B-Instruct-v0.3"),
        ("Qwen1.5-14B", "Qwen1.5-14B-Chat"),
    ):
        names = literature.model_name(base), literature.model_name(tuned)
        assert set(names) <= set(literature.models)
        assert names[0] != names[1]


def test_names_of_models_that_can_be_built_are_those_of_the_literature() -> None:
    literature = load_known_heads()
    for alias, hub_id in ALIASES.items():
        assert literature.models.get(literature.model_name(alias)) == literature.models.get(
            literature.model_name(hub_id)
        )


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
        ({"sources": [{**SOURCE, "evidence": "vibes"}]}, "choose from causal, attribution"),
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
        ({"lists": [{**LIST, "heads": {}}]}, r"lists\[0\]: 'heads' is empty"),
        ({"lists": [{**LIST, "heads": {"L1:H2": None}}]}, r"lists\[0\]: 'me2026' already"),
        ({"lists": [{**LIST, "heads": {"5.3": None}}]}, r"lists\[0\]: head '5.3' .* L5:H3"),
        ({"lists": [{**LIST, "heads": {"L1:H1": "high"}}]}, "'L1:H1'|a number"),
        ({"lists": [{**LIST, "tier": 4}]}, "'tier' is 4"),
        ({"lists": [{**LIST, "evidence": "vibes"}]}, "choose from causal"),
        ({"lists": [{**LIST, "class": "coma"}]}, "did you mean comma"),
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
