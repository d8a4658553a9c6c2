"""Classes and scores that only key groups explain: the layer null is fooled, the group null not."""

from __future__ import annotations

import numpy as np
import pytest

from attention_motifs.evaluation import (
    Evidence,
    HeadClass,
    HeadPositions,
    MetricDistances,
    Settings,
    class_recovery,
    evaluate,
)
from attention_motifs.evaluation.key_groups import group_tests

N_LAYERS, N_GROUPS, PER_GROUP = 6, 3, 3
LAYER = np.repeat(np.arange(N_LAYERS), N_GROUPS * PER_GROUP)
GROUP = np.tile(np.repeat(np.arange(N_GROUPS), PER_GROUP), N_LAYERS)
KEY = LAYER * N_GROUPS + GROUP
N = len(LAYER)
HEADS = HeadPositions.of(["m"] * N, LAYER.tolist())


def shared_keys(rng: np.random.Generator) -> np.ndarray:
    """Distances of heads that are alike if they share keys, and for no other reason."""
    points = rng.normal(size=(N_LAYERS * N_GROUPS, 3))[KEY] + 0.3 * rng.normal(size=(N, 3))
    return np.linalg.norm(points[:, None] - points[None], axis=2)


def some_groups(rng: np.random.Generator) -> HeadClass:
    """A class of whole key groups, drawn at random."""
    drawn = rng.permutation(N_LAYERS * N_GROUPS)[:3]
    return HeadClass("groups", "literature", np.isin(KEY, drawn))


def test_a_class_of_key_groups_is_found_by_the_layer_null_alone() -> None:
    rng = np.random.default_rng(0)
    by_layer, by_group = [], []
    for run in range(40):
        distances, drawn = shared_keys(rng), some_groups(rng)
        (found,), _ = class_recovery(distances, [drawn], HEADS, n_permutations=99, seed=run)
        tests = group_tests(
            distances, [drawn], {}, HEADS, {"m": N_GROUPS}, n_permutations=99, seed=run
        )
        by_layer.append(found.average_precision.p)
        by_group.append(tests["m", "literature", "groups", "MAP"])
    assert np.mean(np.array(by_layer) <= 0.05) > 0.5
    assert np.mean(np.array(by_group) <= 0.05) <= 0.15


def test_a_class_across_key_groups_is_found_by_both() -> None:
    rng = np.random.default_rng(1)
    members = rng.permutation(N) < 8
    points = rng.normal(size=(N, 3)) + 4 * members[:, None]
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    scores = {"degree": points[:, 0], "partly missing": np.where(LAYER == 2, np.nan, points[:, 0])}
    result = evaluate(
        {"one": MetricDistances(distances)},
        HEADS,
        Evidence(
            key_groups={"m": N_GROUPS},
            classes=[HeadClass("real", "literature", members)],
            scores=scores,
        ),
        settings=Settings(n_permutations=99, n_bootstraps=0),
    )
    of_class = [row for row in result.rows if row.kind == "literature"]
    assert len(of_class) == 2
    assert all(row.p_groups == 0.01 and row.q <= 0.05 for row in of_class)
    of_scores = {row.name: row for row in result.rows if row.kind == "score"}
    assert of_scores["degree"].p_groups == 0.01
    assert of_scores["partly missing"].p_groups is None


@pytest.mark.parametrize("groups", [{}, {"m": 1}, {"m": N_GROUPS * PER_GROUP}])
def test_without_shared_keys_there_is_no_second_null(groups: dict[str, int]) -> None:
    rng = np.random.default_rng(2)
    found = group_tests(
        shared_keys(rng), [some_groups(rng)], {}, HEADS, groups, n_permutations=9, seed=0
    )
    assert found == {}
