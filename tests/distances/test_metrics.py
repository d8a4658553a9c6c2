from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_motifs.distances import (
    get_metric,
    head_distances,
    metric_names,
    random_directions,
    sliced_wasserstein,
)
from distances.clouds import FAST, clouds, gaussian, oracle, relative_error

QUICK = settings(max_examples=25)
CLOUD_METRICS = ("cosine", "centroid", "wasserstein", "sliced-wasserstein", "energy")


def tolerance(embedded: np.ndarray, metric: str) -> float:
    """Rounding of float32 results, in units of the largest point."""
    if metric in {"cosine", "natural"}:
        return 1e-5
    # The energy distance is a root: an error of 1e-16 in its square shows as 1e-8.
    return 1e-5 * float(1 + np.abs(embedded).max()) * np.sqrt(embedded.shape[2])


@pytest.mark.parametrize("metric", FAST)
@QUICK
@given(embedded=clouds())
def test_is_symmetric_non_negative_and_zero_on_the_diagonal(
    metric: str, embedded: np.ndarray
) -> None:
    distances = head_distances(embedded, metric)
    assert distances.dtype == np.float32
    assert np.array_equal(distances, distances.T)
    assert (np.diagonal(distances) == 0).all()
    assert (distances >= 0).all()


@pytest.mark.parametrize("metric", [m for m in FAST if get_metric(m).triangle])
@QUICK
@given(embedded=clouds())
def test_triangle_inequality(metric: str, embedded: np.ndarray) -> None:
    distances = head_distances(embedded, metric).astype(np.float64)
    detours = (distances[:, :, None] + distances[None, :, :]).min(axis=1)
    assert (distances <= detours + tolerance(embedded, metric)).all()


def test_cosine_breaks_the_triangle_inequality_as_declared() -> None:
    points = np.array([[[1, 0], [1, 1], [0, 1]]], np.float32)
    distances = head_distances(points, "cosine")
    assert distances[0, 2] > distances[0, 1] + distances[1, 2]
    assert not get_metric("cosine").triangle


@pytest.mark.parametrize("metric", FAST)
@QUICK
@given(embedded=clouds(max_heads=4))
def test_agrees_with_the_plain_definition(metric: str, embedded: np.ndarray) -> None:
    got, want = head_distances(embedded, metric), oracle(embedded, metric)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=tolerance(embedded, metric))


@pytest.mark.parametrize("metric", FAST)
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 3, 1), (7, 1, 4), (3, 4, 1), (1, 5, 16)])
def test_degenerate_sizes(metric: str, shape: tuple[int, int, int]) -> None:
    embedded = gaussian(*shape)
    got, want = head_distances(embedded, metric), oracle(embedded, metric)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("metric", "n_heads"),
    # Two whole tiles and a part of one; the exact distance works in tiles of 16.
    [(m, 37 if m == "wasserstein" else 261) for m in FAST],
)
def test_relative_error_over_several_tiles(metric: str, n_heads: int) -> None:
    # 67 prompts leave a chunk of 3.
    embedded = gaussian(67, n_heads, 6, seed=1)
    got = head_distances(embedded, metric, budget_seconds=np.inf)
    chosen = np.array([0, 1, 15, 16, 31, 32, n_heads - 1])
    want = oracle(embedded[:, chosen], metric)
    assert relative_error(got[np.ix_(chosen, chosen)], want) < 1e-5


def test_mean_keeps_its_accuracy_over_many_prompts() -> None:
    embedded = gaussian(20_000, 3, 4, seed=2)
    assert relative_error(head_distances(embedded), oracle(embedded, "mean")) < 2e-7


@pytest.mark.parametrize("metric", FAST)
def test_equal_heads_have_distance_zero(metric: str) -> None:
    embedded = np.repeat(gaussian(40, 1, 16), 4, axis=1)
    # Unit vectors and roots of rounded sums leave an error of float64, no more.
    assert head_distances(embedded, metric).max() < 1e-7


@pytest.mark.parametrize("metric", ["mean", "centroid"])
def test_close_heads_far_from_the_origin_keep_their_distance(metric: str) -> None:
    embedded = np.repeat(gaussian(50, 1, 16) * 100, 2, axis=1)
    embedded[:, 1, 3] = np.nextafter(embedded[:, 0, 3], np.float32(np.inf))
    got, want = head_distances(embedded, metric), oracle(embedded, metric)
    assert 0 < want[0, 1] < 1e-4
    assert relative_error(got, want) < 1e-5


def test_cosine_of_close_heads_does_not_cancel() -> None:
    embedded = np.repeat(gaussian(1, 1, 16), 2, axis=1)
    embedded[0, 1, 3] *= np.float32(1 + 1e-6)
    x, y = embedded[0].astype(np.longdouble)
    u, v = x / np.sqrt(x @ x), y / np.sqrt(y @ y)
    want = float(((u - v) ** 2).sum() / 2)
    assert 0 < want < 1e-12
    assert head_distances(embedded, "cosine")[0, 1] == pytest.approx(want, rel=1e-3)


def test_a_preset_with_a_zero_cloud_is_one() -> None:
    embedded = np.array([[[0, 0], [3, 4], [0, 1]], [[0, 0], [-3, -4], [0, 1]]], np.float32)
    expected = np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    np.testing.assert_allclose(head_distances(embedded, "natural"), expected, atol=1e-7)


