"""Distances of resampled stimuli are those that the metrics compute on the resample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_motifs.distances import head_distances
from attention_motifs.errors import InputError
from attention_motifs.evaluation import ResampledDistances, StimulusBlock
from attention_motifs.evaluation.resampling import Form, half_counts, source_counts

FORMS: dict[Form, str] = {
    "mean distance": "mean",
    "cosine of means": "cosine",
    "cosine of clouds": "recommended",
}
SOURCES = ["x", "y", "x", "z", "y", "w"]
ORDER = list(dict.fromkeys(SOURCES))


def clouds(seed: int, n: int = 6, heads: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, heads, 4)).astype(np.float32)


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), often=st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_a_resample_is_the_metric_on_repeated_prompts(seed: int, often: list[int]) -> None:
    if not sum(often):
        often[0] = 1
    repeats = [often[ORDER.index(source)] for source in SOURCES]
    prompts = np.repeat(np.arange(6), repeats)
    for form, metric in FORMS.items():
        points = clouds(seed)
        resampled = ResampledDistances.of(form, [StimulusBlock("prompts", points, SOURCES)])
        expected = head_distances(points[prompts], metric=metric)
        result = resampled(lambda _name, _n, often=often: np.array(often))
        off = ~np.eye(5, dtype=bool)
        np.testing.assert_allclose(result[off], expected[off], atol=2e-5)


def test_blocks_are_weighted_means_of_cosines() -> None:
    first, second = clouds(1), clouds(2, n=3)
    both = ResampledDistances.of(
        "cosine of clouds",
        [StimulusBlock("prompts", first), StimulusBlock("probes", second, weight=3.0)],
    )
    parts = [head_distances(x, metric="recommended") for x in (first, second)]
    off = ~np.eye(5, dtype=bool)
    np.testing.assert_allclose(both()[off], (parts[0] / 4 + 3 * parts[1] / 4)[off], atol=1e-5)


def test_draws_are_shared_by_name_and_seeded() -> None:
    counts = source_counts(0, 3)
    assert counts("prompts", 8).sum() == 8
    assert (counts("prompts", 8) == source_counts(0, 3)("prompts", 8)).all()
    others = [source_counts(1, 3), source_counts(0, 4)]
    drawn = [tuple(c("prompts", 30)) for c in (counts, *others)] + [tuple(counts("probes", 30))]
    assert len(set(drawn)) == 4


def test_halves_are_disjoint_and_equal() -> None:
    first, second = half_counts(0, 1)
    a, b = first("prompts", 9), second("prompts", 9)
    assert a.sum() == b.sum() == 4
    assert not (a & b).any()
    assert first("prompts", 1).tolist() == [1]


def test_one_source_alone_is_resampled_by_stimulus() -> None:
    resampled = ResampledDistances.of(
        "mean distance", [StimulusBlock("prompts", clouds(0), ["same"] * 6)]
    )
    assert resampled.blocks[0].sizes.tolist() == [1] * 6
    assert resampled.units_per_half == 3


def test_wrong_blocks_are_refused() -> None:
    with pytest.raises(InputError):
        ResampledDistances.of("mean distance", [])
    with pytest.raises(InputError):
        ResampledDistances.of("mean distance", [StimulusBlock("prompts", clouds(0))] * 2)
    with pytest.raises(InputError):
        ResampledDistances.of("mean distance", [StimulusBlock("prompts", clouds(0), ["x"])])
