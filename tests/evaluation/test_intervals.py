"""Intervals where the truth is known: equal metrics, and prompts that share their source."""

from __future__ import annotations

import numpy as np
import pytest

from attention_motifs.evaluation import (
    Evidence,
    HeadClass,
    HeadPositions,
    LabelScores,
    MetricDistances,
    ResampledDistances,
    Settings,
    StimulusBlock,
    evaluate,
)
from attention_motifs.evaluation.class_intervals import class_replicates
from attention_motifs.evaluation.label_rows import interval
from attention_motifs.evaluation.ranking import RankStatistics
from attention_motifs.evaluation.recovery import class_recovery

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


def difference(
    seed: int, noises: tuple[float, float], kind: str = "plain text", statistic: str = "S5"
) -> tuple[float, float]:
    """Interval of a statistic of the second metric less that of the first."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(N, 2))
    labels = latent[None, :, :1] + 0.3 * rng.normal(size=(10, N, 1))
    result = evaluate(
        {name: metric(latent, rng, noise) for name, noise in zip("xy", noises, strict=True)},
        HEADS,
        Evidence(
            labels=[LabelScores("a", "plain text", ("score",), labels)],
            classes=[HeadClass("positive", "literature", latent[:, 0] > 0.8)],
        ),
        reference="x",
        settings=Settings(n_permutations=2, n_bootstraps=100, seed=seed, n_splits=1),
    )
    row = next(
        row
        for row in result.rows
        if (row.metric, row.kind, row.statistic) == ("y", kind, statistic)
    )
    assert row.low <= row.value <= row.high
    return row.difference_low, row.difference_high


OF_LABELS, OF_CLASSES = ("plain text", "S5"), ("literature", "MAP")


@pytest.mark.slow
@pytest.mark.parametrize("measured", [OF_LABELS, OF_CLASSES])
def test_equal_metrics_differ_in_one_case_of_twenty_at_most(measured: tuple[str, str]) -> None:
    intervals = [difference(seed, (1.0, 1.0), *measured) for seed in range(40)]
    covered = np.mean([low <= 0 <= high for low, high in intervals])
    assert covered >= 0.88, covered


@pytest.mark.parametrize("measured", [OF_LABELS, OF_CLASSES])
def test_a_noisier_metric_is_worse_with_its_interval_below_zero(measured: tuple[str, str]) -> None:
    low, high = difference(0, (0.3, 6.0), *measured)
    assert low < high < 0


def test_replicates_of_a_class_are_means_over_drawn_heads_of_the_class() -> None:
    rng = np.random.default_rng(0)
    two = HeadPositions.of(["a"] * 20 + ["b"] * 15, [0] * 35)
    distances = rng.random((35, 35))
    members = np.zeros(35, dtype=bool)
    members[[1, 4, 9, 22, 25, 30, 31]] = True
    head_class = HeadClass("some", "literature", members)
    (recovered, *_), _ = class_recovery(distances, [head_class], two, n_permutations=5)
    settings = Settings(n_bootstraps=400)
    drawn = class_replicates(MetricDistances(distances), [head_class], two, settings)
    statistics = RankStatistics(distances[:20, :20], within=True, n_neighbours=1)
    heads = np.array([1, 4, 9])
    each = statistics(heads[:, None], np.broadcast_to(heads, (3, 3)))
    assert {key[0] for key in drawn} == {"a", "b", "a -> b", "b -> a"}
    for column, (name, test) in enumerate(
        (("AUROC", recovered.auroc), ("MAP", recovered.average_precision))
    ):
        values = drawn["a", "literature", "some", name]
        assert each[:, column].min() - 1e-9 <= values.min()
        assert values.max() <= each[:, column].max() + 1e-9
        spread = each[:, column].std() / np.sqrt(3)
        assert values.mean() == pytest.approx(test.value, abs=5 * spread / 20)
        assert values.std() == pytest.approx(spread, rel=0.2)


def test_the_interval_is_shifted_to_the_value() -> None:
    drawn = np.random.default_rng(0).normal(0.4, 0.1, size=2000)
    low, high = interval(0.6, drawn)
    assert (low, high) == pytest.approx((0.404, 0.796), abs=0.02)
    assert interval(0.6, np.array([])) is None
    assert interval(0.6, np.array([0.5, np.nan])) is None
