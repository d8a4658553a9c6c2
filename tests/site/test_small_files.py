"""Files of a site are small, so that a page fetches what it shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention_motifs.atlas import Atlas
from attention_motifs.site import export_distances
from attention_motifs.site.export import export_site
from attention_motifs.site.export_patterns import FILE_BYTES, file_shape
from attention_motifs.site.export_points import compare_heads
from exported_site import (
    column,
    head_files,
    manifest_of,
    read_json,
    stored_patterns,
    table_of_features,
    values,
)
from synthetic_atlas import make_synthetic_atlas


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    """A small atlas with made-up scores, one of them missing."""
    built = make_synthetic_atlas(tmp_path_factory.mktemp("small") / "atlas", n_prompts=6)
    rng = np.random.default_rng(0)
    scores = {
        name: pl.Series(rng.random(len(built.heads)), dtype=pl.Float32)
        for name in ("induction", "induction spread", "self", "self spread")
    }
    scores["self"][3] = None
    built.write_heads(built.heads.with_columns(pl.Series(n, s) for n, s in scores.items()))
    return built


@pytest.fixture(scope="module")
def site(atlas: Atlas, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "site"
    export_site(atlas, out)
    return out


@pytest.mark.parametrize(
    ("sizes", "n_heads", "expected"),
    [
        ([], 4, (4, 1)),
        ([78] * 5, 12, (12, 5)),
        ([8256] * 2, 9, (1, 2)),  # two heads on both prompts would be a file too large; 9 = 3 x 3
        ([8256] * 8, 9, (1, 3)),
        ([5000, 100], 12, (6, 2)),
        ([130_000, 10], 8, (1, 1)),
    ],
)
def test_a_file_of_patterns_is_small(
    sizes: list[int], n_heads: int, expected: tuple[int, int]
) -> None:
    each, n_prompts = expected
    assert file_shape(sizes, n_heads) == expected
    assert n_heads % each == 0
    assert max(sizes, default=0) > FILE_BYTES or each * sum(sizes[:n_prompts]) <= FILE_BYTES


@given(
    st.integers(1, 12).flatmap(
        lambda n: st.lists(
            st.sampled_from([0.0, 1.0, 1.0 + 1e-12, -3.5, float("nan"), float("inf")]),
            min_size=n,
            max_size=n,
        )
    )
)
def test_heads_are_compared_as_the_definition_says(column: list[float]) -> None:
    mean, z, percentile = compare_heads(np.array(column)[:, None])[:, :, 0].T
    finite = [x for x in column if np.isfinite(x)]
    varies = bool(finite) and np.std(np.float32(finite).astype(float)) > 1e-9
    for i, x in enumerate(column):
        assert np.array_equal(mean[i], np.float32(x), equal_nan=True)
        if not (varies and np.isfinite(x)):
            assert not np.isfinite(z[i])
            assert np.isnan(percentile[i]) or varies
            continue
        assert z[i] == pytest.approx((np.float32(x) - np.mean(finite)) / np.std(finite), rel=1e-6)
        below = sum(np.float32(y) < np.float32(x) for y in finite)
        assert percentile[i] == pytest.approx(100 * below / len(finite))


def test_features_of_a_pattern_and_of_a_head_are_in_small_files(site: Path, atlas: Atlas) -> None:
    manifest = manifest_of(site)
    record = read_json(site, manifest["features"])
    names = [f["name"] for f in record["features"]]
    exact = np.stack([table_of_features(atlas, name) for name in names], axis=2)
    for prompt in range(len(atlas.view_prompts())):
        for name, rows in head_files(manifest, record["of_patterns"]):
            shown = values(site, f"{name}-{prompt}.bin", "float32").reshape(len(rows), -1)
            np.testing.assert_array_equal(shown, exact[prompt, rows.start : rows.stop])
    means = values(site, record["head_means"], "float32").reshape(-1, len(names))
    for name, rows in head_files(manifest, record["of_heads"]):
        shown = values(site, f"{name}.bin", "float32").reshape(len(rows), 3, len(names))
        np.testing.assert_array_equal(shown[:, 0], means[rows.start : rows.stop])


def test_scores_are_those_of_the_atlas(site: Path, atlas: Atlas) -> None:
    manifest = manifest_of(site)
    names = [score["name"] for score in manifest["scores"]]
    assert names == ["induction", "self"]
    exact = {name: atlas.heads[name].to_numpy() for name in names}
    for files, rows in head_files(manifest, manifest["scores_of_heads"]):
        shown = values(site, f"{files}.bin", "float32").reshape(len(rows), 3, len(names))
        for place, name in enumerate(names):
            own = exact[name][rows.start : rows.stop]
            np.testing.assert_array_equal(shown[:, 0, place], own)
            spread = atlas.heads[f"{name} spread"].to_numpy()[rows.start : rows.stop]
            np.testing.assert_array_equal(shown[:, 1, place], spread)
            below = [100 * np.nanmean((exact[name] < x)[np.isfinite(exact[name])]) for x in own]
            np.testing.assert_allclose(shown[:, 2, place], np.where(np.isnan(own), np.nan, below))
    table, expected = manifest["measured"], set()
    for score in manifest["scores"]:
        assert sum(score["histogram"]) == np.isfinite(exact[score["name"]]).sum()
        assert score["high"] == np.nanmax(exact[score["name"]])
        if score["threshold"] is not None:
            reached = np.flatnonzero(exact[score["name"]] >= score["threshold"])
            expected |= {(row, score["name"]) for row in reached.tolist()}
    labels = next(c for c in table["columns"] if c["name"] == "score")["labels"]
    of_scores = [labels[code] for code in column(site, table, "score")]
    assert set(zip(column(site, table, "row").tolist(), of_scores, strict=True)) == expected


def test_patterns_come_back_byte_for_byte(site: Path, atlas: Atlas) -> None:
    manifest, view = manifest_of(site), atlas.view_prompts()
    prompts = read_json(site, manifest["prompts"])
    assert [p["viewable"] for p in prompts] == [i < len(view) for i in range(len(prompts))]
    for code, model in enumerate(manifest["models"]):
        patterns = stored_patterns(site, manifest, code)
        for (head, prompt), packed in patterns.items():
            layer, index = divmod(head, model["n_heads"])
            expected = atlas.triangles(model["name"], view[prompt])[layer, index]
            np.testing.assert_array_equal(packed, expected)
        assert len(patterns) == model["n_layers"] * model["n_heads"] * len(view)


def plain_means(atlas: Atlas, distances: np.ndarray) -> np.ndarray:
    """The mean of the finite distances between different heads of every two layers."""
    layers = list(atlas.heads.select("model", "layer").iter_rows())
    places = list(dict.fromkeys(layers))
    means = np.full((len(places), len(places)), np.nan)
    for a, first in enumerate(places):
        for b, second in enumerate(places):
            found = [
                distances[i, j]
                for i in range(len(layers))
                for j in range(len(layers))
                if (layers[i], layers[j]) == (first, second)
                and i != j
                and np.isfinite(distances[i, j])
            ]
            means[a, b] = np.mean(found) if found else np.nan
    return means


def test_layers_have_the_mean_distance_of_their_heads(
    atlas: Atlas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = np.array(atlas.distances("mean"), dtype=np.float64)
    monkeypatch.setattr(export_distances, "MATRIX_LIMIT", len(exact) - 1)
    export_site(atlas, tmp_path / "site")
    metric = manifest_of(tmp_path / "site")["metrics"][0]
    assert metric["matrix"] is None
    expected = plain_means(atlas, exact)
    codes = values(tmp_path / "site", metric["layers"], "uint16").reshape(expected.shape)
    np.testing.assert_allclose(codes * metric["scale"], expected, atol=metric["scale"])
    exact[0] = exact[:, 0] = np.nan
    exact[2:4, 4:6] = np.nan
    shown = export_distances.layer_means(atlas, exact)
    np.testing.assert_allclose(shown, plain_means(atlas, exact))


@pytest.mark.parametrize("has_rows", [True, False])
def test_tiles_are_the_matrix_at_every_zoom(
    atlas: Atlas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_rows: bool
) -> None:
    exact = np.array(atlas.distances("mean"), dtype=np.float64)
    n = len(exact)
    monkeypatch.setattr(export_distances, "MATRIX_LIMIT", n - 1)
    monkeypatch.setattr(export_distances, "ROWS_LIMIT", n if has_rows else n - 1)
    monkeypatch.setattr(export_distances, "TILE_SIDE", 4)
    export_site(atlas, tmp_path / "site")
    metric = manifest_of(tmp_path / "site")["metrics"][0]
    assert (metric["n_nearest"] is None) == has_rows
    tiles = metric["tiles"]
    assert (tiles["side"], tiles["spans"][-1]) == (4, 1)
    for zoom, span in enumerate(tiles["spans"]):
        expected = plain_cells(exact, span)
        for i in range(-(-len(expected) // 4)):
            for j in range(i, -(-len(expected) // 4)):
                part = expected[4 * i : 4 * i + 4, 4 * j : 4 * j + 4]
                name = f"{tiles['folder']}/{zoom}-{i}-{j}.bin"
                codes = values(tmp_path / "site", name, "uint16").reshape(part.shape)
                shown = np.where(codes == export_distances.MISSING_CODE, np.nan, codes)
                np.testing.assert_allclose(shown * metric["scale"], part, atol=metric["scale"])


@pytest.mark.parametrize("n", [1, 2, 3, 9])
@pytest.mark.parametrize("span", [1, 2, 4])
def test_cells_have_the_mean_of_the_known_distances_of_different_heads(n: int, span: int) -> None:
    rng = np.random.default_rng(n)
    exact = rng.random((n, n))
    exact[rng.random((n, n)) < 0.3] = np.nan
    first = min(span, n - 1) // span * span
    shown = export_distances.cell_means(exact[first:], first, first, span)
    np.testing.assert_allclose(shown, plain_cells(exact[first:, first:], span))


def plain_cells(distances: np.ndarray, span: int) -> np.ndarray:
    """The means of squares of heads by the definition."""
    n = len(distances)
    firsts = range(0, n, span)
    means = np.full((len(firsts), len(firsts)), np.nan)
    for a, first in enumerate(firsts):
        for b, second in enumerate(firsts):
            known = [
                distances[i, j]
                for i in range(first, min(n, first + span))
                for j in range(second, min(n, second + span))
                if (i != j or span == 1) and np.isfinite(distances[i, j])
            ]
            means[a, b] = np.mean(known) if known else np.nan
    return means


def test_layers_have_the_mean_of_the_known_distances(atlas: Atlas) -> None:
    exact = np.array(atlas.distances("mean"), dtype=np.float64)
    np.fill_diagonal(exact, np.inf)
    near = np.argsort(exact, axis=1)[:, :3]
    distances = np.take_along_axis(exact, near, axis=1)
    shown = export_distances.near_layer_means(atlas, near.astype(np.uint32), distances)
    # A pair that both heads list counts twice, one that a single head lists once.
    starts = np.flatnonzero(np.diff(atlas.heads["layer"].to_numpy(), prepend=-1))
    layer_of = np.cumsum(np.isin(np.arange(len(exact)), starts)) - 1
    listed: dict[tuple[int, int], list[float]] = {}
    for i, row in enumerate(near):
        for j in row:
            for pair in ((layer_of[i], layer_of[j]), (layer_of[j], layer_of[i])):
                listed.setdefault(pair, []).append(exact[i, j])
    for a in range(len(shown)):
        for b in range(len(shown)):
            if (a, b) in listed:
                assert shown[a, b] == pytest.approx(np.mean(listed[a, b]))
            else:
                assert np.isnan(shown[a, b])
