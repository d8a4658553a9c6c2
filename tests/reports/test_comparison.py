"""The paper's claims beside what is measured: the measures, the rules, the page, the command."""

from __future__ import annotations

import json
import re
import shutil
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_motifs.atlas import Atlas
from attention_motifs.cli import main
from attention_motifs.embedding import PatternEmbedding
from attention_motifs.errors import AtlasError
from attention_motifs.features import feature_names
from attention_motifs.reports.comparison_claims import CLAIMS, judged
from attention_motifs.reports.comparison_measures import (
    depth_contrast,
    head_silhouette,
    model_overlap,
    pattern_difference,
    variance_shares,
)
from attention_motifs.reports.comparison_page import comparison_page
from attention_motifs.stages.compare import COUNTS, carried_over, measure
from synthetic_atlas import make_synthetic_atlas

DOCS = Path(__file__).parents[2] / "docs"
REFERENCE = DOCS / "packaged" / "comparison.json"


# Measures


def test_models_of_one_distribution_overlap_as_much_as_can_be() -> None:
    clouds = np.random.default_rng(0).normal(size=(40, 120, 5))
    result = model_overlap(clouds, ["a"] * 60 + ["b"] * 60)
    assert result.components == pytest.approx(result.permuted, abs=0.03)
    assert result.mixing == pytest.approx(1.0, abs=0.1)
    assert result.lowest > 0.9


def test_models_apart_do_not_overlap_and_do_not_mix() -> None:
    clouds = np.random.default_rng(0).normal(size=(10, 40, 4))
    clouds[:, 20:] += 100.0
    result = model_overlap(clouds, ["a"] * 20 + ["b"] * 20)
    assert (result.components, result.lowest, result.mixing) == (0.0, 0.0, 0.0)
    assert result.permuted > 0.5


def test_overlap_is_one_less_the_total_variation_of_histograms() -> None:
    rng = np.random.default_rng(3)
    clouds = rng.normal(size=(30, 9, 1)) + np.arange(9)[None, :, None] / 4
    models = ["a"] * 3 + ["b"] * 4 + ["c"] * 2
    low, high = np.quantile(clouds[:, :, 0], [1e-3, 1 - 1e-3])
    of = [
        np.histogram(np.clip(clouds[:, [m == name for m in models], 0], low, high), 40, (low, high))
        for name in "abc"
    ]
    shares = [counts / counts.sum() for counts, _ in of]
    expected = [1 - 0.5 * np.abs(p - q).sum() for p, q in combinations(shares, 2)]
    result = model_overlap(clouds, models)
    assert result.components == pytest.approx(np.mean(expected), abs=1e-9)
    assert result.lowest == pytest.approx(min(expected), abs=1e-9)


def test_constant_clouds_overlap_wholly() -> None:
    assert model_overlap(np.zeros((2, 4, 3)), ["a", "a", "b", "b"]).components == 1.0


def test_silhouette_tells_regions_from_a_mist() -> None:
    rng = np.random.default_rng(1)
    mist = rng.normal(size=(6, 30, 4))
    apart = mist * 0.01 + rng.normal(size=(30, 4))
    assert head_silhouette(apart) > 0.8
    assert head_silhouette(mist) < 0.0
    assert np.isnan(head_silhouette(mist[:1]))
    assert np.isnan(head_silhouette(mist[:, :1]))
    assert head_silhouette(apart, max_points=60) > 0.8


