"""`compute_features`: attention patterns in, rows of features out, on the device of the patterns.

float32 patterns in main memory go through the compiled CPU kernels, in several threads. float64
patterns, and patterns on a GPU, go through the torch kernels.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from attention_motifs.features.arguments import flag
from attention_motifs.features.columns import Columns, Texts, groups_of, user_rows
from attention_motifs.features.definitions import NOT_FINITE
from attention_motifs.features.forms import (
    has_layers,
    is_one_by_one,
    layers_of,
    stacked,
    tokens_of_each,
)
from attention_motifs.features.registry import selected
from attention_motifs.features.threads import cores_in_use, run_in_threads
from attention_motifs.features.validation import (
    check_batch,
    checked_texts,
    checked_threads,
    refused,
)
from attention_motifs.memory import available_memory

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float, Float32

Tokens = Sequence[str] | Sequence[Sequence[str]]
"""Texts of tokens: n for all patterns, or n for each of them."""

CHUNK_BYTES = 1 << 20  # patterns per call of a CPU kernel: what the cache of a core holds
THREAD_ELEMENTS = 1 << 15  # fewest entries for which another thread pays
LONG_ELEMENTS = 1 << 18  # entries of a pattern whose kernel would delay Ctrl-C


@overload
def compute_features(
    patterns: np.ndarray,
    features: str | Sequence[str] = "paper",
    *,
    tokens: Tokens | None = None,
    threads: int | None = None,
    validate: bool = True,
) -> np.ndarray: ...
@overload
def compute_features(
    patterns: torch.Tensor,
    features: str | Sequence[str] = "paper",
    *,
    tokens: Tokens | None = None,
    threads: int | None = None,
    validate: bool = True,
) -> torch.Tensor: ...
@overload
def compute_features(
    patterns: Any,
    features: str | Sequence[str] = "paper",
    *,
    tokens: Tokens | None = None,
    threads: int | None = None,
    validate: bool = True,
) -> Any: ...
def compute_features(
    patterns: Any,
    features: str | Sequence[str] = "paper",
    *,
    tokens: Tokens | None = None,
    threads: int | None = None,
    validate: bool = True,
) -> Any:
    """Compute features of attention patterns (paper, section 2.2).

    Args:
        patterns: (..., n, n): attention weights after the softmax, rows = queries, columns = keys,
            zero above the diagonal. Rows sum to 1, or to less with an attention sink in the
            softmax. A numpy array or a torch tensor of float16, bfloat16, float32 or float64. Or
            one such array per layer: `outputs.attentions`, a list, a mapping from layers to
            arrays, or an `ActivationCache` of TransformerLens. Or an iterator of any of these.
        features: a feature set, or a list of sets and features. A feature named twice becomes
            one column, at the place where it was named first.
        tokens: texts of the n tokens, which the set `tokens` needs: one list for all patterns, or
            one list for each. They are as in the prompt (` the`) or as in the vocabulary of the
            tokenizer (`Ġthe`, `▁the`). For patterns of (..., prompts, heads, n, n), also one list
            per prompt.
        threads: number of threads for float32 patterns in main memory, at least 1. Default: all
            cores of the process that do not compute patterns at this moment (see
            `extract_patterns`). Other patterns use the threads of torch.
        validate: check that the values are attention weights. With False, weights above the
            diagonal are ignored, and the kernels compute what they can of negative weights and
            of rows that sum to more than 1.

    Returns:
        (..., F), with the leading axes of the patterns: one column for each of
        `feature_names(features)`. Layers become the first axis, in their order; an iterator gives
        a list. An array for an array, a tensor on the same device for a tensor; float64 for
        float64, else float32. The row of a pattern that holds NaN or infinity is NaN. A row does
        not depend on the other patterns, up to rounding.

    Raises:
        InputError: if the type, shape, number type or `threads` cannot be used; if a feature or
            set is not known; if `tokens` are needed and missing, or do not fit; if `validate` and
            a pattern has negative weights, weight above its diagonal, or a row that sums to more
            than 1 (see `definitions.row_sum_limit`); if a function of a user's feature fails or
            does not return one number.

    Example:
        >>> import numpy as np
        >>> import attention_motifs as am
        >>> pattern = np.tril(np.ones((8, 8))) / np.arange(1, 9)[:, None]  # uniform attention
        >>> am.compute_features(pattern, "paper").shape
        (94,)
        >>> row = am.compute_features(pattern[None], ["diag.mean", "first_tok.linreg.slope"])
        >>> row.shape, round(float(row[0, 0]), 4)
        ((1, 2), 0.3397)
        >>> texts = ["The", " cat", " sat", ".", " The", " cat", " ran", "."]
        >>> am.compute_features(pattern, "tokens", tokens=texts).shape
        (26,)
        >>> am.compute_features(-pattern)
        Traceback (most recent call last):
        ...
        attention_motifs.errors.InputError: pattern 0 has negative weights: -1 at query 0, key 0. \
