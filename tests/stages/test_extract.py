"""Parts of the stage `extract`: each can be made alone, by any process, in any order."""

from __future__ import annotations

import multiprocessing
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from attention_motifs import extraction
from attention_motifs.atlas import Atlas
from attention_motifs.atlas.stimuli import PROBES, PROMPTS
from attention_motifs.errors import AtlasError
from attention_motifs.features import compute_features, feature_names
from attention_motifs.prompts import Prompt
from attention_motifs.stages.create import add_feature_sets, create_or_resume
from attention_motifs.stages.extract import extract, extract_part
from attention_motifs.stages.heads import write_heads
from attention_motifs.stages.model_source import load_for, source_of, source_on
from attention_motifs.stages.motif_parts import write_share_columns
from attention_motifs.stages.parts import (
    begin_model,
    distinct_prompts,
    finish_model,
    finish_probes,
    is_extracted,
    positions_of,
    write_part,
)
from attention_motifs.store import recorded_digests
from conftest import Tiny, contents
from tiny_models import texts, write_prompts


@pytest.fixture(scope="module", autouse=True)
def _own_cache(own_cache: Path) -> None:
    pass


@pytest.fixture(scope="module")
def extracted(tiny: Tiny, own_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    """An atlas of `a` and `b` that has its features and nothing else."""
    path = tmp_path_factory.mktemp("extracted") / "atlas"
    with Atlas.lock(path, new=True):
        atlas = create_or_resume(path, tiny.configuration())
        extract(atlas)
        return atlas


def begun(path: Path, tiny: Tiny) -> Atlas:
    return create_or_resume(path, tiny.configuration())


def test_parts_made_in_any_order_are_those_of_a_whole_run(
    extracted: Atlas, tiny: Tiny, tmp_path: Path
) -> None:
    atlas = begun(tmp_path / "atlas", tiny)
    for expected in atlas.manifest.configuration.models:
        source = source_on(atlas, load_for(atlas, expected), PROMPTS)
        begin_model(atlas, source)
        for block in reversed(range(atlas.n_blocks)):
            write_part(atlas, source, block)
        finish_model(atlas, source.model, source.info)
        probes = source_on(atlas, load_for(atlas, expected), PROBES)
        begin_model(atlas, probes)
        write_part(atlas, probes, 0)
        finish_probes(atlas, probes.model, probes.info)
    write_heads(atlas)
    write_share_columns(atlas)
    recorded_digests.settle(atlas.path)  # as at the end of a run
    assert contents(atlas.path) == contents(extracted.path)


def test_an_atlas_gains_features_of_its_tokens(
    extracted: Atlas, tiny: Tiny, tmp_path: Path
) -> None:
    shutil.copytree(extracted.path, tmp_path / "atlas")
    with Atlas.lock(tmp_path / "atlas"):
        atlas = Atlas.open(tmp_path / "atlas")
        add_feature_sets(atlas, ["tokens"])
        extract(atlas, models=[tiny.model("a")])
    names = feature_names("tokens")
    texts = dict(atlas.tokens("a").select("prompt_id", "tokens").iter_rows())
    parts = list(atlas.feature_parts("a"))
    prompts = [Prompt(text) for text in atlas.prompts["text"].to_list()]
    for batch in extraction.extract_patterns(tiny.model("a"), prompts[15:18], max_tokens=24):
        expected = compute_features(batch.patterns, "tokens", tokens=texts[batch.prompt_id])
        heads = [str(head) for head in batch.heads]
        part = pl.concat(parts).filter(
            pl.col("prompt_id").eq(batch.prompt_id) & pl.col("head").is_in(heads)
        )
        np.testing.assert_allclose(part.select(names).to_numpy(), expected.numpy(), atol=1e-6)
    before = [part.drop(names) for part in parts]
    for part, old in zip(before, extracted.feature_parts("a"), strict=True):
        assert part.equals(old)
    assert is_extracted(atlas, "a")


def test_a_part_that_is_there_is_left_alone(extracted: Atlas, tiny: Tiny) -> None:
    path = extracted.file("features", model="a", block=1).path
    before = path.stat().st_ino
    source = source_on(extracted, load_for(extracted, tiny.model("a")), PROMPTS)
    write_part(extracted, source, 1)
    assert path.stat().st_ino == before


@pytest.mark.slow
def test_another_process_makes_the_same_part_from_names_alone(
    extracted: Atlas, tiny: Tiny, tmp_path: Path
) -> None:
    atlas = begun(tmp_path / "atlas", tiny)
    arguments = [(str(atlas.path), tiny.model("b"), block) for block in (1, 0)]
    arguments.append((*arguments[1], "auto", None, False, "probes"))
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.starmap(extract_part, arguments)
    built, whole = contents(atlas.path), contents(extracted.path)
    names = {n for n in whole if n.startswith(("features/b/", "patterns/b/", "probes/b/part"))}
    names |= {n for n in whole if n.startswith(("motif_shares/b/", "probes/b/patterns/"))}
    assert names == {n for n in built if "/b/" in n}
    assert all(built[name] == whole[name] for name in names)


def test_a_part_advances_by_layers_and_in_all_by_its_prompts(
    extracted: Atlas, tiny: Tiny, tmp_path: Path
) -> None:
    atlas = begun(tmp_path / "atlas", tiny)
    n_prompts = len(positions_of(atlas, 1))
    for path, least in ((atlas.path, 3), (extracted.path, 1)):  # of the second, the part is there
        steps: list[float] = []
        extract_part(path, tiny.model("b"), 1, advance=steps.append)
        assert sum(steps) == pytest.approx(n_prompts)
        assert len(steps) >= least


def test_a_part_of_no_atlas_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(AtlasError):
        extract_part(tmp_path / "nothing", tiny.model("a"), 0)


def test_threads_serve_all_blocks_and_end_with_the_source(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each block in threads of its own leaves memory behind, block by block."""
    monkeypatch.setattr(extraction, "most_at_once", lambda *_, **__: 2)
    loaded = extraction.load_model(tiny.model("a"), device="cpu")
    prompts = [(f"p{i}", text) for i, text in enumerate(texts(64))]
    tokenized = extraction.tokenize(loaded, prompts, max_tokens=40)
    source = source_of(loaded, tokenized, tiny.configuration(max_tokens=40))
    seen: set[threading.Thread] = set()

    def sink(_layer: int, _positions: Any, _patterns: Any) -> None:
        seen.add(threading.current_thread())

    for block in range(4):
        source.run_block(range(16 * block, 16 * block + 16), sink)
    assert threading.main_thread() not in seen
    assert 1 <= len(seen) <= 2
    assert all(thread.is_alive() for thread in seen)
    del source
    limit = time.monotonic() + 60
    while any(thread.is_alive() for thread in seen) and time.monotonic() < limit:
        time.sleep(0.01)
    assert not any(thread.is_alive() for thread in seen)


def test_prompts_equal_after_the_cut_are_counted_and_used_once(tiny: Tiny, tmp_path: Path) -> None:
    start = "red blue green " * 8
    words = ["one", "two", "three", "four"]
    write_prompts(tmp_path / "prompts.jsonl", [*(start + word for word in words), *texts(3)])
    settings = tiny.configuration(
        models=(tiny.model("a"),), prompts=str(tmp_path / "prompts.jsonl"), max_tokens=12
    )
    with Atlas.lock(tmp_path / "atlas", new=True):
        atlas = create_or_resume(tmp_path / "atlas", settings)
        with pytest.warns(UserWarning, match="a: 3 of 7 prompts are the same"):
            extract(atlas)
    assert distinct_prompts(atlas).tolist() == [0, 4, 5, 6]


def test_models_are_listed_as_configured_in_whatever_order_they_end(
    extracted: Atlas, tiny: Tiny, tmp_path: Path
) -> None:
    atlas = begun(tmp_path / "atlas", tiny)
    for expected in reversed(atlas.manifest.configuration.models):
        source = source_on(atlas, load_for(atlas, expected), PROMPTS)
        begin_model(atlas, source)
        for block in range(atlas.n_blocks):
            write_part(atlas, source, block)
        finish_model(atlas, source.model, source.info)
    assert atlas.models == extracted.models == ("a", "b")
