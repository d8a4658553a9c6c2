"""`compute_features`: patterns in, feature rows out, on whatever holds the patterns.

Checks the input, sends it to the kernels of each feature set asked for, and puts the columns
in order. float32 on the CPU goes through the numba kernels in several threads, float64 through
the oracle, CUDA tensors through the torch kernels.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from attention_motifs.errors import InputError
from attention_motifs.features.definitions import (
    CAUSAL_TOLERANCE,
    FINITE,
    NOT_CAUSAL,
    pattern_status,
)
from attention_motifs.features.registry import BUILT_IN_SETS, built_in_set, selected, user_set

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float, Int8

CHUNK_BYTES = 1 << 20  # patterns handed to a kernel at once: what a core's cache holds
THREAD_ELEMENTS = 1 << 15  # fewer entries than this are not worth another thread
DEVICE_CHUNK_BYTES = 1 << 26  # patterns handed to a torch kernel, which needs eight times that


@overload
def compute_features(
    patterns: np.ndarray, features: str | Sequence[str] = "paper", *, threads: int | None = None
) -> np.ndarray: ...
@overload
def compute_features(
    patterns: torch.Tensor, features: str | Sequence[str] = "paper", *, threads: int | None = None
) -> torch.Tensor: ...
def compute_features(
    patterns: Any, features: str | Sequence[str] = "paper", *, threads: int | None = None
) -> Any:
    """Features of attention patterns (paper, section 2.2).

    Args:
        patterns: (B, n, n) or a single (n, n), rows = queries, lower triangular, rows that sum
            to 1 or less; a numpy array or a torch tensor. float16 and bfloat16 are widened to
            float32; float64 is computed in float64, by the definitions and slowly.
        features: a feature set, or several names of sets and features; a feature that is named
            twice comes once, where it was named first.
        threads: threads for patterns in main memory; by default all cores of the process.

    Returns:
        (B, F), or (F,) for a single pattern: columns as `feature_names(features)`, of the
        same kind and on the same device as `patterns`. The row of a pattern that holds NaN or
        infinity is NaN. A row does not depend on the rest of the batch.

    Raises:
        InputError: if the shape or the number type is not usable, a pattern has weight above
            its diagonal, or a feature or set is unknown.
    """
    columns = selected(features)
    _check_shape(patterns)
    if patterns.ndim == 2:
        return compute_features(patterns[None], features, threads=threads)[0]
    cores = threads or available_cores()
    if isinstance(patterns, np.ndarray):
        return _in_chunks(_NumpySource(patterns), columns, cores)
    return _compute_tensor(patterns.detach(), columns, cores)


def available_cores() -> int:
    """Return the number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _check_shape(patterns: Any) -> None:
    shape, dtype = getattr(patterns, "shape", None), getattr(patterns, "dtype", None)
    if shape is None or dtype is None:
        raise InputError(
            f"patterns of type {type(patterns).__name__}: give a numpy array or a torch tensor"
        )
    shape = tuple(shape)
    if len(shape) not in (2, 3) or shape[-1] != shape[-2]:
        raise InputError(f"patterns of shape {shape}: give (n, n), or (patterns, n, n)")
    if shape[-1] == 0:
        raise InputError(f"patterns of shape {shape} hold no tokens: give at least one")
    name = str(dtype).removeprefix("torch.")
    if name not in ("float16", "bfloat16", "float32", "float64"):
        raise InputError(f"patterns of type {name}: convert them to float32")


class _NumpySource:
    """Patterns in a numpy array, of which chunks are read as contiguous float32 or float64."""

    def __init__(self, patterns: Float[np.ndarray, "B n n"]) -> None:
        self.patterns = patterns
        self.shape: tuple[int, ...] = patterns.shape
        self.dtype = np.dtype(np.float64 if patterns.dtype == np.float64 else np.float32)

    def chunk(self, rows: slice) -> Float[np.ndarray, "b n n"]:
        return np.ascontiguousarray(self.patterns[rows], self.dtype)


class _TensorSource:
    """Patterns in a torch tensor, read like those of `_NumpySource`."""

    def __init__(self, patterns: torch.Tensor) -> None:
        import torch

        self.patterns = patterns
        self.shape = tuple(patterns.shape)
        self.wide = torch.float64 if patterns.dtype == torch.float64 else torch.float32
        self.dtype = np.dtype(np.float64 if self.wide == torch.float64 else np.float32)

    def chunk(self, rows: slice) -> Float[np.ndarray, "b n n"]:
        chunk = self.patterns[rows].to(device="cpu", dtype=self.wide)
        return np.ascontiguousarray(chunk.numpy())


Columns = list[tuple[str, str]]


