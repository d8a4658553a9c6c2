"""Intervals where the truth is known: equal metrics, and prompts that share their source."""

from __future__ import annotations

import numpy as np
import pytest

from attention_motifs.evaluation import (
    Evidence,
    HeadPositions,
    LabelScores,
    MetricDistances,
    ResampledDistances,
    Settings,
    StimulusBlock,
    evaluate,
)
from attention_motifs.evaluation.label_rows import interval

N_LAYERS, PER_LAYER = 5, 8
N = N_LAYERS * PER_LAYER
HEADS = HeadPositions.of(["a"] * N, np.repeat(np.arange(N_LAYERS), PER_LAYER).tolist())
SOURCES = np.repeat(np.arange(10), 3)


def metric(latent: np.ndarray, rng: np.random.Generator, noise: float) -> MetricDistances:
    """A metric that sees the latent score with noise that the prompts of a source share."""
    of_source = noise * rng.normal(size=(10, N, 2))[SOURCES]
    clouds = latent[None] + of_source + 0.3 * rng.normal(size=(len(SOURCES), N, 2))
    block = StimulusBlock("prompts", clouds.astype(np.float32), [str(s) for s in SOURCES])
    resampled = ResampledDistances.of("cosine of means", [block])
    return MetricDistances(resampled().astype(np.float64), resampled)


def difference(seed: int, noises: tuple[float, float]) -> tuple[float, float]:
    """Interval of the S5 of the second metric less that of the first."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(N, 2))
    labels = latent[None, :, :1] + 0.3 * rng.normal(size=(10, N, 1))
    result = evaluate(
        {name: metric(latent, rng, noise) for name, noise in zip("xy", noises, strict=True)},
        HEADS,
        Evidence(labels=[LabelScores("a", "plain text", ("score",), labels)]),
        reference="x",
        settings=Settings(n_permutations=2, n_bootstraps=100, seed=seed, n_splits=1),
    )
    row = next(r for r in result.rows if r.metric == "y" and r.statistic == "S5")
    return row.difference_low, row.difference_high


@pytest.mark.slow
def test_equal_metrics_differ_in_one_case_of_twenty_at_most() -> None:
    intervals = [difference(seed, (1.0, 1.0)) for seed in range(40)]
    covered = np.mean([low <= 0 <= high for low, high in intervals])
    assert covered >= 0.88, covered


def test_a_noisier_metric_is_worse_with_its_interval_below_zero() -> None:
    low, high = difference(0, (0.3, 6.0))
    assert low < high < 0


def test_the_interval_is_shifted_to_the_value() -> None:
    drawn = np.random.default_rng(0).normal(0.4, 0.1, size=2000)
    low, high = interval(0.6, drawn)
    assert (low, high) == pytest.approx((0.404, 0.796), abs=0.02)
    assert interval(0.6, np.array([])) is None
    assert interval(0.6, np.array([0.5, np.nan])) is None
