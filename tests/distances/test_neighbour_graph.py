from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from attention_motifs.distances.neighbour_graph import (
    Neighbours,
    check_distances,
    geodesics,
    graph_of,
    join_by_rows,
    join_pieces,
    nearest_in,
    neighbour_graph,
    rank_preservation,
    ranked_neighbours,
    sampled_rank_preservation,
)
from attention_motifs.errors import InputError


def distances(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[:, None] - points[None], axis=-1)


# Whole numbers, so that equal points and ties are common.
clouds = st.integers(1, 14).flatmap(
    lambda n: arrays(np.float64, (n, 2), elements=st.integers(-3, 3).map(float))
)


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 30), st.integers(1, 8), st.integers(1, 4))
def test_a_few_neighbours_are_the_first_of_all(seed: int, n: int, k: int, levels: int) -> None:
    """Also with ties, and where some distances are infinite."""
    rng = np.random.default_rng(seed)
    D = rng.integers(0, levels, size=(n, n)).astype(np.float32)
    D = np.maximum(D, D.T)
    if seed % 3 == 0:
        D[rng.random((n, n)) < 0.2] = np.inf
    np.fill_diagonal(D, 0.0)
    order = np.argsort(D, axis=1, kind="stable")
    expected = [[j for j in row if j != i][:k] for i, row in enumerate(order.tolist())]
    assert ranked_neighbours(D, k).tolist() == expected
    few = nearest_in(D, k)
    assert few.heads.tolist() == expected
    assert np.array_equal(few.distances, np.take_along_axis(D, few.heads.astype(int), axis=1))


def test_check_mends_rounding_and_leaves_the_input_alone() -> None:
    D = distances(np.arange(6.0).reshape(3, 2)).astype(np.float32)
    D[0, 1] *= np.float32(1 + 1e-6)
    D[2, 2] = -1e-7
    before = D.copy()
    checked = check_distances(D)
    assert np.array_equal(D, before)
    assert checked.dtype == np.float64
    assert np.array_equal(checked, checked.T)
    assert not np.diag(checked).any()
    assert checked.min() >= 0


@pytest.mark.parametrize(
    ("place", "value"),
    [((0, 1), np.nan), ((1, 0), np.inf), ((0, 2), -1.0), ((0, 1), 9.0), ((1, 1), 2.0)],
)
def test_check_names_the_entry(place: tuple[int, int], value: float) -> None:
    D = distances(np.arange(6.0).reshape(3, 2))
    D[place] = value
    with pytest.raises(InputError) as raised:
        check_distances(D)
    assert "\n" not in str(raised.value)
    assert f"[{place[0]}, {place[1]}]" in str(raised.value)


@pytest.mark.parametrize("shape", [(0, 0), (2, 3), (4,)])
def test_check_refuses_what_is_not_square(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError):
        check_distances(np.zeros(shape))


def test_a_twin_at_distance_zero_is_a_neighbour_and_the_head_itself_is_not() -> None:
    D = distances(np.array([[0.0], [0.0], [3.0]]))
    assert ranked_neighbours(D).tolist() == [[1, 2], [0, 2], [0, 1]]


def test_two_far_groups_are_two_pieces_joined_by_their_shortest_link() -> None:
    points = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
    D = distances(points)
    graph = neighbour_graph(D, 1)
    assert graph.n_pieces == 2
    assert np.isinf(geodesics(graph)[0, 5])
    joined = join_pieces(graph, D)
    assert joined.n_joined == 1
    assert joined.edges[-1].tolist() == [2, 3]
    assert np.array_equal(geodesics(joined), np.abs(points - points.T))


def test_pieces_at_distance_zero_from_each_other_are_joined_too() -> None:
    D = distances(np.repeat([[0.0], [4.0]], 4, axis=0))
    # one neighbour each: ties go to the first head, so all of a group hang together
    far = join_pieces(neighbour_graph(D, 1), D)
    assert np.array_equal(geodesics(far), D)
    # four heads at distance 0, whose graph we tear in two by hand
    twins = np.zeros((4, 4))
    graph = neighbour_graph(twins, 1)
    torn = type(graph)(np.array([[0, 1], [2, 3]]), np.zeros(2), 4, n_pieces=2)
    assert not geodesics(join_pieces(torn, twins)).any()


@settings(max_examples=60)
@given(clouds, st.integers(1, 16))
def test_joined_graphs_reach_every_head_by_paths_no_shorter_than_the_distance(
    points: np.ndarray, k: int
) -> None:
    D = distances(points)
    graph = neighbour_graph(D, k)
    joined = join_pieces(graph, D)
    paths = geodesics(joined)
    assert joined.n_joined == graph.n_pieces - 1
    assert np.isfinite(paths).all()
    assert np.allclose(paths, paths.T)
    assert (paths >= D - 1e-9).all()
    assert len(np.unique(joined.edges, axis=0)) == len(joined.edges)


@settings(max_examples=30)
@given(clouds)
def test_with_all_neighbours_paths_are_the_distances(points: np.ndarray) -> None:
    D = distances(points)
    graph = neighbour_graph(D, len(D))
    assert graph.n_pieces == 1
    assert np.allclose(geodesics(graph), D)


