from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from attention_motifs.head import HeadId
from attention_motifs.literature import (
    class_colours,
    class_table,
    classes_of,
    conflict_table,
    group_colours,
    known_heads,
)


def test_the_table_has_a_row_for_each_word_of_a_source() -> None:
    table = known_heads()
    assert table.columns == [
        "model",
        "head",
        "layer",
        "index",
        "class",
        "group",
        "paper",
        "url",
        "evidence",
        "note",
        "conflict",
        "threshold",
        "score",
        "seen",
        "tier",
    ]
    assert len(table) == 2065
    assert table.drop("score").null_count().sum_horizontal().item() == 0
    row = table.row(
        by_predicate=(pl.col("head") == "gpt2-small:L9:H6") & (pl.col("class") == "name mover"),
        named=True,
    )
    assert (row["layer"], row["index"], row["evidence"]) == (9, 6, "causal")
    assert row["url"] == "https://arxiv.org/abs/2211.00593"


def test_one_model_by_any_of_its_names() -> None:
    small = known_heads("gpt2-small")
    assert len(small) == 140
    alias = known_heads("openai-community/gpt2")
    assert alias.drop("model", "head").equals(small.drop("model", "head"))
    assert alias["head"][0] == "openai-community/gpt2:L2:H2"
    nothing = known_heads("pythia-14m")
    assert len(nothing) == 0
    assert nothing.schema == small.schema


def test_a_head_is_in_a_class_if_any_source_says_so() -> None:
    heads = [HeadId("gpt2-small", layer, index) for layer in range(12) for index in range(12)]
    result = dict(zip(heads, classes_of(heads), strict=True))
    induction = {str(h).split(":", 1)[1] for h, names in result.items() if "induction" in names}
    # Wang et al.: 5.5 5.8 5.9 6.9; Krzyzanowski et al.: 5.1 5.5 6.9 7.2 7.10
    assert induction >= {"L5:H1", "L5:H5", "L5:H8", "L5:H9", "L6:H9", "L7:H2", "L7:H10"}
    # induction by a place in a ranking comes last
    assert result[heads[10 * 12 + 7]][:2] == ["negative name mover", "copy suppression"]
    assert result[heads[10 * 12 + 7]][-1] == "induction"
    assert result[heads[1]][:2] == ["duplicate token", "static-year retriever"]
    assert sum(bool(names) for names in result.values()) == known_heads("gpt2")["head"].n_unique()


def test_classes_of_aliases_and_of_strangers() -> None:
    heads = [HeadId("openai-community/gpt2", 4, 11), HeadId("a/b", 4, 11), HeadId("gpt2", 90, 0)]
    assert classes_of(heads) == [["previous token"], [], []]
    assert classes_of([]) == []


def test_conflicts_are_between_sources_that_cover_the_class() -> None:
    table = conflict_table()
    disputed = set(table.select("head", "class").iter_rows())
    assert ("gpt2-small:L5:H5", "induction") not in disputed  # both list it
    assert ("gpt2-small:L5:H8", "induction") in disputed  # only Wang et al.
    assert ("gpt2-small:L0:H5", "duplicate token") in disputed  # only Krzyzanowski et al.
    assert ("gpt2-small:L9:H6", "name mover") not in disputed  # only Wang et al. cover it
    assert ("gpt2-small:L8:H8", "year identifier") in disputed  # known from another listing
    assert ("meta-llama/Meta-Llama-3-8B-Instruct:L27:H7", "retrieval") not in disputed
    assert len(disputed) == len(table) == 32
    suppression = table.filter(pl.col("class") == "copy suppression")
    row = suppression.row(by_predicate=pl.col("head") == "gpt2-small:L11:H10", named=True)
    assert row["says"] == ["mcdougall2023-copy-suppression"]
    assert row["omits"] == ["krzyzanowski2024-sae"]


def test_conflicts_are_shown_in_the_table_of_heads() -> None:
    table = known_heads().filter(pl.col("conflict") != "")
    shown = set(table.select("head", "class").iter_rows())
    assert shown == set(conflict_table().select("head", "class").iter_rows())
    previous = table.filter(pl.col("class") == "previous token").row(0, named=True)
    assert (previous["head"], previous["conflict"]) == (
        "gpt2-small:L2:H2",
        "not in krzyzanowski2024-sae",
    )


def test_a_users_word_can_make_a_conflict_and_a_class(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    source = {"key": "me", "title": "Mine", "evidence": "manual"}
    statement = {"model": "gpt2", "head": "L9:H6", "class": "name mover", "source": "me"}
    path.write_text(json.dumps({"schema": 1, "sources": [source], "assignments": [statement]}))
    table = known_heads("gpt2-small", path)
    assert len(table) == 141
    assert table["paper"][-1] == "Mine"
    movers = conflict_table(path).filter(pl.col("class") == "name mover")
    assert sorted(movers["head"]) == ["gpt2-small:L10:H0", "gpt2-small:L9:H9"]
    assert classes_of([HeadId("gpt2", 9, 6)], path) == [["name mover", "induction"]]


def test_the_table_of_classes() -> None:
    table = class_table()
    assert table["class"].n_unique() == len(table)
    row = table.row(by_predicate=pl.col("class") == "induction", named=True)
    assert row["heads"] > 100
    assert row["sources"][:2] == ["wang2022-ioi", "krzyzanowski2024-sae"]
    assert row["colour"] == class_colours()["induction"]


def test_kinds_of_name_movers_share_a_group_and_its_colour() -> None:
    colours = class_colours()
    assert set(colours) == set(class_table()["class"])
    assert (
        colours["name mover"]
        == colours["negative name mover"]
        == colours["backup name mover"]
        == group_colours()["name mover"]
    )
    assert colours["induction"] != colours["previous token"]


def test_colours_can_be_asked_for_with_a_users_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    group = {"name": "mine", "colour": "#123456"}
    head_class = {"name": "comma", "group": "mine"}
    path.write_text(json.dumps({"schema": 1, "groups": [group], "classes": [head_class]}))
    assert class_colours(path)["comma"] == "#123456"
    with pytest.raises(KeyError):
        class_colours()["comma"]
