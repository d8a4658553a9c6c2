"""Export of projections, clusterings, tables and downloads."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.clustering import carry_over, read_names
from attention_motifs.errors import InputError
from attention_motifs.evaluation.table import Evaluation as EvaluationTable
from attention_motifs.evaluation.table import Row
from attention_motifs.site.contract import (
    Ablations,
    Clustering,
    ClusterValidity,
    Download,
    Evaluation,
    Projection,
)
from attention_motifs.site.output import DataFolder, finite
from attention_motifs.store import files

if TYPE_CHECKING:
    import polars as pl


def write_projections(atlas: Atlas, out: DataFolder) -> list[Projection]:
    """Write the coordinates of every projection of all heads in its scope.

    The list is empty if the stage has not run, or ran only before a model was added.
    """
    if not atlas.file("projections").is_file():
        return []
    rows = {head: i for i, head in enumerate(atlas.heads["head"].to_list())}
    model_of = atlas.heads["model"].to_numpy()
    keys = ["scope", "metric", "method", "n_neighbors", "n_components"]
    described: list[Projection] = []
    for key, part in atlas.projections.group_by(keys, maintain_order=True):
        scope, metric, method, n_neighbors, n_components = key
        n_expected = len(rows) if scope == "all" else int((model_of == scope).sum())
        if len(part) != n_expected or not set(part["head"]) <= rows.keys():
            continue  # made before a model was added
        part = part[np.argsort([rows[head] for head in part["head"]]).tolist()]
        axes = [part[axis].fill_null(float("nan")).to_numpy() for axis in "xyz"[:n_components]]
        file = f"projections/{len(described)}.bin"
        n_bytes = out.array(file, np.stack(axes), "float32")
        first = part.row(0, named=True)
        described.append(
            Projection(
                scope=str(scope),
                metric=str(metric),
                method=str(method),
                n_neighbors=int(n_neighbors),
                n_components=int(n_components),
                trustworthiness=finite(first["trustworthiness"]),
                continuity=finite(first["continuity"]),
                n_pieces=int(first["n_pieces"]),
                note=str(first["note"]),
                file=file,
                bytes=n_bytes,
            )
        )
    return described


def write_clusterings(atlas: Atlas, out: DataFolder) -> list[Clustering]:
    """Write the labels and trees of every clustering."""
    heads: list[str] = atlas.heads["head"].to_list()
    names = read_names(atlas.file("cluster_names").fetch())
    described: list[Clustering] = []
    for column in atlas.heads.columns:
        if not column.startswith("cluster (") or not column.endswith(")"):
            continue
        method = column.removeprefix("cluster (").removesuffix(")")
        record = files.read_json(atlas.file("clusters", method=method))
        labels = atlas.heads[column].fill_null(-1).to_numpy()
        tree = record.get("linkage")
        if tree is not None and len(tree) != len(heads) - 1:
            tree = None  # made before a model was added, whose heads are unclustered
        code = len(described)
        file, linkage = f"clusters/{code}-labels.bin", f"clusters/{code}-linkage.bin"
        out.array(file, labels, "int32")
        if tree is not None:
            out.array(linkage, np.array(tree, dtype=np.float64).reshape(-1, 4), "float32")
        stability = record.get("stability") or {}
        named = carry_over(names, heads, labels)
        described.append(
            Clustering(
                method=method,
                metric=str(record.get("metric") or ""),
                parameters=record["parameters"],
                labels=file,
                linkage=None if tree is None else linkage,
                names={str(number): name for number, name in sorted(named.names.items())},
                jaccard=[finite(c.get("jaccard")) for c in record["clusters"]],
                adjusted_rand_mean=finite(stability.get("adjusted_rand_mean")),
                adjusted_rand_spread=finite(stability.get("adjusted_rand_spread")),
                validity=_validity(record.get("validity")),
            )
        )
    return described


def _validity(record: dict[str, Any] | None) -> ClusterValidity | None:
    """Read the checks of a clustering; None if a field is missing."""
    names = [field.name for field in dataclasses.fields(ClusterValidity)]
    if record is None or not set(names) <= set(record):
        return None
    return ClusterValidity(**{name: record[name] for name in names})


def evaluation(atlas: Atlas) -> Evaluation | None:
    """Return the evaluation; None if it has not run, or is of an earlier version.

    Labels and classes with too few heads are in its rows, without numbers.
    """
    file = atlas.file("evaluation")
    if not file.is_file():
        return None
    value = files.read_json(file)
    try:
        record = EvaluationTable.from_json(value).to_json()
    except InputError as error:
        if EvaluationTable.is_earlier(value):
            return None
        raise files.damaged(file, file.fix_damaged, error) from error
    names = list(Row.__dataclass_fields__)
    unscored = dict.fromkeys(names) | {"statistic": "too few heads", "setting": "", "family": ""}
    rows = [
        {name: (unscored | row | {"metric": metric})[name] for name in names}
        for metric in record["metrics"]
        for row in record["too_few"]
    ]
    return Evaluation(
        metrics=record["metrics"],
        reference=record["reference"],
        answer=record["answer"],
        headline=record["headline"],
        tags=record["tags"],
        missing=record["missing"],
        rows=[Row(**row) for row in (*record["rows"], *rows)],
    )


def ablations(atlas: Atlas) -> Ablations | None:
    """Return the table of `motifs ablate`; None if nothing was ablated."""
    if not atlas.file("ablations").is_file():
        return None
    return Ablations({c.name: [_json(v) for v in c.to_list()] for c in atlas.ablations})


def _json(value: Any) -> Any:
    return finite(value) if isinstance(value, float) else value


def write_downloads(atlas: Atlas, out: DataFolder) -> list[Download]:
    """Write tables for other programs, as CSV and as Parquet or JSON."""
    import polars as pl

    tables: list[tuple[str, str, pl.DataFrame]] = [("heads", "Heads", atlas.heads)]
    if atlas.file("projections").is_file():
        tables.append(("projections", "Projections of heads", atlas.projections))
    if evaluated := evaluation(atlas):
        schema = dict.fromkeys(Row.__dataclass_fields__)
        table = pl.DataFrame(
            [vars(row) for row in evaluated.rows], schema=schema, infer_schema_length=None
        )
        tables.append(("evaluation", "Evaluation of metrics", table))
    if atlas.file("ablations").is_file():
        tables.append(("ablations", "Effects of ablations", atlas.ablations))
    described = []
    for name, title, table in tables:
        for kind in ("CSV", "Parquet"):
            file = f"downloads/{name}.{kind.lower()}"
            described.append(
                Download(file, f"{title} ({kind})", out.write_file(file, _writer(kind, table)))
            )
    if evaluated:
        file = "downloads/evaluation.json"
        data = atlas.file("evaluation").read_bytes()
        described.append(
            Download(file, "Evaluation of metrics (JSON)", out.write(file, data, compress=False))
        )
    return described


def _writer(kind: str, table: pl.DataFrame) -> Any:
    import polars as pl

    def write(path: Path) -> None:
        if kind == "Parquet":
            files.write_parquet(path, table)
            return
        lists = [name for name, dtype in table.schema.items() if isinstance(dtype, pl.List)]
        table.with_columns(pl.col(lists).list.join("; ")).write_csv(path)

    return write
