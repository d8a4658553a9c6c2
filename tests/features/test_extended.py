from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from attention_motifs.features import (
    compute_features,
    extended_kernels,
    extended_torch,
    feature_names,
    feature_sets,
    features_of,
)
from attention_motifs.features import extended_definitions as definitions
from features.patterns import (
    degenerate_patterns,
    pattern_batches,
    relative_error,
    softmax_pattern,
)

NAMES = feature_names("extended")
DATA = Path(__file__).parent.parent / "data" / "real_patterns.npz"


def oracle(patterns: np.ndarray) -> np.ndarray:
    return np.array([definitions.extended_features(pattern) for pattern in patterns])


def named(pattern: np.ndarray) -> dict[str, float]:
    return dict(zip(NAMES, definitions.extended_features(pattern).tolist(), strict=True))


def check_close(got: np.ndarray, patterns: np.ndarray, tolerance: float) -> None:
    # An entropy near 0 is a small difference of larger sums.
    error = relative_error(got, oracle(patterns), floor=0.1)
    assert not np.isnan(error).any()
    row, column = np.unravel_index(error.argmax(), error.shape)
    assert error.max() < tolerance, (row, NAMES[column])


# The implementations.


@given(pattern_batches())
@settings(max_examples=50)
def test_the_kernels_agree_with_the_oracle(patterns: np.ndarray) -> None:
    check_close(extended_kernels.extended_features(patterns), patterns, 3e-5)
    wide = extended_torch.extended_features(torch.from_numpy(patterns).double())
    check_close(wide.numpy(), patterns, 1e-9)
    check_close(
        extended_torch.extended_features(torch.from_numpy(patterns)).numpy(), patterns, 3e-5
    )


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 31, 32, 33, 97])
def test_degenerate_patterns_agree_and_are_finite(n: int) -> None:
    patterns = np.stack(list(degenerate_patterns(n).values()))
    check_close(extended_kernels.extended_features(patterns), patterns, 3e-5)
    narrow = extended_torch.extended_features(torch.from_numpy(patterns))
    assert narrow.dtype == torch.float32
    check_close(narrow.numpy(), patterns, 3e-5)


@pytest.mark.parametrize("name", ["n24", "n48"])
def test_real_patterns_agree(name: str) -> None:
    with np.load(DATA, allow_pickle=False) as file:
        patterns = file[name]
    check_close(compute_features(patterns, "extended"), patterns, 3e-5)
    check_close(
        extended_torch.extended_features(torch.from_numpy(patterns)).numpy(), patterns, 3e-5
    )


@given(pattern_batches())
@settings(max_examples=30)
def test_values_lie_in_the_documented_ranges(patterns: np.ndarray) -> None:
    for column, entry in zip(oracle(patterns).T, features_of("extended"), strict=True):
        low, high = entry.range
        assert low - 1e-6 <= column.min() <= column.max() <= high + 1e-6, entry.name


# Through `compute_features`.


def test_the_set_is_listed_and_off_by_default() -> None:
    assert "extended" in feature_sets()
    assert feature_names("extended") == NAMES
    assert len(NAMES) == len(set(NAMES)) == 85
    assert not set(feature_names()) & set(NAMES)


def test_every_feature_is_described() -> None:
    for entry in features_of("extended"):
        assert entry.name == f"{entry.context}.{entry.statistic}"
        assert entry.formula.count("{") == entry.formula.count("}") > 0, entry.name
        assert len(entry.large) > 10, entry.name
        assert "{x}" not in entry.large
        assert entry.source
        assert entry.cost == ("O(n^3)" if "alike" in entry.context else "O(n^2)")


