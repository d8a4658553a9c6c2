"""A head as one HTML page without other files and scripts.

Every text goes through `notebook.shown`: names, tokens and prompts are data of strangers.
"""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attention_motifs.notebook import Markup, shown, table
from attention_motifs.viewer.packing import reduced_triangles

if TYPE_CHECKING:
    from attention_motifs.atlas.head_record import HeadRecord

_URL = re.compile(r"https?://[^\s\"'<>]+")

_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'"
)

_STYLE = """
.motifs-head { font: 14px/1.45 system-ui, sans-serif; color: #1b1f24; background: #fff;
  max-width: 1080px; }
.motifs-head h1 { font-size: 20px; margin: 0 0 4px; } .motifs-head h2 { font-size: 15px;
  margin: 20px 0 6px; }
.motifs-head table { border-collapse: collapse; } .motifs-head th { text-align: left;
  font-weight: 600; color: #57606a; }
.motifs-head th, .motifs-head td { padding: 2px 12px 2px 0; vertical-align: top; }
.motifs-head td.number { text-align: right; font-variant-numeric: tabular-nums; }
.motifs-head .muted { color: #57606a; }
.motifs-head img { width: 160px; height: 160px; image-rendering: pixelated;
  border: 1px solid #d0d7de; }
.motifs-head .scroll { overflow-x: auto; }
.motifs-head .prompt { max-width: 160px; font-size: 11px; max-height: 5.8em; overflow: hidden;
  overflow-wrap: anywhere; }
@media (prefers-color-scheme: dark) { body > .motifs-head { color: #e6edf3; background: #0d1117; }
  body > .motifs-head .muted, body > .motifs-head th { color: #9198a1; } }
"""


def page(record: HeadRecord) -> str:
    """Return the whole page: images are embedded, text is escaped, there is no script."""
    title = html.escape(record.head, quote=True)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<title>{title}</title>\n'
        "<style>body { margin: 24px; } @media (prefers-color-scheme: dark) "
        "{ body { background: #0d1117; } }</style>\n"
        f"</head><body>\n{fragment(record)}\n</body></html>\n"
    )


def fragment(record: HeadRecord, side: int | None = None) -> str:
    """Return the body of the page.

    Args:
        record: the head.
        side: largest number of rows of a picture; default: one for each token.
    """
    place = f"layer {record.layer}, head {record.index}; depth {record.depth:.2f}"
    parts = [
        f"<h1>{shown(record.head)}</h1>",
        f'<p class="muted">{shown(record.model)}: {place} (0 first layer, 1 last)</p>',
        _classes(record),
        _patterns(record, side),
        *(_neighbours(metric, record) for metric in record.neighbours),
        _scores(record),
        _features(record),
        _table("Settings", ["", ""], list(record.settings.items())),
    ]
    return f'<div class="motifs-head"><style>{_STYLE}</style>\n' + "\n".join(parts) + "\n</div>"


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table below its title."""
    return f'<h2>{html.escape(title)}</h2><div class="scroll">{table(columns, rows)}</div>'


def _classes(record: HeadRecord) -> str:
    if not record.tags and not any(v is not None for v in record.clusters.values()):
        return '<p class="muted">No class known from the literature.</p>'
    rows = [
        [tag["class"], _link(tag["paper"], tag["url"]), tag["evidence"], tag["note"],
         tag["conflict"]]
        for tag in record.tags
    ]  # fmt: skip
    clusters = ", ".join(f"{k}: {v}" for k, v in record.clusters.items() if v is not None)
    summary = f'<p class="muted">{shown(clusters)}</p>' if clusters else ""
    columns = ["class", "source", "evidence", "note", "conflict"]
    return summary + (_table("Classes", columns, rows) if rows else "")


def _link(title: str, url: str) -> Markup:
    if not _URL.fullmatch(url):
        return Markup(shown(title))
    href = html.escape(url, quote=True)
    return Markup(f'<a href="{href}" rel="noreferrer noopener">{shown(title)}</a>')


def _patterns(record: HeadRecord, side: int | None) -> str:
    if not record.prompts:
        return '<p class="muted">No patterns are kept for viewing in this atlas.</p>'
    head = "".join(
        f'<th><div class="prompt">{shown(i, 16)}<br>{shown(text)}</div></th>'
        for i, text in record.prompts
    )
    body = []
    for row in record.rows:
        images = "".join(
            f'<td><img alt="attention pattern of {html.escape(row.head, quote=True)}, '
            f'row = query" src="{png_url(packed, side)}"></td>'
            for packed in row.patterns
        )
        distance = "" if row.head == record.head else f"<br>distance {row.distance:.4g}"
        body.append(f"<tr><td>{shown(row.head)}{distance}</td>{images}</tr>\n")
    return (
        "<h2>Patterns: the head, then its nearest</h2>"
        '<p class="muted">Row = query, column = key; colours follow the square root of the '
        'weight.</p><div class="scroll"><table>'
        f"<tr><th></th>{head}</tr>\n{''.join(body)}</table></div>"
    )


def _neighbours(metric: str, record: HeadRecord) -> str:
    rows = [
        [x.rank, x.head, x.distance, x.percentile, x.p, x.class_text]
        for x in record.neighbours[metric]
    ]
    columns = ["rank", "head", "distance", "percentile among pairs of these two layers",
               "p of a k-th nearest this near by chance", "classes"]  # fmt: skip
    return _table(f"Nearest by {metric}", columns, rows)


def _scores(record: HeadRecord) -> str:
    if not record.scores:
        return ""
    rows = [[name, *values] for name, values in record.scores.items()]
    return _table(
        "Behaviour on repeated random tokens", ["score", "value", "spread", "meaning"], rows
    )


def _features(record: HeadRecord) -> str:
    rows = [
        [f.feature, f.mean, f.z, f.percentile, record.meanings[f.feature]] for f in record.features
    ]
    columns = ["feature", "mean", "z", "percentile", "what a large value looks like"]
    return _table("Most unusual features", columns, rows)


def png_url(packed: np.ndarray[Any, np.dtype[np.uint8]], side: int | None = None) -> str:
    """Return the data URL of a PNG of a packed lower triangle, transparent above the diagonal.

    Args:
        packed: lower triangle, as in the atlas.
        side: largest number of rows; a longer pattern is shown by the largest weight of each block.
    """
    from matplotlib import colormaps
    from PIL import Image

    n = (int(np.sqrt(8 * len(packed) + 1)) - 1) // 2
    if side is not None and n > side:
        packed, n = reduced_triangles(packed[None], n, side)[0], side
    # Index 0 is transparent, so the 256 steps of a weight share the other 255 colours.
    index = np.zeros((n, n), dtype=np.uint8)
    index[np.tril_indices(n)] = np.rint(1 + packed * (254 / 255)).astype(np.uint8)
    image = Image.fromarray(index)
    ramp = np.rint(255 * colormaps["viridis"](np.linspace(0, 1, 255))[:, :3]).astype(np.uint8)
    image.putpalette(bytes(3) + ramp.tobytes())
    file = io.BytesIO()
    image.save(file, format="PNG", transparency=0, optimize=False)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode("ascii")
