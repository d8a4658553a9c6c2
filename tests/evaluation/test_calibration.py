from __future__ import annotations

import numpy as np
import pytest

from attention_motifs.evaluation.calibration import EDGES, calibration, reliability


def test_probabilities_that_are_right_are_calibrated() -> None:
    rng = np.random.default_rng(0)
    p = rng.random(20_000)
    for b in reliability(p, rng.random(20_000) < p):
        assert b.observed == pytest.approx(b.predicted, abs=0.03)
        assert b.low <= b.predicted <= b.high


def test_every_probability_is_in_one_bin() -> None:
    p = np.array([*EDGES, 0.5, 0.999])
    assert sum(b.n for b in reliability(p, p > 0.5)) == len(p)
    assert reliability(np.zeros((0, 2)), np.zeros((0, 2), dtype=bool)) == ()


def test_verdicts_are_counted_by_hand() -> None:
    members = np.array([[True, False], [False, False], [False, True], [True, True]])
    p = np.array([[0.9, 0.0], [0.1, 0.1], [0.85, 0.1], [0.3, 0.6]])
    result = calibration(p, members, members.mean(axis=0))
    assert result.accuracy == pytest.approx(3 / 4)  # the third is taken for the first class
    assert result.always_unknown == pytest.approx(1 / 4)
    assert (result.n_sure, result.sure_and_right) == (2, 0.5)
    assert result.brier == pytest.approx(((p - members) ** 2).mean())
    assert result.brier_of_shares == pytest.approx(0.25)
    none = calibration(np.zeros((2, 1)), np.zeros((2, 1), dtype=bool), np.zeros(1))
    assert (none.accuracy, none.n_sure) == (1.0, 0)
    assert np.isnan(none.sure_and_right)