def plain_auroc(distances: np.ndarray, late: np.ndarray) -> float:
    """As defined: the chance that a pair across is farther apart than a pair within a half."""
    pairs = list(combinations(range(len(late)), 2))
    across = [distances[i, j] for i, j in pairs if late[i] != late[j]]
    within = [distances[i, j] for i, j in pairs if late[i] == late[j]]
    wins = [(a > w) + 0.5 * (a == w) for a in across for w in within]
    return float(np.mean(wins))


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(2, 3))
def test_depth_contrast_is_as_defined(seed: int, n_layers: int, n_heads: int) -> None:
    rng = np.random.default_rng(seed)
    layers = np.repeat(np.arange(n_layers), n_heads)
    points = np.round(rng.normal(size=(len(layers), 2)), 1)  # some ties
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    result = depth_contrast(distances, layers, "m", n_permutations=19)
    assert result is not None
    late = layers >= n_layers // 2
    assert result.auroc == pytest.approx(plain_auroc(distances, late))
    cuts = [plain_auroc(distances, layers >= cut) for cut in range(1, n_layers)]
    assert result.best_auroc == pytest.approx(max(cuts))
    assert result.best_auroc == pytest.approx(cuts[result.best_cut - 1])
    assert 0.05 <= result.p <= 1.0
    assert 0.05 <= result.best_p <= 1.0
    same = late[:, None] == late[None, :]
    np.fill_diagonal(same, False)
    assert result.within == pytest.approx(distances[same].mean())


def test_depth_contrast_sees_layers_and_does_not_see_what_is_not_there() -> None:
    rng = np.random.default_rng(0)
    layers = np.repeat(np.arange(8), 4)
    for slope, low, high in ((2.0, 0.8, 1.0), (0.0, 0.4, 0.6)):
        points = slope * layers[:, None] + rng.normal(size=(32, 3))
        distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
        result = depth_contrast(distances, layers)
        assert result is not None
        assert low <= result.auroc <= high
        assert (result.p <= 0.01) == (slope > 0)
        assert (result.best_p <= 0.01) == (slope > 0)


@pytest.mark.parametrize("layers", [[0], [0, 0, 0], [0, 1]])
def test_models_too_small_for_a_contrast_have_none(layers: list[int]) -> None:
    n = len(layers)
    assert depth_contrast(1.0 - np.eye(n), np.array(layers)) is None


def test_pattern_difference_is_the_total_variation_of_the_rows() -> None:
    eye, first = np.eye(3), np.zeros((3, 3))
    first[:, 0] = 1.0
    assert pattern_difference(eye, np.stack([eye, first])).tolist() == pytest.approx([0.0, 2 / 3])


def test_variance_shares_are_those_of_the_embedding() -> None:
    rows = np.random.default_rng(0).normal(size=(200, 8)) @ np.triu(np.ones((8, 8)))
    fitted = PatternEmbedding.fit(rows, 8)
    shares = fitted.explained_variance_ratio.cumsum()
    variances = np.random.default_rng(1).permutation(fitted.explained_variance)
    assert variance_shares(variances, [1, 3, 20]) == pytest.approx([shares[0], shares[2], 1.0])
    noisy = variance_shares(np.append(variances, [1.0, 1.0]), [1])
    assert noisy[0] == pytest.approx(shares[0] * 8 / 10)


# An atlas


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    built = make_synthetic_atlas(
        tmp_path_factory.mktemp("compare") / "a|b", n_layers=4, n_heads=3, n_prompts=8
    )
    scores = np.zeros((3, len(built.heads)))
    scores[0, [0, 4, 9, 12, 17, 22]] = 0.9
    names = ("induction", "previous token", "duplicate token")
    built.write_heads(
        built.heads.with_columns(
            *(pl.Series(n, s, dtype=pl.Float32) for n, s in zip(names, scores, strict=True))
        )
    )
    return Atlas.open(built.path)


@pytest.fixture(scope="module")
def measured(atlas: Atlas) -> dict[str, Any]:
    return measure(atlas)


def test_what_is_measured_is_json_and_the_same_again(
    atlas: Atlas, measured: dict[str, Any]
) -> None:
    assert json.loads(json.dumps(measured, allow_nan=False)) == measured
    assert measure(Atlas.open(atlas.path)) == measured


