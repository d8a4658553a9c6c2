"""Random command lines: whatever the options, there is one line of error and no stack trace."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from attention_motifs import cli
from attention_motifs.atlas import Atlas
from attention_motifs.cli.app import app
from attention_motifs.errors import EXIT_CODES
from synthetic_atlas import make_synthetic_atlas

N_TRIES = 300

QUERIES = ("near", "show", "prompts", "info", "classes", "features", "export", "check")
"""Commands that are fast enough to run on an atlas; the others meet a folder without one."""
ENDLESS = ("models pull", "demo")

VALUES = [
    "", " ", "-1", "0", "1", "2", "3", "99999999999999999999999", "1.5", "-0.0", "nan", "inf",
    "true", "None", "x", "é", "\udcff", "\x1b[31m", "[/]", "a" * 300, "1-", "4-2", "0-1", "-", ":",
    "=", "a=b", "=x", "0=a", "synthetic-0:L0:H0", "synthetic-0.L1.H0", "org/synthetic-1:L0:H0",
    "synthetic-0:L9:H0", "synthetic-0", "no/model", "mean", "cosine", "natural", "meen",
    "paper", "diag.mean", "all", "within", "auto", "ray", "cpu", "cuda:99", "svg", "induction",
    "average", "leiden", "ward", "average:1", "here.txt", "[]", "{}", "models = 3",
]  # fmt: skip


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    path = tmp_path_factory.mktemp("random") / "atlas"
    return make_synthetic_atlas(path, n_layers=2, n_heads=1, n_prompts=4, n_tokens=6)


def commands(group: Any, prefix: str = "") -> dict[str, Any]:
    """Commands by their names, those of groups with the name of the group."""
    result = {}
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            result |= commands(command, f"{prefix}{name} ")
        else:
            result[prefix + name] = command
    return result


def random_words(name: str, command: Any, folder: Path, rng: random.Random) -> list[str]:
    """A command line: each option at times, with any value; arguments mostly as many as needed."""
    words = name.split()
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            words += rng.choices(VALUES, k=rng.choice([0, 1, 1, 1, 1, 2]))
        elif parameter.name not in ("atlas", "help") and rng.random() < 0.25:
            words.append(rng.choice([*parameter.opts, *parameter.secondary_opts]))
            if not parameter.is_flag or rng.random() < 0.02:
                words.append(rng.choice(VALUES))
    if any(parameter.name == "atlas" for parameter in command.params) and rng.random() < 0.95:
        words += ["--atlas", str(folder)]
    if rng.random() < 0.05:
        words.insert(rng.randrange(1, len(words) + 1), rng.choice([*VALUES, "--no-such-option"]))
    return words


@pytest.mark.filterwarnings("ignore")
def test_no_command_line_ends_in_a_stack_trace(
    atlas: Atlas,
    tmp_path: Path,
    own_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    group = typer.main.get_command(app)
    known = {name: c for name, c in commands(group).items() if name not in ENDLESS}
    rng = random.Random(0)  # noqa: S311
    codes = set()
    for _ in range(N_TRIES):
        name = rng.choice([*known, *QUERIES, *QUERIES])
        folder = atlas.path if name in QUERIES else tmp_path / "none"
        words = random_words(name, known[name], folder, rng)
        monkeypatch.setattr(sys, "argv", ["motifs", *words])
        try:
            cli.main()
        except SystemExit as error:
            code = error.code or 0
        except Exception as error:  # noqa: BLE001
            pytest.fail(f"motifs {words}: {error!r}")
        captured = capsys.readouterr()
        codes.add(code)
        assert code in EXIT_CODES, words
        assert "Traceback" not in captured.err, words
        assert code == 0 or "error: " in captured.err or "Usage" in captured.out, words
    assert {0, 2, 4} <= codes
