from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from attention_motifs.errors import InputError
from attention_motifs.evaluation.graded import (
    PublishedScores,
    compare_graded,
    read_graded,
)

SHAPE = (5, 8)
N = 40


def scored(
    values: np.ndarray, source: str = "a2024", model: str = "org/toy", quantity: str = "induction"
) -> PublishedScores:
    return PublishedScores(source, model, quantity, "attention score", values.reshape(SHAPE))


def write(folder: Path, arrays: dict[str, Any], entries: Any) -> Path:
    np.savez(folder / "graded.npz", **arrays)
    (folder / "graded.json").write_text(json.dumps(entries))
    return folder / "graded.npz"


ENTRY = {"source": "a2024", "model": "org/toy", "class": "induction", "kind": "k", "extra": 3}


def test_published_scores_are_read_with_what_the_json_file_says(tmp_path: Path) -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    values[0, 0] = np.nan
    (read,) = read_graded(write(tmp_path, {"a": values}, {"a": ENTRY}))
    assert (read.source, read.model, read.quantity, read.kind) == (
        "a2024",
        "org/toy",
        "induction",
        "k",
    )
    assert np.array_equal(read.values, values, equal_nan=True)


@pytest.mark.parametrize(
    ("arrays", "entries", "reason"),
    [
        ({"a": np.zeros((2, 3))}, {"b": ENTRY}, "only one of"),
        ({"a": np.zeros((2, 3)), "b": np.zeros((2, 3))}, {"a": ENTRY}, "only one of"),
        ({"a": np.zeros(3)}, {"a": ENTRY}, "shape"),
        ({"a": np.array([["x"]])}, {"a": ENTRY}, "type"),
        ({"a": np.array([[{"x": 1}]], dtype=object)}, {"a": ENTRY}, "cannot be read"),
        ({"a": np.zeros((2, 3))}, {"a": {"source": "a2024"}}, "model"),
        ({"a": np.zeros((2, 3))}, [1, 2], "graded.json"),
    ],
)
def test_files_that_do_not_fit_are_refused(
    tmp_path: Path, arrays: dict[str, Any], entries: Any, reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        read_graded(write(tmp_path, arrays, entries))


def test_missing_and_damaged_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_graded(tmp_path / "graded.npz")
    with pytest.raises(InputError, match=r"\.npz"):
        read_graded(tmp_path / "graded.json")
    file = write(tmp_path, {"a": np.zeros((2, 3))}, {"a": ENTRY})
    file.write_bytes(b"no archive")
    with pytest.raises(InputError, match="cannot be read"):
        read_graded(file)


def test_a_distance_that_knows_the_score_is_nearly_perfect_and_layers_are_not() -> None:
    rng = np.random.default_rng(0)
    values = rng.random(N) ** 3
    apart = np.abs(values[:, None] - values[None, :])
    noise = rng.random((N, N))
    rows = compare_graded(scored(values), {"oracle": apart, "noise": noise}, {})
    by = {row.compared: row for row in rows}
    assert list(by) == ["oracle", "noise", "layer alone", "exact score"]
    assert by["oracle"].agreement == by["exact score"].agreement
    assert by["oracle"].agreement.spearman > 0.95
    assert by["oracle"].agreement.average_precision > 0.7
    assert abs(by["noise"].agreement.spearman) < 0.5
    assert by["noise"].agreement.average_precision < 0.5
    assert by["oracle"].n_top == 3
    for row in rows:
        assert row.agreement.low <= row.agreement.spearman <= row.agreement.high


def test_neighbours_and_top_heads_are_those_of_the_definition() -> None:
    rng = np.random.default_rng(1)
    values, distances = rng.random(N), rng.random((N, N))
    values[[3, 11]] = np.nan
    (row, *_) = compare_graded(scored(values), {"random": distances}, {})
    known = [i for i in range(N) if np.isfinite(values[i])]
    predicted, precisions = [], []
    top = sorted(known, key=lambda i: -values[i])[:3]
    for i in known:
        order = sorted((j for j in known if j != i), key=lambda j: distances[i, j])
        predicted.append(np.mean([values[j] for j in order[:5]]))
        if i in top:
            ranks = [r for r, j in enumerate(order, 1) if j in top]
            precisions.append(np.mean([k / r for k, r in enumerate(ranks, 1)]))
    assert row.n_heads == N - 2
    assert row.agreement.spearman == pytest.approx(spearmanr(predicted, values[known]).statistic)
    assert row.agreement.average_precision == pytest.approx(np.mean(precisions))


def test_scores_and_other_teams_are_compared_head_by_head() -> None:
    rng = np.random.default_rng(2)
    values = rng.random(N)
    near = values + 0.1 * rng.normal(size=N)
    other = scored(near, "b2025", "Org/Toy", "next_tok_attn, random tokens")
    mine = scored(values)
    rows = compare_graded(mine, {}, {"induction": values**2}, [mine, other])
    by = {row.compared: row.agreement for row in rows}
    assert by["score: induction"].spearman == pytest.approx(1)
    assert by["score: induction"].average_precision == 1
    assert by["team: b2025"].spearman == pytest.approx(spearmanr(near, values).statistic)


def test_without_another_team_on_the_model_the_median_over_other_models_is_given() -> None:
    rng = np.random.default_rng(3)
    values = rng.random(N)
    mine = scored(values, model="org/alone")
    others = [mine]
    expected = []
    for i in range(3):
        first = rng.random(N)
        second = first + 0.3 * (i + 1) * rng.normal(size=N)
        others += [scored(first, "a2024", f"org/m{i}"), scored(second, "b2025", f"org/m{i}")]
        expected += [spearmanr(first, second).statistic] * 2
    rows = compare_graded(mine, {}, {}, others)
    assert rows[-1].compared == "team: median of 6 elsewhere"
    assert rows[-1].agreement.spearman == pytest.approx(np.median(expected))
    alone = compare_graded(scored(values, quantity="something new"), {}, {}, others)
    assert [row.compared for row in alone] == ["layer alone", "exact score"]


def test_constant_and_missing_scores_give_no_row() -> None:
    assert compare_graded(scored(np.zeros(N)), {}, {}) == []
    few = np.full(N, np.nan)
    few[:4] = [1, 2, 3, 4]
    assert compare_graded(scored(few), {}, {}) == []
    values = np.random.default_rng(0).random(N)
    equal = compare_graded(scored(values), {"equal": np.zeros((N, N))}, {})[0]
    assert equal.agreement.average_precision < 0.5
    with pytest.raises(InputError, match="for 40 heads"):
        compare_graded(scored(values), {"small": np.zeros((3, 3))}, {})
