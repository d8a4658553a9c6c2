"""The preset `recommended` as a stage: fitted, placed, gained by an old atlas."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.check import check_atlas
from attention_motifs.atlas.queries import near
from attention_motifs.cli import main
from attention_motifs.distances import head_distances
from attention_motifs.embedding.recommended import RecommendedEmbedding
from attention_motifs.errors import AtlasError
from attention_motifs.features import feature_names
from attention_motifs.stages.distances import distances
from attention_motifs.stages.embed import embed
from attention_motifs.stages.extract import extract
from attention_motifs.stages.run import add, build
from conftest import Tiny, contents


@pytest.fixture(scope="module")
def old(tiny: Tiny, own_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    """An atlas of `a` and `b` with the features `paper` only; tests change an `old_copy`."""
    folder = tmp_path_factory.mktemp("old") / "atlas"
    return build(folder, tiny.configuration(feature_sets=("paper",)))


@pytest.fixture
def old_copy(old: Atlas, tmp_path: Path) -> Atlas:
    shutil.copytree(old.path, tmp_path / "atlas")
    return Atlas.open(tmp_path / "atlas")


def motifs(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["motifs", *words])
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


def without_recommended(folder: Path) -> dict[str, bytes]:
    """Files that an atlas has with and without the preset, those of features aside."""
    kept = ("atlas.json", "features", "recommended", "distances/recommended")
    return {name: data for name, data in contents(folder).items() if not name.startswith(kept)}


def test_clouds_are_what_the_saved_preset_gives(built: Atlas) -> None:
    preset = built.recommended()
    assert list(preset.feature_names) == feature_names("extended")
    clouds = built.recommended_clouds()
    assert clouds.shape == (20, 13, len(preset.feature_names))
    assert clouds.dtype == np.float32
    start = 0
    for model, n_heads in (("a", 4), ("b", 9)):
        parts = list(built.feature_parts(model, list(preset.feature_names)))
        values = np.concatenate([p.select(preset.feature_names).to_numpy() for p in parts])
        values = values.reshape(20, n_heads, -1)
        placed = preset.place(values, np.full(20, 24))
        assert np.array_equal(clouds[:, start : start + n_heads], placed)
        assert np.array_equal(built.recommended_clouds([model]), placed)
        start += n_heads
    assert preset.n_rows == 20 * 13


def test_more_patterns_than_are_held_are_ranked_by_sketches(
    copy: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So few patterns are exact by sketches as well: nothing moves."""
    before, clouds = copy.recommended(), copy.recommended_clouds()
    monkeypatch.setattr("attention_motifs.stages.embed.EXACT_ROWS", 20 * 13 - 1)
    asked: list[bool] = []
    fit = RecommendedEmbedding.fit_parts

    def watched(*arguments: Any, sketch: bool, **options: Any) -> RecommendedEmbedding:
        asked.append(sketch)
        return fit(*arguments, sketch=sketch, **options)

    monkeypatch.setattr(RecommendedEmbedding, "fit_parts", watched)
    embed(copy, force=True)
    assert asked == [True]
    np.testing.assert_allclose(copy.recommended().quantiles, before.quantiles, rtol=1e-6)
    np.testing.assert_allclose(copy.recommended_clouds(), clouds, atol=1e-3)


def test_the_matrix_is_that_of_the_clouds(built: Atlas) -> None:
    wanted = head_distances(built.recommended_clouds(), "recommended")
    assert np.array_equal(built.distances("recommended"), wanted)
    found = near(built, "a:L0:H0", n=12, metric="recommended")
    assert [f.distance for f in found] == sorted(wanted[0, 1:].tolist())


def test_the_paper_embedding_knows_nothing_of_it(built: Atlas, old: Atlas) -> None:
    """All that both atlases have is equal byte for byte, the distances of Eq. 3 among it."""
    both = without_recommended(built.path)
    assert both == without_recommended(old.path)
    assert {"embedding.safetensors", "distances/mean.npy", "embedded/a.parquet"} <= set(both)


def test_an_added_model_is_placed_and_nothing_refitted(copy: Atlas, tiny: Tiny) -> None:
    before = contents(copy.path)
    grown = add(copy.path, tiny.model("c"))
    after = contents(copy.path)
    for name in ("recommended.json", "recommended.safetensors", "recommended/a.parquet"):
        assert after[name] == before[name]
    matrix = grown.distances("recommended")
    assert matrix.shape == (17, 17)
    assert np.array_equal(
        matrix[:13, :13], Atlas.open(copy.path).distances("recommended")[:13, :13]
    )
    assert np.isfinite(matrix).all()
    assert grown.recommended_clouds(["c"]).shape[:2] == (20, 4)
    assert check_atlas(grown) == []


