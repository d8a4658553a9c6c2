"""The report of one model: every head with its verdict, as one HTML page without requests."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.head_page import png_url
from attention_motifs.atlas.verdicts import Labels, head_labels
from attention_motifs.evaluation.class_probabilities import UNKNOWN
from attention_motifs.features.motif_definitions import MOTIFS
from attention_motifs.literature import COMPUTED_COLOURS, UNKNOWN_COLOUR, group_colours
from attention_motifs.notebook import shown
from attention_motifs.reports.model_labels import label_table
from attention_motifs.reports.page import html_table, number, page
from attention_motifs.store.atomic import atomic

if TYPE_CHECKING:
    import polars as pl

N_STRONGEST = 3
"""Heads shown of each class."""
N_UNLIKE = 10
"""Heads listed that resemble no labelled head."""
THIRDS = ("early", "middle", "late")
"""Thirds of a model's depth."""


@dataclass(frozen=True)
class ModelReport:
    """A model's heads with their verdicts, and what the page shows of them.

    Attributes:
        model: name of the model.
        metric: how heads are compared.
        table: one row per head, as `label_heads` returns it.
        counts: class, number of heads with this verdict by third of depth, and the share of the
            labelled heads of the other models in the class, in percent.
        unlike: heads farthest from any labelled head, farthest first.
        strongest: class, and its most probable heads.
    """

    model: str
    metric: str
    table: pl.DataFrame
    counts: list[tuple[str, tuple[int, int, int], float | None]]
    unlike: list[str]
    strongest: dict[str, list[str]]


def model_report(atlas: Atlas, model: str, metric: str | None = None) -> ModelReport:
    """Collect the report of a model.

    Args:
        atlas: with motif shares, and behaviour scores or known heads.
        model: one of its models.
        metric: how heads are compared; default: the best metric that the atlas stores.

    Raises:
        InputError: if the model is not in the atlas, or the metric is not known.
        AtlasError: if the atlas holds no motif shares, or a file is damaged.
    """
    metric = atlas.best_metric if metric is None else metric
    labels = head_labels(atlas)
    table = label_table(atlas, model, metric, labels)
    known = table.filter(table["verdict"] != UNKNOWN).sort("probability", descending=True)
    names = list(dict.fromkeys(known["verdict"].to_list()))
    far = table.filter(table["verdict"] == UNKNOWN).sort(
        "distance", descending=True, nulls_last=True
    )
    return ModelReport(
        model,
        metric,
        table,
        _counts(atlas, model, table, labels),
        far["head"].head(N_UNLIKE).to_list(),
        {
            name: known.filter(known["verdict"] == name)["head"].head(N_STRONGEST).to_list()
            for name in names
        },
    )


