"""Reading and writing files: reads say what is wrong with a file and how to fix it.

No format holds a pickle. Writes are those of `store.atomic`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from attention_motifs.errors import AtlasError, MotifsError
from attention_motifs.store.atomic import TEMPORARY_PREFIX as TEMPORARY_PREFIX
from attention_motifs.store.atomic import Location as Location
from attention_motifs.store.atomic import atomic as atomic
from attention_motifs.store.atomic import is_full_disk as is_full_disk
from attention_motifs.store.atomic import remove as remove
from attention_motifs.store.atomic import remove_unfinished as remove_unfinished
from attention_motifs.store.atomic import replaced_folder as replaced_folder
from attention_motifs.store.atomic import writable_folder as writable_folder
from attention_motifs.store.forked import polars_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import polars as pl
    from jaxtyping import Float, Int, UInt8

T = TypeVar("T")


def damaged(location: Location, fix: str, error: Exception) -> AtlasError:
    """Build the error for a file that exists and cannot be read in its format."""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return AtlasError(f"{location}: damaged or of another format ({reason}){_advice(fix)}")


def _advice(fix: str) -> str:
    return f"; {fix}" if fix else ""


def check_readable(location: Location, path: Path, fix: str) -> None:
    """Refuse what is not there, not a file or not for this user: none of it is damaged.

    Raises:
        AtlasError: saying which of them.
    """
    try:
        if stat.S_ISDIR(path.stat().st_mode):
            raise AtlasError(f"{location}: is a folder, not a file; move it away, then {fix}")
        path.open("rb").close()
    except PermissionError as error:
        raise AtlasError(
            f"{location}: permission denied; ask its owner for the right to read it"
        ) from error
    except (FileNotFoundError, NotADirectoryError) as error:
        if path.is_symlink():
            raise AtlasError(
                f"{location}: is a link to {path.readlink()}, which does not exist{_advice(fix)}"
            ) from error
        raise AtlasError(f"{location}: not found{_advice(fix)}") from error


def _read(location: Location, fix: str, read: Callable[[Path], T]) -> T:
    if isinstance(location, Path):
        path, fix_missing = location, fix
    else:
        path = location.fetch()
        fix_missing, fix = fix or location.fix, fix or location.fix_damaged
    check_readable(location, path, fix_missing)
    try:
        return read(path)
    except MotifsError:
        raise
    except OSError as error:
        if error.errno is None or isinstance(error, EOFError):  # a library's word for its format
            raise damaged(location, fix, error) from error
        raise AtlasError(f"{location}: cannot be read ({error.strerror})") from error
    except Exception as error:
        raise damaged(location, fix, error) from error


def write_json(path: Location, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys and no NaN."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    with atomic(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_json(path: Location, fix: str = "") -> Any:
    """Read a JSON file.

    Args:
        path: path or file of an atlas.
        fix: words that say how to make the file again; by default those of the file of an atlas.

    Raises:
        AtlasError: if it is missing, not readable or damaged; the message ends with `fix`.
    """
    return _read(path, fix, lambda p: json.loads(p.read_text(encoding="utf-8")))


def read_bytes(path: Location, fix: str = "") -> bytes:
    """Read a whole file.

    Raises:
        AtlasError: if it is missing, not readable, or its digest is not the recorded one.
    """
    return _read(path, fix, Path.read_bytes)


def write_parquet(
    path: Location, table: pl.DataFrame, metadata: Mapping[str, str] | None = None
) -> None:
    """Write a table as Parquet (zstd), with `metadata` in the file's key-value section."""
    polars_for(path)
    with atomic(path) as temporary:
        table.write_parquet(
            temporary, compression="zstd", statistics=False, metadata=dict(metadata or {})
        )


