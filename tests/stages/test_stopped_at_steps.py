"""Runs stopped at chosen steps of their writing; `test_interrupted` stops them at any moment."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from attention_motifs.atlas import Atlas
from attention_motifs.atlas.check import check_atlas
from attention_motifs.stages.run import add, build
from conftest import Tiny, contents


@pytest.fixture(scope="module", autouse=True)
def _own_cache(own_cache: Path) -> None:
    pass


def stopped_runs(arguments: Sequence[str], stop: signal.Signals, steps: Sequence[int]) -> str:
    """Stop one run after the other at these steps, finish one, and return what they said."""
    program = Path(__file__).with_name("stopped_runs.py")
    moments = ",".join(map(str, steps))
    done = subprocess.run(
        [sys.executable, str(program), str(int(stop)), moments, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    codes = json.loads(done.stdout.splitlines()[-1])
    stopped = 130 if stop is signal.SIGINT else -int(stop)
    assert codes[-1] == 0, done.stderr
    assert set(codes[:-1]) == {stopped}, f"every run but the last one is stopped: {codes}"
    return done.stderr


def build_arguments(tiny: Tiny, atlas: Path, n_probes: int = 3) -> list[str]:
    settings = ["--max-tokens", "24", "--n-view-prompts", "3", "--prompts", str(tiny.prompts)]
    models = ["--model", tiny.model("a"), "--model", tiny.model("b")]
    settings += ["--n-probes", str(n_probes), "--probe-tokens", "40", "--no-score"]
    return ["build", *models, *settings, "--no-site", "--atlas", str(atlas)]


def test_runs_killed_while_writing_leave_nothing_different(tiny: Tiny, tmp_path: Path) -> None:
    atlas = tmp_path / "atlas"
    # Without probes, for which every process would look for tokens in the built-in prompts.
    stopped_runs(build_arguments(tiny, atlas, n_probes=0), signal.SIGKILL, [10])
    expected = build(tmp_path / "expected", tiny.configuration(n_probes=0))
    assert contents(atlas) == contents(expected.path)
    assert check_atlas(Atlas.open(atlas)) == []


@pytest.mark.slow
def test_runs_killed_at_every_step_leave_nothing_different(
    built: Atlas, tiny: Tiny, tmp_path: Path
) -> None:
    """Steps of one write follow each other: made, flushed, renamed; four kills to a file."""
    atlas = tmp_path / "atlas"
    steps = [1, 2, 3, 4] * 12 + [5, 6, 7, 8] * 3
    stopped_runs(build_arguments(tiny, atlas), signal.SIGKILL, steps)
    assert contents(atlas) == contents(built.path)


@pytest.mark.slow
def test_ctrl_c_while_writing_is_told_in_one_line(built: Atlas, tiny: Tiny, tmp_path: Path) -> None:
    atlas = tmp_path / "atlas"
    steps = [2, 15, 24]
    message = stopped_runs(build_arguments(tiny, atlas), signal.SIGINT, steps)
    assert message.count("stopped; run the same command again to continue\n") == len(steps)
    assert "Traceback" not in message
    assert "rror" not in message
    assert contents(atlas) == contents(built.path)


@pytest.mark.slow
def test_a_killed_add_is_gone_on_with(built: Atlas, tiny: Tiny, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    shutil.copytree(built.path, one)
    shutil.copytree(built.path, other)
    add(one, tiny.model("c"))
    stopped_runs(
        ["add", tiny.model("c"), "--no-score", "--atlas", str(other)], signal.SIGKILL, [3, 18]
    )
    assert contents(other) == contents(one)
    assert check_atlas(Atlas.open(other)) == []
