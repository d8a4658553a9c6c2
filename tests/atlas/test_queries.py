from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.blocks import clouds_of
from attention_motifs.atlas.head_distances import head_distances_of
from attention_motifs.atlas.queries import (
    head_feature_means,
    near,
    unusual_features,
    why_nothing_is_near,
)
from attention_motifs.distances import head_distances, metric_names
from attention_motifs.errors import AtlasError, HeadNotFoundError, InputError
from attention_motifs.store import files
from synthetic_atlas import make_synthetic_atlas

MODELS = ("synthetic-0", "org/synthetic-1")
N_LAYERS, N_HEADS, N_PROMPTS = 3, 4, 18
N = len(MODELS) * N_LAYERS * N_HEADS
QUERY = "synthetic-0:L1:H2"


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    return make_synthetic_atlas(
        tmp_path_factory.mktemp("queries") / "atlas",
        n_layers=N_LAYERS,
        n_heads=N_HEADS,
        n_prompts=N_PROMPTS,
    )


@pytest.fixture
def changed(atlas: Atlas, tmp_path: Path) -> Atlas:
    shutil.copytree(atlas.path, tmp_path / "atlas")
    return Atlas.open(tmp_path / "atlas")


def plant(atlas: Atlas, matrix: np.ndarray) -> None:
    files.write_array(atlas.file("distances", metric="mean").path, matrix.astype(np.float32))


# Nearest heads


def test_heads_come_nearest_first_with_their_distances(atlas: Atlas) -> None:
    result = near(atlas, QUERY, n=N)
    row = atlas.distances("mean")[atlas.head_index(QUERY)]
    assert len(result) == N - 1, "the head itself is left out"
    assert QUERY not in {item.head for item in result}
    assert [item.distance for item in result] == [row[atlas.head_index(f.head)] for f in result]
    assert [item.distance for item in result] == sorted(item.distance for item in result)
    assert [item.rank for item in result] == list(range(1, N))


def test_a_neighbour_is_told_with_all_that_is_known_of_it(changed: Atlas) -> None:
    table = changed.heads.with_columns(
        pl.Series("classes", [["induction", "sink"]] * N, dtype=pl.List(pl.String))
    )
    changed.write_heads(table)
    result = near(changed, QUERY, n=1)[0]
    row = table.row(by_predicate=pl.col("head") == result.head, named=True)
    assert result.to_json() == {
        "head": row["head"],
        "distance": result.distance,
        "rank": 1,
        "model": row["model"],
        "layer": row["layer"],
        "index": row["index"],
        "classes": ["induction", "sink"],
        "percentile": result.percentile,
        "p": result.p,
        "measured": {},
    }
    assert json.loads(json.dumps(result.to_json())) == result.to_json()


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, lambda _: True),
        ({"scope": "within"}, lambda h: h["model"] == MODELS[0]),
        ({"scope": "across"}, lambda h: h["model"] == MODELS[1]),
        ({"models": [MODELS[1]]}, lambda h: h["model"] == MODELS[1]),
        ({"models": list(MODELS)}, lambda _: True),
        ({"models": MODELS[1]}, lambda h: h["model"] == MODELS[1]),
        ({"layers": [1]}, lambda h: h["layer"] == 1),
        ({"layers": (0, 2)}, lambda h: h["layer"] in (0, 2)),
        ({"layers": {2, 7, 9}}, lambda h: h["layer"] == 2),
        ({"layers": np.array([0, 2])}, lambda h: h["layer"] in (0, 2)),
        ({"layers": range(1, 3)}, lambda h: h["layer"] >= 1),
        ({"layers": slice(1, None)}, lambda h: h["layer"] >= 1),
        ({"layers": range(2, 1)}, lambda _: False),
        ({"layers": []}, lambda _: False),
        (
            {"scope": "within", "layers": range(2)},
            lambda h: h["model"] == MODELS[0] and h["layer"] <= 1,
        ),
        ({"scope": "within", "models": [MODELS[1]]}, lambda _: False),
    ],
)
@pytest.mark.parametrize("farthest", [False, True])
def test_filters_leave_out_heads_and_change_no_rank(
    atlas: Atlas, filters: dict, expected, farthest: bool
) -> None:
    everything = near(atlas, QUERY, n=N, farthest=farthest)
    kept = {h["head"] for h in atlas.heads.iter_rows(named=True) if expected(h)} - {QUERY}
    result = near(atlas, QUERY, n=N, farthest=farthest, **filters)
    # p compares with the heads that pass the filters; all else is the same.
    assert [replace(item, p=None) for item in result] == [
        replace(item, p=None) for item in everything if item.head in kept
    ]
    assert near(atlas, QUERY, n=2, farthest=farthest, **filters) == result[:2]


