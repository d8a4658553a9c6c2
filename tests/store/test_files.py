from __future__ import annotations

import errno
import json
import math
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from attention_motifs.errors import AtlasError, ResourceError
from attention_motifs.store import files
from attention_motifs.store.paths import AtlasPaths

MEND = "run `motifs embed` again"
ENDINGS = ("json", "parquet", "npy", "safetensors")


@dataclass(frozen=True)
class Format:
    """One kind of file: how it is written and read, and a small and a large content."""

    write: Callable[[Path, Any], None]
    read: Callable[[Path], Any]
    small: Any
    large: Any


def _random(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).random(shape)


FORMATS = {
    "json": Format(
        files.write_json,
        lambda path: files.read_json(path, MEND),
        {"models": ["gpt2", "é"], "n": [1, 2.5, None]},
        ["x" * 200_000],
    ),
    "parquet": Format(
        lambda path, table: files.write_parquet(path, table, {"made": "by us"}),
        lambda path: files.read_parquet(path, MEND),
        pl.DataFrame({"head": ["a", "b"] * 9, "ids": [[1, 2], [3]] * 9, "x": _random((18,))}),
        pl.DataFrame(_random((300, 300))),
    ),
    "npy": Format(
        files.write_array,
        lambda path: files.read_array(path, MEND),
        _random((5, 5)).astype(np.float32),
        _random((300, 300)),
    ),
    "safetensors": Format(
        lambda path, tensors: files.write_tensors(path, tensors, {"made": "by us"}),
        lambda path: files.read_tensors(path, MEND)[0],
        {"mean": _random((3, 2)), "kept": np.arange(4)},
        {"mean": _random((300, 300))},
    ),
}


def equal(one: Any, other: Any) -> bool:
    if isinstance(one, pl.DataFrame):
        return one.equals(other)
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, dict) and any(isinstance(v, np.ndarray) for v in one.values()):
        return one.keys() == other.keys() and all(equal(one[k], other[k]) for k in one)
    return bool(one == other)


def one_line(error: BaseException) -> str:
    assert "\n" not in str(error)
    return str(error)


