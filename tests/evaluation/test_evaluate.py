from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from attention_motifs.errors import InputError
from attention_motifs.evaluation import (
    Evaluation,
    Evidence,
    HeadClass,
    HeadPositions,
    Settings,
    evaluate,
    false_discovery_rates,
)

N = 48
HEADS = HeadPositions.of(["a"] * 32 + ["b"] * 16, [i // 4 for i in range(32)] + [0, 1, 2, 3] * 4)
SETTINGS = Settings(n_permutations=60, n_splits=2, seed=3)


def clouds() -> np.ndarray:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(1, N, 4))
    centres[:, ::5] += 8
    return (centres + 0.5 * rng.normal(size=(10, N, 4))).astype(np.float32)


def distances_on(prompts: np.ndarray) -> np.ndarray:
    mean = clouds()[prompts].mean(axis=0)
    return np.linalg.norm(mean[:, None] - mean[None], axis=-1)


def evidence() -> Evidence:
    members = np.zeros(N, dtype=bool)
    members[::5] = True
    one = np.zeros(N, dtype=bool)
    one[0] = True
    whole = np.array(HEADS.model) == "b"
    return Evidence(
        classes=[
            HeadClass("induction", "computed", members),
            HeadClass("induction", "literature", ~members),
            HeadClass("copy suppression", "literature", one),
            HeadClass("whole model", "computed", whole),
        ],
        scores={"sink": np.arange(N) / N, "constant": np.zeros(N)},
        clouds=clouds(),
        distances_on=distances_on,
        n_prompts=10,
    )


def run(settings: Settings = SETTINGS) -> Evaluation:
    distances = distances_on(np.arange(10))
    return evaluate(distances, HEADS, evidence(), metric="centroid", settings=settings)


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return run()


def test_every_measurement_is_in_the_table(evaluation: Evaluation) -> None:
    statistics = dict.fromkeys(row.statistic for row in evaluation.rows)
    assert list(statistics) == [
        "AUROC", "MAP", "purity@5", "Spearman@5", "top-1", "top-5",
        "head share", "prompt share", "residual share", "split-half Spearman",
    ]  # fmt: skip
    kinds = {row.kind for row in evaluation.rows}
    assert kinds == {"computed", "literature", "score", "patterns", "distances"}
    models = {row.model for row in evaluation.rows}
    assert models == {"a", "b", "a -> b", "b -> a", "all models"}


def test_the_planted_class_is_found_and_kinds_are_kept_apart(evaluation: Evaluation) -> None:
    rows = [row for row in evaluation.rows if row.model == "a" and row.statistic == "MAP"]
    values = {(row.name, row.kind): row for row in rows}
    planted = values["induction", "computed"]
    assert planted.value == pytest.approx(1.0)
    assert planted.p == pytest.approx(1 / 61)
    assert planted.null_95 is not None
    assert planted.null_95 < 1
    assert values["induction", "literature"].n_heads == 32 - planted.n_heads


def test_no_class_is_hidden(evaluation: Evaluation) -> None:
    shown = {(row.model, row.name, row.kind) for row in evaluation.rows}
    shown |= {(item.model, item.name, item.kind) for item in evaluation.too_few}
    for model in HEADS.models:
        for head_class in evidence().classes:
            assert (model, head_class.name, head_class.kind) in shown


def test_q_is_over_all_rows_of_one_statistic(evaluation: Evaluation) -> None:
    rows = [r for r in evaluation.rows if r.statistic == "AUROC" and r.p is not None]
    assert len(rows) > 5
    assert [r.q for r in rows] == pytest.approx(false_discovery_rates([r.p for r in rows]))
    assert all(row.q is None for row in evaluation.rows if row.p is None)


def test_what_is_undefined_is_null(evaluation: Evaluation) -> None:
    whole = [r for r in evaluation.rows if r.name == "whole model" and r.model == "b"]
    assert {r.statistic: r.value for r in whole} == {"AUROC": None, "MAP": 1.0, "purity@5": 1.0}
    constant = [r for r in evaluation.rows if r.name == "constant"]
    assert constant
    assert all(r.value is None and r.p is None for r in constant)


def test_chance_stands_beside_what_has_no_permutation_null(evaluation: Evaluation) -> None:
    rows = {(r.model, r.statistic): r for r in evaluation.rows}
    assert rows["b", "top-1"].null_mean == pytest.approx(1 / 16)
    assert rows["all models", "top-5"].null_mean == pytest.approx(5 / 48)
    assert rows["a", "head share"].null_mean == pytest.approx(31 / 319)
    shares = [rows["a", f"{part} share"].value for part in ("head", "prompt", "residual")]
    assert sum(shares) == pytest.approx(1)
    assert rows["a", "split-half Spearman"].spread is not None


def test_equal_settings_give_an_equal_table(evaluation: Evaluation) -> None:
    assert run() == evaluation
    assert run(replace(SETTINGS, seed=4)) != evaluation


def test_json_and_back(evaluation: Evaluation) -> None:
    text = json.dumps(evaluation.to_json(), allow_nan=False)
    back = Evaluation.from_json(json.loads(text))
    assert back == evaluation
    assert json.dumps(back.to_json()) == text
    assert back.settings["n_permutations"] == 60


def test_a_field_of_a_later_version_is_ignored_and_damage_is_refused(
    evaluation: Evaluation,
) -> None:
    value = evaluation.to_json()
    value["rows"][0]["later"] = 1
    assert Evaluation.from_json(value) == evaluation
    with pytest.raises(InputError, match="schema 9"):
        Evaluation.from_json({**value, "schema_version": 9})
    with pytest.raises(InputError):
        Evaluation.from_json({k: v for k, v in value.items() if k != "rows"})
    with pytest.raises(InputError):
        Evaluation.from_json({**value, "rows": [{"model": "a"}]})


def test_missing_evidence_leaves_out_its_rows() -> None:
    distances = distances_on(np.arange(10))
    nothing = evaluate(distances, HEADS, Evidence(), metric="mean")
    assert nothing.rows == ()
    assert nothing.too_few == ()
    only = evaluate(distances, HEADS, Evidence(clouds=clouds()), metric="mean")
    assert {row.kind for row in only.rows} == {"patterns"}


def test_a_class_given_twice_is_refused() -> None:
    one = evidence().classes[0]
    with pytest.raises(InputError):
        evaluate(distances_on(np.arange(10)), HEADS, Evidence(classes=[one, one]), metric="mean")


def test_importing_it_loads_nothing_heavy() -> None:
    code = (
        "import sys, attention_motifs.evaluation as e; e.evaluate;"
        "heavy = {'torch', 'transformers', 'scipy', 'sklearn', 'numba'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
