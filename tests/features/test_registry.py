from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from attention_motifs.errors import InputError
from attention_motifs.features import (
    compute_features,
    feature,
    feature_names,
    feature_sets,
    features_of,
)
from attention_motifs.features.registry import built_in_set, forget
from features.patterns import needs_reference, pattern_batches, reference_names


@pytest.fixture
def registered() -> Iterator[str]:
    yield "own"
    if "own" in feature_sets():
        forget("own")


@needs_reference
def test_paper_names_are_those_of_the_reference() -> None:
    assert feature_names("paper") == reference_names()


def test_paper_has_94_features_in_the_order_of_its_contexts() -> None:
    names = feature_names()
    assert len(names) == len(set(names)) == 94
    assert names[:2] == ["diag.mean", "diag.median"]
    assert names[28:30] == ["gram.row.hist.mean", "gram.row.hist.median"]
    assert names[-1] == "log.gram.skew.hist.linreg.r2"
    assert not [name for name in names if "hist.kurtosis" in name or "hist.energy" in name]


@pytest.mark.parametrize("name", ["paper"])
def test_every_feature_is_described(name: str) -> None:
    for entry in features_of(name):
        assert entry.name == f"{entry.context}.{entry.statistic}"
        assert entry.range[0] <= entry.range[1]
        assert entry.formula.count("{") == entry.formula.count("}") > 0, entry.name
        assert len(entry.large) > 10, entry.name
        assert "{x}" not in entry.large
        assert "section 2.2" in entry.source
        assert entry.cost.startswith("O(n")


@given(pattern_batches())
@settings(max_examples=40)
def test_values_lie_in_the_described_range(patterns: np.ndarray) -> None:
    rows = compute_features(patterns)
    for entry, column in zip(features_of("paper"), rows.T, strict=True):
        low, high = entry.range
        assert (column >= low - 1e-5 - 1e-6 * abs(low)).all(), entry.name
        assert (column <= high + 1e-5 + 1e-6 * abs(high)).all(), entry.name


def test_functions_of_a_set_are_found() -> None:
    paper = built_in_set("paper")
    A = np.eye(3)
    assert paper.function("oracle")(A).shape == (94,)
    assert paper.function("cpu")(A[None].astype(np.float32)).shape == (1, 94)


@pytest.mark.parametrize("call", [feature_names, features_of])
def test_unknown_set_offers_the_near_names(call: object) -> None:
    with pytest.raises(InputError, match=r"'papre' is not known; did you mean paper\b"):
        call("papre")  # type: ignore[operator]


def test_unknown_feature_offers_the_near_names() -> None:
    with pytest.raises(InputError, match=r"diag\.mean"):
        feature_names(["diag.maen"])
    with pytest.raises(InputError, match="choose one of paper"):
        feature_names("zzzzzzzz")
    with pytest.raises(InputError, match="no features requested"):
        feature_names([])


def test_names_of_sets_and_features_mix_and_come_once() -> None:
    names = feature_names(["gram.col.hist.rms", "paper", "diag.mean"])
    assert names[0] == "gram.col.hist.rms"
    assert sorted(names) == sorted(feature_names("paper"))
    assert feature_names("diag.mean") == ["diag.mean"]


def test_a_user_adds_a_feature(registered: str) -> None:
    @feature("own.corner", set=registered, formula="A_{n-1,0}", range=(0, 1), large="a sink")
    def corner(A: np.ndarray) -> float:
        assert A.dtype == np.float64
        return float(A[-1, 0])

    patterns = np.stack([np.eye(4), np.tri(4) / np.arange(1, 5)[:, None]]).astype(np.float32)
    assert feature_sets()[-1] == registered
    assert features_of(registered)[0].range == (0, 1)
    assert compute_features(patterns, registered)[:, 0].tolist() == [0, 0.25]
    both = compute_features(patterns, ["paper", registered])
    assert both.shape == (2, 95)
    assert np.array_equal(both[:, :94], compute_features(patterns))
    assert compute_features(patterns.astype(np.float64), ["own.corner", "diag.mean"]).shape == (
        2,
        2,
    )
    assert corner(patterns[1].astype(np.float64)) == 0.25


