from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from attention_motifs.clustering import (
    ClusterName,
    carry_over,
    cluster,
    clustering_json,
    cut,
    export_clustering,
    stability,
    validity,
)
from attention_motifs.errors import InputError

HEADS = ["m:L0:H0", "m:L0:H1", "m:L1:H0", "m:L1:H1", "m:L2:H0"]
POINTS = np.array([[0.0], [1.0], [9.0], [10.0], [50.0]])
D = np.abs(POINTS - POINTS.T)


def test_the_file_holds_what_is_needed_to_cut_again(tmp_path: Path) -> None:
    found = cluster(D, n_clusters=3, min_size=2)
    names = carry_over([ClusterName("low", tuple(HEADS[:2]), ("m",))], HEADS, found.labels)
    path = tmp_path / "clusters.json"
    stable = stability(found, lambda _: D, 4, n_rounds=2)
    export_clustering(path, found, HEADS, names=names, stability=stable, metric="mean")
    value = json.loads(path.read_text())
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
    checks = validity(found, stable, lambda _: D, ["a", "a", "b", "b"])
    export_clustering(path, found, HEADS, stability=stable, validity=checks)
    assert json.loads(path.read_text())["validity"] == checks.to_json()
    assert checks.disjoint_sources == 1.0
    again = cut(np.array(value["linkage"]), n_clusters=3, min_size=2)
    assert np.array_equal(again, found.labels)
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
