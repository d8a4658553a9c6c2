from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_motifs.clustering import UNCLUSTERED, cut, link
from attention_motifs.clustering.linkage import number_by_size
from attention_motifs.errors import InputError


def distances(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[:, None] - points[None], axis=-1)


LINE = np.array([[0.0], [1.0], [3.0], [10.0], [10.5]])


@pytest.mark.parametrize(
    ("method", "heights"),
    [
        ("single", [0.5, 1.0, 2.0, 7.0]),
        ("complete", [0.5, 1.0, 3.0, 10.5]),
        ("average", [0.5, 1.0, 2.5, (10 + 10.5 + 9 + 9.5 + 7 + 7.5) / 6]),
    ],
)
def test_heights_are_the_distances_of_clusters(method: str, heights: list[float]) -> None:
    assert link(distances(LINE), method)[:, 2] == pytest.approx(heights)


def test_wards_heights_are_its_formula() -> None:
    merges = link(None, "ward", LINE)
    # the last merge joins {0, 1, 3} and {10, 10.5}: sqrt(2 |A| |B| / (|A| + |B|)) times the gap
    expected = np.sqrt(2 * 3 * 2 / 5) * (10.25 - 4 / 3)
    assert merges[-1, 2] == pytest.approx(expected)


def test_cuts_by_number_and_by_height() -> None:
    merges = link(distances(LINE), "average")
    assert cut(merges, n_clusters=1).tolist() == [0, 0, 0, 0, 0]
    assert cut(merges, n_clusters=2).tolist() == [0, 0, 0, 1, 1]
    assert cut(merges, n_clusters=3).tolist() == [0, 0, 2, 1, 1]
    assert cut(merges, n_clusters=5).tolist() == [0, 1, 2, 3, 4]
    assert cut(merges, height=1.0).tolist() == [0, 0, 2, 1, 1]
    assert cut(merges, height=0.0).tolist() == [0, 1, 2, 3, 4]
    assert cut(merges, height=99.0).tolist() == [0, 0, 0, 0, 0]
    assert cut(merges, n_clusters=3, min_size=2).tolist() == [0, 0, UNCLUSTERED, 1, 1]


@settings(max_examples=60)
@given(
    st.integers(0, 10**6), st.integers(1, 20), st.sampled_from(["average", "complete", "single"])
)
def test_a_cut_by_number_has_that_number_and_refines_the_coarser(
    seed: int, n: int, method: str
) -> None:
    # Whole coordinates make ties, where scipy's own cut by number may give fewer.
    rng = np.random.default_rng(seed)
    merges = link(distances(rng.integers(0, 4, size=(n, 2)).astype(float)), method)
    coarser = np.zeros(n, dtype=int)
    for number in range(1, n + 1):
        labels = cut(merges, n_clusters=number)
        assert sorted(set(labels.tolist())) == list(range(number))
        assert (np.diff(np.bincount(labels)) <= 0).all()
        for label in range(number):
            assert len(set(coarser[labels == label].tolist())) == 1
        coarser = labels


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(2, 20), st.floats(0, 4))
def test_a_cut_by_height_is_scipys(seed: int, n: int, height: float) -> None:
    from scipy.cluster.hierarchy import fcluster

    from attention_motifs.clustering import adjusted_rand

    merges = link(distances(np.random.default_rng(seed).normal(size=(n, 3))), "average")
    theirs = fcluster(merges, height, criterion="distance") - 1
    assert adjusted_rand(cut(merges, height=height), theirs) == 1.0


@settings(max_examples=60)
@given(st.lists(st.integers(-1, 5), min_size=1, max_size=30), st.integers(1, 4))
def test_numbering_keeps_the_clusters_and_orders_them(labels: list[int], min_size: int) -> None:
    old = np.array(labels)
    new = number_by_size(old, min_size)
    sizes = {label: labels.count(label) for label in labels}
    kept = np.array([label >= 0 and sizes[label] >= min_size for label in labels])
    assert ((new == UNCLUSTERED) == ~kept).all()
    together = (old[:, None] == old[None])[np.ix_(kept, kept)]
    assert np.array_equal((new[:, None] == new[None])[np.ix_(kept, kept)], together)
    counts = np.bincount(new[kept])
    first = [int(np.argmax(new == label)) for label in range(len(counts))]
    order = list(zip((-counts).tolist(), first, strict=True))
    assert order == sorted(order)
    assert np.array_equal(number_by_size(new, min_size), new)


def test_one_head_and_two() -> None:
    assert link(np.zeros((1, 1))).shape == (0, 4)
    assert cut(link(np.zeros((1, 1))), n_clusters=1).tolist() == [0]
    assert cut(link(None, "ward", np.zeros((1, 3))), height=0.0).tolist() == [0]
    assert cut(link(1.0 - np.eye(2)), n_clusters=2).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({}, "either n_clusters or height"),
        ({"n_clusters": 2, "height": 1.0}, "either n_clusters or height"),
        ({"n_clusters": 6}, "give 1 to 5"),
        ({"n_clusters": 0}, "give 1 to 5"),
        ({"height": -1.0}, "0 or more"),
        ({"height": float("nan")}, "0 or more"),
        ({"n_clusters": 2, "min_size": 0}, "min_size 0"),
    ],
)
def test_cuts_that_cannot_be(arguments: dict[str, float], word: str) -> None:
    with pytest.raises(InputError, match=word):
        cut(link(distances(LINE)), **arguments)  # type: ignore[arg-type]


def test_linkages_that_cannot_be() -> None:
    with pytest.raises(InputError, match="choose from average, complete, single, ward"):
        link(distances(LINE), "median")
    with pytest.raises(InputError, match="give D"):
        link(None, "average")
    with pytest.raises(InputError, match="give the head embeddings"):
        link(distances(LINE), "ward")
    with pytest.raises(InputError, match="row 1 is not finite"):
        link(None, "ward", np.array([[0.0], [np.nan]]))
    with pytest.raises(InputError, match="heads x components"):
        link(None, "ward", np.zeros(3))
