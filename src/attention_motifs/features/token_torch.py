"""Torch kernels of the set `tokens`, for patterns of one prompt.

Sums over patterns are in the type of the patterns, statistics of queries in float64. No value is
read from the device.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from attention_motifs.features.extended_definitions import NO_WEIGHT
from attention_motifs.features.token_definitions import FAR, QUERIES, STATISTICS, queries_of
from attention_motifs.features.token_texts import KEY_KINDS, UNITS, TokenTable, token_table
from attention_motifs.features.torch_kernels import aligned


def token_features(patterns: torch.Tensor, texts: Sequence[str]) -> torch.Tensor:
    """Compute the `tokens` set of causal, finite patterns of one prompt: (B, n, n) -> (B, F).

    The result has the type of the patterns, float32 or float64, and is on their device.
    """
    table = token_table(tuple(texts))
    sink = patterns[:, :, 0].clamp(min=0).double()
    C = patterns.tril(-1).clamp(min=0)
    C[:, :, 0] = 0
    index = torch.arange(C.shape[1], device=C.device)
    distance = index[:, None] - index[None, :]
    earlier = (distance > 0) & (index[None, :] > 0)
    row = C.sum(dim=2).double()
    place, means = _places(C), _means(C, distance)
    columns = []
    for relation, names in STATISTICS.items():
        mask = _related(relation, table, distance) & earlier
        values = _statistics(C, mask, distance, row, place, means)
        columns += [values[name] for name in names]
    columns.append(_entropy(C, row, table))
    columns += [_first_at(sink, queries_of(kind, table)) for kind in QUERIES]
    return torch.stack(columns, dim=1).to(patterns.dtype)


def _on_device(values: np.ndarray, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(values.copy()).to(device)  # torch warns of arrays that are read-only


def _related(relation: str, table: TokenTable, distance: torch.Tensor) -> torch.Tensor:
    """Return which pairs of query and key are in a relation, wherever the key is: (n, n)."""
    if relation in KEY_KINDS:
        of_key = _on_device(getattr(table, relation), distance.device)
        return of_key[None, :].expand(distance.shape)
    field = {**dict(zip(UNITS, UNITS, strict=True)), "alike": "kind"}.get(relation, "identity")
    labels = _on_device(getattr(table, field), distance.device)
    same = labels[:, None] == labels[None, :]
    mask = torch.zeros_like(same)
    if relation == "after":
        mask[:, 1:] = same[:, :-1]
    elif relation == "after_pair":
        mask[1:, 2:] = same[1:, 1:-1] & same[:-1, :-2]
    elif relation == "before":
        mask[:, :-1] = same[:, 1:]
        mask &= distance > 1  # the query itself is no earlier occurrence
    else:
        return same
    return mask


def _places(C: torch.Tensor) -> torch.Tensor:
    """Return the key of the largest weight of each query, the nearest of equals: (B, n)."""
    peak, from_the_end = C.flip(2).max(dim=2)  # the first of equals
    return torch.where(peak > NO_WEIGHT, C.shape[2] - 1 - from_the_end, 0)


def _statistics(
    C: torch.Tensor,
    mask: torch.Tensor,
    distance: torch.Tensor,
    row: torch.Tensor,
    place: torch.Tensor,
    means: torch.Tensor,
) -> dict[str, torch.Tensor]:
    """Return the statistics of the weights on the pairs of a relation: each (B,) float64."""
    queries = mask.any(dim=1)
    count = queries.sum().clamp(min=1)
    index = distance[:, 0]
    far_mask = mask & (distance > FAR)
    nearest = torch.where(mask, index, 0).amax(dim=1)  # of no key it is 0, without weight
    hits = mask.expand(C.shape).gather(2, place[:, :, None])[:, :, 0]
    total = (row * queries).sum(dim=1)
    share = _quotient(_weight_on(C, mask).sum(dim=1), total)
    return {
        "share": share,
        "excess": share - _expected(mask, queries, distance, means),
        "last": C[:, index, nearest].double().sum(dim=1) / count,
        "far": _weight_on(C, far_mask).sum(dim=1) / far_mask.any(dim=1).sum().clamp(min=1),
        "peak": hits.double().sum(dim=1) / count,
    }


def _weight_on(C: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the weight of each query on the keys in a mask: (B, n) float64."""
    return torch.einsum("bij,ij->bi", C, mask.to(C.dtype)).double()


def _means(C: torch.Tensor, distance: torch.Tensor) -> torch.Tensor:
    """Return the mean weight at each distance, over the queries with such a key: (B, n) float64."""
    count = (C.shape[1] - 1 - distance[:, 0]).clamp(min=1)
    return aligned(C).double().sum(dim=1) / count


def _expected(
    mask: torch.Tensor, queries: torch.Tensor, distance: torch.Tensor, means: torch.Tensor
) -> torch.Tensor:
    """Return the share of the pairs if the weight depended on the distance alone: (B,)."""
    pairs = torch.zeros(len(mask), dtype=torch.float64, device=mask.device)
    pairs.index_add_(0, distance.clamp(min=0).flatten(), mask.flatten().double())
    up_to = means.cumsum(dim=1) - means
    return _quotient(means @ pairs, up_to @ queries.double())


def _entropy(C: torch.Tensor, row: torch.Tensor, table: TokenTable) -> torch.Tensor:
    """Return the mean entropy over distinct tokens, over log2 of their number: (B,)."""
    groups = np.eye(C.shape[1], dtype=np.float32)[table.identity]
    weights = (C @ _on_device(groups, C.device).to(C.dtype)).double()
    logs = torch.special.xlogy(weights, weights).sum(dim=2)
    distinct = _on_device(table.distinct, C.device).double()
    safe = row.clamp(min=NO_WEIGHT)
    entropy = (safe.log() - logs / safe) / distinct.clamp(min=2).log()
    counted = (distinct > 1) & (row > NO_WEIGHT)
    values = torch.where(counted, entropy.clamp(min=0), 0.0)
    return values.sum(dim=1) / max(1, int((table.distinct > 1).sum()))


def _first_at(sink: torch.Tensor, chosen: np.ndarray) -> torch.Tensor:
    """Return the mean weight of chosen queries on the first token, less that of all: (B,)."""
    count = int(chosen[1:].sum())
    if not count:
        return sink.new_zeros(len(sink))
    part = sink[:, 1:] * _on_device(chosen[1:], sink.device)
    return part.sum(dim=1) / count - sink[:, 1:].mean(dim=1)


def _quotient(part: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    return torch.where(whole > NO_WEIGHT, part / whole.clamp(min=NO_WEIGHT), 0.0)
