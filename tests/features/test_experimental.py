from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from attention_motifs.errors import InputError
from attention_motifs.features import (
    compute_features,
    experimental_kernels,
    experimental_torch,
    feature_names,
    feature_sets,
    features_of,
)
from attention_motifs.features import experimental_definitions as definitions
from features.patterns import (
    degenerate_patterns,
    needs_reference,
    pattern_batches,
    reference_patterns,
    relative_error,
    softmax_pattern,
)

NAMES = list(definitions.NAMES)


def oracle(patterns: np.ndarray) -> np.ndarray:
    return np.array([definitions.experimental_features(pattern) for pattern in patterns])


def named(pattern: np.ndarray) -> dict[str, float]:
    return dict(zip(NAMES, definitions.experimental_features(pattern).tolist(), strict=True))


def uniform(n: int) -> np.ndarray:
    return np.tri(n) / np.arange(1, n + 1)[:, None]


def previous_token(n: int) -> np.ndarray:
    pattern = np.eye(n, k=-1)
    pattern[0, 0] = 1
    return pattern


def first_token(n: int) -> np.ndarray:
    pattern = np.zeros((n, n))
    pattern[:, 0] = 1
    return pattern


def check_close(got: np.ndarray, patterns: np.ndarray, tolerance: float) -> None:
    error = relative_error(got, oracle(patterns))
    assert not np.isnan(error).any()
    row, column = np.unravel_index(error.argmax(), error.shape)
    assert error.max() < tolerance, (row, NAMES[column])


# The three implementations.


@given(pattern_batches())
@settings(max_examples=30)
def test_kernels_agree_with_the_oracle(patterns: np.ndarray) -> None:
    check_close(experimental_kernels.experimental_features(patterns), patterns, 1e-5)
    wide = experimental_torch.experimental_features(torch.from_numpy(patterns).double())
    check_close(wide.numpy(), patterns, 1e-6)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 31, 32, 97])
def test_degenerate_patterns_agree_and_are_finite(n: int) -> None:
    patterns = np.stack(list(degenerate_patterns(n).values()))
    check_close(experimental_kernels.experimental_features(patterns), patterns, 1e-5)
    narrow = experimental_torch.experimental_features(torch.from_numpy(patterns))
    assert narrow.dtype == torch.float32
    check_close(narrow.numpy(), patterns, 1e-5)


def test_torch_in_several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    patterns = torch.from_numpy(np.stack([softmax_pattern(rng, 9) for _ in range(5)]))
    whole = experimental_torch.experimental_features(patterns)
    monkeypatch.setattr(experimental_torch, "CHUNK_ELEMENTS", 200)
    torch.testing.assert_close(experimental_torch.experimental_features(patterns), whole)


@needs_reference
def test_real_patterns_agree() -> None:
    for name, patterns, _ in reference_patterns()[::4]:
        got = experimental_kernels.experimental_features(np.ascontiguousarray(patterns))
        assert relative_error(got, oracle(patterns)).max() < 1e-5, name


@pytest.mark.parametrize("n", [1, 2, 3, 24])
def test_values_lie_in_the_documented_ranges(n: int) -> None:
    rng = np.random.default_rng(n)
    patterns = [
        softmax_pattern(rng, n, sharpness, sink)
        for sharpness in (0.0, 1.0, 8.0, 40.0)
        for sink in (0.0, 0.5, 1.0)
    ]
    values = oracle(np.stack([*patterns, *degenerate_patterns(n).values()]))
    for column, entry in zip(values.T, features_of("experimental"), strict=True):
        low, high = entry.range
        assert low - 1e-9 <= column.min() <= column.max() <= high + 1e-9, entry.name


# Through `compute_features`.


def test_the_set_is_listed_and_off_by_default() -> None:
    assert "experimental" in feature_sets()
    assert feature_names("experimental") == NAMES
    assert not set(feature_names()) & set(NAMES)
    entries = features_of("experimental")
    assert all(e.formula and e.large and e.source and e.cost for e in entries)
    assert all(e.formula.count("{") == e.formula.count("}") for e in entries)
    assert [e.name for e in entries if e.cost == "O(n^3)"] == ["network.transitivity"]


