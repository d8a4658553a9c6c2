"""HTML of results for notebooks: escaped texts, tables and pictures, without scripts.

Names, tokens and prompts are data of strangers: every text goes through `shown`.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

from attention_motifs.errors import replace_unprintable

LONGEST = 300
"""Characters of a text that is shown."""

_STYLE = """
.motifs { font: 13px/1.45 system-ui, sans-serif; overflow-x: auto; }
.motifs table { border-collapse: collapse; margin: 4px 0 8px; }
.motifs th, .motifs td { padding: 2px 12px 2px 0; text-align: left; vertical-align: middle; }
.motifs th { font-weight: 600; opacity: .75; }
.motifs td.number { text-align: right; font-variant-numeric: tabular-nums; }
.motifs p { margin: 2px 0; }
.motifs img { width: 56px; height: 56px; image-rendering: pixelated; display: block; }
"""


class Markup(str):
    """HTML in which every text is escaped."""

    __slots__ = ()


def shown(value: object, longest: int = LONGEST) -> str:
    """Escape a text for HTML, cut it, and show control characters and direction marks."""
    text = str(value)
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    visible = replace_unprintable(text, lambda character: f"⟨U+{ord(character):04X}⟩")
    return f"<bdi>{html.escape(visible, quote=True)}</bdi>"


def cell(value: Any) -> str:
    """Return a cell of a table; numbers are aligned to the right, `Markup` is not escaped."""
    if isinstance(value, Markup):
        return f"<td>{value}</td>"
    if isinstance(value, float):
        return f'<td class="number">{value:.4g}</td>'
    if isinstance(value, int):
        return f'<td class="number">{value}</td>'
    return f"<td>{'' if value is None else shown(value)}</td>"


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table.

    Args:
        columns: titles, not yet escaped.
        rows: values of the cells; see `cell`.
    """
    head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(map(cell, row))}</tr>\n" for row in rows)
    return f"<table><tr>{head}</tr>\n{body}</table>"


def block(title: str, *parts: str, note: str = "") -> str:
    """Return what a notebook displays for a result.

    Args:
        title: first line, not yet escaped.
        parts: HTML below it.
        note: last line, not yet escaped.
    """
    lines = [f"<p><b>{shown(title)}</b></p>", *parts]
    if note:
        lines.append(f"<p>{shown(note, 2 * LONGEST)}</p>")
    return f'<div class="motifs"><style>{_STYLE}</style>\n' + "\n".join(lines) + "\n</div>"


def sentence(text: str) -> str:
    """Return a paragraph of a text that is not yet escaped."""
    return f"<p>{shown(text, 4 * LONGEST)}</p>"
