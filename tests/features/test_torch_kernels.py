from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from attention_motifs.errors import InputError
from attention_motifs.features import (
    compute_features,
    definitions,
    feature,
    features_of,
    torch_rows,
)
from attention_motifs.features.registry import BUILT_IN_SETS, built_in_set, forget, selected
from attention_motifs.features.torch_kernels import paper_features, skew_col_features
from features.patterns import (
    degenerate_patterns,
    needs_reference,
    pattern_batches,
    reference_patterns,
    relative_error,
    softmax_pattern,
)


def oracle(patterns: np.ndarray) -> np.ndarray:
    return np.array([definitions.paper_features(pattern) for pattern in patterns])


@given(pattern_batches())
@settings(max_examples=25)
def test_float64_agrees_with_the_oracle(patterns: np.ndarray) -> None:
    got = paper_features(torch.from_numpy(patterns).double()).numpy()
    error = relative_error(got, oracle(patterns))
    # A value on the edge of a bin may change it even in float64 (1/4 in a uniform pattern).
    assert (error < 1e-7).mean() > 0.85
    assert error[:, :28].max() < 1e-7


@pytest.mark.parametrize("n", [1, 2, 3, 4, 33])
def test_random_patterns_in_both_precisions(n: int) -> None:
    rng = np.random.default_rng(n)
    patterns = np.stack([softmax_pattern(rng, n) for _ in range(6)])
    expected = oracle(patterns)
    wide = paper_features(torch.from_numpy(patterns).double())
    narrow = paper_features(torch.from_numpy(patterns))
    assert wide.dtype == torch.float64
    assert narrow.dtype == torch.float32
    assert relative_error(wide.numpy(), expected).max() < 1e-9
    assert (relative_error(narrow.numpy(), expected) < 1e-5).mean() > 0.98


@needs_reference
def test_real_patterns_in_float32() -> None:
    _, patterns, expected = reference_patterns()[0]
    got = paper_features(torch.from_numpy(patterns)).numpy()
    assert (relative_error(got, expected) < 1e-5).all(axis=1).mean() > 0.9


@pytest.mark.parametrize("n", [1, 2, 3, 17])
def test_degenerate_patterns_are_finite(n: int) -> None:
    patterns = np.stack(list(degenerate_patterns(n).values()))
    got = paper_features(torch.from_numpy(patterns))
    assert torch.isfinite(got).all()
    assert relative_error(got.numpy()[:, :28], oracle(patterns)[:, :28]).max() < 1e-5


def test_matrix_precision_is_left_as_it_was() -> None:
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        paper_features(torch.eye(3)[None])
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_the_device_path_gives_the_rows_of_the_cpu_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """The path of CUDA tensors, run on the CPU: chunks, columns, NaN rows, causality."""
    rng = np.random.default_rng(1)
    patterns = torch.from_numpy(np.stack([softmax_pattern(rng, 12) for _ in range(5)]))
    patterns[3, 4, 4] = torch.nan
    columns = selected(["gram.row.hist.rms", "diag.mean"])
    monkeypatch.setattr(torch_rows, "HOST_CHUNK_BYTES", 2 * 12 * 12 * 4)
    got = torch_rows.rows_by_torch(patterns, columns)
    expected = compute_features(patterns, ["gram.row.hist.rms", "diag.mean"])
    torch.testing.assert_close(got, expected, equal_nan=True, rtol=1e-5, atol=1e-6)
    assert torch_rows.rows_by_torch(patterns[:0], columns).shape == (0, 2)
    patterns[4, 0, 1] = 0.5
    with pytest.raises(InputError, match="pattern 4"):
        torch_rows.rows_by_torch(patterns, columns)


def test_the_device_path_takes_all_sets_and_features_of_the_users_own() -> None:
    rng = np.random.default_rng(5)
    patterns = torch.from_numpy(np.stack([softmax_pattern(rng, 12) for _ in range(5)]))

    @feature("trace_of", set="of_this_test")
    def trace(A: np.ndarray) -> float:
        return float(np.trace(A))

    try:
        required = ["of_this_test", *BUILT_IN_SETS]
        texts = [("to", " be", " or", " not", " to", " be", ",", "\n", "or", " not", " to", " be")]
        got = torch_rows.rows_by_torch(patterns, selected(required), texts * 5)
        expected = compute_features(patterns, required, tokens=texts * 5)
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4)
        assert got[:, 0].numpy() == pytest.approx(patterns.diagonal(dim1=1, dim2=2).sum(dim=1))
    finally:
        forget("of_this_test")


def test_no_torch_kernel_reads_a_value_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would make a GPU wait: values, copies or branches that depend on the patterns."""
    rng = np.random.default_rng(6)
    patterns = torch.from_numpy(np.stack([softmax_pattern(rng, 20) for _ in range(3)]))

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a value of the patterns was read")

    for name in ("item", "tolist", "cpu", "numpy", "__bool__", "__float__", "__int__", "nonzero"):
        monkeypatch.setattr(torch.Tensor, name, refuse)
    texts = ("to", " be", ",", " or", "\n") * 4
    for name in BUILT_IN_SETS:
        feature_set = built_in_set(name)
        arguments = (patterns, texts) if feature_set.reads_tokens else (patterns,)
        rows = feature_set.function("torch")(*arguments)
        assert rows.shape == (3, len(features_of(name)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_cuda_agrees_with_the_oracle() -> None:
    rng = np.random.default_rng(2)
    patterns = np.stack([softmax_pattern(rng, 64) for _ in range(32)])
    got = compute_features(torch.from_numpy(patterns).cuda())
    assert got.is_cuda
    assert (relative_error(got.cpu().numpy(), oracle(patterns)) < 1e-5).mean() > 0.98


def test_the_authors_product_agrees_on_all_paths() -> None:
    rng = np.random.default_rng(4)
    for n in (1, 2, 3, 33):
        patterns = np.stack(
            [softmax_pattern(rng, n) for _ in range(4)] + list(degenerate_patterns(n).values())
        )
        expected = np.array([definitions.skew_col_features(pattern) for pattern in patterns])
        wide = skew_col_features(torch.from_numpy(patterns).double()).numpy()
        assert (relative_error(wide, expected) < 1e-7).mean() > 0.85  # edges of bins
        for got in (
            compute_features(patterns, "skew_col", validate=False),
            skew_col_features(torch.from_numpy(patterns)).numpy(),
        ):
            assert np.isfinite(got).all()
            assert (relative_error(got, expected) < 1e-5).mean() > 0.85
        assert relative_error(wide[:4], expected[:4]).max() < 1e-7
    row = definitions.histogram_statistics(patterns[0].astype(np.float64), "gram.skew_col")
    assert np.array_equal(row, expected[0])
    assert not np.allclose(
        row, definitions.histogram_statistics(patterns[0].astype(np.float64), "gram.skew")
    )
