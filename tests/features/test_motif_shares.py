"""Shares of motifs: planted mixtures are recovered, and the kernel agrees with the definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from attention_motifs.features.motif_definitions import (
    KEYED,
    MOTIFS,
    WINDOW,
    first_query,
    key_motifs,
    motif_shares,
    separator_tokens,
)
from attention_motifs.features.motif_kernels import _weight_median, batch_motif_shares

NAMES = list(MOTIFS)
N = 96


def prompt(rng: np.random.Generator, n: int = N) -> tuple[np.ndarray, np.ndarray]:
    """Tokens with repetitions, one in eight a separator."""
    identity = rng.integers(0, max(2, n // 3), n)
    separators = rng.random(max(2, n // 3)) < 0.125
    return identity, separators[identity]


def template(name: str, i: int, bits: np.ndarray, offset: int) -> np.ndarray:
    """Attention of query i that is this motif alone; zeros if the motif has no key."""
    keys = np.arange(i + 1)
    if name in KEYED:
        members = bits[i, : i + 1] >> KEYED.index(name) & 1 == 1
    elif name == "fixed offset":
        members = keys == i - offset
    elif name == "local window":
        members = (i - keys < WINDOW) & (keys > 0)
    else:
        members = keys >= 0
    return members / max(1, members.sum())


def plant(
    weights: dict[str, float], bits: np.ndarray, offset: int = 5
) -> tuple[np.ndarray, dict[str, float]]:
    """A pattern that mixes motifs, and their shares; the first token takes what has no key."""
    n = len(bits)
    pattern, shares = np.zeros((n, n)), dict.fromkeys(NAMES, 0.0)
    for i in range(n):
        for name, weight in weights.items():
            row = template(name, i, bits, offset)
            used = name if row.any() else "first token"
            pattern[i, : i + 1] += weight * (row if row.any() else np.eye(1, i + 1)[0])
            if i >= first_query(n):
                shares[used] += weight / (n - first_query(n))
    return pattern, shares


def shares_of(pattern: np.ndarray, bits: np.ndarray) -> dict[str, float]:
    return dict(zip(NAMES, motif_shares(pattern, bits), strict=True))


MIXTURES = [
    *({name: 1.0} for name in NAMES[:-1]),
    {"first token": 0.6, "after same token": 0.4},
    {"first token": 0.3, "previous token": 0.5, "uniform": 0.2},
    {"self": 0.25, "local window": 0.5, "uniform": 0.25},
    {"same token": 0.5, "separators": 0.5},
    {"previous token": 0.4, "separators": 0.3, "same token": 0.3},
    {"fixed offset": 0.5, "local window": 0.3, "first token": 0.2},
    dict.fromkeys(NAMES[:-1], 1 / 9),
]


@pytest.mark.parametrize("weights", MIXTURES, ids=lambda w: "+".join(w))
@pytest.mark.parametrize("seed", [0, 1])
def test_planted_mixtures_are_recovered(weights: dict[str, float], seed: int) -> None:
    bits = key_motifs(*prompt(np.random.default_rng(seed)))
    pattern, planted = plant(weights, bits)
    result = shares_of(pattern, bits)
    assert result == pytest.approx(planted, abs=0.03)
    assert sum(result.values()) == pytest.approx(1.0, abs=1e-12)


@given(
    st.lists(st.floats(0.0, 1.0), min_size=9, max_size=9).filter(lambda w: sum(w) > 0.1),
    st.integers(0, 1000),
)
@settings(max_examples=15)
def test_any_mixture_is_recovered(weights: list[float], seed: int) -> None:
    bits = key_motifs(*prompt(np.random.default_rng(seed)))
    mixture = dict(zip(NAMES, np.array(weights) / sum(weights), strict=False))
    # A fixed offset within the window stands out from it only if it has more than its neighbours.
    if mixture["fixed offset"] < mixture["local window"] / WINDOW + 0.03:
        mixture["first token"] += mixture.pop("fixed offset")
    pattern, planted = plant(mixture, bits, offset=11)
    assert shares_of(pattern, bits) == pytest.approx(planted, abs=0.03)


def test_attention_to_single_far_tokens_is_not_explained() -> None:
    rng = np.random.default_rng(0)
    bits = key_motifs(np.arange(N), np.zeros(N, dtype=bool))
    pattern = np.zeros((N, N))
    for i in range(N):
        pattern[i, rng.integers(1, i - 8) if i > 10 else 0] = 1.0
    result = shares_of(pattern, bits)
    assert result["residual"] > 0.8
    halved = shares_of(pattern / 2, bits)  # a softmax with a sink leaves weight out
    assert halved["residual"] == pytest.approx(0.5 + result["residual"] / 2)


def random_pattern(rng: np.random.Generator, n: int) -> np.ndarray:
    scores = rng.normal(size=(n, n)) * rng.choice([0.1, 1.0, 5.0])
    weights = np.where(np.tri(n, dtype=bool), np.exp(scores), 0.0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


@given(st.integers(1, 70), st.integers(0, 10_000))
@settings(max_examples=30)
def test_the_kernel_agrees_with_the_definition(n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    bits = key_motifs(*prompt(rng, n))
    patterns = np.stack([random_pattern(rng, n) for _ in range(3)])
    fast = batch_motif_shares(patterns, bits, threads=2)
    assert fast == pytest.approx(np.stack([motif_shares(p, bits) for p in patterns]), abs=2e-6)
    assert fast.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    assert (fast >= 0).all()


@pytest.mark.parametrize(
    "texts",
    [
        ["The", " cat", ".", "\n", " —", " 2", " ", "a,"],
        ["The", "Ġcat", ".", "Ċ", "ĠâĢĶ", "Ġ2", "Ġ", "a,"],
        ["The", "▁cat", ".", "<0x0A>", "▁—", "▁2", "▁", "a,"],
    ],
    ids=["text", "byte-level", "SentencePiece"],
)
def test_separators_are_the_same_in_every_form_of_the_tokens(texts: list[str]) -> None:
    expected = [False, False, True, True, True, False, False, False]
    assert separator_tokens(texts).tolist() == expected


def test_a_letter_that_a_vocabulary_uses_for_a_line_break_is_a_letter_in_text() -> None:
    assert not separator_tokens(["Iċ", " Ċentru", " ta"]).any()


def test_a_pattern_that_is_not_finite_has_no_shares() -> None:
    bits = key_motifs(*prompt(np.random.default_rng(0), 12))
    patterns = np.stack([random_pattern(np.random.default_rng(i), 12) for i in range(2)])
    patterns[0, 5, 2] = np.nan
    assert np.isnan(motif_shares(patterns[0], bits)).all()
    fast = batch_motif_shares(patterns, bits)
    assert np.isnan(fast[0]).all()
    assert np.isfinite(fast[1]).all()


def test_one_token_attends_to_itself_and_to_the_first() -> None:
    bits = key_motifs(np.zeros(1, dtype=np.int64), np.zeros(1, dtype=bool))
    shares = shares_of(np.ones((1, 1)), bits)
    assert shares["first token"] == shares["self"] == 0.5
    assert batch_motif_shares(
        np.empty((0, 3, 3), np.float32), np.zeros((3, 3), np.uint8)
    ).shape == (0, 10)


@given(
    arrays(
        np.float32,
        st.integers(1, 70),
        elements=st.floats(0, 1, width=32, allow_subnormal=True)
        | st.sampled_from([0.0, 0.25, 0.5])
        | st.floats(-1, 1, width=32),
    )
)
def test_the_median_by_bits_is_the_median(weights: np.ndarray) -> None:
    assert _weight_median(weights.view(np.int32)) == np.median(weights.astype(np.float64))
