"""Progress of long stages: a bar with the time left on a terminal, lines in a log."""

from __future__ import annotations

import contextlib
import inspect
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

from attention_motifs.errors import InputError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from rich.console import Console

Advance = Callable[[float], None]
"""Takes the steps that were done; of a long step also a part."""


class Report(Protocol):
    """Function that a stage calls: `with report("features", total=128) as advance: advance(1)`."""

    def __call__(self, description: str, total: int) -> AbstractContextManager[Advance]:
        """Open one piece of work of `total` steps."""
        ...


@contextlib.contextmanager
def silent(description: str, total: int) -> Iterator[Advance]:  # noqa: ARG001
    """Report nothing; the default of the Python API."""
    yield lambda _steps: None


def checked_report(report: object) -> Report:
    """Return a report that stages can use, from what a user passed as `report=`.

    A function that returns no context manager, such as `print`, is called once per piece of work.

    Args:
        report: a function of a description and a total.

    Raises:
        InputError: if it is not such a function.
    """
    if report is silent or isinstance(report, ConsoleReport):
        return report
    try:
        inspect.signature(report).bind("description", 1)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise InputError(
            f"report = {report!r:.80} cannot be called with a description and a total. Give such a "
            "function, for example print, or leave report out"
        ) from error

    @contextlib.contextmanager
    def opened(description: str, total: int) -> Iterator[Advance]:
        work = report(description, total)  # type: ignore[operator]
        if not hasattr(work, "__enter__"):
            yield lambda _steps: None
            return
        with work as advance:
            yield advance if callable(advance) else lambda _steps: None

    return opened


class ConsoleReport:
    """Report with a bar on a terminal, and with lines elsewhere.

    Args:
        console: to write to; should be standard error.
        interval: seconds between two lines where there is no terminal. Default: 10.
    """

    def __init__(self, console: Console, interval: float = 10.0) -> None:
        self.console = console
        self.interval = interval

    @contextlib.contextmanager
    def __call__(self, description: str, total: int) -> Iterator[Advance]:
        """Open one piece of work of `total` steps."""
        started = time.monotonic()
        opened = self._bar if self.console.is_terminal else self._lines
        with opened(description, total) as advance:
            yield advance
        self._print(f"{description}: {time.monotonic() - started:.1f} s")

    def _print(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    @contextlib.contextmanager
    def _lines(self, description: str, total: int) -> Iterator[Advance]:
        self._print(f"{description} ...")
        started = time.monotonic()
        done = 0.0
        ended = threading.Event()

        def advance(steps: float) -> None:
            nonlocal done
            done += steps

        def print_lines() -> None:
            while not ended.wait(self.interval):
                elapsed = time.monotonic() - started
                remaining = f", {elapsed * (total - done) / done:.0f} s left" if done else ""
                steps_done = f"{done:.1f}".removesuffix(".0")
                self._print(
                    f"{description}: {steps_done} of {total} after {elapsed:.0f} s{remaining} ..."
                )

        thread = threading.Thread(target=print_lines, name="attention-motifs progress", daemon=True)
        thread.start()
        try:
            yield advance
        finally:
            ended.set()
            thread.join()

    @contextlib.contextmanager
    def _bar(self, description: str, total: int) -> Iterator[Advance]:
        from rich.markup import escape
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )
        from rich.table import Column

        # A narrow terminal shortens the description first and then the bar, never the time left.
        columns = (
            TextColumn(
                "{task.description}",
                table_column=Column(no_wrap=True, overflow="ellipsis", ratio=3),
            ),
            BarColumn(bar_width=None, table_column=Column(ratio=2, max_width=40)),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            TimeElapsedColumn(table_column=Column(no_wrap=True)),
            TimeRemainingColumn(table_column=Column(no_wrap=True)),
            TextColumn("left", table_column=Column(no_wrap=True)),
        )
        with Progress(*columns, console=self.console, transient=True, expand=True) as progress:
            task = progress.add_task(escape(description), total=total)
            yield lambda steps: progress.update(task, advance=steps)
