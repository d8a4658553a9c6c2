"""The collector of reference cycles is paused for imports, and nothing else changes."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import weakref
from pathlib import Path

import pytest

from attention_motifs.extraction.importing import without_collector


class Node:
    """In a cycle with itself, so that only the collector finds it."""

    def __init__(self) -> None:
        self.me = self


def test_the_collector_rests_within_and_works_afterwards() -> None:
    frozen = gc.get_freeze_count()
    with without_collector():
        assert not gc.isenabled()
        with without_collector():
            assert not gc.isenabled()
        assert not gc.isenabled()
        gone = weakref.ref(Node())
    assert gc.isenabled()
    assert gc.get_freeze_count() == frozen
    gc.collect()
    assert gone() is None  # garbage made meanwhile is found all the same


def test_the_collector_comes_back_after_an_error() -> None:
    with pytest.raises(ImportError), without_collector():
        raise ImportError
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with without_collector():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_the_caller_has_set_aside_stays_aside() -> None:
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        assert frozen > 0
        with without_collector():
            pass
        # A few may end meanwhile, as those of another thread; set free again, none would be left.
        assert gc.get_freeze_count() > frozen / 2
    finally:
        gc.unfreeze()


def test_loading_a_model_imports_without_it(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")  # not a model: refused after the imports
    (tmp_path / "model.safetensors").touch()

    def collections(statements: str) -> int:
        code = f"import contextlib, gc, json, sys\n{statements}\n"
        code += "assert 'transformers.modeling_utils' in sys.modules\n"
        code += "print(json.dumps(gc.get_stats()))"
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
        )
        return sum(one["collections"] for one in json.loads(done.stdout))

    ours = """
from attention_motifs.extraction import load_model
from attention_motifs.errors import ModelError
with contextlib.suppress(ModelError):
    load_model(sys.argv[1], device="cpu")
"""
    assert collections(ours) < collections("import torch, transformers.modeling_utils") / 2
