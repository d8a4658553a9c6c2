"""The notebooks run, and print what is kept in them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from documented_pages import DOCS, compare, environment

NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def texts(cell: Any) -> list[str]:
    return [o["text"] if "text" in o else o["data"].get("text/plain", "") for o in cell.outputs]


def run(name: str, folder: Path) -> None:
    """Run a notebook beside what is in a folder, and compare every output with the one kept."""
    out = folder / "run"
    command = [sys.executable, str(DOCS / "run_notebooks.py"), str(folder), name, "--out", str(out)]
    # The kernel has its own idea of where figures go.
    settings = {k: v for k, v in environment().items() if k != "MPLBACKEND"}
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    before, after = read(DOCS / "notebooks" / f"{name}.ipynb"), read(out / f"{name}.ipynb")
    for i, (old, new) in enumerate(zip(before.cells, after.cells, strict=True)):
        if old.cell_type != "code":
            continue
        kinds = [sorted(o.get("data", {"text": 0})) for o in old.outputs]
        assert kinds == [sorted(o.get("data", {"text": 0})) for o in new.outputs], f"cell {i}"
        for shown, real in zip(texts(old), texts(new), strict=True):
            assert not compare(shown, real), f"cell {i}: {compare(shown, real)}"


@pytest.mark.slow
def test_the_notebook_that_needs_no_model_runs(tmp_path: Path) -> None:
    run("patterns", tmp_path)


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.timeout(900)
def test_the_notebook_on_the_atlas_runs(beside_demo: Path) -> None:
    run("atlas", beside_demo)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_are_small_and_hold_their_results(path: Path) -> None:
    assert path.stat().st_size < 200_000
    cells = [cell for cell in read(path).cells if cell.cell_type == "code"]
    assert sum(bool(cell.outputs) for cell in cells) > len(cells) / 2
    for cell in cells:
        for output in cell.outputs:
            assert output.output_type != "error"
            allowed = {"image/png", "text/plain", "text/html"}
            assert set(output.get("data", {})) <= allowed, "nothing that runs in a browser"
            assert "<script" not in str(output.get("data", {}).get("text/html", ""))