def _in_chunks(
    source: _NumpySource | _TensorSource, columns: Columns, threads: int
) -> Float[np.ndarray, "B F"]:
    """Rows of all patterns, in threads; holds a copy of no more than a chunk in each."""
    count, n = source.shape[:2]
    out = np.empty((count, len(columns)), source.dtype)
    wide = source.dtype == np.float64
    # The oracle and a user's functions hold the interpreter lock: threads would not help.
    threads = 1 if wide else min(threads, max(1, count * n * n // THREAD_ELEMENTS))
    size = max(1, min(CHUNK_BYTES // (4 * n * n), -(-count // threads)))
    rows_of = _oracle_rows if wide else _kernel_rows

    def work(start: int) -> None:
        chunk = source.chunk(slice(start, start + size))
        status = _status(chunk)
        for i in np.flatnonzero(status == NOT_CAUSAL):
            raise not_causal(start + int(i))
        if status.any():
            chunk = chunk.copy()
            chunk[status != FINITE] = 0
        rows = rows_of(chunk, columns)
        rows[status != FINITE] = np.nan
        out[start : start + size] = rows

    starts = range(0, count, size)
    if min(threads, len(starts)) <= 1:
        for start in starts:
            work(start)
    else:
        with ThreadPoolExecutor(min(threads, len(starts))) as pool:
            list(pool.map(work, starts))
    return out


def not_causal(index: int) -> InputError:
    """The error for a pattern with weight above its diagonal."""
    return InputError(
        f"pattern {index} has weight above the diagonal: give causal patterns, rows = queries"
    )


def _status(chunk: Float[np.ndarray, "b n n"]) -> Int8[np.ndarray, " b"]:
    if chunk.dtype == np.float64:
        return pattern_status(chunk)
    from attention_motifs.features import kernels

    return kernels.pattern_status(chunk)


def _by_set(columns: Columns) -> dict[str, tuple[list[int], list[str]]]:
    """Set -> where its columns go in the result, and which of its features they are."""
    groups: dict[str, tuple[list[int], list[str]]] = {}
    for position, (name, set_name) in enumerate(columns):
        positions, names = groups.setdefault(set_name, ([], []))
        positions.append(position)
        names.append(name)
    return groups


def _rows(
    chunk: Float[np.ndarray, "b n n"],
    columns: Columns,
    run: Callable[[str, Float[np.ndarray, "b n n"]], Float[np.ndarray, "b F"]],
) -> Float[np.ndarray, "b F"]:
    rows = np.empty((len(chunk), len(columns)), chunk.dtype)
    for set_name, (positions, names) in _by_set(columns).items():
        if set_name not in BUILT_IN_SETS:
            rows[:, positions] = _user_rows(chunk, set_name, names)
            continue
        index = {f.name: i for i, f in enumerate(built_in_set(set_name).features)}
        rows[:, positions] = run(set_name, chunk)[:, [index[name] for name in names]]
    return rows


def _kernel_rows(chunk: Float[np.ndarray, "b n n"], columns: Columns) -> Float[np.ndarray, "b F"]:
    return _rows(chunk, columns, lambda name, x: built_in_set(name).function("cpu")(x))


def _oracle_rows(chunk: Float[np.ndarray, "b n n"], columns: Columns) -> Float[np.ndarray, "b F"]:
    def run(name: str, patterns: Float[np.ndarray, "b n n"]) -> Float[np.ndarray, "b F"]:
        oracle = built_in_set(name).function("oracle")
        return np.array([oracle(np.tril(A)) for A in patterns])

    return _rows(chunk, columns, run)


def _user_rows(
    chunk: Float[np.ndarray, "b n n"], set_name: str, names: list[str]
) -> Float[np.ndarray, "b F"]:
    functions = user_set(set_name).functions
    rows = np.empty((len(chunk), len(names)))
    for row, pattern in zip(rows, chunk.astype(np.float64), strict=True):
        for j, name in enumerate(names):
            value = functions[name](pattern)
            if np.ndim(value) != 0:
                raise InputError(
                    f"feature {name!r} returned an array of shape {np.shape(value)}: "
                    "return one number"
                )
            row[j] = value
    return rows


def _compute_tensor(patterns: torch.Tensor, columns: Columns, threads: int) -> torch.Tensor:
    import torch

    if patterns.is_cuda:
        return rows_on_device(patterns, columns)
    rows = torch.from_numpy(_in_chunks(_TensorSource(patterns), columns, threads))
    return rows.to(patterns.device)


def rows_on_device(patterns: torch.Tensor, columns: Columns) -> torch.Tensor:
    """Rows of patterns by the torch kernels, where the patterns lie.

    On a GPU one flag leaves it, whether a pattern has weight above its diagonal; and the patterns
    only if features of the user's own are asked for, which run in main memory.
    """
    import torch

    wide = torch.float64 if patterns.dtype == torch.float64 else torch.float32
    count, n = patterns.shape[:2]
    out = torch.empty((count, len(columns)), dtype=wide, device=patterns.device)
    above = torch.zeros(count, dtype=torch.bool, device=patterns.device)
    size = max(1, DEVICE_CHUNK_BYTES // (n * n * wide.itemsize))
    groups = _by_set(columns)
    for start in range(0, count, size):
        part = slice(start, start + size)
        chunk = patterns[part].to(wide)
        finite = torch.isfinite(chunk).all(dim=2).all(dim=1)
        above[part] = (chunk.triu(1).abs().amax(dim=(1, 2)) > CAUSAL_TOLERANCE) & finite
        chunk = torch.where(finite[:, None, None], chunk, 0.0)
        for set_name, (positions, names) in groups.items():
            if set_name in BUILT_IN_SETS:
                index = {f.name: i for i, f in enumerate(built_in_set(set_name).features)}
                rows = built_in_set(set_name).function("torch")(chunk)
                rows = rows[:, [index[name] for name in names]]
            else:
                rows = torch.from_numpy(_user_rows(chunk.cpu().numpy(), set_name, names))
                rows = rows.to(patterns.device, wide)
            out[part, positions] = torch.where(finite[:, None], rows, torch.nan)
    if above.any():
        raise not_causal(int(above.nonzero()[0]))
    return out
