"""Prompts by their labels: an atlas on some of its prompts, and the contrast of two sets."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_motifs import Prompt
from attention_motifs.atlas import Atlas
from attention_motifs.atlas.contrast import random_splits, split_distances
from attention_motifs.atlas.prompt_labels import parsed_where, prompts_where
from attention_motifs.cli import main
from attention_motifs.distances import head_distances
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.stages.distances import distances
from attention_motifs.stages.evaluate import evaluate
from attention_motifs.stages.import_arrays import atlas_from_patterns
from synthetic_atlas import synthetic_pattern

N_HEADS, N_PAIRS, N_TOKENS = 4, 12, 14
PLANTED = "mine:L1:H2"


def planted_patterns(rng: np.random.Generator, condition: int) -> np.ndarray:
    """Return (layers, heads, n, n): every head is of one kind, the planted one of two."""
    kinds = np.array([["self", "uniform", "first token", "band"]] * 2, dtype=object)
    kinds[1, 2] = ("previous token", "first token")[condition]
    return np.stack(
        [[synthetic_pattern(kind, N_TOKENS, rng) for kind in of_layer] for of_layer in kinds]
    )


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    rng = np.random.default_rng(0)
    prompts, patterns = [], []
    for i, condition in itertools.product(range(N_PAIRS), (0, 1)):
        meta = {"condition": "AB"[condition], "filling": i, "topics": [f"t{i % 3}", "all"]}
        prompts.append(Prompt(f"text {i} {condition}", "made", meta))
        patterns.append(planted_patterns(rng, condition))
    layers = list(np.stack(patterns, axis=1))
    path = tmp_path_factory.mktemp("labels") / "atlas"
    tokens = [[f"w{k} " for k in range(N_TOKENS)]] * len(prompts)
    return atlas_from_patterns(
        path, layers, name="mine", prompts=prompts, tokens=tokens, metrics=["mean", "natural"]
    )


def ids(atlas: Atlas, condition: str) -> list[str]:
    """Return the prompts of a condition."""
    meta = [json.loads(text)["condition"] for text in atlas.prompts["meta"]]
    return [p for p, c in zip(atlas.prompts["prompt_id"], meta, strict=True) if c == condition]


def test_labels_are_in_the_atlas(atlas: Atlas) -> None:
    again = Atlas.open(atlas.path)
    assert json.loads(again.prompts["meta"][3]) == {
        "condition": "B", "filling": 1, "topics": ["t1", "all"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("where", "n"),
    [
        ({"condition": "A"}, 12),
        ({"condition": ["A", "B"]}, 24),
        ({"condition": "A", "topics": "t0"}, 4),
        ({"filling": 3}, 2),
        ({"filling": "3"}, 2),
        ({"topics": "all"}, 24),
        ({"source": "pattern-lens/arrays"}, 24),
    ],
)
def test_prompts_with_labels(atlas: Atlas, where: dict[str, Any], n: int) -> None:
    assert len(prompts_where(atlas, where)) == n


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ({}, "give labels"),
        ("condition", "give labels"),
        ({"genre": "law"}, "no prompt .* has the label 'genre'"),
        ({"condition": "C"}, r"Its values are A\|B"),
        ({"condition": "A", "filling": "99"}, "filling=99"),
        ({"condition": None}, "Its values are"),
    ],
)
def test_labels_that_no_prompt_has_are_named(atlas: Atlas, where: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        atlas.where(where)


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 2)), min_size=1, max_size=12))
def test_the_conditions_all_hold(labels: list[tuple[str, int]]) -> None:
    class Table:
        place = "atlas"
        prompts = pl.DataFrame(
            {
                "source": ["s"] * len(labels),
                "meta": [json.dumps({"kind": kind, "n": n}) for kind, n in labels],
            }
        )

    kind, n = labels[0]
    expected = [i for i, pair in enumerate(labels) if pair == (kind, n)]
    chosen = prompts_where(Table(), {"kind": kind, "n": str(n)})  # type: ignore[arg-type]
    assert chosen.tolist() == expected


def test_near_on_some_prompts_is_near_in_an_atlas_of_these_alone(atlas: Atlas) -> None:
    some = atlas.where({"condition": "A"})
    assert some.prompts["prompt_id"].to_list() == ids(atlas, "A")
    expected = head_distances(np.ascontiguousarray(atlas.embedded()[::2]), "mean")
    assert np.array_equal(some.distances("mean"), expected)
    assert np.array_equal(atlas.distances("mean", where={"condition": "A"}), expected)
    near = atlas.near(PLANTED, n=7, metric="mean", where={"condition": "A"})
    order = np.argsort(expected[6], kind="stable")
    assert near["head"].to_list() == [atlas.heads["head"][int(i)] for i in order if i != 6]
    assert near["p"].null_count() == 0
    whole = atlas.near(PLANTED, n=7, metric="mean")
    assert not np.allclose(near["distance"], whole["distance"])


def test_a_preset_on_some_prompts(atlas: Atlas) -> None:
    near = atlas.near(PLANTED, n=2, metric="natural", where={"condition": "B"})
    # On these prompts the planted head attends to the first token, as its neighbour does.
    assert near["head"][0] in ("mine:L0:H2", "mine:L1:H2")
    clouds = np.ascontiguousarray(atlas.block_clouds("natural")[1::2])
    expected = head_distances(clouds, "natural")
    assert np.array_equal(atlas.where({"condition": "B"}).distances("natural"), expected)


def test_what_an_atlas_holds_on_some_prompts(atlas: Atlas) -> None:
    some = atlas.where({"condition": "B"})
    assert some.features(PLANTED).names["prompts"] == tuple(ids(atlas, "B"))
    full = atlas.features(PLANTED, ids(atlas, "B"))
    assert np.array_equal(some.features(PLANTED).values, full.values)
    assert set(some.view_prompts()) <= set(ids(atlas, "B"))
    assert some.tokens("mine")["prompt_id"].to_list() == ids(atlas, "B")
    shares = atlas.motif_shares("mine")[1::2]
    column = some.heads["first token share"].to_numpy()
    np.testing.assert_allclose(column, shares.mean(axis=0)[:, 0], atol=1e-6)
    assert some.where({"filling": [1, 2]}).prompts.height == 2
    assert "condition=B" in repr(some)
    explanation = atlas.explain(PLANTED, where={"condition": "B"})
    assert "On 12 prompts" in explanation.sentence
    assert explanation.motifs["first token"] > atlas.explain(PLANTED).motifs["first token"]


def test_nothing_is_written_through_some_prompts(atlas: Atlas) -> None:
    before = (atlas.path / "atlas.json").read_bytes()
    some = atlas.where({"condition": "A"})
    for write in (
        lambda: some.update(stages={}),
        lambda: some.write_heads(some.heads),
        lambda: some.write_prompts(some.prompts),
        lambda: some.finish("x", "y"),
        lambda: distances(some, "mean", force=True),
        lambda: evaluate(some, run_models=False),
    ):
        with pytest.raises(AtlasError, match="on some of its prompts"):
            write()
    assert (atlas.path / "atlas.json").read_bytes() == before


def test_an_evaluation_on_some_prompts_is_not_stored(atlas: Atlas) -> None:
    options: dict[str, Any] = {
        "metrics": ["mean"], "run_models": False, "n_permutations": 19, "n_bootstraps": 0,
    }  # fmt: skip
    evaluate(atlas, where={"condition": "A"}, **options)
    assert not atlas.file("evaluation").is_file()


# Contrast


def test_a_planted_head_is_found_and_no_other(atlas: Atlas) -> None:
    answer = atlas.contrast({"condition": "A"}, {"condition": "B"})
    first = answer.heads.row(0, named=True)
    assert first["head"] == PLANTED
    assert first["q"] <= 0.05
    assert answer.heads["q"][1:].min() > 0.05  # type: ignore[operator]
    assert first["distance"] > 2 * first["noise_95"]
    assert PLANTED in answer.sentence
    assert {first["motif"]} <= {"previous token", "first token"}


def test_a_preset_is_a_space_of_a_contrast(atlas: Atlas) -> None:
    answer = atlas.contrast({"condition": "A"}, {"condition": "B"}, metric="natural", n_splits=99)
    assert answer.space == "natural"
    assert answer.heads["head"][0] == PLANTED


def test_pairs_are_exchanged_within_a_label(atlas: Atlas) -> None:
    answer = atlas.contrast({"condition": "A"}, {"condition": "B"}, within="filling")
    assert answer.exact
    assert answer.n_splits == 2**N_PAIRS
    assert answer.heads["head"][0] == PLANTED
    assert answer.heads["p"][0] == 2 / 2**N_PAIRS


def test_equal_conditions_give_small_p_as_often_as_chance() -> None:
    rng = np.random.default_rng(1)
    is_first = np.arange(16) < 6
    splits, _ = random_splits(is_first, np.zeros(16, dtype=int), 199, rng)
    p = []
    for _ in range(300):
        observed, null = split_distances(rng.normal(size=(16, 3)), is_first, splits)
        p.append((1 + (null >= observed).sum()) / 200)
    assert 0.01 < np.mean(np.array(p) <= 0.05) < 0.1
    assert abs(np.mean(p) - 0.5) < 0.06


def energy_by_definition(a: np.ndarray, b: np.ndarray) -> float:
    """Oracle: the three means of distances, pair by pair."""
    between = np.mean([np.linalg.norm(x - y) for x in a for y in b])
    inside = [np.mean([np.linalg.norm(x - y) for x in s for y in s]) for s in (a, b)]
    return float(np.sqrt(max(2 * between - sum(inside), 0)))


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 5), st.integers(2, 5), st.integers(0, 10**6))
def test_the_distance_is_the_energy_distance(n_a: int, n_b: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n_a + n_b, 3))
    is_first = rng.permutation(np.arange(n_a + n_b) < n_a)
    splits, exact = random_splits(is_first, np.zeros(n_a + n_b, dtype=int), 300, rng)
    assert exact
    assert len({row.tobytes() for row in splits}) == len(splits)
    observed, null = split_distances(points, is_first, splits)
    assert observed == pytest.approx(energy_by_definition(points[is_first], points[~is_first]))
    for split, distance in zip(splits[:5], null, strict=False):
        assert split.sum() == n_a
        expected = energy_by_definition(points[split], points[~split])
        assert distance == pytest.approx(expected, abs=1e-7)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=2, max_size=12))
def test_splits_keep_the_number_of_each_group(labels: list[tuple[int, bool]]) -> None:
    groups = np.array([group for group, _ in labels])
    is_first = np.array([first for _, first in labels])
    try:
        splits, _ = random_splits(is_first, groups, 20, np.random.default_rng(0))
    except InputError:
        return  # each group has prompts of one set only
    for group in np.unique(groups):
        of_group = groups == group
        assert (splits[:, of_group].sum(axis=1) == is_first[of_group].sum()).all()


def test_constant_points_differ_nowhere() -> None:
    is_first = np.arange(8) < 4
    splits, _ = random_splits(is_first, np.zeros(8, dtype=int), 100, np.random.default_rng(0))
    observed, null = split_distances(np.ones((8, 2)), is_first, splits)
    assert observed == 0
    assert (null == 0).all()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"where": {"condition": "A"}, "against": {"topics": "all"}}, "prompts have both"),
        ({"where": {"filling": 0, "condition": "A"}, "against": {"condition": "B"}}, "alone has"),
        ({"where": {"condition": "A"}, "against": {"condition": "B"}, "within": "no"}, "within"),
        ({"where": {"condition": "A"}, "against": {"condition": "B"}, "n_splits": 3}, "n_splits"),
        ({"where": {"condition": "A"}, "against": {"condition": "B"}, "seed": -1}, "seed"),
        ({"where": {"condition": "A"}, "against": {"condition": "B"}, "metric": "no"}, "no"),
        (
            {"where": {"condition": "A"}, "against": {"condition": "B"}, "within": "condition"},
            "no prompts can be exchanged",
        ),
    ],
)
def test_mistakes_of_a_contrast_are_named(
    atlas: Atlas, arguments: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        atlas.contrast(**arguments)


def test_too_few_prompts_to_find_anything_is_said(atlas: Atlas) -> None:
    few = atlas.where({"filling": [0, 1]})
    answer = few.contrast({"condition": "A"}, {"condition": "B"})
    assert answer.exact
    assert "smallest p" in answer.sentence


# The command line


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["motifs", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


def test_the_command_line_filters_and_contrasts(
    atlas: Atlas,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place = ("--atlas", str(atlas.path))
    where = ("--where", "condition=A", "--where", "topics=t0")
    code, out, _ = run(
        monkeypatch, capsys, "near", PLANTED, *place, *where, "--json", "--metric", "mean"
    )
    assert code == 0
    expected = atlas.near(PLANTED, metric="mean", where=parsed_where(["condition=A", "topics=t0"]))
    assert [row["head"] for row in json.loads(out)] == expected["head"].to_list()
    code, out, _ = run(monkeypatch, capsys, "explain", PLANTED, *place, *where, "--json")
    assert "On 4 prompts" in json.loads(out)["sentence"]
    file = tmp_path / "some.npy"
    words = ("distances", "--metric", "mean", *place, *where)
    code, out, _ = run(monkeypatch, capsys, *words, "--out", str(file))
    assert code == 0
    assert np.array_equal(np.load(file), atlas.distances("mean", where=parsed_where(where[1::2])))
    assert run(monkeypatch, capsys, *words)[0] == 2
    sets = ("--where", "condition=A", "--against", "condition=B")
    code, out, _ = run(monkeypatch, capsys, "contrast", *sets, *place, "--json")
    assert json.loads(out)["heads"][0]["head"] == PLANTED
    code, out, _ = run(monkeypatch, capsys, "contrast", *sets, *place, "-n", "1")
    assert out.startswith("1 of 8 heads")
    for bad in (("--where", "condition"), ("--where", "=A"), ("--where", "genre=law")):
        code, _, err = run(monkeypatch, capsys, "near", PLANTED, *place, *bad)
        assert code == 2
        assert "Traceback" not in err
