"""The limit of memory, and what commands do above it."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from attention_motifs import memory
from attention_motifs.atlas import Atlas
from attention_motifs.errors import InputError, ResourceError
from attention_motifs.memory import VARIABLE, memory_limit, require_memory
from attention_motifs.stages.cluster import cluster
from attention_motifs.stages.project import project
from synthetic_atlas import make_synthetic_atlas


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("16GB", 16 * 10**9), ("2 gib", 2 << 30), ("1.5m", 1_500_000), ("3KiB", 3072)],
)
def test_the_variable_sets_the_limit(text: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, text)
    assert memory_limit() == size


@pytest.mark.parametrize("text", ["0", "many", "-1GB", "5 apples", "1e9", "GB"])
def test_what_is_no_size_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(InputError, match=VARIABLE):
        memory_limit()


def test_a_control_group_limits_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The least of the group and those above counts, without the files it caches."""
    (tmp_path / "process").write_text("0::/outer/inner\n")
    for name, most, used in (("outer", "4000", "3000"), ("outer/inner", "max", "100")):
        (tmp_path / "fs" / name).mkdir(parents=True)
        (tmp_path / "fs" / name / "memory.max").write_text(f"{most}\n")
        (tmp_path / "fs" / name / "memory.current").write_text(f"{used}\n")
        (tmp_path / "fs" / name / "memory.stat").write_text("anon 9\ninactive_file 500\n")
    free = memory._free_in_groups(tmp_path / "fs", tmp_path / "process")
    assert free == [1500]
    monkeypatch.setattr(memory, "_free_in_groups", lambda: free)
    assert memory.available_memory() == 1500
    monkeypatch.delenv(VARIABLE, raising=False)
    assert memory_limit() == 1200


def test_a_version_one_group_without_a_limit_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "process").write_text("5:cpu:/a\n4:memory:/a\n")
    folder = tmp_path / "memory" / "a"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text("9223372036854771712\n")
    (folder / "memory.usage_in_bytes").write_text("100\n")
    (folder / "memory.stat").write_text("total_inactive_file 5\n")
    assert memory._free_in_groups(tmp_path, tmp_path / "process") == []
    (folder / "memory.limit_in_bytes").write_text("1000\n")
    assert memory._free_in_groups(tmp_path, tmp_path / "process") == [905]


def test_a_refusal_names_both_sizes_and_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "2GB")
    require_memory(2 * 10**9, "this", "Do that")
    with pytest.raises(ResourceError, match=rf"2\.4 GB.* 2 GB.*Do that.*{VARIABLE}=3GB"):
        require_memory(24 * 10**8, "this", "Do that")


@pytest.fixture
def atlas(tmp_path: Path) -> Atlas:
    """48 heads of two models, with the distances of all pairs."""
    return make_synthetic_atlas(tmp_path / "a", n_layers=6, n_heads=4, n_prompts=6)


def test_clusters_go_by_the_nearest_heads_above_the_limit(
    atlas: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leiden's graph is the same from the nearest heads; the record names what was used."""

    def record(method: str) -> str:
        value = json.loads(atlas.file("clusters", method=method).read_bytes())
        return str(value["distances"])

    whole = cluster(atlas, method="leiden", n_rounds=0)
    assert record("leiden") == "all pairs"
    monkeypatch.setenv(VARIABLE, "1KB")
    with pytest.warns(UserWarning, match="nearest heads"):
        small = cluster(atlas, method="leiden", n_rounds=2)
    assert record("leiden") == "nearest heads"
    np.testing.assert_array_equal(small.clustering.labels, whole.clustering.labels)
    assert small.stability is not None


def test_linkages_of_all_pairs_are_refused_above_the_limit(
    atlas: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "1KB")
    for method in ("average", "ward"):
        with pytest.raises(ResourceError, match=f"{method}.*48 heads.*leiden"):
            cluster(atlas, method=method)


def test_projections_go_by_landmarks_above_the_limit(
    atlas: Atlas, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every head a landmark, PCA is the one of all pairs; models that fit are projected."""

    def run() -> None:
        project(atlas, methods=["pca"], dimensions=[2])

    run()
    whole = atlas.projections
    monkeypatch.setenv(VARIABLE, str(28 * 24**2))  # enough for one model
    with pytest.warns(UserWarning, match="nearest heads"):
        run()
    by_landmarks = atlas.projections
    assert set(by_landmarks["scope"]) == set(whole["scope"])
    assert by_landmarks.filter(scope="all")["note"].str.contains("landmarks").all()
    for axis in "xy":
        np.testing.assert_allclose(by_landmarks[axis], whole[axis], atol=1e-4)
    monkeypatch.delenv(VARIABLE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run()
    assert atlas.projections.equals(whole)
