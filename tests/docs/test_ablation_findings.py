"""Numbers in docs/ablation.md are those of docs/ablation-effects.csv, which agree among them."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest

from attention_motifs.evaluation.effects import compare_group
from attention_motifs.head import HeadId

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "ablation.md").read_text(encoding="utf-8")


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("findings", DOCS / "ablation_findings.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


findings = _script()


@pytest.fixture(scope="module")
def effects() -> pl.DataFrame:
    table: pl.DataFrame = findings.read()
    return table


def test_the_file_is_small_and_names_its_numbers(effects: pl.DataFrame) -> None:
    assert findings.EFFECTS.stat().st_size < 220_000
    heads = effects.filter(pl.col("kind") == "head", pl.col("measure") == "loss")
    assert sorted(heads.group_by("model").len().rows()) == [
        ("gemma-3-270m", 72),
        ("smollm2-135m-instruct", 270),
    ]
    tested = effects.drop_nulls("p")
    assert (tested["q"] >= tested["p"] - 1e-9).all()
    # q is over the tests of one kind of question; nearest heads and classes are two kinds.
    families = tested.group_by("kind", pl.col("anchor") == "", "measure")
    for family, rows in families:
        assert len(set(rows["n_tested"])) == 1, family
        assert len(rows) <= rows["n_tested"][0]
    assert set(effects["reference"]) == {"mean over 32 other repeated sequences"}
    for column in ("ci", "excess"):
        value = "effect" if column == "ci" else column
        held = effects.filter(pl.col(f"{column}_low").is_not_null(), pl.col("kind") != "distance")
        assert (held[f"{column}_low"] <= held[value] + 1e-9).all()
        assert (held[value] <= held[f"{column}_high"] + 1e-9).all()


def test_groups_follow_from_the_heads_in_the_file(effects: pl.DataFrame) -> None:
    """Means and p-values of the tables, made again from the effects of the single heads."""
    for row, _ in findings.asked(effects):
        if row["kind"] != "group":
            continue
        place, values = _place(effects, row)
        layer = np.array([HeadId.parse(name).layer for name in place])
        if row["anchor"]:
            layer[place[row["anchor"]]] = -1
        members = np.array([place[name] for name in row["heads"].split()])
        assert row["effect"] == pytest.approx(values[members].mean(), rel=1e-4)
        worse = 1 if row["measure"] == "loss" else -1
        again = compare_group(values, members, layer, worse, np.random.default_rng(7))
        assert row["p"] == pytest.approx(again.p, abs=0.015)
        assert row["control_effect"] == pytest.approx(again.control_mean, rel=0.1)


def _place(effects: pl.DataFrame, row: dict[str, object]) -> tuple[dict[str, int], np.ndarray]:
    heads = effects.filter(
        pl.col("kind") == "head",
        pl.col("model") == row["model"],
        pl.col("measure") == row["measure"],
    )
    return (
        {name: i for i, name in enumerate(heads["name"].to_list())},
        heads["effect"].to_numpy(),
    )


def test_figures_in_the_text_are_those_of_the_file(effects: pl.DataFrame) -> None:
    text = PAGE[PAGE.index("## What look-alikes do") : PAGE.index("## How it runs")]
    heads = effects.filter(pl.col("kind") == "head")
    named = {
        (row["name"].partition(":")[2], f"{row['effect']:+.{places}f}")
        for row in heads.iter_rows(named=True)
        for places in (2, 3)
    }
    in_text = re.findall(r"(L\d+:H\d+)\s\(([+-][\d.]+)\)", text)
    assert len(in_text) >= 6
    assert set(in_text) <= named
    asked = findings.asked(effects)
    counts = {len(asked), sum(q <= 0.05 for _, q in asked), sum(r["q"] <= 0.05 for r, _ in asked)}
    assert counts <= {int(number) for number in re.findall(r"\b\d+\b", text)}
    p_values = {f"{row['p']:.2g}" for row, _ in asked}
    assert set(re.findall(r"\(p (0\.\d+)\)", text)) <= p_values


def test_with_the_anchor_among_its_controls_p_is_what_the_text_says(effects: pl.DataFrame) -> None:
    p_values = []
    for row, _ in findings.asked(effects):
        if row["anchor"] == "smollm2-135m-instruct:L18:H6" and row["kind"] == "group":
            place, values = _place(effects, row)
            layer = np.array([HeadId.parse(name).layer for name in place])
            members = np.array([place[name] for name in row["heads"].split()])
            p_values.append(compare_group(values, members, layer, 1, np.random.default_rng(7)).p)
    assert p_values == pytest.approx([0.02, 0.03, 0.06], abs=0.008)