@pytest.mark.parametrize(
    "wrong",
    [
        {"head": 5},
        {"head": None},
        {"head": [5]},
        {"metric": None},
        {"metric": ("mean", "cosine")},
        {"metric": 3.0},
        {"n": "3"},
        {"n": 2.5},
        {"n": True},
        {"layers": 5},
        {"layers": "4-9"},
        {"layers": [1.5]},
        {"layers": slice("a", None)},
        {"models": [3]},
        {"models": 3},
        {"scope": 1},
    ],
)
def test_values_of_another_kind_are_refused(atlas: Atlas, wrong: dict) -> None:
    with pytest.raises(InputError) as caught:
        near(atlas, **{"head": QUERY, **wrong})
    assert "\n" not in str(caught.value)


def test_the_reason_for_an_empty_answer_names_what_the_atlas_holds(atlas: Atlas) -> None:
    why = why_nothing_is_near(atlas, QUERY, scope="within", layers=[7])
    assert "synthetic-0 has layers 0 to 2" in why
    assert "org/synthetic-1" not in why
    why = why_nothing_is_near(atlas, QUERY, scope="within", models=[MODELS[1]])
    assert MODELS[0] in why


def test_farthest_is_the_other_way_round(atlas: Atlas) -> None:
    farthest, nearest = (near(atlas, QUERY, n=N, farthest=far) for far in (True, False))
    # p is about the k-th nearest, or the k-th farthest.
    assert [replace(f, p=None) for f in farthest] == [replace(f, p=None) for f in nearest[::-1]]


def test_equal_distances_keep_the_order_of_the_heads(changed: Atlas) -> None:
    plant(changed, 1.0 - np.eye(N))
    names = [name for name in changed.heads["head"].to_list() if name != QUERY]
    assert [item.head for item in near(changed, QUERY, n=N)] == names


def test_the_stored_matrix_is_asked_and_not_computed_again(changed: Atlas) -> None:
    matrix = np.full((N, N), 9.0)
    twin = changed.head_index("org/synthetic-1:L0:H3")
    matrix[:, twin] = matrix[twin] = 2.5
    np.fill_diagonal(matrix, 0)
    plant(changed, matrix)
    result = near(changed, QUERY, n=1)[0]
    assert (result.head, result.distance, result.rank) == ("org/synthetic-1:L0:H3", 2.5, 1)


NEED_MORE = {"probes", "recommended", "tokens"}
"""Presets with blocks that the synthetic atlas lacks."""


@pytest.mark.parametrize("metric", sorted(set(metric_names()) - {"gromov-wasserstein", *NEED_MORE}))
def test_a_metric_without_a_matrix_is_computed_for_the_head(atlas: Atlas, metric: str) -> None:
    query = atlas.head_index(QUERY)
    expected = head_distances(clouds_of(atlas, metric).array, metric=metric)[query]
    assert np.allclose(head_distances_of(atlas, metric).row(query), expected, rtol=1e-4, atol=1e-5)
    assert not atlas.file("distances", metric="energy").path.exists(), (
        "nothing is written by asking"
    )


@pytest.mark.parametrize("metric", sorted(NEED_MORE))
def test_a_preset_whose_blocks_are_missing_is_refused_with_the_command(
    atlas: Atlas, metric: str
) -> None:
    with pytest.raises(AtlasError, match="motifs probe --atlas"):
        near(atlas, QUERY, metric=metric)


