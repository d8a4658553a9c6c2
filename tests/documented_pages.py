"""Run the commands and the Python of a page of the documentation, and compare what is printed.

A page's blocks run in their order, in one folder and one Python: `sh` blocks by bash, `python`
blocks in one namespace. A `text` block is what the block before it prints. In a `console` block
the lines after `$` are run, may fail, and print the other lines, among others. `sh nocheck` is not
run (it needs what a test has not), and of `text varies` only the number of lines is compared, where
numbers differ from machine to machine.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
TOLERANCE = 0.02
"""Of numbers, relative; besides, one unit of the last digit that is shown."""

_BLOCK = re.compile(r"^```(\w+)(?: (\w+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_MARK = "\x1e"


@dataclass(frozen=True)
class Step:
    """One block that is run, and what it is said to print."""

    language: str
    code: str
    line: int
    printed: str | None = None
    varies: bool = False


def steps_of(page: Path) -> list[Step]:
    """The blocks of a page that are run."""
    text = page.read_text(encoding="utf-8")
    found: list[Step] = []
    last = None
    for match in _BLOCK.finditer(text):
        language, word, code = match.groups()
        line = text.count("\n", 0, match.start()) + 2
        if language in ("sh", "python"):
            last = None if word == "nocheck" else len(found)
            if last is not None:
                found.append(Step(language, code, line))
        elif language == "console":
            lines = code.splitlines()
            commands = "\n".join(line[2:] for line in lines if line.startswith("$ "))
            told = "\n".join(line for line in lines if not line.startswith("$ "))
            found.append(Step(language, commands, line, told))
            last = None
        elif language == "text" and last is not None:
            found[last] = replace(found[last], printed=code, varies=word == "varies")
    return found


def run_page(page: Path, folder: Path, timeout: float = 1200) -> None:
    """Run a page in a folder.

    Raises:
        AssertionError: if a block fails, or prints something else than the page shows.
    """
    steps = steps_of(page)
    assert steps, f"{page.name} has no blocks that run"
    done = subprocess.run(
        [sys.executable, "-c", _script(steps, page.name)],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    printed = done.stdout.split(_MARK)[1:]
    told = f"{page.name}, line {steps[len(printed) - 1].line}" if printed else page.name
    assert done.returncode == 0, f"{told}:\n{done.stderr[-4000:]}"
    assert len(printed) == len(steps)
    for step, real in zip(steps, printed, strict=True):
        if step.printed is not None:
            among = step.language == "console"
            difference = (contains if among else compare)(step.printed, real, step.varies)
            assert not difference, f"{page.name}, line {step.line}: {difference}\n{real}"


def environment() -> dict[str, str]:
    """The environment in which `motifs` is this installation's."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "PATH": path, "COLUMNS": "160", "MPLBACKEND": "agg"}


def _script(steps: list[Step], name: str) -> str:
    lines = ["import subprocess", "space = {'__name__': '__main__'}"]
    for step in steps:
        lines.append(f"print({_MARK!r}, end='', flush=True)")
        if step.language == "sh":
            lines.append(f"subprocess.run(['bash', '-euc', {step.code!r}], check=True)")
        elif step.language == "console":
            lines.append(f"subprocess.run(['bash', '-c', {step.code!r}], stderr=subprocess.STDOUT)")
        else:
            where = f"{name}, line {step.line}"
            lines.append(f"exec(compile({step.code!r}, {where!r}, 'exec'), space)")
    return "\n".join(lines)


def compare(shown: str, real: str, varies: bool = False) -> str:
    """Say how what is printed differs from what a page shows; empty if it does not.

    A shown line `...` stands for any lines, at the end.
    """
    wanted, found = _lines(shown), _lines(real)
    if wanted and wanted[-1] == ["..."]:
        wanted = wanted[:-1]
        found = found[: len(wanted)]
    if len(wanted) != len(found):
        return f"{len(found)} lines are printed, {len(wanted)} are shown"
    if varies:
        return ""
    for one, other in zip(wanted, found, strict=True):
        if len(one) != len(other) or not all(map(_agree, one, other)):
            return f"{' '.join(other)!r} is printed, {' '.join(one)!r} is shown"
    return ""


def contains(shown: str, real: str, _varies: bool = False) -> str:
    """Name a shown line that is not among those printed; empty if all are."""
    found = _lines(real)
    for wanted in _lines(shown):
        if not any(len(x) == len(wanted) and all(map(_agree, wanted, x)) for x in found):
            return f"{' '.join(wanted)!r} is not printed"
    return ""


def _lines(text: str) -> list[list[str]]:
    # Lines of tables are as long as the numbers in them.
    lines = [re.sub(r"[┌┬┐├┼┤└┴┘─═╞╪╡│┆]+", " ", line).split() for line in text.splitlines()]
    return [line for line in lines if line]


def _agree(one: str, other: str) -> bool:
    if one == other:
        return True
    shape = re.compile(r"(?<![\w:.])-?\d+(?:\.(\d+))?(?:e-?\d+)?(?![\w:])")
    if shape.sub("0", one) != shape.sub("0", other):
        return False
    for a, b in zip(shape.finditer(one), shape.finditer(other), strict=True):
        decimals = len(a[1] or "")
        unit = 10.0**-decimals if decimals else 0.0
        if abs(float(a[0]) - float(b[0])) > TOLERANCE * abs(float(a[0])) + 1.01 * unit:
            return False
    return True
