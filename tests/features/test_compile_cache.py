"""The cache of compiled kernels follows the sources, and no kernel depends on it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

DECORATED = "from attention_motifs.features.compiled import compiled\n{}\n@compiled\ndef {}\n"


def write_callee(folder: Path, factor: int) -> None:
    (folder / "callee.py").write_text(DECORATED.format("", f"inner(x):\n    return {factor} * x"))


def write_caller(folder: Path) -> None:
    text = DECORATED.format("from callee import inner", "outer(x):\n    return inner(x) + 1")
    (folder / "caller.py").write_text(text)


def run(folder: Path, **environment: str) -> list[str]:
    """Result of the caller, and how often it came from the cache, in a fresh process."""
    code = "import caller; print(caller.outer(1), sum(caller.outer.stats.cache_hits.values()))"
    clean = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=clean | environment, cwd=folder, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.split()


@pytest.mark.slow
def test_a_changed_callee_or_a_damaged_cache_is_compiled_again(
    tmp_path: Path,
) -> None:
    write_caller(tmp_path)
    write_callee(tmp_path, 10)
    assert run(tmp_path) == ["11", "0"]
    assert run(tmp_path) == ["11", "1"]
    write_callee(tmp_path, 1000)
    assert run(tmp_path) == ["1001", "0"]
    for path in (tmp_path / "__pycache__").glob("*.nb[ci]"):
        path.write_bytes(b"damaged")
    assert run(tmp_path)[0] == "1001"


def test_kernels_run_where_no_cache_can_be_written(tmp_path: Path) -> None:
    """A file where the folder of the cache would be stops root, too."""
    write_caller(tmp_path)
    write_callee(tmp_path, 10)
    (tmp_path / "__pycache__").write_text("in the way")
    (tmp_path / "home").write_text("in the way")
    places = {name: str(tmp_path / "home") for name in ("HOME", "XDG_CACHE_HOME", "IPYTHONDIR")}
    assert run(tmp_path, **places, PYTHONDONTWRITEBYTECODE="1") == ["11", "0"]


@pytest.mark.slow
def test_importing_the_kernels_compiles_none(tmp_path: Path) -> None:
    code = "import attention_motifs.features.kernels, attention_motifs.features.extended_kernels"
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert not list(tmp_path.rglob("*.nbc"))
