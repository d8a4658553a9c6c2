"""Run the commands and the Python of a page of the documentation, and compare what is printed.

A page's blocks run in their order, in one folder and one Python: `sh` blocks by bash, `python`
blocks in one namespace. A `text` block is what the block before it prints. In a `console` block
the lines after `$` are run, may fail, and print the other lines, among others. Blocks marked
`nocheck` are not run, and of `text varies` only the number of lines is compared, where numbers
differ from machine to machine.

    python tests/documented_pages.py docs/troubleshooting.md FOLDER

runs a page in a copy of FOLDER, which holds a `demo-atlas`, and writes what is printed into it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
HOME = "/home/me"
"""Stands for the folder in which a page is run."""
TOLERANCE = 0.02
"""Of numbers, relative; besides, one unit of the last digit that is shown."""

_BLOCK = re.compile(r"^```(\w+)(?: (\w+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_MARK = "\x1e"


@dataclass(frozen=True)
class Step:
    """One block that is run, and what the page says that it prints."""

    language: str
    code: str
    line: int
    printed: str | None = None
    varies: bool = False
    span: tuple[int, int] = (0, 0)
    """Where the page has what is printed; of a console block, the whole block."""
    page: str = ""


def steps_of(page: Path) -> list[Step]:
    """Return the blocks of a page that are run."""
    text = page.read_text(encoding="utf-8")
    steps: list[Step] = []
    last = None
    for match in _BLOCK.finditer(text):
        language, word, code = match.groups()
        line = text.count("\n", 0, match.start()) + 2
        if language in ("sh", "python"):
            last = None if word == "nocheck" else len(steps)
            if last is not None:
                steps.append(Step(language, code, line))
        elif language == "console":
            lines = code.splitlines()
            commands = "\n".join(line[2:] for line in lines if line.startswith("$ "))
            printed = "\n".join(line for line in lines if not line.startswith("$ "))
            steps.append(Step(language, commands, line, printed, span=match.span(3)))
            last = None
        elif language == "text" and last is not None:
            steps[last] = replace(
                steps[last], printed=code, varies=word == "varies", span=match.span(3)
            )
    return [replace(step, page=page.name) for step in steps]


def run_pages(pages: Sequence[Path], folder: Path, timeout: float = 1200) -> None:
    """Run pages in a folder, one after the other, each in a namespace of its own.

    Raises:
        AssertionError: if a block fails, or prints something else than the page shows.
    """
    steps = []
    for page in pages:
        of_page = steps_of(page)
        assert of_page, f"{page.name} has no blocks that run"
        steps += of_page
    for step, real in zip(steps, run_steps(steps, folder, timeout), strict=True):
        if step.printed is not None:
            among = step.language == "console"
            difference = (contains if among else compare)(step.printed, real, step.varies)
            assert not difference, f"{step.page}, line {step.line}: {difference}\n{real}"


def run_steps(steps: list[Step], folder: Path, timeout: float = 1200) -> list[str]:
    """Run blocks in a folder, and return what each prints."""
    done = subprocess.run(
        [sys.executable, "-c", _script(steps)],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    printed = done.stdout.replace(str(folder.resolve()), HOME).split(_MARK)[1:]
    last = steps[max(len(printed), 1) - 1]
    where = f"{last.page}, line {last.line}"
    assert done.returncode == 0, f"{where}:\n{done.stderr[-4000:]}"
    assert len(printed) == len(steps)
    return printed


def environment() -> dict[str, str]:
    """Return the environment in which `motifs` is this installation's."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "PATH": path, "COLUMNS": "160", "MPLBACKEND": "agg"}


def _script(steps: list[Step]) -> str:
    lines = ["import subprocess"]
    page = None
    for step in steps:
        if step.page != page:
            page = step.page
            lines.append("space = {'__name__': '__main__'}")
        lines.append(f"print({_MARK!r}, end='', flush=True)")
        if step.language == "sh":
            lines.append(f"subprocess.run(['bash', '-euc', {step.code!r}], check=True)")
        elif step.language == "console":
            lines.append(f"subprocess.run(['bash', '-c', {step.code!r}], stderr=subprocess.STDOUT)")
        else:
            where = f"{step.page}, line {step.line}"
            lines.append(f"exec(compile({step.code!r}, {where!r}, 'exec'), space)")
    return "\n".join(lines)


def compare(shown: str, real: str, varies: bool = False) -> str:
    """Describe how what is printed differs from what a page shows; empty if it does not.

    A shown line `...` stands for any lines, at the end.
    """
    expected, printed = _lines(shown), _lines(real)
    if expected and expected[-1] == ["..."]:
        expected = expected[:-1]
        printed = printed[: len(expected)]
    if len(expected) != len(printed):
        return f"{len(printed)} lines are printed, {len(expected)} are shown"
    if varies:
        return ""
    for a, b in zip(expected, printed, strict=True):
        if len(a) != len(b) or not all(map(_agree, a, b)):
            return f"{' '.join(b)!r} is printed, {' '.join(a)!r} is shown"
    return ""


def contains(shown: str, real: str, _varies: bool = False) -> str:
    """Name a shown line that is not among those printed; empty if all are."""
    printed = _lines(real)
    for expected in _lines(shown):
        if not any(len(x) == len(expected) and all(map(_agree, expected, x)) for x in printed):
            return f"{' '.join(expected)!r} is not printed"
    return ""


def _lines(text: str) -> list[list[str]]:
    # Lines of tables are as long as the numbers in them.
    lines = [re.sub(r"[┌┬┐├┼┤└┴┘─═╞╪╡│┆]+", " ", line).split() for line in text.splitlines()]
    return [line for line in lines if line]


def _agree(a: str, b: str) -> bool:
    if a == b:
        return True
    shape = re.compile(r"(?<![\w:.])-?\d+(?:\.(\d+))?(?:e-?\d+)?(?![\w:])")
    if shape.sub("0", a) != shape.sub("0", b):
        return False
    for x, y in zip(shape.finditer(a), shape.finditer(b), strict=True):
        decimals = len(x[1] or "")
        unit = 10.0**-decimals if decimals else 0.0
        if abs(float(x[0]) - float(y[0])) > TOLERANCE * abs(float(x[0])) + 1.01 * unit:
            return False
    return True


def record(page: Path, folder: Path) -> None:
    """Run a page in a copy of a folder, and write what is printed into the page.

    Of a console block, lines that name an error or that a command ends with are kept.
    """
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch) / "run"
        shutil.copytree(folder, work)
        steps: list[Step] = []
        for step in steps_of(page):
            if step.language == "console":
                steps += [replace(step, code=line) for line in step.code.splitlines()]
            else:
                steps.append(step)
        printed = run_steps(steps, work)
    blocks: dict[tuple[int, int], str] = {}
    for step, real in zip(steps, printed, strict=True):
        if step.language == "console":
            kept = [line for line in real.splitlines() if re.match(r"error: |\S+: sound", line)]
            text = "".join(f"{line}\n" for line in (f"$ {step.code}", *kept))
            blocks[step.span] = blocks.get(step.span, "") + text
        elif step.printed is not None and compare(step.printed, real, step.varies):
            blocks[step.span] = real
    text = page.read_text(encoding="utf-8")
    for (start, end), block in sorted(blocks.items(), reverse=True):
        text = text[:start] + block + text[end:]
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    record(Path(sys.argv[1]), Path(sys.argv[2]))