def _counts(
    atlas: Atlas, model: str, table: pl.DataFrame, labels: Labels
) -> list[tuple[str, tuple[int, int, int], float | None]]:
    n_layers = atlas.manifest.models[model].n_layers
    third = np.minimum(3 * table["layer"].to_numpy() // n_layers, 2)
    verdict = table["verdict"].to_numpy()
    others = labels.labelled & (atlas.heads["model"].to_numpy() != model)
    counts = []
    for name in [*labels.names, UNKNOWN]:
        here = [int(((verdict == name) & (third == t)).sum()) for t in range(3)]
        members = (
            ~labels.in_a_class if name == UNKNOWN else labels.members[:, labels.names.index(name)]
        )
        share = float(100 * members[others].mean()) if others.any() else None
        if sum(here) or share:
            counts.append((name, (here[0], here[1], here[2]), share))
    return counts


def write_report(atlas: Atlas, report: ModelReport, path: Path) -> list[Path]:
    """Write the page, and its table as CSV and JSON with the same name; return the files.

    Args:
        atlas: for the stored patterns.
        report: what to write.
        path: of the page; its folder exists.
    """
    import polars as pl

    flat = report.table.with_columns(pl.col("classes").list.join(", "))
    written = [path, path.with_suffix(".csv"), path.with_suffix(".json")]
    heads = json.dumps(report.table.to_dicts(), ensure_ascii=False, indent=1)
    texts = (report_page(atlas, report), flat.write_csv(), heads)
    for file, text in zip(written, texts, strict=True):
        with atomic(file) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return written


def report_page(atlas: Atlas, report: ModelReport) -> str:
    """Return the page; every text in it is escaped, images are embedded."""
    colours = {**group_colours(atlas.paths.own_classes), **COMPUTED_COLOURS}
    n_classes = sum(len(v) > 0 for v in report.strongest.values())
    n_known = int((report.table["verdict"] != UNKNOWN).sum())
    summary = (
        f"{n_known} of {len(report.table)} heads have a verdict, in {n_classes} classes; the "
        "others resemble no labelled head enough. Heads are compared by the metric "
        f"{report.metric}."
    )
    parts = [
        f"<h1>{shown(report.model)}</h1><p class='soft'>{html.escape(summary)}</p>",
        "<h2>Every head by its verdict</h2>",
        _map(report, colours),
        "<h2>Classes by depth, and in the other models</h2>",
        _counts_table(report, colours),
        "<h2>The strongest heads of each class</h2>",
        *(_strongest(atlas, report, name, heads) for name, heads in report.strongest.items()),
        "<h2>Heads that resemble nothing known</h2>",
        f"<p>{', '.join(shown(h) for h in report.unlike) or 'none'}</p>",
        "<h2>All heads</h2>",
        _heads_table(report),
    ]
    return page(f"Heads of {report.model}", parts)


def _colour(name: str, colours: dict[str, str]) -> str:
    return colours.get(name, UNKNOWN_COLOUR)


def _map(report: ModelReport, colours: dict[str, str]) -> str:
    by_place = {(r["layer"], r["index"]): r for r in report.table.iter_rows(named=True)}
    n_heads = 1 + max(index for _, index in by_place)
    lines = []
    for layer in range(1 + max(layer for layer, _ in by_place)):
        cells = []
        for index in range(n_heads):
            row = by_place.get((layer, index))
            if row is None:  # a layer of a hybrid without softmax attention
                cells.append("<td></td>")
                continue
            p = row["probability"]
            text = f"L{layer}:H{index} {row['verdict']}" + ("" if p is None else f" {p:.2f}")
            colour = _colour(row["verdict"], colours)
            label = html.escape(text, quote=True)
            cells.append(
                f'<td><a href="#L{layer}H{index}" title="{label}" aria-label="{label}" '
                f'style="background:{colour}"></a></td>'
            )
        lines.append(f"<tr><th>L{layer}</th>{''.join(cells)}</tr>")
    legend = "".join(
        f'<span style="margin-right:16px"><span class="swatch" '
        f'style="background:{_colour(name, colours)}"></span>{html.escape(name)}</span>'
        for name in [*report.strongest, UNKNOWN]
    )
    return f'<p>{legend}</p><div class="scroll"><table class="map">{"".join(lines)}</table></div>'


def _counts_table(report: ModelReport, colours: dict[str, str]) -> str:
    rows = []
    for name, here, share in report.counts:
        other = "" if share is None else f"{share:.1f} %"
        here_share = f"{100 * sum(here) / len(report.table):.1f} %"
        cells = "".join(f'<td class="n">{value}</td>' for value in (*here, here_share, other))
        swatch = f'<span class="swatch" style="background:{_colour(name, colours)}"></span>'
        rows.append(f"<tr><td>{swatch}{html.escape(name)}</td>{cells}</tr>")
    titles = ["class", *THIRDS, "of its heads", "of labelled heads of other models"]
    return html_table("", titles, rows)


def _strongest(atlas: Atlas, report: ModelReport, name: str, heads: list[str]) -> str:
    by_head = {row["head"]: row for row in report.table.iter_rows(named=True)}
    prompts = atlas.view_prompts()[:1]
    record = atlas.manifest.models[report.model]
    figures = []
    for head in heads:
        row = by_head[head]
        place = record.place_of(row["layer"], row["index"])
        images = "".join(
            f'<img alt="attention pattern of {html.escape(head, quote=True)}, row = query" src="'
            + png_url(atlas.triangles(report.model, prompt)[place])
            + '">'
            for prompt in prompts
        )
        caption = f"L{row['layer']}:H{row['index']}, probability {row['probability']:.2f}"
        figures.append(f"<figure>{images}<figcaption>{caption}</figcaption></figure>")
    return f"<h3>{html.escape(name)}</h3>{''.join(figures)}"


def _heads_table(report: ModelReport) -> str:
    titles = ["head", "verdict", "probability", "measured", "literature", "nearest labelled",
              "distance", *MOTIFS]  # fmt: skip
    rows = []
    for row in report.table.iter_rows(named=True):
        place = row["layer"] * 100_000 + row["index"]
        cells = [
            f'<td data-v="{place}">L{row["layer"]}:H{row["index"]}</td>',
            *(f"<td>{shown(text)}</td>" for text in (row["verdict"],)),
            number(row["probability"]),
            *(
                f"<td>{shown(text or '')}</td>"
                for text in (row["measured"], ", ".join(row["classes"]), row["nearest"])
            ),
            number(row["distance"]),
            *(number(row[f"{name} share"]) for name in MOTIFS),
        ]
        rows.append(f'<tr id="L{row["layer"]}H{row["index"]}">{"".join(cells)}</tr>')
    return html_table("heads", titles, rows, sort=True)
