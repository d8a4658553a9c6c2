"""Kernels are compiled when first called, never at import, and once for all processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import json, sys
from importlib import import_module
import numpy as np
from numba.core import event
from attention_motifs.features import compute_features
from attention_motifs.features.registry import BUILT_IN_SETS, built_in_set

def compiled(run):
    with event.install_recorder("numba:compile") as recorder:
        run()
    return len(recorder.buffer) // 2  # a start and an end each

modules = {built_in_set(name).cpu.partition(":")[0] for name in BUILT_IN_SETS}
counts = [compiled(lambda: [import_module(module) for module in modules])]
patterns = np.tri(7, dtype=np.float32)[None] / 7
for _ in range(2):
    counts.append(compiled(lambda: compute_features(patterns, list(BUILT_IN_SETS))))
longer = np.tri(40, dtype=np.float32)[None] / 40
counts.append(compiled(lambda: compute_features(longer, list(BUILT_IN_SETS))))
print(json.dumps(counts))
"""


def compilations(cache: Path) -> list[int]:
    """In a fresh process: at import, at the first call, at the second, at another length."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True
    )
    counts: list[int] = json.loads(done.stdout)
    return counts


@pytest.mark.slow
def test_no_kernel_is_compiled_at_import_or_twice(tmp_path: Path) -> None:
    at_import, first, second, longer = compilations(tmp_path)
    assert first > 0
    assert at_import == second == longer == 0
    assert compilations(tmp_path) == [0, 0, 0, 0]


def test_a_change_of_what_a_kernel_calls_is_compiled_too(tmp_path: Path) -> None:
    decorated = "from attention_motifs.features.compiled import compiled\n{}\n@compiled\ndef {}\n"
    caller = decorated.format("from callee import inner", "outer(x):\n    return inner(x) + 1")
    (tmp_path / "caller.py").write_text(caller)
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    code = "import caller; print(caller.outer(1), sum(caller.outer.stats.cache_hits.values()))"
    found = []
    for factor in (10, 10, 1000):
        text = decorated.format("", f"inner(x):\n    return {factor} * x")
        if not (tmp_path / "callee.py").is_file() or factor == 1000:
            (tmp_path / "callee.py").write_text(text)
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment, cwd=tmp_path, capture_output=True, text=True, check=True,
        )  # fmt: skip
        found.append(done.stdout.split())
    assert found == [["11", "0"], ["11", "1"], ["1001", "0"]]
