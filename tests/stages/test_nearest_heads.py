"""An atlas of too many heads for all pairs, by a limit that is lowered: from end to end."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.check import check_atlas
from attention_motifs.atlas.queries import near
from attention_motifs.distances.neighbour_graph import DENSE_LIMIT
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.progress import silent
from attention_motifs.site.export import export_site
from attention_motifs.site.export_distances import write_distances
from attention_motifs.site.output import DataFolder
from attention_motifs.stages import neighbours as stage
from attention_motifs.stages.cluster import cluster
from attention_motifs.stages.distances import distances
from attention_motifs.stages.evaluate import evaluate
from attention_motifs.stages.project import project
from attention_motifs.store import files
from attention_motifs.store.paths import AtlasFile
from conftest import contents
from exported_site import head_files, manifest_of, values
from synthetic_atlas import make_synthetic_atlas

pytest.importorskip("faiss")

METRICS = ("mean", "cosine", "natural", "both")
BOTH = {
    "description": "two blocks of prompts",
    "blocks": [
        {"stimuli": "prompts", "features": "extended", "weight": 2},
        {"stimuli": "prompts", "features": "paper"},
    ],
}
LIMIT = 50


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """90 heads of three models, with the distances of all pairs."""
    folder = tmp_path_factory.mktemp("whole") / "a"
    built = make_synthetic_atlas(folder, n_models=3, n_layers=6, n_heads=5, n_prompts=10,
                               presets={"both": BOTH})  # fmt: skip
    for metric in METRICS[1:]:
        distances(built, metric)
    return folder


@pytest.fixture(scope="module")
def with_nearest(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the nearest heads only."""
    folder = tmp_path_factory.mktemp("nearest") / "a"
    shutil.copytree(whole, folder)
    thin(Atlas.open(folder))
    return folder


@pytest.fixture
def atlas(whole: Path, tmp_path: Path) -> Atlas:
    """A copy with the distances of all pairs."""
    shutil.copytree(whole, tmp_path / "whole" / "a")
    return Atlas.open(tmp_path / "whole" / "a")


@pytest.fixture
def thinned(with_nearest: Path, tmp_path: Path) -> Atlas:
    """A copy with the nearest heads only."""
    shutil.copytree(with_nearest, tmp_path / "nearest" / "a")
    return Atlas.open(tmp_path / "nearest" / "a")


def thin(atlas: Atlas) -> Atlas:
    for metric in METRICS:
        distances(atlas, metric, dense_limit=LIMIT)
    return Atlas.open(atlas.path)


def test_all_pairs_are_kept_up_to_the_limit(atlas: Atlas) -> None:
    assert DENSE_LIMIT == 20_000
    assert (atlas.metrics(), atlas.neighbour_metrics()) == (sorted(METRICS), [])
    distances(atlas, "mean", dense_limit=90, force=True)
    assert (atlas.metrics(), atlas.neighbour_metrics()) == (sorted(METRICS), [])


@pytest.mark.parametrize("metric", METRICS)
def test_neighbours_are_the_nearest_by_the_exact_metric(
    atlas: Atlas, thinned: Atlas, metric: str
) -> None:
    matrix = np.array(atlas.distances(metric), dtype=np.float64)
    np.fill_diagonal(matrix, np.inf)
    result = thinned.neighbours(metric)
    assert result.heads.shape == (90, 64)
    np.testing.assert_allclose(result.distances, np.sort(matrix, axis=1)[:, :64], atol=1e-5)
    np.testing.assert_allclose(
        result.distances, np.take_along_axis(matrix, result.heads.astype(int), axis=1), atol=1e-5
    )


def test_all_pairs_that_are_not_kept_name_the_mend(thinned: Atlas) -> None:
    sparse = thinned
    assert (sparse.metrics(), sparse.neighbour_metrics()) == ([], sorted(METRICS))
    assert not list((thinned.path / "distances").glob("*.npy"))
    with pytest.raises(AtlasError, match=r"90 heads are too many .* atlas.neighbours\('mean'\)"):
        sparse.distances("mean")


