"""The report of heads through training, as one HTML page without requests."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

from attention_motifs.atlas.training_track import Appearance, Track
from attention_motifs.literature import COMPUTED_COLOURS, UNKNOWN_COLOUR, group_colours
from attention_motifs.literature.behaviours import CLASS_THRESHOLDS
from attention_motifs.notebook import shown
from attention_motifs.reports.page import html_table, page
from attention_motifs.store.atomic import atomic

_STYLE = """
<style>
input[type=range] { width: 100%; max-width: 640px; }
.plot { width: 100%; max-width: 640px; height: auto; border: 1px solid var(--line); }
.plot text { font: 11px system-ui, sans-serif; fill: var(--soft); }
.runs { display: flex; flex-wrap: wrap; gap: 24px; }
.versions td span { display: block; min-width: 44px; padding: 2px 4px; text-align: center;
  border: 2px solid var(--line); font-variant-numeric: tabular-nums; }
</style>
"""

_SCRIPT = """
<script>
const data = JSON.parse(document.getElementById('track').textContent);
const slider = document.getElementById('step'), pick = document.getElementById('class');
const svg = (name, attributes) => {
  const node = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
};
const last = (steps, step) => steps.reduce((k, s, i) => (s <= step ? i : k), 0);
const best = (head, k) => {
  let name = null, most = 0;
  for (const [key, scores] of Object.entries(head.scores)) {
    const over = scores[k] / data.thresholds[key];
    if (over >= 1 && over > most) { most = over; name = key; }
  }
  return name;
};
const W = 640, H = 240, PAD = 32;
function lines(step) {
  const plot = document.getElementById('scores'), name = pick.value;
  const end = Math.max(...data.runs.map((r) => r.steps.at(-1))) || 1;
  const x = (s) => PAD + (W - 2 * PAD) * s / end, y = (v) => H - PAD - (H - 2 * PAD) * v;
  plot.replaceChildren();
  for (const v of [0, 0.5, 1]) {
    const label = svg('text', { x: 4, y: y(v) + 4 });
    label.textContent = v;
    plot.append(svg('line', { x1: PAD, x2: W - PAD, y1: y(v), y2: y(v), stroke: 'currentColor',
      'stroke-opacity': 0.15 }), label);
  }
  const limit = data.thresholds[name];
  plot.append(svg('line', { x1: PAD, x2: W - PAD, y1: y(limit), y2: y(limit),
    stroke: 'currentColor', 'stroke-dasharray': '4 4' }));
  for (const head of data.heads) {
    const run = data.runs.find((r) => r.name === head.run), scores = head.scores[name];
    if (!scores) continue;
    const points = scores.map((v, i) => `${x(run.steps[i])},${y(v)}`).join(' ');
    const line = svg('polyline', { points, fill: 'none', stroke: data.colours[name],
      'stroke-width': 1.5, 'stroke-opacity': scores.at(-1) >= limit ? 1 : 0.35 });
    const title = svg('title', {});
    title.textContent = `${head.run} ${head.head}: ${scores.at(-1).toFixed(2)} at the end`;
    line.append(title);
    plot.append(line);
  }
  plot.append(svg('line', { x1: x(step), x2: x(step), y1: PAD / 2, y2: H - PAD,
    stroke: 'currentColor' }));
  const label = svg('text', { x: W - PAD, y: H - 8, 'text-anchor': 'end' });
  label.textContent = `step ${end}`;
  plot.append(label);
}
function map(step) {
  const plot = document.getElementById('map'), all = data.heads.flatMap((h) => h.positions);
  const ends = (values) => [Math.min(...values), Math.max(...values)];
  const range = [0, 1].map((d) => ends(all.map((p) => p[d])));
  const at = (p) => [0, 1].map((d) => {
    const [low, high] = range[d], size = d ? 480 : W;
    return PAD + (size - 2 * PAD) * (high > low ? (p[d] - low) / (high - low) : 0.5);
  });
  plot.replaceChildren();
  for (const head of data.heads) {
    const run = data.runs.find((r) => r.name === head.run), k = last(run.steps, step);
    const name = best(head, k), colour = name ? data.colours[name] : data.unknown;
    const points = head.positions.slice(0, k + 1).map(at);
    plot.append(svg('polyline', { points: points.map((p) => p.join(',')).join(' '), fill: 'none',
      stroke: colour, 'stroke-opacity': 0.4 }));
    const dot = svg('circle', { cx: points[k][0], cy: points[k][1], r: 5, fill: colour });
    const title = svg('title', {});
    title.textContent = `${head.run} ${head.head}: ${name ?? 'no class'}`;
    dot.append(title);
    plot.append(dot);
  }
}
function grid(step) {
  for (const cell of document.querySelectorAll('.versions td span')) {
    const head = data.heads[Number(cell.dataset.head)];
    const run = data.runs.find((r) => r.name === head.run), k = last(run.steps, step);
    const name = best(head, k);
    cell.style.borderColor = name ? data.colours[name] : '';
    cell.textContent = name ? head.scores[name][k].toFixed(2) : '·';
    cell.title = `${head.run} ${head.head} at step ${run.steps[k]}: ${name ?? 'no class'}`;
  }
}
const steps = [...new Set(data.runs.flatMap((r) => r.steps))].sort((a, b) => a - b);
slider.max = steps.length - 1;
slider.value = steps.length - 1;
function draw() {
  const step = steps[Number(slider.value)];
  document.getElementById('now').textContent = `step ${step}`;
  lines(step); map(step); grid(step);
}
slider.addEventListener('input', draw);
pick.addEventListener('change', draw);
draw();
</script>
"""


def write_track_page(track: Track, path: Path) -> Path:
    """Write the page of heads through training; return its path.

    Args:
        track: result of `attention_motifs.track`.
        path: of the page; its folder exists.
    """
    with atomic(path) as temporary:
        temporary.write_text(track_page(track), encoding="utf-8")
    return path


def track_page(track: Track) -> str:
    """Return the page; every text in it is escaped."""
    names = list(dict.fromkeys(a.name for a in track.appearances))
    present = [name for name in names if any(a.heads for a in track.appearances if a.name == name)]
    options = "".join(f"<option>{html.escape(name)}</option>" for name in present or names)
    legend = " ".join(
        f'<span class="swatch" style="background:{_colours()[name]}"></span>{html.escape(name)}'
        for name in names
    )
    parts = [
        _STYLE,
        f"<h1>Heads through training</h1><p>{html.escape(track.sentence)}</p>",
        '<p><label>Version <input type="range" id="step" min="0" value="0"></label> '
        '<output id="now"></output></p>',
        f"<p>{legend}</p><h2>Class of every head, with its score</h2>",
        f'<div class="runs">{_grids(track)}</div>',
        '<h2>Scores</h2><p class="soft">A line per head; dashed: the smallest score of the class.'
        f'</p><p><label>Class <select id="class">{options}</select></label></p>'
        '<svg class="plot" id="scores" viewBox="0 0 640 240" role="img" '
        'aria-label="Score of every head by step"></svg>',
        '<h2>Map</h2><p class="soft">A dot per head: its mean pattern embedding at this version, '
        "with its path since the first. The axes are the first two principal components of all "
        f"versions, {100 * track.map_share:.0f} % of the variance.</p>"
        '<svg class="plot" id="map" viewBox="0 0 640 480" role="img" '
        'aria-label="Mean pattern embedding of every head"></svg>',
        "<h2>When classes appear</h2>",
        '<p class="soft">The first version from which on there is a head of the class. The range '
        "is with every score larger and smaller by its standard deviation over sequences.</p>",
        html_table(
            "", ["run", "class", "step", "range", "heads at the end", "largest score"],
            [_appearance(a) for a in track.appearances if a.name in (present or names)],
        ),
        *_matches(track),
        f'<script type="application/json" id="track">{_data(track)}</script>',
        _SCRIPT,
    ]  # fmt: skip
    return page("Heads through training", parts)


def _colours() -> dict[str, str]:
    known = {**group_colours(), **COMPUTED_COLOURS}
    return {name: known.get(name, UNKNOWN_COLOUR) for name in CLASS_THRESHOLDS}


def _data(track: Track) -> str:
    """Return the data of the script; `<` is escaped, so that no text ends the element."""
    data: dict[str, Any] = {
        "runs": [{"name": run.name, "steps": run.steps} for run in track.runs],
        "heads": [
            {
                "run": p.run,
                "head": p.head,
                "scores": {k: [round(v, 4) for v in values] for k, values in p.scores.items()},
                "positions": [[round(v, 4) for v in point] for point in p.positions],
            }
            for p in track.paths
        ],
        "thresholds": CLASS_THRESHOLDS,
        "colours": _colours(),
        "unknown": UNKNOWN_COLOUR,
    }
    return json.dumps(data, allow_nan=False).replace("<", "\\u003c")


def _grids(track: Track) -> str:
    tables = []
    for run in track.runs:
        layers: dict[str, list[str]] = {}
        for number, path in enumerate(track.paths):
            if path.run == run.name:
                layer = path.head.partition(":")[0]
                layers.setdefault(layer, []).append(
                    f'<td><span data-head="{number}" aria-label="{html.escape(path.head)}"></span>'
                    "</td>"
                )
        rows = "".join(f"<tr><th>{name}</th>{''.join(c)}</tr>" for name, c in layers.items())
        tables.append(
            f'<div class="scroll"><b>{shown(run.name)}</b><table class="versions">{rows}</table>'
            "</div>"
        )
    return "".join(tables)


def _appearance(row: Appearance) -> str:
    cells = [
        shown(row.run),
        shown(row.name),
        "never" if row.step is None else str(row.step),
        row.step_range,
        shown(" ".join(row.heads) or "none"),
        f"{row.score:.2f} ± {row.spread:.2f}",
    ]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _matches(track: Track) -> list[str]:
    if not track.matches:
        return []
    rows = [
        f"<tr><td>{shown(m.first)}</td><td>{shown(m.second)}</td>"
        f'<td class="n">{m.n_labelled}</td><td class="n">{m.n_right}</td>'
        f'<td class="n">{m.null:.1f}</td><td class="n">{m.p:.4f}</td></tr>'
        for m in track.matches
    ]
    titles = ["run", "other run", "labelled heads", "match has the class", "by chance", "p"]
    return [
        "<h2>The same heads in other runs</h2>",
        '<p class="soft">Heads of two runs are matched one to one in their last versions, by '
        f"{html.escape(track.metric)} alone. By chance: matches shuffled within layers.</p>",
        html_table("", titles, rows),
    ]
