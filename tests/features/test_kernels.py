from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from attention_motifs.features import definitions, kernels, torch_rows
from attention_motifs.features.definitions import HISTOGRAM_BINS
from attention_motifs.features.gram_kernels import (
    COLUMNS,
    LOG_LOW,
    OFFSET_COLUMNS,
    OFFSETS,
    ROWS,
    count_gram,
    gram_work,
    log_panels,
    pack,
)
from attention_motifs.features.simd.builder import WIDTH
from attention_motifs.features.simd.tiles import panel_offset
from attention_motifs.features.statistic_kernels import ENTROPY, vector_statistics, vector_work
from features.patterns import (
    degenerate_patterns,
    histogram_bounds,
    needs_reference,
    pattern_batches,
    reference_patterns,
    relative_error,
    softmax_pattern,
)

LAYOUTS = {
    "gram.row": ROWS,
    "gram.col": COLUMNS,
    "gram.skew": OFFSETS,
    "gram.skew_col": OFFSET_COLUMNS,
}
SLACK = 5e-6  # rounding of float32 products near the edge of a bin


def gram_counts(pattern: np.ndarray, context: str) -> np.ndarray:
    n = len(pattern)
    work = gram_work(n)
    layout = LAYOUTS[context.removeprefix("log.")]
    pack(np.ascontiguousarray(pattern, np.float32), layout, work)
    logarithm = context.startswith("log.")
    if logarithm:
        log_panels(n, work)
    fill = LOG_LOW if logarithm and layout in (ROWS, COLUMNS) else np.float32(0)
    count_gram(n, logarithm, fill, work)
    return work.counts.copy()


def check_counts(pattern: np.ndarray) -> None:
    for context, matrix in definitions.GRAM_MATRICES.items():
        counts = gram_counts(pattern, context)
        assert counts.sum() == pattern.size, context
        low, high = histogram_bounds(matrix(pattern.astype(np.float64)), SLACK)
        below = counts.cumsum()[:-1]
        assert (low <= below).all(), context
        assert (below <= high).all(), context


@given(pattern_batches())
@settings(max_examples=40)
def test_counts_differ_from_the_oracle_only_at_edges(patterns: np.ndarray) -> None:
    for pattern in patterns:
        check_counts(pattern)


@pytest.mark.parametrize("n", [1, 2, 3, WIDTH - 1, WIDTH, WIDTH + 1, 2 * WIDTH, 65])
def test_counts_of_degenerate_patterns(n: int) -> None:
    for pattern in degenerate_patterns(n).values():
        check_counts(pattern)


def test_counts_of_long_patterns() -> None:
    """Longer than the bit planes of the counts can hold at once."""
    n = 24 * WIDTH
    counts = gram_counts(degenerate_patterns(n)["identity"], "gram.row")
    assert counts[0] == n * n - n
    assert counts[31] == n
    counts = gram_counts(degenerate_patterns(n)["first token"], "gram.skew_col")
    assert counts[0] == n * n - n
    assert counts[31] == n


def test_entropies_of_histograms_have_the_edges_of_the_oracle() -> None:
    """Densities of counts lie on edges of bins: another order of the operations would miss them."""
    rng = np.random.default_rng(0)
    work = vector_work(HISTOGRAM_BINS)
    for n in range(8, 130):
        for _ in range(8):
            counts = rng.multinomial(n * n, rng.dirichlet(np.full(HISTOGRAM_BINS, 0.05)))
            work.vector[:] = counts * HISTOGRAM_BINS / n**2
            vector_statistics(work)
            expected = definitions.vector_statistics(work.vector)["entropy"]
            assert abs(work.statistics[ENTROPY] - expected) < 1e-9


@needs_reference
def test_real_patterns_rarely_change_a_bin() -> None:
    rows = [(kernels.paper_features(a), b) for _, a, b in reference_patterns()]
    got, expected = (np.concatenate(part) for part in zip(*rows, strict=True))
    error = relative_error(got, expected)
    assert (error < 1e-5).all(axis=1).mean() > 0.95  # a row is off where a value changed its bin
    assert error.max() < 0.1
    assert error[:, :28].max() < 1e-6  # the diagonal and the first column have no bins on [0, 1]


