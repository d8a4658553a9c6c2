"""The stage `evaluate`: labels are drawn once, kept by model, and missing ones are named."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.stored_evaluation import read_evaluation
from attention_motifs.behaviour import labels as drawing
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.executors import Job
from attention_motifs.executors.jobs import Done, call, ignore
from attention_motifs.progress import Advance
from attention_motifs.prompts import Prompt
from attention_motifs.stages.evaluate import evaluate
from attention_motifs.stages.label import draw_labels
from attention_motifs.stages.metric_distances import metric_distances
from attention_motifs.stages.run import build
from attention_motifs.store import files
from attention_motifs.store.settings import Configuration
from conftest import Tiny
from synthetic_atlas import make_synthetic_atlas
from tiny_models import make_tiny_model

FAST = {"n_permutations": 20, "n_bootstraps": 4}
KINDS = ["plain-text", "prompts", "random-tokens", "repeated-text"]


@pytest.fixture(scope="module", autouse=True)
def _short_sequences(own_cache: Path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "N_SEQUENCES", 4)
        patch.setattr(drawing, "N_TOKENS", 50)
        yield


@pytest.fixture(scope="module")
def evaluated(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    """An atlas of two models of 16 heads, evaluated; `grouped` has two key groups per layer."""
    folder = tmp_path_factory.mktemp("models")
    names = []
    for name, seed in (("plain", 3), ("other", 4)):
        path = make_tiny_model(folder / name, n_layers=4, n_heads=4, seed=seed)
        names.append(f"{name}={path}")
    configuration = Configuration(
        models=tuple(names), prompts=str(tiny.prompts), max_tokens=24, n_view_prompts=0
    )
    atlas = build(tmp_path_factory.mktemp("built") / "atlas", configuration)
    evaluate(atlas, **FAST)
    return atlas


def labelled(atlas: Atlas, model: str) -> dict[str, tuple[int, int]]:
    """A file system may give a new file the inode of a deleted one: the time is compared too."""
    return {
        file.path.stem: ((s := file.path.stat()).st_ino, s.st_mtime_ns)
        for file in atlas.paths.existing("label_scores", model=model)
    }


@pytest.mark.slow
def test_labels_are_kept_by_model_and_drawn_once(evaluated: Atlas) -> None:
    before = labelled(evaluated, "plain")
    assert sorted(before) == KINDS
    drawn = draw_labels(evaluated)
    assert labelled(evaluated, "plain") == before
    assert drawn.missing == []
    assert [(label.model, label.kind) for label in drawn.labels] == [
        (model, kind)
        for model in ("plain", "other")
        for kind in ("random tokens", "repeated text", "plain text")
    ]
    assert all(label.scores.shape == (4, 16, 6) for label in drawn.labels)
    assert set(drawn.detectors) == {"plain", "other"}


def test_a_damaged_or_missing_kind_alone_is_drawn_again(evaluated: Atlas, tmp_path: Path) -> None:
    shutil.copytree(evaluated.path, tmp_path / "atlas")
    atlas = Atlas.open(tmp_path / "atlas")
    before = labelled(atlas, "plain")
    atlas.file("label_scores", model="plain", kind="plain-text").path.write_bytes(b"damaged")
    atlas.file("label_scores", model="plain", kind="prompts").path.unlink()
    expected = draw_labels(evaluated).labels
    drawn = draw_labels(atlas)
    after = labelled(atlas, "plain")
    assert {k for k in KINDS if after[k] != before[k]} == {"plain-text", "prompts"}
    for mine, its in zip(drawn.labels, expected, strict=True):
        np.testing.assert_array_equal(mine.scores, its.scores)


@dataclass
class OtherProcess:
    """An executor whose jobs share no object with this process."""

    jobs: list[str] = field(default_factory=list)

    def run(self, jobs: Sequence[Job], advance: Advance, done: Done = ignore) -> list[Any]:
        results = []
        for position, job in enumerate(jobs):
            self.jobs.append(job.name)
            results.append(copy.deepcopy(call(copy.deepcopy(job))))
            done(position, results[-1])
            advance(job.steps)
        return results

    def share(self, live: object, plain: object) -> object:
        return plain

    def close(self) -> None:
        pass


def test_labels_drawn_by_other_processes_are_the_same(evaluated: Atlas, tmp_path: Path) -> None:
    shutil.copytree(evaluated.path, tmp_path / "atlas")
    atlas = Atlas.open(tmp_path / "atlas")
    shutil.rmtree(atlas.path / "label-scores")
    executor = OtherProcess()
    evaluate(atlas, metrics=["mean"], executor=executor, **FAST)
    assert executor.jobs == ["labels of plain", "labels of other"]
    for ours, expected in zip(
        draw_labels(atlas).labels, draw_labels(evaluated).labels, strict=True
    ):
        np.testing.assert_array_equal(ours.scores, expected.scores)


def test_the_evaluation_is_written_and_read(evaluated: Atlas) -> None:
    result = read_evaluation(evaluated)
    assert set(result.metrics) == set(evaluated.metrics())
    settings = {row.setting for row in result.rows}
    assert settings == {"within", "across", "transfer"}
    assert result.answer
    assert evaluate(evaluated, **FAST) == result


def test_resamples_of_every_metric_start_from_its_distances(evaluated: Atlas) -> None:
    off = ~np.eye(len(evaluated.heads), dtype=bool)
    for metric in evaluated.metrics():
        given = metric_distances(evaluated, metric)
        scale = given.distances.max()
        if given.resampled is not None:
            difference = (given.resampled() - given.distances)[off] / scale
            assert np.abs(difference).max() < 1e-4, metric
        assert {(t.fitted_on, t.model) for t in given.transferred} == {
            ("plain", "other"),
            ("other", "plain"),
        }


def test_a_model_that_is_gone_is_named_and_the_rest_is_evaluated(
    evaluated: Atlas, tmp_path: Path
) -> None:
    shutil.copytree(evaluated.path, tmp_path / "atlas")
    atlas = Atlas.open(tmp_path / "atlas")
    shutil.rmtree(atlas.path / "label-scores")
    for model in ("plain", "other"):
        record = atlas.manifest.models[model]
        assert record.is_local
    moved = tmp_path / "moved"
    configuration = atlas.manifest.configuration
    gone = tuple(f"{name}={moved / name}" for name in ("plain", "other"))
    atlas.update(configuration=type(configuration)(**{**vars(configuration), "models": gone}))
    result = evaluate(atlas, metrics=["mean"], **FAST)
    assert len(result.missing) == 2
    assert all(name in text for name, text in zip(("plain", "other"), result.missing, strict=True))
    assert result.headline == ()
    assert {row.kind for row in result.rows} == {"patterns", "distances"}


def test_without_running_models_the_command_is_named(tmp_path: Path) -> None:
    atlas = make_synthetic_atlas(tmp_path / "atlas", n_layers=3, n_heads=4, n_prompts=6)
    result = evaluate(atlas, **FAST)
    assert any("imported" in text for text in result.missing)
    assert "motifs evaluate" not in str(result.answer)


def test_own_texts_are_used(evaluated: Atlas, tmp_path: Path) -> None:
    shutil.copytree(evaluated.path, tmp_path / "atlas")
    atlas = Atlas.open(tmp_path / "atlas")
    texts = [Prompt("one two three four five six seven " * 3 + str(i)) for i in range(8)]
    drawn = draw_labels(atlas, texts=texts)
    plain = next(label for label in drawn.labels if label.kind == "plain text")
    before = next(label for label in draw_labels(evaluated).labels if label.kind == "plain text")
    assert plain.scores.shape == before.scores.shape
    assert not np.array_equal(plain.scores, before.scores)
    few = draw_labels(atlas, texts=texts[:3])
    assert [label.kind for label in few.labels] == ["random tokens"] * 2
    assert any("--texts" in text for text in few.missing)


def test_wrong_metrics_are_refused_before_models_run(evaluated: Atlas) -> None:
    with pytest.raises(InputError):
        evaluate(evaluated, metrics=["nonsense"])
    with pytest.raises(AtlasError):
        evaluate(evaluated, metrics=["energy"])
    with pytest.raises(InputError, match="nonsense"):
        evaluate(evaluated, metrics=["mean"], reference="nonsense", **FAST)


def test_an_earlier_file_is_named(evaluated: Atlas, tmp_path: Path) -> None:
    shutil.copytree(evaluated.path, tmp_path / "atlas")
    atlas = Atlas.open(tmp_path / "atlas")
    files.write_json(atlas.file("evaluation"), {"mean": {"schema_version": 1, "rows": []}})
    with pytest.raises(AtlasError, match="motifs evaluate"):
        read_evaluation(atlas)


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_bootstraps": -1},
        {"n_bootstraps": True},
        {"n_permutations": 0},
        {"texts": "a text"},
        {"texts": ["a text"]},
        {"seed": -1},
        {"metrics": "no metric"},
        {"reference": "mean", "metrics": ["cosine"]},
    ],
)
def test_arguments_of_another_kind_are_refused(evaluated: Atlas, wrong: dict[str, object]) -> None:
    with pytest.raises(InputError):
        evaluate(evaluated, **{**FAST, **wrong})  # type: ignore[arg-type]


def test_one_name_is_one_metric(evaluated: Atlas, tmp_path: Path) -> None:
    shutil.copytree(evaluated.path, tmp_path / "atlas")
    atlas = Atlas.open(tmp_path / "atlas")
    assert evaluate(atlas, metrics="cosine", **FAST).metrics == ("cosine",)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"Atlas\.open"):
        evaluate(str(atlas.path), **FAST)  # type: ignore[arg-type]
