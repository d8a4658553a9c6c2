from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.check import check_atlas
from attention_motifs.stages.project import project
from attention_motifs.store import files
from attention_motifs.store.packed_patterns import pack_triangles
from conftest import contents
from synthetic_atlas import make_synthetic_atlas


@pytest.fixture
def atlas(tmp_path: Path) -> Atlas:
    return make_synthetic_atlas(tmp_path / "atlas", n_prompts=18, n_tokens=8)


@pytest.fixture
def small(tmp_path: Path) -> Atlas:
    """One file of every kind that a build writes, for tests that check it many times."""
    shape = {"n_models": 1, "n_layers": 2, "n_heads": 1, "n_prompts": 3, "n_tokens": 8}
    return make_synthetic_atlas(tmp_path / "small", **shape)


def only_finding(atlas: Atlas) -> str:
    findings = check_atlas(Atlas.open(atlas.path))
    assert len(findings) == 1, findings
    assert "\n" not in findings[0]
    return findings[0]


def test_a_sound_atlas_has_no_findings_and_is_not_touched(atlas: Atlas) -> None:
    before = contents(atlas.path)
    assert check_atlas(atlas) == []
    assert contents(atlas.path) == before


def test_a_set_that_is_not_defined_here_is_no_finding(atlas: Atlas) -> None:
    configuration = atlas.manifest.configuration
    sets = (*configuration.feature_sets, "defined-by-a-user")
    atlas.update(configuration=replace(configuration, feature_sets=sets))
    assert check_atlas(Atlas.open(atlas.path)) == []
    atlas.update(configuration=replace(configuration, feature_sets=("defined-by-a-user",)))
    assert any("not known" in finding for finding in check_atlas(Atlas.open(atlas.path)))


def rewrite(path: Path, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    files.write_parquet(path, change(pl.read_parquet(path)))


def test_a_changed_text_is_noticed_by_its_id(atlas: Atlas) -> None:
    rewrite(atlas.file("prompts").path, lambda t: t.with_columns(pl.col("text") + "!"))
    assert "18 texts differ from their prompt_id" in only_finding(atlas)


def test_prompts_in_another_order_are_noticed_everywhere(atlas: Atlas) -> None:
    rewrite(atlas.file("prompts").path, lambda t: t.reverse())
    findings = check_atlas(Atlas.open(atlas.path))
    assert "differ from those that atlas.json lists" in findings[0]
    assert any("tokens" in finding for finding in findings)
    assert any("part-00000" in finding for finding in findings)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("heads.parquet", lambda t: t.head(5), "5 heads, the models of atlas.json have 12"),
        (
            "tokens/synthetic-0.parquet",
            lambda t: t.head(3),
            "prompts differ from those of the atlas",
        ),
        (
            "features/synthetic-0/part-00001.parquet",
            lambda t: t.head(6),
            "heads or prompts are missing or in another order",
        ),
        (
            "features/synthetic-0/part-00001.parquet",
            lambda t: t.reverse(),
            "heads or prompts are missing or in another order",
        ),
        (
            "features/org__synthetic-1/part-00000.parquet",
            lambda t: t.with_columns(pl.selectors.float() * float("nan")),
            "holds a pattern without any feature",
        ),
        (
            "embedded/synthetic-0.parquet",
            lambda t: t.with_columns(
                pl.when(pl.int_range(pl.len()) == pl.len() - 1)
                .then(pl.col("pc1") + 1)
                .otherwise(pl.col("pc1"))
                .alias("pc1")
            ),
            "differs from the result of the saved embedding; run `motifs embed",
        ),
        ("embedded/org__synthetic-1.parquet", lambda t: t.head(9), "9 rows for"),
        (
            "blocks/natural/synthetic-0.parquet",
            lambda t: t.with_columns(pl.col("w3").reverse()),
            "differs from the result of the saved block; run `motifs embed",
        ),
        ("blocks/natural/org__synthetic-1.parquet", lambda t: t.head(9), "9 rows for"),
    ],
)
def test_tables_that_do_not_fit_together_are_named_with_the_mend(
    atlas: Atlas, file: str, change: Callable[[pl.DataFrame], pl.DataFrame], message: str
) -> None:
    rewrite(atlas.path / file, change)
    findings = [f for f in check_atlas(Atlas.open(atlas.path)) if f"{file}: " in f]
    assert len(findings) == 1
    assert message in findings[0]
    assert "`motifs " in findings[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d * np.float32(np.nan), "not finite"),
        (lambda d: d + np.eye(len(d), dtype=np.float32), "not zero on the diagonal"),
        (lambda d: np.triu(d), "not symmetric"),
        (lambda d: -d, "negative"),
        (lambda d: d[:-1], "for 12 heads"),
    ],
)
def test_distances_that_are_none_are_named(
    atlas: Atlas, change: Callable[[np.ndarray], np.ndarray], message: str
) -> None:
    matrix = np.array(atlas.distances("mean"))
    files.write_array(atlas.file("distances", metric="mean").path, change(matrix))
    finding = only_finding(atlas)
    assert message in finding
    assert f"`motifs distances --atlas {atlas.path} --metric mean --force`" in finding


