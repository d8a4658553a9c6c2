"""Public names have an example in their docstring, and it runs and prints what it shows."""

from __future__ import annotations

import doctest
import inspect
from pathlib import Path

import pytest

import attention_motifs
from synthetic_atlas import make_synthetic_atlas

BUILD_ATLASES = ("Atlas.on", "ablate", "add", "build", "remove", "score")
"""Names whose examples take half a minute."""
NAMES = sorted({*attention_motifs.__all__, *BUILD_ATLASES} - {"__version__"})
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

ASK_AN_ATLAS = ("Atlas", "diff", "label_heads", "track")
"""Names whose examples open an atlas."""


def examples_of(name: str) -> list[doctest.DocTest]:
    """Return the examples of a public name; of a class, those of its public methods too."""
    name, _, method = name.partition(".")
    value = getattr(attention_motifs, name)
    described = [(name, value)] if not method else [(name, getattr(value, method))]
    if inspect.isclass(value) and not method:
        described += [
            (f"{name}.{key}", member)
            for key, member in vars(value).items()
            if not key.startswith("_")
            and inspect.getdoc(member)
            and f"{name}.{key}" not in BUILD_ATLASES
        ]
    parser = doctest.DocTestParser()
    names = {**vars(inspect.getmodule(value)), "am": attention_motifs}  # as doctest does
    return [
        parser.get_doctest(inspect.getdoc(member) or "", names, key, None, None)
        for key, member in described
    ]


@pytest.mark.models
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if n in BUILD_ATLASES else n for n in NAMES],
)
def test_a_public_name_has_an_example_that_prints_what_it_shows(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name in ASK_AN_ATLAS:
        make_synthetic_atlas(tmp_path / "demo-atlas", n_prompts=6)
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    printed: list[str] = []
    for test in examples_of(name):
        runner.run(test, out=printed.append)
    results = runner.summarize(verbose=False)
    assert results.attempted > 0, "no example"
    assert results.failed == 0, "".join(printed)