def test_names_may_not_clash(registered: str) -> None:
    def zero(A: np.ndarray) -> float:
        return 0.0

    feature("own.zero", set=registered)(zero)
    for name, set_name, message in [
        ("diag.mean", registered, "already exists in set 'paper'"),
        ("own.zero", registered, "replace=True"),
        ("own.zero", "other", "use another name"),
        ("fine", "paper", "built in"),
        ("paper", registered, "may not share a name"),
        ("fine", "diag.mean", "may not share a name"),
        ("not fine", registered, "cannot be used"),
        ("fine", "", "cannot be used"),
    ]:
        with pytest.raises(InputError, match=message):
            feature(name, set=set_name)(zero)
    assert feature_sets()[-1] == registered
    feature("own.zero", set=registered, replace=True)(np.ptp)
    assert compute_features(np.eye(2, dtype=np.float32), registered).tolist() == [1]


def write_to(A: np.ndarray) -> float:
    A[0, 0] = 1
    return 1.0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda _: None, "'own.bad' returned None"),
        (lambda _: [[1], [1, 2]], r"'own.bad' returned \[\[1\], \[1, 2\]\] of type list"),
        (lambda A: A[0], r"'own.bad' returned an array of shape \(2,\)"),
        (lambda _: "1", "'own.bad' returned '1' of type str"),
        (lambda _: 1j, "'own.bad' returned 1j of type complex"),
        (lambda _: 10**400, "'own.bad' returned 1000.* of type int"),
        (lambda _: torch.ones((), device="meta"), "'own.bad' returned .* of type Tensor"),
        (lambda _: 1 // 0, "'own.bad' failed .* ZeroDivisionError"),
        (write_to, "'own.bad' failed .* read-only"),
    ],
)
def test_a_feature_must_return_one_number(
    registered: str, dtype: type, function: Callable[[np.ndarray], float], message: str
) -> None:
    feature("own.bad", set=registered)(function)
    with pytest.raises(InputError, match=message):
        compute_features(np.eye(2, dtype=dtype), registered)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_users_feature_never_sees_a_pattern_with_nan(registered: str, dtype: type) -> None:
    feature("own.inverse", set=registered)(lambda A: 1 / A.sum())
    patterns = np.stack([np.eye(2), np.eye(2)]).astype(dtype)
    patterns[1, 1, 0] = np.nan
    assert np.array_equal(
        compute_features(patterns, registered)[:, 0], np.array([0.5, np.nan]), equal_nan=True
    )


def test_only_functions_are_features(registered: str) -> None:
    with pytest.raises(InputError, match="not a function"):
        feature("own.number", set=registered)(3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="cannot be used"):
        feature(write_to)  # type: ignore[arg-type]


@pytest.mark.parametrize("features", [None, 3, [None], [["paper"]], np.eye(2)])
def test_features_are_requested_by_name(features: object) -> None:
    with pytest.raises(InputError, match="cannot be used"):
        compute_features(np.eye(2, dtype=np.float32), features)  # type: ignore[call-overload]


def test_forgetting_an_unknown_set_says_so() -> None:
    with pytest.raises(InputError, match="paper"):
        forget("paper")


def test_import_is_light() -> None:
    code = (
        "import sys, attention_motifs.features as f; f.features_of('paper');"
        "print([m for m in ('torch', 'numba', 'scipy', 'pandas') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_ranges_are_reached() -> None:
    """The bounds of a histogram's statistics are those of all mass in one bin."""
    ranges = {f.name: f.range for f in features_of("paper")}
    row = dict(zip(feature_names(), compute_features(np.ones((1, 1), np.float32)), strict=True))
    for statistic in ("variance", "skewness", "rms", "linreg.slope"):
        name = f"gram.row.hist.{statistic}"
        assert row[name] == pytest.approx(ranges[name][1], rel=1e-6)
    assert ranges["diag.kurtosis"] == (-2, math.inf)


def test_values_that_are_not_defined_stay_nan(registered: str) -> None:
    feature("own.undefined", set=registered)(lambda A: math.nan if A[1, 0] > 0 else 2)
    patterns = np.stack([np.eye(2), [[1, 0], [0.5, 0.5]]]).astype(np.float32)
    got = compute_features(patterns, registered)[:, 0]
    assert got[0] == 2
    assert np.isnan(got[1])
