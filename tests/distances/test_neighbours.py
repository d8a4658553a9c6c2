"""Candidates from an index, then the exact metric: against brute force."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_motifs.distances import get_metric, head_distances
from attention_motifs.distances.head_vectors import SKETCHED, Sketch, cloud_vectors
from attention_motifs.distances.index import HeadIndex
from attention_motifs.distances.neighbours import (
    distances_among,
    nearest_among,
    nearest_neighbours,
    rows_from,
)
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.store import files
from distances.clouds import clouds, gaussian, oracle

pytest.importorskip("faiss")


def by_head(embedded: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(embedded.transpose(1, 0, 2))


def groups(n_heads: int, n_prompts: int = 8, n_components: int = 6, seed: int = 0) -> np.ndarray:
    """Clouds around thirty centres, heads first."""
    rng = np.random.default_rng(seed)
    centres = 2 * rng.standard_normal((30, n_prompts, n_components))
    chosen = centres[rng.integers(30, size=n_heads)]
    noise = rng.standard_normal((n_heads, n_prompts, n_components))
    return (chosen + noise).astype(np.float32)


@pytest.mark.parametrize("metric", SKETCHED)
def test_the_ten_nearest_of_thousands_are_those_of_brute_force(metric: str) -> None:
    heads = groups(4000)
    index = HeadIndex.build(heads, metric)
    asked = np.arange(0, 4000, 10)
    result, distances = nearest_neighbours(heads, index, asked, 10)
    rows = rows_from(heads, asked, metric)
    rows[np.arange(len(asked)), asked] = np.inf
    truth = np.argsort(rows, axis=1, kind="stable")[:, :10]
    shared = [len(set(a) & set(b)) for a, b in zip(result.tolist(), truth.tolist(), strict=True)]
    assert np.mean(shared) / 10 >= 0.95
    np.testing.assert_allclose(
        distances, np.take_along_axis(rows, result.astype(int), axis=1), rtol=1e-5, atol=1e-6
    )


@settings(max_examples=60)
@given(clouds(max_heads=7), st.sampled_from(SKETCHED), st.integers(1, 8))
def test_with_all_heads_for_candidates_it_is_brute_force(
    embedded: np.ndarray, metric: str, n: int
) -> None:
    n_heads = embedded.shape[1]
    everyone = np.tile(np.arange(n_heads), (n_heads, 1))
    heads, distances = nearest_among(by_head(embedded), np.arange(n_heads), everyone, metric, n)
    expected = head_distances(embedded, metric)
    for i in range(n_heads):
        k = min(n, n_heads - 1)
        assert len(set(heads[i, :k].tolist()) - {i}) == k
        row = np.delete(expected[i], i)
        scale = 1e-4 * max(1.0, float(row.max(initial=0)))
        np.testing.assert_allclose(distances[i, :k], np.sort(row)[:k], atol=scale)
        np.testing.assert_allclose(distances[i, :k], expected[i][heads[i, :k]], atol=scale)
        assert (heads[i, k:] == -1).all()
        assert np.isinf(distances[i, k:]).all()


def test_repeated_and_missing_candidates_count_once_and_not_at_all() -> None:
    heads = by_head(gaussian(4, 5, 3))
    offered = np.array([[1, 1, 0, -1, 2]])
    result, distances = nearest_among(heads, np.array([0]), offered, "mean", 4)
    assert set(result[0, :2].tolist()) == {1, 2}
    assert result[0, 2:].tolist() == [-1, -1]
    assert np.isinf(distances[0, 2:]).all()
    assert np.isinf(distances_among(heads, np.array([0]), np.array([[-1]]), "mean")).all()


@pytest.mark.parametrize("n_heads", [1, 2, 3, 9, 40])
def test_few_heads_have_all_others_for_neighbours(n_heads: int) -> None:
    heads = by_head(gaussian(3, n_heads, 4))
    index = HeadIndex.build(heads, "mean")
    result, distances = nearest_neighbours(heads, index, np.arange(n_heads), 64)
    assert result.shape == (n_heads, n_heads - 1)
    for i in range(n_heads):
        assert sorted(result[i].tolist()) == [j for j in range(n_heads) if j != i]
    assert (np.diff(distances, axis=1) >= 0).all()


def test_equal_heads_are_at_distance_zero_and_not_their_own_neighbours() -> None:
    heads = np.ones((50, 3, 2), np.float32)
    result, distances = nearest_neighbours(heads, HeadIndex.build(heads, "mean"), np.arange(50), 5)
    assert not distances.any()
    assert not (result == np.arange(50)[:, None]).any()


@pytest.mark.parametrize("metric", SKETCHED)
def test_vectors_rank_as_the_metric_does(metric: str) -> None:
    embedded = gaussian(5, 30, 4)
    rows = cloud_vectors(by_head(embedded), metric)
    apart = np.linalg.norm(rows[:, None].astype(float) - rows[None], axis=-1)
    expected = oracle(embedded, metric)
    off = ~np.eye(30, dtype=bool)
    if metric == "mean":  # the root mean square is never below the mean
        assert (apart[off] / np.sqrt(5) >= expected[off] - 1e-5).all()
        return
    like = apart if metric == "centroid" else apart**2 / 2
    np.testing.assert_allclose(like[off], expected[off], rtol=1e-4, atol=1e-5)


def test_a_sketch_never_lengthens_a_difference() -> None:
    heads = groups(300, n_prompts=20)
    sketch = Sketch.fit(heads, "mean", n_axes=10)
    np.testing.assert_allclose(sketch.axes.T @ sketch.axes, np.eye(10), atol=1e-5)
    short, whole = sketch.vectors(heads), cloud_vectors(heads, "mean")
    lost = np.linalg.norm(whole[1:] - whole[:-1], axis=1) - np.linalg.norm(
        short[1:] - short[:-1], axis=1
    )
    assert (lost >= -1e-3).all()


@pytest.mark.parametrize("metric", ["mean", "natural"])
def test_rows_are_those_of_the_matrix(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attention_motifs.distances.neighbours._NUMBERS_AT_A_TIME", 100)
    embedded = gaussian(6, 31, 3)
    done: list[int] = []
    rows = rows_from(by_head(embedded), np.array([30, 0]), metric, done.append)
    assert len(done) > 3
    assert sum(done) == 31
    np.testing.assert_allclose(rows, head_distances(embedded, metric)[[30, 0]], atol=1e-6)


def test_the_same_heads_and_seed_give_the_same_index(tmp_path: Path) -> None:
    heads = groups(1500)
    for name in ("a", "b"):
        HeadIndex.build(heads, "mean", seed=3).save(tmp_path / name, "inputs")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_index_comes_back_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    heads = groups(600)
    index, path = HeadIndex.build(heads, "mean"), tmp_path / "index.safetensors"
    index.save(path, "inputs")
    again = HeadIndex.load(path, "mend it")
    vectors = index.sketch.vectors(heads[:20])
    np.testing.assert_array_equal(again.search(vectors, 30), index.search(vectors, 30))
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:-5] + b"?" + whole[-4:], b"", b"x" * 500):
        path.write_bytes(damaged)
        with pytest.raises(AtlasError, match=r"index.safetensors: .*mend it") as raised:
            HeadIndex.load(path, "mend it")
        assert "\n" not in str(raised.value)
    path.unlink()
    with pytest.raises(AtlasError, match=r"not found; mend it"):
        HeadIndex.load(path, "mend it")


@settings(max_examples=40)
@given(st.data())
def test_no_changed_byte_of_an_index_goes_unnoticed(data: st.DataObject) -> None:
    path = Path(data.draw(st.just(_written())))
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[place] ^= data.draw(st.integers(1, 255))
    target = path.with_name("changed")
    target.write_bytes(bytes(changed))
    try:
        index = HeadIndex.load(target, "mend it")
    except AtlasError:
        return
    # A byte of the sketch, or of the note on the inputs, that still makes sense.
    arrays, _ = files.read_tensors(path, "")
    np.testing.assert_array_equal(__import__("faiss").serialize_index(index.cells), arrays["index"])


_FOLDER: list[Path] = []


def _written() -> Path:
    if not _FOLDER:
        import tempfile

        folder = Path(tempfile.mkdtemp())
        HeadIndex.build(groups(100, 3, 3), "mean").save(folder / "index.safetensors")
        _FOLDER.append(folder / "index.safetensors")
    return _FOLDER[0]


def test_numbers_that_are_missing_name_the_head() -> None:
    heads = groups(40)
    heads[17, 2, 1] = np.nan
    with pytest.raises(InputError, match=r"head 17 holds NaN"):
        HeadIndex.build(heads, "mean", seed=0)


def test_a_metric_without_a_sketch_is_refused() -> None:
    with pytest.raises(InputError):
        HeadIndex.build(groups(20), "energy")
    assert get_metric("energy")


def test_faiss_that_is_not_installed_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(InputError):
        HeadIndex.build(groups(20), "mean")
