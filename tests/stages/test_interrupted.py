"""Real runs, killed at any moment and run again, end with the files of a run left alone."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Tiny
from tiny_models import make_tiny_model, texts, write_prompts

BUILD = "from attention_motifs.cli import main; main()"


def command(tiny: Tiny, atlas: Path, prompts: Path) -> list[str]:
    models = [word for name in ("a", "b") for word in ("--model", tiny.model(name))]
    return [sys.executable, "-c", BUILD, "build", "--no-site", *models, "--atlas", str(atlas),
            "--prompts", str(prompts), "--max-tokens", "24", "--n-view-prompts", "3"]  # fmt: skip


@contextlib.contextmanager
def started(arguments: list[str], cache: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a program; at the end of the block it is stopped and its pipes are closed."""
    environment = {**os.environ, "ATTENTION_MOTIFS_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        try:
            yield run
        finally:
            run.kill()


def finish(arguments: list[str], cache: Path) -> None:
    """Run a program that must succeed."""
    with started(arguments, cache) as run:
        _, stderr = run.communicate(timeout=300)
        assert run.returncode == 0, stderr


def files_of(atlas: Path) -> dict[str, bytes]:
    return {
        path.relative_to(atlas).as_posix(): path.read_bytes()
        for path in sorted(atlas.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


@pytest.mark.slow
@pytest.mark.timeout(900)  # seventeen builds
def test_a_killed_run_goes_on_to_the_same_atlas(
    tiny: Tiny, tmp_path: Path, own_cache: Path
) -> None:
    prompts = write_prompts(tmp_path / "prompts.jsonl", texts(100))
    whole = tmp_path / "whole"
    before = time.monotonic()
    finish(command(tiny, whole, prompts), own_cache)
    seconds = time.monotonic() - before
    expected = files_of(whole)
    assert any(name.startswith("distances/") for name in expected)

    moments = random.Random(0)  # noqa: S311 - not for secrets
    caught_in_the_middle = 0
    for round_ in range(4):
        atlas = tmp_path / f"killed-{round_}"
        for _ in range(3):
            with started(command(tiny, atlas, prompts), own_cache) as run:
                # Half of the kills come at any time, half just after a file has appeared.
                if moments.random() < 0.5:
                    time.sleep(seconds * moments.random())
                else:
                    wait_for_file(atlas, moments.randint(1, len(expected)), run, seconds)
                run.kill()
            existing = files_of(atlas) if atlas.exists() else {}
            caught_in_the_middle += 0 < len(existing) < len(expected)
        finish(command(tiny, atlas, prompts), own_cache)
        result = files_of(atlas)
        assert result.keys() == expected.keys()
        assert [name for name in expected if result[name] != expected[name]] == []
    assert caught_in_the_middle >= 3


def wait_for_file(atlas: Path, count: int, run: subprocess.Popen[str], seconds: float) -> None:
    """Wait until the atlas has `count` files, or the run has ended."""
    limit = time.monotonic() + 3 * seconds
    while time.monotonic() < limit and run.poll() is None:
        if sum(path.is_file() for path in atlas.rglob("*")) >= count:
            return
        time.sleep(0.002)


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on_in_one_line(tiny: Tiny, tmp_path: Path, own_cache: Path) -> None:
    prompts = write_prompts(tmp_path / "prompts.jsonl", texts(100))
    with started(command(tiny, tmp_path / "atlas", prompts), own_cache) as run:
        wait_for_file(tmp_path / "atlas", 3, run, 60)
        run.send_signal(signal.SIGINT)
        _, stderr = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "Traceback" not in stderr
    assert "run the same command again" in stderr


@pytest.mark.slow
def test_a_second_run_on_the_same_atlas_is_told(
    tiny: Tiny, tmp_path: Path, own_cache: Path
) -> None:
    prompts = write_prompts(tmp_path / "prompts.jsonl", texts(100))
    atlas = tmp_path / "atlas"
    with started(command(tiny, atlas, prompts), own_cache) as first:
        wait_for_file(atlas, 3, first, 60)
        with started(command(tiny, atlas, prompts), own_cache) as second:
            _, stderr = second.communicate(timeout=60)
        assert second.returncode == 4
        errors = [line for line in stderr.splitlines() if line.startswith("error:")]
        assert len(errors) == 1
        assert "another run is working on this atlas" in errors[0]
        first.communicate(timeout=300)
        assert first.returncode == 0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ctrl_c_ends_a_long_context_at_once_and_leaves_no_temporary_file(
    tmp_path: Path, own_cache: Path
) -> None:
    """The features of one head on 8,192 tokens take most of a minute."""
    model = make_tiny_model(tmp_path / "model", n_layers=1, n_heads=2, context=8192)
    prompts = write_prompts(tmp_path / "prompts.jsonl", texts(2, 700))
    atlas = tmp_path / "atlas"
    arguments = ["build", "--no-site", "--model", str(model), "--prompts", str(prompts)]
    settings = ["--max-tokens", "8192", "--features", "paper", "--n-view-prompts", "1"]
    words = [*arguments, *settings, "--atlas", str(atlas)]
    with started([sys.executable, "-c", BUILD, *words], own_cache) as run:
        limit = time.monotonic() + 120
        while not list(atlas.rglob(".unfinished-*")) and time.monotonic() < limit:
            time.sleep(0.05)
        time.sleep(4)  # within a kernel
        assert run.poll() is None, run.stderr.read() if run.stderr else ""
        run.send_signal(signal.SIGINT)
        _, stderr = run.communicate(timeout=15)
    assert run.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert not list(atlas.rglob(".unfinished-*"))