@pytest.fixture(params=ENDINGS)
def ending(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One sound file of every format, and the folder to damage copies in."""
    folder = tmp_path_factory.mktemp("files")
    for name, kind in FORMATS.items():
        kind.write(folder / f"good.{name}", kind.small)
    return {name: folder / f"good.{name}" for name in FORMATS}


# Round trips


def test_what_is_written_is_read_back(tmp_path: Path, ending: str) -> None:
    kind = FORMATS[ending]
    path = tmp_path / "not" / "there" / f"yet.{ending}"
    kind.write(path, kind.small)
    assert equal(kind.read(path), kind.small)
    kind.write(path, kind.large)
    assert equal(kind.read(path), kind.large)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_equal_values_make_equal_files(tmp_path: Path, ending: str) -> None:
    kind = FORMATS[ending]
    kind.write(tmp_path / "one", kind.small)
    kind.write(tmp_path / "two", kind.small)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_metadata_is_read_back_without_the_data(good: dict[str, Path]) -> None:
    assert files.parquet_metadata(good["parquet"], MEND)["made"] == "by us"
    assert files.read_tensors(good["safetensors"], MEND)[1] == {"made": "by us"}


def test_an_array_can_be_mapped_instead_of_read(good: dict[str, Path]) -> None:
    mapped = files.read_array(good["npy"], MEND, memory_map=True)
    assert isinstance(mapped, np.memmap)
    assert not mapped.flags.writeable
    assert np.array_equal(mapped, FORMATS["npy"].small)


def test_some_columns_are_read(good: dict[str, Path]) -> None:
    table = files.read_parquet(good["parquet"], MEND, ["x", "head"])
    assert table.columns == ["x", "head"]
    with pytest.raises(AtlasError, match="no_such") as caught:
        files.read_parquet(good["parquet"], MEND, ["no_such"])
    assert one_line(caught.value).endswith(MEND)


def test_json_is_sorted_and_holds_no_nan(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    files.write_json(path, {"b": 1, "a": "é"})
    assert path.read_text(encoding="utf-8") == '{\n "a": "é",\n "b": 1\n}\n'
    with pytest.raises(ValueError, match="JSON compliant"):
        files.write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text(encoding="utf-8")) == {"a": "é", "b": 1}


@pytest.mark.parametrize("order", ["C", "F"])
def test_tensors_in_any_memory_order_keep_their_values(tmp_path: Path, order: Any) -> None:
    tensors = {"a": np.asarray(_random((4, 3)), order=order), "b": _random((6, 6))[::2, ::3]}
    files.write_tensors(tmp_path / "a", tensors, {})
    assert equal(files.read_tensors(tmp_path / "a", MEND)[0], tensors)


# Atomic writes


@pytest.mark.parametrize("stop", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_write_stopped_in_the_middle_leaves_the_old_file(
    tmp_path: Path, stop: type[BaseException]
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write() -> None:
        with files.atomic(path) as temporary:
            temporary.write_text("half of the n")
            raise stop

    with pytest.raises(stop):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_readers_see_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with files.atomic(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == tmp_path, "a rename is atomic within one file system only"
        assert temporary.name.startswith(files.TEMPORARY_PREFIX)
    assert path.read_text() == "new"


def test_the_file_is_flushed_before_it_is_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    there_when_flushed: list[bool] = []
    fsync = os.fsync

    def watched(handle: int) -> None:
        there_when_flushed.append(path.exists())
        fsync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    with files.atomic(path) as temporary:
        temporary.write_text("new")
    assert there_when_flushed == [False]


@pytest.mark.parametrize("mask", [0o027, 0o002])
def test_files_have_the_rights_that_the_umask_leaves(
    tmp_path: Path, ending: str, mask: int
) -> None:
    kind, path = FORMATS[ending], tmp_path / f"a.{ending}"
    before = os.umask(mask)
    try:
        kind.write(path, kind.small)
        with files.replaced_folder(tmp_path / "folder") as folder:
            kind.write(folder / path.name, kind.small)
    finally:
        os.umask(before)
    for written in (path, tmp_path / "folder" / path.name):
        assert stat.S_IMODE(written.stat().st_mode) == 0o666 & ~mask


def test_names_are_no_patterns(tmp_path: Path, ending: str) -> None:
    folder = tmp_path / "my [best] *atlas? {x}"
    kind, path = FORMATS[ending], folder / f"a[0].{ending}"
    kind.write(path, kind.small)
    read = kind.read(path)
    assert read.equals(kind.small) if ending == "parquet" else read is not None
    paths = AtlasPaths(folder)
    files.write_array(paths.file("distances", metric="mean"), np.zeros((2, 2)))
    assert [file.parts for file in paths.existing("distances")] == [{"metric": "mean"}]


def test_what_is_not_damaged_is_not_called_so(tmp_path: Path, ending: str) -> None:
    read = FORMATS[ending].read
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    for name, words in {"none": "not found", "folder": "is a folder", "link": "a link to"}.items():
        with pytest.raises(AtlasError, match=words) as caught:
            read(tmp_path / name)
        assert ": damaged" not in one_line(caught.value)
    if os.geteuid() != 0:
        FORMATS[ending].write(tmp_path / "secret", FORMATS[ending].small)
        (tmp_path / "secret").chmod(0)
        with pytest.raises(AtlasError, match="permission denied"):
            read(tmp_path / "secret")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_gets_an_error_and_does_not_wait(good: dict[str, Path]) -> None:
    code = """
import multiprocessing, sys
from pathlib import Path
import polars as pl
from attention_motifs.errors import ResourceError
from attention_motifs.store import files
path = Path(sys.argv[1])
def read():
    try:
        files.read_parquet(path)
    except ResourceError as error:
        assert "spawn" in str(error)
        sys.exit(3)
pl.concat([files.read_parquet(path)] * 50).sort("head")
child = multiprocessing.get_context("fork").Process(target=read, daemon=True)
child.start(); child.join(60)
sys.exit(child.exitcode if child.exitcode is not None else 9)
"""
    done = subprocess.run([sys.executable, "-c", code, str(good["parquet"])], check=False)
    assert done.returncode == 3


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    kept = tmp_path / "features" / "part-00000.parquet"
    left = [
        tmp_path / f"{files.TEMPORARY_PREFIX}abc-atlas.json",
        kept.parent / f"{files.TEMPORARY_PREFIX}abc-part-00001.parquet",
    ]
    for path in (kept, *left):
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    files.remove_unfinished(tmp_path)
    assert kept.exists()
    assert not any(path.exists() for path in left)


# Full disks and folders that cannot be written


def parts_of_a_table(n_parts: int, rows: int) -> list[pl.DataFrame]:
    rng = np.random.default_rng(0)
    return [
        pl.DataFrame({"head": [f"m:L{i}:H0" for i in range(rows)]}).hstack(
            pl.DataFrame(rng.random((rows, 3), dtype=np.float32), schema=["x", "y", "z"])
        )
        for _ in range(n_parts)
    ]


@pytest.mark.parametrize(("n_parts", "rows"), [(1, 1), (3, 50), (40, 7000)])
def test_parts_of_a_table_are_written_as_the_whole_would_be(
    tmp_path: Path, n_parts: int, rows: int
) -> None:
    parts = parts_of_a_table(n_parts, rows)
    files.write_parquet(tmp_path / "whole.parquet", pl.concat(parts))
    files.write_parquet_parts(tmp_path / "parts.parquet", iter(parts))
    whole, written = (
        files.read_parquet(tmp_path / f"{name}.parquet", MEND) for name in ("whole", "parts")
    )
    assert written.equals(whole)
    assert (tmp_path / "parts.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()


PEAK = """
import sys
from pathlib import Path
import numpy as np, polars as pl
from attention_motifs.store import files
def parts(n):
    for i in range(n):
        rows = np.random.default_rng(i).random((40_000, 64), dtype=np.float32)  # 10 MB
        yield pl.DataFrame(rows, schema=[f"w{j}" for j in range(64)], orient="row")
files.write_parquet_parts(Path(sys.argv[1]), parts(int(sys.argv[2])))
status = Path("/proc/self/status").read_text()
print(next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="not Linux")
def test_memory_does_not_grow_with_the_parts_that_are_written(tmp_path: Path) -> None:
    peaks = {}
    for n_parts in (4, 24):
        command = [sys.executable, "-c", PEAK, str(tmp_path / "a.parquet"), str(n_parts)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks[n_parts] = int(done.stdout) / 1024
    assert peaks[24] - peaks[4] < 100, "20 parts more are 200 MB"


INTERRUPTED = """
import os, signal, sys, threading, time
from pathlib import Path
import polars as pl
from attention_motifs.store import files
def parts():
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    for i in range(100):
        yield pl.DataFrame({"x": [i]})
        time.sleep(0.1)
folder = Path(sys.argv[1])
try:
    files.write_parquet_parts(folder / "a.parquet", parts())
except KeyboardInterrupt:
    print([path.name for path in folder.iterdir()])
"""


def test_an_interrupt_between_two_parts_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", INTERRUPTED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_an_error_between_two_parts_is_the_callers_and_leaves_nothing(tmp_path: Path) -> None:
    def parts() -> Iterator[pl.DataFrame]:
        yield from parts_of_a_table(2, 10)
        raise AtlasError("part 3: damaged")

    with pytest.raises(AtlasError, match="part 3: damaged"):
        files.write_parquet_parts(tmp_path / "a.parquet", parts())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shape", [(3, 5), (0, 0), (1,)])
def test_an_array_filled_through_memory_is_the_one_written(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    files.write_array(tmp_path / "a.npy", values)
    with files.mapped_array(tmp_path / "b.npy", shape) as array:
        assert not (tmp_path / "b.npy").exists()
        array[...] = values
    assert (tmp_path / "b.npy").read_bytes() == (tmp_path / "a.npy").read_bytes()
    with pytest.raises(KeyError), files.mapped_array(tmp_path / "b.npy", (2,)):
        raise KeyError
    assert len(list(tmp_path.iterdir())) == 2, "an unfinished file was left behind"
    assert (tmp_path / "b.npy").read_bytes() == (tmp_path / "a.npy").read_bytes()


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=3),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=1),
    st.text(min_size=1, max_size=9).filter(lambda name: name != "__metadata__"),
)
def test_bytes_filled_through_memory_are_those_written(
    shape: list[int], metadata: dict[str, str], name: str
) -> None:
    values = np.arange(math.prod(shape), dtype=np.uint8).reshape(shape)
    with tempfile.TemporaryDirectory() as folder:
        one, other = Path(folder) / "a.safetensors", Path(folder) / "b.safetensors"
        files.write_tensors(one, {name: values}, metadata)
        with files.mapped_bytes(other, name, tuple(shape), metadata) as array:
            assert not other.exists()
            array[...] = values
        with pytest.raises(KeyError), files.mapped_bytes(other, name, (2,), {}):
            raise KeyError
        assert len(list(Path(folder).iterdir())) == 2, "an unfinished file was left behind"
        recorded = files.read_tensors(other, "")
        np.testing.assert_array_equal(recorded[0][name], values)
        assert recorded[0].keys() == {name}
        assert recorded[1] == metadata


