"""A model placed in a finished atlas: what was there stays, and the new heads are found."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.blocks import clouds_of
from attention_motifs.atlas.check import check_atlas
from attention_motifs.distances import head_distances
from attention_motifs.errors import AtlasError, InputError, ModelError
from attention_motifs.stages.distances import distances
from attention_motifs.stages.embed import embed
from attention_motifs.stages.run import add, build
from conftest import Tiny, contents

OLD, NEW = 13, 4  # heads of `a` and `b`, and of `c`
METRICS = ("mean", "cosine", "natural", "recommended")


@pytest.fixture(scope="module")
def grown(tiny: Tiny, built: Atlas, tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    """The finished atlas with `c` added."""
    path = tmp_path_factory.mktemp("grown") / "atlas"
    shutil.copytree(built.path, path)
    return add(path, tiny.model("c"))


def test_files_of_other_models_and_the_embedding_stay_as_they_are(
    grown: Atlas, built: Atlas
) -> None:
    before, after = contents(built.path), contents(grown.path)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {
        "atlas.json",
        "digests.jsonl",
        "heads.parquet",
        *(f"distances/{metric}.npy" for metric in METRICS),
    }
    assert after.keys() - before.keys() == {
        "tokens/c.parquet",
        "features/c/part-00000.parquet",
        "features/c/part-00001.parquet",
        "motif_shares/c/part-00000.parquet",
        "motif_shares/c/part-00001.parquet",
        "embedded/c.parquet",
        "blocks/natural/c.parquet",
        "blocks/probes/c.parquet",
        *(f"patterns/c/{prompt}.safetensors" for prompt in grown.view_prompts()),
        "probes/c/sequences.parquet",
        "probes/c/part-00000.parquet",
        *(f"probes/c/patterns/{probe}.safetensors" for probe in grown.view_probes()),
    }
    assert check_atlas(grown) == []


def test_heads_and_distances_grow_at_the_end(grown: Atlas, built: Atlas) -> None:
    assert grown.models == ("a", "b", "c")
    assert grown.heads.head(OLD).equals(built.heads)
    new = grown.heads.tail(NEW)
    assert new["head"].to_list() == [f"c:L0:H{i}" for i in range(NEW)]
    assert new["depth"].to_list() == [0.0] * NEW, "a single layer is the first one"
    for metric in METRICS:
        matrix = grown.distances(metric)
        assert matrix.shape == (OLD + NEW, OLD + NEW)
        assert np.abs(matrix[:OLD, :OLD] - built.distances(metric)).max() <= 1e-6
        assert np.array_equal(matrix, head_distances(clouds_of(grown, metric).array, metric=metric))


def test_patterns_are_placed_by_the_saved_embedding(grown: Atlas, built: Atlas) -> None:
    assert np.array_equal(grown.embedded(["a", "b"]), built.embedded())
    embedding = built.embedding()
    names = list(embedding.feature_names)
    rows = np.concatenate([p.select(names).to_numpy() for p in grown.feature_parts("c")])
    expected = embedding.transform(rows).reshape(20, NEW, -1)
    assert np.allclose(grown.embedded(["c"]), expected, rtol=1e-5, atol=1e-5)
    assert grown.manifest.models["c"].added
    assert not grown.manifest.models["a"].added


def test_new_heads_are_found_and_can_be_asked_about(grown: Atlas) -> None:
    across = set(grown.near("a:L0:H0", n=99, scope="across")["model"])
    assert across == {"b", "c"}
    assert grown.near("c:L0:H0", n=3, scope="within")["model"].to_list() == ["c"] * 3
    assert grown.pattern("c:L0:H3", grown.view_prompts()[0]).shape == (24, 24)


def test_a_copy_of_a_model_lies_on_top_of_it(copy: Atlas, tiny: Tiny) -> None:
    again = add(copy.path, f"again={tiny.folder / 'a'}")
    for head in ("L0:H0", "L1:H1"):
        nearest = again.near(f"a:{head}", n=1).row(0, named=True)
        assert nearest["head"] == f"again:{head}"
        assert nearest["distance"] == pytest.approx(0.0, abs=1e-12)


def test_adding_again_changes_nothing(grown: Atlas, tiny: Tiny) -> None:
    before = {n: (grown.path / n).stat().st_mtime_ns for n in contents(grown.path)}
    add(grown.path, tiny.model("c"))
    assert {n: (grown.path / n).stat().st_mtime_ns for n in contents(grown.path)} == before


def test_building_again_keeps_what_was_added(grown: Atlas, tiny: Tiny) -> None:
    before = contents(grown.path)
    build(grown.path, tiny.configuration())
    with Atlas.lock(grown.path):
        embed(Atlas.open(grown.path), force=True)
    assert contents(grown.path) == before


def test_columns_that_later_stages_added_are_empty_for_new_heads(copy: Atlas, tiny: Tiny) -> None:
    scores = pl.Series("induction", np.linspace(0, 1, OLD), dtype=pl.Float32)
    copy.write_heads(copy.heads.with_columns(scores))
    table = add(copy.path, tiny.model("c")).heads
    assert table["induction"].to_list() == [*scores.to_list(), *[None] * NEW]


def test_a_lost_part_of_an_added_model_comes_back_with_the_command_told(
    grown: Atlas, tiny: Tiny, tmp_path: Path
) -> None:
    shutil.copytree(grown.path, tmp_path / "atlas")
    damaged = Atlas.open(tmp_path / "atlas")
    damaged.file("features", model="c", block=1).path.unlink()
    with pytest.raises(AtlasError, match=r"run `motifs add c=\S+/c --atlas ") as caught:
        list(damaged.feature_parts("c"))
    assert "\n" not in str(caught.value)
    add(damaged.path, tiny.model("c"))
    assert contents(damaged.path) == contents(grown.path)


@pytest.mark.parametrize("model", ["a", "b"])
def test_a_model_of_the_fit_is_refused(copy: Atlas, tiny: Tiny, model: str) -> None:
    before = contents(copy.path)
    with pytest.raises(InputError, match=f"{model} is one of the models this atlas was built on"):
        add(copy.path, tiny.model(model))
    assert contents(copy.path) == before


def test_a_model_that_cannot_be_loaded_leaves_the_atlas_as_it_was(
    copy: Atlas, tiny: Tiny, tmp_path: Path
) -> None:
    shutil.copytree(tiny.folder / "c", tmp_path / "broken")
    weights = tmp_path / "broken" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    before = contents(copy.path)
    with pytest.raises(ModelError) as caught:
        add(copy.path, str(tmp_path / "broken"))
    assert "\n" not in str(caught.value)
    assert contents(copy.path) == before


def test_an_atlas_without_an_embedding_is_refused(copy: Atlas, tiny: Tiny) -> None:
    stages = dict(copy.manifest.stages)
    del stages["embed"]
    copy.update(stages=stages)
    with pytest.raises(AtlasError, match=r"has no embedding.*`motifs build"):
        add(copy.path, tiny.model("c"))


def test_where_there_is_no_atlas_none_is_made(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(AtlasError, match="holds no atlas"):
        add(tmp_path / "none", tiny.model("c"))
    assert not (tmp_path / "none").exists()


def test_the_nearest_heads_are_found_anew_among_old_and_new(
    tiny: Tiny, built: Atlas, tmp_path: Path
) -> None:
    pytest.importorskip("faiss")
    path = tmp_path / "atlas"
    shutil.copytree(built.path, path)
    with Atlas.lock(path):
        distances(Atlas.open(path), "mean", dense_limit=5)
    more = add(path, tiny.model("c"))
    assert more.neighbour_metrics() == ["mean"]
    matrix = head_distances(clouds_of(more, "mean").array).astype(np.float64)
    np.fill_diagonal(matrix, np.inf)
    result = more.neighbours("mean")
    assert result.heads.shape == (OLD + NEW, OLD + NEW - 1)
    np.testing.assert_allclose(result.distances, np.sort(matrix, axis=1)[:, :-1], atol=1e-5)
    assert check_atlas(more) == []
