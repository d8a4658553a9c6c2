"""Quantiles collected part by part, exactly and by sketches."""

from __future__ import annotations

import numpy as np
import pytest
from datasketches import kll_floats_sketch

from attention_motifs.embedding.quantiles import (
    RANK_ERROR,
    SKETCH_SIZE,
    ExactQuantiles,
    QuantileSketch,
)
from attention_motifs.embedding.recommended import N_QUANTILES, RecommendedEmbedding
from attention_motifs.errors import InputError

PROBABILITIES = (np.arange(N_QUANTILES) + 0.5) / N_QUANTILES
KINDS = (ExactQuantiles, QuantileSketch)


def collected(
    kind: type[ExactQuantiles | QuantileSketch], rows: np.ndarray, bins: np.ndarray
) -> ExactQuantiles | QuantileSketch:
    collection = kind(rows.shape[1])
    collection.update(rows, bins)
    return collection


@pytest.mark.parametrize("kind", KINDS)
def test_few_values_are_exact_by_both(kind: type[ExactQuantiles | QuantileSketch]) -> None:
    rng = np.random.default_rng(0)
    rows = np.exp(rng.normal(size=(900, 3))).astype(np.float32)
    rows[::7, 1], rows[:, 2], rows[3, 0] = np.nan, np.nan, np.inf
    bins = rng.choice([2, 9], 900)
    whole = collected(kind, rows, bins)
    for b, table in zip((2, 9), whole.quantiles(PROBABILITIES), strict=True):
        for column in range(3):
            x = rows[bins == b, column]
            x = x[np.isfinite(x)].astype(np.float64)
            expected = np.quantile(x, PROBABILITIES, method="hazen") if len(x) else 0.0
            np.testing.assert_allclose(table[column], expected, rtol=1e-12)
    assert whole.bins.tolist() == [2, 9]
    assert whole.n_rows == 900


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_parts_merge_in_any_order(
    kind: type[ExactQuantiles | QuantileSketch], order: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(1000, 2)).astype(np.float32)
    bins = rng.choice([0, 1], 1000)
    bins[:1] = 1
    cuts = [1, 400]
    parts = list(zip(np.split(rows, cuts), np.split(bins, cuts), strict=True))
    total = kind(2)
    for i in order:
        total.merge(collected(kind, *parts[i]))  # type: ignore[arg-type]
    whole = collected(kind, rows, bins)
    assert total.bins.tolist() == [0, 1]
    assert total.n_rows == 1000
    np.testing.assert_array_equal(total.quantiles(PROBABILITIES), whole.quantiles(PROBABILITIES))


def ranks_off(table: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """How far the ranks of quantiles are from those asked for, per column and probability."""
    errors = np.zeros_like(table)
    for column, result in enumerate(table):
        x = np.sort(rows[:, column])
        low, high = (np.searchsorted(x, result, side) / len(x) for side in ("left", "right"))
        errors[column] = np.maximum(0, np.maximum(low - PROBABILITIES, PROBABILITIES - high))
    return errors


def test_many_values_are_within_the_stated_error_and_memory_does_not_grow() -> None:
    rng = np.random.default_rng(2)
    parts = [np.exp(rng.normal(size=(60_000, 3))).astype(np.float32) for _ in range(5)]
    for part in parts:
        part[:, 2] = np.round(part[:, 2])  # many equal values
    at_once, merged = QuantileSketch(3), QuantileSketch(3)
    for part in parts:
        bins = np.zeros(len(part), int)
        at_once.update(part, bins)
        merged.merge(collected(QuantileSketch, part, bins))  # type: ignore[arg-type]
    rows = np.concatenate(parts)
    for sketch in (at_once, merged):
        (table,) = sketch.quantiles(PROBABILITIES)
        assert (np.diff(table, axis=1) >= 0).all()
        # The bound is for 99 of 100 sketches: all three columns stay within twice of it.
        assert ranks_off(table, rows).max() < 2 * RANK_ERROR
        assert max(s.num_retained for s in sketch._sketches[0]) < 4 * SKETCH_SIZE


def test_the_stated_error_is_the_librarys() -> None:
    error = kll_floats_sketch.get_normalized_rank_error(SKETCH_SIZE, False)
    assert error == pytest.approx(RANK_ERROR, rel=0.05)


def test_the_preset_by_sketches_is_close_to_the_exact_one() -> None:
    rng = np.random.default_rng(3)
    values = np.exp(rng.normal(size=(400, 20, 1)) + rng.normal(size=(400, 20, 5))).astype(
        np.float32
    )
    n_tokens = np.full(400, 128)
    names = [f"f{i}" for i in range(5)]
    asked = []

    def read(columns: list[str]) -> object:
        asked.append(len(columns))
        for part in np.split(values, 4):
            yield part[:, :, [names.index(c) for c in columns]], n_tokens[:100], "model"

    exact = RecommendedEmbedding.fit(values, n_tokens, names)
    sketched = RecommendedEmbedding.fit_parts(read, names, sketch=True)  # type: ignore[arg-type]
    assert asked == [5, 5], "one pass for all quantiles, one for the whitening"
    assert sketched.n_rows == exact.n_rows == 8000
    assert np.abs(sketched.whitening - exact.whitening).max() < 0.02
    one, other = (e.place(values, n_tokens).ravel() for e in (exact, sketched))
    assert np.corrcoef(one, other)[0, 1] > 0.9999


def test_misshapen_values_are_refused() -> None:
    for kind in KINDS:
        with pytest.raises(InputError):
            kind(2).update(np.zeros((3, 1)), np.zeros(3, int))
        with pytest.raises(InputError):
            kind(2).update(np.zeros((3, 2)), np.zeros(2, int))