def test_a_metric_too_slow_for_all_heads_ranks_a_shortlist(atlas: Atlas) -> None:
    result = near(atlas, QUERY, n=N, metric="gromov-wasserstein")
    assert len(result) == N - 1
    assert all(np.isfinite(item.distance) for item in result)
    assert [item.rank for item in result] == list(range(1, N))


@pytest.mark.parametrize("n", [0, -1])
def test_fewer_than_one_neighbour_is_a_mistake(atlas: Atlas, n: int) -> None:
    with pytest.raises(InputError, match=f"-n {n}: give a whole number, 1 or more"):
        near(atlas, QUERY, n=n)


def test_what_is_not_there_is_named(atlas: Atlas) -> None:
    with pytest.raises(InputError, match="scope 'other': choose all, within or across"):
        near(atlas, QUERY, scope="other")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"model 'gpt2' is not in this atlas; it has synthetic-0"):
        near(atlas, QUERY, models=["gpt2"])
    with pytest.raises(InputError, match="cosine"):
        near(atlas, QUERY, metric="cosin")
    with pytest.raises(HeadNotFoundError, match="layers 0 to 2 and heads 0 to 3"):
        near(atlas, "synthetic-0:L9:H0")


def test_without_an_embedding_there_is_nothing_to_compute(changed: Atlas) -> None:
    shutil.rmtree(changed.path / "embedded")
    assert near(changed, QUERY, n=1), "the stored matrix is enough for its metric"
    with pytest.raises(AtlasError, match=r"not found; run `motifs embed"):
        near(changed, QUERY, metric="cosine")


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**31), st.integers(0, N - 1), st.integers(1, N + 3))
def test_near_is_a_sort_of_a_row(atlas: Atlas, seed: int, query: int, n: int) -> None:
    matrix = np.random.default_rng(seed).integers(0, 5, (N, N)).astype(np.float32)  # many ties
    np.fill_diagonal(matrix, 0)
    other = Atlas(atlas.paths, atlas.manifest)
    other.distances = lambda _metric="mean": matrix  # type: ignore[method-assign]
    heads = atlas.heads["head"].to_list()
    expected = sorted((matrix[query, i], i) for i in range(N) if i != query)[:n]
    result = near(other, heads[query], n=n)
    assert [(item.distance, heads.index(item.head)) for item in result] == expected


# What is unusual about a head


def plant_features(atlas: Atlas, head: str, name: str, values: list[float]) -> None:
    """Set one feature of a head on the prompts, and of all other heads to 0."""
    model = atlas.heads.row(by_predicate=pl.col("head") == head, named=True)["model"]
    row = 0
    for block, part in enumerate(atlas.feature_parts(model)):
        of_model = (part["head"] == head).to_numpy()
        column = np.zeros(len(part), np.float32)
        n = int(of_model.sum())
        column[of_model] = values[row : row + n]
        row += n
        table = part.with_columns(pl.Series(name, column))
        files.write_parquet(atlas.file("features", model=model, block=block).path, table)
    for other in atlas.models:
        if other != model:
            for block, part in enumerate(atlas.feature_parts(other)):
                table = part.with_columns(pl.lit(0.0, dtype=pl.Float32).alias(name))
                files.write_parquet(atlas.file("features", model=other, block=block).path, table)


def test_a_planted_feature_is_the_most_unusual_one(changed: Atlas) -> None:
    values = np.linspace(5, 7, N_PROMPTS).tolist()
    plant_features(changed, QUERY, "diag.kurtosis", values)
    first = unusual_features(changed, QUERY, n=3)[0]
    assert first.feature == "diag.kurtosis"
    assert first.mean == pytest.approx(6.0, rel=1e-6)
    # One value of 6 among N - 1 of 0: (6 - 6/N) over the spread 6 sqrt(N - 1) / N.
    assert first.z == pytest.approx(np.sqrt(N - 1), rel=1e-5)
    assert first.percentile == pytest.approx(100 * (N - 1) / N)
    other = next(
        u for u in unusual_features(changed, "synthetic-0:L0:H0", n=99)
        if u.feature == "diag.kurtosis"
    )  # fmt: skip
    assert other.mean == 0
    assert other.z == pytest.approx(-1 / np.sqrt(N - 1), rel=1e-5)
    assert other.percentile == 0


