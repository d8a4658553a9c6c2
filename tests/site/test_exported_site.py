"""The exported site holds what the atlas holds, in the shape of the contract."""

from __future__ import annotations

import dataclasses
import json
import shutil
import types
import typing
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.features.motif_definitions import MOTIFS
from attention_motifs.site import contract, contract_explanations
from attention_motifs.site.export import export_site
from attention_motifs.stages.cluster import cluster, name_cluster
from attention_motifs.stages.evaluate import evaluate
from attention_motifs.stages.import_arrays import atlas_from_patterns
from attention_motifs.stages.project import project
from exported_site import (
    column,
    head_files,
    manifest_of,
    read_json,
    table_of_features,
    values,
)
from synthetic_atlas import HOSTILE_TEXTS, make_synthetic_atlas


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    """An atlas of two made-up models with all stages, and made-up scores."""
    built = make_synthetic_atlas(tmp_path_factory.mktemp("atlas") / "atlas", n_layers=4, n_heads=3)
    rng = np.random.default_rng(0)
    scores = {
        name: pl.Series(rng.random(len(built.heads)), dtype=pl.Float32)
        for name in ("induction", "induction spread", "self", "self spread")
    }
    scores["self"][3] = None
    built.write_heads(built.heads.with_columns(pl.Series(n, s) for n, s in scores.items()))
    project(built, methods=["pca", "isomap"], n_neighbors=[4])
    cluster(built, method="average", n_clusters=4, n_rounds=3)
    cluster(built, method="hdbscan", n_rounds=0)
    name_cluster(built, "average", 0, "first <b>cluster</b>")
    cluster(built, method="average", n_clusters=4, n_rounds=3)
    evaluate(built, n_permutations=20)
    return built


