"""Named pattern types: written, read back, and refused where they are malformed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention_motifs.clustering import (
    Clustering,
    ClusterName,
    add_names,
    carry_over,
    name_cluster,
    pattern_types_json,
    read_pattern_types,
)
from attention_motifs.errors import InputError

HEADS = [f"m:L{layer}:H{head}" for layer in range(4) for head in range(3)]
LABELS = np.array([0] * 5 + [1] * 4 + [2] * 2 + [-1], np.int32)


def exported(labels: np.ndarray = LABELS) -> dict[str, Any]:
    """The file of a clustering of which two clusters are named."""
    clustering = Clustering("average", {"height": 0.5, "min_size": 2}, labels)
    names = name_cluster([], HEADS, labels, 0, "sinks", "first token")
    names = name_cluster(names, HEADS, labels, 2, "induction")
    inherited = carry_over(names, HEADS, labels)
    return pattern_types_json(clustering, HEADS, inherited, names, path="clusters/average.json")


def written(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def test_the_file_has_the_keys_of_the_authors(tmp_path: Path) -> None:
    value = exported()
    assert value["meta"]["cut_height"] == 0.5
    assert value["meta"]["n_clusters"] == 4
    assert value["stats"] == {"n_heads": 12, "cluster_sizes": {"-1": 1, "0": 5, "1": 4, "2": 2}}
    assert [entry["name"] for entry in value["types"]] == ["misc", "sinks", "none", "induction"]
    assert value["assignments"] == dict(zip(HEADS, LABELS.tolist(), strict=True))
    assert value["selection"] == {"heads": []}
    assert json.loads(json.dumps(value)) == value


def test_names_come_back_with_their_heads_and_remarks(tmp_path: Path) -> None:
    names = read_pattern_types(written(tmp_path / "types.json", exported()))
    assert names == [
        ClusterName("sinks", tuple(sorted(HEADS[:5])), ("m",), "first token"),
        ClusterName("induction", tuple(sorted(HEADS[9:11])), ("m",)),
    ]
    assert carry_over(names, HEADS, LABELS).names == {0: "sinks", 2: "induction"}


def test_a_file_of_the_authors_page_is_read(tmp_path: Path) -> None:
    value = {
        "meta": {"cut_height": None, "n_clusters": 2, "linkage_method": "average"},
        "stats": {"n_heads": 3, "cluster_sizes": {"-1": 1, "8": 2}},
        "types": [
            {"id": -1, "name": "misc", "description": "Merged from small clusters"},
            {"id": 8, "name": "diagonal", "description": "none"},
        ],
        "assignments": {"gpt2-small:L0:H0": 8, "gpt2-small:L0:H1": -1, "pythia-14m:L1:H3": 8},
        "selection": {"heads": ["gpt2-small:L0:H1"], "note": "odd"},
    }
    (name,) = read_pattern_types(written(tmp_path / "types.json", value))
    assert name.members == ("gpt2-small:L0:H0", "pythia-14m:L1:H3")
    assert name.models == ("gpt2-small", "pythia-14m")


@given(st.lists(st.integers(-1, 3), min_size=12, max_size=12))
def test_every_cut_survives_the_round_trip(drawn: list[int]) -> None:
    numbers = {label: i for i, label in enumerate(sorted({d for d in drawn if d >= 0}))}
    labels = np.array([numbers.get(d, -1) for d in drawn], np.int32)
    value = pattern_types_json(Clustering("average", {}, labels), HEADS)
    assert sum(value["stats"]["cluster_sizes"].values()) == len(HEADS)
    assert {entry["id"] for entry in value["types"]} == set(value["assignments"].values())


def test_added_names_replace_equal_ones() -> None:
    first, second = ClusterName("a", ("m:L0:H0",)), ClusterName("b", ("m:L0:H1",))
    other = ClusterName("a", ("m:L0:H2",))
    assert add_names([first, second], [other]) == [second, other]


def broken(change: dict[str, Any]) -> dict[str, Any]:
    return {**exported(), **change}


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ([], "object"),
        ({"types": []}, "'assignments' is missing"),
        (broken({"assignments": {"m:L0:H0": "0"}}), "assignments"),
        (broken({"assignments": {"head 3": 0}}), "'head 3'"),
        (broken({"assignments": {"m:L0:H0": 9}}), "no type has the id 9"),
        (broken({"types": [{"id": 0, "name": 5}]}), "'name' is 5"),
        (broken({"types": [{"id": 0}, {"id": 0}]}), "types[1]: id 0"),
        (broken({"types": [{"id": n} for n in (-1, 0, 1, 2)]}), "no type has a name"),
        (broken({"types": [{"id": n, "name": "x"} for n in (-1, 0, 1, 2)]}), "types[2]"),
        (broken({"types": [{"id": n, "name": "x" * 99} for n in (-1, 0, 1, 2)]}), "types[1]"),
        (broken({"types": [{"id": n} for n in (-1, 0, 1, 2)] + [{"id": 7, "name": "y"}]}), "id 7"),
        (broken({"meta": {"cut_height": "high"}}), "'cut_height' is 'high'"),
    ],
)
def test_malformed_files_are_refused_with_file_and_place(
    value: Any, named: str, tmp_path: Path
) -> None:
    path = written(tmp_path / "types.json", value)
    with pytest.raises(InputError) as caught:
        read_pattern_types(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert named in message
    assert len(message.splitlines()) == 1


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_pattern_types(tmp_path / "missing.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        read_pattern_types(tmp_path / "bad.json")
