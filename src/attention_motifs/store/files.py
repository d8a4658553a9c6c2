"""Reading and writing files so that none is ever half there, and none holds a pickle.

Every write goes to a temporary name in the same folder, is flushed to the disk, and is then
renamed over its target; every read that fails says which file is damaged and how to mend it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from attention_motifs.errors import AtlasError, MotifsError, ResourceError
from attention_motifs.store.remote.lazy_path import LazyPath

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import polars as pl
    from jaxtyping import Float, UInt8

T = TypeVar("T")

TEMPORARY_PREFIX = ".unfinished-"

_FULL = (errno.ENOSPC, errno.EDQUOT)
# Of a full disk polars and safetensors tell in Rust's words, and numpy in its own.
_FULL_IN_WORDS = re.compile(
    rf"\(os error ({errno.ENOSPC}|{errno.EDQUOT})\)|^\d+ requested and \d+ written$"
    "|Invalid thrift: transport error$"  # of the end of a Parquet file
)
_REFUSED = (
    errno.EACCES,
    errno.EROFS,
    errno.EPERM,
    errno.EIO,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENAMETOOLONG,
)


def is_full_disk(error: Exception) -> bool:
    """Whether an error says that the disk, or a quota on it, is full."""
    code = error.errno if isinstance(error, OSError) else None
    return code in _FULL or bool(_FULL_IN_WORDS.search(str(error)))


@contextlib.contextmanager
def writable_folder(target: Path) -> Iterator[None]:
    """Turn the system's refusals to write at `target` into errors that name the mend.

    Raises:
        ResourceError: if the disk is full or the folder cannot be written.
    """
    try:
        yield
    except Exception as error:
        if is_full_disk(error):
            raise ResourceError(
                f"{target}: no space left on the disk; free some and run the same command again, "
                "what is complete is kept"
            ) from error
        code = error.errno if isinstance(error, OSError) else None
        if code in _REFUSED:
            raise ResourceError(
                f"{target}: cannot be written ({os.strerror(code)}); choose another folder"
            ) from error
        raise


@contextlib.contextmanager
def atomic(target: Path) -> Iterator[Path]:
    """Give a temporary path to write to; rename it to `target` when the block ends well.

    Raises:
        ResourceError: if the disk is full, the folder cannot be written, or `target` is a device.
    """
    with writable_folder(target):
        if target.exists() and not target.is_file() and not target.is_dir():
            raise ResourceError(
                f"{target}: is a device or a pipe, and would be replaced by a file; choose another "
                "path"
            )
        _make_folder_of(target)
        handle, name = tempfile.mkstemp(
            prefix=TEMPORARY_PREFIX, suffix="-" + target.name, dir=target.parent
        )
        os.close(handle)
        temporary = Path(name)
        try:
            temporary.chmod(0o666 & ~_umask())
            yield temporary
            _flush(temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


def _make_folder_of(target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError as error:  # of places that take no folders, such as /proc
        raise ResourceError(
            f"{target}: cannot be written (no folder can be made there); choose another folder"
        ) from error


def _umask() -> int:
    """Return the process's umask (which can only be read by setting it)."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _flush(path: Path) -> None:
    """Force the file to the disk before it is renamed, so that a crash cannot empty it."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def remove_unfinished(folder: Path) -> None:
    """Delete what killed writers left behind; only for who holds the folder's lock."""
    for path in list(folder.rglob(TEMPORARY_PREFIX + "*")):
        remove(path)


def remove(path: Path) -> None:
    """Delete a file, or a folder with all that is in it; nothing if there is none."""
    if isinstance(path, LazyPath):
        path.forget()
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def replaced_folder(target: Path) -> Iterator[Path]:
    """Give a temporary folder to fill; it takes the place of `target` when the block ends well.

    A process that is killed between the two renames leaves no folder, never half of one.

    Raises:
        ResourceError: if the disk is full or the folder cannot be written.
    """
    with writable_folder(target):
        _make_folder_of(target)
        temporary = Path(
            tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, suffix="-" + target.name, dir=target.parent)
        )
        old = temporary.with_name(temporary.name + "-old")
        try:
            temporary.chmod(0o777 & ~_umask())
            yield temporary
            for path in temporary.rglob("*"):
                if path.is_file():
                    _flush(path)
            if target.exists():
                target.rename(old)
            temporary.rename(target)
        finally:
            remove(temporary)
            remove(old)


