from __future__ import annotations

import numpy as np
import pytest

from attention_motifs.errors import InputError
from attention_motifs.evaluation import ClassRecovery, HeadClass, HeadPositions, class_recovery


def between(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[:, None] - points[None], axis=-1).astype(np.float32)


def positions(n_layers: int, per_layer: int, *models: str) -> HeadPositions:
    layer = np.repeat(np.arange(n_layers), per_layer).tolist()
    return HeadPositions.of([m for m in models for _ in layer], layer * len(models))


def computed(members: np.ndarray, name: str = "induction") -> HeadClass:
    return HeadClass(name, "computed", members)


def by_model(results: tuple[ClassRecovery, ...]) -> dict[str, ClassRecovery]:
    return {result.model: result for result in results}


def test_a_planted_cluster_is_found_within_and_across_models() -> None:
    heads = positions(8, 6, "a", "b")
    rng = np.random.default_rng(0)
    points = rng.normal(size=(96, 3))
    members = np.zeros(96, dtype=bool)
    members[[3, 10, 19, 22, 31, 40, 50, 59, 66, 70, 81, 90]] = True
    points[members] = 20 + 0.1 * rng.normal(size=(12, 3))
    measured, too_few = class_recovery(
        between(points), [computed(members)], heads, n_permutations=199
    )
    assert too_few == ()
    assert list(by_model(measured)) == ["a", "b", "a -> b", "b -> a"]
    for result in measured:
        assert result.auroc.value == pytest.approx(1)
        assert result.average_precision.value == pytest.approx(1)
        assert result.purity.value == pytest.approx(1)
        for test in (result.auroc, result.average_precision, result.purity):
            assert test.p == pytest.approx(1 / 200)
            assert test.null_mean < test.null_95 < test.value
        assert (result.n_queries, result.n_heads) == (6, 6)


def test_layers_alone_score_high_but_are_not_significant() -> None:
    # Position is the layer and noise; the class is half of the heads of the middle layers.
    p_values, aurocs = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        heads = positions(12, 8, "a")
        points = heads.layers[:, None] + 0.3 * rng.normal(size=(96, 1))
        members = np.zeros(96, dtype=bool)
        for layer in (5, 6, 7):
            members[layer * 8 + rng.permutation(8)[:4]] = True
        (result,), _ = class_recovery(
            between(points), [computed(members)], heads, n_permutations=200, seed=seed
        )
        aurocs.append(result.auroc.value)
        p_values.append(result.auroc.p)
        assert result.auroc.null_mean > 0.8
    assert min(aurocs) > 0.8
    assert np.median(p_values) > 0.2
    assert sum(p <= 0.05 for p in p_values) <= 2


def test_all_heads_of_the_middle_layers_have_p_one() -> None:
    heads = positions(12, 6, "a")
    points = heads.layers[:, None] + 0.3 * np.random.default_rng(0).normal(size=(72, 1))
    members = np.isin(heads.layers, [5, 6])
    (result,), _ = class_recovery(between(points), [computed(members)], heads, n_permutations=99)
    assert result.auroc.value > 0.9
    for test in (result.auroc, result.average_precision, result.purity):
        assert test.p == 1.0
        assert test.null_95 == pytest.approx(test.value)
    assert result.p_floor == 1.0


def test_random_labels_are_at_chance_with_p_spread_out() -> None:
    rng = np.random.default_rng(5)
    heads = positions(10, 8, "a")
    classes = []
    for i in range(60):
        members = np.zeros(80, dtype=bool)
        members[rng.permutation(80)[:8]] = True
        classes.append(computed(members, f"random {i}"))
    measured, _ = class_recovery(
        between(rng.normal(size=(80, 5))), classes, heads, n_permutations=99
    )
    assert np.mean([r.auroc.value for r in measured]) == pytest.approx(0.5, abs=0.03)
    p = np.array([r.auroc.p for r in measured])
    assert 0.35 < p.mean() < 0.65
    assert (p <= 0.1).mean() < 0.25
    assert (p > 0.5).mean() > 0.3
    assert (p <= 0.25).mean() > 0.08