def test_the_evaluation_computes_the_distances_that_it_needs(thinned: Atlas, atlas: Atlas) -> None:
    """The table is the one of all pairs; of too many heads, models are drawn."""
    few = {"metrics": ["mean", "natural"], "n_permutations": 19, "n_bootstraps": 2}
    whole, nearest = evaluate(atlas, **few), evaluate(thinned, **few)
    assert whole.rows
    for one, other in zip(whole.rows, nearest.rows, strict=True):
        assert (one.metric, one.model, one.statistic) == (
            other.metric,
            other.model,
            other.statistic,
        )
        assert one.value == pytest.approx(other.value, abs=1e-4)
    drawn = evaluate(thinned, **few, max_heads=60)
    assert drawn.answer[0].startswith("Measured on 2 of 3 models (60 of 90 heads)")
    assert {row.model for row in drawn.rows} < {row.model for row in whole.rows}
    assert drawn.settings["n_models"] == 3


@pytest.mark.parametrize("metric", METRICS)
def test_near_answers_as_before(atlas: Atlas, thinned: Atlas, metric: str) -> None:
    asked = [
        {"n": 10},
        {"n": 5, "scope": "across"},
        {"n": 80},  # more than are kept: from the index
        {"n": 12, "scope": "within", "layers": range(3)},
        {"n": 4, "farthest": True},
        {"n": 3, "models": ["synthetic-2"]},
    ]
    heads = ["synthetic-0:L0:H0", "org/synthetic-1:L3:H2", "synthetic-2:L5:H4"]
    before = [near(atlas, h, metric=metric, **a) for h in heads for a in asked]
    sparse = thinned
    after = [near(sparse, h, metric=metric, **a) for h in heads for a in asked]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_allclose(
            [x.distance for x in new], [x.distance for x in old], rtol=1e-4, atol=1e-5
        )
        assert [x.rank for x in new] == [x.rank for x in old]
        apart = np.diff([x.distance for x in old]).min(initial=1.0)
        if apart > 1e-5:
            assert [x.head for x in new] == [x.head for x in old]


def test_the_graph_gives_the_projections_of_all_pairs(atlas: Atlas, thinned: Atlas) -> None:
    import polars as pl

    settings = {"methods": ["isomap", "pca"], "n_neighbors": [4, 64], "dimensions": [2]}
    project(atlas, **settings)  # type: ignore[arg-type]
    before = atlas.projections.filter(pl.col("scope") == "all")
    sparse = thinned
    project(sparse, **settings)  # type: ignore[arg-type]
    after = sparse.projections
    assert after["scope"].unique().to_list() == ["all"]
    # All 90 heads are landmarks here, and 64 neighbours are nearly all.
    for name in ("x", "y", "trustworthiness", "continuity"):
        old, new = before[name].to_numpy(), after[name].to_numpy()
        pca = (before["method"] == "pca").to_numpy()
        np.testing.assert_allclose(new[pca], old[pca], atol=2e-2)
        assert np.corrcoef(new, old)[0, 1] > 0.99 or name in ("trustworthiness", "continuity")
    assert after["n_pieces"].to_list() == before["n_pieces"].to_list()
    assert (after["trustworthiness"] > 0.9).all()


@pytest.mark.parametrize("method", ["leiden", "hdbscan", "single"])
def test_clusters_of_the_graph_are_those_of_all_pairs(
    atlas: Atlas, thinned: Atlas, method: str
) -> None:
    if method == "leiden":
        pytest.importorskip("igraph")
    settings = {"method": method, "min_size": 1 if method == "single" else 3, "n_rounds": 2}
    before = cluster(atlas, **settings)  # type: ignore[arg-type]
    after = cluster(thinned, **settings)  # type: ignore[arg-type]
    np.testing.assert_array_equal(after.clustering.labels, before.clustering.labels)
    assert after.stability is not None
    assert after.stability.mean > 0.8


