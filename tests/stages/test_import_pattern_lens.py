"""A folder in the form of pattern-lens gives the features of a direct build."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from attention_motifs import Atlas
from attention_motifs.atlas.check import check_atlas
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.extraction import extract_patterns
from attention_motifs.features import feature_names
from attention_motifs.prompts import load_prompts
from attention_motifs.stages.extract import extract
from attention_motifs.stages.import_pattern_lens import import_pattern_lens
from conftest import Tiny, contents


@pytest.fixture(scope="module")
def folder(tiny: Tiny, built: Atlas, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("lens") / "data"
    prompts = load_prompts(str(tiny.prompts))
    for name in ("a", "b"):
        model = root / name
        info = built.manifest.models[name]
        (model / "prompts").mkdir(parents=True)
        sizes = {"n_layers": info.n_layers, "n_heads": info.n_heads}
        (model / "model_cfg.json").write_text(json.dumps(sizes))
        lines = [json.dumps({"text": p.text, "hash": p.prompt_id}) for p in prompts]
        (model / "prompts.jsonl").write_text("\n".join(lines) + "\n")
        layers: dict[str, dict[str, np.ndarray]] = {}
        for batch in extract_patterns(tiny.model(name), prompts, max_tokens=24):
            key = f"blocks.{batch.layer}.attn.hook_pattern"
            layers.setdefault(batch.prompt_id, {})[key] = batch.patterns.numpy()[None]
        for prompt_id, arrays in layers.items():
            (model / "prompts" / prompt_id).mkdir()
            np.savez_compressed(model / "prompts" / prompt_id / "activations.npz", **arrays)
    return root


def test_features_are_those_of_a_direct_build(folder: Path, built: Atlas, tmp_path: Path) -> None:
    imported = import_pattern_lens(folder, tmp_path / "atlas")
    assert imported.heads["head"].to_list() == built.heads["head"].to_list()
    names = feature_names("paper")
    for model in ("a", "b"):
        for imported_part, direct in zip(
            imported.feature_parts(model, names), built.feature_parts(model, names), strict=True
        ):
            assert imported_part["prompt_id"].to_list() == direct["prompt_id"].to_list()
            np.testing.assert_allclose(
                imported_part.select(names).to_numpy(),
                direct.select(names).to_numpy(),
                rtol=1e-3,
                atol=1e-4,
            )
    assert imported.near("a:L0:H0", n=2).height == 2
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "atlas").rglob("part-*")}
    import_pattern_lens(folder, tmp_path / "atlas")
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "atlas").rglob("part-*")}


def test_another_atlas_and_missing_patterns_are_refused(
    folder: Path, built: Atlas, tmp_path: Path
) -> None:
    with pytest.raises(AtlasError, match="holds another atlas"):
        import_pattern_lens(folder, built.path)
    shutil.copytree(folder, tmp_path / "data")
    next((tmp_path / "data" / "b").rglob("activations.npz")).unlink()
    with pytest.raises(InputError, match=r"activations\.npz: no such file"):
        import_pattern_lens(tmp_path / "data", tmp_path / "atlas")


def test_what_was_imported_is_made_again_by_importing_alone(folder: Path, tmp_path: Path) -> None:
    atlas = import_pattern_lens(folder, tmp_path / "atlas")
    before = contents(atlas.path)
    atlas.file("features", model="b", block=1).path.unlink()
    with pytest.raises(AtlasError, match=r"run `motifs import-pattern-lens DIR --atlas "):
        list(atlas.feature_parts("b"))
    with pytest.raises(AtlasError, match=r"imported; run `motifs import-pattern-lens DIR"):
        extract(atlas)
    import_pattern_lens(folder, atlas.path)
    assert contents(atlas.path) == before
    assert check_atlas(atlas) == []


def test_settings_that_cannot_work_are_refused_before_an_atlas_is_made(
    folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="paper"):
        import_pattern_lens(folder, tmp_path / "atlas", feature_sets=("papper",))
    with pytest.raises(InputError, match="cosine"):
        import_pattern_lens(folder, tmp_path / "atlas", metrics=("cosinee",))
    assert not (tmp_path / "atlas").exists()


def test_features_of_tokens_need_the_texts_of_the_tokens(
    folder: Path, built: Atlas, tmp_path: Path
) -> None:
    sets = ("paper", "tokens")
    with pytest.raises(InputError, match=r"a: feature 'same.share' needs the texts"):
        import_pattern_lens(folder, tmp_path / "atlas", feature_sets=sets)
    assert not (tmp_path / "atlas").exists()
    shutil.copytree(folder, tmp_path / "data")
    for name in ("a", "b"):
        texts = dict(built.tokens(name).select("prompt_id", "tokens").iter_rows())
        path = tmp_path / "data" / name / "prompts.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        lines = [line | {"tokens": texts[line["hash"]]} for line in lines]
        path.write_text("\n".join(map(json.dumps, lines)) + "\n")
    atlas = import_pattern_lens(tmp_path / "data", tmp_path / "atlas", feature_sets=sets)
    names = feature_names("tokens")
    values = np.concatenate([p.select(names).to_numpy() for p in atlas.feature_parts("a")])
    assert np.isfinite(values).all()
    assert (np.ptp(values, axis=0) > 0.01).sum() > 10
