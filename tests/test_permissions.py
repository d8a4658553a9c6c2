"""Files that may not be read or written: the reason is named, and nothing is called damaged.

Root may read and write everything, so that the commands run without the rights that root has.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import Tiny
from synthetic_atlas import make_synthetic_atlas

RIGHTS_OF_ROOT = "-dac_override,-dac_read_search,-fowner"
WITHOUT = ["setpriv", f"--bounding-set={RIGHTS_OF_ROOT}", "--inh-caps=-all"]

# Runs command lines in one process, each with some files unreadable.
RUNNER = """
import contextlib, io, json, os, sys
from attention_motifs import cli
results = []
for words, unreadable in json.loads(sys.stdin.read()):
    for path in unreadable:
        os.chmod(path, 0)
    output = io.StringIO()
    sys.argv = ["motifs", *words]
    code = 0
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        try:
            cli.main()
        except SystemExit as error:
            code = error.code or 0
        except Exception as error:
            print(f"Traceback: {error!r}")
    for path in unreadable:
        os.chmod(path, 0o755)
    results.append([code, output.getvalue()])
print(json.dumps(results))
"""


def as_another_user() -> list[str] | None:
    """Return the start of a command line that takes the rights of root away; None if impossible."""
    if os.name != "posix":
        return None
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        return None
    tried = subprocess.run([*WITHOUT, "true"], capture_output=True, check=False)
    return WITHOUT if tried.returncode == 0 else None


def run(tries: list[tuple[list[str], list[str]]], **environment: str) -> list[tuple[int, str]]:
    """Run command lines without the rights of root; return exit codes and outputs."""
    start = as_another_user()
    if start is None:
        pytest.skip("the rights of root cannot be given up here")
    done = subprocess.run(
        [*start, sys.executable, "-c", RUNNER],
        input=json.dumps(tries),
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [(code, output) for code, output in json.loads(done.stdout.splitlines()[-1])]


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("permissions") / "atlas"
    return make_synthetic_atlas(path, n_layers=2, n_heads=1, n_prompts=4, n_tokens=6).path


@pytest.fixture
def read_only(atlas: Path) -> Iterator[Path]:
    folders = [atlas, *(path for path in atlas.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    yield atlas
    for folder in folders:
        folder.chmod(0o755)


HEAD = "synthetic-0:L0:H0"
QUERIES: list[list[str]] = [
    ["near", HEAD], ["show", HEAD], ["info"], ["prompts"], ["check"], ["classes"],
]  # fmt: skip


@pytest.mark.slow
def test_files_of_another_user_are_not_called_damaged(atlas: Path) -> None:
    paths = [atlas, *sorted(p for p in atlas.rglob("*") if p.name != ".lock")]
    tries = [
        ([*words, "--atlas", str(atlas)], [str(path)])
        for path in paths
        for words in (QUERIES if path.is_file() else QUERIES[:2])
    ]
    refused = 0
    for (words, unreadable), (code, output) in zip(tries, run(tries), strict=True):
        shown = f"{words[0]} without {unreadable[0]}: {output}"
        assert "Traceback" not in output, shown
        assert "damaged" not in output, shown
        if code:
            refused += 1
            assert "permission" in output.lower(), shown
    assert refused > len(tries) // 4


def test_an_atlas_that_may_only_be_read_is_read(read_only: Path) -> None:
    for code, output in run([([*words, "--atlas", str(read_only)], []) for words in QUERIES]):
        assert code == 0, output


@pytest.mark.slow
def test_an_atlas_that_may_only_be_read_is_not_written(read_only: Path) -> None:
    commands: list[list[str]] = [
        ["distances", "--force"], ["embed", "--force"], ["cluster"], ["figures"],
        ["remove", "synthetic-0"], ["add", "a"],
    ]  # fmt: skip
    for code, output in run([([*words, "--atlas", str(read_only)], []) for words in commands]):
        assert "Traceback" not in output
        assert "damaged" not in output
        assert code in (2, 5), output
        assert code == 2 or "cannot be written" in output


@pytest.mark.slow
def test_a_home_that_may_not_be_written_is_no_condition(
    tiny: Tiny, tmp_path: Path, atlas: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o555)
    environment: dict[str, Any] = {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache")}
    environment |= {"ATTENTION_MOTIFS_CACHE": "", "NUMBA_CACHE_DIR": str(home / "numba")}
    build = ["build", "--no-site", "--model", tiny.model("a"), "--atlas", str(tmp_path / "new")]
    build += ["--prompts", str(tiny.prompts), "--max-tokens", "16", "--features", "paper"]
    tries: list[tuple[list[str], list[str]]] = [
        (["near", HEAD, "--atlas", str(atlas)], []),
        (["models", "list"], []),
        (build, []),
    ]
    for code, output in run(tries, **environment):
        assert code == 0, output
    assert not list(home.iterdir())