def test_leiden_of_many_heads_is_that_of_all_pairs(
    atlas: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only its stability is measured on the nearest heads, without data without clusters."""
    pytest.importorskip("igraph")
    before = cluster(atlas, method="leiden", n_neighbors=7, n_rounds=2)
    monkeypatch.setattr("attention_motifs.stages.cluster.ALL_PAIRS_OF_DRAWS", 89)
    after = cluster(atlas, method="leiden", n_neighbors=7, n_rounds=2)
    np.testing.assert_array_equal(after.clustering.labels, before.clustering.labels)
    assert after.stability is not None
    assert (before.validity.reference is None, after.validity.reference) == (False, None)
    written = files.read_json(atlas.file("clusters", method="leiden"))
    assert isinstance(written, dict)
    assert written["distances"] == "nearest heads"
    wide = cluster(atlas, method="leiden", n_neighbors=80, n_rounds=0)  # more than are kept
    assert wide.clustering.parameters["n_neighbors"] == 80


def test_linkages_that_need_all_pairs_name_those_that_do_not(thinned: Atlas) -> None:
    with pytest.raises(InputError, match=r"needs the distances of all pairs.*leiden, hdbscan"):
        cluster(thinned, method="average")


def test_the_site_holds_the_nearest_heads(atlas: Atlas, thinned: Atlas) -> None:
    exact = np.array(atlas.distances("mean"))
    sparse = thinned
    project(sparse, methods=["pca"], dimensions=[2])
    cluster(sparse, method="hdbscan", n_rounds=0)
    export_site(sparse)
    site = sparse.path / "site"
    manifest = manifest_of(site)
    names = [m["name"] for m in manifest["metrics"]]
    assert names[0] == sparse.best_metric
    assert sorted(names) == sorted(METRICS)
    assert "metrics" not in manifest["missing"]
    assert "projections" not in manifest["missing"]
    assert manifest["missing"]["evaluation"].startswith("run `motifs evaluate --atlas a`")
    metric = manifest["metrics"][names.index("mean")]
    assert (metric["n_nearest"], metric["matrix"]) == (64, None)
    seen = 0
    for name, rows in head_files(manifest, metric["rows"]):
        shape = len(rows), 64
        near = values(site, f"{name}.bin", "float32").reshape(shape)
        heads = values(site, f"{name}-heads.bin", "uint32").reshape(shape).astype(int)
        mine = exact[rows.start : rows.stop]
        np.testing.assert_allclose(near, np.take_along_axis(mine, heads, axis=1), atol=1e-5)
        seen += len(rows)
    assert seen == 90


def quantiles_of(site: Path) -> np.ndarray:
    """The quantiles by depth of all pairs of models, by the first metric."""
    metric = manifest_of(site)["metrics"][0]
    return np.stack([values(site, file, "float32") for file in metric["quantiles"]])


def test_the_site_of_many_heads_holds_the_nearest_of_all_pairs(
    atlas: Atlas, thinned: Atlas, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("attention_motifs.site.export_distances.ROWS_LIMIT", 89)
    data = []
    for name, chosen in (("all", atlas), ("near", thinned)):
        metrics = write_distances(chosen, DataFolder(tmp_path / name / "data"), silent)
        mean = next(metric for metric in metrics if metric.name == "mean")
        assert (mean.n_nearest, mean.matrix) == (64, None)
        data.append(values(tmp_path / name, f"{mean.rows.folder}/0/0.bin", "float32"))
    np.testing.assert_allclose(data[0], data[1], rtol=1e-5)


@pytest.mark.slow
def test_the_null_by_depth_is_that_of_all_pairs(atlas: Atlas, thinned: Atlas) -> None:
    export_site(atlas)
    site = atlas.path / "site"
    before = quantiles_of(site)
    export_site(thinned)
    site = thinned.path / "site"
    after = quantiles_of(site)
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)  # all heads are sampled


def test_a_sound_atlas_has_no_findings_and_a_damaged_one_does(thinned: Atlas) -> None:
    sparse = thinned
    assert check_atlas(sparse) == []
    part = sparse.file("neighbours", metric="mean", part=0).path
    arrays, metadata = files.read_tensors(part, "")
    files.write_tensors(part, {**arrays, "distances": arrays["distances"] * 1.5}, metadata)
    (finding,) = check_atlas(sparse)
    assert re.search(
        r"differs from the distances of the clouds; run `motifs distances .* --force`", finding
    )
    files.write_tensors(part, {**arrays, "distances": arrays["distances"][:, ::-1]}, metadata)
    assert "nearest neighbours first" in check_atlas(sparse)[0]
    files.write_tensors(part, {**arrays, "heads": arrays["heads"] + 90}, metadata)
    assert "names heads outside 0..89" in check_atlas(sparse)[0]
    part.write_bytes(part.read_bytes()[:-40])
    with pytest.raises(AtlasError, match=r"part-00000.safetensors: damaged.*run `motifs distances"):
        sparse.neighbours("mean")
    distances(sparse, "mean", dense_limit=LIMIT, force=True)
    assert check_atlas(sparse) == []
    index = sparse.file("neighbour_index", metric="cosine").path
    index.write_bytes(index.read_bytes()[:-1] + b"?")
    (finding,) = check_atlas(sparse)
    assert "index.safetensors: damaged" in finding
    with pytest.raises(AtlasError, match=r"index.safetensors: damaged.*--metric cosine --force"):
        sparse.near("synthetic-0:L0:H0", n=70, metric="cosine")
    clouds = sparse.file("head_clouds", space="embedding").path
    clouds.write_bytes(clouds.read_bytes()[:200])
    assert any("clouds-embedding.npy: damaged" in finding for finding in check_atlas(sparse))


def test_a_run_that_was_stopped_goes_on_and_ends_with_the_same_files(
    atlas: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("attention_motifs.distances.neighbour_files.HEADS_PER_PART", 32)
    monkeypatch.setattr(stage, "HEADS_PER_PART", 32)
    whole = contents(thin(atlas).path / "neighbours")
    assert sum("mean/part" in str(name) for name in whole) == 3
    files.remove(atlas.path / "neighbours")
    written: list[Path] = []
    write = stage.write_part

    def stopping(file: AtlasFile, *rest: object) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(file.path)
        write(file, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(stage, "write_part", stopping)
    with pytest.raises(KeyboardInterrupt):
        distances(atlas, "mean", dense_limit=LIMIT)
    with pytest.raises(AtlasError, match=r"part-00002.safetensors: not found; run `motifs dist"):
        atlas.neighbours("mean")
    kept = {path: path.stat().st_ino for path in written}
    monkeypatch.setattr(stage, "write_part", write)
    assert contents(thin(atlas).path / "neighbours") == whole
    assert {path: path.stat().st_ino for path in written} == kept


def test_parts_of_other_clouds_are_not_taken_for_these(
    thinned: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    sparse = thinned
    sparse.finish("place:synthetic-0", "placed anew")
    monkeypatch.setattr(stage, "nearest_neighbours", _interrupt)
    with pytest.raises(KeyboardInterrupt):
        distances(sparse, "mean", dense_limit=LIMIT)
    assert sparse.neighbour_metrics() == ["both", "cosine", "natural"]


def _interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_slow_metric_has_no_neighbours_but_still_answers_for_one_head(
    atlas: Atlas, thinned: Atlas
) -> None:
    with pytest.raises(InputError, match=r"energy.*90 heads.*motifs near"):
        distances(atlas, "energy", dense_limit=LIMIT)
    assert len(thinned.near("synthetic-0:L0:H0", metric="energy")) == 10


def test_back_to_all_pairs_leaves_no_neighbours(thinned: Atlas) -> None:
    sparse = thinned
    distances(sparse, "mean")
    assert (sparse.metrics(), sparse.neighbour_metrics()) == (
        ["mean"],
        ["both", "cosine", "natural"],
    )


def test_the_commands_tell_what_is_kept(
    atlas: Atlas,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    from attention_motifs.cli import main

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["motifs", *words])
        with pytest.raises(SystemExit) as exited:
            main()
        captured = capsys.readouterr()
        return int(exited.value.code or 0), captured.out + captured.err

    options = ("--atlas", str(atlas.path))
    assert run("distances", *options, "--dense-limit", "50", "--force")[0] == 0
    code, output = run("info", *options)
    assert code == 0
    assert "cosine (nearest heads), mean (nearest heads), natural" in output
    code, output = run("near", "synthetic-0:L0:H0", *options, "-n", "3")
    assert code == 0
    assert "of 89 heads" in output
    assert run("check", str(atlas.path))[0] == 0
    code, output = run("distances", *options, "--dense-limit", "-1")
    assert code == 2
    assert "--dense-limit" in output
    assert run("figures", *options, "--out", str(tmp_path / "f"))[0] == 0
    assert list((tmp_path / "f").glob("figure-13*.png"))