def test_small_classes_are_listed_and_not_scored() -> None:
    heads = positions(4, 4, "a", "b")
    members = np.zeros(32, dtype=bool)
    members[[0, 5, 16, 21, 26]] = True  # two in a, three in b
    absent = np.zeros(32, dtype=bool)
    distances = between(np.random.default_rng(0).normal(size=(32, 2)))
    measured, too_few = class_recovery(
        distances, [computed(members), computed(absent, "sink")], heads, n_permutations=9
    )
    assert [(r.model, r.n_queries, r.n_heads) for r in measured] == [("b", 3, 3), ("a -> b", 2, 3)]
    listed = [(t.model, t.name, t.n_queries, t.n_heads, t.needed) for t in too_few]
    assert listed == [
        ("a", "induction", 2, 2, 3),
        ("a", "sink", 0, 0, 3),
        ("b", "sink", 0, 0, 3),
        ("b -> a", "induction", 3, 2, 3),
    ]


def test_few_arrangements_set_a_floor_under_p() -> None:
    heads = positions(3, 2, "a")
    members = np.array([True, False] * 3)
    points = np.where(members, 0.0, 10.0)[:, None] + np.arange(6)[:, None] * 0.01
    (result,), _ = class_recovery(between(points), [computed(members)], heads)
    assert result.auroc.value == 1.0
    assert result.p_floor == pytest.approx(1 / 8)
    # The class and its mirror image, which is as compact: two of the eight sets.
    assert result.auroc.p == pytest.approx(2 / 8, abs=0.05)


def test_queries_and_candidates_are_permuted_in_both_models() -> None:
    # In b the class is all of its layer, but in a the queries are free to change.
    heads = HeadPositions.of(["a"] * 6 + ["b"] * 6, [0] * 6 + [0] * 3 + [1] * 3)
    members = np.array([1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0], dtype=bool)
    points = np.where(members, 0.0, 5.0)[:, None]
    measured, _ = class_recovery(between(points), [computed(members)], heads, n_permutations=199)
    across = by_model(measured)["a -> b"]
    assert across.auroc.value == 1.0
    assert across.auroc.p < 0.15
    assert across.auroc.null_mean == pytest.approx(0.5, abs=0.1)
    assert across.p_floor == pytest.approx(1 / 20)


def test_a_row_does_not_depend_on_other_classes_and_repeats() -> None:
    rng = np.random.default_rng(2)
    heads = positions(6, 8, "a")
    distances = between(rng.normal(size=(48, 2)))
    first, second = computed(rng.random(48) < 0.3, "x"), computed(rng.random(48) < 0.3, "y")
    alone, _ = class_recovery(distances, [first], heads, n_permutations=50, seed=7)
    both, _ = class_recovery(distances, [second, first], heads, n_permutations=50, seed=7)
    assert alone[0] == both[1]
    other, _ = class_recovery(distances, [first], heads, n_permutations=50, seed=8)
    assert other[0].auroc.value == alone[0].auroc.value
    assert other[0].auroc.null_mean != alone[0].auroc.null_mean


def test_a_class_that_is_the_whole_model_has_no_auroc() -> None:
    heads = positions(2, 2, "a")
    (result,), _ = class_recovery(
        between(np.arange(4.0)[:, None]), [computed(np.ones(4, dtype=bool))], heads
    )
    assert np.isnan(result.auroc.value)
    assert np.isnan(result.auroc.p)
    assert result.average_precision.value == 1.0


def test_what_cannot_be_scored_is_refused_in_one_line() -> None:
    heads = positions(2, 3, "a")
    good = between(np.arange(6.0)[:, None])
    members = computed(np.ones(6, dtype=bool))
    bad = good.copy()
    bad[0, 1] = np.nan
    cases = [
        (bad, [members], {}),
        (good[:4, :4], [members], {}),
        (good, [computed(np.ones(6))], {}),
        (good, [computed(np.ones(5, dtype=bool))], {}),
        (good, [members], {"n_permutations": 0}),
        (good, [members], {"n_neighbours": 0}),
        (good, [members], {"min_heads": 1}),
        (good, [members], {"seed": -1}),
    ]
    for distances, classes, options in cases:
        with pytest.raises(InputError) as caught:
            class_recovery(distances, classes, heads, **options)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError):
        HeadPositions.of(["a"], [0, 1])
    with pytest.raises(InputError):
        HeadPositions.of([], [])
