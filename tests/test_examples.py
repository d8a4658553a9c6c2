"""The examples in the docstrings of the public API do what they show."""

from __future__ import annotations

import doctest
import inspect

import pytest

import attention_motifs


@pytest.mark.parametrize("name", attention_motifs.__all__)
def test_examples_of_the_public_api(name: str) -> None:
    value = getattr(attention_motifs, name)
    if not (inspect.isclass(value) or inspect.isfunction(value)):
        return
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    module = inspect.getmodule(value)
    for test in doctest.DocTestFinder().find(value, name, module=module, globs=vars(module).copy()):
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0