def test_patterns_filled_through_memory_are_the_same_file(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (3, 2, 21), dtype=np.uint8)
    files.write_tensors(tmp_path / "a", {"triangles": values}, {"n_tokens": "6"})
    with files.mapped_bytes(tmp_path / "b", "triangles", (3, 2, 21), {"n_tokens": "6"}) as array:
        array[...] = values
    assert (tmp_path / "b").read_bytes() == (tmp_path / "a").read_bytes()


@pytest.mark.parametrize(
    "mapped",
    [
        lambda path: files.mapped_array(path, (4, 4)),
        lambda path: files.mapped_bytes(path, "triangles", (4, 4), {}),
    ],
)
def test_a_disk_too_small_for_an_array_is_known_before_it_is_filled(
    mapped: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with (
        pytest.raises(ResourceError, match="no space left"),
        mapped(tmp_path / "a.npy"),
    ):
        pytest.fail("it is full")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_when_flushing_keeps_the_old_file(
    tmp_path: Path, ending: str, reason: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = FORMATS[ending]
    path = tmp_path / f"a.{ending}"
    kind.write(path, kind.small)

    def full(_handle: int) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResourceError, match="no space left") as caught:
        kind.write(path, kind.large)
    assert str(path) in one_line(caught.value)
    assert equal(kind.read(path), kind.small)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        # numpy, safetensors and polars, as they say it
        OSError("90000 requested and 8176 written"),
        ValueError("Error while serializing: I/O error: No space left on device (os error 28)"),
        pl.exceptions.ComputeError("parquet: underlying IO error: No space left (os error 28)"),
    ],
    ids=["system", "numpy", "safetensors", "polars"],
)
def test_a_full_disk_is_known_however_a_library_says_it(tmp_path: Path, error: Exception) -> None:
    def write() -> None:
        with files.atomic(tmp_path / "a"):
            raise error

    with pytest.raises(ResourceError, match="no space left") as caught:
        write()
    assert "run the same command again" in one_line(caught.value)
    assert not list(tmp_path.iterdir())