@given(
    arrays(
        np.float64,
        st.sampled_from([1, 2, 3, 4, 9, 10, 11, 32, 50]),
        elements=st.sampled_from([0.0, 0.125, 0.25, 0.7, 1.0]) | st.floats(0, 32),
    )
)
@settings(max_examples=200)
def test_statistics_agree_with_the_oracle(x: np.ndarray) -> None:
    work = vector_work(len(x))
    work.vector[:] = x
    vector_statistics(work)
    expected = list(definitions.vector_statistics(x).values())
    scale = max(1.0, np.abs(x).max()) ** 2 * len(x)
    assert work.statistics == pytest.approx(expected, rel=1e-7, abs=1e-10 * scale)


@pytest.mark.parametrize("level", [0.0, 1.0, 1e-9, 0.5])
def test_logarithms_are_clipped_and_exact(level: float) -> None:
    """Of ones, zeros and everything between: within two units of the last place."""
    n = 2 * WIDTH
    values = np.geomspace(1e-12, 1, n * (n + 1) // 2).astype(np.float32)
    pattern = np.zeros((n, n), np.float32)
    pattern[np.tri(n) > 0] = values
    pattern[n - 1, : n // 2] = level
    work = gram_work(n)
    pack(pattern, ROWS, work)
    log_panels(n, work)
    got = np.zeros((n, n))
    for p in range(2):
        depth = (p + 1) * WIDTH
        panel = work.panels[panel_offset(p) : panel_offset(p) + depth * WIDTH]
        got[p * WIDTH : (p + 1) * WIDTH, :depth] = panel.reshape(depth, WIDTH).T
    wide = pattern.astype(np.float64)
    expected = np.tril(definitions.log_pattern(wide))
    assert (got[np.triu_indices(n, 1)] == 0).all()
    # What lies above 1 - 1e-6 is clipped there: float32 cannot hold that bound itself.
    inner = wide <= 1 - 1e-6
    assert relative_error(got, expected, floor=1e-30)[inner & (np.tri(n) > 0)].max() < 2.4e-7
    assert got[~inner] == pytest.approx(np.log1p(-1e-6), rel=1e-6)


def test_status_of_patterns() -> None:
    rng = np.random.default_rng(0)
    patterns = np.stack([softmax_pattern(rng, 19) for _ in range(7)])
    patterns[1, 4, 2] = np.nan
    patterns[2, 2, 4] = -np.inf
    patterns[3, 17, 18] = -0.1
    patterns[4, 0, 1] = 1e-8
    patterns[5, 0, 1] = -0.0
    patterns[6, 18, 18] = np.inf
    got = kernels.pattern_status(patterns)
    assert got.tolist() == [0, 1, 1, 2, 0, 0, 1]
    assert got.tolist() == definitions.pattern_status(patterns).tolist()


@given(
    pattern_batches(),
    st.integers(0, 64),
    st.integers(0, 64),
    st.sampled_from(
        [0.0, -0.0, 1e-7, -1e-7, 2e-6, -2e-6, 0.3, -0.3, 0.9, 3.0, -3e38, 3e38, np.nan, -np.inf]
    ),
)
@settings(max_examples=100)
def test_status_agrees_with_the_definition(
    patterns: np.ndarray, i: int, j: int, value: float
) -> None:
    n = patterns.shape[1]
    patterns[0, i % n, j % n] = value
    expected = definitions.pattern_status(patterns).tolist()
    assert kernels.pattern_status(patterns).tolist() == expected
    tensor = torch.from_numpy(patterns)
    finite = torch.isfinite(tensor)
    got = torch_rows.pattern_status(torch.where(finite, tensor, 0.0), finite.all(2).all(1))
    assert got.tolist() == expected


def test_huge_finite_values_stay_in_bounds() -> None:
    """Overflow of a product may not write outside the counts."""
    pattern = np.tri(20, dtype=np.float32) * np.float32(3e38)
    pattern[5] *= -1
    for context in definitions.GRAM_MATRICES:
        assert gram_counts(pattern, context).sum() == 400
