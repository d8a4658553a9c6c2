from __future__ import annotations

import sys

import numpy as np
import pytest

from attention_motifs.distances import candidate_distances, definitions, head_distances
from attention_motifs.errors import InputError
from distances.clouds import gaussian


def test_a_missing_library_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ot", None)
    with pytest.raises(InputError):
        head_distances(gaussian(3, 2, 2), "gromov-wasserstein")


class TestWithLibrary:
    @pytest.fixture(autouse=True)
    def _library(self) -> None:
        pytest.importorskip("ot")

    def test_is_little_above_the_minimum_on_small_clouds(self) -> None:
        excess = []
        for seed in range(12):
            embedded = gaussian(5, 2, 4, seed=seed)
            x, y = embedded[:, 0].astype(float), embedded[:, 1].astype(float)
            got = candidate_distances(embedded, [(0, 1)], "gromov-wasserstein")[0]
            excess.append(got / definitions.gromov_wasserstein(x, y) - 1)
        assert min(excess) > -1e-6
        assert np.mean(excess) < 0.15

    def test_a_head_turned_and_moved_as_a_whole_is_at_distance_zero(self) -> None:
        embedded = np.repeat(gaussian(12, 1, 2), 2, axis=1)
        turn = np.array([[0, -1], [1, 0]], np.float32)
        embedded[:, 1] = embedded[:, 1] @ turn + 5
        assert candidate_distances(embedded, [(0, 1)], "gromov-wasserstein")[0] < 1e-3
        assert head_distances(embedded)[0, 1] > 1

    def test_a_shuffled_head_is_at_distance_zero(self) -> None:
        embedded = np.repeat(gaussian(12, 1, 2), 2, axis=1)
        embedded[:, 1] = embedded[::-1, 0]
        assert candidate_distances(embedded, [(0, 1)], "gromov-wasserstein")[0] < 1e-3

    def test_symmetry_non_negativity_and_zero_diagonal(self) -> None:
        distances = head_distances(gaussian(6, 5, 3), "gromov-wasserstein")
        assert np.array_equal(distances, distances.T)
        assert (np.diagonal(distances) == 0).all()
        assert (distances[~np.eye(5, dtype=bool)] > 0).all()
        pairs = candidate_distances(gaussian(6, 5, 3), [(0, 3), (3, 0)], "gromov-wasserstein")
        assert pairs[0] == pairs[1] == pytest.approx(distances[0, 3], rel=1e-6)

    @pytest.mark.parametrize("shape", [(1, 3, 2), (2, 2, 1), (3, 1, 2)])
    def test_degenerate_sizes(self, shape: tuple[int, int, int]) -> None:
        distances = head_distances(gaussian(*shape), "gromov-wasserstein")
        assert np.isfinite(distances).all()
        if shape[0] == 1:
            assert (distances == 0).all()
