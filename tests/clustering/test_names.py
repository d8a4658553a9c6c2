from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_motifs.clustering import (
    ClusterName,
    carry_over,
    name_cluster,
    read_names,
    remove_name,
    write_names,
)
from attention_motifs.errors import InputError

HEADS = [f"m:L{layer}:H{head}" for layer in range(4) for head in range(3)]
LABELS = np.array([0] * 5 + [1] * 4 + [2] * 3)


def named() -> list[ClusterName]:
    names = name_cluster([], HEADS, LABELS, 0, "sinks", "first token")
    return name_cluster(names, HEADS, LABELS, 2, "induction")


def test_the_same_cut_under_other_numbers_keeps_its_names() -> None:
    numbers = np.array([2, 0, 1])
    result = carry_over(named(), HEADS, numbers[LABELS])
    assert result.names == {2: "sinks", 1: "induction"}
    assert result.overlaps == {2: 1.0, 1: 1.0}
    assert result.unassigned == ()


def test_a_new_cut_inherits_by_overlap_and_loses_no_name() -> None:
    moved = LABELS.copy()
    moved[4] = 1  # sinks: 4 of 5 left
    moved[9:] = [0, 1, -1]  # induction is scattered
    result = carry_over(named(), HEADS, moved)
    assert result.names == {0: "sinks"}
    assert result.overlaps[0] == pytest.approx(4 / 6)
    assert result.unassigned == ("induction",)
    # the next cut is as the first, and the name is back
    assert carry_over(named(), HEADS, LABELS).names == {0: "sinks", 2: "induction"}


def test_two_names_share_out_two_clusters_for_the_largest_sum() -> None:
    heads = [f"m:L0:H{i}" for i in range(10)]
    labels = np.array([0] * 6 + [1] * 4)
    both = ClusterName("both", tuple(heads[:8]), ("m",))  # 6/8 with 0, 2/10 with 1
    first = ClusterName("first", tuple(heads[:6]), ("m",))  # 1 with 0, 0 with 1
    result = carry_over([both, first], heads, labels, threshold=0.1)
    assert result.names == {0: "first", 1: "both"}
    assert carry_over([both, first], heads, labels).unassigned == ("both",)


def test_models_that_came_later_do_not_count_against_a_name() -> None:
    names = named()
    later = HEADS + [f"other:L0:H{i}" for i in range(20)]
    labels = np.concatenate([LABELS, np.zeros(20, dtype=int)])
    assert carry_over(names, later, labels).overlaps == {0: 1.0, 2: 1.0}
    # and heads that are no longer there count neither
    assert carry_over(names, HEADS[:11], LABELS[:11]).overlaps == {0: 1.0, 2: 1.0}
    assert carry_over(names, ["x:L0:H0"], np.array([0])).unassigned == ("sinks", "induction")


def test_naming_again_replaces_the_inherited_name_and_moves_a_spelling() -> None:
    renamed = name_cluster(named(), HEADS, LABELS, 0, " first-token sinks ")
    assert [n.name for n in renamed] == ["induction", "first-token sinks"]
    moved = name_cluster(named(), HEADS, LABELS, 1, "sinks")
    assert carry_over(moved, HEADS, LABELS).names == {1: "sinks", 2: "induction"}
    assert remove_name(moved, "sinks") == named()[1:]


def test_what_cannot_be_named() -> None:
    for cluster in (3, -1):
        with pytest.raises(InputError, match="3 clusters"):
            name_cluster([], HEADS, LABELS, cluster, "x")
    for name in ("", "  ", "two\nlines", "x" * 81):
        with pytest.raises(InputError, match="one line"):
            name_cluster([], HEADS, LABELS, 0, name)
    with pytest.raises(InputError, match="no cluster is named 'x'; names given: 'sinks'"):
        remove_name(named()[:1], "x")
    with pytest.raises(InputError, match="threshold 0"):
        carry_over(named(), HEADS, LABELS, threshold=0)
    with pytest.raises(InputError, match="12 heads, 11 labels"):
        carry_over(named(), HEADS, LABELS[1:])


def test_no_names_and_no_clusters() -> None:
    assert carry_over([], HEADS, LABELS).names == {}
    assert carry_over(named(), HEADS, np.full(12, -1)).unassigned == ("sinks", "induction")


@settings(max_examples=50)
@given(
    st.lists(st.integers(-1, 4), min_size=12, max_size=12),
    st.lists(st.integers(-1, 4), min_size=12, max_size=12),
)
def test_every_name_is_given_once_or_kept(before: list[int], after: list[int]) -> None:
    old, new = np.array(before), np.array(after)
    names: list[ClusterName] = []
    for cluster in sorted(set(before) - {-1}):
        names = name_cluster(names, HEADS, old, cluster, f"name {cluster}")
    assert len(names) == len(set(before) - {-1})
    result = carry_over(names, HEADS, new)
    given_out = [*result.names.values(), *result.unassigned]
    assert sorted(given_out) == sorted(n.name for n in names)
    assert set(result.names) <= set(after) - {-1}
    assert all(0.3 <= overlap <= 1 for overlap in result.overlaps.values())


def test_the_file_keeps_everything(tmp_path: Path) -> None:
    path = tmp_path / "clusters" / "names.json"
    assert read_names(path) == []
    write_names(path, named())
    assert read_names(path) == named()
    before = path.read_bytes()
    write_names(path, read_names(path))
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["names.json"]
    with pytest.raises(InputError, match="given twice"):
        write_names(path, [*named(), named()[0]])
    assert path.read_bytes() == before


GOOD = {"name": "sinks", "members": ["m:L0:H0"], "models": ["m"], "note": ""}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("{", "not JSON"),
        ("[]", "give an object"),
        ("\xff", "not UTF-8"),
        ({}, '"schema" is None'),
        ({"schema": 2}, 'write "schema": 1'),
        ({"schema": True}, 'write "schema": 1'),
        ({"schema": 1, "name": []}, "did you mean names"),
        ({"schema": 1, "names": {}}, "give a list"),
        ({"schema": 1, "names": ["sinks"]}, r"names\[0\].* is 'sinks'"),
        ({"schema": 1, "names": [GOOD, {}]}, r"names\[1\]: 'name' is missing"),
        ({"schema": 1, "names": [{**GOOD, "name": 3}]}, "'name' is 3"),
        ({"schema": 1, "names": [{**GOOD, "name": "a\nb"}]}, "one line"),
        ({"schema": 1, "names": [{"name": "sinks"}]}, "'members' is missing"),
        ({"schema": 1, "names": [{**GOOD, "members": []}]}, "'members' is empty"),
        ({"schema": 1, "names": [{**GOOD, "members": ["m:5:3"]}]}, "'m:5:3' is not a head"),
        ({"schema": 1, "names": [{**GOOD, "members": [7]}]}, r"members\[0\]' is 7; give a text"),
        ({"schema": 1, "names": [{**GOOD, "colour": "red"}]}, "unknown key 'colour'"),
        ({"schema": 1, "names": [GOOD, GOOD]}, r"names\[1\]: the name 'sinks' is given twice"),
        ('{"schema": 1, "schema": 1}', "'schema' is given twice"),
    ],
)
def test_a_malformed_file_is_named_in_one_line(tmp_path: Path, value: object, words: str) -> None:
    path = tmp_path / "names.json"
    text = value if isinstance(value, str) else json.dumps(value)
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=words) as raised:
        read_names(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)