def test_shares_of_variance_are_those_of_the_atlas(atlas: Atlas, measured: dict[str, Any]) -> None:
    shares = atlas.embedding().explained_variance_ratio.cumsum()
    first, *others = measured["variance"]
    assert [first[str(k)] for k in COUNTS] == pytest.approx([shares[k - 1] for k in COUNTS])
    assert {row["choice"] for row in others} >= {f"{model} alone" for model in atlas.models}
    # Each model alone is what an embedding of that model would be.
    names = list(feature_names("paper"))
    rows = np.concatenate(
        [p.select(names).to_numpy() for p in atlas.feature_parts(atlas.models[0])]
    )
    alone = PatternEmbedding.fit(rows, 16).explained_variance_ratio.cumsum()
    (row,) = [row for row in others if row["choice"] == f"{atlas.models[0]} alone"]
    assert row["3"] == pytest.approx(alone[2], rel=1e-6)


def test_the_other_gram_matrix_is_measured_where_its_features_are(
    tmp_path: Path, tiny: Any, own_cache: Path
) -> None:
    from attention_motifs.stages.run import build

    configuration = tiny.configuration(feature_sets=("paper", "skew_col"))
    built = build(tmp_path / "atlas", configuration, metrics=["mean"])
    result = measure(built)
    choices = {row["choice"]: row for row in result["variance"]}
    names = list(feature_names("paper"))
    start = names.index("gram.skew.hist.mean")
    names[start : start + 11] = feature_names("skew_col")
    rows = np.concatenate(
        [p.select(names).to_numpy() for m in built.models for p in built.feature_parts(m, names)]
    )
    fitted = PatternEmbedding.fit(rows, 16, names)
    shares = fitted.explained_variance_ratio.cumsum()
    assert choices["S(A)^T S(A) for S(A) S(A)^T"]["3"] == pytest.approx(shares[2], rel=1e-5)
    assert {row["metric"] for row in result["metrics"]} == {"cosine", "mean, S(A)^T S(A)"}


def test_every_claim_is_judged_with_a_figure_that_is_drawn(measured: dict[str, Any]) -> None:
    from attention_motifs.figures import catalogue

    rows = judged(measured)
    assert [row["claim"] for row in rows] == [claim.key for claim in CLAIMS]
    verdicts = {"agrees", "partly", "differs", "no number to compare", "not measurable here"}
    assert {row["verdict"] for row in rows} <= verdicts
    source = Path(catalogue.__file__).read_text()
    for claim in CLAIMS:
        stem = re.sub(r"figure-0[5689]-", "-", claim.figure)
        assert stem in source, claim.figure


def test_verdicts_follow_the_rules(measured: dict[str, Any]) -> None:
    def verdict(key: str, **changes: Any) -> str:
        return {r["claim"]: r["verdict"] for r in judged({**measured, **changes})}[key]

    for share, expected in ((0.66, "agrees"), (0.60, "partly"), (0.50, "differs")):
        shares = [{**measured["variance"][0], "3": share}]
        assert verdict("variance-3", variance=shares) == expected
    assert verdict("overlap", overlap=None) == "not measurable here"
    for lowest, expected in ((0.6, "agrees"), (0.3, "partly"), (0.1, "differs")):
        changed = {"components": 0.7, "lowest": lowest, "permuted": 0.9, "mixing": 0.8}
        assert verdict("overlap", overlap=changed) == expected
    row = {
        "metric": "mean", "kind": "computed", "model": "m", "name": "induction (computed)",
        "auroc": 0.8, "map": 0.4, "map_null": 0.1, "p_floor": 0.001,
    }  # fmt: skip
    for ps, expected in (
        ((0.01, 0.01, 0.2), "agrees"),
        ((0.01, 0.2), "partly"),
        ((0.2,), "differs"),
    ):
        rows = [{**row, "p": p} for p in ps]
        assert verdict("computed-classes", classes=rows) == expected
    assert verdict("known-classes", classes=rows) == "not measurable here"
    assert verdict("name-movers", classes=rows) == "not measurable here"
    for aurocs, expected in (((0.7, 0.7, 0.5), "agrees"), ((0.7, 0.5), "partly")):
        layers = [
            {"model": "m", "auroc": a, "p": 0.01, "best_auroc": a, "best_p": 0.01, "best_cut": 1}
            for a in aurocs
        ]
        assert verdict("layers", layers=layers) == expected


