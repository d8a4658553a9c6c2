"""The Python examples of the documentation run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from attention_motifs.clustering import read_names
from attention_motifs.literature import load_known_heads

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize(
    "page", ["features", "known-heads", "projections", "clusters", "recommended", "nearest"]
)
def test_the_examples_run(page: str, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / f"{page}.md").read_text(), re.DOTALL)
    assert blocks
    script = tmp_path / "example.py"
    script.write_text("\n".join(blocks))
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    # What a comment after a print promises is what is printed, up to an ellipsis.
    for promised in re.findall(r"^print\(.*\)  # (.*)$", "\n".join(blocks), re.MULTILINE):
        assert promised.split(" ...")[0] in done.stdout


@pytest.mark.parametrize(
    ("page", "read"), [("known-heads", load_known_heads), ("clusters", read_names)]
)
def test_the_files_shown_are_read(
    page: str, read: Callable[[Path], object], tmp_path: Path
) -> None:
    (block,) = re.findall(r"```json\n(.*?)```", (DOCS / f"{page}.md").read_text(), re.DOTALL)
    path = tmp_path / "shown.json"
    path.write_text(block)
    assert read(path)
