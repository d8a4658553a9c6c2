from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_motifs.clustering import adjusted_rand, cluster, stability
from attention_motifs.clustering.stability import jaccard
from attention_motifs.errors import InputError

labellings = st.lists(st.integers(-1, 4), min_size=2, max_size=30)


def clouds(spread: float, seed: int = 0) -> np.ndarray:
    """(prompts, heads, 3): 24 heads in three groups, with noise of this size per prompt."""
    rng = np.random.default_rng(seed)
    centres = 5 * np.eye(3)[np.arange(24) % 3]
    return centres + spread * rng.normal(size=(30, 24, 3))


def mean_distances(measured: np.ndarray) -> np.ndarray:
    return np.linalg.norm(measured[:, :, None] - measured[:, None], axis=-1).mean(axis=0)


@pytest.mark.parametrize("sample", ["half", "bootstrap"])
def test_planted_groups_survive_and_noise_does_not(sample: str) -> None:
    results = {}
    for spread in (0.5, 50.0):
        measured = clouds(spread)
        whole = cluster(mean_distances(measured), n_clusters=3)
        results[spread] = stability(
            whole, lambda i, f=measured: mean_distances(f[i]), 30, n_rounds=6, sample=sample
        )
    assert results[0.5].adjusted_rand.tolist() == [1.0] * 6
    assert results[0.5].jaccard.tolist() == [1.0] * 3
    assert results[0.5].spread == 0.0
    assert results[50.0].mean < 0.7
    assert results[50.0].jaccard.min() < 0.5
    assert results[0.5].sample == sample


def test_draws_are_halves_or_with_replacement_and_seeded() -> None:
    measured = clouds(0.5)
    whole = cluster(mean_distances(measured), n_clusters=3)
    drawn: dict[str, list[list[int]]] = {}
    for sample in ("half", "bootstrap"):
        for run in ("a", "b"):
            seen = drawn.setdefault(sample + run, [])

            def recompute(i: np.ndarray, seen: list[list[int]] = seen) -> np.ndarray:
                seen.append(i.tolist())
                return mean_distances(measured[i])

            stability(whole, recompute, 30, n_rounds=3, sample=sample, seed=5)
    assert drawn["halfa"] == drawn["halfb"]
    assert drawn["bootstrapa"] == drawn["bootstrapb"]
    assert all(len(set(i)) == len(i) == 15 for i in drawn["halfa"])
    assert all(len(set(i)) < len(i) == 30 for i in drawn["bootstrapa"])
    assert drawn["halfa"][0] != drawn["halfa"][1]


def test_ward_is_recomputed_from_embeddings() -> None:
    measured = clouds(0.5)
    whole = cluster(None, method="ward", n_clusters=3, embeddings=measured.mean(axis=0))
    result = stability(whole, lambda i: measured[i].mean(axis=0), 30, n_rounds=3)
    assert result.mean == 1.0


def test_one_prompt_is_its_own_half() -> None:
    measured = clouds(0.5)[:1]
    whole = cluster(mean_distances(measured), n_clusters=3)
    assert stability(whole, lambda i: mean_distances(measured[i]), 1, n_rounds=2).mean == 1.0


def test_what_cannot_be() -> None:
    measured = clouds(0.5)
    whole = cluster(mean_distances(measured), n_clusters=3)
    with pytest.raises(InputError, match="half, bootstrap"):
        stability(whole, lambda i: mean_distances(measured[i]), 30, sample="third")
    with pytest.raises(InputError, match="0 rounds"):
        stability(whole, lambda i: mean_distances(measured[i]), 30, n_rounds=0)
    with pytest.raises(InputError, match="23 heads"):
        stability(whole, lambda i: mean_distances(measured[i])[1:, 1:], 30)
    with pytest.raises(InputError, match="2 and 3 heads"):
        adjusted_rand(np.zeros(2, dtype=int), np.zeros(3, dtype=int))


@settings(max_examples=60)
@given(labellings, st.randoms(use_true_random=False))
def test_the_index_is_one_for_equal_clusters_under_any_numbers(labels: list[int], rng) -> None:  # type: ignore[no-untyped-def]
    a = np.array(labels)
    numbers = list(range(5))
    rng.shuffle(numbers)
    b = np.where(a >= 0, np.array(numbers)[np.maximum(a, 0)], -1)
    assert adjusted_rand(a, a) == 1.0
    assert adjusted_rand(a, b) == pytest.approx(1.0)


@settings(max_examples=60)
@given(labellings, st.integers(0, 10**6))
def test_the_index_is_symmetric_and_at_most_one(labels: list[int], seed: int) -> None:
    a = np.array(labels)
    b = np.random.default_rng(seed).integers(-1, 4, size=len(a))
    assert adjusted_rand(a, b) == pytest.approx(adjusted_rand(b, a))
    assert adjusted_rand(a, b) <= 1.0


def test_leaving_the_same_heads_out_earns_nothing() -> None:
    rng = np.random.default_rng(0)
    noise = np.full(300, -1)
    a = np.concatenate([noise, rng.integers(0, 3, 60)])
    b = np.concatenate([noise, rng.integers(0, 3, 60)])
    assert abs(adjusted_rand(a, b)) < 0.1


def test_jaccard_by_hand() -> None:
    a = np.array([0, 0, 0, 1, -1])
    b = np.array([0, 0, 1, 1, 1])
    assert jaccard(a, b) == pytest.approx(np.array([[2 / 3, 1 / 5], [0, 1 / 3]]))
    assert jaccard(np.array([-1, -1]), a[:2]).shape == (0, 1)