@pytest.fixture(scope="module")
def site(atlas: Atlas, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "site"
    export_site(atlas, out)
    return out


# The contract


def check(value: Any, kind: Any, where: str) -> None:
    """Hold a JSON value against a type of the contract."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        assert isinstance(value, dict), where
        assert set(value) == set(hints), where
        for name, hint in hints.items():
            check(value[name], hint, f"{where}.{name}")
    elif origin is list:
        assert isinstance(value, list), where
        for i, item in enumerate(value):
            check(item, arguments[0], f"{where}[{i}]")
    elif origin is dict:
        assert isinstance(value, dict), where
        for name, item in value.items():
            check(item, arguments[1], f"{where}[{name}]")
    elif origin is typing.Literal:
        assert value in arguments, where
    elif origin in (typing.Union, types.UnionType):
        assert any(fits(value, one) for one in arguments), f"{where}: {value!r} is no {kind}"
    elif kind is float:
        assert isinstance(value, float | int), where
        assert not isinstance(value, bool), where
    else:
        assert type(value) is kind, where


def fits(value: Any, kind: Any) -> bool:
    try:
        check(value, kind, "")
    except AssertionError:
        return False
    return True


def test_every_json_file_is_as_the_contract_says(site: Path) -> None:
    manifest = manifest_of(site)
    check(manifest, contract.Manifest, "manifest")
    check(read_json(site, manifest["prompts"]), list[contract.Prompt], "prompts")
    check(read_json(site, manifest["classes"]), list[contract.HeadClass], "classes")
    check(read_json(site, manifest["tags"]), list[contract.ClassTag], "tags")
    check(read_json(site, manifest["features"]), contract.Features, "features")
    check(read_json(site, manifest["evaluation"]), contract.Evaluation, "evaluation")
    for model in manifest["models"]:
        check(read_json(site, model["tokens"]), contract.Tokens, "tokens")
        for file in model["explanations"]:
            explained = read_json(site, file)
            check(explained, list[contract_explanations.HeadExplanation], "explanations")
            assert len(explained) == model["n_heads"]


@pytest.mark.parametrize("value", [{"name": 1}, {"name": "a", "text": "b"}, "a", None])
def test_the_check_of_the_contract_fails_where_it_should(value: Any) -> None:
    with pytest.raises(AssertionError):
        check(value, contract.Score, "score")


def files_named(value: Any) -> set[str]:
    """Every text in the manifest that names a file."""
    if isinstance(value, dict):
        return set().union(*(files_named(v) for v in value.values()), set())
    if isinstance(value, list):
        return set().union(*(files_named(v) for v in value), set())
    endings = (".bin", ".csv", ".parquet", ".json")
    return {value} if isinstance(value, str) and value.endswith(endings) else set()


def test_files_are_those_named_and_named_are_those_there(site: Path) -> None:
    manifest = manifest_of(site)
    features = read_json(site, manifest["features"])
    named = files_named(manifest) | files_named(features)
    scores = manifest["scores_of_heads"]
    for files in (
        features["of_heads"],
        scores,
        *(metric["rows"] for metric in manifest["metrics"]),
    ):
        named |= {f"{name}.bin" for name, _ in head_files(manifest, files)}
    view = [i for i, p in enumerate(read_json(site, manifest["prompts"])) if p["viewable"]]
    for name, _ in head_files(manifest, features["of_patterns"]):
        named |= {f"{name}-{prompt}.bin" for prompt in view}
    nearest = manifest["points"]["nearest"]
    for name, _ in head_files(manifest, nearest["files"]):
        for prompt in range(nearest["n_prompts"]):
            named |= {f"{name}-{prompt}.bin", f"{name}-{prompt}-heads.bin"}
    for model in manifest["models"]:
        files = model["patterns"]
        n_files = model["n_layers"] * model["n_heads"] // files["n_heads"]
        n_groups = -(-len(files["prompts"]) // files["n_prompts"])
        named |= {f"{files['folder']}/{k}-{g}.bin" for k in range(n_files) for g in range(n_groups)}
    exported = {p.relative_to(site / "data").as_posix() for p in (site / "data").rglob("*")
             if p.is_file()}  # fmt: skip
    assert exported == named | {"manifest.json"}


# What is in it


def test_heads_lie_where_the_manifest_says(site: Path, atlas: Atlas) -> None:
    manifest = manifest_of(site)
    heads = []
    for model in manifest["models"]:
        assert model["first_row"] == len(heads)
        heads += [
            f"{model['name']}:L{layer}:H{index}"
            for layer in range(model["n_layers"])
            for index in range(model["n_heads"])
        ]
    assert heads == atlas.heads["head"].to_list()
    table = manifest["heads"]
    assert column(site, table, "layer").tolist() == atlas.heads["layer"].to_list()
    assert column(site, table, "depth").tolist() == atlas.heads["depth"].to_list()
    induction = column(site, table, "induction")
    np.testing.assert_allclose(induction, atlas.heads["induction"].to_numpy(), atol=5e-4)
    assert np.isnan(column(site, table, "self")[3])
    assert np.isnan(column(site, table, "self")).sum() == 1


def test_distances_are_exact_in_rows_and_near_in_the_matrix(site: Path, atlas: Atlas) -> None:
    manifest, exact = manifest_of(site), np.asarray(atlas.distances("mean"))
    metric = next(m for m in manifest["metrics"] if m["name"] == "mean")
    n = manifest["n_heads"]
    rows = [
        values(site, f"{name}.bin", "float32").reshape(len(of_file), n)
        for name, of_file in head_files(manifest, metric["rows"])
    ]
    np.testing.assert_array_equal(np.concatenate(rows), exact)
    codes = values(site, metric["matrix"], "uint16").reshape(n, n)
    assert codes.max() == 65534
    np.testing.assert_allclose(codes * metric["scale"], exact, atol=metric["scale"] / 2 * 1.01)


def test_quantiles_are_of_pairs_as_far_apart_in_depth(site: Path, atlas: Atlas) -> None:
    manifest, exact = manifest_of(site), np.asarray(atlas.distances("mean"))
    metric = next(m for m in manifest["metrics"] if m["name"] == "mean")
    shown = np.stack([values(site, file, "float32") for file in metric["quantiles"]])
    shown = shown.reshape(2, 2, 5, 101)
    model = atlas.heads["model"].to_numpy()
    depth = atlas.heads["depth"].to_numpy()
    for a, first in enumerate(atlas.models):
        for b, second in enumerate(atlas.models):
            result: dict[int, list[float]] = {}
            for i in np.flatnonzero(model == first):
                for j in np.flatnonzero(model == second):
                    if i != j:  # four layers: depths 0, 1/3, 2/3 and 1, none near an edge
                        which = min(int(abs(depth[i] - depth[j]) * 5), 4)
                        result.setdefault(which, []).append(exact[i, j])
            for which in range(5):
                if which in result:
                    expected = np.quantile(result[which], np.linspace(0, 1, 101))
                    np.testing.assert_allclose(shown[a, b, which], expected, rtol=1e-6)
                else:
                    assert np.isnan(shown[a, b, which]).all()


def test_points_are_prompt_by_prompt(site: Path, atlas: Atlas) -> None:
    manifest = manifest_of(site)
    points, embedded = manifest["points"], atlas.embedded()
    assert points["n_prompts"] == len(embedded)
    for c, file in enumerate(points["components"]):
        half = values(site, file, "float16").reshape(embedded.shape[:2])
        np.testing.assert_allclose(half, embedded[:, :, c], rtol=1e-3, atol=1e-3)
    for p, file in enumerate(points["prompts"]):
        np.testing.assert_array_equal(
            values(site, file, "float32").reshape(embedded.shape[1:]), embedded[p]
        )


def test_features_are_those_of_the_parts(site: Path, atlas: Atlas) -> None:
    manifest = manifest_of(site)
    record = read_json(site, manifest["features"])
    names = [f["name"] for f in record["features"]]
    assert [f["name"] for f in manifest["points"]["features"]] == names
    means = values(site, record["head_means"], "float32").reshape(-1, len(names))
    embedding = atlas.embedding()
    importance = dict(zip(embedding.feature_names, embedding.importance().T.tolist(), strict=True))
    shape = (len(atlas.prompts), len(atlas.heads))
    for i, (feature, point) in enumerate(
        zip(record["features"], manifest["points"]["features"], strict=True)
    ):
        exact = table_of_features(atlas, feature["name"])
        shown = values(site, point["file"], point["dtype"]).reshape(shape)
        spread = feature["histogram_high"] - feature["histogram_low"]
        assert (np.abs(shown - exact) <= 1e-3 * (spread + np.abs(exact))).all()
        np.testing.assert_allclose(
            feature["mean"], exact.mean(dtype=np.float64), rtol=1e-6, atol=1e-9
        )
        np.testing.assert_allclose(means[:, i], exact.mean(axis=0), rtol=1e-4, atol=1e-6)
        assert sum(feature["histogram"]) == exact.size
        assert feature["importance"] == importance.get(feature["name"], [])
        for example in feature["examples"]:
            assert example["value"] == exact[example["prompt"], example["row"]]
            assert example["prompt"] < len(atlas.view_prompts())


def test_correlations_are_numpys(site: Path, atlas: Atlas) -> None:
    record = read_json(site, manifest_of(site)["features"])
    names = [f["name"] for f in record["features"]]
    shown = values(site, record["correlation"], "float16").reshape(len(names), len(names))
    table = np.stack([table_of_features(atlas, name).ravel() for name in names]).astype(np.float64)
    varied = table.std(axis=1) > 1e-6
    np.testing.assert_allclose(shown[np.ix_(varied, varied)], np.corrcoef(table[varied]), atol=2e-3)


def test_projections_are_in_the_order_of_the_heads(site: Path, atlas: Atlas) -> None:
    manifest = manifest_of(site)
    assert len(manifest["projections"]) == 4 * 3  # two methods, two dimensions; all and each model
    for record in manifest["projections"]:
        coordinates = values(site, record["file"], "float32").reshape(record["n_components"], -1)
        keys = ("scope", "method", "n_components", "n_neighbors")
        part = atlas.projections.filter(*(pl.col(k) == record[k] for k in keys))
        heads = [h for h in atlas.heads["head"] if h in set(part["head"])]
        xs = dict(part.select("head", "x").iter_rows())
        assert coordinates[0].tolist() == [xs[head] for head in heads]


def test_clusterings(site: Path, atlas: Atlas) -> None:
    manifest = manifest_of(site)
    by_method = {c["method"]: c for c in manifest["clusterings"]}
    assert set(by_method) == {"average", "hdbscan"}
    average = by_method["average"]
    labels = values(site, average["labels"], "int32")
    assert labels.tolist() == atlas.heads["cluster (average)"].to_list()
    assert average["names"] == {"0": "first <b>cluster</b>"}
    tree = values(site, average["linkage"], "float32").reshape(-1, 4)
    stored = np.load(atlas.path / "clusters" / "linkage-average.npy")
    np.testing.assert_allclose(tree, stored, rtol=1e-6)
    assert len(average["jaccard"]) == labels.max() + 1
    codes = column(site, manifest["heads"], "cluster hdbscan")
    unclustered = atlas.heads["cluster (hdbscan)"].to_numpy() < 0
    assert ((codes == 65535) == unclustered).all()


def test_hostile_texts_are_data(site: Path) -> None:
    prompts = read_json(site, "prompts.json.bin")
    assert [p["text"] for p in prompts[: len(HOSTILE_TEXTS)]] == list(HOSTILE_TEXTS)
    assert not any(p["cut"] for p in prompts)


def test_tokens_and_texts_without_end_are_cut(atlas: Atlas, tmp_path: Path) -> None:
    shutil.copytree(atlas.path, tmp_path / "atlas")
    copied = Atlas.open(tmp_path / "atlas")
    hostile = ["x" * 100_000, "</script><script>alert(1)</script>", "\"'`", "\u202egpj", "\ufeff"]
    path, table = (
        copied.file("tokens", model=copied.models[0]).path,
        copied.tokens(copied.models[0]),
    )
    lists = table["tokens"].to_list()
    lists[0][: len(hostile)] = hostile
    table.with_columns(pl.Series("tokens", lists)).write_parquet(path)
    texts = copied.prompts["text"].to_list()
    texts[1] = "y" * 100_000
    copied.prompts.with_columns(pl.Series("text", texts)).write_parquet(copied.file("prompts").path)
    out = tmp_path / "site"
    export_site(Atlas.open(copied.path), out)
    tokens = read_json(out, manifest_of(out)["models"][0]["tokens"])["tokens"][0]
    assert tokens[0] == "x" * 99 + "…"
    assert tokens[1:5] == hostile[1:]
    prompt = read_json(out, "prompts.json.bin")[1]
    assert (prompt["text"], prompt["cut"]) == ("y" * 1000, True)


def test_half_a_character_is_still_json() -> None:
    from attention_motifs.site.output import json_bytes

    text = "\ud800 \U0001f600 \udc00"
    assert json.loads(json_bytes({"a": text}).decode("utf-8")) == {"a": text}


def test_downloads_are_the_tables(site: Path, atlas: Atlas) -> None:
    downloads = site / "data" / "downloads"
    assert pl.read_parquet(downloads / "heads.parquet").equals(atlas.heads)
    assert pl.read_csv(downloads / "heads.csv")["head"].to_list() == atlas.heads["head"].to_list()
    assert pl.read_parquet(downloads / "projections.parquet").equals(atlas.projections)
    stored = json.loads((downloads / "evaluation.json").read_text())
    table = pl.read_csv(downloads / "evaluation.csv")
    n_metrics = len(stored["metrics"])
    assert len(table) == len(stored["rows"]) + n_metrics * len(stored["too_few"])
    unscored = table.filter(pl.col("statistic") == "too few heads")
    assert sorted(unscored["name"]) == sorted(one["name"] for one in stored["too_few"] * n_metrics)
    assert unscored["value"].null_count() == len(unscored)


def test_an_evaluation_of_an_earlier_version_counts_as_missing(
    atlas: Atlas, tmp_path: Path
) -> None:
    shutil.copytree(atlas.path, tmp_path / "atlas")
    copied = Atlas.open(tmp_path / "atlas")
    earlier = {"mean": {"schema_version": 1, "metric": "mean", "rows": [], "too_few": []}}
    copied.file("evaluation").path.write_text(json.dumps(earlier))
    export_site(copied, tmp_path / "site")
    manifest = manifest_of(tmp_path / "site")
    assert manifest["evaluation"] is None
    assert "motifs evaluate" in manifest["missing"]["evaluation"]


# Files


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_same_atlas_gives_the_same_bytes(site: Path, atlas: Atlas, tmp_path: Path) -> None:
    export_site(atlas, tmp_path / "again")
    assert contents(tmp_path / "again") == contents(site)


def test_an_unchanged_atlas_is_not_exported_again(atlas: Atlas, tmp_path: Path) -> None:
    shutil.copytree(atlas.path, tmp_path / "atlas")
    copied = Atlas.open(tmp_path / "atlas")
    assert export_site(copied).written
    manifest = copied.path / "site" / "data" / "manifest.json"
    before = manifest.stat().st_ino
    assert not export_site(copied).written
    assert manifest.stat().st_ino == before
    assert export_site(copied, force=True).written
    name_cluster(copied, "average", 1, "another")
    cluster(copied, method="average", n_clusters=4, n_rounds=3)
    assert export_site(copied).written
    names = manifest_of(copied.path / "site")["clusterings"]
    assert "another" in next(c for c in names if c["method"] == "average")["names"].values()


def test_a_bare_atlas_gives_a_site_that_says_what_is_missing(tmp_path: Path) -> None:
    bare = make_synthetic_atlas(tmp_path / "bare", n_models=1, n_prompts=3, n_tokens=6)
    built = export_site(bare)
    manifest = manifest_of(built.path)
    check(manifest, contract.Manifest, "manifest")
    assert set(manifest["missing"]) == {
        "projections", "clusterings", "scores", "evaluation", "ablations",
    }  # fmt: skip
    assert "run `motifs project --atlas bare`" in manifest["missing"]["projections"]
    assert manifest["projections"] == manifest["clusterings"] == manifest["scores"] == []
    assert manifest["evaluation"] is None


def test_an_atlas_without_embedding_gives_a_site(tmp_path: Path) -> None:
    early = make_synthetic_atlas(tmp_path / "early", n_models=1, n_prompts=3, n_tokens=6)
    del early.manifest.stages["embed"]
    early._write_manifest()
    shutil.rmtree(early.path / "embedded")
    manifest = manifest_of(export_site(Atlas.open(early.path)).path)
    check(manifest, contract.Manifest, "manifest")
    for part in ("points", "explanations"):
        assert "run `motifs embed --atlas early`" in manifest["missing"][part]


def test_imported_patterns_have_no_model_to_run(tmp_path: Path) -> None:
    patterns = np.tril(np.random.default_rng(0).random((2, 3, 2, 5, 5)))
    patterns /= patterns.sum(axis=-1, keepdims=True)
    atlas = atlas_from_patterns(tmp_path / "imported", list(patterns), metrics=["mean"])
    manifest = manifest_of(export_site(atlas).path)
    for part in ("scores", "ablations"):
        assert "motifs" not in manifest["missing"][part]


def test_a_folder_of_something_else_is_left_alone(atlas: Atlas, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="not a site"):
        export_site(atlas, tmp_path)
    with pytest.raises(InputError, match="is a file"):
        export_site(atlas, tmp_path / "thesis.tex")
    assert contents(tmp_path) == {"thesis.tex": b"years of work"}


def test_a_damaged_atlas_leaves_the_old_site(atlas: Atlas, tmp_path: Path) -> None:
    shutil.copytree(atlas.path, tmp_path / "atlas")
    copied = Atlas.open(tmp_path / "atlas")
    export_site(copied)
    before = contents(copied.path / "site")
    broken = copied.file("patterns", model=copied.models[0], prompt=copied.view_prompts()[1]).path
    broken.write_bytes(broken.read_bytes()[:-5])
    with pytest.raises(AtlasError, match=broken.name):
        export_site(copied, force=True)
    assert contents(copied.path / "site") == before
    assert not list(copied.path.glob(".unfinished-*"))


def test_the_pages_open_on_the_best_metric(atlas: Atlas, site: Path) -> None:
    names = [metric["name"] for metric in manifest_of(site)["metrics"]]
    assert names[0] == atlas.best_metric
    assert sorted(names) == sorted(set(names))


def test_explanations_are_those_of_the_atlas(atlas: Atlas, site: Path) -> None:
    manifest = manifest_of(site)
    assert [motif["name"] for motif in manifest["motifs"]] == list(MOTIFS)
    verdicts, shares = manifest["verdicts"], manifest["motif_shares"]
    names = next(c["labels"] for c in verdicts["columns"] if c["name"] == "verdict")
    codes, probabilities = (column(site, verdicts, name) for name in ("verdict", "probability"))
    for model in manifest["models"]:
        n_heads = model["n_heads"]
        for layer, file in enumerate(model["explanations"]):
            for index, shown in enumerate(read_json(site, file)):
                row = model["first_row"] + layer * n_heads + index
                expected = atlas.explain(atlas.heads["head"][row], manifest["explained_by"])
                assert shown["verdict"] == names[codes[row]] == expected.verdict
                assert shown["sentence"] == expected.sentence
                assert shown["probability"] == pytest.approx(expected.probability, abs=1e-4)
                assert probabilities[row] == pytest.approx(expected.probability, abs=1e-3)
                assert shown["shares"] == pytest.approx(list(expected.motifs.values()), abs=1e-4)
                assert [column(site, shares, name)[row] for name in MOTIFS] == pytest.approx(
                    list(expected.motifs.values()), abs=1e-3
                )
                assert [atlas.heads["head"][near["row"]] for near in shown["nearest"]] == [
                    near.head for near in expected.nearest
                ]
                assert [item["prompt"] for item in shown["departs"]] == [
                    atlas.prompts["prompt_id"].to_list().index(item.prompt_id)
                    for item in expected.departs
                ]


def test_an_atlas_without_motif_shares_says_how_to_compute_them(tmp_path: Path) -> None:
    old = make_synthetic_atlas(tmp_path / "old", n_prompts=3)
    old.write_heads(old.heads.select(old.heads.columns[:6]))
    export_site(Atlas.open(old.path), tmp_path / "site")
    manifest = manifest_of(tmp_path / "site")
    check(manifest, contract.Manifest, "manifest")
    assert manifest["verdicts"] is manifest["motif_shares"] is manifest["explained_by"] is None
    assert manifest["motifs"] == []
    assert all(model["explanations"] == [] for model in manifest["models"])
    assert "motifs shares" in manifest["missing"]["explanations"]


def test_prompts_are_viewed_in_the_order_of_their_distance_from_the_mean() -> None:
    from attention_motifs.site.export_explanations import viewing_order

    shares = np.array([[0.9, 0.1], [0.5, 0.5], [0.6, 0.4], [np.nan, np.nan], [0.4, 0.6]])
    # The mean is 0.6: prompt 2 has it, 1 and 4 are near, prompt 3 is not known.
    assert viewing_order(shares[:, None], 4).tolist() == [[2, 1, 0, 3]]
    assert viewing_order(np.full((2, 1, 2), np.nan), 2).tolist() == [[0, 1]]
