"""The atlas that the documentation speaks of: `motifs demo`, as it is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def demo_atlas(tmp_path_factory: pytest.TempPathFactory, score_models: Callable[..., None]) -> Path:
    """The demo's atlas; `MOTIFS_DEMO_ATLAS=PATH` takes one that is there; read only."""
    if existing := os.environ.get("MOTIFS_DEMO_ATLAS"):
        return Path(existing)
    from attention_motifs.cli.demonstration import run_demo
    from attention_motifs.stages import run

    path = tmp_path_factory.mktemp("demo") / "demo-atlas"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "score_models", score_models)
        run_demo(path, 96, "cpu")
    return path


@pytest.fixture
def beside_demo(demo_atlas: Path, tmp_path: Path) -> Path:
    """A folder that holds a `demo-atlas` of its own, to be read or changed."""
    shutil.copytree(demo_atlas, tmp_path / "demo-atlas")
    return tmp_path
