"""Clusters of heads: methods, stability, composition and names."""

from __future__ import annotations

from attention_motifs.clustering.composition import composition, compositions, depth_terciles
from attention_motifs.clustering.export import clustering_json
from attention_motifs.clustering.linkage import UNCLUSTERED, cut, link
from attention_motifs.clustering.methods import (
    CLUSTERINGS,
    ON_NEIGHBOURS,
    Clustering,
    ClusteringMethod,
    bytes_of_all_pairs,
    cluster,
    cluster_neighbours,
)
from attention_motifs.clustering.names import (
    ClusterName,
    NamedClusters,
    add_names,
    carry_over,
    name_cluster,
    read_names,
    remove_name,
    write_names,
)
from attention_motifs.clustering.pattern_types import pattern_types_json, read_pattern_types
from attention_motifs.clustering.stability import Stability, adjusted_rand, stability
from attention_motifs.clustering.validity import Validity, one_gaussian, validity

__all__ = [
    "CLUSTERINGS",
    "ON_NEIGHBOURS",
    "UNCLUSTERED",
    "ClusterName",
    "Clustering",
    "ClusteringMethod",
    "NamedClusters",
    "Stability",
    "Validity",
    "add_names",
    "adjusted_rand",
    "bytes_of_all_pairs",
    "carry_over",
    "cluster",
    "cluster_neighbours",
    "clustering_json",
    "composition",
    "compositions",
    "cut",
    "depth_terciles",
    "link",
    "name_cluster",
    "one_gaussian",
    "pattern_types_json",
    "read_names",
    "read_pattern_types",
    "remove_name",
    "stability",
    "validity",
    "write_names",
]
