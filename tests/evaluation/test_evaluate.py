"""The evaluation as a whole, on heads whose latent positions are known."""

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
    LabelScores,
    MetricDistances,
    ResampledDistances,
    Settings,
    StimulusBlock,
    Transferred,
    evaluate,
    false_discovery_rates,
)

HEADS = HeadPositions.of(
    ["a"] * 36 + ["b"] * 24 + ["c"] * 3,
    [i // 6 for i in range(36)] + [i // 4 for i in range(24)] + [0, 1, 2],
)
N = len(HEADS)
N_PROMPTS = 12
SOURCES = [f"source {i // 2}" for i in range(N_PROMPTS)]
SETTINGS = Settings(n_permutations=60, n_bootstraps=30, n_splits=2, seed=3)
_RNG = np.random.default_rng(0)
LATENT = _RNG.normal(size=(N, 3))
CLOUDS = {
    "blind": _RNG.normal(size=(N_PROMPTS, N, 3)).astype(np.float32),
    "good": (LATENT + 0.3 * _RNG.normal(size=(N_PROMPTS, N, 3))).astype(np.float32),
}


def metric(name: str) -> MetricDistances:
    clouds = CLOUDS[name]
    resampled = ResampledDistances.of("mean distance", [StimulusBlock("prompts", clouds, SOURCES)])
    rows = HEADS.heads_of("b")

    def on(prompts: np.ndarray) -> np.ndarray:
        block = StimulusBlock("prompts", clouds[prompts])
        return ResampledDistances.of("mean distance", [block])()

    distances = resampled().astype(np.float64)
    moved = Transferred("a", "b", distances[np.ix_(rows, rows)])
    return MetricDistances(distances, resampled, [moved], clouds, on, N_PROMPTS)


def labels() -> list[LabelScores]:
    rng = np.random.default_rng(1)
    scores = []
    for model, kind in (("a", "random tokens"), ("a", "plain text"), ("b", "random tokens")):
        latent = LATENT[HEADS.heads_of(model), :2]
        noisy = latent[None] + 0.2 * rng.normal(size=(6, *latent.shape))
        scores.append(LabelScores(model, kind, ("first", "second"), noisy))
    return scores


def evidence() -> Evidence:
    members = np.zeros(N, dtype=bool)
    members[:36] = LATENT[:36, 0] > 1
    lonely = np.zeros(N, dtype=bool)
    lonely[0] = True
    return Evidence(
        labels=labels(),
        detectors={"a": LATENT[HEADS.heads_of("a"), :2]},
        key_groups={"a": 3, "b": 1},
        classes=[
            HeadClass("positive", "literature", members),
            HeadClass("lonely", "literature", lonely),
        ],
        scores={"first": LATENT[:, 0], "constant": np.zeros(N)},
        missing=["labels of c: no model"],
    )


def run(settings: Settings = SETTINGS) -> Evaluation:
    return evaluate(
        {"blind": metric("blind"), "good": metric("good")}, HEADS, evidence(), settings=settings
    )


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return run()


def of_labels(evaluation: Evaluation, **expected: str) -> list:
    kinds = {"random tokens", "plain text"}
    return [
        row
        for row in evaluation.rows
        if row.kind in kinds and all(getattr(row, k) == v for k, v in expected.items())
    ]


def test_the_metric_that_knows_the_heads_wins_and_the_blind_one_fails(
    evaluation: Evaluation,
) -> None:
    good = of_labels(evaluation, metric="good", statistic="S5", setting="within")
    blind = of_labels(evaluation, metric="blind", statistic="S5", setting="within")
    assert len(good) == len(blind) == 6
    assert all(row.value > 0.6 and row.q <= 0.05 for row in good)
    assert all(row.q > 0.05 for row in blind)
    assert all(row.difference < 0 for row in blind)
    assert sum(row.difference_high < 0 for row in blind) >= 5
    assert all(row.difference is None for row in good)


def test_every_setting_and_kind_is_in_the_table(evaluation: Evaluation) -> None:
    settings = {(row.setting, row.model) for row in of_labels(evaluation, metric="good")}
    assert settings == {
        ("within", "a"), ("within", "b"), ("across", "a -> b"), ("across", "b -> a"),
        ("transfer", "b (fitted on a)"),
    }  # fmt: skip
    across = of_labels(evaluation, metric="good", setting="across", statistic="AUROC")
    assert {row.kind for row in across} == {"random tokens"}  # b has no label on plain text
    assert {row.statistic for row in evaluation.rows} == {
        "S5", "MAP", "AUROC", "top-1", "top-5", "head share", "prompt share", "residual share",
        "split-half Spearman", "same nearest head",
    }  # fmt: skip


def test_an_interval_holds_its_value_and_a_ceiling_is_above_a_noisy_metric(
    evaluation: Evaluation,
) -> None:
    for row in of_labels(evaluation, statistic="S5"):
        assert row.low <= row.value <= row.high
    for row in of_labels(evaluation, metric="good", model="a", statistic="S5"):
        assert row.exact > 0.95
        assert row.detector > 0.95
    for row in of_labels(evaluation, model="b"):
        assert row.detector is None


def test_key_groups_are_tested_where_a_layer_has_several(evaluation: Evaluation) -> None:
    assert all(row.p_groups is not None for row in of_labels(evaluation, model="a"))
    assert all(row.p_groups is None for row in of_labels(evaluation, model="b"))


def test_a_class_of_few_arrangements_has_a_large_floor() -> None:
    """Three of four heads of a single layer: four arrangements, one of them the class."""
    heads = HeadPositions.of(["m"] * 12, [0] * 4 + list(range(1, 9)))
    scores = np.zeros((2, 12, 1))
    scores[:, :3, 0] = 1 + np.arange(3)
    label = LabelScores("m", "random tokens", ("x",), scores)
    distances = np.random.default_rng(0).random((12, 12))
    result = evaluate({"m": MetricDistances(distances)}, heads, Evidence([label]))
    floors = {row.statistic: row.p_floor for row in result.rows}
    assert floors == {"S5": pytest.approx(1 / 1001), "MAP": 0.25, "AUROC": 0.25}
    assert min(row.p for row in result.rows if row.statistic == "MAP") > 0.2


def test_q_is_over_one_declared_family(evaluation: Evaluation) -> None:
    families: dict[str, list] = {}
    for row in evaluation.rows:
        if row.p is not None:
            families.setdefault(row.family, []).append(row)
        else:
            assert row.q is None
    for rows in families.values():
        same = {(r.metric, r.setting, r.kind, r.statistic) for r in rows}
        assert len(same) == 1
        p = [max(r.p, r.p_groups or 0) for r in rows]
        assert [r.q for r in rows] == pytest.approx(false_discovery_rates(p))


def test_the_headline_has_metrics_null_and_ceilings(evaluation: Evaluation) -> None:
    assert [row.name for row in evaluation.headline] == [
        "blind", "good", "layers alone", "perfect detector", "exact score",
    ]  # fmt: skip
    columns = ["random tokens", "plain text", "another model"]
    assert all(list(row.cells) == columns for row in evaluation.headline)
    blind, good, null = evaluation.headline[:3]
    cell = blind.cells["random tokens"]
    rows = of_labels(evaluation, metric="blind", setting="within", kind="random tokens")
    mean = np.mean([row.value for row in rows if row.statistic == "S5"])
    assert cell.s5 == pytest.approx(mean)
    gain, low, high = cell.s5_gain
    assert gain == pytest.approx(good.cells["random tokens"].s5 - cell.s5)
    assert 0 < low < gain < high
    assert good.cells["plain text"].s5_gain is None
    assert null.cells["random tokens"].s5 < 0.2


def test_without_resamples_no_metric_is_recommended() -> None:
    answer = run(replace(SETTINGS, n_bootstraps=0)).answer
    assert not any("Use `" in sentence for sentence in answer)
    assert "--bootstraps" in answer[0]


def test_the_answer_names_the_metric_and_the_failures(evaluation: Evaluation) -> None:
    assert "`good`" in evaluation.answer[0]
    assert "`blind`" not in evaluation.answer[0]
    worse = evaluate(
        {"good": metric("good"), "blind": metric("blind")}, HEADS, evidence(), settings=SETTINGS
    )
    assert worse.reference == "blind"
    assert worse.answer[0].startswith("Use `good`, not `blind`")
    assert "`good`" in worse.answer[1]
    alone = evaluate({"blind": metric("blind")}, HEADS, evidence(), settings=SETTINGS)
    assert any("first on random tokens in a" in sentence for sentence in alone.answer)


def test_labels_are_checked_against_themselves(evaluation: Evaluation) -> None:
    assert len(evaluation.labels) == 6
    assert all(row.spearman > 0.8 and 0 < row.jaccard <= 1 for row in evaluation.labels)


def test_too_few_heads_and_what_is_missing_are_listed(evaluation: Evaluation) -> None:
    assert {("lonely", "a"), ("first", "c")} <= {(t.name, t.model) for t in evaluation.too_few}
    assert evaluation.missing == ("labels of c: no model",)


def test_what_is_undefined_is_null() -> None:
    constant = LabelScores("a", "random tokens", ("flat",), np.ones((3, 36, 1)))
    result = evaluate(
        {"good": metric("good")}, HEADS, Evidence(labels=[constant]), settings=SETTINGS
    )
    rows = of_labels(result)
    assert len(rows) == 3
    assert all(row.value is row.low is row.p is row.q is None for row in rows)
    json.dumps(result.to_json(), allow_nan=False)


def test_without_labels_the_other_rows_remain() -> None:
    alone = evaluate({"m": MetricDistances(metric("good").distances)}, HEADS, Evidence())
    assert alone.rows == alone.headline == alone.answer == ()
    clouds = MetricDistances(metric("good").distances, clouds=CLOUDS["good"])
    assert {row.kind for row in evaluate({"m": clouds}, HEADS, Evidence()).rows} == {"patterns"}


def test_no_bootstrap_leaves_out_intervals() -> None:
    result = run(replace(SETTINGS, n_bootstraps=0, n_permutations=5))
    assert all(row.low is None and row.difference_low is None for row in result.rows)
    assert any(row.difference is not None for row in result.rows)


def test_chance_is_next_to_what_has_no_permutation_null(evaluation: Evaluation) -> None:
    rows = {(r.model, r.statistic): r for r in evaluation.rows if r.metric == "good"}
    assert rows["b", "top-1"].null_mean == pytest.approx(1 / 24)
    assert rows["all models", "top-5"].null_mean == pytest.approx(5 / N)
    assert rows["b", "same nearest head"].null_mean == pytest.approx(1 / 23)
    assert rows["a", "split-half Spearman"].spread is not None


def test_equal_settings_give_an_equal_table(evaluation: Evaluation) -> None:
    assert run() == evaluation
    assert run(replace(SETTINGS, seed=4)) != evaluation


def test_json_and_back(evaluation: Evaluation) -> None:
    text = json.dumps(evaluation.to_json(), allow_nan=False)
    back = Evaluation.from_json(json.loads(text))
    assert back == evaluation
    assert json.dumps(back.to_json()) == text


def test_another_version_and_damage_are_refused(evaluation: Evaluation) -> None:
    value = evaluation.to_json()
    value["rows"][0]["later"] = 1
    assert Evaluation.from_json(value) == evaluation
    with pytest.raises(InputError, match="schema 9"):
        Evaluation.from_json({**value, "schema_version": 9})
    for earlier in ({"mean": {"schema_version": 1, "rows": []}}, {}, [], None):
        with pytest.raises(InputError, match="motifs evaluate"):
            Evaluation.from_json(earlier)
    for damaged in ({k: v for k, v in value.items() if k != "rows"}, {**value, "rows": [{}]}):
        with pytest.raises(InputError, match="lacks a part"):
            Evaluation.from_json(damaged)
    assert Evaluation.is_earlier({"mean": {"schema_version": 1, "rows": []}})
    assert not Evaluation.is_earlier(value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"classes": [HeadClass("x", "user", np.zeros(N, bool))] * 2},
        {"labels": [*labels(), labels()[0]]},
        {"labels": [LabelScores("a", "k", ("x",), np.zeros((2, 5, 1)))]},
        {"labels": [LabelScores("a", "k", ("x",), np.full((2, 36, 1), np.nan))]},
        {"labels": [LabelScores("nobody", "k", ("x",), np.zeros((2, 36, 1)))]},
    ],
)
def test_wrong_evidence_is_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        evaluate({"good": metric("good")}, HEADS, Evidence(**wrong), settings=SETTINGS)


def test_wrong_metrics_are_refused() -> None:
    with pytest.raises(InputError):
        evaluate({}, HEADS, evidence())
    with pytest.raises(InputError, match="goood"):
        evaluate({"good": metric("good")}, HEADS, evidence(), reference="goood")


def test_importing_it_loads_nothing_heavy() -> None:
    code = (
        "import sys, attention_motifs.evaluation as e; e.evaluate;"
        "heavy = {'torch', 'transformers', 'scipy', 'sklearn', 'numba'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