def test_a_preset_is_cosine_where_there_is_one_prompt() -> None:
    embedded = gaussian(1, 9, 5)
    one, other = (head_distances(embedded, m) for m in ("natural", "cosine"))
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_preset_pairs_the_prompts() -> None:
    embedded = gaussian(6, 2, 3)
    other = embedded.copy()
    other[:, 0] = embedded[::-1, 0]
    before, after = (head_distances(e, "natural")[0, 1] for e in (embedded, other))
    assert abs(before - after) > 0.01
    both = head_distances(embedded[::-1], "natural")[0, 1]
    assert both == pytest.approx(before, abs=1e-6)


def test_cosine_with_a_zero_mean_is_one() -> None:
    embedded = np.array([[[0, 0], [0, 0], [3, 4], [-3, -4]]], np.float32)
    expected = np.array([[0, 1, 1, 1], [1, 0, 1, 1], [1, 1, 0, 2], [1, 1, 2, 0]])
    np.testing.assert_allclose(head_distances(embedded, "cosine"), expected, atol=1e-7)


@pytest.mark.parametrize("metric", ["mean", "centroid"])
@QUICK
@given(embedded=clouds(), seed=st.integers(0, 99))
def test_a_translation_per_prompt_common_to_all_heads_changes_nothing(
    metric: str, embedded: np.ndarray, seed: int
) -> None:
    shift = gaussian(embedded.shape[0], 1, embedded.shape[2], seed=seed) * 10
    before, after = head_distances(embedded, metric), head_distances(embedded + shift, metric)
    np.testing.assert_allclose(before, after, atol=10 * tolerance(embedded, metric))


def test_cloud_metrics_do_change_under_a_translation_per_prompt() -> None:
    embedded, shift = gaussian(9, 3, 4), gaussian(9, 1, 4, seed=1) * 10
    for metric in ("wasserstein", "sliced-wasserstein", "energy"):
        before, after = head_distances(embedded, metric), head_distances(embedded + shift, metric)
        assert np.abs(before - after).max() > 0.01


@pytest.mark.parametrize("metric", CLOUD_METRICS)
@QUICK
@given(embedded=clouds(), seed=st.integers(0, 99))
def test_clouds_have_no_order_of_prompts(metric: str, embedded: np.ndarray, seed: int) -> None:
    shuffled = np.random.default_rng(seed).permuted(np.arange(len(embedded)))
    other = embedded.copy()
    other[:, 0] = embedded[shuffled, 0]
    before, after = head_distances(embedded, metric), head_distances(other, metric)
    np.testing.assert_allclose(before, after, atol=tolerance(embedded, metric))


def test_mean_does_change_with_the_order_of_the_prompts_of_one_head() -> None:
    embedded = gaussian(6, 2, 3)
    other = embedded.copy()
    other[:, 0] = embedded[::-1, 0]
    assert abs(head_distances(embedded)[0, 1] - head_distances(other)[0, 1]) > 0.01


@pytest.mark.parametrize("metric", ["cosine", "natural"])
@QUICK
@given(embedded=clouds(), scale=st.floats(0.125, 8))
def test_cosines_ignore_a_scale_per_head(metric: str, embedded: np.ndarray, scale: float) -> None:
    other = embedded.copy()
    other[:, 0] *= np.float32(scale)
    before, after = head_distances(embedded, metric), head_distances(other, metric)
    np.testing.assert_allclose(before, after, atol=1e-4)


@pytest.mark.parametrize(
    "metric", ["mean", "cosine", "natural", "centroid", "wasserstein", "energy"]
)
def test_a_rotation_changes_nothing(metric: str) -> None:
    assert "a rotation or reflection of the space" in get_metric(metric).invariances
    embedded = gaussian(8, 5, 6)
    rotation = random_directions(6, 6, seed=3).astype(np.float32)
    before, after = head_distances(embedded, metric), head_distances(embedded @ rotation, metric)
    np.testing.assert_allclose(before, after, rtol=1e-5, atol=1e-6)


@QUICK
@given(embedded=clouds())
def test_the_metrics_bound_each_other(embedded: np.ndarray) -> None:
    slack = tolerance(embedded, "mean")
    mean, transport, centroid, sliced = (
        head_distances(embedded, m)
        for m in ("mean", "wasserstein", "centroid", "sliced-wasserstein")
    )
    assert (centroid <= transport + slack).all()
    assert (sliced <= transport + slack).all()
    assert (transport <= mean + slack).all()


def test_sliced_distance_in_one_dimension_is_exact() -> None:
    embedded = gaussian(30, 4, 1)
    sliced, exact = (head_distances(embedded, m) for m in ("sliced-wasserstein", "wasserstein"))
    np.testing.assert_allclose(sliced, exact, rtol=1e-5)


def test_sliced_distance_depends_on_the_seed_only() -> None:
    embedded = gaussian(20, 6, 5)
    first, again = (head_distances(embedded, sliced_wasserstein(8, seed=1)) for _ in range(2))
    other = head_distances(embedded, sliced_wasserstein(8, seed=2))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other, rtol=1e-3)


def test_random_directions_are_orthonormal_in_sets() -> None:
    directions = random_directions(10, 4)
    assert directions.shape == (10, 4)
    np.testing.assert_allclose(directions[:4] @ directions[:4].T, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1, atol=1e-12)


def test_energy_is_zero_only_for_equal_clouds() -> None:
    embedded = gaussian(12, 3, 2)
    embedded[:, 1] = embedded[::-1, 0]
    distances = head_distances(embedded, "energy")
    assert distances[0, 1] < 1e-7 < 0.01 < distances[0, 2]


def test_default_metric_is_first() -> None:
    assert metric_names()[0] == "mean"
