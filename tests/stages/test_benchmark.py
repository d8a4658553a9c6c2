from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from attention_motifs.atlas import IMPORTED, Atlas
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.evaluation import RULES, PlantedHeads, score_planted
from attention_motifs.evaluation.baselines import Embedding, raw_pattern, row_statistics
from attention_motifs.features import compute_features
from attention_motifs.stages.benchmark import Benchmark, benchmark, score_kept
from attention_motifs.stages.run import build
from attention_motifs.stages.score import score
from attention_motifs.store.settings import Configuration
from tiny_models import make_tiny_model, texts, write_prompts

N_PROMPTS = 4


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    folder = tmp_path_factory.mktemp("benchmark")
    models = tuple(
        str(make_tiny_model(folder / name, n_layers=4, n_heads=4, seed=seed))
        for seed, name in enumerate(("a", "b"))
    )
    prompts = write_prompts(folder / "prompts.jsonl", texts(6))
    configuration = Configuration(
        models=models,
        prompts=str(prompts),
        n_prompts=6,
        max_tokens=24,
        n_view_prompts=1,
        n_probes=2,
        probe_tokens=40,
    )
    atlas = build(folder / "atlas", configuration)
    with Atlas.lock(atlas.path):
        score(atlas)
    return Atlas.open(atlas.path)


def first_feature(patterns: np.ndarray) -> np.ndarray:
    return np.asarray(compute_features(patterns, ["diag.mean"]))


@pytest.fixture(scope="module")
def kept(atlas: Atlas, tmp_path_factory: pytest.TempPathFactory) -> tuple[Benchmark, Path]:
    out = tmp_path_factory.mktemp("kept") / "planted"
    result = benchmark(
        atlas,
        metrics=["mean", "cosine"],
        embeddings=[Embedding("diagonal", first_feature)],
        strengths=[0.5, 1.0],
        n_prompts=N_PROMPTS,
        n_hosts=2,
        out=out,
    )
    return result, out


def test_stronger_rules_are_found_better_and_nothing_is_found_where_nothing_is_planted(
    kept: tuple[Benchmark, Path],
) -> None:
    result, _ = kept
    assert list(result.scores) == [
        "mean", "cosine", "raw pattern", "row statistics", "diagonal", "layer alone",
    ]  # fmt: skip
    assert result.strengths == [1.0, 0.5]
    for name in ("mean", "cosine", "raw pattern"):
        by = result.scores[name]
        assert by[1.0].mean_ap > 0.9, "the hosts of a rule have the same patterns"
        assert by[1.0].mean_ap >= by[0.5].mean_ap > by[0.0].mean_ap
        assert by[0.0].mean_ap < 0.45
    layers = result.scores["layer alone"]
    assert layers[1.0] == layers[0.0]
    assert layers[0.0].mean_ap < 0.45


def test_planted_atlases_are_atlases_with_the_hosts_named(
    atlas: Atlas, kept: tuple[Benchmark, Path]
) -> None:
    result, out = kept
    planted = Atlas.open(out / "strength-1")
    control = Atlas.open(out / "strength-0")
    assert planted.heads["head"].to_list() == atlas.heads["head"].to_list()
    assert planted.heads["planted"].to_list() == result.planted.names
    assert set(planted.heads["planted"].drop_nulls()) == {rule.name for rule in RULES}
    columns = ["diag.mean", "prev_tok.mean"]
    columns = [c for c in columns if c in atlas.embedding().feature_names]
    hosts = np.array([name is not None for name in result.planted.names])
    for stimuli, n in (("prompts", N_PROMPTS), ("probes", 2)):
        first = 0
        for model, info in atlas.manifest.models.items():
            of_model = hosts[first : first + info.n_all_heads]
            first += info.n_all_heads
            before, same, after = (
                next(iter(a.feature_parts(model, columns, stimuli=stimuli)))
                .select(columns)
                .to_numpy()[: n * info.n_all_heads]
                .reshape(n, info.n_all_heads, -1)
                for a in (atlas, control, planted)
            )
            assert np.allclose(before, same, atol=1e-5)
            assert np.allclose(before[:, ~of_model], after[:, ~of_model], atol=1e-5)
            assert (np.abs(before - after)[:, of_model].max(axis=2) > 1e-3).mean() > 0.9
    mine = [i for i, name in enumerate(result.planted.names) if name == "self"]
    assert planted.pattern(planted.heads["head"][mine[0]], planted.view_prompts()[0]) == (
        pytest.approx(np.eye(24), abs=0.01)
    )