def damaged(path: Path, mend: str, error: Exception) -> AtlasError:
    """Build the error for a file that is there but cannot be read."""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return AtlasError(f"{path}: damaged or not what it should be ({reason}); {mend}")


def _read(path: Path, mend: str, read: Callable[[Path], T]) -> T:
    path = LazyPath.around(path)
    try:
        if not path.is_file():
            raise AtlasError(f"{path}: not there; {mend}")
        if isinstance(path, LazyPath):
            path.fetch()
        return read(path)
    except MotifsError:
        raise
    except Exception as error:
        raise damaged(path, mend, error) from error


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys and no NaN."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    with atomic(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path, mend: str) -> Any:
    """Read a JSON file.

    Raises:
        AtlasError: if it is missing or damaged; the message ends with `mend`.
    """
    return _read(path, mend, lambda p: json.loads(p.read_text(encoding="utf-8")))


def write_parquet(
    path: Path, table: pl.DataFrame, metadata: Mapping[str, str] | None = None
) -> None:
    """Write a table as Parquet (zstd), with `metadata` in the file's key-value section."""
    with atomic(path) as temporary:
        table.write_parquet(
            temporary, compression="zstd", statistics=False, metadata=dict(metadata or {})
        )


def write_parquet_parts(path: Path, parts: Iterator[pl.DataFrame]) -> None:
    """Write tables of the same columns below each other, as `write_parquet` would write the whole.

    Few of them are in memory at a time.

    Args:
        path: of the file.
        parts: at least one; asked for in a thread of polars' own.

    Raises:
        ResourceError: if the disk is full or the folder cannot be written.
        Exception: what `parts` raises.
    """
    from polars.io.plugins import register_io_source

    first = next(parts)
    failures: list[Exception] = []

    def source(*_: Any) -> Iterator[pl.DataFrame]:
        try:
            yield first
            yield from parts
        except Exception as error:
            failures.append(error)
            raise

    with atomic(path) as temporary:
        try:
            register_io_source(source, schema=first.schema).sink_parquet(
                temporary,
                compression="zstd",
                statistics=False,
                metadata={},
                maintain_order=True,
            )
        except KeyboardInterrupt:
            # Polars hands the interrupt on while Python's own still waits: it is to be raised here,
            # and not in the midst of the cleaning up.
            time.sleep(0)
            raise
        except Exception:
            if failures:  # polars tells of it in words of its own
                raise failures[0] from None
            raise


@contextlib.contextmanager
def _panics_are_errors() -> Iterator[None]:
    """Make what polars throws at some damaged files, which is no `Exception`, one."""
    from polars.exceptions import PanicException

    try:
        yield
    except PanicException as error:
        raise ValueError(f"polars panicked: {error}") from error


def read_parquet(path: Path, mend: str, columns: list[str] | None = None) -> pl.DataFrame:
    """Read a Parquet file, or some of its columns.

    Raises:
        AtlasError: if it is missing, truncated or without one of the columns.
    """
    import polars as pl

    def read(p: Path) -> pl.DataFrame:
        with _panics_are_errors():
            return pl.read_parquet(p, columns=columns, use_statistics=False, memory_map=False)

    return _read(path, mend, read)


def parquet_metadata(path: Path, mend: str) -> dict[str, str]:
    """Read the key-value section of a Parquet file, without its data.

    Raises:
        AtlasError: if the file is missing or damaged.
    """
    import polars as pl

    def read(p: Path) -> dict[str, str]:
        with _panics_are_errors():
            return dict(pl.read_parquet_metadata(p))

    return _read(path, mend, read)


def parquet_columns(path: Path, mend: str) -> list[str]:
    """Names of the columns of a Parquet file, without its data.

    Raises:
        AtlasError: if the file is missing or damaged.
    """
    import polars as pl

    def read(p: Path) -> list[str]:
        with _panics_are_errors():
            return list(pl.read_parquet_schema(p))

    return _read(path, mend, read)


def write_array(path: Path, array: np.ndarray[Any, Any]) -> None:
    """Write an array of numbers as npy."""
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)


