"""Pages and pictures that go with the code: floors of the layout, files named, pictures drawn."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import attention_motifs
from documented_pages import DOCS
from test_layout import FLOOR_OF

PACKAGE = Path(attention_motifs.__file__).parent


# Floors


def test_the_floors_in_contributing_are_those_that_the_layout_enforces() -> None:
    text = (DOCS.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", text, re.MULTILINE)
    shown = {name: int(floor) for floor, cell in rows for name in re.findall(r"`(\w+)`", cell)}
    assert shown == {name: floor for name, floor in FLOOR_OF.items() if name != "__main__"}


def test_files_named_in_contributing_exist() -> None:
    text = (DOCS.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for name in re.findall(r"`([\w/]+\.py)`", text):
        root = DOCS.parent if name.startswith(("tests/", "docs/")) else PACKAGE
        assert (root / name).is_file(), name


# Pictures


@pytest.mark.slow
def test_the_pictures_of_the_mathematics_are_drawn_again(tmp_path: Path) -> None:
    script = DOCS / "mathematics_pictures.py"
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    drawn = {path.name for path in tmp_path.iterdir()}
    kept = {path.name for path in (DOCS / "pictures" / "mathematics").iterdir()}
    shown = set(re.findall(r"pictures/mathematics/([\w.-]+)", (DOCS / "method.md").read_text()))
    assert drawn == kept == shown
    for path in tmp_path.glob("*.svg"):
        kept_text = (DOCS / "pictures" / "mathematics" / path.name).read_text(encoding="utf-8")
        # Words and numbers as they were; coordinates may differ in the last digit elsewhere.
        words = r"<text[^>]*>([^<]+)</text>"
        assert re.findall(words, path.read_text(encoding="utf-8")) == re.findall(words, kept_text)
