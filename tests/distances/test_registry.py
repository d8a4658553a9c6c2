from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from attention_motifs.distances import Metric, get_metric, metric_names, register_metric
from attention_motifs.distances.registry import _METRICS
from attention_motifs.errors import InputError
from attention_motifs.store.presets import PRESETS

EXPECTED = (
    "mean",
    "cosine",
    "natural",
    "recommended",
    "probes",
    "tokens",
    "centroid",
    "wasserstein",
    "sliced-wasserstein",
    "energy",
    "gromov-wasserstein",
)


def test_the_metrics_of_the_design_are_there() -> None:
    assert set(EXPECTED) <= set(metric_names())
    assert set(EXPECTED) - set(PRESETS) <= set(metric_names("embedding"))
    for preset in PRESETS:
        assert metric_names(preset) == [preset]


def test_a_metric_is_given_back_as_it_is() -> None:
    metric = get_metric("energy")
    assert get_metric(metric) is metric


@pytest.mark.parametrize(
    ("name", "hint"), [("cosin", "cosine"), ("wassertein", "wasserstein"), ("zzz", "mean, cosine")]
)
def test_an_unknown_name_offers_near_ones(name: str, hint: str) -> None:
    with pytest.raises(InputError, match=f"'{name}'.*{hint}") as caught:
        get_metric(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("metric", [None, 3, ["mean"], ("mean", "cosine"), {"mean": 1}])
def test_other_kinds_of_values_are_no_metric(metric: Any) -> None:
    with pytest.raises(InputError):
        get_metric(metric)


def test_a_name_is_registered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = dataclasses.replace(get_metric("cosine"), name="mine", space="natural")
    monkeypatch.setitem(_METRICS, "mine", mine)
    assert get_metric("mine") is mine
    assert "mine" in metric_names("natural")
    assert "mine" not in metric_names("embedding")
    with pytest.raises(InputError):
        register_metric(mine)


def test_registering_adds_a_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attention_motifs.distances.registry._METRICS", {})
    metric = register_metric(dataclasses.replace(get_metric_before(), name="mine"))
    assert metric_names() == ["mine"]
    assert get_metric("mine") is metric


def get_metric_before() -> Metric:
    return _METRICS["mean"]