def test_values_that_are_not_finite_are_left_out_of_means(changed: Atlas) -> None:
    values = [np.nan, np.inf, -np.inf, *np.full(N_PROMPTS - 3, 2.0)]
    plant_features(changed, QUERY, "diag.kurtosis", values)
    means = head_feature_means(changed, ["diag.kurtosis"])
    assert means[changed.head_index(QUERY), 0] == 2.0
    plant_features(changed, QUERY, "diag.kurtosis", [np.nan] * N_PROMPTS)
    means = head_feature_means(changed, ["diag.kurtosis"])
    assert not means.any(), "a feature that is never finite counts as 0"


def test_means_are_over_all_prompts_in_the_order_of_the_heads(atlas: Atlas) -> None:
    names = ["diag.mean", "first_tok.mean"]
    means = head_feature_means(atlas, names)
    tables = [part for model in atlas.models for part in atlas.feature_parts(model)]
    expected = pl.concat(tables).group_by("head").agg(pl.col(names).cast(pl.Float64).mean())
    assert means.shape == (N, 2)
    for head, *values in expected.iter_rows():
        assert np.allclose(means[atlas.head_index(head)], values, rtol=1e-6)


def test_unusual_features_come_largest_first_and_constant_ones_last(atlas: Atlas) -> None:
    result = unusual_features(atlas, QUERY, n=999)
    assert [u.feature for u in result[:5]] == [
        u.feature for u in unusual_features(atlas, QUERY, n=5)
    ]
    sizes = [abs(u.z) for u in result]
    assert sizes == sorted(sizes, reverse=True)
    assert len(result) == 94
    means_of_histograms = [u for u in result if u.feature.endswith("hist.mean")]
    assert [u.z for u in means_of_histograms] == [0.0] * 6
    assert all(0 <= u.percentile <= 100 for u in result)


def test_a_head_that_is_not_there_has_no_features(atlas: Atlas) -> None:
    with pytest.raises(HeadNotFoundError):
        unusual_features(atlas, "synthetic-0:L0:H99")


# Several heads, and heads left out


def test_of_several_heads_the_mean_distance_counts(atlas: Atlas) -> None:
    names: list[str] = atlas.heads["head"].to_list()
    queries = [QUERY, names[0], QUERY]
    mean = atlas.distances("mean")[[names.index(QUERY), 0]].mean(axis=0)
    result = near(atlas, queries, n=4)
    assert [x.distance for x in result] == pytest.approx(
        sorted(d for i, d in enumerate(mean) if names[i] not in queries)[:4]
    )
    assert [x.rank for x in result] == [1, 2, 3, 4]
    assert not {x.head for x in result} & set(queries)
    assert near(atlas, [QUERY], n=3) == near(atlas, QUERY, n=3)
    farthest = near(atlas, queries, n=1, farthest=True)[0]
    assert farthest.rank == len(names) - 2


def test_heads_and_models_can_be_left_out(atlas: Atlas) -> None:
    everything = near(atlas, QUERY, n=100)
    first = everything[0]
    rest = near(atlas, QUERY, n=100, without=first.head)
    # The p of a head compares it with the candidates that are left.
    assert [replace(x, p=None) for x in rest] == [replace(x, p=None) for x in everything[1:]]
    assert near(atlas, QUERY, models=[]) == []
    others = near(atlas, QUERY, n=100, without_models=atlas.models[0])
    assert [x.head for x in others] == [x.head for x in everything if x.model != atlas.models[0]]
    with pytest.raises(InputError, match="is not in this atlas"):
        near(atlas, QUERY, without_models="nothing")
    with pytest.raises(InputError, match="no head is named"):
        near(atlas, [])
