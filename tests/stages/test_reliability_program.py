"""The program `benchmarks/reliability.py`, a minute for each kind: nothing is lost or wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "reliability.py"


def run_program(words: list[str], folder: Path) -> list[dict[str, object]]:
    """Run it; return its tries."""
    results = folder / "tries.jsonl"
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *words, "--results", str(results)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return [json.loads(line) for line in results.read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["kill", "damage", "hostile"])
def test_nothing_is_lost_or_wrong(kind: str, tmp_path: Path) -> None:
    tries = run_program([kind, "--tries", "100", "--minutes", "0.6"], tmp_path)
    assert len(tries) >= 3
    assert {one["kind"] for one in tries} == {kind}


def test_a_kind_that_does_not_exist_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "explode"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "explode" in done.stderr
