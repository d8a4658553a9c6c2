"""Replacement of models of every kind, and in atlases that were moved or are reached by a link."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.check import check_atlas
from attention_motifs.errors import AtlasError, InputError
from attention_motifs.extraction import extract_patterns
from attention_motifs.prompts import load_prompts
from attention_motifs.stages.import_pattern_lens import import_pattern_lens
from attention_motifs.stages.remove import remove
from attention_motifs.stages.run import add, build
from conftest import Tiny, contents
from tiny_gguf import write_gguf
from tiny_models import make_tiny_model


@pytest.fixture
def trained(tiny: Tiny) -> Iterator[None]:
    """`c` trained in place."""
    file = tiny.folder / "c" / "model.safetensors"
    before = file.read_bytes()
    make_tiny_model(tiny.folder / "c", architecture="qwen2", n_layers=1, n_heads=4, seed=8)
    yield
    file.write_bytes(before)


@pytest.mark.slow
def test_a_gguf_file_that_changed_is_noticed_and_replaced(
    copy: Atlas, built: Atlas, tmp_path: Path
) -> None:
    first, second = make_tiny_model(tmp_path / "x", seed=3), make_tiny_model(tmp_path / "y", seed=4)
    file = write_gguf(tmp_path / "m.GGUF", first)
    add(copy.path, f"g={file}")
    write_gguf(file, second)
    before = contents(copy.path)
    with pytest.raises(InputError, match="its weights changed"):
        add(copy.path, f"g={file}")
    file.rename(tmp_path / "g.gguf")
    with pytest.raises(InputError, match="its weights changed"):  # named by its file
        add(copy.path, str(tmp_path / "g.gguf"))
    assert contents(copy.path) == before
    replaced = add(copy.path, f"g={tmp_path / 'g.gguf'}", replace=True)
    shutil.copytree(built.path, tmp_path / "fresh")
    fresh = add(tmp_path / "fresh", f"g={tmp_path / 'g.gguf'}")
    assert contents(replaced.path) == contents(fresh.path)
    assert check_atlas(replaced) == []


@pytest.mark.filterwarnings("ignore:c. prompts have")
def test_a_model_does_not_replace_imported_patterns(
    tiny: Tiny, tmp_path: Path, own_cache: Path
) -> None:
    folder = tmp_path / "data" / "a"
    (folder / "prompts").mkdir(parents=True)
    (folder / "model_cfg.json").write_text(json.dumps({"n_layers": 2, "n_heads": 2}))
    prompts = load_prompts(str(tiny.prompts))[:4]
    lines = [json.dumps({"text": p.text, "hash": p.prompt_id}) for p in prompts]
    (folder / "prompts.jsonl").write_text("\n".join(lines) + "\n")

    def write(model: str) -> None:
        layers: dict[str, dict[str, np.ndarray]] = {}
        for batch in extract_patterns(model, prompts, max_tokens=24):
            key = f"blocks.{batch.layer}.attn.hook_pattern"
            layers.setdefault(batch.prompt_id, {})[key] = batch.patterns.numpy()[None]
        for prompt_id, arrays in layers.items():
            (folder / "prompts" / prompt_id).mkdir(exist_ok=True)
            np.savez(folder / "prompts" / prompt_id / "activations.npz", **arrays)

    write(tiny.model("a"))
    atlas = import_pattern_lens(tmp_path / "data", tmp_path / "atlas", feature_sets=("paper",))
    before = contents(atlas.path)
    for replacing in (False, True):
        with pytest.raises(InputError, match=r"a: its patterns were imported.*another name"):
            add(atlas.path, tiny.model("a"), replace=replacing)
    assert contents(atlas.path) == before
    write(f"a={make_tiny_model(tmp_path / 'a', seed=9)}")  # a changed folder is imported again
    again = import_pattern_lens(tmp_path / "data", tmp_path / "atlas", feature_sets=("paper",))
    fresh = import_pattern_lens(tmp_path / "data", tmp_path / "fresh", feature_sets=("paper",))
    assert contents(again.path) == contents(fresh.path)
    assert add(again.path, tiny.model("c")).models == ("a", "c")
    assert remove(again.path, "c").models == ("a",)


@pytest.mark.usefixtures("trained")
def test_an_atlas_reached_by_a_link_or_moved_is_the_same(
    copy: Atlas, built: Atlas, tiny: Tiny, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(copy.path)
    make_tiny_model(tmp_path / "models" / "c", architecture="qwen2", n_layers=1, n_heads=4, seed=2)
    add(tmp_path / "link", f"c={tmp_path / 'models/c'}")
    assert Atlas.open(copy.path).models == ("a", "b", "c")
    copy.path.rename(tmp_path / "moved")
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to(tmp_path / "moved")
    with pytest.raises(InputError, match=r"`motifs add .* --atlas .*link.* --replace`"):
        add(tmp_path / "link", tiny.model("c"))
    replaced = add(tmp_path / "link", tiny.model("c"), replace=True)
    shutil.copytree(built.path, tmp_path / "fresh")
    assert contents(tmp_path / "moved") == contents(add(tmp_path / "fresh", tiny.model("c")).path)
    assert check_atlas(replaced) == []
    assert (tmp_path / "link").is_symlink()


def test_another_bos_policy_is_noticed(built: Atlas, tiny: Tiny) -> None:
    before = contents(built.path)
    for bos in ("always", "never"):
        with pytest.raises(AtlasError, match=f"was made with bos 'auto', not '{bos}'"):
            build(built.path, replace(tiny.configuration(), bos=bos))
    assert contents(built.path) == before


@pytest.mark.parametrize(
    ("name", "values", "part"),
    [
        ("tokenizer_config.json", {"add_bos_token": False}, "tokenizer"),
        ("tokenizer_config.json", {"bos_token": "</s>"}, "tokenizer"),
        ("special_tokens_map.json", {"bos_token": "</s>"}, "configuration"),
        ("added_tokens.json", {"<more>": 299}, "configuration"),
    ],
)
def test_another_bos_token_of_the_tokenizer_is_noticed(
    built: Atlas, tiny: Tiny, name: str, values: dict[str, object], part: str
) -> None:
    file = tiny.folder / "a" / name
    before = file.read_text() if file.exists() else None
    try:
        file.write_text(json.dumps(json.loads(before or "{}") | values))
        with pytest.raises(InputError, match=f"its {part} changed"):
            build(built.path, tiny.configuration())
    finally:
        file.unlink() if before is None else file.write_text(before)