def test_other_errors_of_a_writer_stay_what_they_are(tmp_path: Path) -> None:
    def write() -> None:
        with files.atomic(tmp_path / "a"):
            raise ValueError("280 requested, os error 280")

    with pytest.raises(ValueError, match="os error 280"):
        write()
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def tiny_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("disk")
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_really_full_keeps_the_old_file(tiny_disk: Path, ending: str) -> None:
    kind = FORMATS[ending]
    path = tiny_disk / f"a.{ending}"
    kind.write(path, kind.small)
    try:
        with pytest.raises(ResourceError, match="no space left") as caught:
            kind.write(path, kind.large)
        assert str(path) in one_line(caught.value)
        assert equal(kind.read(path), kind.small)
        assert list(tiny_disk.iterdir()) == [path]
    finally:
        path.unlink()


def test_a_folder_that_is_a_file_cannot_be_written(tmp_path: Path, ending: str) -> None:
    (tmp_path / "atlas").write_text("a file")
    kind = FORMATS[ending]
    for path in (tmp_path / "atlas" / "a", tmp_path / "atlas" / "features" / "a"):
        with pytest.raises(ResourceError, match="choose another folder") as caught:
            kind.write(path, kind.small)
        assert str(path) in one_line(caught.value)


@pytest.mark.parametrize("reason", [errno.EACCES, errno.EROFS, errno.EPERM, errno.EIO])
def test_a_folder_without_the_right_to_write_is_named(
    tmp_path: Path, reason: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: Any, **_more: Any) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr("attention_motifs.store.atomic._temporary", refuse)
    with pytest.raises(ResourceError, match=os.strerror(reason)) as caught:
        files.write_json(tmp_path / "a.json", {})
    assert one_line(caught.value).endswith("choose another folder")


