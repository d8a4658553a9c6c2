"""Sums that are taken part by part and merged: equal to those of all rows, in any order."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from attention_motifs.embedding import PatternEmbedding
from attention_motifs.embedding.moments import (
    FeatureMoments,
    LengthBinnedMoments,
    WithinGroupMoments,
)
from attention_motifs.errors import InputError

QUICK = settings(max_examples=60)
N_FEATURES = 4


@st.composite
def parts(draw: st.DrawFn) -> list[np.ndarray]:
    """Parts of a table, some of one row, with columns far off, constant, tiny and with holes."""
    lengths = draw(st.lists(st.integers(1, 6), min_size=2, max_size=6))
    floats = st.floats(-100, 100, allow_subnormal=False)
    rows = draw(arrays(np.float64, (sum(lengths), N_FEATURES), elements=floats))
    rows[:, 0] += draw(st.sampled_from([0.0, 1e6]))
    rows[:, 1] = draw(st.sampled_from([0.0, 0.1, -1e9]))
    rows[:, 2] *= draw(st.sampled_from([1.0, 1e-6]))
    if draw(st.booleans()):
        holes = draw(arrays(np.bool_, rows.shape))
        rows[holes] = draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    return np.split(rows, np.cumsum(lengths)[:-1])


def moments_of(rows: np.ndarray) -> FeatureMoments:
    moments = FeatureMoments(N_FEATURES)
    moments.update(rows)
    return moments


def merged(all_moments: list[FeatureMoments]) -> FeatureMoments:
    total = FeatureMoments(N_FEATURES)
    for moments in all_moments:
        total.merge(moments)
    return total


def imputed(rows: np.ndarray) -> np.ndarray:
    finite = np.isfinite(rows)
    mean = np.where(finite, rows, 0.0).sum(axis=0) / np.maximum(finite.sum(axis=0), 1)
    return np.where(finite, rows, mean)


def assert_close(one: FeatureMoments, other: FeatureMoments, scale: np.ndarray) -> None:
    assert one.n_rows == other.n_rows
    assert one.n_imputed.tolist() == other.n_imputed.tolist()
    assert np.abs((one.means() - other.means()) / scale).max() < 1e-10
    difference = one.covariance() - other.covariance()
    assert np.abs(difference / np.outer(scale, scale)).max() < 1e-10


@QUICK
@given(parts(), st.data())
def test_merged_in_any_order_they_are_those_of_all_rows(
    tables: list[np.ndarray], data: st.DataObject
) -> None:
    rows = np.concatenate(tables)
    full = imputed(rows)
    scale = np.abs(full).max(axis=0) + 1e-3
    whole = moments_of(rows)
    order = data.draw(st.permutations(tables))
    one_by_one = merged([moments_of(part) for part in order])
    assert_close(one_by_one, whole, scale)
    halves = [merged([moments_of(part) for part in order[i::2]]) for i in range(2)]
    assert_close(merged(halves), whole, scale)
    # Against the definition, not only against itself.
    assert np.abs((one_by_one.means() - full.mean(axis=0)) / scale).max() < 1e-10
    covariance = (full - full.mean(axis=0)).T @ (full - full.mean(axis=0)) / len(full)
    difference = (one_by_one.covariance() - covariance) / np.outer(scale, scale)
    assert np.abs(difference).max() < 1e-10
    assert one_by_one.n_imputed.tolist() == (~np.isfinite(rows)).sum(axis=0).tolist()
    assert one_by_one.covariance()[1, 1] == 0, "a constant column varies"


def test_one_value_far_from_all_others_costs_no_accuracy() -> None:
    """Sums about the first value would lose half of the digits here."""
    rows = np.random.default_rng(0).normal(size=(4000, 1))
    rows[0] = 1e9
    total = merged_columns([rows[:1], *np.split(rows[1:], [1, 1000, 2500])])
    mean = np.longdouble(rows.astype(np.longdouble).mean())
    exact = float(((rows.astype(np.longdouble) - mean) ** 2).mean())
    assert total.covariance()[0, 0] == pytest.approx(exact, rel=1e-13)
    late = FeatureMoments(1)
    late.update(rows[1:])
    assert late.covariance()[0, 0] == pytest.approx(rows[1:].var(), rel=1e-12)


def merged_columns(tables: list[np.ndarray]) -> FeatureMoments:
    total = FeatureMoments(tables[0].shape[1])
    for rows in tables:
        part = FeatureMoments(rows.shape[1])
        part.update(rows)
        total.merge(part)
    return total


def test_nothing_merged_changes_nothing() -> None:
    one = moments_of(np.arange(12.0).reshape(3, 4))
    before = one.covariance()
    one.merge(FeatureMoments(N_FEATURES))
    assert np.array_equal(one.covariance(), before)
    empty = FeatureMoments(N_FEATURES)
    empty.merge(one)
    assert np.array_equal(empty.covariance(), before)
    assert empty.n_rows == 3


@pytest.mark.parametrize("length_bins", [(), (64,)])
def test_an_embedding_of_merged_parts_is_that_of_all_rows(length_bins: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(300, 12)) @ rng.normal(size=(12, 12)) * 10.0 ** rng.uniform(-3, 3, 12)
    rows[:, 3] = 0.1
    rows[rng.random(rows.shape) < 0.02] = np.nan
    n_tokens = rng.choice([32, 128], 300)
    whole = PatternEmbedding.fit(rows, 5, n_tokens=n_tokens, length_bins=length_bins)
    cuts = [1, 2, 90, 200]
    total = LengthBinnedMoments(12, length_bins)
    chunks = list(zip(np.split(rows, cuts), np.split(n_tokens, cuts), strict=True))
    for part, of_part in reversed(chunks):
        moments = LengthBinnedMoments(12, length_bins)
        moments.update(part, of_part)
        total.merge(moments)
    by_parts = PatternEmbedding.from_moments(total, 5)
    assert by_parts.kept.tolist() == whole.kept.tolist()
    assert by_parts.n_imputed == whole.n_imputed
    for name in ("mean", "scale", "components", "explained_variance"):
        np.testing.assert_allclose(
            getattr(by_parts, name), getattr(whole, name), rtol=1e-10, atol=1e-10
        )


def test_moments_of_other_columns_or_bins_are_not_merged() -> None:
    with pytest.raises(InputError):
        FeatureMoments(2).merge(FeatureMoments(3))
    with pytest.raises(InputError):
        LengthBinnedMoments(2, (64,)).merge(LengthBinnedMoments(2, (32,)))


# Within heads


def within(values: dict[str, np.ndarray]) -> np.ndarray:
    """The definition: deviations of every row from the mean of its head, over all heads."""
    n_features = next(iter(values.values())).shape[2]
    total, count = np.zeros((n_features, n_features)), 0
    for of_model in values.values():
        for h in range(of_model.shape[1]):
            rows = of_model[:, h]
            for row in rows:
                total += np.outer(row - rows.mean(axis=0), row - rows.mean(axis=0))
                count += 1
    return total / count


@QUICK
@given(st.data())
def test_covariance_within_heads_merges_too(data: Any) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    values = {
        model: rng.normal(size=(n_prompts, n_heads, 3)) + data.draw(st.sampled_from([0.0, 1e4]))
        for model, n_prompts, n_heads in (("a", 7, 2), ("b", 5, 4), ("c", 1, 1))
    }
    jobs = []
    for model, of_model in values.items():
        cuts = data.draw(st.lists(st.integers(0, len(of_model)), max_size=3).map(sorted))
        jobs += [(part, model) for part in np.split(of_model, cuts)]
    order = data.draw(st.permutations(jobs))
    one = WithinGroupMoments(3)
    separate = []
    for part, model in order:
        one.update(part, model)
        separate.append(WithinGroupMoments(3))
        separate[-1].update(part, model)

    def joined(x: WithinGroupMoments, y: WithinGroupMoments) -> WithinGroupMoments:
        x.merge(y)
        return x

    both = reduce(joined, separate, WithinGroupMoments(3))
    expected = within(values)
    for moments in (one, both):
        assert moments.n_rows == sum(v.shape[0] * v.shape[1] for v in values.values())
        np.testing.assert_allclose(moments.covariance(), expected, rtol=1e-10, atol=1e-10)


def test_heads_of_one_model_must_agree_in_number() -> None:
    moments = WithinGroupMoments(2)
    moments.update(np.zeros((1, 3, 2)), "a")
    with pytest.raises(InputError):
        moments.update(np.zeros((1, 4, 2)), "a")


def test_a_head_that_does_not_vary_has_no_covariance() -> None:
    moments = WithinGroupMoments(2)
    for n_prompts in (1, 5, 2):
        moments.update(np.full((n_prompts, 3, 2), 0.1), "a")
    assert (moments.covariance() == 0).all()
    assert (WithinGroupMoments(2).covariance() == 0).all()
