from __future__ import annotations

import io
import re
import threading

import pytest
from rich.console import Console

from attention_motifs.errors import InputError
from attention_motifs.progress import ConsoleReport, Report, checked_report, silent


def console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    stream = io.StringIO()
    return Console(file=stream, force_terminal=terminal, width=120, color_system=None), stream


def work(report: Report, description: str = "features of gpt2", total: int = 4) -> None:
    with report(description, total=total) as advance:
        for _ in range(total):
            advance(1)


def test_silence_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    work(silent)
    assert capfd.readouterr() == ("", "")


def test_a_log_gets_a_line_at_the_start_and_one_with_the_seconds_at_the_end() -> None:
    log, stream = console(terminal=False)
    work(ConsoleReport(log))
    first, last = stream.getvalue().splitlines()
    assert first == "features of gpt2 ..."
    assert re.fullmatch(r"features of gpt2: \d+\.\d s", last)


def test_a_log_gets_lines_with_the_steps_done_while_the_work_goes_on() -> None:
    log, stream = console(terminal=False)
    with ConsoleReport(log, interval=0.02)("slow", total=10) as advance:
        advance(3)
        while "3 of 10" not in stream.getvalue():
            threading.Event().wait(0.01)
    assert "left" in stream.getvalue()
    assert not [t for t in threading.enumerate() if "progress" in t.name]


@pytest.mark.parametrize(("steps", "shown"), [(12345, "12345 of 20000"), (0.25, "0.2 of 20000")])
def test_a_log_shows_many_steps_and_parts_of_one(steps: float, shown: str) -> None:
    log, stream = console(terminal=False)
    with ConsoleReport(log, interval=0.02)("long", total=20000) as advance:
        advance(steps)
        while " of 20000" not in stream.getvalue():
            threading.Event().wait(0.01)
    assert shown in stream.getvalue()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_time_left_fits_on_any_terminal(width: int) -> None:
    stream = io.StringIO()
    terminal = Console(file=stream, force_terminal=True, width=width, color_system=None)
    with ConsoleReport(terminal)("patterns and features of smollm2-135m-instruct", 128) as advance:
        advance(128)
    shown = [line for line in re.split(r"[\r\n]", stream.getvalue()) if "128/128" in line]
    assert shown
    assert all(re.search(r":\d\d left", line) for line in shown)


def test_the_first_line_of_a_log_comes_before_the_work() -> None:
    log, stream = console(terminal=False)
    with ConsoleReport(log)("slow", total=1):
        assert stream.getvalue() == "slow ...\n"


def test_a_terminal_gets_a_bar_that_names_the_work_and_the_steps() -> None:
    terminal, stream = console(terminal=True)
    with ConsoleReport(terminal)("features of gpt2", total=4) as advance:
        advance(3)
        advance(1)
    shown = stream.getvalue()
    assert "features of gpt2" in shown
    assert "4/4" in shown
    assert "left" in shown
    assert re.search(r"features of gpt2: \d+\.\d s\n$", shown)


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("name", ["model [red]x[/red]", "[/]", "org/name [7b]", "ends in \\"])
def test_a_description_is_no_markup(name: str, terminal: bool) -> None:
    target, stream = console(terminal=terminal)
    work(ConsoleReport(target), name)
    opening, bar, closing = name, "━" if terminal else "...", f"{name}: "
    assert stream.getvalue().index(opening) < stream.getvalue().index(bar)
    assert closing in stream.getvalue().splitlines()[-1]


@pytest.mark.parametrize("terminal", [False, True])
def test_work_of_no_steps_is_reported(terminal: bool) -> None:
    target, stream = console(terminal=terminal)
    work(ConsoleReport(target), "nothing to do", total=0)
    assert "nothing to do" in stream.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_work_that_fails_is_not_reported_as_done(terminal: bool) -> None:
    target, stream = console(terminal=terminal)

    def fail() -> None:
        with ConsoleReport(target)("features of gpt2", total=4) as advance:
            advance(1)
            raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        fail()
    assert not re.search(r"features of gpt2: \d", stream.getvalue())


@pytest.mark.parametrize("terminal", [False, True])
def test_reports_follow_each_other(terminal: bool) -> None:
    target, stream = console(terminal=terminal)
    report = ConsoleReport(target)
    work(report, "one")
    work(report, "two")
    done = re.findall(r"(one|two): \d+\.\d s", stream.getvalue())
    assert done == ["one", "two"]


@pytest.mark.parametrize("report", [True, 3, "bar", None, lambda: None, len])
def test_a_report_of_another_kind_is_refused(report: object) -> None:
    with pytest.raises(InputError, match=r"report = .* cannot be called"):
        checked_report(report)


def test_a_function_without_a_context_manager_is_called_once_per_piece_of_work() -> None:
    calls: list[tuple[str, int]] = []
    report = checked_report(lambda description, total: calls.append((description, total)))
    with report("features", 3) as advance:
        advance(1)
        advance(2)
    assert calls == [("features", 3)]
    assert checked_report(silent) is silent
