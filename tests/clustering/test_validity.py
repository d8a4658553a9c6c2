from __future__ import annotations

import numpy as np
import pytest

from attention_motifs.clustering import Clustering, cluster, one_gaussian, stability, validity
from attention_motifs.clustering.validity import largest_share
from attention_motifs.errors import InputError

N_PROMPTS, N_HEADS = 24, 60


def planted(seed: int = 0, apart: float = 8.0, noise: float = 4.0) -> np.ndarray:
    """(prompts, heads, 3): three groups of heads, with effects of the prompts and noise."""
    rng = np.random.default_rng(seed)
    heads = apart * np.eye(3)[np.arange(N_HEADS) % 3] + rng.standard_normal((N_HEADS, 3))
    prompts = rng.standard_normal((N_PROMPTS, 1, 3))
    return heads + prompts + noise * rng.standard_normal((N_PROMPTS, N_HEADS, 3))


def mean_distances(clouds: np.ndarray) -> np.ndarray:
    return np.linalg.norm(clouds[:, :, None] - clouds[:, None], axis=-1).mean(axis=0)


def checked(clouds: np.ndarray, sources: list[str] | None = None, seed: int = 0):
    """Return stability and validity of three clusters by average linkage."""

    def of(data: np.ndarray):
        clustering = cluster(mean_distances(data), n_clusters=3)
        return clustering, lambda prompts: mean_distances(data[prompts])

    clustering, recompute = of(clouds)
    stable = stability(clustering, recompute, len(clouds), n_rounds=8)

    def reference(draw: int):
        return of(one_gaussian(clouds, np.random.default_rng([seed, draw])))

    sources = sources or [str(i) for i in range(len(clouds))]
    return stable, validity(clustering, stable, recompute, sources, reference=reference, seed=seed)


def test_the_gaussian_has_the_moments_of_the_clouds_and_no_clusters() -> None:
    clouds = planted()
    rng = np.random.default_rng(0)
    drawn = [one_gaussian(clouds, rng) for _ in range(40)]
    assert drawn[0].shape == clouds.shape
    spread = [np.cov(d.mean(axis=0).T) for d in drawn]
    np.testing.assert_allclose(
        np.mean(spread, axis=0), np.cov(clouds.mean(axis=0).T), rtol=0.2, atol=1.5
    )
    np.testing.assert_allclose(
        np.mean([d.mean(axis=1) for d in drawn], axis=0), clouds.mean(axis=1), atol=0.8
    )
    # Three groups have two tight modes per axis; a Gaussian has kurtosis 3.
    axis = np.concatenate([d.mean(axis=0)[:, 0] for d in drawn])
    z = (axis - axis.mean()) / axis.std()
    assert (z**4).mean() > 2.3
    real = clouds.mean(axis=0)[:, 0]
    assert (((real - real.mean()) / real.std()) ** 4).mean() < 2.0


def test_planted_clusters_are_above_the_reference_and_a_gaussian_is_not() -> None:
    stable, valid = checked(planted())
    assert stable.mean > 0.95
    assert valid.reference_largest is not None
    assert valid.reference_largest < 0.9
    assert valid.disjoint_halves is not None
    assert valid.disjoint_halves > 0.9
    assert valid.stable_clusters == 3
    assert valid.warning is None
    above = 0
    for seed in range(12):
        gaussian = one_gaussian(planted(), np.random.default_rng(100 + seed))
        stable, valid = checked(gaussian, seed=seed)
        above += stable.mean > (valid.reference_largest or 0.0)
    # Exchangeable with the four draws of the reference: the largest of five in one case of five.
    assert above <= 6


def test_halves_by_source_share_no_source_and_show_clusters_of_a_source() -> None:
    clouds = planted(noise=0.3)
    rng = np.random.default_rng(3)
    # On the prompts of every source the groups are others: halves of the prompts agree, since both
    # hold every source; halves by source do not.
    order = [rng.permutation(N_HEADS) for _ in range(2)]
    clouds[: N_PROMPTS // 2] = clouds[: N_PROMPTS // 2, order[0]]
    clouds[N_PROMPTS // 2 :] = clouds[N_PROMPTS // 2 :, order[1]]
    sources = ["a"] * (N_PROMPTS // 2) + ["b"] * (N_PROMPTS // 2)
    _, valid = checked(clouds, sources)
    assert valid.disjoint_halves is not None
    assert valid.disjoint_sources is not None
    assert valid.disjoint_sources < 0.2 < valid.disjoint_halves
    _, alike = checked(planted())
    assert alike.disjoint_sources is None, "every prompt is a source of its own"
    _, alike = checked(planted(), ["a"] * N_PROMPTS)
    assert alike.disjoint_sources is None


def test_one_cluster_that_holds_nearly_all_heads_is_warned_of() -> None:
    clouds = planted(apart=0.0, noise=0.3)
    clouds[:, 0] += 100
    clouds[:, 1] -= 100
    stable, valid = checked(clouds)
    assert stable.mean == 1.0
    assert valid.largest_share == pytest.approx(58 / 60)
    assert valid.warning is not None
    assert "97%" in valid.warning
    assert valid.to_json()["warning"] == valid.warning


def test_seeds_are_compared_where_there_are_seeds() -> None:
    labels = np.repeat([0, 1], 30)
    clustering = Clustering("leiden", {"seed": 0}, labels)
    asked = []

    def with_seed(seed: int) -> np.ndarray:
        asked.append(seed)
        return labels if seed % 2 else np.arange(60) % 2

    valid = validity(clustering, None, lambda _: labels, ["a"] * 4, with_seed=with_seed, seed=4)
    assert asked == [5, 6, 7]
    assert valid.seeds == pytest.approx(2 / 3, abs=0.02), "two of three agree"
    assert valid.disjoint_halves is None
    assert valid.reference is None


def test_degenerate_clusterings_and_wrong_seeds() -> None:
    assert largest_share(np.array([-1, -1])) == 0.0
    assert largest_share(np.array([0])) == 1.0
    with pytest.raises(InputError):
        validity(
            Clustering("average", {}, np.zeros(2, dtype=int)),
            None,
            lambda _: np.zeros((2, 2)),
            ["a"],
            seed=-1,
        )
    constant = np.zeros((2, 1, 2))
    assert (one_gaussian(constant, np.random.default_rng(0)) == 0).all()
