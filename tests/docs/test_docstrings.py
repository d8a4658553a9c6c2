"""Public names have an example in their docstring, and it runs and prints what it shows."""

from __future__ import annotations

import doctest
import inspect
from pathlib import Path

import pytest

import attention_motifs

NAMES = sorted(set(attention_motifs.__all__) - {"__version__"})
SLOW = {"Atlas", "add", "build", "extract_patterns", "load_model", "PatternBatch"}
"""Names whose examples load a model."""
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def examples_of(name: str) -> list[doctest.DocTest]:
    """Examples in the docstring of a public name; of a class, those of its public methods too."""
    value = getattr(attention_motifs, name)
    described = [(name, value)]
    if inspect.isclass(value):
        described += [
            (f"{name}.{key}", member)
            for key, member in vars(value).items()
            if not key.startswith("_") and inspect.getdoc(member)
        ]
    parser = doctest.DocTestParser()
    return [
        parser.get_doctest(inspect.getdoc(member) or "", {"am": attention_motifs}, key, None, None)
        for key, member in described
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_has_an_example(name: str) -> None:
    assert any(test.examples for test in examples_of(name)), name


@pytest.mark.models
@pytest.mark.parametrize("name", NAMES)
def test_the_examples_run_and_print_what_they_show(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    said: list[str] = []
    for test in examples_of(name):
        runner.run(test, out=said.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(said)