def test_describing_the_set_loads_neither_torch_nor_numba() -> None:
    code = (
        "import sys, attention_motifs.features as f; f.features_of('extended');"
        "assert not {'torch', 'numba', 'scipy'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_compute_features_takes_arrays_and_tensors() -> None:
    rng = np.random.default_rng(0)
    patterns = np.stack([softmax_pattern(rng, 20) for _ in range(4)])
    array = compute_features(patterns, "extended")
    assert array.dtype == np.float32
    assert array.shape == (4, 85)
    tensor = compute_features(torch.from_numpy(patterns), "extended")
    assert np.array_equal(tensor.numpy(), array)
    wide = compute_features(patterns.astype(np.float64), "extended")
    check_close(wide, patterns, 1e-9)
    both = compute_features(patterns, ["paper", "extended", "diag.mean"])
    assert np.array_equal(both[:, 94:], array)


def test_rounding_above_the_diagonal_and_negative_weights_are_ignored() -> None:
    pattern = softmax_pattern(np.random.default_rng(0), 12)
    pattern[7, 3] = 0
    expected = compute_features(pattern, "extended")
    pattern[0, 5] = 1e-7
    pattern[7, 3] = -1e-7
    assert np.array_equal(compute_features(pattern, "extended"), expected)
    tensor = extended_torch.extended_features(torch.from_numpy(pattern[None]))
    assert tensor[0].numpy() == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_the_torch_kernel_leaves_its_input_as_it_was() -> None:
    for dtype in (torch.float32, torch.float64):
        patterns = torch.tril(torch.full((2, 9, 9), 0.1, dtype=dtype))
        before = patterns.clone()
        extended_torch.extended_features(patterns)
        assert torch.equal(patterns, before)


# What the features say.


def shifted(n: int, distance: int) -> np.ndarray:
    """Every token attends to the one `distance` before it, or to the first."""
    pattern = np.eye(n, k=-distance)
    pattern[:distance, 0] = 1
    return pattern


def test_of_one_token_there_is_nothing_to_say() -> None:
    assert not definitions.extended_features(np.ones((1, 1))).any()


def test_of_two_tokens_by_hand() -> None:
    values = named(np.array([[1, 0], [0.25, 0.75]]))
    assert {name: value for name, value in values.items() if value} == pytest.approx(
        {
            "band.0.mean": 0.75,
            "band.0.share": 1,
            **dict.fromkeys(("sink.mean", "sink.q10", "sink.q90"), 0.25),
            **dict.fromkeys(("peak.mean", "peak.q10", "peak.q90"), 0.75),
            **dict.fromkeys(("peak.above_10", "peak.above_30", "peak.above_60"), 1),
            "place.self": 1,
            "entropy.all": 2 - 0.75 * np.log2(3),
            "keys.concentration": 1,
        }
    )


def test_of_three_tokens_by_hand() -> None:
    values = named(np.array([[1, 0, 0], [0.5, 0.5, 0], [0.2, 0.6, 0.2]]))
    expected = {
        "band.0.mean": 0.35,
        "band.0.spread": 0.15,
        "band.0.share": 0.7 / 1.3,
        "band.1.mean": 0.6,  # of the only query that has such a key beside the first
        "band.1.spread": 0,
        "band.1.share": 0.6 / 1.3,
        "sink.mean": 0.35,
        "sink.spread": 0.15,
        "sink.q10": 0.23,
        "sink.q90": 0.47,
        "peak.mean": 0.55,
        "peak.above_30": 1,
        "peak.above_60": 0,
        "far_peak.mean": 0,
        "place.self": 0.5,
        "place.previous": 0.5,
        "place.log_mean": 0.5,
        "place.log_spread": 0.5,
        "entropy.without_sink": 2 - 0.75 * np.log2(3),
        "keys.concentration": (1.1**2 + 0.2**2) / 1.3**2,
        "continuity.diagonal.near": 0.5 * 0.2 / 0.65,
        "continuity.column.near": 0.5 * 0.6 / 0.65,
        "continuity.diagonal.far": 0,
    }
    assert {name: values[name] for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize("distance", range(70))
def test_a_diagonal_fills_its_band(distance: int) -> None:
    n = 80
    values = named(shifted(n, distance))
    shares = {name: values[f"{name}.share"] for name in definitions.BAND_CONTEXTS}
    (band,) = (name for name, share in shares.items() if share)
    assert shares[band] == 1
    first, _, last = band.removeprefix("band.").partition("_")
    assert int(first) <= distance <= int({"": first, "up": "999"}.get(last, last))
    region = "near" if distance <= 4 else "far"
    other = "far" if distance <= 4 else "near"
    assert values[f"continuity.diagonal.{region}"] == pytest.approx(1, abs=0.1)
    assert values[f"continuity.diagonal.{other}"] == 0
    assert values[f"continuity.column.{region}"] == 0
    assert values["far_peak.mean"] == (
        pytest.approx((n - 1 - distance) / (n - 6)) if distance > 4 else 0
    )
    place = ("self", "previous", "second", "farther")[min(distance, 3)]
    assert values[f"place.{place}"] == pytest.approx((n - max(1, distance + 1)) / (n - 1))
    assert values["place.log_mean"] == pytest.approx(np.log2(1 + distance))
    assert values["place.log_spread"] == pytest.approx(0, abs=1e-9)


def test_a_vertical_bar_goes_on_along_its_column() -> None:
    n = 40
    pattern = np.zeros((n, n))
    pattern[:7, 0] = 1
    pattern[7:, 7] = 1
    values = named(pattern)
    assert values["keys.concentration"] == 1
    assert values["continuity.column.far"] == pytest.approx(1, abs=0.05)
    assert values["continuity.diagonal.far"] == 0
    assert values["entropy.all"] == 0
    assert values["sink.q10"] == 0


def test_the_share_of_weight_does_not_depend_on_the_sink() -> None:
    """What is said of the rest of the pattern is unchanged when the sink takes half of it."""
    pattern = softmax_pattern(np.random.default_rng(1), 30).astype(np.float64)
    halved = pattern / 2
    halved[:, 0] += 0.5
    before, after = named(pattern), named(halved)
    for name in NAMES:
        kinds = ("place", "continuity", "keys", "queries", "together.self", "run.self")
        if name.endswith(".share") or name.startswith(kinds):
            assert after[name] == pytest.approx(before[name]), name
    assert after["entropy.without_sink"] == pytest.approx(before["entropy.without_sink"])
    assert after["sink.mean"] == pytest.approx(0.5 + before["sink.mean"] / 2)


def test_uniform_attention_has_the_largest_entropy() -> None:
    values = named(np.tri(9) / np.arange(1, 10)[:, None])
    assert values["entropy.all"] == values["entropy.without_sink"] == pytest.approx(1)


def test_of_equal_weights_the_nearest_is_the_place() -> None:
    values = named(np.tri(9) / np.arange(1, 10)[:, None])
    assert values["place.self"] == 1


# What goes on, and what is alike.


def test_roots_let_small_weights_speak() -> None:
    """Two weights in a row of the diagonal, one small: 2 sqrt(1 * 0.01) over 1 + 0.01."""
    pattern = np.zeros((12, 12))
    pattern[9, 2], pattern[10, 3] = 1, 0.01
    values = named(pattern)
    assert values["continuity.diagonal.far"] == pytest.approx(0.01 / 1.0001)
    assert values["continuity_root.diagonal.far"] == pytest.approx(0.1 / 1.01)


@pytest.mark.parametrize(
    ("step", "where"),
    [("diagonal", (10, 3)), ("column", (10, 2)), ("row", (9, 3)), ("anti", (10, 1))],
)
def test_each_step_is_seen_by_its_own_feature(step: str, where: tuple[int, int]) -> None:
    pattern = np.zeros((12, 12))
    pattern[9, 2] = pattern[where] = 0.5
    values = named(pattern)
    for other in definitions.STEPS:
        expected = 0.5 if other == step else 0
        assert values[f"continuity_root.{other}.far"] == pytest.approx(expected)
        assert values[f"continuity_root.{other}.near"] == 0


def test_continuity_does_not_cross_from_near_to_far() -> None:
    pattern = np.zeros((12, 12))
    pattern[8, 4] = pattern[9, 4] = pattern[8, 3] = 0.5  # 4 back, and its followers 5 back
    values = named(pattern)
    for step in ("column", "row", "anti"):
        assert values[f"continuity_root.{step}.near"] == 0


def test_of_induction_the_token_after_the_query_is_attended_like_the_key() -> None:
    """By hand: keys k and k + n of which both are attended to, by the queries that follow."""
    n = 8
    pattern = np.zeros((3 * n, 3 * n))
    for i in range(n, 3 * n):
        pattern[i, i - n + 1] = 0.5  # the key after the token's last occurrence
        if i >= 2 * n:
            pattern[i, i - 2 * n + 1] = 0.5  # and after the one before
    values = named(pattern)
    assert values["keys_alike.after"] > max(values["keys_alike.same"], values["keys_alike.before"])
    assert values["keys_alike.after_excess"] > 0.15
    assert values["keys_alike.same_excess"] < 0.05


def brute_alike(B: np.ndarray) -> list[float]:
    """The sums as the page states them, entry by entry."""
    n = len(B)
    off = B * (1 - np.eye(n))

    def cosine(x: np.ndarray, y: np.ndarray) -> float:
        norms = np.linalg.norm(x) * np.linalg.norm(y)
        return float(x @ y / norms) if norms > 0 else 0.0

    far = [(i, j) for i in range(n) for j in range(i - 4)]
    weight = sum(B[i, j] for i, j in far)
    keys, queries = [], []
    for s in (-1, 0, 1):
        keys.append(
            sum(B[i, j] * cosine(off[:, i + s], off[:, j]) for i, j in far if i + s < n) / weight
        )
        queries.append(
            sum(B[i, j] * cosine(off[i] ** 0.5, off[j + s] ** 0.5) for i, j in far if j + s >= 0)
            / weight
        )
    level = np.mean([cosine(off[:, i], off[:, j]) for i, j in far])
    rows = np.mean([cosine(off[i] ** 0.5, off[j] ** 0.5) for i, j in far])
    return [*keys, *(k - level for k in keys), *(q - rows for q in queries)]


@pytest.mark.parametrize("n", [7, 8, 20, 33])
def test_likeness_is_what_the_page_states(n: int) -> None:
    B = softmax_pattern(np.random.default_rng(n), n).astype(np.float64)
    B[:, 0] = 0
    assert definitions.alike_features(B) == pytest.approx(brute_alike(B))


def test_what_occurs_together() -> None:
    n = 40
    rng = np.random.default_rng(0)
    share = rng.uniform(size=n)
    pattern = np.diag(share)
    pattern[:, 0] = 1 - share
    pattern[0, 0] = 1
    values = named(pattern)
    assert values["together.sink_self"] == pytest.approx(-1)
    assert values["together.self_far"] == values["together.previous_far"] == 0
    assert values["run.sink"] == pytest.approx(values["run.self"])
    assert abs(values["run.sink"]) < 0.5
    pattern = np.diag(np.linspace(0.1, 0.9, n))
    assert named(pattern)["run.self"] == pytest.approx(1)


def test_long_patterns_keep_their_precision() -> None:
    rng = np.random.default_rng(3)
    patterns = np.stack([softmax_pattern(rng, 300, s) for s in (0.5, 3.0)])
    check_close(extended_kernels.extended_features(patterns), patterns, 3e-5)
