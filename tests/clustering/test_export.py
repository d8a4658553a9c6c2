from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from attention_motifs.clustering import (
    Clustering,
    ClusterName,
    carry_over,
    cluster,
    clustering_json,
    cut,
    stability,
    validity,
)
from attention_motifs.errors import InputError

HEADS = ["m:L0:H0", "m:L0:H1", "m:L1:H0", "m:L1:H1", "m:L2:H0"]
POINTS = np.array([[0.0], [1.0], [9.0], [10.0], [50.0]])
D = np.abs(POINTS - POINTS.T)


def as_json(clustering: Clustering, **more: Any) -> Any:
    """Return the JSON value of a clustering as it is read back."""
    return json.loads(json.dumps(clustering_json(clustering, HEADS, **more)))


def test_the_json_holds_what_is_needed_to_cut_again() -> None:
    clustering = cluster(D, n_clusters=3, min_size=2)
    names = carry_over([ClusterName("low", tuple(HEADS[:2]), ("m",))], HEADS, clustering.labels)
    stable = stability(clustering, lambda _: D, 4, n_rounds=2)
    value = as_json(clustering, names=names, stability=stable, metric="mean")
    assert value["clusters"][0] == {
        "cluster": 0,
        "name": "low",
        "size": 2,
        "heads": HEADS[:2],
        "jaccard": 1.0,
    }
    assert value["clusters"][1]["name"] is None
    assert value["unclustered"] == HEADS[4:]
    assert value["heads"] == HEADS
    assert value["metric"] == "mean"
    assert value["stability"]["adjusted_rand_mean"] == 1.0
    assert value["validity"] is None
    checks = validity(clustering, stable, lambda _: D, ["a", "a", "b", "b"])
    value_of_checks = as_json(clustering, stability=stable, validity=checks)["validity"]
    assert value_of_checks == checks.to_json()
    assert checks.disjoint_sources == 1.0
    again = cut(np.array(value["linkage"]), n_clusters=3, min_size=2)
    assert np.array_equal(again, clustering.labels)
    assert value["parameters"] == {"n_clusters": 3, "height": None, "min_size": 2}


def test_without_names_and_stability() -> None:
    value = clustering_json(cluster(D, method="hdbscan", min_size=3), HEADS)
    assert value["linkage"] is None
    assert value["stability"] is None
    assert value["clusters"] == []
    assert value["unclustered"] == HEADS
    json.dumps(value, allow_nan=False)


def test_heads_must_fit() -> None:
    with pytest.raises(InputError, match="4 heads, 5 labels"):
        clustering_json(cluster(D, n_clusters=2), HEADS[1:])