@pytest.mark.parametrize(
    ("triangles", "message"),
    [
        (np.zeros((3, 2, 36), np.int16), "triangles is not an array of bytes"),
        (np.zeros((2, 2, 36), np.uint8), "not the patterns of 3 layers of 2 heads"),
        (pack_triangles(np.ones((3, 2, 8, 8))), "rows sum to 8.00"),
    ],
)
def test_patterns_that_are_none_are_named(
    atlas: Atlas, triangles: np.ndarray, message: str
) -> None:
    path = atlas.file("patterns", model="synthetic-0", prompt=atlas.view_prompts()[0]).path
    files.write_tensors(path, {"triangles": triangles}, {})
    assert message in only_finding(atlas)


def test_a_missing_file_of_every_kind_is_named_once(small: Atlas) -> None:
    for name in contents(small.path):
        if name in {"atlas.json", "digests.jsonl", "distances/mean.npy"}:
            continue  # without the manifest there is no atlas; the others are not a must
        path = small.path / name
        data = path.read_bytes()
        path.unlink()
        findings = check_atlas(Atlas.open(small.path))
        assert len([f for f in findings if f.startswith(f"{path}: not found; ")]) == 1, name
        path.write_bytes(data)
    assert check_atlas(small) == []


@pytest.mark.parametrize(
    ("file", "command"),
    [
        ("projections.parquet", "motifs project"),
        ("evaluation.json", "motifs evaluate"),
        ("clusters/labels.parquet", "motifs cluster"),
        ("clusters/linkage-average.npy", "motifs cluster"),
        ("clusters/average.json", "motifs cluster"),
    ],
)
def test_damaged_files_of_later_stages_are_named(atlas: Atlas, file: str, command: str) -> None:
    (atlas.path / "clusters").mkdir()
    project(atlas, methods=["pca"], n_neighbors=[2], dimensions=[2])
    assert check_atlas(atlas) == []
    (atlas.path / file).write_bytes(b"no such format")
    finding = only_finding(atlas)
    assert finding.startswith(f"{atlas.path / file}: damaged")
    assert command in finding


def test_progress_is_told_to_the_end(atlas: Atlas) -> None:
    from collections.abc import Iterator
    from contextlib import contextmanager

    steps: list[int] = []

    @contextmanager
    def report(description: str, total: int) -> Iterator[Callable[[int], None]]:
        steps.append(-total)
        yield steps.append

    check_atlas(atlas, report)
    assert sum(steps) == 0


@pytest.mark.parametrize("seed", range(2))
def test_changed_bytes_anywhere_end_in_findings_and_no_other_error(small: Atlas, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for name in sorted(contents(small.path)):
        if name == "atlas.json":
            continue
        path = small.path / name
        data = path.read_bytes()
        for _ in range(3):
            changed = bytearray(data)
            # Damage what describes the data, at the end of tables, as often as the data.
            start = max(len(data) - 200, 0) if rng.random() < 0.5 else 0
            for at in rng.integers(start, len(data), rng.integers(1, 5)):
                changed[at] = rng.integers(256)
            path.write_bytes(bytes(changed))
            for finding in check_atlas(Atlas.open(small.path)):
                assert "\n" not in finding
                assert str(small.path) in finding
        path.write_bytes(data)
