from __future__ import annotations

import errno
import gc
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from attention_motifs import cli
from attention_motifs.atlas import Atlas
from attention_motifs.atlas.check import check_atlas
from attention_motifs.atlas.queries import near, unusual_features
from attention_motifs.errors import AtlasError, HeadNotFoundError, InputError, ResourceError
from attention_motifs.head import HeadId
from attention_motifs.stages.run import build
from attention_motifs.store.packed_patterns import pack_triangles, unpack_triangle
from attention_motifs.store.settings import Configuration
from conftest import Tiny, contents


@pytest.fixture(scope="module", autouse=True)
def _own_cache(own_cache: Path) -> None:
    pass


def one_line(caught: pytest.ExceptionInfo[Exception]) -> str:
    assert "\n" not in str(caught.value)
    return str(caught.value)


def motifs(*arguments: str) -> Any:
    """Run a command in this process; return its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["motifs", *arguments])
        with pytest.raises(SystemExit) as left:
            cli.main()
    return left.value.code


# Opening


def test_an_atlas_is_opened_as_it_was_made(built: Atlas) -> None:
    reopened = Atlas.open(str(built.path))
    assert reopened.manifest == built.manifest
    assert repr(reopened) == f"<Atlas {built.path}: a, b; 20 prompts>"


@pytest.mark.parametrize("name", ["missing", "empty"])
def test_a_folder_without_an_atlas_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(AtlasError, match=r"holds no atlas.*`motifs build`") as caught:
        Atlas.open(tmp_path / name)
    assert one_line(caught).startswith(str(tmp_path / name))


def change_manifest(atlas: Atlas, change: Callable[[dict[str, Any]], Any]) -> None:
    path = atlas.path / "atlas.json"
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def refused(atlas: Atlas) -> str:
    with pytest.raises(AtlasError) as caught:
        Atlas.open(atlas.path)
    assert str(atlas.path / "atlas.json") in str(caught.value)
    assert "build the atlas again" in str(caught.value)
    return one_line(caught)


@pytest.mark.parametrize("version", [0, 2, "1", None, [1]])
def test_another_schema_version_is_refused_with_what_made_it(copy: Atlas, version: Any) -> None:
    change_manifest(copy, lambda value: value.update(schema_version=version))
    message = refused(copy)
    assert f"schema version {version!r}, this program reads 1" in message
    assert copy.manifest.package_version in message


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_truncated_manifest_is_refused(copy: Atlas, share: float) -> None:
    path = copy.path / "atlas.json"
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    assert "damaged or of another format" in refused(copy)


@pytest.mark.parametrize("value", ["[]", "1", '"text"', "null"])
def test_a_manifest_that_is_no_object_is_refused(copy: Atlas, value: str) -> None:
    (copy.path / "atlas.json").write_text(value)
    assert "schema version None" in refused(copy)


def test_settings_that_this_version_does_not_know_are_passed_over() -> None:
    known = Configuration(models=("a",), length_bins=(8, 16))
    record = {**json.loads(json.dumps(vars(known))), "of a later version": 1}
    assert Configuration.from_json(record) == known


# Damage, and the command that mends it

KINDS: dict[str, tuple[str, Callable[[Atlas], Any]]] = {
    "part": ("features/b/part-00001.parquet", lambda a: unusual_features(a, "a:L0:H0")),
    "tokens": ("tokens/a.parquet", lambda a: a.tokens("a")),
    "pattern": (
        "patterns/b/{prompt}.safetensors",
        lambda a: a.pattern("b:L0:H0", a.view_prompts()[0]),
    ),
    "heads": ("heads.parquet", lambda a: near(a, "a:L0:H0")),
    "embedding arrays": ("embedding.safetensors", lambda a: a.embedding()),
    "embedding": ("embedding.json", lambda a: unusual_features(a, "a:L0:H0")),
    "embedded": ("embedded/a.parquet", lambda a: near(a, "a:L0:H0", metric="energy")),
    "block arrays": ("blocks/natural.safetensors", lambda a: a.block()),
    "block": ("blocks/natural.json", lambda a: a.block_clouds()),
    "block clouds": ("blocks/natural/b.parquet", lambda a: a.block_clouds()),
    "distances": ("distances/cosine.npy", lambda a: near(a, "a:L0:H0", metric="cosine")),
}


def damaged_file(atlas: Atlas, kind: str) -> Path:
    return atlas.path / KINDS[kind][0].format(prompt=atlas.view_prompts()[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_truncated_file_is_named_and_the_command_that_is_printed_restores_it(
    copy: Atlas, built: Atlas, kind: str
) -> None:
    path = damaged_file(copy, kind)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(AtlasError) as caught:
        KINDS[kind][1](copy)
    message = one_line(caught)
    assert message.startswith(f"{path}: ")
    findings = check_atlas(Atlas.open(copy.path))
    assert [f for f in findings if f.startswith(f"{path}: ")]
    assert len(findings) == len(set(findings))
    mend(copy, message)
    assert contents(copy.path) == contents(built.path)
    assert check_atlas(Atlas.open(copy.path)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_lost_file_comes_back_with_the_command_told(copy: Atlas, built: Atlas, kind: str) -> None:
    path = damaged_file(copy, kind)
    path.unlink()
    if kind == "distances":  # a matrix that is not stored is computed for the head asked about
        computed, stored = (near(atlas, "a:L0:H0", metric="cosine") for atlas in (copy, built))
        # Other pairs of the layers, to compare with, are in the matrix alone.
        assert computed == [replace(result, percentile=None, p=None) for result in stored]
        message = f"`motifs distances --atlas {copy.path}`"
    else:
        with pytest.raises(AtlasError) as caught:
            KINDS[kind][1](copy)
        message = one_line(caught)
        assert message.startswith(f"{path}: not found; ")
    mend(copy, message)
    assert contents(copy.path) == contents(built.path)


def mend(atlas: Atlas, message: str) -> None:
    """Do what an error says."""
    if "delete it and" in message:
        Path(message.partition(": ")[0]).unlink()
    command = re.search(r"`motifs ([^`]*)`", message)
    assert command, message
    assert motifs(*shlex.split(command[1])) == 0
    assert str(atlas.path) in command[1]


@pytest.mark.parametrize("kind", ["part", "pattern", "tokens"])
def test_what_a_build_lost_is_made_by_building_again(
    copy: Atlas, built: Atlas, tiny: Tiny, kind: str
) -> None:
    damaged_file(copy, kind).unlink()
    build(copy.path, tiny.configuration())
    assert contents(copy.path) == contents(built.path)


def test_damaged_prompts_are_named(copy: Atlas) -> None:
    data = copy.file("prompts").path.read_bytes()
    copy.file("prompts").path.write_bytes(data[: len(data) // 2])
    with pytest.raises(AtlasError, match="build the atlas again") as caught:
        _ = copy.prompts
    assert one_line(caught).startswith(str(copy.file("prompts").path))


def test_a_table_without_a_column_is_damaged(copy: Atlas) -> None:
    copy.write_heads(copy.heads.drop("layer"))
    with pytest.raises(AtlasError, match=r"heads\.parquet: has no column 'layer'; delete it and"):
        _ = copy.heads


def test_distances_of_another_number_of_heads_are_refused(copy: Atlas) -> None:
    np.save(copy.file("distances", metric="mean").path, np.zeros((3, 3), np.float32))
    with pytest.raises(AtlasError, match=r"shape \(3, 3\) for 13 heads.*--force`") as caught:
        copy.distances("mean")
    mend(copy, one_line(caught))
    assert check_atlas(copy) == []


def test_embedded_patterns_with_rows_missing_are_refused(copy: Atlas) -> None:
    import polars as pl

    path = copy.file("embedded", model="a").path
    pl.read_parquet(path).head(20).write_parquet(path)  # 20 prompts, but of one head
    with pytest.raises(AtlasError, match=r"20 rows for .*; run `motifs embed"):
        copy.embedded()


def test_an_atlas_without_patterns_says_so(tiny: Tiny, tmp_path: Path) -> None:
    from attention_motifs.prompts import Prompt
    from attention_motifs.stages.create import prompts_table

    atlas = Atlas.create(tmp_path, tiny.configuration(), prompts_table([Prompt("x")]), "0")
    assert repr(atlas) == f"<Atlas {tmp_path}: no models yet; 1 prompts>"
    with pytest.raises(AtlasError, match="has no patterns yet; run `motifs extract"):
        atlas.embedded()
    with pytest.raises(InputError, match="list of models, not empty"):
        Atlas.create(tmp_path, Configuration(()), prompts_table([]), "0")


# Heads


def test_heads_are_found_in_every_spelling(built: Atlas) -> None:
    row = built.heads["head"].to_list().index("b:L1:H2")
    for spelling in ("b:L1:H2", "b:L1H2", "b~L1~H2", "b.L1.H2", HeadId("b", 1, 2)):
        assert built.head_index(spelling) == row


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ("b:L1:H7", "b:L1:H7: b has layers 0 to 2 and heads 0 to 2; did you mean b:L1:H"),
        ("a:L9:H1", "a has layers 0 to 1 and heads 0 to 1; did you mean a:L"),
        ("gpt2:L0:H0", "this atlas has no model 'gpt2'; choose one of a, b"),
        ("aa:L0:H0", "this atlas has no model 'aa'; did you mean a"),
    ],
)
def test_a_head_that_is_not_there_is_answered_with_near_names(
    built: Atlas, expected: str, message: str
) -> None:
    with pytest.raises(HeadNotFoundError) as caught:
        built.head_index(expected)
    assert message in one_line(caught)


def test_what_is_no_head_is_an_input_error(built: Atlas) -> None:
    with pytest.raises(InputError, match="is not a head: write it as model:L5:H3"):
        built.head_index("the best head")


@pytest.mark.parametrize("prompt_id", ["0123456789abcdef", "../../tokens/a", ""])
def test_patterns_of_other_prompts_are_not_kept(built: Atlas, prompt_id: str) -> None:
    with pytest.raises(AtlasError, match="no patterns are kept") as caught:
        built.pattern("a:L0:H0", prompt_id)
    assert ", ".join(built.view_prompts()) in one_line(caught)


# Patterns as bytes

lower = st.integers(1, 40).flatmap(
    lambda n: arrays(np.float32, (n, n), elements=st.floats(0, 1, width=32)).map(np.tril)
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(lower)
@example(np.ones((1, 1), np.float32))
@example(np.tril(np.full((7, 7), 1e-6, np.float32)))
def test_triangles_are_unpacked_up_to_their_steps(pattern: np.ndarray) -> None:
    packed = pack_triangles(pattern)
    n = len(pattern)
    assert packed.shape == (n * (n + 1) // 2,)
    assert packed.dtype == np.uint8
    again = unpack_triangle(packed)
    assert again.shape == (n, n)
    assert (np.abs(again - pattern) <= np.sqrt(pattern) / 255 + 1e-5).all()
    assert np.array_equal(pack_triangles(again), packed), "a second time nothing is lost"


@given(st.integers(1, 12), st.integers(1, 3), st.integers(1, 4), st.integers(0, 9))
def test_many_triangles_are_packed_like_each(n: int, layers: int, heads: int, seed: int) -> None:
    patterns = np.tril(np.random.default_rng(seed).random((layers, heads, n, n)))
    packed = pack_triangles(patterns)
    assert np.array_equal(packed[-1, 0], pack_triangles(patterns[-1, 0]))
    assert np.array_equal(unpack_triangle(packed)[0, -1], unpack_triangle(packed[0, -1]))


def test_entries_outside_of_0_to_1_are_clipped() -> None:
    pattern = np.array([[1.0000002, 0.0], [-1e-9, 1.5]], np.float32)
    assert unpack_triangle(pack_triangles(pattern)).tolist() == [[1.0, 0.0], [0.0, 1.0]]


# Two runs at once

HOLDER = """
import sys
from attention_motifs.atlas import Atlas
with Atlas.lock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def held(copy: Atlas) -> Iterator[Atlas]:
    """An atlas that another process works on."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(copy.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    yield copy
    holder.stdin.close()
    assert holder.wait(timeout=30) == 0


def test_a_second_run_is_told_and_nothing_is_lost(held: Atlas, tiny: Tiny) -> None:
    being_written = held.path / "features" / "a" / ".unfinished-xyz-part-00007.parquet"
    being_written.write_text("half of it")
    before = contents(held.path)
    with pytest.raises(AtlasError, match="another run is working on this atlas") as caught:
        build(held.path, tiny.configuration())
    assert one_line(caught).startswith(str(held.path))
    for words in (["embed"], ["distances", "--force"], ["add", tiny.model("c")], ["extract"]):
        assert motifs(*words, "--atlas", str(held.path)) == 4
    assert contents(held.path) == before, "what the first run is writing is left alone"
    assert near(held, "a:L0:H0", n=1), "questions are answered all the same"


def test_a_lock_is_free_again_after_its_holder_was_killed(copy: Atlas) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(copy.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    holder.kill()
    holder.wait()
    left = copy.path / ".unfinished-xyz-atlas.json"
    left.write_text("half of it")
    with Atlas.lock(copy.path):
        assert not left.exists(), "what the killed run left is cleared away"


def test_a_lock_makes_no_folder_unless_asked(tmp_path: Path) -> None:
    with pytest.raises(AtlasError, match="holds no atlas"), Atlas.lock(tmp_path / "none"):
        pass
    assert not (tmp_path / "none").exists()
    with Atlas.lock(tmp_path / "new", new=True):
        assert (tmp_path / "new").is_dir()


# Full disks


@pytest.fixture(scope="module")
def tiny_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("disk")
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", "size=2000k", "tmpfs", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    yield folder
    gc.collect()  # an atlas in a circle of references holds its files open
    subprocess.run(["umount", str(folder)], check=True)


def test_a_run_on_a_disk_that_is_really_full_goes_on_when_there_is_space(
    tiny_disk: Path, built: Atlas, tiny: Tiny
) -> None:
    ballast = tiny_disk / "ballast"
    for kilobytes in (1960, 1800, 1650):
        ballast.write_bytes(b"x" * kilobytes * 1024)
        with pytest.raises(ResourceError, match=r"no space left on the disk|GB free") as caught:
            build(tiny_disk / "atlas", tiny.configuration())
        assert str(tiny_disk / "atlas") in one_line(caught)
        assert not list(tiny_disk.rglob(".unfinished-*"))
        ballast.unlink()
    build(tiny_disk / "atlas", tiny.configuration())
    assert contents(tiny_disk / "atlas") == contents(built.path)


@pytest.mark.parametrize("at", [2, 6, 12, 20])
def test_a_disk_that_fills_up_at_any_write_stops_the_run_and_loses_nothing(
    built: Atlas, tiny: Tiny, tmp_path: Path, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    flush, writes = os.fsync, iter(range(1, at + 1))

    def full_at_last(handle: int) -> None:
        if next(writes, at) == at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_at_last)
        with pytest.raises(ResourceError, match="no space left on the disk") as caught:
            build(tmp_path / "atlas", tiny.configuration())
    one_line(caught)
    assert not list(tmp_path.rglob(".unfinished-*"))
    build(tmp_path / "atlas", tiny.configuration())
    assert contents(tmp_path / "atlas") == contents(built.path)


def test_a_folder_that_cannot_be_made_is_named(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ResourceError, match="cannot be written") as caught:
        build(tmp_path / "file" / "atlas", tiny.configuration())
    assert one_line(caught).startswith(str(tmp_path / "file"))