def test_the_page_escapes_names_and_links_figures(measured: dict[str, Any]) -> None:
    hostile = {**measured, "name": "a|b <script>"}
    page = comparison_page([hostile, measured], "figures")
    assert "<script>" not in page
    assert "a\\|b &lt;script&gt;" in page
    assert "(figures/figure-11-variance.svg)" in page
    for table in re.findall(r"(?:^\|.*\|$\n?)+", page, re.MULTILINE):
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1, table


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["motifs", *words])
    with pytest.raises(SystemExit) as exited:
        main()
    captured = capsys.readouterr()
    return int(exited.value.code or 0), captured.out, captured.err


def test_the_command_writes_page_and_data(
    atlas: Atlas,
    measured: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(atlas.path, tmp_path / "other")
    words = ["compare", "--atlas", str(atlas.path), "--beside", str(tmp_path / "other")]
    code, out, _ = run(monkeypatch, capsys, *words, "--out", str(tmp_path / "page"))
    assert code == 0
    assert "around 68 %" in out
    data = json.loads((tmp_path / "page" / "comparison.json").read_text())
    carried = carried_over(atlas, atlas)
    assert data["atlases"] == [measured, {**measured, "name": "other", "carried": carried}]
    assert (tmp_path / "page" / "comparison.md").read_text() == comparison_page(data["atlases"])
    code, out, _ = run(monkeypatch, capsys, "compare", "--atlas", str(atlas.path), "--json")
    assert json.loads(out)[0] == measured
    assert (
        "(./figure-13-distances.svg)"
        in (atlas.path / "figures" / "paper" / "comparison.md").read_text()
    )


def test_patterns_of_another_atlas_are_told_by_the_centroids_of_the_first(
    atlas: Atlas, tmp_path: Path
) -> None:
    clouds = atlas.embedded().astype(np.float64)
    centroids = clouds.mean(axis=0)
    gaps = np.linalg.norm(clouds[:, :, None] - centroids[None, None], axis=-1)
    expected = (gaps.argmin(axis=2) == np.arange(len(centroids))).mean()
    assert carried_over(atlas, atlas) == pytest.approx(expected)
    # Texts of another length are told less well, models with other weights not at all.
    shorter = make_synthetic_atlas(
        tmp_path / "shorter", n_layers=4, n_heads=3, n_prompts=5, n_tokens=6
    )
    message = carried_over(atlas, shorter)
    assert message is not None
    assert message < expected
    other = make_synthetic_atlas(tmp_path / "other", n_layers=2, n_prompts=4, seed=1)
    assert carried_over(atlas, other) is None


def test_without_distances_the_command_that_makes_them_is_named(tmp_path: Path) -> None:
    atlas = make_synthetic_atlas(tmp_path / "atlas", n_prompts=4)
    atlas.file("distances", metric="mean").path.unlink()
    with pytest.raises(AtlasError, match="motifs distances"):
        measure(atlas)


def test_a_small_atlas_of_one_model_answers_what_it_can(tmp_path: Path) -> None:
    built = make_synthetic_atlas(
        tmp_path / "atlas", n_models=1, n_layers=1, n_heads=3, n_prompts=2, n_tokens=4
    )
    result = measure(built)
    assert result["overlap"] is None
    assert result["layers"] == []
    assert result["likeness"] is None
    verdicts = {row["claim"]: row["verdict"] for row in judged(result)}
    assert verdicts["overlap"] == verdicts["layers"] == "not measurable here"
    assert comparison_page([result])
