"""Parts of a report: one HTML page that needs no other file and makes no request."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'"
)
_STYLE = """
:root { color-scheme: light dark; --text: #1b1f24; --page: #fff; --soft: #57606a; --line: #d0d7de; }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --page: #0d1117; --soft: #9198a1;
  --line: #3d444d; } }
body { font: 14px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page);
  margin: 24px auto; max-width: 1100px; padding: 0 16px; }
h1 { font-size: 22px; margin: 0; } h2 { font-size: 16px; margin: 28px 0 8px; }
.soft { color: var(--soft); } .scroll { overflow-x: auto; }
table { border-collapse: collapse; } th { text-align: left; color: var(--soft); font-weight: 600; }
th, td { padding: 2px 12px 2px 0; vertical-align: top; } td.n { text-align: right;
  font-variant-numeric: tabular-nums; }
th button { font: inherit; color: inherit; background: none; border: 0; padding: 0;
  cursor: pointer; }
.map { border-spacing: 2px; border-collapse: separate; } .map td { padding: 0; }
.map a { display: block; width: 18px; height: 18px; border: 1px solid var(--line); }
.swatch { display: inline-block; width: 12px; height: 12px; border: 1px solid var(--line);
  margin-right: 6px; vertical-align: -1px; }
img { width: 120px; height: 120px; image-rendering: pixelated; border: 1px solid var(--line); }
figure { display: inline-block; margin: 0 12px 12px 0; font-size: 12px; }
tr:target { outline: 2px solid var(--soft); }
"""
_SCRIPT = """
for (const button of document.querySelectorAll('#heads th button')) {
  button.addEventListener('click', () => {
    const column = button.parentElement.cellIndex, body = document.querySelector('#heads tbody');
    const down = button.dataset.down !== '1';
    button.dataset.down = down ? '1' : '0';
    const value = (row) => row.cells[column].dataset.v ?? row.cells[column].textContent;
    const rows = [...body.rows].sort((a, b) => {
      const x = value(a), y = value(b), n = Number(x) - Number(y);
      return (Number.isNaN(n) ? x.localeCompare(y) : n) * (down ? -1 : 1);
    });
    body.append(...rows);
  });
}
"""


def page(title: str, parts: Sequence[str]) -> str:
    """Return a whole page.

    Args:
        title: of the page, not yet escaped.
        parts: its contents, HTML.
    """
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(parts)
        + f"\n<script>{_SCRIPT}</script>\n</body></html>\n"
    )


def html_table(
    identity: str, titles: Sequence[str], rows: Sequence[str], *, sort: bool = False
) -> str:
    """Return a table.

    Args:
        identity: its id in the page; empty for none.
        titles: of the columns, not yet escaped.
        rows: HTML of each row.
        sort: whether a click on a title sorts the rows.
    """
    cells = "".join(
        f'<th scope="col"><button type="button">{html.escape(t)}</button></th>'
        if sort
        else f'<th scope="col">{html.escape(t)}</th>'
        for t in titles
    )
    attribute = f' id="{identity}"' if identity else ""
    return (
        f'<div class="scroll"><table{attribute}><thead><tr>{cells}</tr></thead><tbody>'
        + "\n".join(rows)
        + "</tbody></table></div>"
    )


def number(value: Any) -> str:
    """Return the cell of a number, empty for None."""
    return f'<td class="n">{"" if value is None else f"{value:.2f}"}</td>'