def test_describing_the_set_loads_neither_torch_nor_numba() -> None:
    code = (
        "import sys, attention_motifs.features as f; f.features_of('experimental');"
        "assert not {'torch', 'numba', 'scipy'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_compute_features_takes_arrays_and_tensors() -> None:
    rng = np.random.default_rng(0)
    patterns = np.stack([softmax_pattern(rng, 20) for _ in range(4)])
    array = compute_features(patterns, "experimental")
    assert array.dtype == np.float32
    assert array.shape == (4, 47)
    tensor = compute_features(torch.from_numpy(patterns), "experimental")
    assert np.array_equal(tensor.numpy(), array)
    wide = compute_features(patterns.astype(np.float64), "experimental")
    check_close(wide, patterns, 1e-9)
    both = compute_features(patterns, ["paper", "experimental", "diag.mean"])
    assert np.array_equal(both[:, 94:], array)
    assert np.array_equal(both[:, :94], compute_features(patterns, "paper"))
    one = compute_features(patterns[2], ["network.transitivity"])
    assert one == array[2, [NAMES.index("network.transitivity")]]


def test_a_pattern_with_nan_gives_nan_and_spoils_no_other() -> None:
    rng = np.random.default_rng(0)
    patterns = np.stack([softmax_pattern(rng, 12) for _ in range(3)])
    expected = compute_features(patterns, "experimental")
    patterns[1, 5, 3] = np.nan
    for given_patterns in (patterns, torch.from_numpy(patterns)):
        got = np.asarray(compute_features(given_patterns, "experimental"))
        assert np.isnan(got[1]).all()
        assert np.array_equal(got[[0, 2]], expected[[0, 2]])
    patterns[1, 5, 3] = 0
    patterns[1, 3, 5] = 0.5
    with pytest.raises(InputError, match="above the diagonal"):
        compute_features(patterns, "experimental")


def test_rounding_above_the_diagonal_is_ignored() -> None:
    pattern = softmax_pattern(np.random.default_rng(0), 12)
    expected = compute_features(pattern, "experimental")
    pattern[0, 5] = 1e-7
    assert np.array_equal(compute_features(pattern, "experimental"), expected)
    tensor = experimental_torch.experimental_features(torch.from_numpy(pattern[None]))
    assert tensor[0].numpy() == pytest.approx(expected, rel=1e-4, abs=1e-6)


# Absorption times.


def test_absorption_times_are_those_of_the_fundamental_matrix() -> None:
    P = softmax_pattern(np.random.default_rng(1), 15, sink=0.2).astype(np.float64)
    first, second = definitions.absorption_moments(P)
    N = np.linalg.inv(np.eye(14) - P[1:, 1:])
    assert first[0] == second[0] == 0
    assert first[1:] == pytest.approx(N.sum(axis=1))
    # The variance of the number of steps (Kemeny and Snell): (2N - I) t - t^2.
    variance = (2 * N - np.eye(14)) @ first[1:] - first[1:] ** 2
    assert second[1:] - first[1:] ** 2 == pytest.approx(variance)


def test_absorption_times_are_those_of_walks() -> None:
    rng = np.random.default_rng(2)
    P = softmax_pattern(rng, 6).astype(np.float64)
    walks = []
    for _ in range(4000):
        token, steps = 5, 0
        while token:
            token, steps = int(rng.choice(6, p=P[token] / P[token].sum())), steps + 1
        walks.append(steps)
    expected = definitions.absorption_moments(P)[0][5]
    assert np.mean(walks) == pytest.approx(expected, abs=4 * np.std(walks) / 4000**0.5)


def test_known_absorption_times() -> None:
    n = 9
    assert definitions.absorption_moments(previous_token(n))[0] == pytest.approx(np.arange(n))
    assert definitions.absorption_moments(first_token(n))[0] == pytest.approx([0] + [1] * (n - 1))
    assert definitions.absorption_moments(np.zeros((n, n)))[0] == pytest.approx([0] + [1] * (n - 1))
    assert definitions.absorption_moments(np.eye(n))[0] == pytest.approx([0] + [1e6] * (n - 1))
    # Of the uniform pattern the i-th takes 1 + 1/1 + 1/2 + ... + 1/i steps, records of a shuffle.
    harmonic = np.concatenate([[0], 1 + np.cumsum(1 / np.arange(1, n))])
    assert definitions.absorption_moments(uniform(n))[0] == pytest.approx(harmonic)
    assert named(previous_token(n))["absorption.dispersion"] == 0


def test_the_first_token_absorbs_whatever_its_weight() -> None:
    pattern = softmax_pattern(np.random.default_rng(3), 12).astype(np.float64)
    expected = named(pattern)
    pattern[0, 0] = 0.25
    got = named(pattern)
    for name in definitions.ABSORPTION:
        assert got[name] == expected[name]


def test_a_sink_outside_of_the_pattern_shortens_walks() -> None:
    pattern = softmax_pattern(np.random.default_rng(3), 12).astype(np.float64)
    means = [named(pattern * share)["absorption.mean"] for share in (1.0, 0.7, 0.3, 0.0)]
    assert all(a > b for a, b in pairwise(means))


# Spectra.


@pytest.mark.parametrize("n", [1, 2, 3, 31, 64])
def test_bands_share_out_all_power(n: int) -> None:
    values = named(softmax_pattern(np.random.default_rng(n), n))
    for direction in definitions.DIRECTIONS:
        shares = [values[f"fourier.{direction}.{band}"] for band in definitions.BANDS]
        assert sum(shares) == pytest.approx(1)
        assert min(shares) >= 0


def test_a_band_holds_its_upper_edge() -> None:
    n = 64
    for k, band in ((2, "to_1_32"), (4, "to_1_16"), (5, "to_1_8"), (16, "to_1_4"), (32, "to_1_2")):
        power = np.zeros(n // 2 + 1)
        power[k] = 3.0
        statistics = definitions.spectrum_statistics(power, n)
        got = dict(zip(definitions.SPECTRUM_STATISTICS, statistics, strict=True))
        assert got[band] == 1
        assert got["centroid"] == k / n
        assert got["entropy"] == 0
        assert got["peak"] == 1


def test_margins_are_those_of_the_two_dimensional_spectrum() -> None:
    from attention_motifs.features.definitions import skewed

    n = 13
    S = skewed(softmax_pattern(np.random.default_rng(5), n).astype(np.float64))
    plane = np.abs(np.fft.fft2(S)) ** 2 / n
    half = slice(0, n // 2 + 1)
    for margin, got in ((0, definitions.power_spectrum(S)), (1, definitions.power_spectrum(S.T))):
        two_sided = plane.sum(axis=margin)
        one_sided = two_sided[half] + np.concatenate([[0], two_sided[: n // 2 : -1]])
        assert got == pytest.approx(one_sided)


def test_bands_along_the_diagonal_and_rhythms_show() -> None:
    band = np.eye(64, k=-3)
    assert named(band)["fourier.query.constant"] > 0.9
    assert named(band)["fourier.offset.entropy"] == pytest.approx(1, abs=0.01)
    assert named(uniform(64))["fourier.offset.constant"] > named(band)["fourier.offset.constant"]
    offsets = np.arange(64)[:, None] - np.arange(64)
    every_eighth = np.tri(64) * (offsets % 8 == 0)
    every_eighth /= every_eighth.sum(axis=1, keepdims=True)
    values = named(every_eighth)
    assert values["fourier.offset.to_1_8"] > 2 * named(band)["fourier.offset.to_1_8"] / 3
    assert values["fourier.offset.peak"] > 3 * named(band)["fourier.offset.peak"]


# The graph.


def test_gini_and_effective_share_of_known_vectors() -> None:
    assert definitions.gini(np.array([0.0, 0.0, 5.0, 0.0])) == pytest.approx(0.75)
    assert definitions.gini(np.full(7, 2.0)) == pytest.approx(0)
    assert definitions.gini(np.zeros(3)) == 0
    x = np.random.default_rng(0).random(20)
    pairs = np.abs(x[:, None] - x).sum() / (2 * 20 * x.sum())
    assert definitions.gini(x) == pytest.approx(pairs)
    assert definitions.effective_share(np.full(8, 0.3)) == pytest.approx(1)
    assert definitions.effective_share(np.array([0.0, 4.0])) == pytest.approx(0.5)
    assert definitions.effective_share(np.zeros(4)) == 0


def test_edge_correlation_is_pearson_over_repeated_edges() -> None:
    rng = np.random.default_rng(4)
    counts = np.tril(rng.integers(0, 4, size=(9, 9)), -1)
    of_query, of_key = rng.normal(size=(2, 9))
    i, j = np.nonzero(counts)
    times = counts[i, j]
    expected = np.corrcoef(np.repeat(of_query[i], times), np.repeat(of_key[j], times))[0, 1]
    got = definitions.edge_correlation(counts.astype(np.float64), of_query, of_key)
    assert got == pytest.approx(expected)


def test_pagerank_is_the_fixed_point() -> None:
    P = softmax_pattern(np.random.default_rng(6), 12).astype(np.float64)
    P /= P.sum(axis=1, keepdims=True)
    rank = definitions.pagerank(P)
    assert rank.sum() == pytest.approx(1)
    assert 0.15 / 12 + 0.85 * P.T @ rank == pytest.approx(rank)


def test_network_of_a_previous_token_head_and_of_a_sink() -> None:
    n = 17
    chain, sink = named(previous_token(n)), named(first_token(n))
    assert chain["network.tree.depth_max"] == pytest.approx(np.log2(n))
    assert sink["network.tree.depth_max"] == 1
    assert sink["network.tree.hub"] == 1
    assert sink["network.tree.leaves"] == pytest.approx((n - 1) / n)
    assert chain["network.tree.leaves"] == pytest.approx(1 / n)
    assert sink["network.in_strength.gini"] == pytest.approx(1 - 1 / n)
    assert sink["network.in_strength.effective"] == pytest.approx(1 / n)
    # Nobody gives to the others, who keep what everyone starts with.
    assert sink["network.pagerank.first"] == pytest.approx(1 - 0.15 * (n - 1) / n)
    assert sink["network.pagerank.first"] > chain["network.pagerank.first"] > 1 / n
    assert chain["network.keys.mean"] == chain["network.transitivity"] == 0
    assert sink["network.queries.mean"] == pytest.approx(np.log2(n) / n)


def test_equal_keys_count_as_the_earliest_and_none_as_none() -> None:
    assert definitions.strongest_keys(uniform(5)) == [-1, 0, 0, 0, 0]
    assert definitions.strongest_keys(np.eye(4)) == [-1, -1, -1, -1]


def test_transitivity_is_the_sum_over_triangles() -> None:
    W = np.tril(softmax_pattern(np.random.default_rng(7), 8).astype(np.float64), -1)
    ways = [(W[i, j] * W[j, k], W[i, k]) for i in range(8) for j in range(i) for k in range(j)]
    expected = sum(way * weight for way, weight in ways) / sum(way for way, _ in ways)
    assert definitions.transitivity(W) == pytest.approx(expected)


def test_rows_above_one_are_scaled_and_rows_below_are_kept() -> None:
    A = np.array([[1.0, 0, 0], [2.0, 2.0, 0], [0.1, -0.2, 0.3]])
    assert definitions.transitions(A).tolist() == [[1, 0, 0], [0.5, 0.5, 0], [0.1, 0, 0.3]]
    narrow = experimental_kernels.experimental_features(A[None].astype(np.float32))
    assert narrow[0] == pytest.approx(definitions.experimental_features(A), rel=1e-5, abs=1e-6)