@contextlib.contextmanager
def mapped_array(path: Path, shape: tuple[int, ...]) -> Iterator[Float[np.ndarray, "*shape"]]:
    """Give an npy file of float32 to be filled through memory; it is complete when the block ends.

    What is filled can leave memory for the disk at any time. Space on the disk is taken at once:
    a disk that fills up under a mapped file would end the process.

    Raises:
        ResourceError: if the disk is full or the folder cannot be written.
    """
    with atomic(path) as temporary:
        array = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float32, shape=shape)
        _take_space(temporary)
        yield array
        array.flush()


def _take_space(path: Path) -> None:
    """Take all that a file may come to hold from the disk now."""
    if hasattr(os, "posix_fallocate"):  # not on macOS and Windows
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def read_array(path: Path, mend: str, *, memory_map: bool = False) -> np.ndarray[Any, Any]:
    """Read an npy file; never one that holds objects.

    Raises:
        AtlasError: if it is missing, truncated or holds objects.
    """

    def read(p: Path) -> np.ndarray[Any, Any]:
        array = np.load(p, allow_pickle=False, mmap_mode="r" if memory_map else None)
        if not isinstance(array, np.ndarray):
            array.close()
            raise ValueError("an archive, not one array")
        return array

    return _read(path, mend, read)


def write_tensors(
    path: Path, tensors: Mapping[str, np.ndarray[Any, Any]], metadata: Mapping[str, str]
) -> None:
    """Write named arrays as safetensors."""
    from safetensors.numpy import save_file

    contiguous = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    with atomic(path) as temporary:
        save_file(contiguous, temporary, metadata=dict(metadata))


@contextlib.contextmanager
def mapped_bytes(
    path: Path, name: str, shape: tuple[int, ...], metadata: Mapping[str, str]
) -> Iterator[UInt8[np.ndarray, "*shape"]]:
    """Give a safetensors file of one array of bytes to be filled through memory.

    It is the file that `write_tensors` would write; see `mapped_array` for what else it is.

    Args:
        path: of the file.
        name: of the array.
        shape: of the array, without a zero.
        metadata: of the file.

    Raises:
        ResourceError: if the disk is full or the folder cannot be written.
    """
    size = math.prod(shape)
    described = {"dtype": "U8", "shape": shape, "data_offsets": (0, size)}
    told = {"__metadata__": dict(metadata), name: described}
    header = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    with atomic(path) as temporary:
        with temporary.open("wb") as file:
            file.write(len(header).to_bytes(8, "little") + header)
            start = file.tell()
            file.truncate(start + size)
        _take_space(temporary)
        array = np.memmap(temporary, dtype=np.uint8, mode="r+", offset=start, shape=shape)
        yield array
        array.flush()


def read_tensors(path: Path, mend: str) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, str]]:
    """Read all arrays of a safetensors file, and its metadata.

    Raises:
        AtlasError: if it is missing or damaged.
    """
    from safetensors import safe_open

    def read(p: Path) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, str]]:
        with safe_open(p, framework="numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, dict(file.metadata() or {})

    return _read(path, mend, read)


def read_tensor_part(path: Path, mend: str, name: str, index: int) -> np.ndarray[Any, Any]:
    """Read `array[index]` of one array of a safetensors file, and nothing else of it.

    Raises:
        AtlasError: if the file is missing or damaged, or has no such array or index.
    """
    from safetensors import safe_open

    def read(p: Path) -> np.ndarray[Any, Any]:
        with safe_open(p, framework="numpy") as file:
            part: np.ndarray[Any, Any] = file.get_slice(name)[index]
            return part

    return _read(path, mend, read)


def tensors_metadata(path: Path, mend: str) -> dict[str, str]:
    """Read the metadata of a safetensors file, without its arrays.

    Raises:
        AtlasError: if the file is missing or damaged.
    """
    from safetensors import safe_open

    def read(p: Path) -> dict[str, str]:
        with safe_open(p, framework="numpy") as file:
            return dict(file.metadata() or {})

    return _read(path, mend, read)


def digest(value: Any) -> str:
    """First 16 hex digits of the SHA-256 of a JSON-able value; equal values, equal digests."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]
