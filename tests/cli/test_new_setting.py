"""Test that a new setting is one field of one file: the rest of the package follows from it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import attention_motifs

PACKAGE = Path(attention_motifs.__file__).parent
DOCS = PACKAGE.parents[1] / "docs" / "extensions"

BEFORE = "    prompts: Annotated[Text, About("
FIELD = """\
    n_examples: Annotated[Count, About("Number of examples", unit="texts")] = 3
"""

PROGRAM = """
import sys
from dataclasses import asdict
import typer
from attention_motifs.cli.app import app
from attention_motifs.cli.configuration_file import build_plan, read_configuration
from attention_motifs.errors import InputError
from attention_motifs.store.settings import Configuration

file, docs = sys.argv[1:]
for command in ("build", "extract"):
    parameters = typer.main.get_command(app).commands[command].params
    options = {option.name: option for option in parameters}
    assert options["n_examples"].opts == ["--n-examples"], command
    assert options["n_examples"].default == 3
    assert options["n_examples"].help.startswith("Number of examples")
read = build_plan(read_configuration(file)).configuration
assert read.n_examples == 5
assert Configuration.from_json(asdict(read)).n_examples == 5
assert Configuration.from_json({"models": ["a"]}).n_examples == 3
try:
    Configuration(models="a", n_examples=0)
except InputError as error:
    assert "n_examples" in str(error) and "0" in str(error), error
else:
    raise AssertionError("0 is below the range")
sys.path.insert(0, docs)
import from_the_code
assert "| `n_examples` |" in from_the_code.settings()
"""


@pytest.mark.slow
def test_a_setting_is_added_in_one_place(tmp_path: Path) -> None:
    copied = tmp_path / "package" / "attention_motifs"
    shutil.copytree(PACKAGE, copied, ignore=shutil.ignore_patterns("assets", "__pycache__"))
    settings = copied / "store" / "settings.py"
    text = settings.read_text()
    assert text.count(BEFORE) == 1
    settings.write_text(text.replace(BEFORE, FIELD + BEFORE))
    file = tmp_path / "settings.toml"
    file.write_text('models = ["gpt2-small"]\nn_examples = 5\n')
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(file), str(DOCS)],
        env={**os.environ, "PYTHONPATH": str(copied.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
