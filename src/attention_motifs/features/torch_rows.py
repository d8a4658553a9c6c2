"""Rows of features by the torch kernels, on the device of the patterns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from attention_motifs.features.columns import Columns, Texts, groups_of, user_rows
from attention_motifs.features.definitions import (
    ABOVE_ONE,
    NEGATIVE,
    NOT_CAUSAL,
    NOT_FINITE,
    VALID,
    WEIGHT_TOLERANCE,
    row_sum_limit,
)
from attention_motifs.features.numerics import fixed_numerics
from attention_motifs.features.validation import refused

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int8

DEVICE_CHUNK_BYTES = 1 << 26  # patterns per call of a kernel, which needs 8 times as much
HOST_CHUNK_BYTES = 1 << 22  # the same in main memory


@fixed_numerics()
def rows_by_torch(
    patterns: Float[torch.Tensor, "B n n"],
    columns: Columns,
    texts: Sequence[Texts] | None = None,
    validate: bool = True,
) -> Float[torch.Tensor, "B F"]:
    """Compute the rows of patterns with the torch kernels, on the device of the patterns.

    From a GPU one flag is read, whether a pattern is refused. Patterns themselves are copied to
    main memory only for features of a user.
    """
    wide = torch.float64 if patterns.dtype == torch.float64 else torch.float32
    count, n = patterns.shape[:2]
    out = torch.empty((count, len(columns)), dtype=wide, device=patterns.device)
    statuses = torch.zeros(count, dtype=torch.int8, device=patterns.device)
    chunk_bytes = DEVICE_CHUNK_BYTES if patterns.is_cuda else HOST_CHUNK_BYTES
    size = max(1, chunk_bytes // (n * n * wide.itemsize))
    groups = groups_of(columns)
    for start in range(0, count, size):
        part = slice(start, start + size)
        chunk = patterns[part].to(wide)
        finite = torch.isfinite(chunk)
        chunk = torch.where(finite, chunk, 0.0)
        all_finite = finite.all(dim=2).all(dim=1)
        statuses[part] = pattern_status(chunk, all_finite)
        chunk = torch.where(all_finite[:, None, None], chunk.tril(), 0.0)
        if validate and not patterns.is_cuda:
            _refuse(statuses, patterns)  # before a user's functions see the patterns
        of_chunk = texts and texts[part]
        for group in groups:
            if group.built_in:
                for run, rows in group.parts("torch", chunk, of_chunk):
                    out[part][run, group.positions] = rows
            else:
                arrays = chunk.cpu().numpy(), all_finite.cpu().numpy()
                rows = torch.from_numpy(user_rows(*arrays, group)).to(patterns.device, wide)
                out[part, group.positions] = rows
        out[part] = torch.where(all_finite[:, None], out[part], torch.nan)
    if validate:
        _refuse(statuses, patterns)
    return out


def pattern_status(
    patterns: Float[torch.Tensor, "b n n"], all_finite: Bool[torch.Tensor, " b"]
) -> Int8[torch.Tensor, " b"]:
    """Return `definitions.pattern_status` of (b, n, n) patterns whose bad entries are set to 0."""
    lower = patterns.tril()
    status = torch.where(all_finite, VALID, NOT_FINITE)
    above_one = lower.sum(dim=2).amax(dim=1) > row_sum_limit(patterns.shape[-1])
    status = torch.where(above_one, ABOVE_ONE, status)
    above = patterns.triu(1).abs().amax(dim=(1, 2)) > WEIGHT_TOLERANCE
    status = torch.where(above, NOT_CAUSAL, status)
    negative = lower.amin(dim=(1, 2)) < -WEIGHT_TOLERANCE
    return torch.where(negative, NEGATIVE, status).to(torch.int8)


def _refuse(statuses: Int8[torch.Tensor, " B"], patterns: Float[torch.Tensor, "B n n"]) -> None:
    """Raise the error of the first pattern that is refused, if there is one."""
    bad = statuses > NOT_FINITE
    if bad.any():
        index = int(bad.nonzero()[0])
        pattern = patterns[index].double().cpu().numpy()
        raise refused(index, int(statuses[index]), pattern)
