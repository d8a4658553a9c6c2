"""`motifs cluster`: cluster the heads of an atlas, and name clusters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from attention_motifs.atlas import Atlas
from attention_motifs.cli import options as o
from attention_motifs.cli.application import app
from attention_motifs.cli.console import print_error, print_line, print_table, report
from attention_motifs.errors import InputError

MethodOption = Annotated[
    str,
    typer.Option(
        "--method",
        metavar="METHOD",
        help="Clustering: average, complete, single, ward, hdbscan or leiden.",
    ),
]

NumberOption = Annotated[
    int | None,
    o.count_option("--number", "Number of clusters (hierarchical methods).", unset="16"),
]

HeightOption = Annotated[
    float | None,
    o.value_option(
        "--height",
        "DISTANCE",
        "Height of the cut of the tree, in place of --number (hierarchical methods).",
        min=0,
    ),
]

MinSizeOption = Annotated[
    int,
    o.count_option(
        "--min-size", "Smallest cluster, in heads; heads of smaller ones are in no cluster."
    ),
]

NeighborsOption = Annotated[
    int | None,
    o.count_option("--neighbors", "Number of neighbours per head (leiden).", unset="16"),
]

ResolutionOption = Annotated[
    float | None,
    o.value_option(
        "--resolution", "X", "Resolution; larger gives more clusters (leiden).", unset="1.0", min=0
    ),
]

RoundsOption = Annotated[
    int,
    o.count_option(
        "--rounds",
        "Number of random halves of the prompts to measure stability on; 0 for none.",
        least=0,
    ),
]

SeedOption = Annotated[int, o.seed_option("the random halves, and for leiden")]

NameOption = Annotated[
    str | None,
    o.value_option(
        "--name", "NUMBER=NAME", "Name to give to a cluster of the last run of this method."
    ),
]

NamesOption = Annotated[
    Path | None,
    o.value_option(
        "--names",
        "FILE",
        "File of named pattern types (JSON) whose names the clusters inherit.",
        unset="none",
    ),
]

ExportOption = Annotated[
    Literal["pattern-types"] | None,
    typer.Option(
        "--export",
        help="Also write the clusters as named pattern types, the JSON of the paper's authors.",
        show_default="not written",
    ),
]

OutOption = Annotated[
    Path | None,
    o.value_option("--out", "FILE", "File to write with --export.", unset="pattern_types.json"),
]


@app.command()
def cluster(
    atlas: o.AtlasOption = None,
    method: MethodOption = "average",
    metric: o.MetricOption = "mean",
    number: NumberOption = None,
    height: HeightOption = None,
    min_size: MinSizeOption = 1,
    neighbors: NeighborsOption = None,
    resolution: ResolutionOption = None,
    rounds: RoundsOption = 20,
    seed: SeedOption = 0,
    name: NameOption = None,
    names: NamesOption = None,
    export: ExportOption = None,
    out: OutOption = None,
) -> None:
    """Cluster the heads, and measure how stable the clusters are.

    Examples:
      motifs cluster --number 12
      motifs cluster --method hdbscan --min-size 4 --metric cosine
      motifs cluster --name 3='induction-like'
      motifs cluster --export pattern-types --out pattern_types.json
      motifs cluster --names pattern_types.json
    """
    from attention_motifs.stages.cluster import cluster as run_cluster
    from attention_motifs.stages.cluster import export_pattern_types, import_names

    given = {
        "--number": number,
        "--height": height,
        "--neighbors": neighbors,
        "--resolution": resolution,
    }
    _check_cluster_options(method, given)
    _check_files(name, {"--names": names, "--export": export, "--out": out})
    parameters: dict[str, Any] = {"min_size": min_size}
    if neighbors is not None:
        parameters["n_neighbors"] = neighbors
    if resolution is not None:
        parameters["resolution"] = resolution
    folder = o.find_atlas(atlas)
    opened = Atlas.open(folder)
    if name is not None:
        _name_cluster(opened, method, name)
        return
    imported = () if names is None else import_names(opened, names)
    clusters = run_cluster(
        opened,
        method=method,
        metric=metric,
        n_clusters=number,
        height=height,
        n_rounds=rounds,
        seed=seed,
        report=report,
        **parameters,
    )
    _print_clusters(opened, method, clusters)
    if imported:
        names_of_file = {entry.name for entry in imported}
        fitting = sum(given in names_of_file for given in clusters.names.names.values())
        print_line(f"{fitting} of the {len(imported)} names of {names} fit a cluster.")
        known = set(opened.heads["head"].to_list())
        absent = {head for entry in imported for head in entry.members if head not in known}
        if absent:
            print_line(f"Of their heads, {len(absent)} are not in this atlas.")
    if export is not None:
        path = out or Path("pattern_types.json")
        export_pattern_types(opened, clusters, path)
        print_line(f"Pattern types: {path}")


def _name_cluster(atlas: Atlas, method: str, name: str) -> None:
    from attention_motifs.stages.cluster import name_cluster

    number, equals, text = name.partition("=")
    if not equals or not number.strip().isdecimal():
        raise InputError(f"--name {name!r}: write NUMBER=NAME, such as 3=induction-like")
    name_cluster(atlas, method, int(number), text)
    print_line(f"Cluster {number.strip()} by {method} is named {text!r}.")


def _check_files(name: str | None, options: dict[str, Any]) -> None:
    """Refuse options for files that would have no effect.

    Raises:
        InputError: if there is one.
    """
    given = [option for option, value in options.items() if value is not None]
    if name is not None and given:
        raise InputError(
            f"{given[0]} has no effect with --name, which names a cluster of the last run. Leave "
            "one of them out"
        )
    if "--out" in given and "--export" not in given:
        raise InputError(
            f"--out {options['--out']} has no effect alone. Add --export pattern-types"
        )


def _check_cluster_options(method: str, options: dict[str, float | None]) -> None:
    """Refuse options that a method would ignore.

    Raises:
        InputError: if there is one.
    """
    from attention_motifs.clustering import CLUSTERINGS

    trees = [name for name in CLUSTERINGS if name not in ("hdbscan", "leiden")]
    methods = {"--number": trees, "--height": trees}
    for option, value in options.items():
        fitting = methods.get(option, ["leiden"])
        if value is not None and method in CLUSTERINGS and method not in fitting:
            raise InputError(
                f"{option} {value:g} has no effect with --method {method}: it is for "
                f"{', '.join(fitting)}. Leave it out"
            )


_SHOWN = 3
"""Heads named per cluster."""


def _print_validity(clusters: Any) -> None:
    """Print whether the clusters are more stable than those of data without clusters."""
    valid = clusters.validity
    if valid.warning:
        print_error(valid.warning, start="warning: ")
    if clusters.stability is None:
        return
    if valid.reference_draws == 0:
        print_line("One Gaussian without clusters: the method finds no clusters, or one dominates.")
    if valid.reference is not None:
        beyond = clusters.stability.mean > valid.reference_largest
        print_line(
            f"One Gaussian without clusters: {valid.reference:.2f} (largest of its draws "
            f"{valid.reference_largest:.2f}). The stability is "
            + ("above it." if beyond else "no evidence of clusters.")
        )
        n_clusters = clusters.clustering.n_clusters
        print_line(
            f"Clusters with a stability of 0.75 or more: {valid.stable_clusters} of {n_clusters}; "
            f"of the Gaussian {valid.reference_stable_share:.0%}."
        )
    agreements = {
        "two disjoint halves of the prompts": valid.disjoint_halves,
        "two halves without a common source": valid.disjoint_sources,
        "disjoint halves of the Gaussian": valid.reference_halves,
        "other seeds": valid.seeds,
    }
    listed = [f"{name} {value:.2f}" for name, value in agreements.items() if value is not None]
    if listed:
        print_line(f"Agreement (adjusted Rand index): {', '.join(listed)}.")


def _print_clusters(atlas: Atlas, method: str, clusters: Any) -> None:
    labels = clusters.clustering.labels.tolist()
    members: dict[int, list[str]] = {}
    for head, number in zip(atlas.heads["head"].to_list(), labels, strict=True):
        members.setdefault(number, []).append(head)
    rows = []
    for number, size in enumerate(clusters.clustering.sizes.tolist()):
        stability = float(clusters.stability.jaccard[number]) if clusters.stability else None
        examples = ", ".join(members[number][:_SHOWN]) + (", ..." if size > _SHOWN else "")
        rows.append([number, clusters.names.names.get(number, ""), size, stability, examples])
    print_table(
        f"Clusters by {method}", ["cluster", "name", "heads", "stability", "examples"], rows
    )
    if n_outside := labels.count(-1):
        print_line(f"{n_outside} heads are in no cluster.")
    if clusters.stability:
        print_line(
            f"Stability over {len(clusters.stability.adjusted_rand)} random halves of the "
            f"prompts: adjusted Rand index {clusters.stability.mean:.2f} (standard deviation "
            f"{clusters.stability.spread:.2f})"
        )
    _print_validity(clusters)
    print_line(f"Written to {atlas.path / 'clusters'}.")