def test_names_that_cannot_be_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / ("a" * 300), tmp_path / ("a" * 300) / "b"):
        with pytest.raises(ResourceError, match="choose another folder") as caught:
            files.write_json(path, {})
        one_line(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


# Damaged files


def damaged_copy(good: dict[str, Path], ending: str, data: bytes) -> Path:
    path = good[ending].with_name(f"damaged.{ending}")
    path.write_bytes(data)
    return path


def read_or_atlas_error(path: Path, ending: str) -> Any:
    """Read the file; None if it is refused in a line that names it and ends with the mend."""
    try:
        return FORMATS[ending].read(path)
    except AtlasError as error:
        message = one_line(error)
    assert message.startswith(f"{path}: ")
    assert message.endswith(MEND)
    return None


def test_a_missing_file_is_named(tmp_path: Path, ending: str) -> None:
    assert read_or_atlas_error(tmp_path / f"a.{ending}", ending) is None
    assert read_or_atlas_error(tmp_path, ending) is None, "a folder is no file"
    with pytest.raises(AtlasError, match="not found"):
        files.parquet_metadata(tmp_path / "a.parquet", MEND)


@settings(max_examples=60)
@given(share=st.floats(0, 1, exclude_max=True))
@example(share=0.0)
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_truncated_file_is_refused_or_whole(
    good: dict[str, Path], ending: str, share: float
) -> None:
    data = good[ending].read_bytes()
    path = damaged_copy(good, ending, data[: int(share * len(data))])
    value = read_or_atlas_error(path, ending)
    assert value is None or equal(value, FORMATS[ending].small)
    assert value is None or ending == "json", "only a text's last line break can be spared"


@settings(max_examples=60)
@given(share=st.floats(0, 1, exclude_max=True))
@example(share=0.0)
def test_a_truncated_array_is_not_mapped(good: dict[str, Path], share: float) -> None:
    data = good["npy"].read_bytes()
    path = damaged_copy(good, "npy", data[: int(share * len(data))])
    with pytest.raises(AtlasError, match="damaged"):
        files.read_array(path, MEND, memory_map=True)


# The same examples in every run, since some change might make a reader claim all the memory.
@settings(max_examples=120, derandomize=True)
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1))
@pytest.mark.parametrize("ending", ENDINGS)
def test_changed_bytes_never_end_in_another_error(
    good: dict[str, Path], ending: str, changes: list[tuple[float, int]]
) -> None:
    data = bytearray(good[ending].read_bytes())
    for share, byte in changes:
        data[int(share * len(data))] = byte
    read_or_atlas_error(damaged_copy(good, ending, bytes(data)), ending)


@given(data=st.binary(max_size=200))
@example(data=b"")
@example(data=b"\x93NUMPY")
@example(data=b"\x93NUMPY\x01\x00" + b"\xff" * 20)
@example(data=b"PAR1" + b"\xff" * 40 + b"PAR1")
@example(data=b"[" * 200_000)
@example(data=b"1" * 5_000)
@pytest.mark.parametrize("ending", ENDINGS)
def test_any_bytes_are_read_or_refused(good: dict[str, Path], ending: str, data: bytes) -> None:
    value = read_or_atlas_error(damaged_copy(good, ending, data), ending)
    assert value is None or ending == "json"


