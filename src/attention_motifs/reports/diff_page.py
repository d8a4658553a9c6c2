"""The report of the differences between two models, as one HTML page without requests."""

from __future__ import annotations

import html
from pathlib import Path

from attention_motifs.head import HeadId
from attention_motifs.notebook import shown
from attention_motifs.reports.model_diff import HeadChange, ModelDiff
from attention_motifs.reports.page import html_table, number, page
from attention_motifs.store.atomic import atomic

_UNMATCHED = "repeating-linear-gradient(45deg, #8c959f 0 3px, transparent 3px 6px)"


def write_diff_page(diff: ModelDiff, path: Path) -> Path:
    """Write the page of a comparison; return its path.

    Args:
        diff: result of `attention_motifs.diff`.
        path: of the page; its folder exists.
    """
    with atomic(path) as temporary:
        temporary.write_text(diff_page(diff), encoding="utf-8")
    return path


def diff_page(diff: ModelDiff) -> str:
    """Return the page; every text in it is escaped."""
    title = f"{diff.first} and {diff.second}, head by head"
    prompts = [
        f"<tr><td>{shown(p.prompt_id)}</td><td>{shown(p.text)}</td>{number(p.distance)}"
        f"<td>{shown(p.head)}</td></tr>"
        for p in diff.prompts
    ]
    parts = [
        f"<h1>{shown(title)}</h1><p>{html.escape(diff.sentence)}</p>",
        f"<p class='soft'>Heads are compared by the metric {html.escape(diff.metric)}. A match is "
        "nearer than its threshold: as near as few matches between different heads of one model "
        "are, by distance or compared with other heads nearby (2.5 % each). A head without a match "
        "is compared with the head at its place. The noise of a head is the distance between its "
        "patterns on two random halves of the prompts.</p>",
        "<h2>Distance of every head from its match, over its noise</h2>",
        _map(diff),
        "<h2>Prompts on which matched heads differ most, by <code>mean</code></h2>",
        html_table("", ["prompt", "text", "mean distance", "head that differs most"], prompts),
        f"<h2>Heads of {shown(diff.second)} without a match</h2>",
        f"<p>{', '.join(shown(name) for name in diff.new) or 'none'}</p>",
        "<h2>All heads</h2>",
        _heads(diff),
    ]
    return page(title, parts)


def change_ratio(change: HeadChange) -> float | None:
    """Return the distance of a head from its match over its noise; None without a match."""
    if change.distance is None:
        return None
    if change.noise == 0:
        return 0.0 if change.distance == 0 else float("inf")
    return change.distance / change.noise


def _map(diff: ModelDiff) -> str:
    rows: dict[int, list[str]] = {}
    for change in diff.heads:
        place, ratio = HeadId.parse(change.head), change_ratio(change)
        if ratio is None:
            colour, text = _UNMATCHED, "no match"
        else:
            colour = f"rgba(207, 34, 46, {min(1.0, ratio):.2f})"
            text = f"{change.match}, {ratio:.2f} of its noise"
        label = html.escape(f"L{place.layer}:H{place.index} {text}", quote=True)
        rows.setdefault(place.layer, []).append(
            f'<td><a href="#L{place.layer}H{place.index}" title="{label}" aria-label="{label}" '
            f'style="background:{colour}"></a></td>'
        )
    lines = [f"<tr><th>L{layer}</th>{''.join(cells)}</tr>" for layer, cells in rows.items()]
    legend = (
        "<p class='soft'>White: no change. Full red: as far from its match as its patterns are "
        "from one another between prompts, or farther. Striped: no match.</p>"
    )
    return f'{legend}<div class="scroll"><table class="map">{"".join(lines)}</table></div>'


def _heads(diff: ModelDiff) -> str:
    titles = ["head", "match", "distance", "threshold", "noise", "changed",
              "match in the same layer", "distance at same place", "classes", "motif",
              "share before", "after"]  # fmt: skip
    rows = []
    for change in diff.heads:
        place = HeadId.parse(change.head)
        before, after = change.shares or (None, None)
        classes = "" if change.classes is None else " → ".join(
            ", ".join(names) or "none" for names in change.classes
        )  # fmt: skip
        cells = [
            f'<td data-v="{place.layer * 100_000 + place.index}">'
            f"L{place.layer}:H{place.index}</td>",
            f"<td>{shown(change.match or 'none')}</td>",
            number(change.distance),
            number(change.threshold),
            number(change.noise),
            f"<td>{shown(', '.join(change.reasons) or 'no')}</td>",
            f"<td>{shown(change.same_layer_match or '')}</td>",
            number(change.place_distance),
            f"<td>{shown(classes)}</td>",
            f"<td>{shown(change.motif or '')}</td>",
            number(before),
            number(after),
        ]
        rows.append(f'<tr id="L{place.layer}H{place.index}">{"".join(cells)}</tr>')
    return html_table("heads", titles, rows, sort=True)
