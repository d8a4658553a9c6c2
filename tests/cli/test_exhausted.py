"""Libraries that stop for want of memory or threads: one line, and an exit code."""

from __future__ import annotations

import sys

import pytest

from attention_motifs import cli
from attention_motifs.cli import application


class PanicException(BaseException):
    """As polars raises it."""


@pytest.mark.parametrize(
    "error", [PanicException("no thread pool"), RuntimeError("can't start new thread")]
)
def test_a_library_that_stops_is_reported_in_one_line(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(**_: object) -> None:
        raise error

    monkeypatch.setattr(application, "app", stop)
    monkeypatch.setattr(sys, "argv", ["motifs", "info"])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code not in (0, 1, None)
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert str(error) in lines[0]


def test_any_other_error_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(**_: object) -> None:
        raise RuntimeError("a fault of the program")

    monkeypatch.setattr(application, "app", stop)
    monkeypatch.setattr(sys, "argv", ["motifs", "info"])
    with pytest.raises(RuntimeError, match="a fault"):
        cli.main()
