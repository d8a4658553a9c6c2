"""The scripts in `examples/` run, and what they write is what the commands read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from tiny_models import make_tiny_model

EXAMPLES = Path(__file__).parents[1] / "examples"
pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the examples are not installed")


def run(*command: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, command)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_a_training_run_is_tracked(tmp_path: Path, own_cache: Path) -> None:
    script = EXAMPLES / "train_tiny.py"
    runs = tmp_path / "runs"
    command = [script, "--out", runs, "--seeds", "1", "--steps", "6", "--checkpoints", "3"]
    run(*command)
    losses = json.loads((runs / "seed-0" / "losses.json").read_text())
    assert [row["step"] for row in losses] == [0, 3, 6]
    assert "trained already" in run(*command)
    answer = json.loads(
        run("-m", "attention_motifs", "track", runs / "seed-0", "--atlas", tmp_path / "atlas",
            "--n-prompts", "4", "--max-tokens", "32", "--json", "--out", tmp_path / "page.html")
    )  # fmt: skip
    assert answer["runs"][0]["steps"] == [0, 3, 6]
    assert len(answer["paths"]) == 8
    assert (tmp_path / "page.html").stat().st_size > 1000


@pytest.mark.slow
def test_rounded_weights_have_few_values(tmp_path: Path, own_cache: Path) -> None:
    source, target = make_tiny_model(tmp_path / "source"), tmp_path / "rounded"
    run(EXAMPLES / "round_weights.py", "--model", source, "--bits", "3", "--out", target)
    before, after = (load_file(f / "model.safetensors") for f in (source, target))
    for name, weight in before.items():
        if weight.ndim == 2:
            group = after[name][:, :32]
            assert all(len(set(abs(row).round(6).tolist())) <= 4 for row in group)
            assert abs(after[name] - weight).max() <= abs(weight).max() / 3
        else:
            assert (after[name] == weight).all()