@settings(max_examples=30)
@given(clouds, st.integers(1, 5))
def test_more_neighbours_never_make_more_pieces(points: np.ndarray, k: int) -> None:
    D = distances(points)
    assert neighbour_graph(D, k + 1).n_pieces <= neighbour_graph(D, k).n_pieces


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(5, 25))
def test_trustworthiness_is_scikit_learns_and_continuity_is_its_mirror(seed: int, n: int) -> None:
    from sklearn.manifold import trustworthiness

    rng = np.random.default_rng(seed)
    points, picture = rng.normal(size=(n, 6)), rng.normal(size=(n, 2))
    k = int(rng.integers(1, (n - 1) // 2 + 1))
    ours, mirrored = rank_preservation(distances(points), picture, k)
    assert ours == pytest.approx(trustworthiness(points, picture, n_neighbors=k))
    assert mirrored == pytest.approx(trustworthiness(picture, points, n_neighbors=k))


def test_a_faithful_picture_scores_one_and_a_shuffled_one_far_less() -> None:
    points = np.random.default_rng(3).normal(size=(50, 2))
    assert rank_preservation(distances(points), points) == (1.0, 1.0)
    shuffled = np.random.default_rng(4).permutation(points)
    assert max(rank_preservation(distances(points), shuffled)) < 0.7
    assert rank_preservation(np.zeros((2, 2)), np.zeros((2, 2))) == (1.0, 1.0)
    with pytest.raises(InputError, match="1 to 24"):
        rank_preservation(distances(points), points, k=25)


def listed(D: np.ndarray, k: int) -> Neighbours:
    """The k nearest heads of each, from all pairs."""
    heads = ranked_neighbours(D)[:, :k]
    return Neighbours(
        heads.astype(np.int32), np.take_along_axis(D, heads, axis=1).astype(np.float32)
    )


@given(clouds, st.integers(1, 6), st.integers(0, 6))
def test_the_graph_of_lists_is_that_of_all_pairs(points: np.ndarray, k: int, more: int) -> None:
    D = distances(points)
    expected, result = neighbour_graph(D, k), graph_of(listed(D, k + more), k)
    np.testing.assert_array_equal(result.edges, expected.edges)
    np.testing.assert_allclose(result.lengths, expected.lengths, rtol=1e-6)
    assert (result.n_heads, result.n_pieces) == (expected.n_heads, expected.n_pieces)


@given(clouds, st.integers(1, 3))
def test_pieces_are_joined_without_all_pairs(points: np.ndarray, k: int) -> None:
    D = distances(points)
    graph = neighbour_graph(D, k)
    joined = join_by_rows(graph, lambda heads: D[heads])
    assert np.isfinite(geodesics(joined)).all()
    assert joined.n_joined == graph.n_pieces - 1
    np.testing.assert_allclose(joined.lengths, D[joined.edges[:, 0], joined.edges[:, 1]])
    # With so few heads every one of a piece is tried: the links are those of a minimum
    # spanning tree of the pieces (ties aside).
    best = join_pieces(graph, D)
    assert joined.lengths.sum() == pytest.approx(best.lengths.sum())


def test_many_pieces_are_joined_by_few_rows() -> None:
    points = np.repeat(np.arange(300.0)[:, None] * 10, 2, axis=0) + np.tile(
        [[0.0], [1.0]], (300, 1)
    )
    D = distances(points)
    graph = neighbour_graph(D, 1)
    assert graph.n_pieces == 300
    asked: list[int] = []

    def rows(heads: np.ndarray) -> np.ndarray:
        asked.append(len(heads))
        return D[heads]

    joined = join_by_rows(graph, rows)
    assert np.isfinite(geodesics(joined)).all()
    assert max(asked) <= 512
    assert sum(asked) < 2000


@given(clouds, st.data())
def test_geodesics_from_some_heads_are_rows_of_all(points: np.ndarray, data: st.DataObject) -> None:
    graph = neighbour_graph(distances(points), 2)
    some = np.array(sorted(data.draw(st.sets(st.integers(0, len(points) - 1), min_size=1))))
    np.testing.assert_array_equal(geodesics(graph, some), geodesics(graph)[some])


@given(clouds, st.integers(0, 2**32 - 1))
def test_preservation_over_all_heads_is_that_of_the_sample(points: np.ndarray, seed: int) -> None:
    picture = points[:, :1] + 0.1 * np.random.default_rng(seed).standard_normal((len(points), 1))
    D, everyone = distances(points), np.arange(len(points))
    assert sampled_rank_preservation(picture, everyone, D) == pytest.approx(
        rank_preservation(D, picture)
    )


def test_preservation_over_some_heads_is_near_that_of_all() -> None:
    rng = np.random.default_rng(0)
    points = rng.standard_normal((400, 6))
    D, some = distances(points), np.arange(0, 400, 4)
    sampled = sampled_rank_preservation(points[:, :2], some, D[some])
    assert sampled == pytest.approx(rank_preservation(D, points[:, :2]), abs=0.03)
