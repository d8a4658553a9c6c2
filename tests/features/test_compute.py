from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from attention_motifs.errors import InputError
from attention_motifs.features import compute, compute_features, feature_names
from attention_motifs.features.registry import BUILT_IN_SETS, built_in_set
from attention_motifs.store.packed_patterns import pack_triangles, unpack_triangle
from features.patterns import (
    degenerate_patterns,
    needs_reference,
    pattern_batches,
    reference_patterns,
    relative_error,
    softmax_pattern,
)

DATA = Path(__file__).parents[1] / "data" / "real_patterns.npz"


def batch(count: int, n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([softmax_pattern(rng, n) for _ in range(count)])


@given(pattern_batches())
@settings(max_examples=25)
def test_a_row_does_not_depend_on_the_batch(patterns: np.ndarray) -> None:
    together = compute_features(patterns)
    alone = np.stack([compute_features(pattern) for pattern in patterns])
    assert np.array_equal(together, alone)


def test_threads_and_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    patterns = batch(23, 40)
    expected = compute_features(patterns, threads=1)
    monkeypatch.setattr(compute, "THREAD_ELEMENTS", 1)
    monkeypatch.setattr(compute, "CHUNK_BYTES", 3 * 4 * 40 * 40)
    assert np.array_equal(compute_features(patterns, threads=5), expected)


OF_PATTERNS = [name for name in BUILT_IN_SETS if not built_in_set(name).reads_tokens]


def oracle(patterns: np.ndarray, set_name: str) -> np.ndarray:
    definition = built_in_set(set_name).function("oracle")
    return np.array([definition(pattern) for pattern in patterns])


@pytest.mark.parametrize("set_name", OF_PATTERNS)
@pytest.mark.parametrize("n", [1, 2, 3, 12, 65])
def test_float64_agrees_with_the_definitions(set_name: str, n: int) -> None:
    patterns = batch(5, n, seed=n).astype(np.float64)
    patterns[1] *= 0.4  # an attention sink in the softmax
    got = compute_features(patterns, set_name)
    assert got.dtype == np.float64
    assert relative_error(got, oracle(patterns, set_name)).max() < 1e-9
    patterns[3, n - 1, 0] = np.nan
    row_of_nan = compute_features(patterns, set_name)
    assert np.isnan(row_of_nan[3]).all()
    np.testing.assert_allclose(row_of_nan[[0, 1, 2, 4]], got[[0, 1, 2, 4]], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("set_name", OF_PATTERNS)
@pytest.mark.parametrize("n", [1, 2, 3, 13])
def test_float64_agrees_with_the_definitions_on_degenerate_patterns(set_name: str, n: int) -> None:
    # Products of degenerate patterns are on the edges of bins, where rounding decides.
    names = feature_names(set_name)
    columns = [i for i, name in enumerate(names) if n <= 2 or ".hist." not in name]
    for name, pattern in degenerate_patterns(n).items():
        patterns = pattern[None].astype(np.float64)
        got = compute_features(patterns, set_name, validate=False)
        assert np.isfinite(got).all()
        error = relative_error(got, oracle(patterns, set_name))[:, columns]
        assert (error < 1e-9).all(), name


@pytest.mark.parametrize("set_name", OF_PATTERNS)
def test_float64_agrees_with_the_definitions_on_real_patterns(set_name: str) -> None:
    with np.load(DATA, allow_pickle=False) as file:
        patterns = file["n48"].astype(np.float64)
    got = compute_features(torch.from_numpy(patterns), set_name).numpy()
    assert relative_error(got, oracle(patterns, set_name)).max() < 1e-9


@needs_reference
def test_float64_agrees_with_the_reference_features() -> None:
    for prompt, patterns, expected in reference_patterns():
        error = relative_error(compute_features(patterns.astype(np.float64)), expected, floor=1e-6)
        # Few patterns have a cosine on the edge of a bin (1/4, of two rows of logarithms).
        assert (error < 1e-9).all(axis=1).mean() > 0.95, prompt
        assert error.max() < 0.01, prompt


def test_shapes() -> None:
    patterns = batch(3, 5)
    assert compute_features(patterns).shape == (3, 94)
    assert compute_features(patterns[0]).shape == (94,)
    assert compute_features(patterns[:0]).shape == (0, 94)
    assert compute_features(patterns[:0], "diag.mean").shape == (0, 1)
    assert compute_features(torch.from_numpy(patterns[:0])).shape == (0, 94)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_numpy_types_are_widened(dtype: str) -> None:
    patterns = batch(2, 7).astype(dtype)
    got = compute_features(patterns)
    assert got.dtype == np.float32
    assert np.array_equal(got, compute_features(patterns.astype(np.float32)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_tensors_in_tensors_out(dtype: torch.dtype) -> None:
    patterns = torch.from_numpy(batch(2, 7)).to(dtype).requires_grad_()
    got = compute_features(patterns)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    assert got.dtype == wide
    assert not got.requires_grad
    assert np.array_equal(got.numpy(), compute_features(patterns.detach().to(wide).numpy()))


def test_views_need_not_be_contiguous() -> None:
    patterns = batch(6, 9)
    backwards = patterns[::-2]
    assert np.array_equal(compute_features(backwards), compute_features(backwards.copy()))
    stored_by_column = np.asfortranarray(patterns)
    assert np.array_equal(compute_features(stored_by_column), compute_features(patterns))
    tensor = torch.from_numpy(patterns).permute(0, 2, 1).contiguous().permute(0, 2, 1)
    assert np.array_equal(compute_features(tensor).numpy(), compute_features(patterns))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", [(4, 1), (1, 4)])
def test_a_pattern_that_is_not_finite_gives_a_row_of_nan(
    dtype: type, bad: float, where: tuple[int, int]
) -> None:
    patterns = batch(3, 6).astype(dtype)
    expected = compute_features(patterns)
    patterns[(1, *where)] = bad
    before = patterns.copy()
    got = compute_features(patterns)
    assert np.isnan(got[1]).all()
    assert np.array_equal(got[[0, 2]], expected[[0, 2]])
    assert np.array_equal(patterns, before, equal_nan=True)


SCORES = np.random.default_rng(7).normal(size=(2, 9, 9)).astype(np.float32)
NOT_ATTENTION = {
    "negated": (-batch(2, 9), "negative weights"),
    "a negative weight": (batch(2, 9) - 0.3 * np.eye(9, k=-8, dtype=np.float32), "negative"),
    "scores": (np.tril(SCORES), "negative weights"),
    "masked scores": (np.where(np.tri(9) > 0, SCORES, -np.inf), "negative weights"),
    "scores with a large mask": (np.where(np.tri(9) > 0, SCORES, -3e38), "negative weights"),
    "rows that sum to 2": (2 * batch(2, 9), "sums to 2"),
    "one heavy row": (batch(2, 9) * (1 + (np.arange(9) == 4))[:, None], "sums to 2: query 4"),
    "positive scores": (np.tril(np.abs(SCORES)) + np.eye(9), "a row that sums to"),
    "columns as queries": (batch(2, 9).transpose(0, 2, 1), "weight above the diagonal"),
}


@pytest.mark.parametrize("name", NOT_ATTENTION)
@pytest.mark.parametrize("kind", ["float32", "float64", "tensor", "wide tensor"])
def test_patterns_that_are_not_attention_are_refused(name: str, kind: str) -> None:
    values, message = NOT_ATTENTION[name]
    patterns: Any = values.astype("float64" if kind in ("float64", "wide tensor") else "float32")
    if "tensor" in kind:
        patterns = torch.from_numpy(patterns)
    with pytest.raises(InputError, match=f"^pattern 0 .*{message}"):
        compute_features(patterns)
    rows = compute_features(patterns, ["paper", "extended"], validate=False)
    assert rows.shape == (2, 179)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_rounded_weights_and_sinks_are_accepted(dtype: str) -> None:
    patterns = np.concatenate([batch(3, 64), 0.2 * batch(1, 64), np.zeros((1, 64, 64))])
    tensor = torch.from_numpy(patterns).to(getattr(torch, dtype))
    assert torch.isfinite(compute_features(tensor)).all()


def test_patterns_kept_as_bytes_are_accepted() -> None:
    """Uniform rows are the worst case: all weights are rounded up alike."""
    for n in (2, 26, 64, 128, 300):
        uniform = (np.tri(n) / np.arange(1, n + 1)[:, None]).astype(np.float32)
        compute_features(unpack_triangle(pack_triangles(uniform[None])), "diag.mean")


@pytest.mark.parametrize("threads", [-1, 0, 1.5, True, "2"])
def test_threads_must_be_a_positive_number(threads: object) -> None:
    with pytest.raises(InputError, match="threads"):
        compute_features(batch(1, 4), threads=threads)  # type: ignore[call-overload]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weight_above_the_diagonal_is_refused(dtype: type) -> None:
    patterns = batch(40, 33).astype(dtype)
    patterns[31, 2, 30] = 0.2
    with pytest.raises(InputError, match="pattern 31 has weight above the diagonal"):
        compute_features(patterns, threads=3)
    patterns[31, 2, 30] = 1e-7  # rounding passes, and is ignored
    rounded = compute_features(patterns)[31]
    patterns[31, 2, 30] = 0
    assert np.array_equal(rounded, compute_features(patterns)[31])


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (np.zeros(3, np.float32), r"shape \(3,\)"),
        (np.zeros((2, 3), np.float32), r"shape \(2, 3\)"),
        (np.zeros((2, 0, 0), np.float32), "no tokens"),
        (np.zeros((2, 2), np.int64), "int64"),
        (np.zeros((2, 2), np.complex64), "complex64"),
        (torch.zeros(2, 2, dtype=torch.int32), "int32"),
        ([[1.0]], "type float"),
        (None, "type NoneType"),
        ("paper", "type str"),
        (np.float32(1), "type float32"),
        (torch.empty(2, 3, 3, device="meta"), "meta"),
        (torch.eye(3).to_sparse(), "to_dense"),
    ],
)
def test_what_is_not_a_batch_of_patterns_is_refused(patterns: object, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        compute_features(patterns)  # type: ignore[call-overload]
    assert "\n" not in str(error.value)


def test_columns_follow_the_names() -> None:
    patterns = batch(4, 8)
    names = feature_names()
    required = ["gram.skew.hist.rms", "diag.mean", "gram.skew.hist.rms"]
    got = compute_features(patterns, required)
    whole = compute_features(patterns)
    columns = [names.index("gram.skew.hist.rms"), names.index("diag.mean")]
    assert np.array_equal(got, whole[:, columns])
