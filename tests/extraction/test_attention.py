"""Attention in parts against the definition in float64: masks, windows, soft caps and sinks."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from attention_motifs.extraction import attention, load_model, run_tapped, tap
from attention_motifs.extraction.attention import (
    Scoring,
    attention_output,
    attention_weights,
    hides_later_keys,
    parts_of,
)
from tiny_models import save_family

LEAST = torch.finfo(torch.float32).min


def oracle(query: Tensor, key: Tensor, scoring: Scoring) -> Tensor:
    """Softmax of the scores of each head, written out in float64."""
    b, k, g, n, _ = query.shape
    m = key.shape[2]
    weights = torch.zeros(b, k, g, n, m, dtype=torch.float64)
    for i in range(b):
        for head in range(k * g):
            at = (i, head // g, head % g)
            scores = scoring.scale * (query[at].double() @ key[i, head // g].double().t())
            if scoring.softcap is not None:
                scores = scoring.softcap * torch.tanh(scores / scoring.softcap)
            if scoring.mask is not None:
                mask = scoring.mask
                scores = scores + mask[i % mask.shape[0], head % mask.shape[1]].double()
            extra = -math.inf if scoring.sinks is None else float(scoring.sinks[at[1:]])
            highest = torch.clamp(scores.max(dim=1, keepdim=True).values, min=extra)
            powers = (scores - highest).exp()
            weights[at] = powers / (powers.sum(dim=1, keepdim=True) + (extra - highest).exp())
    return weights


def causal(n: int, window: int | None = None) -> Tensor:
    """A mask (1, 1, n, n) of a whole or a sliding window."""
    distance = torch.arange(n)[:, None] - torch.arange(n)[None, :]
    hidden = (distance < 0) | (distance >= (window or n))
    return torch.zeros(n, n).masked_fill(hidden, LEAST)[None, None]


def masked(kind: str, batch: int, heads: int, n: int) -> Tensor | None:
    mask = causal(n, 3 if kind == "window" else None)
    if kind == "padded":
        mask = mask.repeat(batch, 1, 1, 1)
        mask[-1, :, :, n - n // 3 :] = LEAST
        mask[-1, :, :, 0] = 0.0
    if kind == "by head":
        mask = mask + 0.1 * torch.arange(heads)[None, :, None, None]
    return {"none": None, "open": torch.zeros(1, 1, n, n)}.get(kind, mask)


@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 20),
    st.sampled_from(["causal", "window", "padded", "by head", "none", "open"]),
    st.sampled_from([None, 2.0]),
    st.booleans(),
    st.sampled_from([1, 400, 3000, 1 << 20]),
    st.sampled_from([1, 3, 8, 128]),
    st.sampled_from([0, 1 << 22]),
    st.integers(0, 2**31),
)
def test_weights_and_outputs_are_those_of_the_definition(
    batch: int, key_heads: int, groups: int, n: int, kind: str, softcap: float | None,
    with_sinks: bool, part_bytes: int, part_queries: int, worth: int, seed: int,
) -> None:  # fmt: skip
    generator = torch.Generator().manual_seed(seed)
    d = 4
    query = 3 * torch.randn(batch, key_heads, groups, n, d, generator=generator)
    # Heads lie side by side in memory, as models have them.
    key, value = torch.randn(2, batch, n, key_heads, d, generator=generator).transpose(2, 3)
    sinks = torch.randn(key_heads, groups, generator=generator) if with_sinks else None
    scoring = Scoring(0.5, masked(kind, batch, key_heads * groups, n), softcap, sinks)
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setattr(attention, "PART_BYTES", part_bytes)
        patch.setattr(attention, "PART_QUERIES", part_queries)
        patch.setattr(attention, "_WORTH_ONEDNN", worth)
        hides = hides_later_keys(scoring.mask, n, n)
        weights = attention_weights(query, key, scoring, hides_later=hides)
        output = attention_output(weights, value, hides_later=hides)
    expected = oracle(query, key, scoring)
    torch.testing.assert_close(weights.double(), expected, rtol=0, atol=2e-6)
    torch.testing.assert_close(
        output.double(), expected @ value[:, :, None].double(), rtol=0, atol=2e-5
    )
    assert weights.is_contiguous()
    if kind not in ("none", "open"):
        assert weights.triu(1).abs().max() == 0.0


@pytest.mark.parametrize("n", [1, 127, 128, 129, 300])
def test_what_is_hidden_is_found(n: int) -> None:
    assert hides_later_keys(causal(n), n, n)
    assert hides_later_keys(causal(n, 7), n, n)
    half = causal(n).half()  # the least number of float32 is -inf there
    assert hides_later_keys(half, n, n)
    assert not hides_later_keys(None, n, n)
    assert not hides_later_keys(torch.zeros(1, 1, n, n + 1), n, n + 1)
    opened = causal(n)
    opened[..., 0, -1] = 0.0
    # Within the queries of one part nothing is left out.
    assert hides_later_keys(opened, n, n) == (n <= attention.PART_QUERIES)


def test_a_gpu_gets_few_parts_and_is_not_asked_about_its_mask() -> None:
    assert not hides_later_keys(causal(300).to("meta"), 300, 300)
    assert attention.part_bytes(torch.device("cuda")) >= 64 * attention.PART_BYTES
    query, key = torch.randn(2, 3, 2, 300, 4, device="meta"), torch.randn(2, 3, 300, 4)
    scoring = Scoring(0.5, causal(300).to("meta"))
    weights = attention_weights(query, key.to("meta"), scoring, hides_later=False)
    assert weights.shape == (2, 3, 2, 300, 300)


def test_a_pass_leaves_out_later_keys_unless_its_patterns_are_replaced(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_model(f"m={save_family(tmp_path / 'm', 'llama')}", device="cpu")
    ids = torch.arange(2, 22)[None]
    seen: list[bool] = []

    def watched(*arguments: Tensor, hides_later: bool) -> Tensor:
        seen.append(hides_later)
        return attention_output(*arguments, hides_later=hides_later)

    monkeypatch.setattr(tap, "attention_output", watched)
    monkeypatch.setattr(attention, "PART_QUERIES", 8)
    hidden = run_tapped(loaded, ids, lambda *_: None)
    assert seen == [True] * loaded.info.n_layers
    seen.clear()
    again = run_tapped(loaded, ids, lambda _layer, weights: weights.clone())
    assert seen == [False] * loaded.info.n_layers
    torch.testing.assert_close(hidden, again)


@pytest.mark.parametrize("hides", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1, 1), (2, 3, 3, 300, 300), (5, 1, 7, 129, 129)])
def test_every_weight_is_in_one_part(shape: tuple[int, ...], hides: bool) -> None:
    seen = torch.zeros(shape, dtype=torch.int32)
    for part in parts_of(shape, 20_000, hides_later=hides):
        seen[part.rows][..., : part.n_keys] += 1
        size = seen[part.rows][..., : part.n_keys]
        assert size.numel() <= max(20_000, size.shape[3] * size.shape[4])
        seen[part.rows][..., part.n_keys :] += 1
    assert (seen == 1).all()