def test_a_panic_of_the_parquet_reader_is_a_damaged_file(
    good: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def panic(*_args: Any, **_more: Any) -> None:
        raise pl.exceptions.PanicException("assertion failed\nin a worker")

    assert not issubclass(pl.exceptions.PanicException, Exception), "else this tests nothing"
    monkeypatch.setattr(pl, "read_parquet", panic)
    monkeypatch.setattr(pl, "read_parquet_metadata", panic)
    assert read_or_atlas_error(good["parquet"], "parquet") is None
    with pytest.raises(AtlasError, match="damaged"):
        files.parquet_metadata(good["parquet"], MEND)


def test_stopping_a_reader_is_no_damage(
    good: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_args: Any, **_more: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pl, "read_parquet", stop)
    with pytest.raises(KeyboardInterrupt):
        files.read_parquet(good["parquet"], MEND)


@pytest.mark.parametrize("memory_map", [False, True])
def test_an_array_of_objects_is_refused(tmp_path: Path, memory_map: bool) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.array([{}, "code"], dtype=object), allow_pickle=True)
    with pytest.raises(AtlasError, match=r"[Oo]bject") as caught:
        files.read_array(path, MEND, memory_map=memory_map)
    assert one_line(caught.value).endswith(MEND)


def test_an_array_of_objects_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Object"):
        files.write_array(tmp_path / "a.npy", np.array([{}], dtype=object))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("memory_map", [False, True])
def test_an_archive_under_the_name_of_an_array_is_refused(tmp_path: Path, memory_map: bool) -> None:
    with (tmp_path / "a.npy").open("wb") as file:
        np.savez(file, a=np.arange(3))
    with pytest.raises(AtlasError, match="damaged or of another format"):
        files.read_array(tmp_path / "a.npy", MEND, memory_map=memory_map)


@given(st.text())
@example("\n")
@example("first\nsecond")
def test_an_error_of_many_lines_is_told_in_one(text: str) -> None:
    message = str(files.damaged(Path("a.npy"), MEND, ValueError(text)))
    assert len(message.splitlines()) == 1
    assert message.startswith("a.npy: ")
    assert message.endswith(MEND)


# Digests


def test_the_digest_is_the_same_in_every_version() -> None:
    assert files.digest({"models": ["gpt2"], "seed": 0, "é": None}) == "e532b6b28ebe0a17"


@given(st.dictionaries(st.text(), st.integers() | st.booleans() | st.none(), min_size=1))
def test_the_digest_does_not_know_the_order_of_keys(
    value: dict[str, int | bool | None],
) -> None:
    backwards = dict(reversed(value.items()))
    assert files.digest(value) == files.digest(backwards)
    key, old = next(iter(value.items()))
    assert files.digest(value) != files.digest({**value, key: [old]})


def test_a_digest_takes_tuples_for_lists_and_no_nan() -> None:
    assert files.digest((1, "a")) == files.digest([1, "a"])
    with pytest.raises(ValueError, match="JSON compliant"):
        files.digest(float("nan"))


def test_metadata_is_read_without_the_arrays(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    files.write_tensors(path, {"x": np.zeros(1000)}, {"about": "these"})
    assert files.tensors_metadata(path, "mend") == {"about": "these"}
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(AtlasError, match=r"t.safetensors: damaged.*mend"):
        files.tensors_metadata(path, "mend")


def test_a_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ResourceError, match="device or a pipe"), files.atomic(pipe) as temporary:
        temporary.write_text("never")
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a place that takes no folders")
def test_a_place_that_takes_no_folders_is_one_line() -> None:
    target = Path("/proc/no-such-process/atlas.json")
    with pytest.raises(ResourceError, match="choose another folder"), files.atomic(target):
        pass
    with pytest.raises(ResourceError, match="choose another folder"), files.replaced_folder(target):
        pass
