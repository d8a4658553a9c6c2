"""Output of the commands: answers on standard output, progress and warnings on standard error."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table
from rich.text import Text

from attention_motifs.errors import BROKEN_PIPE, plain, replace_unprintable
from attention_motifs.progress import ConsoleReport

_FILE_WIDTH = 160
"""Columns of a table that is written to a file or a pipe, which have no width."""


class _Console(Console):
    """Console that leaves quietly when the reader of its output has gone."""

    def on_broken_pipe(self) -> NoReturn:
        self.quiet = True
        discard_output()
        raise SystemExit(BROKEN_PIPE)


def discard_output() -> None:
    """Send further output nowhere, so that nothing fails when the interpreter flushes it."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
            continue
        with contextlib.suppress(OSError, ValueError, AttributeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def escape_unencodable() -> None:
    """Let both streams write escapes for characters that their encoding does not have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


output = _Console()
if not output.is_terminal:
    output = _Console(width=_FILE_WIDTH)
errors = _Console(stderr=True)
report = ConsoleReport(errors)


def print_error(text: str, start: str = "error: ") -> None:
    """Print one line on standard error."""
    line = start + plain(" ".join(text.splitlines()))
    errors.print(line, style="red", markup=False, highlight=False, soft_wrap=True)


def show_warnings_in_one_line() -> None:
    """Print warnings as `warning: ...`, without the line of code that raised them."""

    def show(message: Warning | str, category: type[Warning], *_rest: Any, **_more: Any) -> None:
        if issubclass(category, (DeprecationWarning, FutureWarning)):
            return
        line = f"warning: {plain(' '.join(str(message).splitlines()))}"
        errors.print(line, style="yellow", markup=False, highlight=False, soft_wrap=True)

    warnings.showwarning = show


def print_json(value: Any) -> None:
    """Print a value as JSON, for programs."""
    ascii_only = not output.encoding.startswith("utf")
    text = json.dumps(value, indent=1, ensure_ascii=ascii_only)
    escaped = replace_unprintable(text, lambda character: json.dumps(character)[1:-1])
    output.out(escaped, highlight=False)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows for people; texts are printed literally, numbers are aligned to the right."""
    output.print(Text(plain(title), style="bold"))
    table = Table(box=None, pad_edge=False)
    for i, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[i], (int, float)) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    output.print(table)


def print_line(text: str = "") -> None:
    """Print one line literally, without markup."""
    output.print(plain(text), markup=False, highlight=False, soft_wrap=True)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else plain(str(value))