def write_parquet_parts(path: Location, parts: Iterator[pl.DataFrame]) -> None:
    """Write tables of the same columns, one below the other, with few in memory at a time.

    Args:
        path: of the file.
        parts: at least one; drawn in a thread of polars.

    Raises:
        ResourceError: if the disk is full or the folder cannot be written.
        Exception: whatever `parts` raises.
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
            # Polars passes the interrupt on while Python's own still waits: let it be raised here,
            # and not in the middle of the clean-up.
            time.sleep(0)
            raise
        except Exception:
            if failures:  # polars reports it in its own words
                raise failures[0] from None
            raise


@contextlib.contextmanager
def _panics_are_errors() -> Iterator[None]:
    """Raise an `Exception` where polars panics at a damaged file."""
    from polars.exceptions import PanicException

    try:
        yield
    except PanicException as error:
        raise ValueError(f"polars panicked: {error}") from error


def read_parquet(
    path: Location, fix: str = "", columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """Read a Parquet file, or some of its columns.

    Raises:
        AtlasError: if it is missing, truncated or without one of the columns.
        ResourceError: in a process forked from one that used polars.
    """
    polars = polars_for(path)

    def read(p: Path) -> pl.DataFrame:
        with _panics_are_errors():
            table: pl.DataFrame = polars.read_parquet(
                p.absolute(),
                columns=None if columns is None else list(columns),
                use_statistics=False,
                memory_map=False,
                glob=False,
                hive_partitioning=False,
            )
            return table

    return _read(path, fix, read)


def parquet_metadata(path: Location, fix: str = "") -> dict[str, str]:
    """Read the key-value section of a Parquet file, without its data.

    Raises:
        AtlasError: if the file is missing or damaged.
    """
    polars = polars_for(path)

    def read(p: Path) -> dict[str, str]:
        with _panics_are_errors(), p.open("rb") as file:
            return dict(polars.read_parquet_metadata(file))

    return _read(path, fix, read)


def parquet_columns(path: Location, fix: str = "") -> list[str]:
    """Return the names of the columns of a Parquet file, without its data.

    Raises:
        AtlasError: if the file is missing or damaged.
    """
    polars = polars_for(path)

    def read(p: Path) -> list[str]:
        with _panics_are_errors(), p.open("rb") as file:
            return list(polars.read_parquet_schema(file))

    return _read(path, fix, read)


def write_array(path: Location, array: np.ndarray[Any, Any]) -> None:
    """Write an array of numbers as npy."""
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)


@contextlib.contextmanager
def mapped_array(path: Location, shape: tuple[int, ...]) -> Iterator[Float[np.ndarray, "*shape"]]:
    """Give an npy file of float32 to fill through memory; it is complete when the block ends.

    Filled pages can leave memory for the disk at any time. Space on the disk is reserved at once:
    a disk that fills up under a mapped file would end the process.

    Raises:
        ResourceError: if the disk is full or the folder cannot be written.
    """
    with atomic(path) as temporary:
        array = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float32, shape=shape)
        _reserve_space(temporary)
        yield array
        array.flush()


def _reserve_space(path: Path) -> None:
    """Reserve the disk space of the whole file now."""
    if hasattr(os, "posix_fallocate"):  # not on macOS and Windows
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def read_array(path: Location, fix: str = "", *, memory_map: bool = False) -> np.ndarray[Any, Any]:
    """Read an npy file of numbers.

    Raises:
        AtlasError: if it is missing, truncated or holds objects.
    """

    def read(p: Path) -> np.ndarray[Any, Any]:
        array = np.load(p, allow_pickle=False, mmap_mode="r" if memory_map else None)
        if not isinstance(array, np.ndarray):
            array.close()
            raise ValueError("an archive, not one array")
        return array

    return _read(path, fix, read)


def write_tensors(
    path: Location, tensors: Mapping[str, np.ndarray[Any, Any]], metadata: Mapping[str, str]
) -> None:
    """Write named arrays as safetensors."""
    from safetensors.numpy import save_file

    contiguous = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    with atomic(path) as temporary:
        save_file(contiguous, temporary, metadata=dict(metadata))


@contextlib.contextmanager
def mapped_bytes(
    path: Location, name: str, shape: tuple[int, ...], metadata: Mapping[str, str]
) -> Iterator[UInt8[np.ndarray, "*shape"]]:
    """Give a safetensors file of one array of bytes to fill through memory.

    The file equals the one that `write_tensors` writes; space is reserved as for `mapped_array`.

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
    header_fields = {"__metadata__": dict(metadata), name: described}
    header = json.dumps(header_fields, ensure_ascii=False, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    with atomic(path) as temporary:
        with temporary.open("wb") as file:
            file.write(len(header).to_bytes(8, "little") + header)
            start = file.tell()
            file.truncate(start + size)
        _reserve_space(temporary)
        array = np.memmap(temporary, dtype=np.uint8, mode="r+", offset=start, shape=shape)
        yield array
        array.flush()


def read_tensors(
    path: Location, fix: str = ""
) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, str]]:
    """Read all arrays of a safetensors file, and its metadata.

    Raises:
        AtlasError: if it is missing or damaged.
    """
    from safetensors import safe_open

    def read(p: Path) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, str]]:
        with safe_open(p, framework="numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, dict(file.metadata() or {})

    return _read(path, fix, read)


def read_array_rows(
    path: Location, rows: Int[np.ndarray, " some"], shape: tuple[int, int], fix: str = ""
) -> Float[np.ndarray, "some columns"] | None:
    """Read some rows of a matrix of float32 from a remote npy file, in one round of requests.

    The file is not fetched, so that its digest is not verified; its header is.

    Args:
        path: file of an atlas.
        rows: numbers of rows, each from 0.
        shape: rows and columns that the matrix must have.
        fix: as for `read_json`.

    Returns:
        The rows; None where the whole file must be read instead: it is on this machine, it is
        small, most of it is needed, or its header is not that of such a matrix.

    Raises:
        RemoteError: if the place refuses or cannot be reached.
    """
    if isinstance(path, Path):
        return None
    width = 4 * shape[1]
    ranges = [(0, _NPY_HEADER), *((_NPY_HEADER + int(row) * width, width) for row in rows)]
    parts = path.read_ranges(ranges)
    if parts is None or not _is_header_of(parts[0], shape):
        return None
    if any(len(part) != width for part in parts[1:]):
        raise damaged(path, fix or path.fix_damaged, ValueError("a row is cut off"))
    return np.stack([np.frombuffer(part, dtype="<f4") for part in parts[1:]])


_NPY_HEADER = 128
"""Bytes before the numbers of an npy file of a matrix."""


def _is_header_of(header: bytes, shape: tuple[int, int]) -> bool:
    """Return whether these bytes begin an npy file of a matrix of float32 of this shape."""
    stream = io.BytesIO(header)
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            return False
        read = np.lib.format.read_array_header_1_0(stream)
    except ValueError:
        return False
    return read == (shape, False, np.dtype("<f4")) and stream.tell() == _NPY_HEADER


def mapped_tensor(path: Location, name: str, fix: str = "") -> UInt8[np.ndarray, "..."]:
    """Return an array of bytes of a safetensors file, read from the disk as it is used.

    Raises:
        AtlasError: if the file is missing or damaged, or has no such array of bytes.
    """

    def read(p: Path) -> UInt8[np.ndarray, "..."]:
        with p.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            size = p.stat().st_size
            if length > size - 8:
                raise ValueError("its header is cut off")
            described = json.loads(file.read(length)).get(name)
        if described is None:
            raise ValueError(f"it holds no {name}")
        shape, (start, end) = tuple(described["shape"]), described["data_offsets"]
        if described["dtype"] != "U8" or end - start != math.prod(shape):
            raise ValueError(f"{name} is not an array of bytes")
        if 8 + length + end > size:
            raise ValueError(f"{name} is cut off")
        if not math.prod(shape):  # there is nothing to map
            return np.empty(shape, dtype=np.uint8)
        return np.memmap(p, dtype=np.uint8, mode="r", offset=8 + length + start, shape=shape)

    return _read(path, fix, read)


def read_tensor_part(path: Location, name: str, index: int, fix: str = "") -> np.ndarray[Any, Any]:
    """Read `array[index]` of one array of a safetensors file, without the rest.

    Raises:
        AtlasError: if the file is missing or damaged, or has no such array or index.
    """
    from safetensors import safe_open

    def read(p: Path) -> np.ndarray[Any, Any]:
        with safe_open(p, framework="numpy") as file:
            part: np.ndarray[Any, Any] = file.get_slice(name)[index]
            return part

    return _read(path, fix, read)


def tensors_metadata(path: Location, fix: str = "") -> dict[str, str]:
    """Read the metadata of a safetensors file, without its arrays.

    Raises:
        AtlasError: if the file is missing or damaged.
    """
    from safetensors import safe_open

    def read(p: Path) -> dict[str, str]:
        with safe_open(p, framework="numpy") as file:
            return dict(file.metadata() or {})

    return _read(path, fix, read)


def digest(value: Any) -> str:
    """Return 16 hex digits of the SHA-256 of a JSON value; equal values have equal digests."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]
