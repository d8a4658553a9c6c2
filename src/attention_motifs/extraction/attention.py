"""Eager attention computed in parts, so that only the weights themselves take memory.

Scores are computed for some heads and some queries at a time, so that they stay in the processor's
cache, and only up to the last key that these queries may attend to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from attention_motifs.extraction import onednn_linear
from attention_motifs.features.stopping import raise_if_stopped

if TYPE_CHECKING:
    from jaxtyping import Float

PART_BYTES = 1 << 20
"""Bytes of scores computed at once on the CPU, unless those of one head are more. Attention needs
memory for the weights and for twice this, not for the scores of all heads."""

DEVICE_PART_BYTES = 1 << 28
"""The same on a GPU, where many small parts would be slow."""

PART_QUERIES = 128
"""Queries of a part, if later keys are hidden from them."""

HIDDEN = -3e4
"""Values of the mask up to this one hide a key: half the least number of float16."""

_WORTH_ONEDNN = 1 << 22
"""Multiplications in the products of a key head from which one call per head is faster."""


@dataclass(frozen=True)
class Part:
    """Some of the batch, of the key heads, of the query heads that share them, and of the queries.

    Keys from `n_keys` on are hidden from all of its queries.
    """

    batch: slice
    key_heads: slice
    groups: slice
    queries: slice
    n_keys: int

    @property
    def heads(self) -> tuple[slice, slice]:
        """Index of its keys and values."""
        return self.batch, self.key_heads

    @property
    def rows(self) -> tuple[slice, slice, slice, slice]:
        """Index of its queries."""
        return (*self.heads, self.groups, self.queries)


@dataclass(frozen=True)
class Scoring:
    """Settings that turn scores into weights."""

    scale: float
    mask: Float[Tensor, "1|B 1|H n m"] | None = None
    """Added to the scores."""
    softcap: float | None = None
    sinks: Float[Tensor, "key_heads groups"] | None = None
    """Scores of a key outside of the sequence; rows then sum to less than 1."""

    def of(self, key_heads: slice, groups: slice, shape: tuple[int, int]) -> Scoring:
        """Return the settings of some of the heads; `shape` is (key heads, groups) of all."""
        mask = self.mask
        if mask is not None and mask.shape[1] > 1:
            grouped = mask.view(mask.shape[0], *shape, *mask.shape[2:])
            mask = grouped[:, key_heads, groups].flatten(1, 2)
        sinks = None if self.sinks is None else self.sinks[key_heads, groups]
        return replace(self, mask=mask, sinks=sinks)


def attention_weights(
    query: Float[Tensor, "B key_heads groups n d"],
    key: Float[Tensor, "B key_heads m d"],
    scoring: Scoring,
    *,
    hides_later: bool,
) -> Float[Tensor, "B key_heads groups n m"]:
    """Return the weights in float32: the softmax over the keys, and over a sink if there is one.

    Args:
        query: grouped by the key head that query heads share.
        key: of each key head.
        scoring: scale, mask, soft cap and sinks.
        hides_later: the value of `hides_later_keys` for the mask.
    """
    shape = (*query.shape[:4], key.shape[2])
    fitting = part_bytes(query.device) // query.element_size()
    parts = parts_of(shape, fitting, hides_later=hides_later)
    key = key.contiguous()
    if len(parts) == 1:
        return _part_weights(query, key, parts[0], scoring)
    weights = query.new_empty(shape, dtype=torch.float32)
    for part in parts:
        raise_if_stopped()
        place = weights[part.rows]
        place[..., : part.n_keys] = _part_weights(query, key, part, scoring)
        place[..., part.n_keys :] = 0.0
    return weights


def _part_weights(
    query: Float[Tensor, "B key_heads groups n d"],
    key: Float[Tensor, "B key_heads m d"],
    part: Part,
    scoring: Scoring,
) -> Float[Tensor, "b k g q keys"]:
    scores = _products(query[part.rows], key[part.heads][:, :, : part.n_keys], scoring.scale)
    if scoring.softcap is not None:
        scores = scores.div_(scoring.softcap).tanh_().mul_(scoring.softcap)
    if scoring.mask is not None:
        scores = scores.add_(_mask_of(part, scoring.mask, query.shape[2]))
    sinks = None if scoring.sinks is None else scoring.sinks[part.key_heads, part.groups]
    return _softmax(scores, sinks)


def _softmax(
    scores: Float[Tensor, "b k g n m"], sinks: Float[Tensor, "k g"] | None
) -> Float[Tensor, "b k g n m"]:
    """Return the softmax in float32 over the keys, and over a sink per head if there is one."""
    if sinks is None:
        return torch.softmax(scores, dim=-1, dtype=torch.float32)
    column = sinks[None, :, :, None, None].expand(*scores.shape[:-1], 1).to(scores.dtype)
    joined = torch.cat([scores, column], dim=-1)
    return torch.softmax(joined, dim=-1, dtype=torch.float32)[..., :-1].contiguous()


def attention_output(
    weights: Float[Tensor, "B key_heads groups n m"],
    value: Float[Tensor, "B key_heads m d"],
    *,
    hides_later: bool,
) -> Float[Tensor, "B key_heads groups n d"]:
    """Return the weighted sums of the values, in their dtype.

    Args:
        weights: float32.
        value: of the model's dtype.
        hides_later: whether weights of later keys are known to be 0.
    """
    output = value.new_empty(*weights.shape[:4], value.shape[-1])
    value = value.contiguous()
    fitting = part_bytes(value.device) // value.element_size()
    for part in parts_of(weights.shape, fitting, hides_later=hides_later):
        raise_if_stopped()
        of_part = weights[part.rows][..., : part.n_keys].to(value.dtype)
        columns = value[part.heads][:, :, : part.n_keys].transpose(2, 3)
        output[part.rows] = _products(of_part, columns)
    return output


def hides_later_keys(mask: Tensor | None, n_queries: int, n_keys: int) -> bool:
    """Return whether the mask hides all keys after the last query of each part.

    It is False on a GPU, where reading the mask would wait for all running kernels.
    """
    if mask is None or n_queries != n_keys or mask.device.type != "cpu":
        return False
    starts = range(PART_QUERIES, n_keys, PART_QUERIES)
    return all(bool((mask[..., r - PART_QUERIES : r, r:n_keys] <= HIDDEN).all()) for r in starts)


def part_bytes(device: torch.device) -> int:
    """Return the bytes of scores that are computed at once on a device."""
    return PART_BYTES if device.type == "cpu" else DEVICE_PART_BYTES


def parts_of(shape: tuple[int, ...] | torch.Size, fitting: int, *, hides_later: bool) -> list[Part]:
    """Split weights (B, key heads, groups, n, m) into parts of up to `fitting` scores."""
    batch, key_heads, groups, n_queries, n_keys = shape
    rows = PART_QUERIES if hides_later else n_queries
    parts = []
    for start in range(0, n_queries, rows):
        queries = slice(start, min(n_queries, start + rows))
        keys = queries.stop if hides_later else n_keys
        fit = max(1, fitting // ((queries.stop - start) * keys))
        steps = (max(1, fit // (key_heads * groups)), max(1, fit // groups), fit)
        parts += [
            Part(slice(b, b + steps[0]), slice(k, k + steps[1]), slice(g, g + steps[2]),
                 queries, keys)
            for b in range(0, batch, steps[0])
            for k in range(0, key_heads, steps[1])
            for g in range(0, groups, steps[2])
        ]  # fmt: skip
    return parts


def head_blocks(key_heads: int, groups: int, fitting: int) -> list[tuple[slice, slice]]:
    """Split heads into blocks of up to `fitting`, at least 1, in their order.

    Returns:
        Key heads, and query heads within each of them, of every block.
    """
    if fitting >= groups:
        step = min(key_heads, fitting // groups)
        starts = range(0, key_heads, step)
        return [(slice(k, min(key_heads, k + step)), slice(0, groups)) for k in starts]
    step = max(1, fitting)
    return [
        (slice(k, k + 1), slice(g, min(groups, g + step)))
        for k in range(key_heads)
        for g in range(0, groups, step)
    ]


def _products(
    left: Float[Tensor, "b k g n d"], right: Float[Tensor, "b k m d"], scale: float = 1.0
) -> Float[Tensor, "b k g n m"]:
    """Return the scaled products of the rows of a key head's g matrices with those of its own."""
    b, k, g, n, d = left.shape
    m = right.shape[2]
    stacked, others = left.reshape(b * k, g * n, d), right.flatten(0, 1)
    if g * n * m * d >= _WORTH_ONEDNN and onednn_linear.by_onednn(stacked, others):
        # The smaller side takes the scale.
        stacked = stacked if scale == 1.0 else stacked * scale
        each = [onednn_linear.linear(x, y) for x, y in zip(stacked, others, strict=True)]
        product = each[0] if len(each) == 1 else torch.stack(each)
    else:
        nothing = stacked.new_empty(1)  # with beta 0 it is not read
        product = torch.baddbmm(nothing, stacked, others.transpose(1, 2), beta=0, alpha=scale)
    return product.view(b, k, g, n, m)


def _mask_of(part: Part, mask: Tensor, groups: int) -> Tensor:
    """Return the part of a mask (1 or B, 1 or H, n, m) that is added to the scores of `part`."""
    mask = mask[part.batch if mask.shape[0] > 1 else slice(None)]
    mask = mask[:, :, part.queries, : part.n_keys]
    if mask.shape[1] == 1:
        return mask[:, :, None]
    grouped = mask.view(mask.shape[0], -1, groups, *mask.shape[2:])
    return grouped[:, part.key_heads, part.groups]