def test_a_copy_of_a_model_is_at_no_distance(copy: Atlas, tiny: Tiny) -> None:
    grown = add(copy.path, f"twin={tiny.folder / 'b'}")
    matrix = grown.distances("recommended")
    assert np.abs(np.diag(matrix[4:13, 13:])).max() < 1e-6


# An atlas that lacks the features


def test_an_old_atlas_answers_by_its_own_metrics(old: Atlas) -> None:
    assert old.metrics() == ["cosine", "mean"]
    assert len(near(old, "a:L0:H0", n=3, metric="energy")) == 3
    assert check_atlas(old) == []


def test_a_metric_without_its_features_names_the_command(
    old_copy: Atlas, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(old_copy.path)
    words = f"`motifs extract --atlas {folder} --features extended`, then `motifs embed"
    for ask in (
        lambda: near(old_copy, "a:L0:H0", metric="recommended"),
        lambda: distances(old_copy, "recommended"),
        old_copy.recommended,
    ):
        with pytest.raises(AtlasError) as caught:
            ask()
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)
    code = motifs(monkeypatch, "distances", "--metric", "recommended", "--atlas", folder)
    assert code == 4
    assert words in capsys.readouterr().err


def test_it_gains_them_by_the_commands_told(
    old_copy: Atlas, built: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(old_copy.path)
    for words in ("extract --features extended", "embed", "distances"):
        assert motifs(monkeypatch, *words.split(), "--atlas", folder) == 0
    assert contents(old_copy.path) == contents(built.path)


def test_building_again_lets_it_gain_them(old_copy: Atlas, built: Atlas, tiny: Tiny) -> None:
    build(old_copy.path, tiny.configuration())
    assert contents(old_copy.path) == contents(built.path)


def test_fewer_sets_than_there_are_take_nothing_away(copy: Atlas, tiny: Tiny) -> None:
    before = contents(copy.path)
    build(copy.path, tiny.configuration(feature_sets=("paper",)))
    assert contents(copy.path) == before


def test_another_first_set_is_refused(copy: Atlas, tiny: Tiny) -> None:
    with pytest.raises(AtlasError, match="features 'paper' first, not 'extended'"):
        build(copy.path, tiny.configuration(feature_sets=("extended", "paper")))


def test_an_unknown_set_changes_nothing(
    old_copy: Atlas, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(old_copy.path)
    words = ("extract", "--features", "extendet", "--atlas", str(old_copy.path))
    assert motifs(monkeypatch, *words) == 2
    assert "did you mean extended?" in capsys.readouterr().err
    assert contents(old_copy.path) == before


def test_stopped_between_two_parts_it_still_answers_and_goes_on(
    old_copy: Atlas, built: Atlas, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    from attention_motifs.stages import extract as stage

    once, blocks = stage.write_part, iter([True])

    def stop_at_the_second(*arguments: object) -> None:
        if not next(blocks, False):
            raise KeyboardInterrupt
        once(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(stage, "write_part", stop_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            build(old_copy.path, tiny.configuration())
    half = Atlas.open(old_copy.path)
    assert half.manifest.configuration.feature_sets == ("paper", "extended")
    assert len(near(half, "a:L0:H0", n=3)) == 3
    with pytest.raises(AtlasError, match=r"recommended\.json: not found"):
        half.recommended_clouds()
    build(old_copy.path, tiny.configuration())
    assert contents(old_copy.path) == contents(built.path)


def test_a_model_added_before_gains_them_too(old_copy: Atlas, tiny: Tiny) -> None:
    folder = old_copy.path
    add(folder, tiny.model("c"))
    with Atlas.lock(folder):
        atlas = Atlas.open(folder)
        atlas.update(
            configuration=tiny.configuration(),
        )
        extract(atlas)  # the added model is found where it was
        embed(atlas)
        distances(atlas, "recommended")
    assert atlas.recommended_clouds().shape[:2] == (20, 17)
    assert check_atlas(atlas) == []


# Asking


def test_near_show_and_evaluate_know_the_metric(
    copy: Atlas, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(copy.path)
    assert motifs(monkeypatch, "near", "b:L1:H0", "--metric", "recommended", "--scope", "across",
                  "--json", "--atlas", folder) == 0  # fmt: skip
    found = json.loads(capsys.readouterr().out)
    assert [f["model"] for f in found] == ["a"] * 4
    words = ("evaluate", "--metric", "recommended", "--permutations", "20", "--json")
    assert motifs(monkeypatch, *words, "--atlas", folder) == 0
    assert list(json.loads(capsys.readouterr().out)) == ["recommended"]
    for words in ("project --method pca --neighbors 4", "cluster --method ward --number 3"):
        assert (
            motifs(monkeypatch, *words.split(), "--metric", "recommended", "--atlas", folder) == 0
        )