Pass attention weights after the softmax, not scores
    """
    columns = selected(features)
    threads = checked_threads(threads)
    validate = flag(validate, "validate")

    def rows_of(value: Any) -> Any:
        if has_layers(value):
            layers = layers_of(value)
            return stacked([rows_of(layers[layer]) for layer in layers], list(layers))
        check_batch(value)
        leading, n = tuple(value.shape[:-2]), value.shape[-1]
        flat = value.reshape(math.prod(leading), n, n)
        texts = checked_texts(tokens_of_each(tokens, leading), tuple(flat.shape), columns)
        return _rows(flat, columns, texts, threads, validate).reshape(*leading, len(columns))

    return [rows_of(value) for value in patterns] if is_one_by_one(patterns) else rows_of(patterns)


def _rows(
    patterns: Any,
    columns: Columns,
    texts: list[Texts] | None,
    threads: int | None,
    validate: bool,
) -> Any:
    """Compute the rows of one batch of patterns, an array or a tensor."""
    if isinstance(patterns, np.ndarray):
        if patterns.dtype != np.float64:
            return _rows_in_threads(patterns, columns, texts, threads, validate)
        import torch

        tensor = torch.from_numpy(np.ascontiguousarray(patterns))
        return _rows_by_torch(tensor, columns, texts, validate).numpy()
    return _tensor_rows(patterns.detach(), columns, texts, threads, validate)


def available_cores() -> int:
    """Return the number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit numpy's linear algebra to one thread; also a decorator.

    The number of threads changes the order of sums, and so the last digits. Threads also wait for
    each other on small matrices.
    """
    with _loaded_libraries(len(sys.modules)).limit(limits=1, user_api="blas"):
        yield


@lru_cache(maxsize=1)
def _loaded_libraries(n_modules: int) -> Any:  # noqa: ARG001 - the key of the cache
    """Find the libraries of linear algebra, again after an import: the search takes 2 ms."""
    return import_module("threadpoolctl").ThreadpoolController()


def _tensor_rows(
    patterns: torch.Tensor,
    columns: Columns,
    texts: list[Texts] | None,
    threads: int | None,
    validate: bool,
) -> torch.Tensor:
    import torch

    if patterns.is_cuda:
        return _rows_by_torch(patterns, columns, texts, validate)
    in_memory = patterns.cpu()  # the same tensor where it is there already
    if in_memory.dtype == torch.float64:
        return _rows_by_torch(in_memory, columns, texts, validate).to(patterns.device)
    if in_memory.dtype == torch.bfloat16:  # which numpy does not have
        in_memory = in_memory.float()
    rows = _rows_in_threads(in_memory.numpy(), columns, texts, threads, validate)
    return torch.from_numpy(rows).to(patterns.device)


def _rows_by_torch(
    patterns: torch.Tensor, columns: Columns, texts: list[Texts] | None, validate: bool
) -> torch.Tensor:
    from attention_motifs.features.torch_rows import rows_by_torch

    if not _blocks_interrupts(patterns.shape[1]):
        return rows_by_torch(patterns, columns, texts, validate)
    rows: list[torch.Tensor] = []
    run_in_threads(lambda x: rows.append(rows_by_torch(x, columns, texts, validate)), [patterns], 1)
    return rows[0]


def _blocks_interrupts(n: int) -> bool:
    """Return whether kernels of patterns of n tokens are so slow that they delay Ctrl-C."""
    return n * n >= LONG_ELEMENTS


def _free_cores(n: int) -> int:
    """Return the cores that may compute features: of long patterns all.

    A pass waits while the features of its long patterns are computed.
    """
    cores = available_cores()
    return cores if _blocks_interrupts(n) else max(1, cores - cores_in_use())


def _threads_in_memory(n: int) -> int:
    """Return how many patterns of n tokens may be in work at once, by the memory that is free."""
    if not _blocks_interrupts(n):
        return available_cores()
    free = available_memory()
    return available_cores() if free is None else max(1, free // (2 * _WORK_BYTES * n * n))


_WORK_BYTES = 12
"""Bytes that a kernel needs per entry of a pattern: panels of triangles, and a copy."""


def _rows_in_threads(
    patterns: Float[np.ndarray, "B n n"],
    columns: Columns,
    texts: list[Texts] | None,
    threads: int | None,
    validate: bool,
) -> Float32[np.ndarray, "B F"]:
    """Compute the rows of patterns in main memory; each thread copies one chunk at most."""
    from attention_motifs.features.kernels import pattern_status

    count, n = patterns.shape[:2]
    out = np.empty((count, len(columns)), np.float32)
    groups = groups_of(columns)
    workers = min(threads or _free_cores(n), max(1, count * n * n // THREAD_ELEMENTS))
    workers = min(workers, _threads_in_memory(n))
    size = max(1, min(CHUNK_BYTES // (4 * n * n), -(-count // workers)))

    def compute_chunk(start: int) -> None:
        chunk = np.ascontiguousarray(patterns[start : start + size], np.float32)
        rows = out[start : start + size]
        status = pattern_status(chunk)
        if status.any():
            if validate:
                for i in np.flatnonzero(status > NOT_FINITE):
                    raise refused(start + int(i), int(status[i]), chunk[i])
            finite = np.asarray(np.isfinite(chunk).all(axis=(1, 2)))
            chunk = np.where(finite[:, None, None], np.tril(chunk), np.float32(0))
        else:
            finite = np.ones(len(chunk), bool)
        of_chunk = texts and texts[start : start + size]
        for group in groups:
            if group.built_in:
                for run, values in group.parts("cpu", chunk, of_chunk):
                    rows[run, group.positions] = values
            else:
                rows[:, group.positions] = user_rows(chunk, finite, group)
        rows[~finite] = np.nan

    starts = range(0, count, size)
    workers = max(1, min(workers, len(starts)))
    if workers <= 1 and not _blocks_interrupts(n):
        for start in starts:
            compute_chunk(start)
    else:
        run_in_threads(compute_chunk, starts, workers)
    return out
