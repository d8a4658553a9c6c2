"""Everything that an atlas holds about one head."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.atlas.head_distances import head_distances_of, stored_distances
from attention_motifs.atlas.queries import (
    FeatureOfHead,
    NearHead,
    near,
    unusual_features,
)
from attention_motifs.literature.behaviours import class_text, measured_classes

if TYPE_CHECKING:
    from jaxtyping import UInt8

    from attention_motifs.atlas.folder import AtlasFolder
    from attention_motifs.head import HeadId

DEFAULT_METRICS = ("mean", "cosine")

_SIDE_IN_NOTEBOOKS = 64
"""Largest number of rows of a pattern in a notebook, so that a stored cell stays small."""


@dataclass(frozen=True)
class PatternRow:
    """The patterns of a head on the prompts shown."""

    head: str
    distance: float
    """Distance from the head of the record, by the first metric."""
    patterns: tuple[UInt8[np.ndarray, " entries"], ...]
    """Packed lower triangles, as in the atlas; see `triangles.pack_triangles`."""


@dataclass(frozen=True, repr=False)
class HeadRecord:
    """A head: position, classes, scores, features, neighbours and patterns.

    Notebooks show it as a page.
    """

    head: str
    model: str
    layer: int
    index: int
    depth: float
    scores: dict[str, tuple[float | None, float | None, str]]
    """Behaviour score -> its value, spread and meaning."""
    tags: list[dict[str, str]]
    """Classes in the literature: class, paper, url, evidence, note, conflict."""
    clusters: dict[str, int | None]
    """Clustering -> the cluster of the head."""
    features: list[FeatureOfHead]
    """Features in which it differs most from all heads."""
    meanings: dict[str, str]
    """Feature -> what a large value looks like."""
    neighbours: dict[str, list[NearHead]]
    """Metric -> neighbours, nearest first."""
    prompts: list[tuple[str, str]]
    """Id and text of the prompts shown."""
    rows: list[PatternRow]
    """The head, then its nearest heads."""
    settings: dict[str, str]
    """Settings of the atlas."""
    distances: dict[str, list[tuple[str, float]]]
    """Metric -> distance to every other head, in the order of the atlas."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object without the patterns, and with the nearest heads only."""
        value = {k: v for k, v in vars(self).items() if k not in ("rows", "distances")}
        value["scores"] = {
            name: {"score": score, "spread": spread, "meaning": meaning}
            for name, (score, spread, meaning) in self.scores.items()
        }
        value["features"] = [asdict(f) for f in self.features]
        value["neighbours"] = {m: [n.to_json() for n in nearest] for m, nearest in
                               self.neighbours.items()}  # fmt: skip
        value["prompts"] = [{"prompt_id": i, "text": text} for i, text in self.prompts]
        return value

    def to_csv(self) -> str:
        """Return the distances to all other heads as CSV: head, distance and rank per metric."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        metrics = list(self.distances)
        writer.writerow(["head", *(f"{m}{part}" for m in metrics for part in ("", " rank"))])
        ranks = {m: _ranks([d for _, d in self.distances[m]]) for m in metrics}
        names = [head for head, _ in next(iter(self.distances.values()), [])]
        for i, name in enumerate(names):
            cells: list[object] = [name]
            for m in metrics:
                cells += [f"{self.distances[m][i][1]:.7g}", ranks[m][i]]
            writer.writerow(cells)
        return out.getvalue()

    def __repr__(self) -> str:
        measured = measured_classes({name: score for name, (score, *_) in self.scores.items()})
        classes = class_text(list(dict.fromkeys(tag["class"] for tag in self.tags)), measured)
        nearest = [f"{x[0].head} ({x[0].distance:.3g} by {m})" for m, x in self.neighbours.items()
                   if x]  # fmt: skip
        parts = [f"depth {self.depth:.2f}", classes, f"nearest {nearest[0]}" if nearest else ""]
        return f"<Head {self.head}: {'; '.join(filter(None, parts))}>"

    def _repr_html_(self) -> str:
        from attention_motifs.atlas.head_page import fragment

        return fragment(self, _SIDE_IN_NOTEBOOKS)


def _ranks(distances: list[float]) -> list[int]:
    order = np.argsort(np.array(distances), kind="stable")
    ranks = np.empty(len(distances), dtype=int)
    ranks[order] = np.arange(1, len(distances) + 1)
    return ranks.tolist()


def head_record(
    atlas: AtlasFolder,
    head: str | HeadId,
    *,
    n: int = 5,
    n_prompts: int = 4,
    metrics: tuple[str, ...] | None = None,
) -> HeadRecord:
    """Collect everything that the atlas holds about a head.

    Args:
        atlas: an atlas with an embedding.
        head: a head in any spelling.
        n: number of neighbours per metric, whose patterns are shown too.
        n_prompts: number of prompts shown.
        metrics: metrics (default: those of mean and cosine in the atlas, or all others).

    Raises:
        InputError: if the head or a metric is not known.
        AtlasError: if a stage has not run, or a file is damaged.
    """
    from attention_motifs.features import feature_sets, features_of

    query = atlas.head_index(head)
    row = atlas.heads.row(query, named=True)
    stored = stored_distances(atlas)
    defaults = tuple(m for m in DEFAULT_METRICS if m in stored)
    chosen = metrics or defaults or tuple(stored) or ("mean",)
    neighbours = {metric: near(atlas, row["head"], n, metric) for metric in chosen}
    unusual = unusual_features(atlas, row["head"], 10)
    known = {f.name: f.large for s in feature_sets() for f in features_of(s)}
    shown = atlas.view_prompts()[:n_prompts]
    texts = dict(atlas.prompts.select("prompt_id", "text").iter_rows())
    names: list[str] = atlas.heads["head"].to_list()
    return HeadRecord(
        head=row["head"],
        model=row["model"],
        layer=row["layer"],
        index=row["index"],
        depth=float(row["depth"]),
        scores=_scores(row),
        tags=_tags(atlas, row["model"], row["head"]),
        clusters={k: row[k] for k in row if k.startswith("cluster (")},
        features=unusual,
        meanings={f.feature: known.get(f.feature, "") for f in unusual},
        neighbours=neighbours,
        prompts=[(i, texts[i]) for i in shown],
        rows=_pattern_rows(atlas, row["head"], neighbours[chosen[0]], shown),
        settings=_settings(atlas),
        distances={
            metric: [
                (name, float(d))
                for i, (name, d) in enumerate(
                    zip(names, head_distances_of(atlas, metric).row(query), strict=True)
                )
                if i != query
            ]
            for metric in chosen
        },
    )


def _scores(row: dict[str, Any]) -> dict[str, tuple[float | None, float | None, str]]:
    from attention_motifs.literature.behaviours import BEHAVIOURS

    return {
        name: (row[name], row.get(f"{name} spread"), meaning)
        for name, meaning in BEHAVIOURS.items()
        if row.get(name) is not None
    }


def _tags(atlas: AtlasFolder, model: str, head: str) -> list[dict[str, str]]:
    from attention_motifs.literature import known_heads

    columns = ("class", "paper", "url", "evidence", "note", "conflict")
    return [
        {name: row[name] for name in columns}
        for row in known_heads(model, atlas.paths.own_classes).iter_rows(named=True)
        if row["head"] == head
    ]


def _pattern_rows(
    atlas: AtlasFolder, head: str, nearest: list[NearHead], prompts: list[str]
) -> list[PatternRow]:
    rows = []
    for name, distance in [(head, 0.0), *((x.head, x.distance) for x in nearest)]:
        row = atlas.heads.row(atlas.head_index(name), named=True)
        place = atlas.manifest.models[row["model"]].place_of(row["layer"], row["index"])
        patterns = tuple(
            np.array(atlas.triangles(row["model"], prompt)[place]) for prompt in prompts
        )
        rows.append(PatternRow(name, distance, patterns))
    return rows


def _settings(atlas: AtlasFolder) -> dict[str, str]:
    c = atlas.manifest.configuration
    return {
        "models": ", ".join(atlas.models),
        "prompts": f"{atlas.manifest.prompts['n']} of {c.prompts}, at most {c.max_tokens} tokens",
        "features": ", ".join(c.feature_sets),
        "made by": f"attention-motifs {atlas.manifest.package_version}",
    }
