from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.cli import main
from attention_motifs.errors import InputError
from attention_motifs.stages.graded import graded
from synthetic_atlas import make_synthetic_atlas

SHAPE = (3, 4)


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    return make_synthetic_atlas(
        tmp_path_factory.mktemp("graded") / "atlas", n_layers=3, n_heads=4, n_prompts=8
    )


def write(folder: Path, **models: tuple[str, np.ndarray]) -> Path:
    np.savez(folder / "graded.npz", **{name: values for name, (_, values) in models.items()})
    entries = {
        name: {"source": name, "model": model, "class": "induction"}
        for name, (model, _) in models.items()
    }
    (folder / "graded.json").write_text(json.dumps(entries))
    return folder / "graded.npz"


def test_models_are_matched_by_name_and_by_aliases(atlas: Atlas, tmp_path: Path) -> None:
    values = np.random.default_rng(0).random(SHAPE)
    file = write(
        tmp_path,
        one=("ORG/synthetic-1", values),
        two=("org/synthetic-1", values + 0.01),
        three=("org/other", values[:2]),
    )
    rows = graded(atlas, file)
    assert {row.source for row in rows} == {"one", "two"}
    assert [row.compared for row in rows if row.source == "one"] == [
        "mean", "layer alone", "exact score", "team: two",
    ]  # fmt: skip
    team = next(row for row in rows if row.compared == "team: two")
    assert team.agreement.spearman == pytest.approx(1)


def test_distances_are_those_of_the_model_alone(atlas: Atlas, tmp_path: Path) -> None:
    values = np.random.default_rng(1).random(SHAPE)
    file = write(tmp_path, one=("org/synthetic-1", values))
    before = graded(atlas, file)
    matrix = np.array(atlas.distances("mean"))
    of_model = atlas.heads["model"].to_numpy() == "org/synthetic-1"
    matrix[np.ix_(~of_model, ~of_model)] += 7.0
    from attention_motifs.evaluation.graded import PublishedScores, compare_graded

    published = PublishedScores("one", "org/synthetic-1", "induction", "", values)
    assert before == compare_graded(published, {"mean": matrix[np.ix_(of_model, of_model)]}, {})


def test_files_about_other_models_or_shapes_are_refused(atlas: Atlas, tmp_path: Path) -> None:
    file = write(tmp_path, one=("org/other", np.random.default_rng(0).random(SHAPE)))
    with pytest.raises(InputError, match="org/other"):
        graded(atlas, file)
    file = write(tmp_path, one=("synthetic-0", np.random.default_rng(0).random((4, 3))))
    with pytest.raises(InputError, match=r"\(4, 3\)"):
        graded(atlas, file)


def test_the_command_prints_a_table_and_json(
    atlas: Atlas,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = write(tmp_path, one=("synthetic-0", np.random.default_rng(0).random(SHAPE)))
    words = ["motifs", "evaluate", "--atlas", str(atlas.path), "--graded", str(file)]
    for extra in ([], ["--json"]):
        monkeypatch.setattr("sys.argv", [*words, *extra])
        with pytest.raises(SystemExit) as stopped:
            main()
        assert not stopped.value.code
        out = capsys.readouterr().out
    assert {row["compared"] for row in json.loads(out)} == {"mean", "layer alone", "exact score"}
