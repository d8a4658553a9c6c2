"""The nearest patterns of each pattern: chosen by blocks of heads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention_motifs.site.export import export_site
from attention_motifs.site.export_nearest import nearest_rows
from exported_site import head_files, manifest_of, values
from synthetic_atlas import make_synthetic_atlas


@given(seed=st.integers(0, 99), n_points=st.integers(1, 9), n=st.integers(0, 8))
def test_the_nearest_are_those_of_the_definition(seed: int, n_points: int, n: int) -> None:
    n = min(n, n_points - 1)
    points = np.random.default_rng(seed).standard_normal((n_points, 3))
    first = seed % n_points
    heads, distances = nearest_rows(points, slice(first, n_points), n)
    for row, near, away in zip(range(first, n_points), heads, distances, strict=True):
        exact = np.linalg.norm(points - points[row], axis=1)
        order = [int(i) for i in np.argsort(exact, kind="stable") if i != row][:n]
        assert near.tolist() == order
        np.testing.assert_allclose(away, exact[order])


def test_missing_points_come_last_without_a_distance() -> None:
    points = np.array([[0.0], [np.nan], [3.0], [1.0]])
    heads, distances = nearest_rows(points, slice(0, 2), 3)
    assert heads[0, :2].tolist() == [3, 2]
    assert distances[0, :2].tolist() == [1.0, 3.0]
    assert np.isnan(distances[0, 2])
    assert np.isnan(distances[1]).all()


def test_equal_points_are_in_the_order_of_the_atlas() -> None:
    heads, distances = nearest_rows(np.zeros((4, 2)), slice(1, 2), 3)
    assert heads.tolist() == [[0, 2, 3]]
    assert distances.tolist() == [[0, 0, 0]]


@pytest.mark.timeout(120)
def test_a_site_has_the_nearest_patterns_of_its_viewable_prompts(tmp_path: Path) -> None:
    atlas = make_synthetic_atlas(tmp_path / "atlas", n_prompts=4)
    export_site(atlas, tmp_path / "site")
    manifest = manifest_of(tmp_path / "site")
    nearest = manifest["points"]["nearest"]
    embedded = np.asarray(atlas.embedded(), dtype=np.float64)
    assert nearest["n_prompts"] == len(atlas.view_prompts())
    for file, rows in head_files(manifest, nearest["files"]):
        for prompt in range(nearest["n_prompts"]):
            shape = (len(rows), nearest["n"])
            heads = values(tmp_path / "site", f"{file}-{prompt}-heads.bin", "u4").reshape(shape)
            away = values(tmp_path / "site", f"{file}-{prompt}.bin", "f4").reshape(shape)
            for row, near, distances in zip(rows, heads, away, strict=True):
                exact = np.linalg.norm(embedded[prompt] - embedded[prompt][row], axis=1)
                np.testing.assert_allclose(exact[near], distances, rtol=1e-5, atol=1e-5)
                exact[row] = np.inf
                np.testing.assert_allclose(
                    np.sort(exact)[: nearest["n"]], distances, rtol=1e-5, atol=1e-5
                )
