"""The blocks of the presets as a stage: fitted, placed, gained by an atlas without them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.blocks import block_clouds, clouds_of, pattern_clouds
from attention_motifs.atlas.check import check_atlas
from attention_motifs.atlas.queries import near
from attention_motifs.cli import main
from attention_motifs.distances import head_distances
from attention_motifs.embedding.presets import get_preset
from attention_motifs.embedding.recommended import RecommendedEmbedding
from attention_motifs.errors import AtlasError, InputError
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
    with pytest.raises(SystemExit) as exited:
        main()
    return int(exited.value.code or 0)


def without_blocks(folder: Path) -> dict[str, bytes]:
    """Files that an atlas has with and without the preset.

    The files of features are left out, and those of motif shares, which name the same inputs.
    """
    differ = ("atlas.json", "digests", "features", "motif_shares", "probes/", "blocks")
    differ += ("distances/natural", "distances/reco")
    return {name: data for name, data in contents(folder).items() if not name.startswith(differ)}


def test_clouds_are_what_the_saved_preset_gives(built: Atlas) -> None:
    preset = built.block()
    assert list(preset.feature_names) == feature_names("extended")
    clouds = built.block_clouds()
    assert clouds.shape == (20, 13, len(preset.feature_names))
    assert clouds.dtype == np.float32
    start = 0
    for model, n_heads in (("a", 4), ("b", 9)):
        parts = list(built.feature_parts(model, list(preset.feature_names)))
        values = np.concatenate([p.select(preset.feature_names).to_numpy() for p in parts])
        values = values.reshape(20, n_heads, -1)
        placed = preset.place(values, np.full(20, 24))
        assert np.array_equal(clouds[:, start : start + n_heads], placed)
        assert np.array_equal(built.block_clouds("natural", [model]), placed)
        start += n_heads
    assert preset.n_rows == 20 * 13


def test_more_patterns_than_are_held_are_ranked_by_sketches(
    copy: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So few patterns are exact by sketches as well: nothing moves."""
    before, clouds = copy.block(), copy.block_clouds()
    monkeypatch.setattr("attention_motifs.stages.embed.EXACT_ROWS", 20 * 13 - 1)
    asked: list[bool] = []
    fit = RecommendedEmbedding.fit_parts

    def watched(*arguments: Any, sketch: bool, **options: Any) -> RecommendedEmbedding:
        asked.append(sketch)
        return fit(*arguments, sketch=sketch, **options)

    monkeypatch.setattr(RecommendedEmbedding, "fit_parts", watched)
    embed(copy, force=True)
    assert asked == [True, False], "there are fewer patterns on probes"
    np.testing.assert_allclose(copy.block().quantiles, before.quantiles, rtol=1e-6)
    np.testing.assert_allclose(copy.block_clouds(), clouds, atol=1e-3)


def test_the_matrix_is_that_of_the_clouds(built: Atlas) -> None:
    expected = head_distances(built.block_clouds(), "natural")
    assert np.array_equal(built.distances("natural"), expected)
    result = near(built, "a:L0:H0", n=12, metric="natural")
    assert [f.distance for f in result] == sorted(expected[0, 1:].tolist())


def test_the_paper_embedding_knows_nothing_of_it(built: Atlas, old: Atlas) -> None:
    """All that both atlases have is equal byte for byte, the distances of Eq. 3 among it."""
    both = without_blocks(built.path)
    assert both == without_blocks(old.path)
    assert {"embedding.safetensors", "distances/mean.npy", "embedded/a.parquet"} <= set(both)


def test_an_added_model_is_placed_and_nothing_refitted(copy: Atlas, tiny: Tiny) -> None:
    before = contents(copy.path)
    grown = add(copy.path, tiny.model("c"))
    after = contents(copy.path)
    for name in ("blocks/natural.json", "blocks/natural.safetensors", "blocks/natural/a.parquet"):
        assert after[name] == before[name]
    matrix = grown.distances("natural")
    assert matrix.shape == (17, 17)
    assert np.array_equal(matrix[:13, :13], Atlas.open(copy.path).distances("natural")[:13, :13])
    assert np.isfinite(matrix).all()
    assert grown.block_clouds("natural", ["c"]).shape[:2] == (20, 4)
    assert check_atlas(grown) == []


