"""Atlases of earlier versions, whose preset `natural` was called `recommended`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.check import check_atlas
from attention_motifs.errors import AtlasError
from attention_motifs.sharing import copy as sharing_copy
from attention_motifs.stages.run import build
from attention_motifs.store import renaming
from conftest import Tiny, contents

EARLIER = {
    "blocks/natural.json": "recommended.json",
    "blocks/natural.safetensors": "recommended.safetensors",
    "blocks/natural/a.parquet": "recommended/a.parquet",
    "blocks/natural/b.parquet": "recommended/b.parquet",
    "distances/natural.npy": "distances/recommended.npy",
}
STAGES = {
    "fit-block:natural": "recommended",
    "place-block:natural:a": "recommended:a",
    "place-block:natural:b": "recommended:b",
    "distances:natural": "distances:recommended",
}


IGNORED = ("probes*", ".lock", "digests.jsonl")
"""Files that an earlier version did not write."""


@pytest.fixture
def earlier(built: Atlas, tmp_path: Path) -> Path:
    """A copy of an atlas with natural text alone, as an earlier version wrote it."""
    folder = tmp_path / "earlier"
    shutil.copytree(built.path, folder, ignore=shutil.ignore_patterns(*IGNORED))
    (folder / "distances" / "recommended.npy").unlink()
    (folder / "recommended").mkdir()
    for now, then in EARLIER.items():
        (folder / now).rename(folder / then)
    shutil.rmtree(folder / "blocks")
    manifest = json.loads((folder / "atlas.json").read_text())
    del manifest["probes"]
    for name in ("n_probes", "probe_tokens", "probe_file", "probe_seed"):
        del manifest["configuration"][name]
    manifest["stages"] = {
        STAGES.get(stage, stage): inputs
        for stage, inputs in manifest["stages"].items()
        if "probe" not in stage and stage != "distances:recommended"
    }
    (folder / "atlas.json").write_text(json.dumps(manifest))
    evaluation = {"mean": {"metric": "mean"}, "recommended": {"metric": "recommended"}}
    (folder / "evaluation.json").write_text(json.dumps(evaluation))
    return folder


def test_it_is_read_under_the_present_names(earlier: Path, built: Atlas) -> None:
    before = contents(earlier)
    atlas = Atlas.open(earlier)
    assert "natural" in atlas.metrics()
    assert "recommended" not in atlas.metrics()
    assert atlas.best_metric == "natural"
    assert np.array_equal(atlas.distances("natural"), built.distances("natural"))
    assert np.array_equal(atlas.block_clouds(), built.block_clouds())
    near = [held.near("a:L0:H0", n=3, metric="natural") for held in (atlas, built)]
    assert near[0].equals(near[1])
    for ask in (
        lambda: atlas.distances("recommended"),
        lambda: atlas.near("a:L0:H0", metric="recommended"),
    ):
        with pytest.raises(AtlasError, match=r"has no probes, .*`motifs probe"):
            ask()
    assert check_atlas(atlas) == []
    assert contents(earlier) == before


def test_the_first_command_that_writes_renames_its_files(earlier: Path, built: Atlas) -> None:
    with Atlas.lock(earlier):
        atlas = Atlas.open(earlier)
    assert not atlas.manifest.has_earlier_names
    after = contents(earlier)
    assert EARLIER.keys() <= after.keys()
    assert not set(EARLIER.values()) & after.keys()
    for name in EARLIER:
        assert after[name] == (built.path / name).read_bytes()
    assert atlas.manifest.stages.keys() >= STAGES.keys()
    assert "recommended" not in json.loads(after["evaluation.json"])
    assert json.loads(after["evaluation.json"])["natural"]["metric"] == "natural"
    assert check_atlas(atlas) == []


def test_a_renaming_that_stops_can_be_read_and_continues(
    earlier: Path, built: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, n_renamed = renaming._rename, iter(range(9))

    def stop_at_the_third(*files: object) -> None:
        if next(n_renamed) == 2:
            raise KeyboardInterrupt
        rename(*files)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(renaming, "_rename", stop_at_the_third)
        with pytest.raises(KeyboardInterrupt), Atlas.lock(earlier):
            pass
    half = Atlas.open(earlier)
    assert half.manifest.has_earlier_names
    assert np.array_equal(half.block_clouds(), built.block_clouds())
    assert np.array_equal(half.distances("natural"), built.distances("natural"))
    with Atlas.lock(earlier):
        assert check_atlas(Atlas.open(earlier)) == []
    assert not set(EARLIER.values()) & contents(earlier).keys()


def test_nothing_is_computed_again(
    earlier: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    from attention_motifs.embedding.recommended import RecommendedEmbedding

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("fitted again")

    stamp = (earlier / "distances" / "recommended.npy").stat().st_mtime_ns
    monkeypatch.setattr(RecommendedEmbedding, "fit_parts", refuse)
    build(earlier, Atlas.open(earlier).manifest.configuration)
    assert (earlier / "distances" / "natural.npy").stat().st_mtime_ns == stamp


def test_tables_name_the_metric_as_it_is_called_now(earlier: Path) -> None:
    table = pl.DataFrame(
        {"metric": ["mean", "recommended"], "name": ["x", "2 nearest of a:L0:H0 by recommended"]}
    )
    table.write_parquet(earlier / "projections.parquet")
    with Atlas.lock(earlier):
        pass
    renamed = pl.read_parquet(earlier / "projections.parquet")
    assert renamed["metric"].to_list() == ["mean", "natural"]
    assert renamed["name"].to_list() == ["x", "2 nearest of a:L0:H0 by natural"]


def test_it_is_read_and_renamed_in_an_object_store(
    earlier: Path, built: Atlas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("obstore")
    monkeypatch.setenv("ATTENTION_MOTIFS_CACHE", str(tmp_path / "cache"))
    url = f"file://{tmp_path}/store/atlas"
    sharing_copy(str(earlier), url)
    assert np.array_equal(Atlas.open(url).distances("natural"), built.distances("natural"))
    with Atlas.lock(url):
        pass
    renamed = Atlas.open(url)
    assert not renamed.manifest.has_earlier_names
    listed = set(renamed.paths.origin.listing) if renamed.paths.origin else set()
    assert EARLIER.keys() <= listed
    assert not set(EARLIER.values()) & listed
    assert np.array_equal(renamed.block_clouds(), built.block_clouds())
    assert check_atlas(renamed) == []
