"""Checks of what a user passes to `compute_features`, and the errors they raise."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.errors import InputError
from attention_motifs.features.arguments import short, whole_number
from attention_motifs.features.definitions import NEGATIVE, NOT_CAUSAL
from attention_motifs.features.registry import token_readers

if TYPE_CHECKING:
    from jaxtyping import Float

    from attention_motifs.features.columns import Columns, Texts

FLOATING_TYPES = ("float16", "bfloat16", "float32", "float64")


def check_batch(patterns: Any) -> None:
    """Check the kind, shape and number type of a batch of patterns; read no value.

    Raises:
        InputError: if `patterns` is not a dense array or tensor of real numbers, of shape
            (..., n, n) with n >= 1.
    """
    shape, dtype = getattr(patterns, "shape", None), getattr(patterns, "dtype", None)
    if shape is None or dtype is None or isinstance(patterns, np.generic):
        raise InputError(
            f"patterns of type {type(patterns).__name__} cannot be used: "
            "pass a numpy array, a torch tensor, or one of these per layer"
        )
    shape = tuple(shape)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise InputError(f"patterns of shape {shape} cannot be used: pass (..., n, n)")
    if shape[-1] == 0:
        raise InputError(f"patterns of shape {shape} hold no tokens: pass at least one token")
    name = str(dtype).removeprefix("torch.")
    if name not in FLOATING_TYPES:
        raise InputError(f"patterns of type {name} cannot be used: convert them to float32")
    if getattr(patterns, "is_meta", False):
        raise InputError(
            "patterns on the meta device hold no values: run the model on a real device"
        )
    if str(getattr(patterns, "layout", "torch.strided")) != "torch.strided":
        raise InputError(
            f"patterns of layout {patterns.layout} cannot be used: pass patterns.to_dense()"
        )


def checked_threads(threads: object) -> int | None:
    """Return a number of threads, or None for the default.

    Raises:
        InputError: if it is neither None nor a whole number of at least 1.
    """
    return None if threads is None else whole_number(threads, "threads", least=1)


def checked_texts(tokens: Any, shape: tuple[int, int, int], columns: Columns) -> list[Texts] | None:
    """Return the texts of the tokens of each pattern; None if no feature reads them.

    Args:
        tokens: what the user passed: n texts, n texts per pattern, or None.
        shape: (B, n, n).
        columns: features and their sets.

    Raises:
        InputError: if a feature reads texts and there are none, or they do not fit the patterns.
    """
    readers = token_readers(columns)
    if not readers:
        return None
    count, n = shape[:2]
    expected = f"Pass tokens=[...] with the texts of the {n} tokens, or one such list per pattern"
    if tokens is None:
        raise InputError(f"feature {readers[0]!r} needs the texts of the tokens. {expected}")
    if isinstance(tokens, str) or not isinstance(tokens, Iterable):
        raise InputError(f"tokens are {short(tokens)}, not a list of texts. {expected}")
    rows = list(tokens)
    if rows and all(isinstance(text, str) for text in rows):
        return [_texts(rows, n, "tokens", expected)] * count
    if len(rows) != count:
        raise InputError(f"tokens are given for {len(rows)} patterns of {count}. {expected}")
    return [_texts(row, n, f"tokens of pattern {i}", expected) for i, row in enumerate(rows)]


def _texts(row: Any, n: int, what: str, expected: str) -> Texts:
    texts = tuple(row) if isinstance(row, Iterable) and not isinstance(row, str) else (row,)
    if not all(isinstance(text, str) for text in texts):
        raise InputError(f"{what} are {short(row)}, not a list of texts. {expected}")
    if len(texts) != n:
        raise InputError(f"{what} are {len(texts)} texts for {n} tokens. {expected}")
    return texts


def refused(index: int, status: int, pattern: Float[np.ndarray, "n n"]) -> InputError:
    """Return the error for a pattern that is not attention, with the entry that shows it.

    Args:
        index: position of the pattern in its batch.
        status: NEGATIVE, NOT_CAUSAL or ABOVE_ONE, from `definitions.pattern_status`.
        pattern: its values; NaN and infinity are ignored.
    """
    weights = np.where(np.isfinite(pattern), pattern, 0).astype(np.float64)
    if status == NEGATIVE:
        query, key = np.unravel_index(np.tril(weights).argmin(), weights.shape)
        return InputError(
            f"pattern {index} has negative weights: {weights[query, key]:.3g} at query {query}, "
            f"key {key}. Pass attention weights after the softmax, not scores"
        )
    if status == NOT_CAUSAL:
        query, key = np.unravel_index(np.abs(np.triu(weights, 1)).argmax(), weights.shape)
        return InputError(
            f"pattern {index} has weight above the diagonal: {weights[query, key]:.3g} at query "
            f"{query}, key {key}. Pass causal patterns with queries as rows, or validate=False "
            "to ignore these weights"
        )
    sums = np.tril(weights).sum(axis=1)
    longest = int(sums.argmax())
    return InputError(
        f"pattern {index} has a row that sums to {sums[longest]:.4g}: query {longest}. Rows of "
        "attention weights sum to 1 or less; pass weights after the softmax"
    )


def feature_value(name: str, value: Any) -> float:
    """Return the value of a user's feature as a number; NaN and infinity stay.

    Raises:
        InputError: if it is not one real number.
    """
    if value is None:
        raise InputError(f"feature {name!r} returned None: its function must return a number")
    try:
        if np.ndim(value) != 0:
            raise InputError(
                f"feature {name!r} returned an array of shape {np.shape(value)}: "
                "its function must return one number"
            )
        if isinstance(value, (str, bytes, complex, np.complexfloating)):
            raise TypeError
        return float(value)
    except InputError:
        raise
    except Exception:  # noqa: BLE001 - nested lists, huge integers, tensors without values
        raise InputError(
            f"feature {name!r} returned {short(value)} of type {type(value).__name__}: "
            "its function must return a real number"
        ) from None