def test_a_copy_of_a_model_is_at_no_distance(copy: Atlas, tiny: Tiny) -> None:
    grown = add(copy.path, f"twin={tiny.folder / 'b'}")
    matrix = grown.distances("natural")
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
        lambda: near(old_copy, "a:L0:H0", metric="natural"),
        lambda: distances(old_copy, "natural"),
        old_copy.block,
    ):
        with pytest.raises(AtlasError) as caught:
            ask()
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)
    code = motifs(monkeypatch, "distances", "--metric", "natural", "--atlas", folder)
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
    with pytest.raises(AtlasError, match=r"blocks/natural\.json: not found"):
        half.block_clouds()
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
        distances(atlas, "natural")
    assert atlas.block_clouds().shape[:2] == (20, 17)
    assert check_atlas(atlas) == []


# Asking


def test_near_show_and_evaluate_know_the_metric(
    copy: Atlas, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(copy.path)
    assert motifs(monkeypatch, "near", "b:L1:H0", "--metric", "natural", "--scope", "across",
                  "--json", "--atlas", folder) == 0  # fmt: skip
    result = json.loads(capsys.readouterr().out)
    assert [f["model"] for f in result] == ["a"] * 4
    words = ("evaluate", "--metric", "natural", "--permutations", "20", "--no-run-models")
    assert motifs(monkeypatch, *words, "--json", "--atlas", folder) == 0
    assert json.loads(capsys.readouterr().out)["metrics"] == ["natural"]
    for words in ("project --method pca --neighbors 4", "cluster --method ward --number 3"):
        assert motifs(monkeypatch, *words.split(), "--metric", "natural", "--atlas", folder) == 0


# Presets of several blocks


def blocks_of(atlas: Atlas, preset: str = "recommended") -> list[np.ndarray]:
    """Clouds of the blocks of a preset, with its ridges."""
    blocks = get_preset(preset, atlas.manifest.configuration).blocks
    return [block_clouds(atlas, block) for block in blocks]


def test_the_distance_is_the_mean_of_those_in_the_blocks(built: Atlas) -> None:
    in_blocks = [head_distances(clouds, "natural") for clouds in blocks_of(built)]
    assert built.block_clouds("probes").shape[:2] == (3, 13)
    np.testing.assert_allclose(
        built.distances("recommended"), (in_blocks[0] + in_blocks[1]) / 2, atol=1e-6
    )
    on_probes = head_distances(built.block_clouds("probes"), "natural")
    result = near(built, "a:L0:H0", n=12, metric="probes")
    assert [f.distance for f in result] == sorted(on_probes[0, 1:].tolist())


def test_some_prompts_restrict_natural_text_alone(built: Atlas) -> None:
    some = np.array([1, 4, 5])
    on_prompts, on_probes = blocks_of(built)
    natural = head_distances(on_prompts[some], "natural")
    probes = head_distances(on_probes, "natural")
    got = head_distances(clouds_of(built, "recommended").on(some), "recommended")
    np.testing.assert_allclose(got, (natural + probes) / 2, atol=1e-6)
    assert np.array_equal(clouds_of(built, "probes").on(some), built.block_clouds("probes"))
    assert np.array_equal(clouds_of(built, "natural").on(some), built.block_clouds("natural")[some])


def test_single_patterns_are_points_of_the_blocks_of_prompts(built: Atlas) -> None:
    points = pattern_clouds(built, "recommended")
    assert points is not None
    assert np.array_equal(points, blocks_of(built)[0])
    assert pattern_clouds(built, "probes") is None


def test_an_atlas_of_an_earlier_version_keeps_its_ridge_until_it_is_fitted_anew(
    copy: Atlas, built: Atlas, tiny: Tiny
) -> None:
    manifest = json.loads((copy.path / "atlas.json").read_text())
    del manifest["configuration"]["preset_version"]
    (copy.path / "atlas.json").write_text(json.dumps(manifest))
    with Atlas.lock(copy.path):
        distances(Atlas.open(copy.path), "recommended")
    earlier = Atlas.open(copy.path).distances("recommended")
    stored = [head_distances(built.block_clouds(b), "natural") for b in ("natural", "probes")]
    np.testing.assert_allclose(earlier, (stored[0] + stored[1]) / 2, atol=1e-6)
    grown = build(copy.path, tiny.configuration())
    assert np.array_equal(grown.distances("recommended"), earlier)
    with Atlas.lock(copy.path):
        embed(grown, force=True)
        distances(grown, "recommended")
    assert np.array_equal(grown.distances("recommended"), built.distances("recommended"))
    assert contents(copy.path) == contents(built.path)


def test_the_best_metric_is_one_that_the_atlas_holds(built: Atlas, old: Atlas) -> None:
    assert built.best_metric == "recommended"
    assert old.best_metric == "cosine"


def test_later_stages_take_a_preset_of_several_blocks(
    copy: Atlas, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(copy.path)
    for words in (
        "evaluate --metric recommended --permutations 20",
        "project --method pca --neighbors 4 --metric recommended",
        "cluster --method average --number 3 --rounds 2 --metric recommended",
        "cluster --method ward --number 3 --rounds 2 --metric recommended",
    ):
        assert motifs(monkeypatch, *words.split(), "--atlas", folder) == 0
    capsys.readouterr()


def test_an_atlas_without_probes_gains_them_by_the_command_of_the_error(
    tiny: Tiny, built: Atlas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "atlas"
    build(folder, tiny.configuration(n_probes=0))
    with pytest.raises(AtlasError, match=r"has no probes, .*`motifs probe --atlas"):
        near(Atlas.open(folder), "a:L0:H0", metric="recommended")
    words = ("probe", "--n-probes", "3", "--probe-tokens", "40", "--atlas", str(folder))
    assert motifs(monkeypatch, *words) == 0
    assert np.array_equal(
        Atlas.open(folder).distances("recommended"), built.distances("recommended")
    )


# Presets of a user


OWN: Any = {
    "mostly-text": {
        "description": "similar behaviour, ordinary text counting three times",
        "blocks": [{"stimuli": "prompts", "weight": 3}, {"stimuli": "probes"}],
    }
}


def test_an_atlas_gains_presets_of_a_user_and_takes_them_as_metrics(
    copy: Atlas, built: Atlas, tiny: Tiny, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    atlas = build(copy.path, tiny.configuration(presets=OWN))
    assert "mostly-text" in atlas.metrics()
    in_blocks = [head_distances(built.block_clouds(b), "natural") for b in ("natural", "probes")]
    expected = 0.75 * in_blocks[0] + 0.25 * in_blocks[1]
    np.testing.assert_allclose(atlas.distances("mostly-text"), expected, atol=1e-6)
    folder = str(copy.path)
    words = ("near", "b:L1:H0", "--metric", "mostly-text", "--json", "--atlas", folder)
    assert motifs(monkeypatch, *words) == 0
    capsys.readouterr()
    assert motifs(monkeypatch, "metrics", "--json", "--atlas", folder) == 0
    described = {m["name"]: m for m in json.loads(capsys.readouterr().out)}
    assert described["mostly-text"]["blocks"] == {"natural": 0.75, "probes": 0.25}
    assert described["mostly-text"]["is_stored"]
    assert described["tokens"]["lacks"]
    assert not described["recommended"]["lacks"]
    # Without the table they are kept; another weight changes the distances.
    assert build(copy.path, tiny.configuration()).manifest.configuration.presets
    other: Any = {"mostly-text": {**OWN["mostly-text"], "blocks": [{"stimuli": "probes"}]}}
    changed = build(copy.path, tiny.configuration(presets=other))
    np.testing.assert_allclose(changed.distances("mostly-text"), in_blocks[1], atol=1e-6)
    grown = add(copy.path, tiny.model("c"))
    assert grown.distances("mostly-text").shape == (17, 17)
    assert check_atlas(grown) == []


def test_a_preset_cannot_have_the_name_of_a_metric(tiny: Tiny, tmp_path: Path) -> None:
    taken: Any = {"mean": OWN["mostly-text"]}
    with pytest.raises(InputError, match="'mean' already exists"):
        build(tmp_path / "atlas", tiny.configuration(presets=taken))


def test_a_preset_of_another_atlas_is_refused(copy: Atlas, built: Atlas, tiny: Tiny) -> None:
    build(copy.path, tiny.configuration(presets=OWN))
    with pytest.raises(InputError, match=r"'mostly-text' is a preset that .* does not define"):
        near(built, "a:L0:H0", metric="mostly-text")