def test_distances_of_a_user_are_scored_on_kept_atlases(
    kept: tuple[Benchmark, Path], tmp_path: Path
) -> None:
    result, out = kept
    for strength in (0.5, 1.0):
        built = Atlas.open(out / f"strength-{strength:g}")
        np.save(out / f"mine-{strength:g}.npy", built.distances("cosine"))
    scores = score_kept(out, "mine")
    for strength in (0.5, 1.0):
        assert scores[strength].mean_ap == pytest.approx(result.scores["cosine"][strength].mean_ap)
    with pytest.raises(InputError, match=r"other-1\.npy"):
        score_kept(out, "other")
    np.save(out / "small-1.npy", np.zeros((3, 3)))
    with pytest.raises(InputError, match="shape"):
        score_kept(out, "small")
    with pytest.raises(InputError, match="--out"):
        score_kept(tmp_path, "mine")
    record = json.loads((out / "benchmark.json").read_text())
    again = PlantedHeads.of_names(record["rules"], record["seed"])
    matrix = np.asarray(Atlas.open(out / "strength-1").distances("cosine"))
    assert score_planted(matrix, again).mean_ap == pytest.approx(
        record["scores"]["cosine"]["1"]["mean_ap"]
    )


def test_runs_that_cannot_be_made_are_refused(atlas: Atlas, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="hosts"):
        benchmark(atlas, n_hosts=3)
    with pytest.raises(InputError, match="strengths"):
        benchmark(atlas, strengths=[0.0])
    with pytest.raises(InputError, match="strengths"):
        benchmark(atlas, strengths=[])
    with pytest.raises(InputError, match="name of its own"):
        benchmark(atlas, embeddings=[Embedding("raw pattern", raw_pattern)])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(InputError, match="exists already"):
        benchmark(atlas, n_hosts=2, out=tmp_path / "full")
    from dataclasses import replace

    imported = Atlas(atlas.paths, atlas.manifest)
    configuration = replace(atlas.manifest.configuration, prompts=IMPORTED)
    imported.manifest = replace(atlas.manifest, configuration=configuration)
    with pytest.raises(AtlasError, match="imported"):
        benchmark(imported)
    bad = Embedding("bad", lambda patterns: patterns[:1, 0])
    with pytest.raises(InputError, match="'bad' failed"):
        benchmark(atlas, metrics=["mean"], embeddings=[bad], n_hosts=2, n_prompts=2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"strengths": ["a"]},
        {"strengths": 0.5},
        {"strengths": [float("nan")]},
        {"embeddings": [3]},
        {"embeddings": None},
        {"metrics": "no metric"},
        {"n_hosts": True},
        {"seed": 1.5},
    ],
)
def test_arguments_of_another_kind_are_refused(atlas: Atlas, wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        benchmark(atlas, **{"n_hosts": 2, "n_prompts": 2, "metrics": ["mean"], **wrong})  # type: ignore[arg-type]


def test_row_statistics_are_those_of_their_names() -> None:
    uniform = np.tril(np.ones((4, 4))) / np.arange(1, 5)[:, None]
    (row,) = row_statistics(uniform[None])
    entropies = np.log2([1, 2, 3, 4])
    expected = [
        entropies.mean(),
        entropies.std(),
        np.mean([1, 1 / 2, 1 / 3, 1 / 4]),
        np.mean([1, 1 / 2, 1 / 3, 1 / 4]),
        np.mean([1 / 2, 1 / 3, 1 / 4]),
        1.0,
        np.mean([0, 0.5, 1, 1.5]),
        np.mean([1, 1 / 2, 1 / 3, 1 / 4]),
    ]
    assert row == pytest.approx(expected)
    (identity,) = row_statistics(np.eye(3)[None])
    assert identity == pytest.approx([0, 0, 1 / 3, 1, 0, 1, 0, 1])
    assert np.isfinite(row_statistics(np.ones((1, 1, 1)))).all()
